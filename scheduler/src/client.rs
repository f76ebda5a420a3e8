//! The client's side of a scheduler: submits jobs, and asks for them by the id of their run.

use ballista_core::extension::{SessionConfigExt, SessionConfigHelperExt};
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{ExecuteQueryParams, execute_query_result};
use ballista_core::version;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::protobuf::LogicalPlanNode;
use http_body_util::{BodyExt, Limited};
use lode_executor::wire::{Codecs, ConnectError, Wire, root_cause, url};
use serde::de::DeserializeOwned;
use tonic::transport::Channel;
use tower::ServiceExt;

use crate::api::{About, JobView, ROOT, Refused};
use crate::job::JobRecord;

/// Why a scheduler did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke.
    #[error("the scheduler at {url} does not answer: {reason}")]
    Lost {
        /// The address.
        url: String,
        /// The cause.
        reason: String,
    },
    /// The scheduler refuses, and says why.
    #[error("the scheduler refuses: {reason}")]
    Refused {
        /// Its reason.
        reason: String,
    },
    /// The scheduler knows no such job.
    #[error("{reason}")]
    Unknown {
        /// What it says.
        reason: String,
    },
    /// The plan can't be sent.
    #[error("the plan can't be sent: {0}")]
    Plan(#[from] DataFusionError),
}

impl ClientError {
    /// Whether it may be otherwise in a while.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Lost { .. })
    }
}

/// A connection to a scheduler.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    url: String,
    wire: Wire,
}

impl Client {
    /// Connects to the scheduler at an address such as `df://host:port`.
    ///
    /// # Errors
    /// If nobody answers there.
    pub async fn connect(address: &str, wire: &Wire) -> Result<Self, ClientError> {
        Ok(Self { channel: wire.connect(address).await?, url: url(address), wire: wire.clone() })
    }

    /// Sends a job and returns the scheduler's id of it. It runs whether or not anybody asks for it again.
    ///
    /// # Errors
    /// If the scheduler does not take it.
    pub async fn submit(
        &self,
        name: &str,
        plan: &LogicalPlan,
        session: &SessionContext,
        codecs: &Codecs,
    ) -> Result<String, ClientError> {
        let mut state = session.state();
        *state.config_mut() = self.wire.apply(state.config().clone()).with_ballista_job_name(name);
        let plan = state.optimize(plan)?;
        let mut bytes = vec![];
        LogicalPlanNode::try_from_logical_plan(&plan, codecs.logical.as_ref())?.try_encode(&mut bytes)?;
        let mut request = tonic::Request::new(ExecuteQueryParams {
            query: Some(Query::LogicalPlan(bytes)),
            // A session of its own for each job: the scheduler keeps what it was told of one.
            session_id: uuid::Uuid::new_v4().to_string(),
            operation_id: uuid::Uuid::now_v7().to_string(),
            settings: state.config().to_key_value_pairs(),
        });
        version::insert_version_header(request.metadata_mut());
        let mut scheduler = SchedulerGrpcClient::new(self.channel.clone())
            .max_encoding_message_size(self.wire.message_limit)
            .max_decoding_message_size(self.wire.message_limit);
        let response = scheduler.execute_query(request).await.map_err(|status| self.failed(&status))?;
        match response.into_inner().result {
            Some(execute_query_result::Result::Success(success)) => Ok(success.job_id),
            Some(execute_query_result::Result::Failure(failure)) => {
                Err(ClientError::Refused { reason: format!("{failure:?}") })
            }
            None => Err(ClientError::Refused { reason: "no answer".into() }),
        }
    }

    /// What the scheduler says of itself.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn about(&self) -> Result<About, ClientError> {
        self.ask("GET", "/about").await
    }

    /// The jobs it remembers, oldest first.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn jobs(&self) -> Result<Vec<JobView>, ClientError> {
        self.ask("GET", "/jobs").await
    }

    /// The latest job of a run.
    ///
    /// # Errors
    /// If it does not answer, or there is none.
    pub async fn job(&self, run: &str) -> Result<JobView, ClientError> {
        self.ask("GET", &format!("/jobs/{run}")).await
    }

    /// Everything it captured of the latest job of a run.
    ///
    /// # Errors
    /// If it does not answer, or there is none.
    pub async fn record(&self, run: &str) -> Result<JobRecord, ClientError> {
        self.ask("GET", &format!("/jobs/{run}/record")).await
    }

    /// Cancels a run: from then on it can't be committed, and its tasks end.
    ///
    /// # Errors
    /// If it does not answer, there is none, or the commit was faster.
    pub async fn cancel(&self, run: &str) -> Result<JobView, ClientError> {
        self.ask("POST", &format!("/jobs/{run}/cancel")).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: &str, path: &str) -> Result<T, ClientError> {
        let lost = |reason: String| ClientError::Lost { url: self.url.clone(), reason };
        // The host is that of the channel; HTTP wants one all the same.
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{ROOT}{path}", self.url))
            .body(tonic::body::Body::empty())
            .map_err(|e| lost(e.to_string()))?;
        let response = self.channel.clone().oneshot(request).await.map_err(|e| lost(root_cause(&e)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), self.wire.message_limit).collect().await;
        let body = body.map_err(|e| lost(e.to_string()))?.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|e| lost(format!("an answer that can't be read: {e}")));
        }
        let reason = serde_json::from_slice::<Refused>(&body).map(|refused| refused.error);
        let reason = reason.unwrap_or_else(|_| format!("status {status}; is a scheduler of lode at this address?"));
        Err(match status {
            http::StatusCode::NOT_FOUND => ClientError::Unknown { reason },
            _ => ClientError::Refused { reason },
        })
    }

    fn failed(&self, status: &tonic::Status) -> ClientError {
        match status.code() {
            tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::DeadlineExceeded => {
                ClientError::Lost { url: self.url.clone(), reason: status.message().to_owned() }
            }
            _ => ClientError::Refused { reason: status.message().to_owned() },
        }
    }
}
