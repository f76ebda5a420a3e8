//! Starts and stops a scheduler.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ballista_core::ConfigProducer;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::error::BallistaError;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::cluster::memory::InMemoryJobState;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::{SchedulerServer, SessionBuilder};
use ballista_scheduler::state::execution_stage::ExecutionStage;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use lode_executor::node::codecs;
use lode_executor::wire::{Codecs, Token, Wire};
use lode_lake::error::with_causes;
use lode_lake::plan::EpochPlan;
use lode_lake::store::Lake;
use lode_plan::session::{configure, session_state};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;

use crate::api::Api;
use crate::capture::Captures;
use crate::fair::FairShare;
use crate::gate::{Admission, Gate};
use crate::job::JobRecord;
use crate::journal;
use crate::losses::Losses;
use crate::observer::{Observer, snapshot};
use crate::outcome::Outcome;
use crate::records;
use crate::rest;
use crate::slots::Slots;
use crate::tally::Tally;

/// How many reports may wait to be rendered.
const REPORT_BACKLOG: usize = 64;

/// When a lake that did not answer is asked again.
const LAKE_RETRY: Duration = Duration::from_secs(5);

pub(crate) type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// Why a scheduler could not start.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// A thread or a socket is not to be had.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// Ballista refused.
    #[error("the scheduler did not start: {0}")]
    Ballista(#[from] BallistaError),
    /// The session that plans jobs can't be made.
    #[error("the scheduler did not start: {0}")]
    Session(#[from] datafusion::error::DataFusionError),
    /// The certificates are not usable.
    #[error("the certificates are not usable: {0}")]
    Tls(#[from] tonic::transport::Error),
}

/// What a scheduler needs to know. Everything that depends on the plan's own nodes is handed in.
#[derive(Clone)]
pub struct SchedulerOptions {
    /// Makes the session that plans a job, out of the job's configuration.
    pub session: SessionBuilder,
    /// Makes the configuration that a job's settings are applied to.
    pub config: ConfigProducer,
    /// How plan nodes are read and written.
    pub codecs: Codecs,
    /// Limits and token of the connections.
    pub wire: Wire,
    /// The name under which executors reach this scheduler; the bound address if it is `None`.
    pub advertise: Option<String>,
    /// Where Ballista writes its own event log, if anywhere.
    pub event_log_dir: Option<PathBuf>,
    /// Serve Ballista's own interface.
    pub ballista_api: bool,
    /// How long an executor may stay silent; whole seconds. Its tasks then go to others.
    pub executor_timeout: Duration,
    /// How long a job waits when all executors are gone; whole seconds.
    pub no_executors_grace: Duration,
    /// The secret of clients, beside that of the cluster's members.
    pub client_token: Option<Token>,
    /// Which plans are taken.
    pub admission: Admission,
    /// How many tasks of a job may run at a time; any number if it is `None`.
    pub tasks_per_job: Option<usize>,
    /// Keep the records of jobs on their lakes: for a scheduler whose clients may go away.
    pub keep_records: bool,
    /// How many executors a job may lose before it is given up.
    pub losses_per_job: u32,
    /// How long results and the state of finished jobs are kept; whole seconds, at least one.
    pub retention: Duration,
}

impl SchedulerOptions {
    /// A scheduler for executors that give a sign of life every 5 seconds.
    pub fn new(session: SessionBuilder, config: ConfigProducer, codecs: Codecs) -> Self {
        Self {
            session,
            config,
            codecs,
            wire: Wire::default(),
            advertise: None,
            event_log_dir: None,
            ballista_api: false,
            executor_timeout: Duration::from_secs(30),
            no_executors_grace: Duration::from_secs(30),
            client_token: None,
            admission: Admission::Any,
            tasks_per_job: None,
            keep_records: false,
            losses_per_job: 32,
            retention: Duration::from_secs(300),
        }
    }

    /// A scheduler of Lode's plans.
    pub fn lode(wire: &Wire) -> Self {
        let session = Arc::new(|config: SessionConfig| session_state(config, lode_lake::runtime()?, None));
        let config = Arc::new(|| configure(SessionConfig::new(), None));
        Self { wire: wire.clone(), ..Self::new(session, config, codecs()) }
    }

    fn ballista(&self, addr: SocketAddr) -> SchedulerConfig {
        let (wire, config) = (self.wire.clone(), self.config.clone());
        let timeout = self.executor_timeout.as_secs().max(1);
        // Zero means never, which would keep every job in memory for ever.
        let retention = self.retention.as_secs().max(1);
        SchedulerConfig {
            external_host: self.advertise.clone().unwrap_or_else(|| match addr {
                SocketAddr::V4(addr) => addr.ip().to_string(),
                SocketAddr::V6(addr) => format!("[{}]", addr.ip()),
            }),
            bind_host: addr.ip().to_string(),
            bind_port: addr.port(),
            scheduling_policy: TaskSchedulingPolicy::PushStaged,
            executor_timeout_seconds: timeout,
            // An executor that drains gives signs of life until it has finished; one that doesn't is gone.
            executor_termination_grace_period: (timeout / 3).max(1),
            expire_dead_executor_interval_seconds: (timeout / 6).max(1),
            no_executors_grace_period_seconds: self.no_executors_grace.as_secs(),
            finished_job_data_clean_up_interval_seconds: retention,
            finished_job_state_clean_up_interval_seconds: retention,
            grpc_server_max_decoding_message_size: self.wire.message_limit_u32(),
            grpc_server_max_encoding_message_size: self.wire.message_limit_u32(),
            grpc_client_max_message_size: self.wire.message_limit_u32(),
            event_log_dir: self.event_log_dir.as_ref().map(|dir| dir.display().to_string()),
            override_session_builder: Some(self.session.clone()),
            override_config_producer: Some(Arc::new(move || wire.apply(config()))),
            override_logical_codec: Some(self.codecs.logical.clone()),
            override_physical_codec: Some(self.wire.task_codec(&self.codecs)),
            override_create_grpc_client_endpoint: Some(self.wire.endpoint()),
            ..SchedulerConfig::default()
        }
    }
}

/// How far a running stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageProgress {
    /// The number of the stage in its job.
    pub stage_id: usize,
    /// Tasks that have succeeded.
    pub done: usize,
    /// All tasks, zero as long as it is unknown.
    pub total: usize,
}

/// How busy a scheduler is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Jobs that are accepted and not yet planned.
    pub queued_jobs: usize,
    /// Jobs that run.
    pub running_jobs: usize,
    /// Partitions of running stages that wait for a slot.
    pub pending_partitions: usize,
    /// Tasks that run.
    pub running_tasks: usize,
    /// Executors.
    pub executors: usize,
    /// Tasks they can run at a time.
    pub slots: u64,
    /// Executors that were lost since the scheduler started.
    pub lost_executors: u64,
}

/// A running scheduler. Dropping the handle stops it.
pub struct SchedulerHandle {
    addr: SocketAddr,
    parts: Parts,
    runtime: Option<Runtime>,
}

/// Looks at a running scheduler from outside, and tells it to end.
#[derive(Clone)]
pub struct Parts {
    server: Server,
    captures: Captures,
    draining: Arc<AtomicBool>,
    losses: Losses,
}

impl Parts {
    /// Takes no more jobs from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether it takes no more jobs.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// How busy it is.
    pub async fn load(&self) -> Load {
        let manager = &self.server.state.executor_manager;
        let executors = manager.get_executors_state().await.unwrap_or_default();
        let running = self.server.state.task_manager.get_running_job_cache();
        let mut load = Load {
            queued_jobs: self.server.pending_job_number(),
            running_jobs: running.len(),
            executors: executors.len(),
            slots: executors.iter().map(|(executor, _, _)| u64::from(executor.specification.vcores)).sum(),
            lost_executors: self.losses.total(),
            ..Load::default()
        };
        let mut graphs: Vec<_> = running.iter().collect();
        graphs.sort_by(|a, b| a.0.cmp(b.0));
        for (_, job) in graphs {
            let graph = job.execution_graph.read().await;
            load.running_tasks += graph.running_tasks().len();
            let mut stages: Vec<_> = graph.stages().iter().collect();
            stages.sort_by_key(|(id, _)| **id);
            load.pending_partitions += stages
                .into_iter()
                .map(|(_, stage)| match stage {
                    ExecutionStage::Running(stage) => stage.pending.remaining(),
                    ExecutionStage::Resolved(stage) => stage.partitions,
                    _ => 0,
                })
                .sum::<usize>();
        }
        load
    }
}

/// How far each stage of a running job is.
pub(crate) async fn progress(server: &Server, job_id: &str) -> Vec<StageProgress> {
    let running = server.state.task_manager.get_running_job_cache();
    let job_id = job_id.into();
    let Some(info) = running.get(&job_id) else { return Vec::new() };
    let graph = info.execution_graph.read().await;
    let stages = snapshot(&job_id, &graph).stages;
    stages
        .into_iter()
        .map(|s| StageProgress { stage_id: s.stage_id, done: s.tasks_done, total: s.partitions.unwrap_or(0) })
        .collect()
}

impl SchedulerHandle {
    /// Where the scheduler listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address for clients and executors.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The records of its jobs.
    pub fn captures(&self) -> &Captures {
        &self.parts.captures
    }

    /// The latest job of this name.
    pub fn job(&self, job_name: &str) -> Option<JobRecord> {
        self.parts.captures.job(job_name)
    }

    /// Waits until the latest job of this name is over, at most for `timeout`.
    pub async fn finished(&self, job_name: &str, timeout: Duration) -> Option<JobRecord> {
        self.parts.captures.finished(job_name, timeout).await
    }

    /// How far each stage of a running job is, in the order of the stages. Empty for a job that does not run.
    pub async fn progress(&self, job_name: &str) -> Vec<StageProgress> {
        match self.job(job_name) {
            Some(job) => progress(&self.parts.server, &job.job_id).await,
            None => Vec::new(),
        }
    }

    /// What others may ask of the scheduler while it runs.
    pub fn parts(&self) -> Parts {
        self.parts.clone()
    }

    /// Cancels the latest job of this name; `false` if there is none that could be cancelled.
    ///
    /// Tasks that already run are not stopped by this.
    pub async fn cancel(&self, job_name: &str) -> Result<bool, SchedulerError> {
        match self.job(job_name).filter(|job| !job.state.is_terminal()) {
            Some(job) => {
                self.parts.server.cancel_job(job.job_id.into()).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Stops at once. Running jobs are lost.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for SchedulerHandle {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts a scheduler on a socket that is already bound.
///
/// It gets a runtime of its own: Ballista's event loop and its reaper of lost executors have no way to be stopped, but
/// a runtime has.
pub async fn start(listener: TcpListener, options: SchedulerOptions) -> Result<SchedulerHandle, SchedulerError> {
    let io = |what| move |source| SchedulerError::Io { what, source };
    let addr = listener.local_addr().map_err(io("the listener has no address"))?;
    listener.set_nonblocking(true).map_err(io("the listener cannot be used without blocking"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("lode-scheduler")
        .enable_all()
        .build()
        .map_err(io("no threads for the scheduler"))?;
    let started = runtime.spawn(assemble(listener, addr, options)).await;
    let parts = match started {
        Ok(Ok(parts)) => parts,
        failed => {
            // A runtime must not be dropped inside of another one.
            runtime.shutdown_background();
            return Err(match failed {
                Ok(Err(e)) => e,
                _ => BallistaError::Internal("the scheduler panicked at its start".to_owned()).into(),
            });
        }
    };
    Ok(SchedulerHandle { addr, parts, runtime: Some(runtime) })
}

/// Puts the scheduler together behind a server of our own. Ballista's assembly has no place for certificates and checks,
/// and shows everybody the settings of every session.
async fn assemble(listener: TcpListener, addr: SocketAddr, options: SchedulerOptions) -> Result<Parts, SchedulerError> {
    if let Some(dir) = &options.event_log_dir {
        // What is wrong with it is said now; Ballista would go without a log.
        std::fs::create_dir_all(dir)
            .map_err(|source| SchedulerError::Io { what: "the directory of event logs can't be made", source })?;
    }
    let config = Arc::new(options.ballista(addr));
    let (reports, received) = mpsc::channel(REPORT_BACKLOG);
    let captures = Captures::start(received);
    let producer = config.override_config_producer.clone().expect("set two lines above");
    let context = SessionContext::new_with_state((options.session)(producer())?).task_ctx();
    let jobs = InMemoryJobState::new(config.scheduler_id.clone(), options.session.clone(), producer);
    let tally = Tally::new(options.event_log_dir.is_some());
    let jobs = Observer::new(jobs, reports.clone(), tally.clone());
    let slots = Slots::new(FairShare::new(options.tasks_per_job), reports);
    let cluster = BallistaCluster::new(Arc::new(slots), Arc::new(jobs));
    let server: Server = create_scheduler(cluster, config).await?;

    let draining = Arc::new(AtomicBool::new(false));
    let members = options.wire.guard();
    let everybody = options.wire.guard().or(options.client_token.as_ref());
    let gate = Gate {
        inner: server.clone(),
        members,
        everybody: everybody.clone(),
        admission: options.admission.clone(),
        codec: options.codecs.logical.clone(),
        context,
        captures: captures.clone(),
        tally,
        draining: draining.clone(),
    };
    let service = SchedulerGrpcServer::new(gate)
        .max_decoding_message_size(options.wire.message_limit)
        .max_encoding_message_size(options.wire.message_limit);
    let (seen, guard) = (captures.clone(), everybody.clone());
    let mut http = Api { server: server.clone(), captures: seen, draining: draining.clone(), guard }.router();
    if options.ballista_api {
        http = http.merge(rest::router(server.clone(), everybody, options.event_log_dir.clone()).await?);
    }
    let routes = Routes::from(http).add_service(service);
    let listener = tokio::net::TcpListener::from_std(listener)
        .map_err(|source| SchedulerError::Io { what: "the listener cannot be registered", source })?;
    let serve = options
        .wire
        .server()?
        // Tools that know no HTTP/2 may ask for jobs, too.
        .accept_http1(true)
        .add_routes(routes)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::spawn(async move {
        if let Err(e) = serve.await {
            tracing::error!(error = %e, "the scheduler's server ended");
        }
    });
    let losses = Losses::default();
    tokio::spawn(losses.clone().watch(server.clone(), captures.clone(), options.losses_per_job));
    tokio::spawn(conclude(captures.clone(), options.keep_records));
    if options.keep_records {
        tokio::spawn(journal::write(captures.clone()));
    }
    Ok(Parts { server, captures, draining, losses })
}

/// Keeps what was seen of a job on its lake. What can't be kept is lost, but harms nothing.
///
/// `is_at_work` says which other jobs of the run are, so that nothing that was captured of those is final.
pub async fn keep_record(job: &JobRecord, is_at_work: impl Fn(&JobRecord) -> bool) {
    let Some(address) = &job.address else { return };
    let kept = async {
        let lake = Lake::open(&address.lake).await?;
        match EpochPlan::load(&lake, &job.job_name, address.epoch).await? {
            Some(plan) => {
                records::keep(&lake, &plan, job).await?;
                // That of this job adds nothing any more, and goes.
                journal::adopt(&lake, &job.job_name, is_at_work).await
            }
            None => Ok(()),
        }
    };
    if let Err(error) = kept.await {
        let error = with_causes(&error);
        tracing::warn!(run_id = job.job_name, error, "the job's records are not kept");
    }
}

/// Asks the lake what became of the runs of jobs that are over.
async fn conclude(mut captures: Captures, keep: bool) {
    loop {
        let over = captures.jobs().into_iter().filter(|job| job.state.is_terminal() && job.outcome.is_none());
        let asked: Vec<_> = over.filter_map(|job| Some((job.address.clone()?, job))).collect();
        let mut unanswered = false;
        for (address, job) in asked {
            let run_id = job.job_name.as_str();
            match Outcome::of(run_id, &address).await {
                Ok(outcome) => {
                    tracing::info!(run_id, outcome = outcome.name(), "the run has ended");
                    // First what is kept: who waits for the outcome finds it on the lake.
                    if keep {
                        keep_record(&job, |other| other.job_id != job.job_id && captures.is_at_work(&other.job_id))
                            .await;
                    }
                    captures.conclude(&job.job_id, outcome);
                }
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::warn!(run_id, error, "the lake does not say what became of the run");
                    unanswered = true;
                }
            }
        }
        let change = captures.next_change();
        match unanswered {
            true => drop(tokio::time::timeout(LAKE_RETRY, change).await),
            false if !change.await => return,
            false => {}
        }
    }
}
