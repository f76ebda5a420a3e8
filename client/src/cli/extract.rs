//! `lode extract`, `lode submit`, `lode resume` and `lode retry`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, ValueEnum};
use lode_executor::interpreter;
use lode_facts::bytecode::Interpreter;
use lode_facts::lane::LaneId;
use lode_facts::options::{Limits, Options};
use lode_facts::python::Version;
use tokio::signal::unix::{SignalKind, signal};

use super::cluster::ClusterArgs;
use super::values::{Bytes, FailOn};
use super::{Exit, Failure, LakeArg, Outcome, Output, datasets, interpreters, text};
use crate::report::{Phase, Progress, RunError, RunObserver, RunState, RunSummary, observer};
use crate::run::{self, ExtractRequest, Place, Source};

const EXTRACT_EXAMPLES: &str = "\
Examples:
  lode extract . --lake lake
  lode extract ~/src/django --lake lake --datasets 'ast_*,repo_files' --exclude 'tests/'
  lode extract . --lake lake --ref v2.0 --output json

The rows of unchanged files stay as they are; those of deleted files go. A `lode.toml` in the
repository can narrow what is scanned, and nothing else.";

const SUBMIT_EXAMPLES: &str = "\
Examples:
  lode submit . --lake /data/lake --scheduler df://127.0.0.1:50050
  lode submit . --lake /data/lake --scheduler df://127.0.0.1:50050 --no-wait --run-id nightly-7
  lode watch nightly-7 --scheduler df://127.0.0.1:50050

The same as `lode extract --scheduler`. A job that is submitted goes on whatever becomes of this command. A second
submission of a run attaches to the first one.";

#[derive(Debug, Args)]
#[command(after_help = SUBMIT_EXAMPLES)]
pub(super) struct SubmitArgs {
    #[command(flatten)]
    pub(super) extract: ExtractArgs,
    /// Don't wait for the end
    #[arg(long)]
    no_wait: bool,
}

pub(super) async fn submit(args: SubmitArgs) -> Outcome {
    if !args.extract.cluster.is_given() {
        return Err(
            Failure::usage("a job is submitted to a scheduler").hint("give its address: --scheduler df://host:port")
        );
    }
    run_extract(args.extract, args.no_wait).await
}

#[derive(Debug, Args)]
#[command(after_help = EXTRACT_EXAMPLES)]
pub(super) struct ExtractArgs {
    /// Directory of the repository
    path: PathBuf,
    #[command(flatten)]
    lake: LakeArg,
    /// Name of the repository in the lake [default: its normalised origin, else the directory's name]
    #[arg(long, value_name = "NAME")]
    repo: Option<String>,
    /// Take only what matches, in the syntax of .gitignore; can be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out what matches, in the syntax of .gitignore; can be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Read this commit, tag or branch from git instead of the checkout
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Look only at what changed since this commit
    #[arg(long, value_name = "REF")]
    changed_since: Option<String>,
    /// Scan submodules too
    #[arg(long)]
    submodules: bool,
    /// Scan linked worktrees too
    #[arg(long)]
    worktrees: bool,
    /// Datasets to fill: names or globs, separated by commas [default: see `lode tables`]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    datasets: Vec<String>,
    /// Version of Python to read files as, 3.8 to 3.14 [default: what the repository requires, else 3.13]
    ///
    /// Of the versions that requires-python in the repository's pyproject.toml admits, or python_requires in its
    /// setup.cfg, the newest up to 3.13 is taken, else the oldest. The summary says so.
    #[arg(long, value_name = "VERSION")]
    python_version: Option<Version>,
    /// Directory below the repository's root from which Python modules are named; can be repeated [default: the root]
    #[arg(long, value_name = "DIR")]
    package_root: Vec<String>,
    /// Keep the content of files in repo_file_blobs
    #[arg(long, value_name = "WHAT")]
    blobs: Option<Blobs>,
    /// Interpreter that compiles for bytecode_*, as in python3.13; can be repeated
    #[arg(long = "python", value_name = "INTERPRETER")]
    pythons: Vec<String>,
    /// How much it optimizes, as `python -O` counts it
    #[arg(long, value_name = "LEVEL", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=2))]
    python_optimize: i32,
    /// How content reaches executors: shared (they read the directory), staged (through the lake),
    /// git (from the repository's objects, with --ref), or git=PATH (where executors find it)
    #[arg(long, value_name = "shared|staged|git[=PATH]")]
    source: Option<Source>,
    /// Id of the run, to resume it by [default: a new one]
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,
    #[command(flatten)]
    pub(super) work: WorkArgs,
    /// Number of shards, instead of the planner's choice
    #[arg(long, value_name = "N", hide = true)]
    shards: Option<usize>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// What runs and resumed runs have in common.
#[derive(Debug, Args)]
pub(super) struct WorkArgs {
    /// Worker processes [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Exit with 4 when files of a committed run failed or were quarantined; with =N, when N or more were
    #[arg(long, value_name = "failed|quarantined[=N]", value_delimiter = ',')]
    fail_on: Vec<FailOn>,
    /// Form of the summary
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Output,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    /// URL of an OpenTelemetry collector that takes spans by HTTP [default: OTEL_EXPORTER_OTLP_ENDPOINT, else none]
    #[arg(long, value_name = "URL")]
    pub(super) otlp_endpoint: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits of one file, which is quarantined when it breaks one")]
struct LimitArgs {
    /// Largest file that is read [default: 64M]
    #[arg(long, value_name = "BYTES")]
    max_file_bytes: Option<Bytes>,
    /// CPU time; wall time may be ten times that [default: 30000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    cpu_limit_ms: Option<u64>,
    /// Memory of the worker process [default: 2G]
    #[arg(long, value_name = "BYTES")]
    memory_limit: Option<Bytes>,
    /// Facts in memory [default: 1G]
    #[arg(long, value_name = "BYTES")]
    output_limit: Option<Bytes>,
}

/// Forms of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Blobs {
    /// Decoded text.
    Text,
    /// The bytes.
    Bytes,
    /// Text and bytes.
    Both,
}

impl ExtractArgs {
    fn request(&self, detach: bool) -> Result<ExtractRequest, Failure> {
        let mut chosen = datasets::select(&self.datasets)?;
        let package_roots = self.package_root.clone();
        let mut options = Options { package_roots, ..Options::default() };
        if let Some(blobs) = self.blobs {
            options.blob_text = blobs != Blobs::Bytes;
            options.blob_bytes = blobs != Blobs::Text;
            if !chosen.contains(&"repo_file_blobs") {
                chosen.push("repo_file_blobs");
            }
        }
        options.interpreters = self.interpreters(&mut chosen)?;
        options.optimize = self.python_optimize;
        let defaults = Limits::default();
        let limit = |given: Option<Bytes>, default| given.map_or(default, |bytes| bytes.0);
        Ok(ExtractRequest {
            path: self.path.clone(),
            lake: self.lake.lake.clone(),
            repo: self.repo.clone(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            reference: self.reference.clone(),
            changed_since: self.changed_since.clone(),
            submodules: self.submodules,
            worktrees: self.worktrees,
            datasets: chosen,
            run_id: self.run_id.clone(),
            place: self.work.place(&self.cluster, detach)?,
            source: self.source.clone(),
            shards: self.shards,
            python_version: self.python_version,
            options,
            limits: Limits {
                file_bytes: limit(self.limits.max_file_bytes, defaults.file_bytes),
                cpu_ms: self.limits.cpu_limit_ms.unwrap_or(defaults.cpu_ms),
                memory_bytes: limit(self.limits.memory_limit, defaults.memory_bytes),
                output_bytes: limit(self.limits.output_limit, defaults.output_bytes),
            },
        })
    }
}

impl ExtractArgs {
    /// The interpreters, oldest first. With any of them `bytecode_*` is chosen, without one it is refused.
    fn interpreters(&self, chosen: &mut Vec<&'static str>) -> Result<Vec<Interpreter>, Failure> {
        let names: Vec<&'static str> = LaneId::Bytecode.datasets().map(|dataset| dataset.name).collect();
        let asked = chosen.iter().find(|name| names.contains(name));
        match (self.pythons.is_empty(), asked) {
            (true, None) => return Ok(vec![]),
            (true, Some(name)) => {
                return Err(Failure::usage(format!("`{name}` needs an interpreter that compiles"))
                    .hint(interpreter::HOW_TO_GET_ONE));
            }
            (false, None) => chosen.extend(names),
            (false, Some(_)) => {}
        }
        interpreters::resolve(&self.pythons)
    }
}

pub(super) async fn extract(args: ExtractArgs) -> Outcome {
    run_extract(args, false).await
}

async fn run_extract(args: ExtractArgs, detach: bool) -> Outcome {
    let request = match args.request(detach) {
        Ok(request) => request,
        Err(failure) => return args.work.refuse(args.run_id.as_deref(), failure),
    };
    let follower = Follower::new(args.work.quiet, &args.cluster);
    let run = run::extract(request, follower.clone());
    args.work.finish(run, &follower, &args.lake.lake).await
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lode resume 0198f3c2-7d1e-7c55-9a55-3f1b0c7c2f11 --lake lake")]
pub(super) struct ResumeArgs {
    /// The run
    run: String,
    #[command(flatten)]
    lake: LakeArg,
    #[command(flatten)]
    pub(super) work: WorkArgs,
    /// Don't wait for the end, on a cluster elsewhere
    #[arg(long, requires = "scheduler")]
    no_wait: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(super) async fn resume(args: ResumeArgs) -> Outcome {
    let follower = Follower::new(args.work.quiet, &args.cluster);
    let place = args.work.place(&args.cluster, args.no_wait)?;
    let run = run::resume(&args.lake.lake, &args.run, place, follower.clone());
    args.work.finish(run, &follower, &args.lake.lake).await
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lode retry nightly-7 --lake lake
  lode retry nightly-7 --lake lake --run-id nightly-7b --scheduler df://127.0.0.1:50050

A cancelled run can't be resumed: this makes a new one of what it was asked for, without scanning again.")]
pub(super) struct RetryArgs {
    /// The run to run again
    run: String,
    /// Id of the new run [default: a new one]
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,
    #[command(flatten)]
    lake: LakeArg,
    #[command(flatten)]
    pub(super) work: WorkArgs,
    /// Don't wait for the end, on a cluster elsewhere
    #[arg(long, requires = "scheduler")]
    no_wait: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(super) async fn retry(args: RetryArgs) -> Outcome {
    let follower = Follower::new(args.work.quiet, &args.cluster);
    let place = args.work.place(&args.cluster, args.no_wait)?;
    let run = run::retry(&args.lake.lake, &args.run, args.run_id.clone(), place, follower.clone());
    args.work.finish(run, &follower, &args.lake.lake).await
}

impl WorkArgs {
    fn place(&self, cluster: &ClusterArgs, detach: bool) -> Result<Place, Failure> {
        match cluster.connection()? {
            Some((scheduler, wire)) => Ok(Place::Remote { scheduler, wire, detach }),
            None => Ok(Place::Embedded { workers: self.workers.map(usize::from) }),
        }
    }

    /// Waits for the run or for a signal, and reports.
    async fn finish(
        &self,
        run: impl Future<Output = Result<RunSummary, RunError>>,
        follower: &Follower,
        lake: &str,
    ) -> Outcome {
        let ended = tokio::select! {
            ended = run => ended,
            signal = interruption() => {
                let summary = follower.interrupted(signal?, lake);
                follower.finished();
                self.print(&summary)?;
                let message = summary.error.unwrap_or_default();
                text::note(&format!("{message}\n{}", summary.hint.map(|hint| format!("hint: {hint}")).unwrap_or_default()));
                return Ok(Exit::Interrupted);
            }
        };
        match ended {
            Ok(summary) => {
                match self.output {
                    Output::Text => text::print(&summary.to_text(lake))?,
                    Output::Json => text::print_json(&summary)?,
                };
                Ok(self.judge(&summary))
            }
            Err(error) => {
                self.print(&error.summary)?;
                Err(error.into())
            }
        }
    }

    /// Prints the summary of a run that did not commit, for machines; people read the error.
    fn print(&self, summary: &RunSummary) -> Outcome {
        match self.output {
            Output::Text => Ok(Exit::Failed),
            Output::Json => text::print_json(summary),
        }
    }

    /// A request that never became a run still has a summary.
    fn refuse(&self, run_id: Option<&str>, failure: Failure) -> Outcome {
        let mut summary = RunSummary::new(run_id.unwrap_or_default(), "");
        summary.error = Some(failure.to_string());
        summary.hint = failure.advice().map(str::to_owned);
        self.print(&summary)?;
        Err(failure)
    }

    fn judge(&self, summary: &RunSummary) -> Exit {
        let broken = |on: &&FailOn| match on {
            FailOn::Failed(number) => summary.files.failed >= *number,
            FailOn::Quarantined(number) => summary.files.quarantined >= *number,
        };
        match self.fail_on.iter().find(broken) {
            Some(FailOn::Failed(_)) => text::note(&format!("error: {} files failed (--fail-on)", summary.files.failed)),
            Some(FailOn::Quarantined(_)) => {
                text::note(&format!("error: {} files are quarantined (--fail-on)", summary.files.quarantined));
            }
            None => return Exit::Done,
        }
        Exit::FailOn
    }
}

async fn interruption() -> Result<&'static str, Failure> {
    let fail = |e| Failure::new("can't listen for signals", e);
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "interrupted",
        _ = terminate.recv() => "terminated",
    })
}

/// Passes progress on and remembers the run, so that an interruption can say how to finish it.
struct Follower {
    inner: Arc<dyn RunObserver>,
    started: Mutex<Option<(String, String)>>,
    scheduler: Option<String>,
}

impl Follower {
    fn new(quiet: bool, cluster: &ClusterArgs) -> Arc<Self> {
        Arc::new(Self { inner: observer(quiet), started: Mutex::new(None), scheduler: cluster.address() })
    }

    fn interrupted(&self, how: &str, lake: &str) -> RunSummary {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let resumable = started.is_some();
        let (run_id, repo) = started.unwrap_or_default();
        let mut summary = RunSummary::new(run_id, repo);
        summary.error = Some(how.to_owned());
        if resumable {
            summary.state = RunState::Resumable;
            summary.hint = Some(match &self.scheduler {
                // What was submitted goes on.
                Some(address) => format!("lode watch {} --scheduler {address}", summary.run_id),
                None => format!("lode resume {} --lake {lake}", summary.run_id),
            });
        }
        summary
    }
}

impl RunObserver for Follower {
    fn started(&self, run_id: &str, repo: &str) {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        *started = Some((run_id.to_owned(), repo.to_owned()));
        drop(started);
        self.inner.started(run_id, repo);
    }

    fn phase(&self, phase: Phase) {
        self.inner.phase(phase);
    }

    fn progress(&self, progress: &Progress) {
        self.inner.progress(progress);
    }

    fn warning(&self, message: &str) {
        self.inner.warning(message);
    }

    fn finished(&self) {
        self.inner.finished();
    }
}
