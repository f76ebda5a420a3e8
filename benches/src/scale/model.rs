//! Larger clusters, simulated: measures what the model still needs, fits it, holds it against runs that it was not fitted
//! to, and asks what `model.toml` asks.

use std::io;

use lode_executor::wire::MESSAGE_LIMIT;
use lode_lake::shard::target_bytes;
use lode_model::measured;
use lode_model::study::{Answer, Study, constants};

use crate::report::Report;

/// Prints what the model says. `measure` runs a workload that has no points yet.
pub fn model(report: &mut Report, measure: impl Fn(&str, &mut Report) -> io::Result<()>) -> io::Result<()> {
    let study = Study::parse(include_str!("../../model.toml")).map_err(io::Error::other)?;
    for series in &study.series {
        if report.points()?.iter().all(|point| point.workload != series.workload) {
            measure(&series.workload, report)?;
        }
    }
    let [fitted, held] = study.split(&report.points()?).map_err(io::Error::other)?;
    let costs = measured::costs(&fitted).map_err(io::Error::other)?;
    report.constants(&constants(&costs));
    report.checks(&study.checks(&costs, &held));

    let grid = study.grid(&costs, target_bytes).map_err(io::Error::other)?;
    report.answers("clusters and repositories", &grid);
    let sensitivity = study.sensitivity(&costs, target_bytes).map_err(io::Error::other)?;
    report.answers("half and twice of what is given", &sensitivity);
    for (name, given) in &study.given {
        report.remark(&format!("  {name} = {}: {}", given.value, given.source));
    }
    let relieved = study.relieved(&costs, target_bytes).map_err(io::Error::other)?;
    report.answers("one relief after the other, each for what binds then", &relieved);
    relieved.iter().take(1).for_each(|answer| report.remark(&verdict(answer)));
    Ok(())
}

/// The answer to the question that the model is there for.
fn verdict(answer: &Answer) -> String {
    let Answer { executors, files, seconds, binds, slows, saves, memory: [client, _], plans: [plan, tasks], .. } =
        answer;
    let relief = answer.relief.as_deref().unwrap_or("nothing is known to be done about it");
    format!(
        "\n{executors} executors and {files} files: {seconds:.0} s. {binds} binds first: {relief}. {slows} takes the most time \
         (twice as much of it saves {:.0}%). The client needs {:.0} GB, submits a plan of {:.1} MB (of {:.0} MB that a message may have), and tasks are \
         sent {:.1} MB of plans.",
        100.0 * saves,
        client / 1e9,
        plan / 1e6,
        MESSAGE_LIMIT as f64 / 1e6,
        tasks / 1e6
    )
}
