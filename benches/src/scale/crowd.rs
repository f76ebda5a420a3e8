//! Executors that do nothing: they take tasks and say at once that all is well. What a scheduler spends on a thousand
//! executors can be seen on one machine, as nothing is extracted.

use std::io;
use std::time::Duration;

use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::serde::protobuf::executor_grpc_server::{ExecutorGrpc, ExecutorGrpcServer};
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelTasksParams, CancelTasksResult, ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorResource,
    ExecutorSpecification, ExecutorStatus, HeartBeatParams, LaunchMultiTaskParams, LaunchMultiTaskResult,
    LaunchTaskParams, LaunchTaskResult, MultiTaskDefinition, NamedCount, OperatorMetric, OperatorMetricsSet,
    RegisterExecutorParams, RemoveJobDataParams, RemoveJobDataResult, ShuffleWritePartition, StopExecutorParams,
    StopExecutorResult, SuccessfulTask, TaskId, TaskStatus, UpdateTaskStatusParams, executor_resource, executor_status,
    operator_metric, task_status,
};
use lode_executor::wire::Wire;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often each gives a sign of life: as often as real ones.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Operators of a stage of tasks, and metrics that each reports.
const OPERATORS: usize = 3;
const METRICS: usize = 8;

/// Executors that are registered with a scheduler.
pub struct Crowd {
    /// Tasks that were reported, with the bytes of their plans.
    done: mpsc::UnboundedReceiver<Result<(usize, usize), Status>>,
}

impl Crowd {
    /// Registers so many, each with a port and a slot of its own.
    pub async fn gather(wire: &Wire, scheduler: &str, count: usize) -> io::Result<Self> {
        let channel = wire.connect(scheduler).await.map_err(io::Error::other)?;
        let scheduler = SchedulerGrpcClient::new(channel);
        let (report, done) = mpsc::unbounded_channel();
        let mut members = vec![];
        for number in 0..count {
            let member =
                Member { id: format!("idle-{number:05}"), scheduler: scheduler.clone(), report: report.clone() };
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            let registration = member.registration(listener.local_addr()?.port());
            let service = ExecutorGrpcServer::new(member.clone()).max_decoding_message_size(wire.message_limit);
            let server = wire.server().map_err(io::Error::other)?.add_service(service);
            tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))));
            let params = RegisterExecutorParams { metadata: Some(registration.clone()) };
            scheduler.clone().register_executor(params).await.map_err(io::Error::other)?;
            members.push((member, registration));
        }
        tokio::spawn(stay(members));
        Ok(Self { done })
    }

    /// Waits until so many tasks are reported; gives the bytes of their plans.
    pub async fn finish(&mut self, tasks: usize) -> io::Result<usize> {
        let (mut reported, mut bytes) = (0, 0);
        while reported < tasks {
            let done = timeout(PATIENCE, self.done.recv()).await.ok().flatten();
            let waited = || io::Error::other(format!("only {reported} of {tasks} tasks came"));
            let (more, size) = done.ok_or_else(waited)?.map_err(io::Error::other)?;
            reported += more;
            bytes += size;
        }
        Ok(bytes)
    }
}

/// Signs of life, for as long as the process lives.
async fn stay(members: Vec<(Member, ExecutorRegistration)>) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        for (member, registration) in &members {
            let params = HeartBeatParams {
                executor_id: member.id.clone(),
                metrics: vec![],
                status: Some(ExecutorStatus { status: Some(executor_status::Status::Active(String::new())) }),
                metadata: Some(registration.clone()),
            };
            // Whoever has no scheduler any more is about to end.
            let _ = member.scheduler.clone().heart_beat_from_executor(params).await;
        }
    }
}

#[derive(Clone)]
struct Member {
    id: String,
    scheduler: SchedulerGrpcClient<Channel>,
    report: mpsc::UnboundedSender<Result<(usize, usize), Status>>,
}

impl Member {
    fn registration(&self, port: u16) -> ExecutorRegistration {
        let slot = ExecutorResource { resource: Some(executor_resource::Resource::Vcores(1)) };
        ExecutorRegistration {
            id: self.id.clone(),
            host: Some("127.0.0.1".into()),
            port: port.into(),
            grpc_port: port.into(),
            specification: Some(ExecutorSpecification { resources: vec![slot] }),
            os_info: Some(ExecutorOperatingSystemSpecification::default()),
            ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
        }
    }

    /// Reports tasks as done; gives how many there were, and the bytes of their plans.
    async fn done(mut self, definitions: Vec<MultiTaskDefinition>) -> Result<(usize, usize), Status> {
        let bytes = definitions.iter().map(|definition| definition.plan.len()).sum();
        let task_status: Vec<TaskStatus> = definitions.iter().flat_map(|of| self.statuses(of)).collect();
        let count = task_status.len();
        let params = UpdateTaskStatusParams { executor_id: self.id.clone(), task_status };
        self.scheduler.update_task_status(params).await?;
        Ok((count, bytes))
    }

    fn statuses(&self, definition: &MultiTaskDefinition) -> Vec<TaskStatus> {
        let partition = |task: u32, partition: u32| ShuffleWritePartition {
            partition_id: partition.into(),
            num_batches: 1,
            num_rows: 1,
            num_bytes: 512,
            file_id: Some(task.into()),
            is_sort_shuffle: false,
        };
        let status = |task: &TaskId| TaskStatus {
            task_id: task.task_id,
            job_id: definition.job_id.clone(),
            stage_id: definition.stage_id,
            stage_attempt_num: definition.stage_attempt_num,
            launch_time: definition.launch_time,
            start_exec_time: definition.launch_time,
            end_exec_time: definition.launch_time,
            metrics: vec![metrics(); OPERATORS],
            status: Some(task_status::Status::Successful(SuccessfulTask {
                executor_id: self.id.clone(),
                partitions: task.global_output_partition_ids.iter().map(|at| partition(task.task_id, *at)).collect(),
                ..SuccessfulTask::default()
            })),
        };
        definition.task_ids.iter().map(status).collect()
    }
}

/// As much as an operator says.
fn metrics() -> OperatorMetricsSet {
    let count = |at| NamedCount { name: format!("metric_{at}"), value: 1 };
    let metric = |at| OperatorMetric { partition: Some(0), metric: Some(operator_metric::Metric::Count(count(at))) };
    OperatorMetricsSet { metrics: (0..METRICS).map(metric).collect() }
}

#[tonic::async_trait]
impl ExecutorGrpc for Member {
    async fn launch_multi_task(
        &self,
        request: Request<LaunchMultiTaskParams>,
    ) -> Result<Response<LaunchMultiTaskResult>, Status> {
        let (member, tasks) = (self.clone(), request.into_inner().multi_tasks);
        tokio::spawn(async move {
            let report = member.report.clone();
            // Nobody listens any more once all tasks were reported.
            let _ = report.send(member.done(tasks).await);
        });
        Ok(Response::new(LaunchMultiTaskResult { failed_jobs: vec![] }))
    }

    async fn launch_task(&self, _: Request<LaunchTaskParams>) -> Result<Response<LaunchTaskResult>, Status> {
        Err(Status::unimplemented("tasks come several at a time"))
    }

    async fn stop_executor(&self, _: Request<StopExecutorParams>) -> Result<Response<StopExecutorResult>, Status> {
        Ok(Response::new(StopExecutorResult {}))
    }

    async fn cancel_tasks(&self, _: Request<CancelTasksParams>) -> Result<Response<CancelTasksResult>, Status> {
        Ok(Response::new(CancelTasksResult { cancelled: false }))
    }

    async fn remove_job_data(&self, _: Request<RemoveJobDataParams>) -> Result<Response<RemoveJobDataResult>, Status> {
        Ok(Response::new(RemoveJobDataResult {}))
    }
}
