//! What a cluster costs: the same job on several executors, jobs of many shards, and a worklist of millions of files.
//! Measured on clusters of real processes on this machine; `docs/SCALE.md` has figures.

mod cluster;
pub mod worklist;

use std::io;
use std::process::Command;

use self::cluster::Cluster;
pub use self::cluster::Spent;
use crate::Contenders;
use crate::corpus::Corpus;
use crate::measure::{Measurement, measure};
use crate::report::Report;
use crate::workload::Workload;

/// How content may reach the executors of a cluster.
const SOURCES: [&str; 2] = ["shared", "staged"];

/// The same job on clusters of so many executors, each with one task at a time.
pub fn executors(contenders: &Contenders, workload: &Workload, corpus: &Corpus, report: &mut Report) -> io::Result<()> {
    let mut embedded: Option<Measurement> = None;
    for _ in 0..workload.repeat {
        let run = measure(&mut contenders.lode(workload, corpus, contenders.place()?.path())?)?;
        if embedded.as_ref().is_none_or(|best| run.core_seconds < best.core_seconds) {
            embedded = Some(run);
        }
    }
    let embedded = embedded.ok_or_else(|| io::Error::other("`repeat` is 0"))?;
    report.row("embedded", corpus, &embedded, None);
    for count in &workload.executors {
        for source in SOURCES {
            let mut best: Option<Measurement> = None;
            for _ in 0..workload.repeat {
                let run = on_cluster(contenders, workload, corpus, *count, &["--source", source])?.0;
                if best.as_ref().is_none_or(|best| run.core_seconds < best.core_seconds) {
                    best = Some(run);
                }
            }
            let run = best.ok_or_else(|| io::Error::other("`repeat` is 0"))?;
            report.overhead(&format!("{count} executors, {source}"), corpus, &run, &embedded);
        }
    }
    Ok(())
}

/// The same few lines in more and more shards: what a shard costs when there is next to nothing in it.
pub fn shards(contenders: &Contenders, workload: &Workload, corpus: &Corpus, report: &mut Report) -> io::Result<()> {
    report.shard_heading();
    let mut fewer: Option<(usize, Measurement, Spent)> = None;
    for count in &workload.shards {
        let shards = count.to_string();
        let args = ["--source", "shared", "--shards", &shards];
        let (run, spent) = on_cluster(contenders, workload, corpus, 2, &args)?;
        report.shards(*count, &run, &spent, fewer.as_ref());
        fewer = Some((*count, run, spent));
    }
    Ok(())
}

/// Runs a job on a cluster of its own. What the cluster spends is part of the measurement.
fn on_cluster(
    contenders: &Contenders,
    workload: &Workload,
    corpus: &Corpus,
    executors: usize,
    args: &[&str],
) -> io::Result<(Measurement, Spent)> {
    let out = contenders.place()?;
    let cluster = Cluster::start(out.path(), executors)?;
    let before = cluster.spent();
    let mut command: Command = contenders.lode(workload, corpus, out.path())?;
    command.args(["--scheduler", cluster.address()]).args(args);
    let mut run = measure(&mut command)?;
    let mut spent = cluster.spent() - before;
    spent.client = run.core_seconds;
    run.core_seconds = spent.total();
    run.peak_rss += cluster.memory();
    Ok((run, spent))
}

/// The worklist of a scan of so many files that are nowhere: planned, cut into shards and submitted.
pub fn worklist(contenders: &Contenders, workload: &Workload, files: usize, report: &mut Report) -> io::Result<()> {
    let out = contenders.place()?;
    let cluster = Cluster::start(out.path(), 0)?;
    let before = cluster.spent();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("worklist").arg(out.path().join("lake")).args(["--scheduler", cluster.address()]);
    command.args(["--files", &files.to_string(), "--datasets", &workload.datasets()?.join(",")]);
    let mut run = measure(&mut command)?;
    let spent = cluster.spent() - before;
    run.core_seconds += spent.total();
    run.peak_rss += cluster.memory();
    report.worklist(&workload.name, files, &run);
    Ok(())
}
