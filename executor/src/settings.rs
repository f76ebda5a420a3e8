//! Settings of the processes of a cluster: defaults, then a file, then the environment, then the command line.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use figment::providers::{Env, Format, Serialized, Toml};
use figment::{Figment, Provider};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, Layer};

use crate::telemetry::{self, Telemetry};
use crate::tls::{SERVER_NAME, Tls, TlsError};
use crate::wire::{Token, Wire};

/// Why a process did not start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting is unknown or has a bad value.
    #[error("{0}")]
    Value(Box<figment::Error>),
    /// A setting that there isn't.
    #[error("there is no setting `{name}`; `{program} --help` lists all")]
    Unknown {
        /// Its name.
        name: String,
        /// The command.
        program: String,
    },
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file of a token is not readable.
    #[error("can't read the token in {path}: {source}")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A token is too short or holds other characters.
    #[error("the token in {0} is not usable; use at least 16 letters, digits, `-` and `_`")]
    Token(String),
    /// A server would be open to whoever reaches it.
    #[error(
        "{bind} is reached from other machines, and {missing}; give certificates and tokens, or say --insecure if the \
         network keeps everybody else out"
    )]
    Open {
        /// Where the server would listen.
        bind: IpAddr,
        /// What is not given.
        missing: &'static str,
    },
    /// Others would be told to connect to every address there is.
    #[error("{0} is no address that others can connect to; name one with --advertise")]
    Advertise(IpAddr),
    /// A filter of the log is not one.
    #[error("`{0}` is no log level; use error, warn, info, debug or trace")]
    Log(String),
}

impl From<figment::Error> for SettingsError {
    fn from(error: figment::Error) -> Self {
        Self::Value(Box::new(error))
    }
}

/// Says on stderr why a process ends, with the causes.
pub fn complain(error: &(dyn std::error::Error + 'static)) {
    use std::io::Write;
    let text = lode_lake::error::messages(error).join("\n  cause: ");
    // Nobody is left to be told that stderr is closed.
    let _ = writeln!(std::io::stderr(), "error: {text}");
}

/// Merges the sources of settings. What the command line does not say is left out of its serialized form.
///
/// # Errors
/// If a source can't be read, says something unknown, or says it wrongly.
pub fn load<T, F>(prefix: &str, file: Option<&Path>, flags: &F) -> Result<T, SettingsError>
where
    T: Serialize + DeserializeOwned + Default,
    F: Serialize + CommandFactory,
{
    let mut given = Figment::new();
    if let Some(file) = file {
        given = given.merge(Toml::file_exact(file));
    }
    // Where the file is has been read already.
    let given = given.merge(Env::prefixed(prefix).filter(|key| key != "config"));
    let command = F::command();
    let known: Vec<&str> = command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
    for dict in given.data()?.values() {
        if let Some(name) = dict.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(SettingsError::Unknown { name: name.clone(), program: command.get_name().to_owned() });
        }
    }
    let all = Figment::from(Serialized::defaults(T::default())).merge(given).merge(Serialized::defaults(flags));
    Ok(all.extract()?)
}

/// Certificates and tokens, as the command line has them.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Security")]
#[serde(default)]
pub struct Security {
    /// Certificate of the authority whose members this process trusts, in PEM
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
    /// Certificate of this process, in PEM
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate, in PEM
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Name that the certificates of servers carry [default: lode]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_name: Option<String>,
    /// File with the secret that scheduler and executors share [or the variable LODE_CLUSTER_TOKEN]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_token_file: Option<PathBuf>,
    /// Listen beyond the loopback interface without certificates or tokens
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
}

impl Security {
    /// The connections of a member of the cluster that listens at `bind`.
    ///
    /// # Errors
    /// If something can't be read, or the process would be open to everybody without being told to be.
    pub fn wire(&self, bind: IpAddr) -> Result<Wire, SettingsError> {
        let token = token(self.cluster_token_file.as_deref(), "LODE_CLUSTER_TOKEN")?;
        let wire = Wire { token, tls: self.tls()?, ..Wire::default() };
        self.require(bind, wire.tls.is_some(), "there are no certificates (--tls-cert)")?;
        self.require(bind, wire.token.is_some(), "there is no secret of the cluster (--cluster-token-file)")?;
        Ok(wire)
    }

    /// The certificates.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn tls(&self) -> Result<Option<Tls>, TlsError> {
        let name = self.tls_name.as_deref().unwrap_or(SERVER_NAME);
        Tls::load(self.tls_ca.as_deref(), self.tls_cert.as_deref(), self.tls_key.as_deref(), name)
    }

    /// Refuses to go without something where other machines can reach the process.
    ///
    /// # Errors
    /// If it is missing, and nobody said that this is meant.
    pub fn require(&self, bind: IpAddr, given: bool, missing: &'static str) -> Result<(), SettingsError> {
        if given || bind.is_loopback() || self.insecure == Some(true) {
            return Ok(());
        }
        Err(SettingsError::Open { bind, missing })
    }
}

/// The name that others are told, where it is not the address itself.
///
/// # Errors
/// If the address is none that others can connect to, and there is no name.
pub fn advertised(bind: IpAddr, name: Option<&str>) -> Result<Option<String>, SettingsError> {
    match name {
        Some(name) => Ok(Some(name.to_owned())),
        None if bind.is_unspecified() => Err(SettingsError::Advertise(bind)),
        None => Ok(None),
    }
}

/// A token from its file, else from its variable.
///
/// # Errors
/// If it can't be read or is no token.
pub fn token(file: Option<&Path>, variable: &str) -> Result<Option<Token>, SettingsError> {
    let (text, origin) = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| SettingsError::TokenFile { path: path.to_owned(), source })?;
            (text, path.display().to_string())
        }
        None => match std::env::var(variable) {
            Ok(text) => (text, variable.to_owned()),
            Err(_) => return Ok(None),
        },
    };
    Token::parse(text.trim()).map(Some).ok_or(SettingsError::Token(origin))
}

/// What every process of a cluster has, as the command line has it.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Operation")]
#[serde(default)]
pub struct Operation {
    /// Where to answer /healthz, /readyz and /metrics: HTTP in the clear, to be read by anybody [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_bind: Option<SocketAddr>,
    /// What to log on stderr: error, warn, info, debug, trace, or filters such as lode_executor=debug [default: info]
    #[arg(long, value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
    /// Form of the log: text or json [default: text]
    #[arg(long, value_name = "FORM")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// URL of an OpenTelemetry collector that takes spans by HTTP [default: OTEL_EXPORTER_OTLP_ENDPOINT, else none]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Operation {
    /// Sends the log and the spans of a program where they belong.
    ///
    /// # Errors
    /// If the level is none.
    pub fn log(&self, program: &'static str) -> Result<Telemetry, SettingsError> {
        // Ballista and DataFusion say on every task what Lode says once.
        let level = self.log_level.as_deref().unwrap_or("info");
        let directives = match level {
            "info" => "warn,lode_scheduler=info,lode_executor=info,lode_plan=info,lode_lake=info",
            other => other,
        };
        let filter = EnvFilter::try_new(directives).map_err(|_| SettingsError::Log(level.to_owned()))?;
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let log = match self.log_format {
            Some(LogFormat::Json) => log.json().boxed(),
            _ => log.with_ansi(false).boxed(),
        };
        Ok(telemetry::subscribe(log, filter, program, self.otlp_endpoint.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Sample {
        port: u16,
        name: String,
    }

    #[derive(clap::Parser, Serialize)]
    struct Flags {
        #[arg(long)]
        #[serde(skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        #[arg(long)]
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    }

    #[test]
    fn the_nearer_source_wins() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "port = 1\nname = 'file'\n").unwrap();
        let load = |port| load::<Sample, _>("LODE_NO_SUCH_PREFIX_", Some(file.path()), &Flags { port, name: None });
        assert_eq!(load(None).unwrap(), Sample { port: 1, name: "file".into() });
        assert_eq!(load(Some(2)).unwrap(), Sample { port: 2, name: "file".into() });
        std::fs::write(file.path(), "prot = 1\n").unwrap();
        let error = load(None).unwrap_err().to_string();
        assert!(error.contains("prot"), "{error}");
    }

    #[test]
    fn nobody_is_open_by_accident() {
        let far: IpAddr = [0, 0, 0, 0].into();
        let near: IpAddr = [127, 0, 0, 1].into();
        let security = Security::default();
        assert!(matches!(security.wire(far), Err(SettingsError::Open { .. })));
        assert!(security.wire(near).is_ok());
        let open = Security { insecure: Some(true), ..Security::default() };
        assert!(open.wire(far).is_ok());
        assert!(matches!(advertised(far, None), Err(SettingsError::Advertise(_))));
        assert_eq!(advertised(far, Some("pod-7")).unwrap().as_deref(), Some("pod-7"));
        let half = Security { tls_cert: Some("cert.pem".into()), ..Security::default() };
        assert!(matches!(half.wire(near), Err(SettingsError::Tls(TlsError::Incomplete { .. }))));
    }
}
