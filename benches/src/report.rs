//! The result, as a table for people and as JSON.

mod model;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use lode_model::measured::Point;
use serde_json::{Value, json};

use crate::corpus::Corpus;
use crate::measure::Measurement;
use crate::scale::Spent;
use crate::workload::{Crowd, Workload};

/// Rows so far; each is printed when it is known.
#[derive(Default)]
pub struct Report {
    workload: String,
    rows: Vec<Value>,
}

impl Report {
    /// Opens a workload over a corpus.
    pub fn heading(&mut self, workload: &Workload, corpus: &Corpus) {
        self.workload.clone_from(&workload.name);
        let megabytes = corpus.bytes as f64 / 1e6;
        line(&format!("\n{} over {}: {} files, {megabytes:.1} MB", workload.name, corpus.name, corpus.files));
        line(&format!(
            "{:<24}{:>9}{:>9}{:>12}{:>14}{:>10}{:>16}",
            "", "seconds", "MB/s", "core-sec.", "MB/core-sec.", "peak MB", "lode's speed"
        ));
    }

    /// Adds a contender; the ratio is Lode's throughput to its.
    pub fn row(&mut self, name: &str, corpus: &Corpus, run: &Measurement, lode: Option<&Measurement>) {
        let megabytes = corpus.bytes as f64 / 1e6;
        let ratio = lode.map(|lode| run.elapsed / lode.elapsed);
        line(&format!(
            "{name:<24}{:>9.2}{:>9.1}{:>12.2}{:>14.1}{:>10.0}{:>16}",
            run.elapsed,
            megabytes / run.elapsed,
            run.core_seconds,
            megabytes / run.core_seconds,
            run.peak_rss as f64 / 1e6,
            ratio.map(|ratio| format!("{ratio:.2} x")).unwrap_or_default(),
        ));
        self.rows.push(json!({
            "workload": self.workload,
            "corpus": corpus.name,
            "files": corpus.files,
            "megabytes": megabytes,
            "contender": name,
            "run": run,
            "lode_speed_ratio": ratio,
        }));
    }

    /// Says whether Lode is as fast as is asked of a core, by the time that cores worked and by the clock.
    pub fn asked(&mut self, asked: f64, workers: usize, corpus: &Corpus, run: &Measurement) {
        let megabytes = corpus.bytes as f64 / 1e6;
        let by_core = megabytes / run.core_seconds;
        let by_clock = megabytes / run.elapsed / workers as f64;
        let verdict = match (by_core >= asked, by_clock >= asked) {
            (true, true) => "met",
            (true, false) => "met by core-seconds alone",
            _ => "not met",
        };
        let ratio = by_core / asked;
        line(&format!(
            "  asked of a core: {asked:.1} MB/s; {by_core:.2} by core-seconds ({ratio:.2} x), {by_clock:.2} by the clock \
             with {workers} workers: {verdict}"
        ));
        self.rows.push(json!({
            "workload": self.workload,
            "corpus": corpus.name,
            "asked_megabytes_per_core_second": asked,
            "megabytes_per_core_second": by_core,
            "megabytes_per_second_and_worker": by_clock,
            "verdict": verdict,
        }));
    }

    /// Adds a later run on the same lake; the ratio is its core-seconds to the first run's.
    pub fn later(&mut self, name: &str, corpus: &Corpus, run: &Measurement, first: &Measurement) {
        let share = run.core_seconds / first.core_seconds;
        line(&format!(
            "{name:<24}{:>9.2}{:>9}{:>12.2}{:>14}{:>10.0}   {:.1}% of the full run's core-seconds",
            run.elapsed,
            "",
            run.core_seconds,
            "",
            run.peak_rss as f64 / 1e6,
            100.0 * share,
        ));
        self.rows.push(json!({
            "workload": self.workload,
            "corpus": corpus.name,
            "contender": name,
            "run": run,
            "core_seconds_ratio": share,
        }));
    }

    /// Adds a run on a cluster; the ratio is its core-seconds to the embedded run's.
    pub fn overhead(&mut self, name: &str, corpus: &Corpus, run: &Measurement, embedded: &Measurement) {
        let ratio = run.core_seconds / embedded.core_seconds;
        let megabytes = corpus.bytes as f64 / 1e6;
        line(&format!(
            "{name:<24}{:>9.2}{:>9.1}{:>12.2}{:>14.1}{:>10.0}   {:+.1}% core-seconds",
            run.elapsed,
            megabytes / run.elapsed,
            run.core_seconds,
            megabytes / run.core_seconds,
            run.peak_rss as f64 / 1e6,
            100.0 * (ratio - 1.0),
        ));
        self.rows.push(json!({
            "workload": self.workload,
            "corpus": corpus.name,
            "megabytes": megabytes,
            "contender": name,
            "run": run,
            "core_seconds_ratio": ratio,
        }));
    }

    /// Opens a table of runs in more and more shards.
    pub fn shard_heading(&self) {
        line(&format!(
            "{:<8}{:>9}{:>12}   core-ms a shard, on top of the line above: {:>9}{:>11}{:>11}   {:>10}",
            "shards", "seconds", "core-sec.", "client", "scheduler", "executors", "wall ms"
        ));
    }

    /// Adds a run in so many shards; what a shard costs is what there is more than in the run of fewer.
    pub fn shards(
        &mut self,
        count: usize,
        run: &Measurement,
        spent: &Spent,
        fewer: Option<&(usize, Measurement, Spent)>,
    ) {
        let (less, elapsed, before) =
            fewer.map_or((0, 0.0, Spent::default()), |(n, run, spent)| (*n, run.elapsed, *spent));
        let each = |seconds: f64| 1e3 * seconds / count.saturating_sub(less).max(1) as f64;
        let more = *spent - before;
        line(&format!(
            "{count:<8}{:>9.2}{:>12.2}   {:>52.2}{:>11.2}{:>11.2}   {:>10.2}",
            run.elapsed,
            run.core_seconds,
            each(more.client),
            each(more.scheduler),
            each(more.executors),
            each(run.elapsed - elapsed),
        ));
        self.rows.push(json!({
            "workload": self.workload,
            "shards": count,
            "run": run,
            "core_seconds": spent,
            "core_ms_a_shard": { "client": each(more.client), "scheduler": each(more.scheduler), "executors": each(more.executors) },
        }));
    }

    /// Adds a worklist that was planned and submitted.
    pub fn worklist(&mut self, workload: &str, files: usize, run: &Measurement) {
        line(&format!("\n{workload}: {files} files planned, sharded and submitted"));
        line(&format!(
            "{:.1} s, {:.1} core-seconds, {:.0} MB at the peak",
            run.elapsed,
            run.core_seconds,
            run.peak_rss as f64 / 1e6
        ));
        line(&run.output.to_string());
        self.rows.push(json!({ "workload": workload, "files": files, "run": run }));
    }

    /// Adds a job that was handed out to executors that do nothing: what the scheduler spent on it, in core-seconds and bytes.
    pub fn crowd(&mut self, workload: &str, crowd: Crowd, run: &Measurement, spent: f64, memory: u64) {
        let Crowd { executors, shards } = crowd;
        let (seconds, bytes) = (&run.output["seconds"]["hand out"], &run.output["task_bytes"]);
        line(&format!(
            "{workload}: {shards} tasks to {executors} executors in {:.1} s; scheduler {:.2} core-ms a task, {:.0} MB, {:.1} kB of \
             plan a task",
            seconds.as_f64().unwrap_or_default(),
            1e3 * spent / shards as f64,
            memory as f64 / 1e6,
            bytes.as_f64().unwrap_or_default() / 1e3 / shards as f64,
        ));
        self.rows.push(json!({
            "workload": workload,
            "executors": executors,
            "shards": shards,
            "run": run,
            "scheduler_core_seconds": spent,
            "scheduler_bytes": memory,
        }));
    }

    /// Keeps a run as a point that the model can be fitted to.
    pub fn point(&mut self, point: &Point) {
        self.rows.push(json!({ "workload": point.workload, "point": point }));
    }

    /// Takes the points over that an earlier report has.
    pub fn recall(&mut self, path: &Path) -> io::Result<()> {
        let rows: Vec<Value> = serde_json::from_slice(&fs::read(path)?)?;
        self.rows.extend(rows.into_iter().filter(|row| row.get("point").is_some()));
        Ok(())
    }

    /// All points so far.
    pub fn points(&self) -> io::Result<Vec<Point>> {
        let points = self.rows.iter().filter_map(|row| row.get("point").cloned());
        points.map(|point| serde_json::from_value(point).map_err(io::Error::other)).collect()
    }

    /// Writes the JSON file, if one is wanted.
    pub fn finish(self, json: Option<&Path>) -> io::Result<()> {
        match json {
            Some(path) => fs::write(path, serde_json::to_vec_pretty(&self.rows)?),
            None => Ok(()),
        }
    }
}

fn line(text: &str) {
    // A closed pipe is the reader's choice.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Says why there is no result.
pub fn complain(error: &io::Error) {
    let _ = writeln!(io::stderr().lock(), "error: {error}");
}
