//! The command line.

mod catalog;
mod changes;
mod cluster;
mod datasets;
mod error;
mod explain;
mod extract;
mod interpreters;
mod maintain;
mod quarantine;
mod query;
mod runs;
mod text;
mod values;
mod verify;

use std::io::IsTerminal;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use lode_executor::telemetry::{self, Telemetry};
use lode_executor::worker;
use lode_lake::Lake;
use tracing_subscriber::{EnvFilter, Layer};

pub use error::{Exit, Failure};

/// How a command ended.
type Outcome = Result<Exit, Failure>;

/// Turns a repository into Delta tables of code facts, and answers questions about them.
#[derive(Debug, Parser)]
#[command(name = "lode", version, propagate_version = false, disable_help_subcommand = true, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What to log on stderr: error, warn, info, debug, trace, or filters such as lode_lake=debug
    #[arg(long, global = true, env = "LODE_LOG", default_value = "warn", value_name = "LEVEL", hide_env_values = true)]
    log_level: String,
}

const AFTER: &str = "\
Examples:
  lode extract ~/src/django --lake lake
  lode query --lake lake \"SELECT path, name FROM ast_defs LIMIT 5\"

Exit codes:
  0    done; for extract, submit, resume, retry and watch: the run is committed
  1    failed
  2    wrong usage
  3    verify found differences
  4    more files failed than --fail-on allows
  130  interrupted";

#[derive(Debug, Subcommand)]
enum Command {
    /// Extract a repository into a lake
    Extract(Box<extract::ExtractArgs>),
    /// Extract a repository on a cluster elsewhere
    Submit(Box<extract::SubmitArgs>),
    /// Finish a run that was stopped, without redoing finished shards
    Resume(Box<extract::ResumeArgs>),
    /// Run again, as a new run, what a run was asked for and did not finish
    Retry(Box<extract::RetryArgs>),
    /// List the jobs of a cluster
    List(cluster::ListArgs),
    /// Show how far a job of a cluster is
    Status(cluster::StatusArgs),
    /// Follow a job of a cluster to its end
    Watch(cluster::WatchArgs),
    /// Show what happened to a job of a cluster
    Logs(cluster::LogsArgs),
    /// Cancel a run: from then on it can't be committed
    Cancel(cluster::CancelArgs),
    /// Prove that the tables hold exactly what was extracted
    Verify(verify::VerifyArgs),
    /// Answer an SQL query over a snapshot of the lake
    Query(query::QueryArgs),
    /// List the tables of a lake
    Tables(catalog::TablesArgs),
    /// Describe a table: what it means, column by column
    Describe(catalog::DescribeArgs),
    /// List the runs of a lake, also those that can be resumed
    Runs(runs::RunsArgs),
    /// Show how a run was planned and what it cost
    Explain(explain::ExplainArgs),
    /// Show what changed in a table between two runs
    Changes(changes::ChangesArgs),
    /// List files that broke a limit, or ask for them to be tried again
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Remove what no kept run reaches, and tidy the tables' logs
    Maintain(maintain::MaintainArgs),
    /// Print the version
    Version,
}

#[derive(Debug, Clone, Args)]
struct LakeArg {
    /// Directory or URL of the lake
    #[arg(long, value_name = "DIR|URL", env = "LODE_LAKE", hide_env_values = true)]
    lake: String,
}

impl LakeArg {
    async fn open(&self) -> Result<Lake, Failure> {
        Ok(Lake::open(&self.lake).await?)
    }
}

/// Form of what a command prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object or one JSON array.
    Json,
}

/// The definition of the command line, for documentation.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line and ends the process. Data goes to stdout, everything else to stderr.
///
/// To be called first of all by a program: its worker processes are the same program again.
pub fn main() -> ! {
    command_line().leave()
}

fn command_line() -> Exit {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == worker::ARGUMENT) {
        worker::worker_main();
    }
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Nobody is left to be told that stderr is closed.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return Exit::Usage;
        }
    };
    error::install();
    match start(cli) {
        Ok(exit) => exit,
        Err(failure) => {
            let exit = failure.exit();
            text::note(&format!("{:?}", miette::Report::new(failure)));
            exit
        }
    }
}

/// How long a thread for blocking work waits for more. What such a thread freed goes back to the system when it ends: those
/// that scan and plan would hold a hundred megabytes into the extraction.
const IDLE: Duration = Duration::from_secs(1);

fn start(cli: Cli) -> Outcome {
    let _telemetry = log(&cli.log_level, cli.command.collector())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_keep_alive(IDLE).build();
    let runtime = runtime.map_err(|e| Failure::new("can't start the runtime", e))?;
    let outcome = runtime.block_on(run(cli.command));
    // Tasks that were left behind must not hold the process up, nor idle threads that are told to end.
    runtime.shutdown_background();
    outcome
}

impl Command {
    /// The collector of spans that is named, by a command that makes any.
    fn collector(&self) -> Option<&str> {
        let work = match self {
            Self::Extract(args) => &args.work,
            Self::Submit(args) => &args.extract.work,
            Self::Resume(args) => &args.work,
            Self::Retry(args) => &args.work,
            _ => return None,
        };
        work.otlp_endpoint.as_deref()
    }
}

async fn run(command: Command) -> Outcome {
    match command {
        Command::Extract(args) => extract::extract(*args).await,
        Command::Submit(args) => extract::submit(*args).await,
        Command::Resume(args) => extract::resume(*args).await,
        Command::Retry(args) => extract::retry(*args).await,
        Command::List(args) => cluster::list(args).await,
        Command::Status(args) => cluster::status(args).await,
        Command::Watch(args) => cluster::watch(args).await,
        Command::Logs(args) => cluster::logs(args).await,
        Command::Cancel(args) => cluster::cancel(args).await,
        Command::Verify(args) => verify::verify(args).await,
        Command::Query(args) => query::query(args).await,
        Command::Tables(args) => catalog::tables(args).await,
        Command::Describe(args) => catalog::describe(args).await,
        Command::Runs(args) => runs::runs(args).await,
        Command::Explain(args) => explain::explain(args).await,
        Command::Changes(args) => changes::changes(args).await,
        Command::Quarantine(command) => quarantine::quarantine(command).await,
        Command::Maintain(args) => maintain::maintain(args).await,
        Command::Version => text::print(&format!("lode {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

/// The embedded scheduler and executor end together, and the scheduler then complains that it can't hear itself. What
/// goes wrong with a job comes back as the job's error.
const SHUTDOWN_NOISE: &str = "ballista_scheduler::state=off";

fn log(level: &str, collector: Option<&str>) -> Result<Telemetry, Failure> {
    let directives = if level.contains('=') { level.to_owned() } else { format!("{level},{SHUTDOWN_NOISE}") };
    let filter = EnvFilter::try_new(directives).map_err(|e| {
        Failure::usage(format!("`{level}` is no log level: {e}")).hint("use error, warn, info, debug or trace")
    })?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour).boxed();
    Ok(telemetry::subscribe(log, filter, "lode", collector))
}

#[cfg(test)]
mod tests;
