//! What the model says, in the same two forms.

use lode_model::cost::Term;
use lode_model::study::{Answer, Check};
use serde_json::{Value, json};

use super::{Report, line};

impl Report {
    /// Adds what things cost, as fitted.
    pub fn constants(&mut self, constants: &[(&'static str, Vec<(Term, f64)>)]) {
        line("\nfitted, by what it grows with");
        for (name, terms) in constants {
            let terms: Vec<String> = terms.iter().map(|(term, each)| format!("{term:?} {each:.3e}")).collect();
            line(&format!("  {name:<28}{}", terms.join("  ")));
        }
        let object = |terms: &[(Term, f64)]| -> Value {
            Value::Object(terms.iter().map(|(term, each)| (format!("{term:?}"), json!(each))).collect())
        };
        let constants = constants.iter().map(|(name, terms)| ((*name).to_owned(), object(terms)));
        self.rows.push(json!({ "workload": "model", "constants": Value::Object(constants.collect()) }));
    }

    /// Adds how near the model came to runs that it was not fitted to.
    pub fn checks(&mut self, checks: &[Check]) {
        line(&format!("\n{:<66}{:<18}{:>12}{:>12}{:>9}", "foretold", "", "model", "measured", "error"));
        for check in checks {
            let Check { point, figure, measured, predicted, error } = check;
            let figure = format!("{figure:?}");
            let [predicted, measured] = [predicted, measured].map(|value| short(*value));
            line(&format!("{point:<66}{figure:<18}{predicted:>12}{measured:>12}{:>+8.1}%", 100.0 * error));
            self.rows.push(json!({ "workload": "model", "check": check }));
        }
    }

    /// Adds simulated runs, as a table of that title; the percentages say for which share of its time each resource of a
    /// run is busy.
    pub fn answers(&mut self, title: &str, answers: &[Answer]) {
        let resources = answers.first().map(|answer| answer.busy.iter().map(|(name, _)| format!("{name:>10}")));
        line(&format!(
            "\n{title}\n{:>9}{:>12}{:>8}{:>10}{:>10}{:>10}{}   {:<11}slows most (twice as much saves)",
            "executors",
            "files",
            "shards",
            "seconds",
            "client GB",
            "sched. GB",
            resources.into_iter().flatten().collect::<String>(),
            "binds"
        ));
        for answer in answers {
            let Answer { executors, files, shards, seconds, binds, slows, saves, memory: [client, scheduler], .. } =
                answer;
            let busy: String = answer.busy.iter().map(|(_, share)| format!("{:>9.0}%", 100.0 * share)).collect();
            let row = format!(
                "{executors:>9}{files:>12}{shards:>8}{seconds:>10.1}{:>10.1}{:>10.1}{busy}   {binds:<11}{slows:<11}{:>5.1}%  {}",
                client / 1e9,
                scheduler / 1e9,
                100.0 * saves,
                answer.case
            );
            line(row.trim_end());
            self.rows.push(json!({ "workload": "model", "table": title, "answer": answer }));
        }
    }

    /// Says something about the tables.
    pub fn remark(&self, text: &str) {
        line(text);
    }
}

/// Seconds as they are, bytes by their power of ten.
fn short(value: f64) -> String {
    if value < 1e5 { format!("{value:.3}") } else { format!("{value:.3e}") }
}
