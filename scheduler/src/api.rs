//! Jobs over HTTP, on the scheduler's own port: what clients list, watch and cancel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use lode_executor::wire::{Announcement, Guard};
use serde::{Deserialize, Serialize};

use crate::capture::Captures;
use crate::job::{JobRecord, JobState};
use crate::outcome::{JobAddress, Outcome, forbid_commit};
use crate::server::{Server, progress};

/// Where the interface begins.
pub(crate) const ROOT: &str = "/lode/v1";

/// The name that stands for the job that was accepted last.
pub const LATEST: &str = "@latest";

/// What a scheduler says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of Lode.
    pub version: String,
    /// Hash of the fingerprints of its facts.
    pub fingerprints: String,
    /// Executors that give signs of life.
    pub executors: usize,
    /// Tasks they can run at a time.
    pub slots: u64,
    /// Whether it is about to end.
    pub draining: bool,
}

/// A job, as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// The run.
    pub run_id: String,
    /// The scheduler's own name of the job.
    pub job_id: String,
    /// How far the job is.
    pub state: JobState,
    /// Where its run is kept.
    pub address: Option<JobAddress>,
    /// What became of the run.
    pub outcome: Option<Outcome>,
    /// Why the job failed.
    pub error: Option<String>,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub accepted_ms: u64,
    /// When it ended, in milliseconds since the Unix epoch.
    pub ended_ms: Option<u64>,
    /// Tasks that are done.
    pub tasks_done: usize,
    /// Tasks that are known of: those of later stages come to be known.
    pub tasks_total: usize,
}

impl JobView {
    /// Whether there is nothing more to wait for: the job is over, and what became of its run is known.
    pub fn is_over(&self) -> bool {
        self.state.is_terminal() && (self.outcome.is_some() || self.address.is_none())
    }

    /// How far it is, for people: the outcome says more than the job's end.
    pub fn label(&self) -> &'static str {
        match &self.outcome {
            Some(Outcome::Resumable) if self.state == JobState::Failed => "failed",
            Some(outcome) => outcome.name(),
            None => self.state.name(),
        }
    }
}

/// What the interface says instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub error: String,
}

/// What the interface needs of its scheduler.
#[derive(Clone)]
pub(crate) struct Api {
    pub server: Server,
    pub captures: Captures,
    pub draining: Arc<AtomicBool>,
    pub guard: Guard,
}

type Answer<T> = Result<Json<T>, (StatusCode, Json<Refused>)>;

impl Api {
    pub(crate) fn router(self) -> Router {
        let jobs = Router::new()
            .route("/about", get(about))
            .route("/jobs", get(list))
            .route("/jobs/{run}", get(status))
            .route("/jobs/{run}/record", get(record))
            .route("/jobs/{run}/cancel", post(cancel))
            .layer(from_fn_with_state(self.guard.clone(), check))
            .with_state(self);
        Router::new().nest(ROOT, jobs)
    }

    fn find(&self, run: &str) -> Result<JobRecord, (StatusCode, Json<Refused>)> {
        let found = if run == LATEST { self.captures.jobs().pop() } else { self.captures.job(run) };
        found.ok_or_else(|| {
            let what = if run == LATEST { "no job".to_owned() } else { format!("no job of run {run}") };
            refuse(StatusCode::NOT_FOUND, format!("this scheduler knows {what}; it forgets its jobs when it ends"))
        })
    }

    async fn view(&self, record: JobRecord) -> JobView {
        let live = if record.state.is_terminal() { vec![] } else { progress(&self.server, &record.job_id).await };
        let (done, total) = if live.is_empty() {
            let stages = || record.stages.iter();
            (stages().map(|s| s.tasks_done).sum(), stages().filter_map(|s| s.partitions).sum())
        } else {
            (live.iter().map(|s| s.done).sum(), live.iter().map(|s| s.total).sum())
        };
        JobView {
            run_id: record.job_name,
            job_id: record.job_id,
            state: record.state,
            address: record.address,
            outcome: record.outcome,
            error: record.error,
            accepted_ms: record.accepted_ms,
            ended_ms: record.ended_ms,
            tasks_done: done,
            tasks_total: total,
        }
    }
}

pub(crate) fn refuse(status: StatusCode, error: impl Into<String>) -> (StatusCode, Json<Refused>) {
    (status, Json(Refused { error: error.into() }))
}

/// Lets those pass who carry a token of the cluster.
pub(crate) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if guard.admits(request.headers()) {
        return next.run(request).await;
    }
    let (status, body) = refuse(StatusCode::UNAUTHORIZED, "the request carries no token of this cluster");
    (status, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
}

async fn about(State(api): State<Api>) -> Json<About> {
    let own = Announcement::own();
    let executors = api.server.state.executor_manager.get_executors_state().await.unwrap_or_default();
    Json(About {
        version: own.version,
        fingerprints: own.fingerprints,
        executors: executors.len(),
        slots: executors.iter().map(|(executor, _, _)| u64::from(executor.specification.vcores)).sum(),
        draining: api.draining.load(Ordering::Acquire),
    })
}

async fn list(State(api): State<Api>) -> Json<Vec<JobView>> {
    let mut views = vec![];
    for record in api.captures.jobs() {
        views.push(api.view(record).await);
    }
    Json(views)
}

async fn status(State(api): State<Api>, Path(run): Path<String>) -> Answer<JobView> {
    let record = api.find(&run)?;
    Ok(Json(api.view(record).await))
}

async fn record(State(api): State<Api>, Path(run): Path<String>) -> Answer<JobRecord> {
    api.find(&run).map(Json)
}

/// First the lake, where nobody can commit the run from then on; then its tasks.
async fn cancel(State(api): State<Api>, Path(run): Path<String>) -> Answer<JobView> {
    let record = api.find(&run)?;
    if let Some(address) = &record.address {
        let in_time = forbid_commit(&record.job_name, address).await;
        let in_time = in_time.map_err(|e| refuse(StatusCode::BAD_GATEWAY, format!("the lake does not answer: {e}")))?;
        if !in_time {
            let why = format!("run {} is committed, or is being committed: it is too late", record.job_name);
            return Err(refuse(StatusCode::CONFLICT, why));
        }
    }
    if !record.state.is_terminal() {
        api.captures.note(&record.job_id, "cancelled by a client");
        let cancelled = api.server.cancel_job(record.job_id.clone().into()).await;
        cancelled.map_err(|e| refuse(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    } else if record.address.is_some() {
        api.captures.conclude(&record.job_id, Outcome::Cancelled);
    }
    Ok(Json(api.view(api.captures.by_id(&record.job_id).unwrap_or(record)).await))
}
