//! Mutual TLS between the processes of a cluster: one private authority, and a certificate for each process.
//!
//! The authority's signature is what makes a process a member, on both ends of every connection. Executors come and go at
//! addresses that no certificate can list beforehand, so a client does not look for the address in a server's
//! certificate, but for one name that all servers of the cluster have.

use std::fmt;
use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig, Uri};

use crate::wire::root_cause;

/// The name that the certificates of a cluster's servers carry.
pub const SERVER_NAME: &str = "lode";

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or not readable.
    #[error("can't read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Only a part of the three files is given.
    #[error("a certificate, its key and the authority belong together, and {missing} is not given")]
    Incomplete {
        /// What is missing.
        missing: &'static str,
    },
    /// What the files hold is not usable.
    #[error("the certificate, its key or the authority is not usable: {0}")]
    Invalid(String),
}

/// A process's certificate, its key, and the authority it trusts.
#[derive(Clone)]
pub struct Tls {
    authority: Certificate,
    identity: Identity,
    server_name: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl Tls {
    /// From PEM texts.
    ///
    /// # Errors
    /// If they can't be read as a certificate with its key and an authority.
    pub fn new(authority: &[u8], certificate: &[u8], key: &[u8], server_name: &str) -> Result<Self, TlsError> {
        // Two providers of cryptography are linked in, and rustls wants to be told which one to take. Whoever was first
        // has decided.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = Self {
            authority: Certificate::from_pem(authority),
            identity: Identity::from_pem(certificate, key),
            server_name: server_name.to_owned(),
        };
        let invalid = |e: tonic::transport::Error| TlsError::Invalid(root_cause(&e));
        tonic::transport::Server::builder().tls_config(tls.server()).map_err(invalid)?;
        tls.endpoint(Endpoint::from_static("http://localhost")).map_err(invalid)?;
        Ok(tls)
    }

    /// From files, all three or none.
    ///
    /// # Errors
    /// If one is missing or unusable.
    pub fn load(
        authority: Option<&Path>,
        certificate: Option<&Path>,
        key: Option<&Path>,
        server_name: &str,
    ) -> Result<Option<Self>, TlsError> {
        if authority.is_none() && certificate.is_none() && key.is_none() {
            return Ok(None);
        }
        let read = |path: Option<&Path>, missing| {
            let path = path.ok_or(TlsError::Incomplete { missing })?;
            std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        let authority = read(authority, "the authority (--tls-ca)")?;
        let certificate = read(certificate, "the certificate (--tls-cert)")?;
        let key = read(key, "the key (--tls-key)")?;
        Self::new(&authority, &certificate, &key, server_name).map(Some)
    }

    /// What a server presents, and that it asks its clients for a certificate of the same authority.
    pub fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new().identity(self.identity.clone()).client_ca_root(self.authority.clone())
    }

    /// Makes an endpoint speak TLS. Ballista composes most of its addresses itself, and always as `http`.
    pub(crate) fn endpoint(&self, endpoint: Endpoint) -> Result<Endpoint, tonic::transport::Error> {
        let config = ClientTlsConfig::new()
            .ca_certificate(self.authority.clone())
            .identity(self.identity.clone())
            .domain_name(self.server_name.clone());
        https(endpoint).tls_config(config)
    }
}

/// The same endpoint with the other scheme. Settings of an endpoint can't be read back, so they are those of Ballista.
fn https(endpoint: Endpoint) -> Endpoint {
    let mut parts = endpoint.uri().clone().into_parts();
    if parts.scheme.as_ref().is_some_and(|scheme| scheme == "https") {
        return endpoint;
    }
    parts.scheme = Some(http::uri::Scheme::HTTPS);
    match Uri::from_parts(parts).ok().map(|uri| uri.to_string()) {
        Some(uri) => {
            let config = ballista_core::utils::GrpcClientConfig::default();
            ballista_core::utils::create_grpc_client_endpoint(uri, Some(&config)).unwrap_or(endpoint)
        }
        None => endpoint,
    }
}
