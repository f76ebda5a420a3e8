//! The door of an executor: tasks and shuffle files on one port, behind certificates and the token of the cluster.
//!
//! Ballista's own server for tasks takes no certificate and no check in front of it. So it listens on the loopback
//! interface alone, and this service passes on to it what members of the cluster ask for.

use ballista_core::serde::protobuf::executor_grpc_client::ExecutorGrpcClient;
use ballista_core::serde::protobuf::executor_grpc_server::ExecutorGrpc;
use ballista_core::serde::protobuf::{
    CancelTasksParams, CancelTasksResult, LaunchMultiTaskParams, LaunchMultiTaskResult, LaunchTaskParams,
    LaunchTaskResult, RemoveJobDataParams, RemoveJobDataResult, StopExecutorParams, StopExecutorResult,
};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// Passes requests on.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    inner: ExecutorGrpcClient<Channel>,
}

impl Front {
    /// In front of a server that may not listen yet.
    pub(crate) fn new(inner: Channel, message_limit: usize) -> Self {
        let inner = ExecutorGrpcClient::new(inner)
            .max_decoding_message_size(message_limit)
            .max_encoding_message_size(message_limit);
        Self { inner }
    }
}

/// Passes the message on without what came with it.
macro_rules! pass {
    ($($method:ident($params:ty) -> $result:ty;)*) => {
        #[tonic::async_trait]
        impl ExecutorGrpc for Front {
            $(async fn $method(&self, request: Request<$params>) -> Result<Response<$result>, Status> {
                let response = self.inner.clone().$method(Request::new(request.into_inner())).await?;
                Ok(Response::new(response.into_inner()))
            })*
        }
    };
}

pass! {
    launch_task(LaunchTaskParams) -> LaunchTaskResult;
    launch_multi_task(LaunchMultiTaskParams) -> LaunchMultiTaskResult;
    stop_executor(StopExecutorParams) -> StopExecutorResult;
    cancel_tasks(CancelTasksParams) -> CancelTasksResult;
    remove_job_data(RemoveJobDataParams) -> RemoveJobDataResult;
}
