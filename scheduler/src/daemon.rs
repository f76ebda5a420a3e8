//! The `lode-scheduler` command.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use lode_executor::process::{self, Failure, Signals};
use lode_executor::settings::{Operation, Security, advertised, load, token};
use lode_executor::status::{self, Metrics, Status};
use lode_executor::wire::Announcement;
use serde::{Deserialize, Serialize};

use crate::gate::Admission;
use crate::server::{self, Parts, SchedulerOptions};

/// How long the records of an unfinished job may take to be kept.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);

const AFTER: &str = "\
Every option can also be given as a variable LODE_SCHEDULER_<NAME> (LODE_SCHEDULER_STATUS_BIND), or as a line of
the file of --config (status_bind = \"127.0.0.1:9100\"). The command line wins over the environment, which wins over
the file.

SIGTERM and SIGINT drain: the scheduler takes no more jobs, waits --drain-seconds for those that run, and ends. What is
not finished by then is not lost: `lode resume` goes on with it. A second signal ends it at once.

Exit codes: 0 ended as asked, 1 failed, 2 wrong usage.

Example:
  lode-scheduler --bind 127.0.0.1 --port 50050 --status-bind 127.0.0.1:9100";

/// Takes extraction jobs, cuts them into tasks and gives these to executors.
#[derive(Debug, Parser, Serialize)]
#[command(name = "lode-scheduler", version, after_help = AFTER)]
struct Flags {
    /// File of settings, in TOML
    #[arg(long, value_name = "FILE", env = "LODE_SCHEDULER_CONFIG")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    bind: Option<IpAddr>,
    /// Port to listen on; 0 is any free one [default: 50050]
    #[arg(long, value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Name or address by which executors reach this scheduler [default: the address it listens on]
    #[arg(long, value_name = "HOST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise: Option<String>,
    /// How long an executor may be silent before its tasks go to others [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    #[serde(skip_serializing_if = "Option::is_none")]
    executor_timeout_seconds: Option<u64>,
    /// How long jobs wait when there is no executor [default: 300]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    no_executor_seconds: Option<u64>,
    /// Tasks of one job that may run at a time [default: as many as there are slots]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_per_job: Option<usize>,
    /// Executors that one job may lose before it is given up [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(skip_serializing_if = "Option::is_none")]
    losses_per_job: Option<u32>,
    /// Take jobs that write to these lakes alone: the beginning of a url; can be repeated [default: any]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow_lake: Vec<String>,
    /// How long the state of ended jobs is kept [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_seconds: Option<u64>,
    /// Where Ballista writes its event log, a file for each job [default: nowhere]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    event_log_dir: Option<PathBuf>,
    /// Serve Ballista's REST interface at /api, and its history of event logs at /history/api, to clients
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ballista_api: Option<bool>,
    /// How long running jobs may take after a signal to end [default: 0]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_seconds: Option<u64>,
    /// File with the secret of clients [or the variable LODE_TOKEN]
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token_file: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    security: Security,
    #[command(flatten)]
    #[serde(flatten)]
    operation: Operation,
}

/// The settings in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Settings {
    bind: IpAddr,
    port: u16,
    advertise: Option<String>,
    executor_timeout_seconds: u64,
    no_executor_seconds: u64,
    tasks_per_job: Option<usize>,
    losses_per_job: u32,
    allow_lake: Vec<String>,
    retention_seconds: u64,
    event_log_dir: Option<PathBuf>,
    ballista_api: bool,
    drain_seconds: u64,
    client_token_file: Option<PathBuf>,
    #[serde(flatten)]
    security: Security,
    #[serde(flatten)]
    operation: Operation,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            port: 50050,
            advertise: None,
            executor_timeout_seconds: 30,
            no_executor_seconds: 300,
            tasks_per_job: None,
            losses_per_job: 32,
            allow_lake: vec![],
            retention_seconds: 3600,
            event_log_dir: None,
            ballista_api: false,
            drain_seconds: 0,
            client_token_file: None,
            security: Security::default(),
            operation: Operation::default(),
        }
    }
}

/// Runs the command and ends the process.
pub fn main() -> ! {
    run(std::env::args_os())
}

/// The options of the command, for whoever writes command lines.
pub fn command() -> clap::Command {
    <Flags as clap::CommandFactory>::command()
}

/// Runs the command with these arguments, the first of which is the name of the program, and ends the process.
pub fn run(args: impl IntoIterator<Item = std::ffi::OsString>) -> ! {
    process::run(args, start)
}

fn start(flags: &Flags) -> Result<(), Failure> {
    let settings: Settings = load("LODE_SCHEDULER_", flags.config.as_deref(), flags)?;
    let _telemetry = settings.operation.log("lode-scheduler")?;
    process::block_on(Some(2), serve(settings))
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let wire = settings.security.wire(settings.bind)?;
    let client_token = token(settings.client_token_file.as_deref(), "LODE_TOKEN")?;
    let known = client_token.is_some();
    settings.security.require(settings.bind, known, "there is no secret of clients (--client-token-file)")?;
    let options = SchedulerOptions {
        advertise: advertised(settings.bind, settings.advertise.as_deref())?,
        event_log_dir: settings.event_log_dir.clone(),
        ballista_api: settings.ballista_api,
        executor_timeout: Duration::from_secs(settings.executor_timeout_seconds),
        no_executors_grace: Duration::from_secs(settings.no_executor_seconds),
        retention: Duration::from_secs(settings.retention_seconds),
        client_token,
        admission: Admission::Jobs { lakes: settings.allow_lake.clone() },
        tasks_per_job: settings.tasks_per_job,
        losses_per_job: settings.losses_per_job,
        keep_records: true,
        ..SchedulerOptions::lode(&wire)
    };
    let listener = TcpListener::bind((settings.bind, settings.port))
        .map_err(|e| format!("cannot listen on {}:{}: {e}", settings.bind, settings.port))?;
    let scheduler = server::start(listener, options).await?;
    let parts = scheduler.parts();
    if let Some(bind) = settings.operation.status_bind {
        let addr = status::serve(bind, Arc::new(Live(parts.clone()))).await?;
        tracing::info!(%addr, "status is served");
    }
    let own = Announcement::own();
    tracing::info!(
        addr = %scheduler.addr(), tls = wire.tls.is_some(), version = own.version, fingerprints = own.fingerprints,
        "the scheduler takes jobs"
    );
    let mut signals = Signals::take()?;
    signals.next().await;
    parts.drain();
    let load = parts.load().await;
    tracing::info!(jobs = load.queued_jobs + load.running_jobs, "the scheduler drains");
    let drained = async {
        loop {
            let load = parts.load().await;
            if load.queued_jobs + load.running_jobs == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        ended = tokio::time::timeout(Duration::from_secs(settings.drain_seconds), drained) => {
            if ended.is_err() {
                for job in scheduler.captures().jobs().into_iter().filter(|job| !job.state.is_terminal()) {
                    tracing::warn!(run_id = job.job_name, "the run is not finished: `lode resume` goes on with it");
                    // As far as it came; a lake that does not answer must not hold the end up.
                    let kept = server::keep_record(&job, |other| other.job_id != job.job_id);
                    let _ = tokio::time::timeout(RECORD_TIMEOUT, kept).await;
                }
            }
        }
        () = signals.next() => tracing::warn!("a second signal: the scheduler ends at once"),
    }
    scheduler.shutdown();
    tracing::info!("the scheduler has ended");
    Ok(())
}

struct Live(Parts);

impl Status for Live {
    fn not_ready(&self) -> Option<String> {
        self.0.is_draining().then(|| "the scheduler drains".to_owned())
    }

    async fn metrics(&self) -> Metrics {
        let load = self.0.load().await;
        let mut metrics = Metrics::default();
        let (pending, running) = (load.pending_partitions as u64, load.running_tasks as u64);
        metrics.gauge(
            "lode_partitions",
            "Partitions that wait or run: what executors are needed for.",
            [("", pending + running)],
        );
        let by_state = [("state=\"pending\"", pending), ("state=\"running\"", running)];
        metrics.gauge("lode_tasks", "Tasks by state.", by_state);
        let jobs = [("state=\"queued\"", load.queued_jobs as u64), ("state=\"running\"", load.running_jobs as u64)];
        metrics.gauge("lode_jobs", "Jobs by state.", jobs);
        metrics.gauge("lode_executors", "Executors.", [("", load.executors as u64)]);
        metrics.gauge("lode_slots", "Tasks that executors can run at a time.", [("", load.slots)]);
        metrics.counter("lode_executor_losses_total", "Executors that left or were lost.", [("", load.lost_executors)]);
        metrics
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_become_settings() {
        Flags::command().debug_assert();
        let flags = Flags::parse_from([
            "lode-scheduler",
            "--port",
            "0",
            "--allow-lake",
            "s3://a/,file:///b/",
            "--status-bind",
            "127.0.0.1:0",
        ]);
        let settings: Settings = load("LODE_NO_SUCH_PREFIX_", None, &flags).unwrap();
        assert_eq!((settings.port, settings.executor_timeout_seconds), (0, 30));
        assert_eq!(settings.allow_lake, ["s3://a/", "file:///b/"]);
        assert!(settings.operation.status_bind.is_some());
    }
}
