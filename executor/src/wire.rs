//! What every hop of a cluster has to agree on: codecs, message limits, session settings, certificates and tokens.

use std::fmt;
use std::sync::Arc;

use ballista_core::config::{
    BALLISTA_ADAPTIVE_PLANNER_ENABLED, BALLISTA_CLIENT_PULL, BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK,
};
use ballista_core::extension::{EndpointOverrideFn, SessionConfigExt};
use ballista_core::utils::{GrpcClientConfig, GrpcServerConfig, create_grpc_client_endpoint, create_grpc_server};
use datafusion::prelude::SessionConfig;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use lode_facts::lane::LaneId;
use lode_facts::options::Options;
use lode_plan::fingerprint::text_hash;
use serde::Serialize;
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status};

use crate::seal::Sealed;
use crate::tls::Tls;

/// The default bound of one message on every hop. An oversized plan otherwise dies as an HTTP/2 protocol error.
pub const MESSAGE_LIMIT: usize = 256 << 20;

/// What precedes the token in the user agent.
const USER_AGENT: &str = "lode/";

/// What precedes the version in the user agent.
const PRODUCT: &str = "version/";

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
    /// The secret that this process presents: members of the cluster share one, clients have another.
    pub token: Option<Token>,
    /// Certificates, unless connections are in the clear.
    pub tls: Option<Tls>,
}

impl Default for Wire {
    fn default() -> Self {
        Self { message_limit: MESSAGE_LIMIT, token: None, tls: None }
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
            .with_ballista_use_tls(self.tls.is_some())
            .with_ballista_grpc_client_max_message_size(self.message_limit)
            .with_ballista_override_create_grpc_client_endpoint(self.endpoint())
    }

    /// The hook that makes Ballista's own clients speak TLS, present the token and say who they are.
    ///
    /// Ballista opens connections in five places and offers one hook for all of them, on the endpoint. An endpoint has
    /// no metadata but a user agent, so that is where the token goes.
    pub fn endpoint(&self) -> EndpointOverrideFn {
        let (tls, agent) = (self.tls.clone(), self.user_agent());
        Arc::new(move |endpoint| {
            let endpoint = match &tls {
                Some(tls) => tls.endpoint(endpoint)?,
                None => endpoint,
            };
            Ok(endpoint.user_agent(agent.as_str())?)
        })
    }

    /// A connection of our own, by the address that people write: `df://host:port`, `http://host:port`, `host:port`.
    ///
    /// # Errors
    /// If the address can't be read, or nobody answers there.
    pub async fn connect(&self, address: &str) -> Result<Channel, ConnectError> {
        let url = url(address);
        let failed = |reason: String| ConnectError { url: url.clone(), reason };
        let endpoint = create_grpc_client_endpoint(url.clone(), Some(&GrpcClientConfig::default()))
            .map_err(|e| failed(root_cause(&e)))?;
        let endpoint = (self.endpoint())(endpoint).map_err(|e| failed(e.to_string()))?;
        endpoint.connect().await.map_err(|e| failed(root_cause(&e)))
    }

    /// The beginning of a server: limits, and the certificates if there are any.
    ///
    /// # Errors
    /// If the certificates are not usable.
    pub fn server(&self) -> Result<Server, tonic::transport::Error> {
        let server = create_grpc_server(&GrpcServerConfig::default());
        match &self.tls {
            Some(tls) => server.tls_config(tls.server()),
            None => Ok(server),
        }
    }

    /// The check that a server of members puts in front of its services.
    pub fn guard(&self) -> Guard {
        Guard { tokens: self.token.iter().cloned().collect() }
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

    fn user_agent(&self) -> String {
        let token = self.token.as_ref().map_or("-", Token::expose);
        format!("{USER_AGENT}{token} {}", Announcement::own())
    }
}

/// Nobody answers at an address, or not as a member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing that can be talked to answers at {url}: {reason}")]
pub struct ConnectError {
    /// The address that was tried.
    pub url: String,
    /// The cause.
    pub reason: String,
}

/// The address as gRPC wants it.
pub fn url(address: &str) -> String {
    match address.split_once("://") {
        Some(("df", rest)) => format!("http://{rest}"),
        Some(_) => address.to_owned(),
        None => format!("http://{address}"),
    }
}

/// The innermost message of a chain: a transport error by itself says only "transport error".
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
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

/// Refuses requests that carry none of its tokens; without any it lets everybody pass.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    tokens: Vec<Token>,
}

impl Guard {
    /// Lets those pass, too, who carry this token.
    #[must_use]
    pub fn or(mut self, token: Option<&Token>) -> Self {
        // A guard that lets everybody pass has nothing to add to.
        if !self.tokens.is_empty() {
            self.tokens.extend(token.cloned());
        }
        self
    }

    /// Whether a request with these headers may pass: the token is in the user agent, or a bearer of `authorization`.
    pub fn admits(&self, headers: &http::HeaderMap) -> bool {
        if self.tokens.is_empty() {
            return true;
        }
        let word = |name: &str| headers.get(name).map(|v| v.as_bytes()).unwrap_or_default();
        let agent = word("user-agent").split(|b| *b == b' ').next().unwrap_or_default();
        let given = [agent.strip_prefix(USER_AGENT.as_bytes()), word("authorization").strip_prefix(b"Bearer ")];
        given.into_iter().flatten().any(|given| self.tokens.iter().any(|token| token.equals(given)))
    }

    /// [`Guard::admits`] for a service of gRPC.
    ///
    /// # Errors
    /// If the request carries no token.
    pub fn check(&self, metadata: &MetadataMap) -> Result<(), Status> {
        // The map of headers is the same one under two types.
        if self.admits(&metadata.clone().into_headers()) {
            return Ok(());
        }
        Err(Status::unauthenticated("the request carries no token of this cluster"))
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.check(request.metadata())?;
        Ok(request)
    }
}

/// What a process says of itself: its version, and a hash of the fingerprints of all lanes under default options. Equal
/// hashes make equal facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Announcement {
    /// Version of Lode.
    pub version: String,
    /// Hash of the fingerprints.
    pub fingerprints: String,
}

impl Announcement {
    /// This process's.
    pub fn own() -> Self {
        let options = Options::default();
        let of = |lane: LaneId| lane.variants(&options).into_iter().map(move |variant| (lane, variant));
        let lanes = LaneId::ALL.into_iter().flat_map(of);
        let lanes: Vec<String> = lanes.map(|(lane, variant)| lane.fingerprint(&options, variant)).collect();
        Self { version: env!("CARGO_PKG_VERSION").into(), fingerprints: text_hash(&lanes.join(" ")) }
    }

    /// What the sender of a request said of itself.
    pub fn of(metadata: &MetadataMap) -> Option<Self> {
        let agent = metadata.get("user-agent")?.to_str().ok()?;
        let words = agent.split(' ').nth(1)?.strip_prefix(PRODUCT)?;
        let (version, fingerprints) = words.split_once('+')?;
        Some(Self { version: version.into(), fingerprints: fingerprints.into() })
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PRODUCT}{}+{}", self.version, self.fingerprints)
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
        assert!(guard.call(request(Some(&format!("{} tonic/0.14", wire.user_agent())))).is_ok());
        assert!(guard.call(request(Some(&format!("lode/{}", token.expose())))).is_ok());
        assert!(guard.call(request(None)).is_err());
        assert!(guard.call(request(Some("tonic/0.14"))).is_err());
        assert!(guard.call(request(Some(&Wire::private().user_agent()))).is_err());
        assert!(guard.call(request(Some(&Wire::default().user_agent()))).is_err());
        assert!(guard.call(request(Some(&format!("lode/{}x", token.expose())))).is_err());
        assert!(Wire::default().guard().call(request(None)).is_ok());
    }

    #[test]
    fn clients_have_a_token_of_their_own() {
        let (members, client) = (Wire::private(), Wire::private());
        let mut both = members.guard().or(client.token.as_ref());
        for wire in [&members, &client] {
            assert!(both.call(request(Some(&wire.user_agent()))).is_ok());
        }
        assert!(members.guard().call(request(Some(&client.user_agent()))).is_err());
        let mut bearer = request(None);
        let header = format!("Bearer {}", client.token.as_ref().unwrap().expose());
        bearer.metadata_mut().insert("authorization", header.parse().unwrap());
        assert!(both.call(bearer).is_ok());
        assert!(Guard::default().or(client.token.as_ref()).call(request(None)).is_ok(), "an open server stays open");
    }

    #[test]
    fn processes_say_who_they_are() {
        for wire in [Wire::private(), Wire::default()] {
            let said = request(Some(&format!("{} tonic/0.14", wire.user_agent())));
            assert_eq!(Announcement::of(said.metadata()), Some(Announcement::own()));
        }
        assert_eq!(Announcement::of(request(Some("tonic/0.14")).metadata()), None);
    }

    #[test]
    fn addresses_are_what_people_write() {
        assert_eq!(url("df://host:1"), "http://host:1");
        assert_eq!(url("host:1"), "http://host:1");
        assert_eq!(url("https://host:1"), "https://host:1");
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
        let config = Wire { message_limit: 1 << 30, ..Wire::default() }.apply(SessionConfig::new_with_ballista());
        assert!(!config.ballista_adaptive_query_planner_enabled());
        assert_eq!(config.ballista_grpc_client_max_message_size(), 1 << 30);
        assert!(!config.ballista_config().client_pull());
    }
}
