//! What it costs to extract in worker processes: the same groups of files, extracted and encoded by threads of one process
//! or by its workers. Nothing is written; what workers give back is what a sink would take.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use lode_encode::{LEAST_GROUP_ROWS, RowsEncoder};
use lode_executor::worker::{Content, PoolConfig, WorkerPool};
use lode_facts::extract::{Extractor, FileRequest};
use lode_facts::options::{Limits, Options};

use crate::Contenders;
use crate::ceiling::{list, request, requests};
use crate::corpus::Corpus;
use crate::measure::{Measurement, measure};
use crate::report::Report;
use crate::workload::Workload;

/// Source of a group, in bytes: that of a shard's usual group.
const GROUP_BYTES: usize = 2 << 20;

/// What to do.
#[derive(clap::Args)]
pub struct Args {
    root: PathBuf,
    #[arg(long)]
    workers: usize,
    #[arg(long, value_delimiter = ',')]
    datasets: Vec<String>,
    /// In worker processes.
    #[arg(long)]
    isolated: bool,
}

type Group = Vec<(FileRequest, Bytes)>;

/// Compares the two; the least CPU time of each counts.
pub fn compare(contenders: &Contenders, workload: &Workload, corpus: &Corpus, report: &mut Report) -> io::Result<()> {
    let run = |isolated: bool| -> io::Result<Measurement> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("isolation").arg(&corpus.root).args(["--workers", &contenders.workers.to_string()]);
        command.args(["--datasets", &workload.datasets()?.join(",")]).args(isolated.then_some("--isolated"));
        measure(&mut command)
    };
    let (mut in_place, mut isolated) = (run(false)?, run(true)?);
    if in_place.output != isolated.output {
        return Err(io::Error::other("isolation changes what is extracted"));
    }
    // In turn, so that a machine that gets slower does so for both.
    for _ in 1..workload.repeat {
        for (best, other) in [(&mut in_place, run(false)?), (&mut isolated, run(true)?)] {
            if other.core_seconds < best.core_seconds {
                *best = other;
            }
        }
    }
    report.row("in place", corpus, &in_place, None);
    report.overhead("isolated", corpus, &isolated, &in_place);
    Ok(())
}

/// Extracts every file one way or the other, and prints how many files and rows there were.
pub fn run(args: &Args) -> io::Result<()> {
    let groups = groups(&args.root, &args.datasets)?;
    let rows = if args.isolated { through_pool(&groups, args.workers)? } else { in_place(&groups, args.workers)? };
    let summary = serde_json::json!({ "files": groups.iter().map(Vec::len).sum::<usize>(), "rows": rows });
    writeln!(io::stdout().lock(), "{summary}")
}

/// Files in order, cut into groups.
fn groups(root: &Path, datasets: &[String]) -> io::Result<Vec<Group>> {
    let lanes = requests(datasets)?;
    let mut paths = vec![];
    list(root, "", &mut paths)?;
    let (mut groups, mut held) = (vec![Group::new()], 0);
    for path in paths {
        let content = Bytes::from(fs::read(root.join(&path))?);
        if held > 0 && held + content.len() > GROUP_BYTES {
            groups.push(vec![]);
            held = 0;
        }
        held += content.len();
        groups.last_mut().expect("there is one from the start").push((request(&path, content.len(), &lanes), content));
    }
    Ok(groups)
}

/// Calls `work` with each group, on so many threads; gives the sum of what it returns.
fn each<T: Fn(&Group) -> io::Result<usize>>(
    groups: &[Group],
    threads: usize,
    worker: impl Fn() -> io::Result<T> + Sync,
) -> io::Result<usize> {
    let (next, rows) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let run = || {
            let work = worker()?;
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                rows.fetch_add(work(group)?, Ordering::Relaxed);
            }
            Ok::<_, io::Error>(())
        };
        let threads = (0..threads.max(1)).map(|_| {
            // Parsers may recurse as deep as in a worker process.
            thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, run)
        });
        let threads = threads.collect::<io::Result<Vec<_>>>()?;
        threads.into_iter().try_for_each(|thread| thread.join().expect("extractors do not panic"))
    })?;
    Ok(rows.into_inner())
}

fn in_place(groups: &[Group], threads: usize) -> io::Result<usize> {
    each(groups, threads, || {
        let extractor = std::cell::RefCell::new(Extractor::new(&Options::default(), &Limits::default()));
        let encoder = std::cell::RefCell::new(RowsEncoder::new().map_err(io::Error::other)?);
        Ok(move |group: &Group| {
            let mut extractor = extractor.borrow_mut();
            for (request, content) in group {
                extractor.extract(request, Some(content));
            }
            let output = extractor.finish().map_err(io::Error::other)?;
            for (dataset, batch) in output.tables.iter().filter(|(_, batch)| batch.num_rows() >= LEAST_GROUP_ROWS) {
                let encoded = encoder.borrow_mut().encode(batch, &dataset.facts_schema());
                std::hint::black_box(encoded.map_err(io::Error::other)?);
            }
            Ok(output.tables.iter().map(|(_, batch)| batch.num_rows()).sum())
        })
    })
}

fn through_pool(groups: &[Group], workers: usize) -> io::Result<usize> {
    let pool = WorkerPool::new(PoolConfig::new(workers, Options::default(), Limits::default()));
    each(groups, workers, || {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let pool = &pool;
        Ok(move |group: &Group| {
            let content = |content: &Bytes| Some(Content::Bytes(content.clone()));
            let files = group.iter().map(|(request, bytes)| (request.clone(), content(bytes))).collect();
            let result = runtime.block_on(pool.extract(files)).map_err(io::Error::other)?;
            Ok(result.output.tables.iter().map(|(_, rows)| rows.rows()).sum())
        })
    })
}
