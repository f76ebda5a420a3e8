//! Traces: spans that are sent to a collector of OpenTelemetry, where one is named.
//!
//! The trace of a run is one trace, whoever works on it and however often it is resumed: its id is the id of the run, if
//! that is a UUID, else a hash of it. Spans find their parents in two ways. The client's travels in the job's
//! specification. A stage's is made of the names of its job and of itself, as Ballista's tasks carry both and nothing
//! that could be added to.
//!
//! Spans are those of the target [`SPANS`], with the fields that the code gives them and nothing else. A collector that
//! does not answer costs spans, and is mentioned once.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lode_lake::trace::SPANS;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider, SpanData, SpanExporter};
use sha2::{Digest, Sha256};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// How long the last spans of a process may take to be sent.
const FLUSH: Duration = Duration::from_secs(2);

/// What precedes the path of traces in the address of a collector.
const PATH: &str = "v1/traces";

/// The header, of W3C's Trace Context, that a parent is written as.
const TRACEPARENT: &str = "traceparent";

/// Sends spans until it is dropped, and then what is left of them.
#[derive(Debug)]
#[must_use = "nothing is sent any more once it is dropped"]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.0 {
            // What is not sent by now is lost; who ends a process does not wait for it.
            let _ = provider.shutdown_with_timeout(FLUSH);
        }
    }
}

/// Sends what passes the filter to the log, and the spans of `program` to the collector at an endpoint, else to the one
/// that the environment names by OpenTelemetry's own variables, else nowhere.
pub fn subscribe(
    log: Box<dyn Layer<Registry> + Send + Sync>,
    filter: EnvFilter,
    program: &'static str,
    endpoint: Option<&str>,
) -> Telemetry {
    let (provider, problem) = match provider(program, endpoint) {
        Ok(provider) => (provider, None),
        Err(error) => (None, Some(error)),
    };
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("lode"))
            .with_context_activation(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO))
    });
    let filter = filter.add_directive(format!("{SPANS}=off").parse().expect("a constant that parses"));
    // A host that has its own subscriber keeps it.
    let _ = tracing_subscriber::registry().with(log.with_filter(filter)).with(spans).try_init();
    if let Some(error) = problem {
        tracing::warn!(%error, "no spans are sent");
    }
    Telemetry(provider)
}

fn provider(program: &'static str, endpoint: Option<&str>) -> Result<Option<SdkTracerProvider>, ExporterBuildError> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"].into_iter().find_map(variable);
    let disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if disabled || (endpoint.is_none() && named.is_none()) {
        return Ok(None);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    let exporter = match endpoint {
        Some(endpoint) => exporter.with_endpoint(format!("{}/{PATH}", endpoint.trim_end_matches('/'))),
        None => exporter,
    };
    let resource = Resource::builder_empty()
        .with_service_name(program)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()))
        .with_detector(Box::new(EnvResourceDetector::new()));
    let resource = match variable("OTEL_SERVICE_NAME") {
        Some(name) => resource.with_service_name(name),
        None => resource,
    };
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_id_generator(Ids::default())
        .with_batch_exporter(Exporter { inner: exporter.build()?, told: AtomicBool::new(false) });
    Ok(Some(provider.build()))
}

/// Says once that spans are lost.
#[derive(Debug)]
struct Exporter {
    inner: opentelemetry_otlp::SpanExporter,
    told: AtomicBool,
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.inner.export(batch).await;
        if let Err(error) = &sent
            && !self.told.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "spans can't be sent, and are lost; nothing else is");
        }
        sent
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

thread_local! {
    /// The ids of the span that this thread is about to start, where they are not any.
    static CHOSEN: Cell<(Option<TraceId>, Option<SpanId>)> = const { Cell::new((None, None)) };
}

#[derive(Debug, Default)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        CHOSEN.get().0.unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        CHOSEN.get().1.unwrap_or_else(|| self.0.new_span_id())
    }
}

/// Starts a span with these ids.
fn start(span: &Span, trace: Option<TraceId>, id: Option<SpanId>) {
    CHOSEN.set((trace, id));
    // A span starts when it is asked for its context.
    let _ = span.context();
    CHOSEN.set((None, None));
}

fn hash<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&Sha256::digest(text.as_bytes())[..N]);
    bytes
}

/// The id of a run's trace.
fn trace_id(run_id: &str) -> TraceId {
    let uuid = uuid::Uuid::try_parse(run_id).ok().filter(|uuid| !uuid.is_nil());
    TraceId::from_bytes(uuid.map_or_else(|| hash(run_id), uuid::Uuid::into_bytes))
}

/// The id of a stage's span.
fn stage_id(job_id: &str, stage: usize) -> SpanId {
    SpanId::from_bytes(hash(&format!("{job_id}/{stage}")))
}

/// The span of what a client does for a run: the first of its trace.
pub fn run(run_id: &str, command: &str) -> Span {
    let span =
        info_span!(target: SPANS, parent: None, "run", command, run_id, otel.status_code = tracing::field::Empty);
    start(&span, Some(trace_id(run_id)), None);
    span
}

/// The current span, as a job's specification carries it.
pub fn current() -> Option<String> {
    let context = Span::current().context();
    let mut header = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut header);
    header.remove(TRACEPARENT)
}

/// Starts the span of a job, below the one that its specification carries.
pub fn start_job(span: &Span, run_id: &str, parent: Option<&str>) {
    let header: HashMap<_, _> = parent.map(|parent| (TRACEPARENT.to_owned(), parent.to_owned())).into_iter().collect();
    // Without telemetry there is nothing to be the parent of.
    let _ = span.set_parent(TraceContextPropagator::new().extract_with_context(&Context::new(), &header));
    start(span, Some(trace_id(run_id)), None);
}

/// Starts the span of a stage of a job. That of the job is its parent already.
pub fn start_stage(span: &Span, job_id: &str, stage: usize) {
    start(span, None, Some(stage_id(job_id, stage)));
}

/// Starts the span of a task, below that of its stage. `task` is what Ballista calls it: `TID <job>/<stage>.<n>/…`.
pub fn start_task(span: &Span, run_id: &str, task: &str) {
    let mut names = task.trim_start_matches("TID ").split('/');
    let job = names.next().unwrap_or_default();
    let stage = names.next().and_then(|stage| stage.split('.').next()).and_then(|stage| stage.parse().ok());
    if let Some(stage) = stage {
        let (trace, stage) = (trace_id(run_id), stage_id(job, stage));
        let parent = SpanContext::new(trace, stage, TraceFlags::SAMPLED, true, TraceState::default());
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    start(span, Some(trace_id(run_id)), None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_found_by_its_run() {
        let id = "0198f3c2-7d1e-7c55-9a55-3f1b0c7c2f11";
        assert_eq!(trace_id(id).to_string(), "0198f3c27d1e7c559a553f1b0c7c2f11");
        assert_eq!(trace_id("nightly-7"), trace_id("nightly-7"));
        assert_ne!(trace_id("nightly-7"), trace_id("nightly-8"));
        assert_ne!(stage_id("job", 1), stage_id("job", 2));
    }

    #[test]
    fn without_a_collector_nothing_happens() {
        assert!(provider("lode", None).unwrap().is_none());
        assert!(provider("lode", Some("no address")).is_err());
        let span = run("r", "extract");
        start_job(&span, "r", None);
        start_task(&span, "r", "TID job/1.0/2.0");
        assert_eq!(span.in_scope(current), None);
    }
}
