//! Starts and stops a scheduler.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::ConfigProducer;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::error::BallistaError;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_core::utils::{GrpcServerConfig, create_grpc_server};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::cluster::memory::{InMemoryClusterState, InMemoryJobState};
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::{SchedulerServer, SessionBuilder};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use lode_executor::wire::{Codecs, Wire};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;

use crate::capture::{Captures, JobRecord};
use crate::observer::{Observer, snapshot};

/// How many snapshots may wait to be rendered.
const SNAPSHOT_BACKLOG: usize = 64;

type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

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
    /// How long an executor may stay silent; whole seconds. Its tasks then go to others.
    pub executor_timeout: Duration,
    /// How long a job waits when all executors are gone; whole seconds.
    pub no_executors_grace: Duration,
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
            executor_timeout: Duration::from_secs(30),
            no_executors_grace: Duration::from_secs(30),
            retention: Duration::from_secs(300),
        }
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

/// A running scheduler. Dropping the handle stops it.
pub struct SchedulerHandle {
    addr: SocketAddr,
    captures: Captures,
    server: Server,
    runtime: Option<Runtime>,
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
        &self.captures
    }

    /// The latest job of this name.
    pub fn job(&self, job_name: &str) -> Option<JobRecord> {
        self.captures.job(job_name)
    }

    /// Waits until the latest job of this name is over, at most for `timeout`.
    pub async fn finished(&self, job_name: &str, timeout: Duration) -> Option<JobRecord> {
        self.captures.finished(job_name, timeout).await
    }

    /// How far each stage of a running job is, in the order of the stages. Empty for a job that does not run.
    pub async fn progress(&self, job_name: &str) -> Vec<StageProgress> {
        let Some(job) = self.job(job_name) else { return Vec::new() };
        let running = self.server.state.task_manager.get_running_job_cache();
        let job_id = job.job_id.as_str().into();
        let Some(info) = running.get(&job_id) else { return Vec::new() };
        let graph = info.execution_graph.read().await;
        let stages = snapshot(&job_id, &graph).stages;
        stages
            .into_iter()
            .map(|s| StageProgress { stage_id: s.stage_id, done: s.tasks_done, total: s.partitions.unwrap_or(0) })
            .collect()
    }

    /// Cancels the latest job of this name; `false` if there is none that could be cancelled.
    ///
    /// Tasks that already run are not stopped by this.
    pub async fn cancel(&self, job_name: &str) -> Result<bool, SchedulerError> {
        match self.job(job_name).filter(|job| !job.state.is_terminal()) {
            Some(job) => {
                self.server.cancel_job(job.job_id.into()).await?;
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
    let (server, captures) = match started {
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
    Ok(SchedulerHandle { addr, captures, server, runtime: Some(runtime) })
}

/// Puts the scheduler together behind a server of our own. Ballista's assembly has no place for a check of the token,
/// and mounts the REST interface, which shows the settings of every session.
async fn assemble(
    listener: TcpListener,
    addr: SocketAddr,
    options: SchedulerOptions,
) -> Result<(Server, Captures), SchedulerError> {
    let config = Arc::new(options.ballista(addr));
    let (snapshots, received) = mpsc::channel(SNAPSHOT_BACKLOG);
    let captures = Captures::start(received);
    let producer = config.override_config_producer.clone().expect("set two lines above");
    let jobs = InMemoryJobState::new(config.scheduler_id.clone(), options.session.clone(), producer);
    let cluster =
        BallistaCluster::new(Arc::new(InMemoryClusterState::default()), Arc::new(Observer::new(jobs, snapshots)));
    let server: Server = create_scheduler(cluster, config).await?;

    let service = SchedulerGrpcServer::new(server.clone())
        .max_decoding_message_size(options.wire.message_limit)
        .max_encoding_message_size(options.wire.message_limit);
    let listener = tokio::net::TcpListener::from_std(listener)
        .map_err(|source| SchedulerError::Io { what: "the listener cannot be registered", source })?;
    let serve = create_grpc_server(&GrpcServerConfig::default())
        .add_service(InterceptedService::new(service, options.wire.guard()))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::spawn(async move {
        if let Err(e) = serve.await {
            tracing::error!(error = %e, "the scheduler's server ended");
        }
    });
    Ok((server, captures))
}
