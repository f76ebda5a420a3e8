//! A collector of OpenTelemetry: takes spans as protobuf over HTTP, or takes nothing and stays silent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::spawn;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;

/// A span, as it came in.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Span {
    pub service: String,
    pub version: String,
    pub trace: String,
    pub id: String,
    pub parent: Option<String>,
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub failed: bool,
    /// Nanoseconds since the Unix epoch.
    pub time: (u64, u64),
}

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    bytes: Vec<u8>,
}

/// A collector on the loopback interface, which listens as long as the test runs.
pub struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

impl Default for Collector {
    fn default() -> Self {
        Self::start(true)
    }
}

impl Collector {
    /// One that takes connections and never answers.
    pub fn silent() -> Self {
        Self::start(false)
    }

    fn start(answers: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let received: Arc<Mutex<Received>> = Arc::default();
        let keep = Arc::clone(&received);
        spawn(move || {
            let mut silent = vec![];
            for stream in listener.incoming().flatten() {
                let keep = Arc::clone(&keep);
                match answers {
                    true => drop(spawn(move || take(stream, &keep))),
                    false => silent.push(stream),
                }
            }
        });
        Self { address, received }
    }

    /// Its address, as `--otlp-endpoint` takes it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).spans.clone()
    }

    /// All that came in, as it was sent.
    pub fn bytes(&self) -> Vec<u8> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).bytes.clone()
    }
}

/// Answers the requests of a connection until it ends.
fn take(stream: TcpStream, received: &Mutex<Received>) {
    let mut reader = BufReader::new(stream);
    while let Some((path, body)) = request(&mut reader) {
        assert_eq!(path, "/v1/traces");
        let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("it is what the protocol says");
        {
            let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
            received.spans.extend(spans(request));
            received.bytes.extend(body);
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        if reader.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

/// The path and the body of the next request, if there is one.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length is a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = vec![];
    for resource in request.resource_spans {
        let process = attributes(resource.resource.unwrap_or_default().attributes);
        let of = |name: &str| process.get(name).cloned().unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                service: of("service.name"),
                version: of("service.version"),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: Some(hex(&span.parent_span_id)).filter(|parent| !parent.is_empty()),
                name: span.name,
                attributes: attributes(span.attributes),
                failed: span.status.is_some_and(|status| status.code == 2),
                time: (span.start_time_unix_nano, span.end_time_unix_nano),
            });
        }
    }
    spans
}

fn attributes(list: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    list.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
