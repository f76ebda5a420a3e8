//! A job as the scheduler remembers it: plans, stages, metrics, what happened and how it ended.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::outcome::{JobAddress, Outcome};

/// How many events of a job are remembered. The first ones stay, so do the last.
const REMEMBERED_EVENTS: usize = 512;

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Accepted and not yet planned.
    Queued,
    /// Planned; tasks run.
    Running,
    /// All stages are done.
    Successful,
    /// Planning or a task failed, or the job was cancelled.
    Failed,
}

impl JobState {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Successful => "successful",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing can change any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Successful | Self::Failed)
    }
}

/// Everything captured of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// The identity that the scheduler gave to the job.
    pub job_id: String,
    /// The name that the client gave to the job: the id of the run.
    pub job_name: String,
    /// How far the job is.
    pub state: JobState,
    /// Why the job failed.
    pub error: Option<String>,
    /// The logical plan as the scheduler received it.
    pub logical_plan: Option<String>,
    /// The physical plan before it was cut into stages.
    pub physical_plan: Option<String>,
    /// The stages by id.
    pub stages: Vec<StageRecord>,
    /// Where its run is kept, for a job of Lode.
    pub address: Option<JobAddress>,
    /// What became of its run, once the job is over and the lake was asked.
    pub outcome: Option<Outcome>,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub accepted_ms: u64,
    /// When it ended, in milliseconds since the Unix epoch.
    pub ended_ms: Option<u64>,
    /// What happened to it.
    pub events: Vec<Event>,
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What.
    pub text: String,
}

impl JobRecord {
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        if self.events.len() >= REMEMBERED_EVENTS {
            self.events.remove(REMEMBERED_EVENTS / 2);
        }
        self.events.push(Event { at_ms: now_ms(), text: text.into() });
    }

    /// A stage that waited for its first task runs; one that is over by now is over.
    pub(crate) fn start_stage(&mut self, stage_id: usize) {
        let waits = |stage: &&mut StageRecord| stage.stage_id == stage_id && stage.state == "resolved";
        if let Some(stage) = self.stages.iter_mut().find(waits) {
            stage.state = "running".to_owned();
            let text = stage.change();
            self.note(text);
        }
    }
}

/// Everything captured of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// The number of the stage in its job.
    pub stage_id: usize,
    /// Ballista's name of the stage's state.
    pub state: String,
    /// How many partitions the stage covers, as far as that is known.
    pub partitions: Option<usize>,
    /// How many tasks have succeeded.
    pub tasks_done: usize,
    /// The plan, with its metrics once there are any.
    pub plan: String,
    /// Sums over all partitions, keyed `operator.metric`.
    pub metrics: BTreeMap<String, u64>,
    /// Why the stage failed.
    pub error: Option<String>,
}

impl StageRecord {
    /// What to say of the stage when its state has changed.
    pub(crate) fn change(&self) -> String {
        let partitions = self.partitions.map(|n| format!(" of {n} tasks")).unwrap_or_default();
        let error = self.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        format!("stage {}{partitions} {}{error}", self.stage_id, self.state)
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}
