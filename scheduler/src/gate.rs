//! The door of the scheduler: who may ask for what, and which plans are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ballista_core::config::{
    BALLISTA_ADAPTIVE_PLANNER_ENABLED, BALLISTA_JOB_NAME, BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK,
};
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::execute_query_result;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpc;
use ballista_core::serde::protobuf::{
    CancelJobParams, CancelJobResult, CleanJobDataParams, CleanJobDataResult, CreateUpdateSessionParams,
    CreateUpdateSessionResult, ExecuteQueryParams, ExecuteQueryResult, ExecuteQuerySuccessResult, ExecutorRegistration,
    ExecutorStoppedParams, ExecutorStoppedResult, GetJobMetricsParams, GetJobMetricsResult, GetJobStatusParams,
    GetJobStatusResult, HeartBeatParams, HeartBeatResult, KeyValuePair, PollWorkParams, PollWorkResult,
    RegisterExecutorParams, RegisterExecutorResult, RemoveSessionParams, RemoveSessionResult, UpdateTaskStatusParams,
    UpdateTaskStatusResult,
};
use ballista_core::version;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion_proto::logical_plan::{AsLogicalPlan, LogicalExtensionCodec};
use datafusion_proto::protobuf::LogicalPlanNode;
use lode_executor::wire::{Announcement, Guard};
use lode_plan::nodes::{CommitNode, ExtractNode, JobSpec};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::capture::Captures;
use crate::server::Server;
use crate::tally::Tally;

/// Which plans a scheduler takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// Any.
    #[default]
    Any,
    /// Lode's jobs, `Commit ← Extract ← worklist`, and nothing else.
    Jobs {
        /// Lakes, by the beginning of their url; any if there are none.
        lakes: Vec<String>,
    },
}

impl Admission {
    fn check(&self, plan: &LogicalPlan) -> Result<(), Status> {
        let Self::Jobs { lakes } = self else { return Ok(()) };
        let spec = job(plan).ok_or_else(|| {
            Status::permission_denied("this cluster runs extractions alone; run queries with `lode query`")
        })?;
        if lakes.is_empty() || lakes.iter().any(|lake| spec.lake.starts_with(lake)) {
            return Ok(());
        }
        Err(Status::permission_denied(format!("this cluster does not write to {} (--allow-lake)", spec.lake)))
    }
}

/// The job of a plan that has the shape of one.
fn job(plan: &LogicalPlan) -> Option<&JobSpec> {
    let LogicalPlan::Extension(commit) = plan else { return None };
    let commit = commit.node.as_any().downcast_ref::<CommitNode>()?;
    let LogicalPlan::Extension(extract) = &commit.input else { return None };
    let extract = extract.node.as_any().downcast_ref::<ExtractNode>()?;
    let LogicalPlan::TableScan(_) = &extract.input else { return None };
    (extract.spec == commit.spec).then_some(&commit.spec)
}

/// Stands in front of Ballista's service.
#[derive(Clone)]
pub(crate) struct Gate {
    pub inner: Server,
    /// Lets the cluster's own processes pass.
    pub members: Guard,
    /// Lets members and clients pass.
    pub everybody: Guard,
    pub admission: Admission,
    pub codec: Arc<dyn LogicalExtensionCodec>,
    pub context: Arc<TaskContext>,
    pub captures: Captures,
    pub tally: Tally,
    /// Set once the scheduler is about to end.
    pub draining: Arc<AtomicBool>,
}

impl Gate {
    /// Looks at a request to run something, and puts the settings that correctness rests on over those of the client.
    fn admit(&self, metadata: &MetadataMap, query: &mut ExecuteQueryParams) -> Result<(), Status> {
        self.everybody.check(metadata)?;
        if self.draining.load(Ordering::Acquire) {
            return Err(Status::unavailable("the scheduler is about to end; submit the run again to the next one"));
        }
        let own = Announcement::own();
        if let Some(client) = Announcement::of(metadata).filter(|client| client.fingerprints != own.fingerprints) {
            return Err(Status::failed_precondition(format!(
                "this cluster is lode {} and makes facts of fingerprint {}, the client asks for {} (lode {}); use the \
                 client of the cluster's version",
                own.version, own.fingerprints, client.fingerprints, client.version
            )));
        }
        match &query.query {
            Some(Query::LogicalPlan(bytes)) => {
                let unreadable = |e| Status::invalid_argument(format!("the plan can't be read: {e}"));
                let plan = LogicalPlanNode::try_decode(bytes).map_err(unreadable)?;
                let plan = plan.try_into_logical_plan(&self.context, self.codec.as_ref()).map_err(unreadable)?;
                self.admission.check(&plan)?;
            }
            _ if self.admission == Admission::Any => {}
            _ => return Err(Status::permission_denied("this cluster takes logical plans alone")),
        }
        for (key, value) in
            [(BALLISTA_ADAPTIVE_PLANNER_ENABLED, "false"), (BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, "1")]
        {
            query.settings.push(KeyValuePair { key: key.into(), value: Some(value.into()) });
        }
        Ok(())
    }

    /// Members alone may say such things, and say them of an executor that makes the same facts as this scheduler.
    fn member(&self, metadata: &MetadataMap, executor: Option<&mut ExecutorRegistration>) -> Result<(), Status> {
        self.members.check(metadata)?;
        let Some(executor) = executor else { return Ok(()) };
        let own = Announcement::own();
        match Announcement::of(metadata) {
            Some(other) if other.fingerprints == own.fingerprints => {}
            other => {
                let other =
                    other.map_or("an unknown version".to_owned(), |o| format!("{} ({})", o.version, o.fingerprints));
                return Err(Status::failed_precondition(format!(
                    "this cluster is lode {} ({}), the executor is {other}; start executors of the cluster's version",
                    own.version, own.fingerprints
                )));
            }
        }
        // Tasks and shuffle files go through one port, which is the guarded one.
        executor.grpc_port = executor.port;
        Ok(())
    }
}

#[tonic::async_trait]
impl SchedulerGrpc for Gate {
    type ExecuteQueryPushStream = <Server as SchedulerGrpc>::ExecuteQueryPushStream;

    async fn register_executor(
        &self,
        mut request: Request<RegisterExecutorParams>,
    ) -> Result<Response<RegisterExecutorResult>, Status> {
        let metadata = request.metadata().clone();
        self.member(&metadata, request.get_mut().metadata.as_mut())?;
        SchedulerGrpc::register_executor(&self.inner, request).await
    }

    async fn heart_beat_from_executor(
        &self,
        mut request: Request<HeartBeatParams>,
    ) -> Result<Response<HeartBeatResult>, Status> {
        let metadata = request.metadata().clone();
        self.member(&metadata, request.get_mut().metadata.as_mut())?;
        SchedulerGrpc::heart_beat_from_executor(&self.inner, request).await
    }

    async fn execute_query_push(
        &self,
        mut request: Request<ExecuteQueryParams>,
    ) -> Result<Response<Self::ExecuteQueryPushStream>, Status> {
        let metadata = request.metadata().clone();
        self.admit(&metadata, request.get_mut())?;
        SchedulerGrpc::execute_query_push(&self.inner, request).await
    }

    /// A run that is at work already is not started again: whoever submits it gets the job there is.
    async fn execute_query(
        &self,
        mut request: Request<ExecuteQueryParams>,
    ) -> Result<Response<ExecuteQueryResult>, Status> {
        let metadata = request.metadata().clone();
        self.admit(&metadata, request.get_mut())?;
        let name = request.get_ref().settings.iter().rev().find(|setting| setting.key == BALLISTA_JOB_NAME);
        let name = name.and_then(|setting| setting.value.as_deref()).filter(|name| !name.is_empty());
        if let Some(job) = name.and_then(|name| self.captures.job(name)).filter(|job| !job.state.is_terminal()) {
            let query = request.into_inner();
            let success = ExecuteQuerySuccessResult { job_id: job.job_id, session_id: query.session_id };
            let mut response = Response::new(ExecuteQueryResult {
                operation_id: query.operation_id,
                result: Some(execute_query_result::Result::Success(success)),
            });
            version::insert_version_header(response.metadata_mut());
            return Ok(response);
        }
        SchedulerGrpc::execute_query(&self.inner, request).await
    }

    async fn poll_work(&self, request: Request<PollWorkParams>) -> Result<Response<PollWorkResult>, Status> {
        self.members.check(request.metadata())?;
        SchedulerGrpc::poll_work(&self.inner, request).await
    }

    async fn update_task_status(
        &self,
        mut request: Request<UpdateTaskStatusParams>,
    ) -> Result<Response<UpdateTaskStatusResult>, Status> {
        self.members.check(request.metadata())?;
        self.tally.take(&mut request.get_mut().task_status);
        SchedulerGrpc::update_task_status(&self.inner, request).await
    }

    async fn executor_stopped(
        &self,
        request: Request<ExecutorStoppedParams>,
    ) -> Result<Response<ExecutorStoppedResult>, Status> {
        self.members.check(request.metadata())?;
        SchedulerGrpc::executor_stopped(&self.inner, request).await
    }

    async fn clean_job_data(
        &self,
        request: Request<CleanJobDataParams>,
    ) -> Result<Response<CleanJobDataResult>, Status> {
        self.members.check(request.metadata())?;
        SchedulerGrpc::clean_job_data(&self.inner, request).await
    }

    async fn create_update_session(
        &self,
        request: Request<CreateUpdateSessionParams>,
    ) -> Result<Response<CreateUpdateSessionResult>, Status> {
        self.everybody.check(request.metadata())?;
        SchedulerGrpc::create_update_session(&self.inner, request).await
    }

    async fn remove_session(
        &self,
        request: Request<RemoveSessionParams>,
    ) -> Result<Response<RemoveSessionResult>, Status> {
        self.everybody.check(request.metadata())?;
        SchedulerGrpc::remove_session(&self.inner, request).await
    }

    async fn get_job_status(
        &self,
        request: Request<GetJobStatusParams>,
    ) -> Result<Response<GetJobStatusResult>, Status> {
        self.everybody.check(request.metadata())?;
        SchedulerGrpc::get_job_status(&self.inner, request).await
    }

    async fn get_job_metrics(
        &self,
        request: Request<GetJobMetricsParams>,
    ) -> Result<Response<GetJobMetricsResult>, Status> {
        self.everybody.check(request.metadata())?;
        SchedulerGrpc::get_job_metrics(&self.inner, request).await
    }

    async fn cancel_job(&self, request: Request<CancelJobParams>) -> Result<Response<CancelJobResult>, Status> {
        self.everybody.check(request.metadata())?;
        SchedulerGrpc::cancel_job(&self.inner, request).await
    }
}
