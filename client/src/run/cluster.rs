//! Where jobs run: on a cluster inside this process, or on that of a scheduler elsewhere.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use lode_executor::cluster::{self, ExecutorHandle};
use lode_executor::host::{Listener, LocalHost};
use lode_executor::node::{codecs, executor_options};
use lode_executor::wire::{Codecs, Wire};
use lode_lake::trace::SPANS;
use lode_plan::host::HostHandle;
use lode_plan::inputs::RunRequest;
use lode_plan::session::session_state;
use lode_scheduler::api::JobView;
use lode_scheduler::client::{Client, ClientError};
use lode_scheduler::job::JobRecord;
use lode_scheduler::outcome::Outcome;
use lode_scheduler::server::{self, SchedulerHandle, SchedulerOptions};
use lode_scheduler::submit::{SubmitError, SubmitOptions, submit_logical};
use tokio::time::Instant;
use tracing::{Instrument, info_span};

use super::{Failure, Refusal};

/// How long to wait for the scheduler's record of a job that has ended.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a scheduler elsewhere is asked how far a job is.
const POLL: Duration = Duration::from_millis(300);

/// How long a scheduler may be silent before its client gives up: long enough for a new one to take its place.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a run is to be executed.
#[derive(Debug, Clone)]
pub enum Place {
    /// Inside this process.
    Embedded {
        /// Worker processes; as many as there are cores when not given.
        workers: Option<usize>,
    },
    /// By a scheduler elsewhere.
    Remote {
        /// Its address, such as `df://host:port`.
        scheduler: String,
        /// How to connect.
        wire: Wire,
        /// Don't wait for the end.
        detach: bool,
    },
}

impl Place {
    /// Inside this process, on all cores.
    pub fn here() -> Self {
        Self::Embedded { workers: None }
    }

    /// The address of the scheduler elsewhere.
    pub fn scheduler(&self) -> Option<&str> {
        match self {
            Self::Embedded { .. } => None,
            Self::Remote { scheduler, .. } => Some(scheduler),
        }
    }
}

/// How a job ended, or that nobody waits for its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Its commit task said so.
    With(Outcome),
    /// It is on its way.
    Detached,
}

/// A cluster that is ready for jobs.
pub enum Cluster {
    /// Inside this process.
    Embedded(Box<EmbeddedCluster>),
    /// Elsewhere.
    Remote(Box<RemoteCluster>),
}

impl Cluster {
    /// Starts a cluster, or connects to one.
    ///
    /// # Errors
    /// If a server can't start, or none answers.
    pub async fn start(place: Place, listener: Listener) -> Result<Self, ClusterError> {
        Ok(match place {
            Place::Embedded { workers } => {
                Self::Embedded(Box::new(EmbeddedCluster::start(super::workers(workers), Some(listener)).await?))
            }
            Place::Remote { scheduler, wire, detach } => {
                Self::Remote(Box::new(RemoteCluster::connect(&scheduler, &wire, detach).await?))
            }
        })
    }

    /// The session that plans are made in.
    pub fn context(&self) -> &SessionContext {
        match self {
            Self::Embedded(cluster) => cluster.context(),
            Self::Remote(cluster) => &cluster.context,
        }
    }

    /// Runs the job of a run. `progress` hears of tasks that are done, and how many there are, where that is all that can
    /// be known.
    ///
    /// # Errors
    /// What the job failed of.
    pub async fn run(
        &self,
        run_id: &str,
        plan: &LogicalPlan,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Ended, Failure> {
        match self {
            Self::Embedded(cluster) => {
                let span = info_span!(target: SPANS, "wait");
                Ok(Ended::With(outcome(&cluster.run(run_id, plan).instrument(span).await?)?))
            }
            Self::Remote(cluster) => cluster.run(run_id, plan, progress).await,
        }
    }

    /// Has the workers of this process start, beside whatever the caller does: for work that is sure to come.
    pub fn prepare(&self, request: &RunRequest) {
        if let Self::Embedded(cluster) = self {
            cluster.host.prepare(&request.options, &request.limits);
        }
    }

    /// What the scheduler inside this process saw of the last job of this name, once it is over.
    pub async fn record(&self, name: &str) -> Option<JobRecord> {
        match self {
            Self::Embedded(cluster) => cluster.record(name).await,
            Self::Remote(_) => None,
        }
    }

    /// Ends the workers, which takes a while: to be called beside what comes after the last job.
    pub async fn retire(&self) {
        if let Self::Embedded(cluster) = self {
            cluster.retire().await;
        }
    }

    /// Stops what was started.
    pub async fn stop(self) {
        if let Self::Embedded(cluster) = self {
            cluster.stop().await;
        }
    }
}

/// What the commit says: one row.
pub fn outcome(rows: &[RecordBatch]) -> Result<Outcome, Failure> {
    let batch = rows.iter().find(|batch| batch.num_rows() > 0).ok_or("the job ended without an outcome")?;
    let text = |column: usize| -> Result<Option<String>, Failure> {
        let texts = cast(batch.column(column), &DataType::Utf8)?;
        Ok(texts.as_string::<i32>().iter().next().flatten().map(str::to_owned))
    };
    Ok(match text(0)?.as_deref() {
        Some("committed") => {
            let sequence = text(1)?.and_then(|number| number.parse().ok()).ok_or("a commit without a number")?;
            Outcome::Committed { sequence }
        }
        Some("superseded") => Outcome::Superseded { by: text(2)?.unwrap_or_default() },
        _ => Outcome::Cancelled,
    })
}

/// A cluster elsewhere. Nothing of a job depends on this process once the job is accepted.
pub struct RemoteCluster {
    client: Client,
    context: SessionContext,
    detach: bool,
}

impl RemoteCluster {
    async fn connect(scheduler: &str, wire: &Wire, detach: bool) -> Result<Self, ClusterError> {
        let client = Client::connect(scheduler, wire).await?;
        // Whatever is wrong with the address or the token is said before the repository is scanned.
        client.about().await?;
        let config = wire.apply(SessionConfig::new());
        // Whoever plans a run reads the content that it stages.
        let host = HostHandle(Arc::new(LocalHost::new(1, None)));
        let context = SessionContext::new_with_state(session_state(config, lode_lake::runtime()?, Some(&host))?);
        Ok(Self { client, context, detach })
    }

    async fn run(
        &self,
        run_id: &str,
        plan: &LogicalPlan,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Ended, Failure> {
        let span = info_span!(target: SPANS, "submit");
        self.client.submit(run_id, plan, &self.context, &codecs()).instrument(span).await?;
        if self.detach {
            return Ok(Ended::Detached);
        }
        let waiting = follow(&self.client, run_id, |job| progress(job.tasks_done, job.tasks_total));
        let job = waiting.instrument(info_span!(target: SPANS, "wait")).await?;
        ended(job).map(Ended::With)
    }
}

/// The outcome of a job that is over, or why there is none.
pub fn ended(job: JobView) -> Result<Outcome, Failure> {
    match job.outcome {
        None | Some(Outcome::Resumable) => {
            let mut why = job.error.unwrap_or_else(|| "it ended without a commit".to_owned());
            if job.outcome.is_none() && job.address.is_some() {
                why.push_str("; the scheduler could not ask the lake what became of the run");
            }
            Err(Refusal::plain(format!("job {} of run {}: {why}", job.job_id, job.run_id)).into())
        }
        Some(outcome) => Ok(outcome),
    }
}

/// Waits for a job to be over. A scheduler that does not answer for a while may come back; one that has forgotten the job
/// has lost it. What became of a job's run is waited for as well, for a while: the lake that knows it may be out of reach.
///
/// # Errors
/// If the scheduler stays silent, or does not know the job.
pub async fn follow(client: &Client, run: &str, mut hear: impl FnMut(&JobView)) -> Result<JobView, ClientError> {
    let (mut silent, mut undecided): (Option<Instant>, Option<Instant>) = (None, None);
    let mut accepted = false;
    loop {
        match client.job(run).await {
            Ok(job) => {
                (silent, accepted) = (None, true);
                hear(&job);
                if !job.state.is_terminal() {
                    undecided = None;
                } else if job.is_over() || undecided.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Ok(job);
                }
            }
            Err(error) if error.is_passing() || (!accepted && matches!(error, ClientError::Unknown { .. })) => {
                let since = *silent.get_or_insert_with(Instant::now);
                // An accepted job is known at once, but for a moment.
                let patience = if error.is_passing() { PATIENCE } else { PATIENCE / 4 };
                if since.elapsed() > patience {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No port on the loopback interface.
    #[error("the embedded scheduler can't listen on the loopback interface: {0}")]
    Listen(#[from] std::io::Error),
    /// The scheduler.
    #[error("the embedded scheduler did not start: {0}")]
    Scheduler(#[from] server::SchedulerError),
    /// The executor.
    #[error("the embedded executor did not start: {0}")]
    Executor(#[from] cluster::ExecutorError),
    /// The scheduler elsewhere.
    #[error(transparent)]
    Remote(#[from] ClientError),
    /// The session.
    #[error(transparent)]
    Session(#[from] datafusion::error::DataFusionError),
}

/// A scheduler, an executor and its workers inside this process, on the loopback interface, behind a token of their own.
pub struct EmbeddedCluster {
    scheduler: SchedulerHandle,
    executor: ExecutorHandle,
    host: Arc<LocalHost>,
    codecs: Codecs,
    wire: Wire,
    context: SessionContext,
}

impl EmbeddedCluster {
    /// Starts a cluster with so many workers.
    ///
    /// # Errors
    /// If a server can't start.
    pub async fn start(workers: usize, listener: Option<Listener>) -> Result<Self, ClusterError> {
        let host = Arc::new(LocalHost::new(workers, listener));
        let handle = HostHandle(host.clone());
        let (codecs, wire) = (codecs(), Wire::private());

        let scheduler = server::start(TcpListener::bind(("127.0.0.1", 0))?, SchedulerOptions::lode(&wire)).await?;
        // One task more than workers: while one writes, another keeps its worker busy.
        let options = executor_options(scheduler.url(), &wire, workers + 1, &handle);
        let executor = cluster::start(options).await?;

        let config = wire.apply(SessionConfig::new());
        let context = SessionContext::new_with_state(session_state(config, lode_lake::runtime()?, Some(&handle))?);
        Ok(Self { scheduler, executor, host, codecs, wire, context })
    }

    /// The session that plans are made in.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Runs a plan under a name and waits for its rows.
    ///
    /// # Errors
    /// What the job failed of.
    pub async fn run(&self, name: &str, plan: &LogicalPlan) -> Result<Vec<RecordBatch>, SubmitError> {
        let options = SubmitOptions {
            scheduler: self.scheduler.url(),
            job_name: name.to_owned(),
            codecs: self.codecs.clone(),
            wire: self.wire.clone(),
            settings: vec![],
        };
        submit_logical(plan, &self.context, options).await
    }

    /// Ends the workers. The executor stays: connections to the lake may live on its runtime.
    async fn retire(&self) {
        let host = Arc::clone(&self.host);
        // Ending workers does not panic.
        let _ = tokio::task::spawn_blocking(move || host.close()).await;
    }

    /// What the scheduler saw of the last job of this name, once it is over.
    pub async fn record(&self, name: &str) -> Option<JobRecord> {
        self.scheduler.finished(name, RECORD_TIMEOUT).await
    }

    /// Stops executor, workers and scheduler.
    pub async fn stop(self) {
        self.retire().await;
        self.executor.shutdown().await;
        self.scheduler.shutdown();
    }
}
