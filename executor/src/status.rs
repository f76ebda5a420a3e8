//! Health, readiness and metrics over HTTP, for whoever looks after the process.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// What a process says of itself. It is asked often, and must answer at once.
pub trait Status: Send + Sync + 'static {
    /// Why it can't do its work now, if it can't.
    fn not_ready(&self) -> Option<String>;

    /// Its metrics.
    fn metrics(&self) -> impl Future<Output = Metrics> + Send;
}

/// Metrics in the text format of Prometheus.
#[derive(Debug, Default)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// Adds a number that goes up and down: its name, its meaning, and a value for each set of labels.
    pub fn gauge<'a>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (&'a str, u64)>) {
        self.add("gauge", name, help, values);
    }

    /// Adds a number that only grows.
    pub fn counter<'a>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (&'a str, u64)>) {
        self.add("counter", name, help, values);
    }

    fn add<'a>(&mut self, kind: &str, name: &str, help: &str, values: impl IntoIterator<Item = (&'a str, u64)>) {
        let text = &mut self.text;
        let write = || -> std::fmt::Result {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
            for (labels, value) in values {
                match labels {
                    "" => writeln!(text, "{name} {value}")?,
                    labels => writeln!(text, "{name}{{{labels}}} {value}")?,
                }
            }
            Ok(())
        };
        write().expect("writing to a string does not fail");
    }
}

/// Answers until the process ends. Returns the address, which says the port where any was asked for.
///
/// # Errors
/// If the address can't be listened on.
pub async fn serve<S: Status>(bind: SocketAddr, status: Arc<S>) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(bind).await?;
    let addr = listener.local_addr()?;
    let ready = Arc::clone(&status);
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(move || async move {
                match ready.not_ready() {
                    None => (StatusCode::OK, "ready\n".to_owned()),
                    Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
                }
            }),
        )
        .route(
            "/metrics",
            get(move || async move {
                let text = status.metrics().await.text;
                ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
            }),
        );
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the status server ended");
        }
    });
    Ok(addr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_what_prometheus_reads() {
        let mut metrics = Metrics::default();
        metrics.gauge("lode_tasks", "Tasks by state.", [("state=\"running\"", 2), ("state=\"pending\"", 0)]);
        metrics.counter("lode_losses_total", "Losses.", [("", 1)]);
        assert_eq!(
            metrics.text,
            "# HELP lode_tasks Tasks by state.\n# TYPE lode_tasks gauge\n\
             lode_tasks{state=\"running\"} 2\nlode_tasks{state=\"pending\"} 0\n\
             # HELP lode_losses_total Losses.\n# TYPE lode_losses_total counter\nlode_losses_total 1\n"
        );
    }
}
