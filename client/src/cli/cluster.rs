//! A cluster elsewhere: `lode list`, `status`, `watch`, `logs` and `cancel`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use lode_executor::settings::{Security, token};
use lode_executor::wire::Wire;
use lode_lake::Lake;
use lode_lake::commit::{Decision, decide};
use lode_scheduler::api::JobView;
use lode_scheduler::client::{Client, ClientError};
use lode_scheduler::job::JobState;
use lode_scheduler::outcome::Outcome as RunOutcome;

use super::{Exit, Failure, Outcome, Output, text};
use crate::run;

/// How to reach a scheduler, if one is named.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cluster elsewhere")]
pub(super) struct ClusterArgs {
    /// Address of a scheduler; without one the job runs in this process
    #[arg(long, value_name = "df://HOST:PORT", env = "LODE_SCHEDULER", hide_env_values = true)]
    scheduler: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Where the scheduler is that a command is about.
#[derive(Debug, Clone, Args)]
pub(super) struct SchedulerArgs {
    /// Address of the scheduler
    #[arg(long, value_name = "df://HOST:PORT", env = "LODE_SCHEDULER", hide_env_values = true)]
    scheduler: String,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Clone, Args)]
struct ConnectionArgs {
    /// Certificate of the cluster's authority, in PEM
    #[arg(long, value_name = "FILE", env = "LODE_TLS_CA", hide_env_values = true)]
    tls_ca: Option<PathBuf>,
    /// This client's certificate, in PEM
    #[arg(long, value_name = "FILE", env = "LODE_TLS_CERT", hide_env_values = true)]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "FILE", env = "LODE_TLS_KEY", hide_env_values = true)]
    tls_key: Option<PathBuf>,
    /// Name that the certificates of servers carry [default: lode]
    #[arg(long, value_name = "NAME", env = "LODE_TLS_NAME", hide_env_values = true)]
    tls_name: Option<String>,
    /// File with the secret of clients [or the variable LODE_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Talk to other machines without certificates
    #[arg(long)]
    insecure: bool,
}

impl ConnectionArgs {
    fn wire(&self, address: &str) -> Result<Wire, Failure> {
        let security = Security {
            tls_ca: self.tls_ca.clone(),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            tls_name: self.tls_name.clone(),
            ..Security::default()
        };
        let unusable = |e: Box<dyn std::error::Error + Send + Sync>| Failure::new("the connection can't be secured", e);
        let tls = security.tls().map_err(|e| unusable(e.into()))?;
        let token = token(self.token_file.as_deref(), "LODE_TOKEN").map_err(|e| unusable(e.into()))?;
        if tls.is_none() && !self.insecure && !is_near(address) {
            return Err(Failure::usage(format!("{address} is another machine, and there are no certificates"))
                .hint("give --tls-ca, --tls-cert and --tls-key, or say --insecure if the network is trusted"));
        }
        Ok(Wire { token, tls, ..Wire::default() })
    }
}

/// Whether an address is on the loopback interface.
fn is_near(address: &str) -> bool {
    let Ok(url) = url::Url::parse(&lode_executor::wire::url(address)) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl ClusterArgs {
    pub(super) fn is_given(&self) -> bool {
        self.scheduler.is_some()
    }

    pub(super) fn address(&self) -> Option<String> {
        self.scheduler.clone()
    }

    pub(super) fn connection(&self) -> Result<Option<(String, Wire)>, Failure> {
        match &self.scheduler {
            Some(address) => Ok(Some((address.clone(), self.connection.wire(address)?))),
            None => Ok(None),
        }
    }
}

impl SchedulerArgs {
    async fn connect(&self) -> Result<Client, Failure> {
        let wire = self.connection.wire(&self.scheduler)?;
        Ok(Client::connect(&self.scheduler, &wire).await?)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let hint = match &error {
            ClientError::Connect(_) | ClientError::Lost { .. } => {
                "check its address, that it runs, and the certificates"
            }
            ClientError::Unknown { .. } => "`lode list` shows the jobs it knows, `lode runs` the runs of a lake",
            ClientError::Refused { .. } | ClientError::Plan(_) => return Self::of(error, None),
        };
        Self::of(error, Some(hint.to_owned()))
    }
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    scheduler: SchedulerArgs,
    /// Form of the list
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Output,
}

pub(super) async fn list(args: ListArgs) -> Outcome {
    let jobs = args.scheduler.connect().await?.jobs().await?;
    if args.output == Output::Json {
        return text::print_json(&jobs);
    }
    let rows: Vec<_> = jobs.iter().map(row).collect();
    text::print(&text::columns(&HEADER, &rows))
}

const HEADER: [&str; 5] = ["run", "state", "repository", "accepted", "tasks"];

fn row(job: &JobView) -> Vec<String> {
    vec![
        job.run_id.clone(),
        job.label().into(),
        job.address.as_ref().map_or("-", |address| &address.repo).to_owned(),
        text::time(i64::try_from(job.accepted_ms * 1_000).unwrap_or(i64::MAX)),
        format!("{}/{}", job.tasks_done, job.tasks_total),
    ]
}

/// A run of a cluster.
#[derive(Debug, Args)]
struct RunArg {
    /// The run, or @latest
    run: String,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    run: RunArg,
    #[command(flatten)]
    scheduler: SchedulerArgs,
    /// Form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Output,
}

pub(super) async fn status(args: StatusArgs) -> Outcome {
    let job = args.scheduler.connect().await?.job(&args.run.run).await?;
    print(&job, args.output)
}

fn print(job: &JobView, form: Output) -> Outcome {
    if form == Output::Json {
        return text::print_json(job);
    }
    let mut out = text::columns(&HEADER, &[row(job)]);
    if let Some(error) = &job.error {
        out.push_str(&format!("error: {error}\n"));
    }
    text::print(&out)
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exits as `lode extract` does: with 0 when the run is committed, with 1 when it is not. With Ctrl-C it stops watching; the
job goes on.")]
pub(super) struct WatchArgs {
    #[command(flatten)]
    run: RunArg,
    #[command(flatten)]
    scheduler: SchedulerArgs,
    /// Form of the last answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Output,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub(super) async fn watch(args: WatchArgs) -> Outcome {
    let client = args.scheduler.connect().await?;
    // What was the latest when the watch began: it may not be the latest any more when it ends.
    let run = client.job(&args.run.run).await?.run_id;
    let mut last = (JobState::Queued, usize::MAX, 0);
    let job = run::follow(&client, &run, |job| {
        let now = (job.state, job.tasks_done, job.tasks_total);
        if now != last && !args.quiet {
            text::note(&format!("{}: {} of {} tasks", job.state.name(), job.tasks_done, job.tasks_total));
        }
        last = now;
    });
    let job = job.await?;
    print(&job, args.output)?;
    Ok(match job.outcome {
        Some(RunOutcome::Committed { .. }) => Exit::Done,
        None if job.state == JobState::Successful => Exit::Done,
        _ => {
            if let Some(address) = job.address.as_ref().filter(|_| job.outcome != Some(RunOutcome::Cancelled)) {
                let scheduler = &args.scheduler.scheduler;
                text::note(&format!(
                    "hint: lode resume {} --lake {} --scheduler {scheduler}",
                    job.run_id, address.lake
                ));
            }
            Exit::Failed
        }
    })
}

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    #[command(flatten)]
    run: RunArg,
    #[command(flatten)]
    scheduler: SchedulerArgs,
    /// Go on until the job is over
    #[arg(long, short)]
    follow: bool,
    /// Form of the lines
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Output,
}

pub(super) async fn logs(args: LogsArgs) -> Outcome {
    let client = args.scheduler.connect().await?;
    let run = client.job(&args.run.run).await?.run_id;
    let mut said = 0;
    loop {
        let record = client.record(&run).await?;
        for event in record.events.iter().skip(said) {
            match args.output {
                Output::Json => text::print_json(event)?,
                Output::Text => {
                    let at = text::time(i64::try_from(event.at_ms * 1_000).unwrap_or(i64::MAX));
                    text::print(&format!("{at}  {}\n", event.text))?
                }
            };
        }
        said = record.events.len();
        let over = record.state.is_terminal() && (record.outcome.is_some() || record.address.is_none());
        if over || !args.follow {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
The run is cancelled on its lake first, so that no task that still runs can commit it. A commit that was faster stands;
then the command fails. With --lake instead of --scheduler it works for a run whose scheduler is gone.")]
pub(super) struct CancelArgs {
    /// The run, or @latest with --scheduler
    run: String,
    /// Directory or URL of the lake
    #[arg(long, value_name = "DIR|URL", required_unless_present = "scheduler")]
    lake: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Output,
}

pub(super) async fn cancel(args: CancelArgs) -> Outcome {
    let told = if let Some(location) = &args.lake {
        let lake = Lake::open(location).await?;
        if lode_lake::plan::RunPlan::load(&lake, &args.run).await?.is_none() {
            return Err(Failure::usage(format!("there is no run {} in this lake", args.run))
                .hint("`lode runs` lists the runs of a lake"));
        }
        if decide(&lake, &args.run, Decision::Cancelled).await? == Decision::Commit {
            let why = format!("run {} is committed, or is being committed", args.run);
            return Err(Failure::new("it is too late to cancel", why));
        }
        true
    } else {
        false
    };
    let Some((address, wire)) = args.cluster.connection()? else {
        return match args.output {
            Output::Json => text::print_json(&serde_json::json!({ "run_id": args.run, "outcome": "cancelled" })),
            Output::Text => text::print(&format!("cancelled   {}\n", args.run)),
        };
    };
    let client = Client::connect(&address, &wire).await?;
    match client.cancel(&args.run).await {
        // Its lake was told, and that is what counts.
        Err(ClientError::Unknown { .. }) if told => text::print(&format!("cancelled   {}\n", args.run)),
        other => print(&other?, args.output),
    }
}
