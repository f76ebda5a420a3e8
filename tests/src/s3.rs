//! A bucket of a real S3 server on this machine, behind a proxy that breaks requests by a seed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::TryStreamExt;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderName, IF_NONE_MATCH, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStore, ObjectStoreExt};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::command::lode;
use crate::tables::block_on;
use crate::{cache, venv};

/// The bucket.
const BUCKET: &str = "lakes";
/// A secret that must be found nowhere.
pub const SECRET: &str = "c4n4ry-s3cr3t-of-the-key";
/// Another one, which travels with each request.
pub const TOKEN: &str = "c4n4ry-t0k3n-of-the-session";
/// What clients wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(4);

/// What can go wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `500`, and nothing was done.
    Failed,
    /// `503 SlowDown`, and nothing was done.
    SlowDown,
    /// Nothing is done and nothing answered until the client gives up.
    Silent,
    /// It is done, and the connection breaks before the answer.
    Lost,
    /// It is done, and the answer is `500`.
    Hidden,
    /// `409`, another creation is under way, and nothing was done.
    Conflict,
    /// It is done, and the answer is `409`.
    ConflictAfterwards,
}

/// What can be known of a request.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// How often it was made, this time counted.
    pub seen: u64,
    /// Whether it creates an object unless there is one.
    pub creates: bool,
    /// The number of the part that it uploads.
    pub part: Option<u32>,
}

type Chosen = dyn Fn(Asked) -> Option<Fault> + Send + Sync;

/// How often each of them is chosen: a silence costs seconds.
const FAULTS: [(Fault, u64); 5] =
    [(Fault::Failed, 4), (Fault::SlowDown, 4), (Fault::Lost, 4), (Fault::Hidden, 4), (Fault::Silent, 1)];

#[derive(Default)]
struct State {
    /// Seed, and how many of a thousand requests are broken.
    faults: Option<(u64, u64)>,
    /// Faults of certain requests.
    chosen: Option<Box<Chosen>>,
    /// How often a request was seen.
    seen: BTreeMap<(String, String), u64>,
    broken: BTreeMap<Fault, usize>,
    /// Every request is refused, with its token in the answer, as S3 does.
    locked: bool,
    /// They are from the first look for attempts at a shard on.
    locks_at_attempt: bool,
}

struct Proxy {
    upstream: SocketAddr,
    state: Mutex<State>,
    /// The server looks and writes in two steps where S3 does both in one: one creation goes through at a time.
    creations: tokio::sync::Mutex<()>,
}

/// A server with one bucket; it ends with this value, and with this process.
pub struct S3 {
    server: Child,
    endpoint: String,
    direct: Arc<dyn ObjectStore>,
    proxy: Arc<Proxy>,
}

impl Default for S3 {
    fn default() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/s3.py");
        let mut command = Command::new(venv::python(cache()));
        let mut server = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server");
        let mut line = String::new();
        let mut said = BufReader::new(server.stdout.take().expect("its output is a pipe"));
        said.read_line(&mut line).expect("the server says its port");
        let upstream = SocketAddr::from(([127, 0, 0, 1], line.trim().parse().expect("a port")));
        let proxy = Arc::new(Proxy { upstream, state: Mutex::default(), creations: tokio::sync::Mutex::default() });
        let endpoint = block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
            tokio::spawn(serve(listener, Arc::clone(&proxy)));
            endpoint
        });
        let direct = AmazonS3Builder::new()
            .with_endpoint(format!("http://{upstream}"))
            .with_allow_http(true)
            .with_bucket_name(BUCKET)
            .with_access_key_id("test")
            .with_secret_access_key("test")
            .build()
            .expect("a client");
        let s3 = Self { server, endpoint, direct: Arc::new(direct), proxy };
        s3.make_bucket();
        s3
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.server.kill().and_then(|()| self.server.wait()).expect("the server is ours");
    }
}

impl S3 {
    fn make_bucket(&self) {
        let request = self.request(Method::PUT, "");
        let made = block_on(forward(self.proxy.upstream, request, Bytes::new())).expect("an answer");
        assert_eq!(made.status(), StatusCode::OK, "the bucket is made");
    }

    /// A request of the bucket itself.
    fn request(&self, method: Method, query: &str) -> Parts {
        Request::builder()
            .method(method)
            .uri(format!("/{BUCKET}{query}"))
            .header("host", self.proxy.upstream.to_string())
            .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request")
            .body(())
            .expect("a request")
            .into_parts()
            .0
    }

    /// Address of a lake in the bucket.
    pub fn url(&self, lake: &str) -> String {
        format!("s3://{BUCKET}/{lake}")
    }

    /// Where processes reach it.
    pub fn address(&self) -> SocketAddr {
        self.endpoint.trim_start_matches("http://").parse().expect("an address")
    }

    /// What a process needs in its environment.
    pub fn environment(&self) -> [(&'static str, String); 7] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.into()),
            ("AWS_SESSION_TOKEN", TOKEN.into()),
            ("AWS_TIMEOUT", format!("{}s", TIMEOUT.as_secs())),
        ]
    }

    /// `lode <command> --lake <lake>`.
    pub fn command(&self, command: &str, lake: &str) -> Command {
        let mut lode = lode();
        lode.envs(self.environment()).arg(command).arg("--lake").arg(self.url(lake));
        lode
    }

    /// `lode extract` with JSON output.
    pub fn extraction(&self, lake: &str, root: &Path, args: &[&str]) -> Command {
        let mut command = self.command("extract", lake);
        command.arg(root).args(["--output", "json", "--workers", "2"]).args(args);
        command
    }

    /// Breaks so many of a thousand requests from now on; equal requests in the same way for equal seeds.
    pub fn disturb(&self, seed: u64, of_thousand: u64) {
        *self.proxy.state() = State { faults: Some((seed, of_thousand)), ..State::default() };
    }

    /// Breaks the requests that are meant, each as it is to be, from now on.
    pub fn break_requests(
        &self,
        meant: impl Fn(Asked) -> bool + Send + Sync + 'static,
        how: impl Fn(Asked) -> Fault + Send + Sync + 'static,
    ) {
        let chosen: Box<Chosen> = Box::new(move |asked| meant(asked).then(|| how(asked)));
        *self.proxy.state() = State { chosen: Some(chosen), ..State::default() };
    }

    /// Uploads in parts that were neither completed nor given up.
    pub fn open_uploads(&self) -> usize {
        let request = self.request(Method::GET, "?uploads");
        let answer = block_on(forward(self.proxy.upstream, request, Bytes::new())).expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "uploads can be listed");
        let body = block_on(answer.into_body().collect()).expect("it is whole").to_bytes();
        String::from_utf8_lossy(&body).matches("<UploadId>").count()
    }

    /// Breaks nothing any more, and says what was broken.
    pub fn calm(&self) -> BTreeMap<Fault, usize> {
        std::mem::take(&mut *self.proxy.state()).broken
    }

    /// Refuses everything from now on.
    pub fn lock(&self) {
        self.proxy.state().locked = true;
    }

    /// Refuses everything from the first attempt at a shard on.
    pub fn lock_at_first_attempt(&self) {
        self.proxy.state().locks_at_attempt = true;
    }

    /// Copies a lake into a directory.
    pub fn download(&self, lake: &str) -> (TempDir, PathBuf) {
        let home = TempDir::new().expect("a temporary directory");
        let root = home.path().join("lake");
        block_on(async {
            let mut objects = self.direct.list(Some(&lake.into()));
            while let Some(object) = objects.try_next().await.expect("the bucket can be listed") {
                let name = object.location.as_ref().strip_prefix(lake).expect("it lies in the lake");
                let path = root.join(name.trim_start_matches('/'));
                let found = self.direct.get(&object.location).await.expect("the object is there");
                std::fs::create_dir_all(path.parent().expect("a directory")).expect("directories can be made");
                std::fs::write(path, found.bytes().await.expect("the object is read")).expect("files can be written");
            }
        });
        (home, root)
    }
}

impl State {
    fn chosen_fault(&mut self, request: &Parts) -> Option<Fault> {
        let seen = self.seen.entry((request.method.to_string(), request.uri.to_string())).or_default();
        *seen += 1;
        let put = request.method == Method::PUT;
        let query = request.uri.query().unwrap_or_default();
        let part = query.split('&').find_map(|pair| pair.strip_prefix("partNumber="));
        let asked = Asked {
            seen: *seen,
            creates: put && request.headers.contains_key(IF_NONE_MATCH),
            part: part.filter(|_| put).and_then(|number| number.parse().ok()),
        };
        let fault = self.chosen.as_ref()?(asked)?;
        *self.broken.entry(fault).or_default() += 1;
        Some(fault)
    }
}

impl Proxy {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to a request. One that was broken twice is left alone: clients need not be tried for ever.
    fn fault(&self, request: &Parts) -> Option<Fault> {
        let mut state = self.state();
        if state.chosen.is_some() {
            return state.chosen_fault(request);
        }
        let (seed, of_thousand) = state.faults?;
        let key = (request.method.to_string(), request.uri.to_string());
        let seen = state.seen.entry(key.clone()).or_default();
        *seen += 1;
        let seen = *seen;
        let mut hasher = DefaultHasher::new();
        (seed, key, seen).hash(&mut hasher);
        let dice = hasher.finish();
        if seen % 4 > 2 || dice % 1000 >= of_thousand {
            return None;
        }
        let all: u64 = FAULTS.iter().map(|(_, weight)| weight).sum();
        let mut chosen = dice / 1000 % all;
        let (fault, _) = FAULTS.iter().copied().find(|(_, weight)| {
            let found = chosen < *weight;
            chosen = chosen.saturating_sub(*weight);
            found
        })?;
        *state.broken.entry(fault).or_default() += 1;
        Some(fault)
    }
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the answer is lost")]
    Lost,
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

async fn serve(listener: TcpListener, proxy: Arc<Proxy>) {
    while let Ok((stream, _)) = listener.accept().await {
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&proxy), request));
            // A connection that breaks is what this is for.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(proxy: Arc<Proxy>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if head.method == Method::GET && head.uri.to_string().contains("attempts") {
        let mut state = proxy.state();
        state.locked |= state.locks_at_attempt;
    }
    if proxy.state().locked {
        let token = head.headers.get("x-amz-security-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        let more = format!("<Token-0>{token}</Token-0>");
        return Ok(error(StatusCode::FORBIDDEN, "InvalidToken", &more));
    }
    let fault = proxy.fault(&head);
    match fault {
        Some(Fault::Failed) => return Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "")),
        Some(Fault::Conflict) => return Ok(error(StatusCode::CONFLICT, "ConditionalRequestConflict", "")),
        Some(Fault::SlowDown) => return Ok(error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "")),
        Some(Fault::Silent) => {
            tokio::time::sleep(TIMEOUT * 2).await;
            return Err(Broken::Lost);
        }
        Some(Fault::Lost | Fault::Hidden | Fault::ConflictAfterwards) | None => {}
    }
    let one = match head.headers.contains_key(IF_NONE_MATCH) && head.method == Method::PUT {
        true => Some(proxy.creations.lock().await),
        false => None,
    };
    let response = forward(proxy.upstream, head, body).await?;
    drop(one);
    match fault {
        Some(Fault::Lost) => Err(Broken::Lost),
        Some(Fault::Hidden) => Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "")),
        Some(Fault::ConflictAfterwards) => Ok(error(StatusCode::CONFLICT, "ConditionalRequestConflict", "")),
        _ => Ok(response),
    }
}

fn error(status: StatusCode, code: &str, more: &str) -> Response<Full<Bytes>> {
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>made up</Message>{more}</Error>");
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}

async fn forward(upstream: SocketAddr, head: Parts, body: Bytes) -> Result<Response<Full<Bytes>>, Broken> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let head_only = head.method == Method::HEAD;
    let mut request = Request::from_parts(head, Full::new(body));
    strip(request.headers_mut(), &[CONNECTION, TRANSFER_ENCODING]);
    let (mut head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    strip(&mut head.headers, &[CONNECTION, TRANSFER_ENCODING]);
    if !head_only {
        strip(&mut head.headers, &[CONTENT_LENGTH]);
    }
    Ok(Response::from_parts(head, Full::new(body)))
}

fn strip(headers: &mut hyper::HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}
