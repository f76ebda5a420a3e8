//! The client side: sends a plan to a scheduler and follows its job.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use ballista_core::execution_plans::DistributedQueryExec;
use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::protobuf::CancelJobParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::utils::{GrpcClientConfig, create_grpc_client_endpoint};
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use datafusion::prelude::SessionContext;
use datafusion_proto::protobuf::LogicalPlanNode;
use futures::TryStreamExt;
use lode_executor::wire::{Codecs, Wire};

/// Why a job did not give a result.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The plan could not be prepared or sent, or the job failed on the cluster.
    #[error("job {job_name}: {source}")]
    Job {
        /// The name of the job.
        job_name: String,
        /// The cause, with the whole message of the task that failed.
        source: Box<DataFusionError>,
    },
    /// A setting is unknown or has a bad value.
    #[error("setting {key}: {source}")]
    Setting {
        /// The name of the setting.
        key: String,
        /// The cause.
        source: Box<DataFusionError>,
    },
    /// The scheduler has not yet accepted the job.
    #[error("job {0} is not accepted yet; try again")]
    NotAccepted(String),
    /// A request about a job was not answered.
    #[error("the scheduler at {url} did not answer: {reason}")]
    Unreachable {
        /// The address that was tried.
        url: String,
        /// The cause.
        reason: String,
    },
}

/// Where a job goes and under which name.
#[derive(Clone, Debug)]
pub struct SubmitOptions {
    /// The address of the scheduler, as `http://host:port`.
    pub scheduler: String,
    /// The name of the job: the id of its run.
    pub job_name: String,
    /// How plan nodes are written.
    pub codecs: Codecs,
    /// Limits and token of the connections.
    pub wire: Wire,
    /// Settings on top of those of the session.
    pub settings: Vec<(String, String)>,
}

/// A job on its way. Dropping it does not stop the job, which goes on without its client.
pub struct Submission {
    query: Arc<DistributedQueryExec<LogicalPlanNode>>,
    context: Arc<TaskContext>,
    options: SubmitOptions,
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission").field("job_name", &self.options.job_name).finish_non_exhaustive()
    }
}

/// Prepares a plan for a scheduler: it is optimized with the session's own rules, and nothing is sent before the
/// results are asked for.
pub fn prepare(
    plan: &LogicalPlan,
    session: &SessionContext,
    options: SubmitOptions,
) -> Result<Submission, SubmitError> {
    let job = |source| SubmitError::Job { job_name: options.job_name.clone(), source: Box::new(source) };
    let mut state = session.state();
    let mut config = options.wire.apply(state.config().clone()).with_ballista_job_name(&options.job_name);
    for (key, value) in &options.settings {
        config
            .options_mut()
            .set(key, value)
            .map_err(|source| SubmitError::Setting { key: key.clone(), source: Box::new(source) })?;
    }
    *state.config_mut() = config;
    let plan = state.optimize(plan).map_err(job)?;
    let query = Arc::new(DistributedQueryExec::with_extension(
        options.scheduler.clone(),
        state.config().ballista_config(),
        plan,
        options.codecs.logical.clone(),
        state.session_id().to_owned(),
    ));
    let context = Arc::new(TaskContext::from(&state));
    Ok(Submission { query, context, options })
}

/// Submits a plan and waits for its rows.
pub async fn submit_logical(
    plan: &LogicalPlan,
    session: &SessionContext,
    options: SubmitOptions,
) -> Result<Vec<RecordBatch>, SubmitError> {
    prepare(plan, session, options)?.collect().await
}

impl Submission {
    /// The identity that the scheduler gave to the job, once it has accepted it.
    pub fn job_id(&self) -> Option<String> {
        self.query.job_id().map(|id| id.to_string())
    }

    /// Sends the job; its rows come once it is done.
    pub fn stream(&self) -> Result<SendableRecordBatchStream, SubmitError> {
        self.query.execute(0, self.context.clone()).map_err(|e| self.failed(e))
    }

    /// Sends the job and waits for its rows, which are few: facts go to tables and not to clients.
    pub async fn collect(&self) -> Result<Vec<RecordBatch>, SubmitError> {
        self.stream()?.try_collect().await.map_err(|e| self.failed(e))
    }

    /// Asks the scheduler to cancel the job. Tasks that already run are not stopped by this.
    pub async fn cancel(&self) -> Result<(), SubmitError> {
        let id = self.job_id().ok_or_else(|| SubmitError::NotAccepted(self.options.job_name.clone()))?;
        cancel(&self.options.scheduler, &self.options.wire, &id).await
    }

    fn failed(&self, source: DataFusionError) -> SubmitError {
        SubmitError::Job { job_name: self.options.job_name.clone(), source: Box::new(source) }
    }
}

/// Asks a scheduler to cancel a job by the identity that it gave to it.
pub async fn cancel(scheduler: &str, wire: &Wire, job_id: &str) -> Result<(), SubmitError> {
    let unreachable = |reason: String| SubmitError::Unreachable { url: scheduler.to_owned(), reason };
    let endpoint = create_grpc_client_endpoint(scheduler.to_owned(), Some(&GrpcClientConfig::default()))
        .map_err(|e| unreachable(e.to_string()))?;
    let endpoint = (wire.endpoint())(endpoint).map_err(|e| unreachable(e.to_string()))?;
    let channel = endpoint.connect().await.map_err(|e| unreachable(format!("{e:?}")))?;
    SchedulerGrpcClient::new(channel)
        .cancel_job(CancelJobParams { job_id: job_id.to_owned() })
        .await
        .map_err(|status| unreachable(status.message().to_owned()))?;
    Ok(())
}
