//! `cargo run --release --bin lode-benches -- --workload ast`: Lode, a bare loop over the same parsers (the ceiling) and a
//! hand-written Python pipeline (the peer) over the same files, side by side.
//!
//! Every contender is a process of its own; CPU time and memory count its children. Nothing is asserted: machines differ.

mod ceiling;
mod corpus;
mod incremental;
mod measure;
mod report;
mod workload;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use tempfile::TempDir;

use crate::corpus::Corpus;
use crate::measure::{Measurement, measure};
use crate::report::Report;
use crate::workload::{Workload, Workloads};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Lode against its ceiling and its peer.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    contender: Option<Contender>,
    /// Workload of `workloads.toml`; may be given again.
    #[arg(long)]
    workload: Vec<String>,
    /// Every workload.
    #[arg(long, conflicts_with = "workload")]
    all: bool,
    /// Only this corpus.
    #[arg(long)]
    corpus: Option<String>,
    /// Times each contender runs; the fastest counts.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Threads, worker processes or pool processes of every contender.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(2, usize::from))]
    workers: usize,
    /// This `lode` instead of a release build of the source that lies here.
    #[arg(long, value_name = "PROGRAM")]
    lode: Option<PathBuf>,
    /// Also writes the measurements as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Contender {
    /// The bare loop, in a process of its own.
    #[command(hide = true)]
    Ceiling(ceiling::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.contender {
        Some(Contender::Ceiling(ceiling)) => ceiling::run(&ceiling),
        None => run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    let workloads = Workloads::load()?;
    let chosen = workloads.chosen(&args.workload, args.all)?;
    let contenders = Contenders::new(args)?;
    let mut report = Report::default();
    for workload in chosen {
        for name in workload.corpora.iter().filter(|name| args.corpus.as_ref().is_none_or(|only| only == *name)) {
            let corpus = Corpus::prepare(name, workloads.corpus(name)?)?;
            report.heading(workload, &corpus);
            if workload.incremental {
                incremental::run(&contenders, workload, &corpus, &mut report)?;
            } else {
                contenders.compare(workload, &corpus, args.repeat, &mut report)?;
            }
        }
    }
    report.finish(args.json.as_deref())
}

/// The programs that are compared.
struct Contenders {
    lode: PathBuf,
    python: PathBuf,
    workers: usize,
}

impl Contenders {
    fn new(args: &Args) -> io::Result<Self> {
        let lode = args.lode.clone().map_or_else(build, Ok)?;
        Ok(Self { lode, python: corpus::python(), workers: args.workers })
    }
    fn compare(&self, workload: &Workload, corpus: &Corpus, repeat: usize, report: &mut Report) -> io::Result<()> {
        let lode = best(repeat, |out| self.lode(workload, corpus, out))?;
        report.row("lode", corpus, &lode, None);
        if let Some(asked) = workload.asked {
            report.asked(asked, self.workers, corpus, &lode);
        }
        if workload.ceiling {
            for (name, general) in [("ceiling", false), ("general writer", true)] {
                let ceiling = best(repeat, |out| self.ceiling(workload, corpus, out, general))?;
                report.row(name, corpus, &ceiling, Some(&lode));
            }
        }
        if workload.peer {
            // The peer is slow and its times are steady.
            let peer = best(1, |out| Ok(self.peer(corpus, out)))?;
            report.row("peer", corpus, &peer, Some(&lode));
        }
        Ok(())
    }

    /// `lode extract` into a lake, which may be new.
    fn lode(&self, workload: &Workload, corpus: &Corpus, out: &Path) -> io::Result<Command> {
        let mut command = Command::new(&self.lode);
        command.arg("extract").arg(&corpus.root).arg("--lake").arg(out.join("lake"));
        command.args(["--repo", "bench", "--output", "json", "--workers", &self.workers.to_string()]);
        command.args(["--datasets", &workload.datasets()?.join(",")]);
        if workload.interpreter {
            command.arg("--python").arg(&self.python);
        }
        Ok(command)
    }

    fn ceiling(&self, workload: &Workload, corpus: &Corpus, out: &Path, general: bool) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("ceiling").arg(&corpus.root).arg(out.join("parquet"));
        command.args(["--threads", &self.workers.to_string(), "--datasets", &workload.datasets()?.join(",")]);
        command.args(general.then_some("--general"));
        Ok(command)
    }

    fn peer(&self, corpus: &Corpus, out: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/peer.py"));
        command.arg(&corpus.root).arg(out.join("table")).arg(self.workers.to_string());
        command
    }
}

/// Builds `lode` as it ships.
fn build() -> io::Result<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--bin", "lode"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()?;
    match built.success() {
        true => Ok(corpus::target_directory().join("release/lode")),
        false => Err(io::Error::other("the release build of lode failed")),
    }
}

/// The fastest of several runs, each into a directory of its own.
fn best(repeat: usize, command: impl Fn(&Path) -> io::Result<Command>) -> io::Result<Measurement> {
    let mut best: Option<Measurement> = None;
    for _ in 0..repeat.max(1) {
        let out = TempDir::new_in(corpus::cache()?)?;
        let run = measure(&mut command(out.path())?)?;
        if best.as_ref().is_none_or(|best| run.elapsed < best.elapsed) {
            best = Some(run);
        }
    }
    Ok(best.expect("at least one run"))
}
