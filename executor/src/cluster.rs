//! An executor inside this process: takes pushed tasks from a scheduler and serves its shuffle files, both on one port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::error::BallistaError;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::BallistaCodec;
use ballista_core::serde::protobuf::executor_grpc_server::ExecutorGrpcServer;
use ballista_core::serde::protobuf::executor_status::Status as Phase;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{ExecutorRegistration, ExecutorStatus, ExecutorStoppedParams, HeartBeatParams};
use ballista_core::serde::scheduler::{ExecutorOperatingSystemSpecification, ExecutorSpecification};
use ballista_core::{BALLISTA_PROTOCOL_VERSION, ConfigProducer, RuntimeProducer};
use ballista_executor::executor::{Executor, TasksDrainedFuture};
use ballista_executor::executor_process::ExecutorProcessConfig;
use ballista_executor::executor_server;
use ballista_executor::flight_service::BallistaFlightService;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::metrics::LoggingMetricsCollector;
use ballista_executor::shutdown::ShutdownNotifier;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};

use crate::front::Front;
use crate::wire::{Codecs, ConnectError, Wire};

/// How often a port is tried that another process took between its reservation and its use.
const PORT_ATTEMPTS: usize = 16;

/// How long servers may take to close their connections.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the report of a task may take to reach the scheduler.
const STATUS_DELAY: Duration = Duration::from_millis(200);

/// Why an executor could not start.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The work directory or a socket is unusable.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The scheduler does not answer.
    #[error("cannot reach the scheduler: {0}; check its address, that it is running, and the certificates")]
    Unreachable(#[from] ConnectError),
    /// The certificates are not usable.
    #[error("the certificates are not usable: {0}")]
    Tls(#[from] tonic::transport::Error),
    /// The scheduler answers but does not take this executor.
    #[error("the scheduler at {url} refused this executor: {source}")]
    Refused {
        /// The address of the scheduler.
        url: String,
        /// The cause.
        source: BallistaError,
    },
    /// The work directory has a name that Ballista can't hold.
    #[error("the work directory {0:?} is not valid UTF-8; choose another one")]
    WorkDir(PathBuf),
}

/// What an executor needs to know. Everything that depends on the plan's own nodes is handed in.
#[derive(Clone)]
pub struct ExecutorOptions {
    /// The address of the scheduler, as `http://host:port`.
    pub scheduler: String,
    /// Where the server listens.
    pub bind: IpAddr,
    /// On which port; any free one if it is 0.
    pub port: u16,
    /// The name under which others reach this executor; the bound address if it is `None`.
    pub advertise: Option<String>,
    /// How many tasks run at a time.
    pub vcores: NonZeroUsize,
    /// Where shuffle files go; a private temporary directory, removed at the end, if it is `None`.
    pub work_dir: Option<PathBuf>,
    /// Makes the session configuration that tasks start from.
    pub config: ConfigProducer,
    /// Makes the runtime (object stores, memory pool, caches) of a task.
    pub runtime: RuntimeProducer,
    /// How plan nodes are read.
    pub codecs: Codecs,
    /// The functions that plans may name.
    pub functions: Arc<BallistaFunctionRegistry>,
    /// Limits and token of the connections.
    pub wire: Wire,
    /// The time between two signs of life; whole seconds, at least one.
    pub heartbeat: Duration,
    /// How long a shutdown waits for running tasks. More than nothing is for processes that end with their executor: no
    /// other one of the process takes tasks from then on.
    pub drain: Duration,
}

impl ExecutorOptions {
    /// An executor on the loopback interface with one task a core.
    pub fn new(scheduler: impl Into<String>, codecs: Codecs, config: ConfigProducer, runtime: RuntimeProducer) -> Self {
        Self {
            scheduler: scheduler.into(),
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            advertise: None,
            vcores: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            work_dir: None,
            config,
            runtime,
            codecs,
            functions: Arc::new(BallistaFunctionRegistry::default()),
            wire: Wire::default(),
            heartbeat: Duration::from_secs(5),
            drain: Duration::ZERO,
        }
    }
}

/// A running executor. Dropping the handle leaves it running until the process ends.
pub struct ExecutorHandle {
    id: String,
    addr: SocketAddr,
    executor: Arc<Executor>,
    health: ExecutorHealth,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

impl fmt::Debug for ExecutorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorHandle").field("id", &self.id).field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl ExecutorHandle {
    /// The identity under which the scheduler knows this executor.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where tasks are taken and shuffle files are served.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many tasks run.
    pub fn active_tasks(&self) -> usize {
        self.executor.active_task_count()
    }

    /// What others may ask of the executor while it runs.
    pub fn probe(&self) -> Probe {
        Probe { executor: self.executor.clone(), health: self.health.clone() }
    }

    /// Leaves the cluster: tells the scheduler, waits for running tasks as long as the options allow, closes the
    /// servers and removes the private work directory.
    pub async fn shutdown(self) {
        // A closed channel means that the executor has already stopped.
        let _ = self.stop.send(());
        let _ = self.done.await;
    }

    /// Waits until the executor stops by itself: the scheduler told it to, or stayed silent for five heartbeats.
    /// Whoever supervises the process starts a new one.
    pub async fn stopped(&mut self) {
        let _ = (&mut self.done).await;
    }
}

/// Looks at a running executor from outside.
#[derive(Clone)]
pub struct Probe {
    executor: Arc<Executor>,
    health: ExecutorHealth,
}

impl Probe {
    /// Whether the scheduler answered the last sign of life.
    pub fn is_ready(&self) -> bool {
        self.health.is_ready()
    }

    /// How many tasks run.
    pub fn active_tasks(&self) -> usize {
        self.executor.active_task_count()
    }
}

/// Starts an executor and registers it with its scheduler.
///
/// Unlike `start_executor_process` it takes no signals, no fixed ports and no process-wide flag, so that a process may
/// run several, one after the other or at once.
pub async fn start(options: ExecutorOptions) -> Result<ExecutorHandle, ExecutorError> {
    let work = WorkDir::new(options.work_dir.as_ref())?;
    let listener = tokio::net::TcpListener::bind((options.bind, options.port)).await.map_err(|source| {
        ExecutorError::Io { what: format!("cannot listen on {}:{}", options.bind, options.port), source }
    })?;
    let addr = listener.local_addr().map_err(|source| ExecutorError::Io { what: "no local address".into(), source })?;
    let scheduler = SchedulerGrpcClient::new(options.wire.connect(&options.scheduler).await?)
        .max_encoding_message_size(options.wire.message_limit)
        .max_decoding_message_size(options.wire.message_limit);
    let health = ExecutorHealth::new();
    let mut attempt = 1;
    loop {
        // Ballista binds the socket of its own server itself and wants to know its port beforehand, so a free one is
        // looked up, and looked up again if another process was faster.
        let inner = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|source| ExecutorError::Io { what: "no free port".into(), source })?;
        let shutdown = ShutdownNotifier::new();
        let door = open(&options, &work.path, &listener, inner, &shutdown)?;
        match register(&options, &work.path, addr, inner, &scheduler, &shutdown, health.clone()).await {
            Ok((executor, told_to_stop, server)) => {
                let id = executor.metadata.id.clone();
                let (stop, stopping) = oneshot::channel();
                let life = Life {
                    executor: executor.clone(),
                    scheduler,
                    shutdown,
                    servers: [server, door],
                    drain: options.drain,
                    told_to_stop,
                    _work: work,
                };
                let done = tokio::spawn(life.run(stopping));
                return Ok(ExecutorHandle { id, addr, executor, health, stop, done });
            }
            Err(BallistaError::IoError(e)) if e.kind() == std::io::ErrorKind::AddrInUse && attempt < PORT_ATTEMPTS => {
                door.abort();
                attempt += 1;
            }
            Err(source) => {
                door.abort();
                return Err(ExecutorError::Refused { url: options.scheduler.clone(), source });
            }
        }
    }
}

type ServerTask = JoinHandle<Result<(), BallistaError>>;

/// Opens the one port of the executor: shuffle files, and tasks for the server at `inner`. The scheduler tries it while
/// the executor registers.
fn open(
    options: &ExecutorOptions,
    work_dir: &str,
    listener: &tokio::net::TcpListener,
    inner: SocketAddr,
    shutdown: &ShutdownNotifier,
) -> Result<ServerTask, ExecutorError> {
    let socket = std::os::fd::AsFd::as_fd(listener).try_clone_to_owned().map(std::net::TcpListener::from);
    let listener = socket
        .and_then(tokio::net::TcpListener::from_std)
        .map_err(|source| ExecutorError::Io { what: "cannot use the socket".into(), source })?;
    let limit = options.wire.message_limit;
    let shuffle = FlightServiceServer::new(BallistaFlightService::new(work_dir.to_owned()))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit);
    let inner = Endpoint::from_shared(format!("http://{inner}"))?.connect_lazy();
    let tasks = ExecutorGrpcServer::new(Front::new(inner, limit))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit);
    let mut closing = shutdown.subscribe_for_shutdown();
    let serve = options
        .wire
        .server()?
        .add_service(InterceptedService::new(shuffle, options.wire.guard()))
        .add_service(InterceptedService::new(tasks, options.wire.guard()))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async move {
            closing.recv().await;
        });
    Ok(tokio::spawn(async move { serve.await.map_err(BallistaError::TonicError) }))
}

/// The directory of shuffle files, removed on drop if it is ours.
struct WorkDir {
    path: String,
    _private: Option<TempDir>,
}

impl WorkDir {
    fn new(given: Option<&PathBuf>) -> Result<Self, ExecutorError> {
        let io = |source| ExecutorError::Io { what: "cannot create the work directory".into(), source };
        let private = match given {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(io)?;
                None
            }
            None => Some(tempfile::Builder::new().prefix("lode-executor-").tempdir().map_err(io)?),
        };
        let path = private.as_ref().map(TempDir::path).or(given.map(PathBuf::as_path)).expect("one of the two is set");
        let path = path.to_str().ok_or_else(|| ExecutorError::WorkDir(path.to_owned()))?.to_owned();
        Ok(Self { path, _private: private })
    }
}

/// Starts Ballista's server for tasks and registers the executor.
async fn register(
    options: &ExecutorOptions,
    work_dir: &str,
    addr: SocketAddr,
    inner: SocketAddr,
    scheduler: &SchedulerGrpcClient<Channel>,
    shutdown: &ShutdownNotifier,
    health: ExecutorHealth,
) -> Result<(Arc<Executor>, mpsc::Receiver<bool>, ServerTask), BallistaError> {
    let process = Arc::new(ExecutorProcessConfig {
        bind_host: inner.ip().to_string(),
        grpc_max_decoding_message_size: options.wire.message_limit_u32(),
        grpc_max_encoding_message_size: options.wire.message_limit_u32(),
        executor_heartbeat_interval_seconds: options.heartbeat.as_secs().max(1),
        override_create_grpc_client_endpoint: Some(options.wire.endpoint()),
        ..ExecutorProcessConfig::default()
    });
    let (wire, config) = (options.wire.clone(), options.config.clone());
    let config: ConfigProducer = Arc::new(move || wire.apply(config()));
    let codec = BallistaCodec::<LogicalPlanNode, PhysicalPlanNode>::new(
        options.codecs.logical.clone(),
        options.wire.task_codec(&options.codecs),
    );
    let executor = Arc::new(Executor::with_default_execution_engine(
        registration(options, addr, inner),
        work_dir,
        options.runtime.clone(),
        config,
        options.functions.clone(),
        Arc::new(LoggingMetricsCollector::default()),
        options.vcores.get(),
    ));
    let (stop, told_to_stop) = mpsc::channel(1);
    let (client, executor_) = (scheduler.clone(), executor.clone());
    let server = executor_server::startup(client, process, executor_, codec, stop, shutdown, health).await?;
    Ok((executor, told_to_stop, server))
}

/// What the scheduler is told. It reaches the executor by the first port alone: see `lode_scheduler`, which puts it in
/// the place of the second, the one of Ballista's server.
fn registration(options: &ExecutorOptions, addr: SocketAddr, inner: SocketAddr) -> ExecutorRegistration {
    let vcores = u32::try_from(options.vcores.get()).unwrap_or(u32::MAX);
    ExecutorRegistration {
        id: uuid::Uuid::new_v4().to_string(),
        // Without a host the scheduler asks for the peer's address, which only Ballista's own server assembly records.
        host: Some(options.advertise.clone().unwrap_or_else(|| match options.bind {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        })),
        port: u32::from(addr.port()),
        grpc_port: u32::from(inner.port()),
        specification: Some(ExecutorSpecification::default().with_vcores(vcores).into()),
        os_info: Some(ExecutorOperatingSystemSpecification::default().into()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    }
}

/// The parts that have to go in order at the end.
struct Life {
    executor: Arc<Executor>,
    scheduler: SchedulerGrpcClient<Channel>,
    shutdown: ShutdownNotifier,
    servers: [ServerTask; 2],
    drain: Duration,
    told_to_stop: mpsc::Receiver<bool>,
    _work: WorkDir,
}

impl Life {
    async fn run(mut self, stop: oneshot::Receiver<()>) {
        let mut silence = self.shutdown.subscribe_for_shutdown();
        let asked = tokio::select! {
            asked = stop => match asked {
                Ok(()) => true,
                // The handle is gone: run on until the scheduler ends it.
                Err(_) => tokio::select! {
                    _ = self.told_to_stop.recv() => false,
                    () = silence.recv() => false,
                },
            },
            _ = self.told_to_stop.recv() => false,
            () = silence.recv() => false,
        };
        if asked {
            self.leave().await;
        } else {
            tracing::warn!(
                executor = self.executor.metadata.id,
                "the executor stops: removed by the scheduler or cut off"
            );
        }
        self.close().await;
    }

    /// Takes no more tasks, finishes those it has as long as it may, and hands the rest back.
    async fn leave(&mut self) {
        if !self.drain.is_zero() {
            // Heartbeats say it from now on; the first one at once, before the next task comes.
            executor_server::TERMINATING.store(true, Ordering::Release);
            let status = ExecutorStatus { status: Some(Phase::Terminating("drained".to_owned())) };
            let farewell = HeartBeatParams {
                executor_id: self.executor.metadata.id.clone(),
                metrics: vec![],
                status: Some(status),
                metadata: Some(self.executor.metadata.clone()),
            };
            let told = tokio::time::timeout(CLOSE_TIMEOUT, self.scheduler.heart_beat_from_executor(farewell)).await;
            if !matches!(told, Ok(Ok(_))) {
                tracing::debug!("the scheduler was not reachable to be told of the drain");
            }
            if tokio::time::timeout(self.drain, TasksDrainedFuture(self.executor.clone())).await.is_err() {
                tracing::warn!(tasks = self.executor.active_task_count(), "unfinished tasks are handed back");
            }
            // The status of the last task is on its way.
            tokio::time::sleep(STATUS_DELAY).await;
        }
        // So that the scheduler moves the tasks at once and not after a timeout.
        let params =
            ExecutorStoppedParams { executor_id: self.executor.metadata.id.clone(), reason: "shutdown".to_owned() };
        let told = tokio::time::timeout(CLOSE_TIMEOUT, self.scheduler.executor_stopped(params)).await;
        if !matches!(told, Ok(Ok(_))) {
            tracing::debug!("the scheduler was not reachable for a goodbye");
        }
    }

    async fn close(self) {
        let ShutdownNotifier { notify_shutdown, mut shutdown_complete_rx, shutdown_complete_tx } = self.shutdown;
        // Nobody listening means that everything has ended already.
        let _ = notify_shutdown.send(());
        drop((notify_shutdown, shutdown_complete_tx));
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, shutdown_complete_rx.recv()).await;
        if closed.is_err() {
            tracing::warn!("the executor's loops did not end in time");
        }
        // Servers wait for clients that keep their connections open: no task is left, so there is nothing to wait for.
        for server in self.servers {
            server.abort();
            let _ = server.await;
        }
    }
}
