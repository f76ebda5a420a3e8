//! What every hop of a cluster has to agree on: codecs, message limits, session settings and the per-run token.

use std::fmt;
use std::sync::Arc;

use ballista_core::config::{
    BALLISTA_ADAPTIVE_PLANNER_ENABLED, BALLISTA_CLIENT_PULL, BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK,
};
use ballista_core::extension::{EndpointOverrideFn, SessionConfigExt};
use datafusion::prelude::SessionConfig;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::seal::Sealed;

/// The default bound of one message on every hop. An oversized plan otherwise dies as an HTTP/2 protocol error.
pub const MESSAGE_LIMIT: usize = 256 << 20;

/// What precedes the token in the user agent.
const USER_AGENT: &str = "lode/";

/// How plan nodes travel between processes.
#[derive(Clone, Debug)]
pub struct Codecs {
    /// Encodes extension nodes and table providers of logical plans.
    pub logical: Arc<dyn LogicalExtensionCodec>,
    /// Encodes extension operators of physical plans.
    pub physical: Arc<dyn PhysicalExtensionCodec>,
}

/// The agreement of a cluster's processes about their connections.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The bound of one message, in bytes.
    pub message_limit: usize,
    /// The secret that servers ask for, if any.
    pub token: Option<Token>,
}

impl Default for Wire {
    fn default() -> Self {
        Self { message_limit: MESSAGE_LIMIT, token: None }
    }
}

impl Wire {
    /// A wire with a fresh token, for a cluster that lives as long as one run.
    pub fn private() -> Self {
        Self { token: Some(Token::random()), ..Self::default() }
    }

    /// Puts the settings that correctness rests on into a session configuration.
    ///
    /// Adaptive planning has no complete handling of lost executors, and a task that covers several partitions redoes
    /// all of them when it is retried.
    pub fn apply(&self, config: SessionConfig) -> SessionConfig {
        config
            .upgrade_for_ballista()
            .set_bool(BALLISTA_ADAPTIVE_PLANNER_ENABLED, false)
            .set_usize(BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, 1)
            // The scheduler then streams the status of a job; the alternative polls every 50 ms.
            .set_bool(BALLISTA_CLIENT_PULL, false)
            .with_ballista_grpc_client_max_message_size(self.message_limit)
            .with_ballista_override_create_grpc_client_endpoint(self.endpoint())
    }

    /// The hook that makes Ballista's own clients present the token.
    ///
    /// Ballista opens connections in five places and offers one hook for all of them, on the endpoint. An endpoint has
    /// no metadata but a user agent, so that is where the token goes.
    pub fn endpoint(&self) -> EndpointOverrideFn {
        let token = self.token.clone();
        Arc::new(move |endpoint| match &token {
            Some(token) => Ok(endpoint.user_agent(token.user_agent())?),
            None => Ok(endpoint),
        })
    }

    /// The check that a server puts in front of its services.
    pub fn guard(&self) -> Guard {
        Guard { token: self.token.clone() }
    }

    /// The codec of tasks, which carry the token too.
    pub fn task_codec(&self, codecs: &Codecs) -> Arc<dyn PhysicalExtensionCodec> {
        match &self.token {
            Some(token) => Arc::new(Sealed::new(codecs.physical.clone(), token.clone())),
            None => codecs.physical.clone(),
        }
    }

    /// The message limit in the type of Ballista's configurations.
    pub fn message_limit_u32(&self) -> u32 {
        u32::try_from(self.message_limit).unwrap_or(u32::MAX)
    }
}

/// A secret shared by the processes of one run.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// A new token of 122 random bits.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string().into())
    }

    /// A token handed over by another process: letters, digits, `-` and `_`, at least 16 of them.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (plain && text.len() >= 16).then(|| Self(text.into()))
    }

    /// The secret itself, to hand it to another process.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn user_agent(&self) -> String {
        format!("{USER_AGENT}{}", self.0)
    }

    fn is_in(&self, metadata: &MetadataMap) -> bool {
        let given = metadata.get("user-agent").map(|v| v.as_bytes()).unwrap_or_default();
        let given = given.split(|b| *b == b' ').next().unwrap_or_default();
        given.strip_prefix(USER_AGENT.as_bytes()).is_some_and(|given| self.equals(given))
    }

    /// Compares in a time that does not depend on where the texts differ.
    pub(crate) fn equals(&self, given: &[u8]) -> bool {
        given.len() == self.0.len() && given.iter().zip(self.0.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Refuses requests that don't carry the token of the run.
#[derive(Clone, Debug)]
pub struct Guard {
    token: Option<Token>,
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match &self.token {
            Some(token) if !token.is_in(request.metadata()) => {
                Err(Status::unauthenticated("the request carries no token of this run"))
            }
            _ => Ok(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(agent: Option<&str>) -> Request<()> {
        let mut request = Request::new(());
        if let Some(agent) = agent {
            request.metadata_mut().insert("user-agent", agent.parse().unwrap());
        }
        request
    }

    #[test]
    fn a_guard_lets_only_its_own_token_pass() {
        let wire = Wire::private();
        let token = wire.token.clone().unwrap();
        let mut guard = wire.guard();
        assert!(guard.call(request(Some(&format!("{} tonic/0.14", token.user_agent())))).is_ok());
        assert!(guard.call(request(Some(&token.user_agent()))).is_ok());
        assert!(guard.call(request(None)).is_err());
        assert!(guard.call(request(Some("tonic/0.14"))).is_err());
        assert!(guard.call(request(Some(&Token::random().user_agent()))).is_err());
        assert!(guard.call(request(Some(&format!("{}x", token.user_agent())))).is_err());
        assert!(Wire::default().guard().call(request(None)).is_ok());
    }

    #[test]
    fn a_token_fits_a_header_and_is_not_printed() {
        let token = Token::random();
        assert_eq!(Token::parse(token.expose()), Some(token.clone()));
        assert_eq!(Token::parse("short"), None);
        assert_eq!(Token::parse("a token with spaces in it"), None);
        assert!(!format!("{token:?}").contains(token.expose()));
    }

    #[test]
    fn the_settings_survive_a_configuration_that_was_upgraded_before() {
        let config = Wire { message_limit: 1 << 30, token: None }.apply(SessionConfig::new_with_ballista());
        assert!(!config.ballista_adaptive_query_planner_enabled());
        assert_eq!(config.ballista_grpc_client_max_message_size(), 1 << 30);
        assert!(!config.ballista_config().client_pull());
    }
}
