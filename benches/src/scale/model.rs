//! Larger clusters, simulated: measures what the model still needs, fits it, holds it against runs that it was not fitted
//! to, and asks what `model.toml` asks.

use std::io;

use lode_executor::wire::MESSAGE_LIMIT;
use lode_lake::shard::target_bytes;
use lode_model::measured;
use lode_model::study::{Study, constants};

use crate::report::Report;

/// Prints what the model says. `measure` runs a workload whose points are missing.
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
    report.answers("clusters and repositories", &study.grid(&costs, target_bytes).map_err(io::Error::other)?);
    let relieved = study.relieved(&costs, target_bytes).map_err(io::Error::other)?;
    report.answers("one relief after the other, each for what binds then", &relieved);
    for answer in &relieved {
        let [plan, tasks] = answer.plans;
        report.remark(&format!(
            "  {}: a plan of {:.1} MB is submitted (of {:.0} MB that a message may have), {:.1} MB go to tasks",
            answer.case,
            plan / 1e6,
            MESSAGE_LIMIT as f64 / 1e6,
            tasks / 1e6
        ));
    }
    report.remark("given:");
    for (name, given) in &study.given {
        report.remark(&format!("  {name} = {}: {}", given.value, given.source));
    }
    report.answers(
        "half and twice of what is given",
        &study.sensitivity(&costs, target_bytes).map_err(io::Error::other)?,
    );
    Ok(())
}
