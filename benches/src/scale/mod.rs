//! What a cluster costs: the same job on several executors, jobs of many shards, and a worklist of millions of files.
//! Measured on clusters of real processes on this machine; `docs/SCALE.md` has figures, and the model says what they mean
//! for larger ones.

mod cluster;
mod crowd;
mod model;
mod trace;
pub mod worklist;

use std::collections::BTreeMap;
use std::io;
use std::process::Command;
use std::time::SystemTime;

use lode_model::cost::Job;
use lode_model::measured::{Figure, Point};
use serde_json::Value;

use self::cluster::Cluster;
pub use self::cluster::Spent;
pub use self::model::model;
use crate::Contenders;
use crate::corpus::Corpus;
use crate::measure::{Measurement, measure};
use crate::report::Report;
use crate::workload::{Crowd, Workload};

/// How content may reach the executors of a cluster.
const SOURCES: [&str; 2] = ["shared", "staged"];

/// The same job on clusters of so many executors, each with one task at a time.
pub fn executors(contenders: &Contenders, workload: &Workload, corpus: &Corpus, report: &mut Report) -> io::Result<()> {
    let clusters = workload.executors.iter().flat_map(|count| SOURCES.map(|source| (*count, source)));
    let mut clusters: Vec<_> = clusters.map(|cluster| (cluster, None::<(Measurement, Point)>)).collect();
    let mut embedded: Option<Measurement> = None;
    // In turn, so that a machine that gets slower does so for all.
    for _ in 0..workload.repeat {
        let run = measure(&mut contenders.lode(workload, corpus, contenders.place()?.path())?)?;
        if embedded.as_ref().is_none_or(|best| run.core_seconds < best.core_seconds) {
            embedded = Some(run);
        }
        for ((count, source), best) in &mut clusters {
            let (run, _, point) = on_cluster(contenders, workload, corpus, *count, &["--source", source])?;
            if best.as_ref().is_none_or(|(best, _)| run.core_seconds < best.core_seconds) {
                *best = Some((run, point));
            }
        }
    }
    let embedded = embedded.ok_or_else(|| io::Error::other("`repeat` is 0"))?;
    report.row("embedded", corpus, &embedded, None);
    for ((count, source), best) in clusters {
        let (run, point) = best.ok_or_else(|| io::Error::other("`repeat` is 0"))?;
        report.overhead(&format!("{count} executors, {source}"), corpus, &run, &embedded);
        report.point(&point);
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
        let (run, spent, point) = on_cluster(contenders, workload, corpus, 2, &args)?;
        report.shards(*count, &run, &spent, fewer.as_ref());
        report.point(&point);
        fewer = Some((*count, run, spent));
    }
    Ok(())
}

/// Runs a job on a cluster of its own. What the cluster spends is part of the measurement; the point has it by role.
fn on_cluster(
    contenders: &Contenders,
    workload: &Workload,
    corpus: &Corpus,
    executors: usize,
    args: &[&str],
) -> io::Result<(Measurement, Spent, Point)> {
    let out = contenders.place()?;
    let cluster = Cluster::start(out.path(), executors)?;
    let before = cluster.spent();
    let mut command: Command = contenders.lode(workload, corpus, out.path())?;
    command.args(["--scheduler", cluster.address()]).args(args);
    let started = SystemTime::now();
    let mut run = measure(&mut command)?;
    let mut spent = cluster.spent() - before;
    spent.client = run.core_seconds;
    let (shards, mut figures) = trace::figures(&out.path().join("lake"), started, run.elapsed)?;
    figures.extend([
        (Figure::Elapsed, run.elapsed),
        (Figure::ClientCore, spent.client),
        (Figure::SchedulerCore, spent.scheduler),
        (Figure::ExecutorCore, spent.executors),
        (Figure::SchedulerMemory, cluster.scheduler_memory() as f64),
    ]);
    let job = Job {
        files: corpus.files as f64,
        megabytes: corpus.bytes as f64 / 1e6,
        shards,
        executors: executors as f64,
        staged: args.contains(&"staged"),
    };
    run.core_seconds = spent.total();
    run.peak_rss += cluster.memory();
    Ok((run, spent, point(workload, job, figures)))
}

/// A run on this machine, for the model.
fn point(workload: &Workload, job: Job, figures: BTreeMap<Figure, f64>) -> Point {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Point { workload: workload.name.clone(), job, cores, figures }
}

/// The worklist of a scan of so many files that are nowhere: planned, cut into shards and submitted.
pub fn worklist(contenders: &Contenders, workload: &Workload, files: usize, report: &mut Report) -> io::Result<()> {
    let (mut run, spent, memory) = planned(contenders, workload, files, &[])?;
    let (output, seconds) = (&run.output, &run.output["seconds"]);
    let figures = BTreeMap::from([
        (Figure::Plan, number(&seconds["plan and shard"])?),
        (Figure::Submit, number(&seconds["submit"])?),
        (Figure::PlanBytes, number(&output["plan_bytes"])?),
        (Figure::Kept, (number(&output["scan_bytes"])? + number(&output["worklist_bytes"])?) / 1e6),
        (Figure::ClientMemory, run.peak_rss as f64),
    ]);
    report.point(&point(workload, planned_job(files, 0, output)?, figures));
    run.core_seconds += spent.total();
    run.peak_rss += memory;
    report.worklist(&workload.name, files, &run);
    Ok(())
}

/// A job of so many shards, handed out to so many executors that do nothing: what the scheduler spends on it.
pub fn crowd(contenders: &Contenders, workload: &Workload, crowd: Crowd, report: &mut Report) -> io::Result<()> {
    let Crowd { executors, shards } = crowd;
    // Enough files for every shard to have some.
    let files = 10 * shards;
    let args = ["--crowd", &executors.to_string(), "--shards", &shards.to_string()];
    let (run, spent, memory) = planned(contenders, workload, files, &args)?;
    let figures = BTreeMap::from([
        (Figure::SchedulerCore, spent.scheduler),
        (Figure::SchedulerMemory, memory as f64),
        (Figure::TaskBytes, number(&run.output["task_bytes"])?),
    ]);
    report.crowd(&workload.name, crowd, &run, spent.scheduler, memory);
    report.point(&point(workload, planned_job(files, executors, &run.output)?, figures));
    Ok(())
}

/// Plans and submits a job over files that are nowhere, to a scheduler of its own. With what it cost: core-seconds of the
/// cluster by role, and bytes of its processes at the peak.
fn planned(
    contenders: &Contenders,
    workload: &Workload,
    files: usize,
    args: &[&str],
) -> io::Result<(Measurement, Spent, u64)> {
    let out = contenders.place()?;
    let cluster = Cluster::start(out.path(), 0)?;
    let before = cluster.spent();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("worklist").arg(out.path().join("lake")).args(["--scheduler", cluster.address()]);
    command.args(["--files", &files.to_string(), "--datasets", &workload.datasets()?.join(",")]).args(args);
    let run = measure(&mut command)?;
    Ok((run, cluster.spent() - before, cluster.memory()))
}

fn planned_job(files: usize, executors: usize, output: &Value) -> io::Result<Job> {
    let (shards, megabytes) = (number(&output["shards"])?, number(&output["bytes"])? / 1e6);
    Ok(Job { files: files as f64, megabytes, shards, executors: executors as f64, staged: false })
}

fn number(value: &Value) -> io::Result<f64> {
    value.as_f64().ok_or_else(|| io::Error::other("the worklist says less than it should"))
}
