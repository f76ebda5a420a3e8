//! Extraction throughput of lanes, or of single datasets, over the files of a directory, on one thread, as JSON.
//!
//! `cargo run --release -p lode-facts --example throughput -- <dir> <lane or dataset>...`; a lane stands for the datasets
//! that a run fills unless told otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lode_facts::catalog::dataset;
use lode_facts::extract::{Extractor, FileRequest, LaneRequest};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

/// As in every program of Lode.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Facts that are kept before they become batches, as a worker does.
const GROUP_BYTES: usize = 32 << 20;

fn files(directory: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => files(&entry.path(), found)?,
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

/// CPU time of this thread, which a busy machine disturbs less than the clock; only Linux tells.
fn cpu_time() -> Option<Duration> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    schedstat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn meta(path: &Path, content: &[u8]) -> FileMeta {
    let path = path.to_string_lossy().into_owned();
    FileMeta::in_scope("throughput", &path, content.len(), Language::detect(&path, content))
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next();
    let requests: Option<Vec<(String, LaneRequest)>> =
        arguments.map(|name| Some((name.clone(), request(&name)?))).collect();
    let (Some(directory), Some(requests)) = (directory, requests.filter(|requests| !requests.is_empty())) else {
        eprintln!("usage: throughput <dir> <lane or dataset>...; lanes: {}", LaneId::ALL.map(LaneId::name).join(", "));
        return ExitCode::FAILURE;
    };
    let mut paths = vec![];
    if let Err(error) = files(Path::new(&directory), &mut paths) {
        eprintln!("{directory}: {error}");
        return ExitCode::FAILURE;
    }
    paths.sort();
    let loaded: Vec<(FileMeta, Vec<u8>)> =
        paths.iter().filter_map(|path| fs::read(path).ok().map(|content| (meta(path, &content), content))).collect();
    for (name, request) in requests {
        let accepted: Vec<_> = loaded.iter().filter(|(meta, _)| request.lane.accepts(meta)).collect();
        let bytes: usize = accepted.iter().map(|(_, content)| content.len()).sum();
        let (mut best, mut best_cpu, mut rows) = (Duration::MAX, None, 0);
        for _ in 0..3 {
            let mut extractor = Extractor::new(&Options::default(), &Limits::default());
            rows = 0;
            let (start, start_cpu) = (Instant::now(), cpu_time());
            for (meta, content) in &accepted {
                extractor.extract(&FileRequest { meta: meta.clone(), lanes: vec![request.clone()] }, Some(content));
                if extractor.bytes() > GROUP_BYTES {
                    rows += finish(&mut extractor);
                }
            }
            rows += finish(&mut extractor);
            best = best.min(start.elapsed());
            let cpu = cpu_time().zip(start_cpu).map(|(end, start)| end - start);
            best_cpu = [best_cpu, cpu].into_iter().flatten().min();
        }
        let seconds = best.as_secs_f64();
        let cpu_seconds = best_cpu.map(|cpu: Duration| cpu.as_secs_f64());
        let report = serde_json::json!({
            "lane": name,
            "files": accepted.len(),
            "bytes": bytes,
            "rows": rows,
            "seconds": seconds,
            "mb_per_s": bytes as f64 / 1e6 / seconds,
            "rows_per_s": rows as f64 / seconds,
            "cpu_seconds": cpu_seconds,
            "mb_per_cpu_s": cpu_seconds.map(|cpu| bytes as f64 / 1e6 / cpu),
        });
        println!("{report}");
    }
    ExitCode::SUCCESS
}

/// What is wanted: a lane by its name, or one dataset.
fn request(name: &str) -> Option<LaneRequest> {
    if let Some(lane) = LaneId::by_name(name) {
        let datasets = lane.datasets().filter(|d| d.default).map(|d| d.name.to_owned()).collect();
        return Some(LaneRequest { lane, datasets });
    }
    let lane = dataset(name)?.lane?;
    Some(LaneRequest { lane, datasets: vec![name.to_owned()] })
}

fn finish(extractor: &mut Extractor) -> usize {
    let output = extractor.finish().expect("every column has a row hash");
    output.tables.iter().map(|(_, batch)| batch.num_rows()).sum()
}
