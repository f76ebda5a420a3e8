//! `cargo run --release --bin lode-benches -- --workload ast`: Lode, a bare loop over the same parsers (the ceiling) and a
//! hand-written Python pipeline (the peer) over the same files, side by side.
//!
//! Every contender is a process of its own; CPU time and memory count its children. Nothing is asserted: machines differ.

mod ceiling;
mod corpus;
mod incremental;
mod isolation;
mod measure;
mod report;
mod scale;
mod workload;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use lode_executor::worker;
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
    /// Times each contender runs, of which the best counts [default: 3, or what `workloads.toml` says].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: Option<u16>,
    /// Threads, worker processes or pool processes of every contender.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(2, usize::from))]
    workers: usize,
    /// Where lakes lie for a while; below the target directory if not given. In memory (`/dev/shm`), file systems have no
    /// part in what is measured.
    #[arg(long)]
    scratch: Option<PathBuf>,
    /// This `lode` instead of a release build of the source that lies here.
    #[arg(long, value_name = "PROGRAM")]
    lode: Option<PathBuf>,
    /// Also writes the measurements as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// What an earlier run wrote as JSON: the model takes its points from there. May be given again.
    #[arg(long)]
    measured: Vec<PathBuf>,
}

#[derive(Subcommand)]
enum Contender {
    /// The bare loop, in a process of its own.
    #[command(hide = true)]
    Ceiling(ceiling::Args),
    /// Extraction in place or by workers, in a process of its own.
    #[command(hide = true)]
    Isolation(isolation::Args),
    /// A worklist of files that are nowhere, in a process of its own.
    #[command(hide = true)]
    Worklist(scale::worklist::Args),
}

fn main() -> ExitCode {
    // This program is also its workers.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == worker::ARGUMENT) {
        worker::worker_main();
    }
    let args = Args::parse();
    let result = match args.contender {
        Some(Contender::Ceiling(ceiling)) => ceiling::run(&ceiling),
        Some(Contender::Isolation(isolation)) => isolation::run(&isolation),
        Some(Contender::Worklist(worklist)) => scale::worklist::run(&worklist),
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
    let mut workloads = Workloads::load()?;
    if let Some(repeat) = args.repeat {
        workloads.repeat(repeat.into());
    }
    let chosen = workloads.chosen(&args.workload, args.all)?;
    let contenders = Contenders::new(args)?;
    let mut report = Report::default();
    args.measured.iter().try_for_each(|path| report.recall(path))?;
    for workload in chosen {
        if workload.model {
            scale::model(&mut report, |name, report| {
                let named = workloads.chosen(&[name.to_owned()], false)?;
                named.into_iter().try_for_each(|workload| one(args, &workloads, &contenders, workload, report))
            })?;
        } else {
            one(args, &workloads, &contenders, workload, &mut report)?;
        }
    }
    report.finish(args.json.as_deref())
}

/// Measures a workload.
fn one(
    args: &Args,
    workloads: &Workloads,
    contenders: &Contenders,
    workload: &Workload,
    report: &mut Report,
) -> io::Result<()> {
    for files in &workload.synthetic_files {
        scale::worklist(contenders, workload, *files, report)?;
    }
    for crowd in &workload.crowds {
        scale::crowd(contenders, workload, *crowd, report)?;
    }
    for name in workload.corpora.iter().filter(|name| args.corpus.as_ref().is_none_or(|only| only == *name)) {
        let corpus = Corpus::prepare(name, workloads.corpus(name)?)?;
        report.heading(workload, &corpus);
        if workload.incremental {
            incremental::run(contenders, workload, &corpus, report)?;
        } else if workload.isolation {
            isolation::compare(contenders, workload, &corpus, report)?;
        } else if !workload.executors.is_empty() {
            scale::executors(contenders, workload, &corpus, report)?;
        } else if !workload.shards.is_empty() {
            scale::shards(contenders, workload, &corpus, report)?;
        } else {
            contenders.compare(workload, &corpus, report)?;
        }
    }
    Ok(())
}

/// The programs that are compared.
struct Contenders {
    lode: PathBuf,
    python: PathBuf,
    workers: usize,
    scratch: Option<PathBuf>,
}

impl Contenders {
    fn new(args: &Args) -> io::Result<Self> {
        let lode = args.lode.clone().map_or_else(build, Ok)?;
        Ok(Self { lode, python: corpus::python(), workers: args.workers, scratch: args.scratch.clone() })
    }

    /// A directory for a lake.
    fn place(&self) -> io::Result<TempDir> {
        match &self.scratch {
            Some(scratch) => TempDir::new_in(scratch),
            None => TempDir::new_in(corpus::cache()?),
        }
    }

    fn compare(&self, workload: &Workload, corpus: &Corpus, report: &mut Report) -> io::Result<()> {
        let (mut lode, mut own, mut general) = (None, None, None);
        // In turn, so that a machine that gets slower does so for all.
        for _ in 0..workload.repeat {
            self.again(&mut lode, |out| self.lode(workload, corpus, out))?;
            if workload.ceiling {
                self.again(&mut own, |out| self.ceiling(workload, corpus, out, false))?;
                self.again(&mut general, |out| self.ceiling(workload, corpus, out, true))?;
            }
        }
        let lode: Measurement = lode.expect("it runs at least once");
        report.row("lode", corpus, &lode, None);
        if let Some(asked) = workload.asked {
            report.asked(asked, self.workers, corpus, &lode);
        }
        for (name, run) in [("ceiling", &own), ("general writer", &general)] {
            if let Some(run) = run {
                report.row(name, corpus, run, Some(&lode));
            }
        }
        if workload.peer {
            // The peer is slow and its times are steady.
            let mut peer = None;
            self.again(&mut peer, |out| Ok(self.peer(corpus, out)))?;
            report.row("peer", corpus, &peer.expect("it runs once"), Some(&lode));
        }
        Ok(())
    }

    /// Runs once more, into a directory of its own, and keeps the fastest run.
    fn again(&self, best: &mut Option<Measurement>, command: impl Fn(&Path) -> io::Result<Command>) -> io::Result<()> {
        let out = self.place()?;
        let run = measure(&mut command(out.path())?)?;
        if best.as_ref().is_none_or(|best| run.elapsed < best.elapsed) {
            *best = Some(run);
        }
        Ok(())
    }

    /// `lode extract` into a lake, which may be new.
    fn lode(&self, workload: &Workload, corpus: &Corpus, out: &Path) -> io::Result<Command> {
        let mut command = Command::new(&self.lode);
        command.arg("extract").arg(&corpus.root).arg("--lake").arg(out.join("lake"));
        command.args(["--repo", "bench", "--output", "json", "--workers", &self.workers.to_string()]);
        let datasets = workload.datasets()?;
        if !datasets.is_empty() {
            command.args(["--datasets", &datasets.join(",")]);
        }
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
        .args(["build", "--release", "--locked", "--bin", "lode", "--bin", "lode-scheduler", "--bin", "lode-executor"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()?;
    match built.success() {
        true => Ok(corpus::target_directory().join("release/lode")),
        false => Err(io::Error::other("the release build of lode failed")),
    }
}
