//! A job store that reports every transition before it passes it on.
//!
//! It runs inside the scheduler's event loop: it copies references and sends them away, and does nothing else.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::JobStatus;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::{JobId, JobStatusSubscriber};
use ballista_scheduler::cluster::{JobState as JobStore, JobStateEventStream};
use ballista_scheduler::state::execution_graph::ExecutionGraphBox;
use ballista_scheduler::state::execution_stage::ExecutionStage;
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio::sync::mpsc;

use crate::capture::{Report, Snapshot, StageSnapshot};
use crate::job::JobState;
use crate::tally::Tally;

/// Decorates a job store.
pub(crate) struct Observer<S> {
    inner: S,
    reports: mpsc::Sender<Report>,
    tally: Tally,
}

impl<S: JobStore> Observer<S> {
    pub(crate) fn new(inner: S, reports: mpsc::Sender<Report>, tally: Tally) -> Self {
        Self { inner, reports, tally }
    }

    /// Reports a graph with the sums of its stages.
    async fn report_graph(&self, job_id: &JobId, graph: &ExecutionGraphBox) {
        let mut snapshot = snapshot(job_id, graph);
        for stage in &mut snapshot.stages {
            stage.metrics = self.tally.stage(&snapshot.job_id, stage.stage_id);
        }
        self.report(snapshot).await;
    }

    /// Sends a snapshot. One that a later one will repeat is dropped when the renderer is behind; a terminal one waits
    /// for a place, which the renderer frees without any I/O. A renderer that is gone belongs to a scheduler that stops.
    async fn report(&self, snapshot: Snapshot) {
        let is_terminal = snapshot.state.is_terminal();
        let report = Report::Job(Box::new(snapshot));
        if is_terminal {
            let _ = self.reports.send(report).await;
        } else {
            let _ = self.reports.try_send(report);
        }
    }
}

/// Copies what a record needs of a graph.
pub(crate) fn snapshot(job_id: &JobId, graph: &ExecutionGraphBox) -> Snapshot {
    let (state, error) = match &graph.status().status {
        Some(Status::Successful(_)) => (JobState::Successful, None),
        Some(Status::Failed(failed)) => (JobState::Failed, Some(failed.error.clone())),
        Some(Status::Running(_)) => (JobState::Running, None),
        Some(Status::Queued(_)) | None => (JobState::Queued, None),
    };
    let mut stages: Vec<_> = graph.stages().iter().map(|(id, stage)| snapshot_stage(*id, stage)).collect();
    stages.sort_by_key(|stage| stage.stage_id);
    Snapshot {
        job_id: job_id.to_string(),
        job_name: Some(graph.job_name().to_owned()),
        state,
        error,
        logical_plan: graph.logical_plan().map(str::to_owned),
        physical_plan: Some(graph.physical_plan()),
        stages,
    }
}

fn snapshot_stage(stage_id: usize, stage: &ExecutionStage) -> StageSnapshot {
    let (partitions, tasks_done, plan, error) = match stage {
        ExecutionStage::UnResolved(s) => (None, 0, &s.plan, None),
        ExecutionStage::Resolved(s) => (Some(s.partitions), 0, &s.plan, None),
        ExecutionStage::Running(s) => (Some(s.partitions), s.successful_tasks(), &s.plan, None),
        ExecutionStage::Successful(s) => (Some(s.partitions), s.task_infos.len(), &s.plan, None),
        ExecutionStage::Failed(s) => (Some(s.partitions), s.successful_tasks(), &s.plan, Some(s.error_message.clone())),
    };
    StageSnapshot {
        stage_id,
        state: stage.variant_name().to_lowercase(),
        partitions,
        tasks_done,
        plan: plan.clone(),
        metrics: vec![],
        error,
    }
}

#[async_trait]
impl<S: JobStore> JobStore for Observer<S> {
    fn accept_job(&self, job_id: &JobId, job_name: &str, queued_at: u64) -> Result<()> {
        // Dropped when the renderer is behind, like any state that a later one repeats.
        let _ = self.reports.try_send(Report::Job(Box::new(Snapshot {
            job_id: job_id.to_string(),
            job_name: Some(job_name.to_owned()),
            state: JobState::Queued,
            error: None,
            logical_plan: None,
            physical_plan: None,
            stages: Vec::new(),
        })));
        self.inner.accept_job(job_id, job_name, queued_at)
    }

    fn pending_job_number(&self) -> usize {
        self.inner.pending_job_number()
    }

    async fn submit_job(
        &self,
        job_id: JobId,
        graph: &ExecutionGraphBox,
        subscriber: Option<JobStatusSubscriber>,
    ) -> Result<()> {
        self.report_graph(&job_id, graph).await;
        if let Some(subscriber) = &subscriber {
            // The client otherwise learns the id of its job, which it needs to cancel it, only when a stage ends.
            let _ = subscriber.try_send(graph.status().clone());
        }
        self.inner.submit_job(job_id, graph, subscriber).await
    }

    async fn get_jobs(&self) -> Result<HashSet<JobId>> {
        self.inner.get_jobs().await
    }

    async fn get_all_jobs(&self) -> Result<HashSet<JobId>> {
        self.inner.get_all_jobs().await
    }

    async fn get_job_status(&self, job_id: &JobId) -> Result<Option<JobStatus>> {
        self.inner.get_job_status(job_id).await
    }

    async fn get_execution_graph(&self, job_id: &JobId) -> Result<Option<ExecutionGraphBox>> {
        self.inner.get_execution_graph(job_id).await
    }

    async fn save_job(&self, job_id: &JobId, graph: &ExecutionGraphBox) -> Result<()> {
        self.report_graph(job_id, graph).await;
        self.inner.save_job(job_id, graph).await
    }

    async fn fail_unscheduled_job(&self, job_id: &JobId, reason: String) -> Result<()> {
        let name = self.inner.get_job_status(job_id).await?.map(|status| status.job_name);
        self.report(Snapshot {
            job_id: job_id.to_string(),
            job_name: name,
            state: JobState::Failed,
            error: Some(reason.clone()),
            logical_plan: None,
            physical_plan: None,
            stages: Vec::new(),
        })
        .await;
        self.inner.fail_unscheduled_job(job_id, reason).await
    }

    async fn remove_job(&self, job_id: &JobId) -> Result<()> {
        self.tally.forget(job_id.as_str());
        self.inner.remove_job(job_id).await
    }

    async fn try_acquire_job(&self, job_id: &JobId) -> Result<Option<ExecutionGraphBox>> {
        self.inner.try_acquire_job(job_id).await
    }

    async fn job_state_events(&self) -> Result<JobStateEventStream> {
        self.inner.job_state_events().await
    }

    async fn create_or_update_session(&self, session_id: &str, config: &SessionConfig) -> Result<Arc<SessionContext>> {
        self.inner.create_or_update_session(session_id, config).await
    }

    async fn remove_session(&self, session_id: &str) -> Result<()> {
        self.inner.remove_session(session_id).await
    }

    fn produce_config(&self) -> SessionConfig {
        self.inner.produce_config()
    }
}
