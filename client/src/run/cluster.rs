//! The embedded cluster: a scheduler, an executor and its workers in this process, on the loopback interface, behind a
//! token of their own.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::registry::BallistaFunctionRegistry;
use datafusion::arrow::array::RecordBatch;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use lode_executor::cluster::{self, ExecutorHandle, ExecutorOptions};
use lode_executor::host::{Listener, LocalHost};
use lode_executor::wire::{Codecs, Wire};
use lode_plan::codec::{LogicalCodec, PhysicalCodec};
use lode_plan::functions::scalar_functions;
use lode_plan::host::HostHandle;
use lode_plan::session::{configure, session_state};
use lode_scheduler::capture::JobRecord;
use lode_scheduler::server::{self, SchedulerHandle, SchedulerOptions};
use lode_scheduler::submit::{SubmitError, SubmitOptions, submit_logical};

/// How long to wait for the scheduler's record of a job that has ended.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the embedded cluster did not start.
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
    /// The session.
    #[error(transparent)]
    Session(#[from] datafusion::error::DataFusionError),
}

/// A running cluster inside this process.
pub struct EmbeddedCluster {
    scheduler: SchedulerHandle,
    executor: ExecutorHandle,
    host: Arc<LocalHost>,
    codecs: Codecs,
    wire: Wire,
    context: SessionContext,
}

/// An executor of Lode's plans: its sessions know the extraction host and Lode's functions.
pub fn executor_options(scheduler: String, wire: &Wire, workers: usize, host: &HostHandle) -> ExecutorOptions {
    let task_config = {
        let (wire, host) = (wire.clone(), host.clone());
        Arc::new(move || wire.apply(configure(SessionConfig::new(), Some(&host))))
    };
    let runtime = Arc::new(|_: &SessionConfig| Ok(Arc::default()));
    ExecutorOptions {
        wire: wire.clone(),
        vcores: workers.try_into().unwrap_or(std::num::NonZeroUsize::MIN),
        functions: Arc::new(functions(host)),
        ..ExecutorOptions::new(scheduler, codecs(), task_config, runtime)
    }
}

/// A scheduler of Lode's plans.
pub fn scheduler_options(wire: &Wire) -> SchedulerOptions {
    let session = Arc::new(|config: SessionConfig| session_state(config, Arc::default(), None));
    let config = Arc::new(|| configure(SessionConfig::new(), None));
    SchedulerOptions { wire: wire.clone(), ..SchedulerOptions::new(session, config, codecs()) }
}

/// How Lode's plans travel.
pub fn codecs() -> Codecs {
    Codecs { logical: Arc::new(LogicalCodec::default()), physical: Arc::new(PhysicalCodec::default()) }
}

/// The functions of plans, as Ballista's executors look them up.
pub fn functions(host: &HostHandle) -> BallistaFunctionRegistry {
    let mut registry = BallistaFunctionRegistry::default();
    for function in scalar_functions(Some(host)) {
        registry.scalar_functions.insert(function.name().to_owned(), function);
    }
    registry
}

impl EmbeddedCluster {
    /// Starts a cluster with so many workers, and as many tasks at a time.
    ///
    /// # Errors
    /// If a server can't start.
    pub async fn start(workers: usize, listener: Option<Listener>) -> Result<Self, ClusterError> {
        let host = Arc::new(LocalHost::new(workers, listener));
        let handle = HostHandle(host.clone());
        let (codecs, wire) = (codecs(), Wire::private());

        let scheduler = server::start(TcpListener::bind(("127.0.0.1", 0))?, scheduler_options(&wire)).await?;
        let options = executor_options(scheduler.url(), &wire, workers, &handle);
        let executor = cluster::start(options).await?;

        let config = wire.apply(SessionConfig::new());
        let context = SessionContext::new_with_state(session_state(config, Arc::default(), Some(&handle))?);
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

    /// What the scheduler saw of the last job of this name, once it is over.
    pub async fn record(&self, name: &str) -> Option<JobRecord> {
        self.scheduler.finished(name, RECORD_TIMEOUT).await
    }

    /// Stops executor, workers and scheduler.
    pub async fn stop(self) {
        self.host.close();
        self.executor.shutdown().await;
        self.scheduler.shutdown();
    }
}
