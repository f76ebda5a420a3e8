//! Ballista's own interface over HTTP, for Ballista's tools: below `/api` the jobs that this scheduler remembers, below
//! `/history/api` those whose event log is complete, whichever scheduler wrote it.
//!
//! It answers and does nothing: a job that was cancelled here could still be committed, as its lake would not know.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use ballista_scheduler::api::get_routes;
use ballista_scheduler::history::{HistoryStore, history_router};
use http::{Method, StatusCode};
use lode_executor::wire::Guard;

use crate::api::{check, refuse};
use crate::server::{SchedulerError, Server};

/// Where the history is.
const HISTORY: &str = "/history";

/// The routes, for whoever carries a token of the cluster.
pub(crate) async fn router(server: Server, guard: Guard, logs: Option<PathBuf>) -> Result<Router, SchedulerError> {
    let mut routes = get_routes(Arc::new(server));
    if let Some(logs) = logs {
        routes = routes.nest(HISTORY, history(logs).await?);
    }
    Ok(routes.route_layer(from_fn(only_answer)).route_layer(from_fn_with_state(guard, check)))
}

async fn history(logs: PathBuf) -> Result<Router, SchedulerError> {
    let unreadable = |source| SchedulerError::Io { what: "the event logs can't be read", source };
    let store = tokio::task::spawn_blocking(move || HistoryStore::load(&logs)).await;
    let store = Arc::new(store.map_err(std::io::Error::other).flatten().map_err(unreadable)?);
    Ok(history_router(store.clone()).route_layer(from_fn_with_state(store, look)))
}

/// Logs that were finished since are known to whoever asks.
async fn look(State(store): State<Arc<HistoryStore>>, request: Request, next: Next) -> Response {
    let looked = tokio::task::spawn_blocking(move || store.refresh()).await;
    if let Err(error) = looked.map_err(std::io::Error::other).flatten() {
        tracing::warn!(%error, "the event logs can't be read");
    }
    next.run(request).await
}

async fn only_answer(request: Request, next: Next) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD | Method::OPTIONS => next.run(request).await,
        _ => {
            refuse(StatusCode::METHOD_NOT_ALLOWED, "this interface changes nothing; use `lode cancel`").into_response()
        }
    }
}
