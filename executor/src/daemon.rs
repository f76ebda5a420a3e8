//! The `lode-executor` command.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use lode_plan::host::HostHandle;
use serde::{Deserialize, Serialize};

use crate::cluster::{self, ExecutorError, ExecutorHandle, ExecutorOptions};
use crate::host::LocalHost;
use crate::node::executor_options;
use crate::process::{self, Failure, Signals};
use crate::settings::{Operation, Security, advertised, load};
use crate::status::{self, Metrics, Status};
use crate::wire::Announcement;
use crate::worker;

/// How long to wait before the scheduler is tried again.
const RETRY: Duration = Duration::from_secs(1);

const AFTER: &str = "\
Every option can also be given as a variable LODE_EXECUTOR_<NAME> (LODE_EXECUTOR_STATUS_BIND), or as a line of
the file of --config (status_bind = \"127.0.0.1:9101\"). The command line wins over the environment, which wins over
the file.

SIGTERM and SIGINT drain: the executor takes no more tasks, finishes those it has within --drain-seconds, and hands
the rest back. A second signal ends it at once. An executor that loses its scheduler looks for it again.

Exit codes: 0 drained, 1 failed, 2 wrong usage.

Example:
  lode-executor --scheduler df://127.0.0.1:50050 --tasks 4 --status-bind 127.0.0.1:9101";

/// Runs the tasks of a scheduler: extracts files in isolated worker processes and writes their tables.
#[derive(Debug, Parser, Serialize)]
#[command(name = "lode-executor", version, after_help = AFTER)]
struct Flags {
    /// File of settings, in TOML
    #[arg(long, value_name = "FILE", env = "LODE_EXECUTOR_CONFIG")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// Address of the scheduler [default: df://127.0.0.1:50050]
    #[arg(long, value_name = "df://HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduler: Option<String>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    bind: Option<IpAddr>,
    /// Port to listen on; 0 is any free one [default: 0]
    #[arg(long, value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Name or address by which others reach this executor [default: the address it listens on]
    #[arg(long, value_name = "HOST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise: Option<String>,
    /// Tasks, each with a worker process, at a time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<u16>,
    /// Directory of intermediate files, which is the executor's own [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    work_dir: Option<PathBuf>,
    /// Time between two signs of life [default: 5]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat_seconds: Option<u64>,
    /// How long running tasks may take after a signal to end [default: 25]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_seconds: Option<u64>,
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
    scheduler: String,
    bind: IpAddr,
    port: u16,
    advertise: Option<String>,
    tasks: Option<u16>,
    work_dir: Option<PathBuf>,
    heartbeat_seconds: u64,
    drain_seconds: u64,
    #[serde(flatten)]
    security: Security,
    #[serde(flatten)]
    operation: Operation,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scheduler: "df://127.0.0.1:50050".into(),
            bind: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            advertise: None,
            tasks: None,
            work_dir: None,
            heartbeat_seconds: 5,
            drain_seconds: 25,
            security: Security::default(),
            operation: Operation::default(),
        }
    }
}

/// Runs the command and ends the process.
///
/// To be called first of all by a program: its worker processes are the same program again.
pub fn main() -> ! {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == worker::ARGUMENT) {
        worker::worker_main();
    }
    crate::memory::give_back();
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
    let settings: Settings = load("LODE_EXECUTOR_", flags.config.as_deref(), flags)?;
    let _telemetry = settings.operation.log("lode-executor")?;
    process::block_on(None, serve(settings))
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let wire = settings.security.wire(settings.bind)?;
    let tasks = settings.tasks.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let host = Arc::new(LocalHost::new(tasks, None));
    let options = ExecutorOptions {
        bind: settings.bind,
        port: settings.port,
        advertise: advertised(settings.bind, settings.advertise.as_deref())?,
        work_dir: settings.work_dir.clone(),
        heartbeat: Duration::from_secs(settings.heartbeat_seconds),
        drain: Duration::from_secs(settings.drain_seconds),
        ..executor_options(crate::wire::url(&settings.scheduler), &wire, tasks, &HostHandle(host.clone()))
    };
    let live = Arc::new(Live { tasks: tasks as u64, now: Mutex::default() });
    if let Some(bind) = settings.operation.status_bind {
        let addr = status::serve(bind, live.clone()).await?;
        tracing::info!(%addr, "status is served");
    }
    let mut signals = Signals::take()?;
    loop {
        let mut executor = tokio::select! {
            started = join(&options) => started?,
            () = signals.next() => break,
        };
        let own = Announcement::own();
        tracing::info!(
            id = executor.id(), addr = %executor.addr(), tasks, scheduler = settings.scheduler,
            version = own.version, fingerprints = own.fingerprints, "the executor takes tasks"
        );
        live.set(Some(&executor));
        tokio::select! {
            () = executor.stopped() => {
                live.set(None);
                tracing::warn!("the executor has lost its scheduler, and looks for it");
                continue;
            }
            () = signals.next() => {}
        }
        live.drain();
        tracing::info!(tasks = executor.active_tasks(), "the executor drains");
        tokio::select! {
            () = executor.shutdown() => tracing::info!("the executor has left"),
            () = signals.next() => tracing::warn!("a second signal: the executor ends at once"),
        }
        break;
    }
    host.close();
    Ok(())
}

/// Joins the cluster as soon as there is one. What will not change by waiting is an error.
async fn join(options: &ExecutorOptions) -> Result<ExecutorHandle, ExecutorError> {
    let mut told = false;
    loop {
        match cluster::start(options.clone()).await {
            Err(error @ ExecutorError::Unreachable(_)) => {
                if !told {
                    tracing::warn!(%error, "waiting for the scheduler");
                    told = true;
                }
                tokio::time::sleep(RETRY).await;
            }
            other => return other,
        }
    }
}

/// What is known of the executor from outside.
struct Live {
    tasks: u64,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    probe: Option<cluster::Probe>,
    draining: bool,
}

impl Live {
    fn set(&self, executor: Option<&ExecutorHandle>) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).probe = executor.map(ExecutorHandle::probe);
    }

    fn drain(&self) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).draining = true;
    }
}

impl Status for Live {
    fn not_ready(&self) -> Option<String> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        match &now.probe {
            _ if now.draining => Some("the executor drains".into()),
            Some(probe) if probe.is_ready() => None,
            Some(_) => Some("the scheduler has not answered yet".into()),
            None => Some("no scheduler".into()),
        }
    }

    async fn metrics(&self) -> Metrics {
        let ready = u64::from(self.not_ready().is_none());
        let running = {
            let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            now.probe.as_ref().map_or(0, |probe| probe.active_tasks() as u64)
        };
        let mut metrics = Metrics::default();
        metrics.gauge("lode_executor_ready", "Whether the executor takes tasks.", [("", ready)]);
        metrics.gauge("lode_executor_slots", "Tasks that may run at a time.", [("", self.tasks)]);
        metrics.gauge("lode_executor_tasks_running", "Tasks that run.", [("", running)]);
        metrics
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_and_settings_name_the_same_things() {
        Flags::command().debug_assert();
        let flags = Flags::parse_from(["lode-executor", "--tasks", "3", "--bind", "0.0.0.0", "--insecure"]);
        let settings: Settings = load("LODE_NO_SUCH_PREFIX_", None, &flags).unwrap();
        assert_eq!((settings.tasks, settings.port, settings.drain_seconds), (Some(3), 0, 25));
        assert_eq!(settings.security.insecure, Some(true));
        let known = serde_json::to_value(Settings { advertise: Some(String::new()), ..Settings::default() }).unwrap();
        for argument in Flags::command().get_arguments().map(|a| a.get_id().as_str()) {
            let given_elsewhere = ["config", "help", "version", "tls_ca", "tls_cert", "tls_key", "tls_name"];
            let optional =
                ["cluster_token_file", "insecure", "status_bind", "log_level", "log_format", "otlp_endpoint"];
            if !given_elsewhere.contains(&argument) && !optional.contains(&argument) {
                assert!(known.get(argument).is_some(), "{argument} is no setting");
            }
        }
    }
}
