//! What isolation costs on healthy input: core-seconds of extraction and encoding in place and through the pool, over the
//! same groups, with as many threads as workers.
//!
//! `cargo run --release -p lode-executor --example isolation_cost -- <directory> [lanes] [workers] [rounds]`

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lode_encode::{LEAST_GROUP_ROWS, RowsEncoder};
use lode_executor::worker::{ARGUMENT, Content, PoolConfig, WorkerPool, worker_main};
use lode_facts::extract::{Extractor, FileRequest, LaneRequest};
use lode_facts::file::{FileKind, FileMeta};
use lode_facts::hash::file_id;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

/// Source of a group, in bytes.
const GROUP_BYTES: usize = 2 << 20;

type Group = Vec<(FileRequest, Bytes)>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |i: usize, default: &str| arguments.get(i).map_or(default, String::as_str).to_owned();
    if argument(0, "") == ARGUMENT {
        worker_main();
    }
    let lanes: Vec<LaneId> = argument(1, "lines,ast,ts").split(',').filter_map(LaneId::by_name).collect();
    let (workers, rounds) = (argument(2, "2").parse()?, argument(3, "5").parse()?);
    let groups = groups(Path::new(&argument(0, ".")), &lanes)?;
    let bytes: usize = groups.iter().flatten().map(|(_, content)| content.len()).sum();
    let megabytes = bytes as f64 / 1e6;
    let mut out = std::io::stdout();
    writeln!(out, "{} files, {megabytes:.1} MB, {} groups", groups.iter().map(Vec::len).sum::<usize>(), groups.len())?;
    let (mut best_in_place, mut best_isolated) = (f64::MAX, f64::MAX);
    for round in 1..=rounds {
        let (direct, direct_wall, rows) = measured(|| in_place(&groups, workers));
        let (isolated, isolated_wall, isolated_rows) = measured(|| through_pool(&groups, workers));
        assert_eq!(rows, isolated_rows, "isolation changes no fact");
        best_in_place = direct.min(best_in_place);
        best_isolated = isolated.min(best_isolated);
        writeln!(
            out,
            "round {round}: in place {direct:.3} core-s, {direct_wall:.3} s; isolated {isolated:.3} core-s, \
             {isolated_wall:.3} s; {:+.1}%",
            (isolated / direct - 1.0) * 100.0
        )?;
    }
    writeln!(
        out,
        "best: in place {:.1} MB/s a core, isolated {:.1} MB/s a core: {:+.1}%",
        megabytes / best_in_place,
        megabytes / best_isolated,
        (best_isolated / best_in_place - 1.0) * 100.0
    )?;
    Ok(())
}

/// Files of a directory in order, cut into groups.
fn groups(root: &Path, lanes: &[LaneId]) -> Result<Vec<Group>, Box<dyn Error>> {
    let (mut groups, mut held): (Vec<Group>, usize) = (vec![vec![]], 0);
    let mut pending = vec![root.to_path_buf()];
    while let Some(path) = pending.pop() {
        let kind = std::fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            let mut entries = std::fs::read_dir(&path)?.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<_>>>()?;
            entries.sort();
            pending.extend(entries.into_iter().rev());
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "py") {
            let content = Bytes::from(std::fs::read(&path)?);
            let request = request(&path.strip_prefix(root)?.to_string_lossy(), &content, lanes);
            if held > 0 && held + content.len() > GROUP_BYTES {
                groups.push(vec![]);
                held = 0;
            }
            held += content.len();
            groups.last_mut().ok_or("there is always a group")?.push((request, content));
        }
    }
    Ok(groups)
}

fn request(path: &str, content: &Bytes, lanes: &[LaneId]) -> FileRequest {
    let meta = FileMeta {
        repo: "repo".into(),
        path: path.into(),
        path_bytes: None,
        file_id: file_id("repo", path.as_bytes()),
        kind: FileKind::File,
        size: content.len() as i64,
        sha256: None,
        mode: 0o100_644,
        git_blob: None,
        tracked: None,
        language: Language::by_name("python"),
        included: true,
        rule: "default".into(),
    };
    let datasets = |lane: LaneId| lane.datasets().filter(|d| d.default).map(|d| d.name.into()).collect();
    let lanes = lanes.iter().map(|lane| LaneRequest { lane: *lane, datasets: datasets(*lane) }).collect();
    FileRequest { meta, lanes }
}

/// Core-seconds of this process and its children, wall time, and what the work returned.
fn measured<T>(work: impl FnOnce() -> T) -> (f64, f64, T) {
    let (cpu, start) = (core_seconds(), Instant::now());
    let result = work();
    let wall = start.elapsed().as_secs_f64();
    // Workers count when they have been waited for.
    std::thread::sleep(Duration::from_millis(200));
    (core_seconds() - cpu, wall, result)
}

fn core_seconds() -> f64 {
    let of = |who| {
        // SAFETY: an all-zero `rusage` is valid, and the pointer outlives the call.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(who, &mut usage);
            usage
        };
        let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    };
    of(libc::RUSAGE_SELF) + of(libc::RUSAGE_CHILDREN)
}

fn in_place(groups: &[Group], workers: usize) -> usize {
    let (next, rows) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut extractor = Extractor::new(&Options::default(), &Limits::default());
        let mut encoder = RowsEncoder::new().expect("there is memory for a compressor");
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            for (request, content) in group {
                extractor.extract(request, Some(content));
            }
            let output = extractor.finish().expect("the catalog's types have row hashes");
            for (dataset, batch) in &output.tables {
                if batch.num_rows() >= LEAST_GROUP_ROWS {
                    let encoded = encoder.encode(batch, &dataset.facts_schema()).expect("the catalog's types encode");
                    std::hint::black_box(encoded);
                }
                rows.fetch_add(batch.num_rows(), Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let thread = std::thread::Builder::new().stack_size(64 << 20);
            thread.spawn_scoped(scope, work).expect("the system has threads");
        }
    });
    rows.into_inner()
}

fn through_pool(groups: &[Group], workers: usize) -> usize {
    let pool = WorkerPool::new(PoolConfig::new(workers, Options::default(), Limits::default()));
    let (next, rows) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("the system has threads");
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            let content = |content: &Bytes| Some(Content::Bytes(content.clone()));
            let files = group.iter().map(|(request, bytes)| (request.clone(), content(bytes))).collect();
            let result = runtime.block_on(pool.extract(files)).expect("workers start");
            rows.fetch_add(result.output.tables.iter().map(|(_, rows)| rows.rows()).sum(), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    rows.into_inner()
}
