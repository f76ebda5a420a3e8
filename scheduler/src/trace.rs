//! What a trace shows of jobs: a span for each, and below it one for each of its stages from when its tasks may run.

use std::collections::BTreeMap;

use lode_executor::telemetry;
use lode_lake::trace::SPANS;
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::job::{JobRecord, JobState, StageRecord};

/// The spans of the jobs that are not over.
#[derive(Debug, Default)]
pub(crate) struct Trace(BTreeMap<String, Spans>);

#[derive(Debug)]
struct Spans {
    job: Span,
    /// By stage; `None` once it is over. One that is done again stays so: it has one span.
    stages: BTreeMap<usize, Option<Span>>,
}

impl Trace {
    /// Looks at a job as it is now; `parent` is the span that its specification carries.
    pub fn see(&mut self, record: &JobRecord, parent: Option<&str>) {
        // What is no job of Lode, or not planned yet, has no run to belong to.
        let Some(address) = &record.address else { return };
        if record.state.is_terminal() && !self.0.contains_key(&record.job_id) {
            return;
        }
        let spans = self.0.entry(record.job_id.clone()).or_insert_with(|| {
            let job = info_span!(
                target: SPANS, parent: None, "job", run_id = record.job_name, job_id = record.job_id,
                repo = address.repo, epoch = address.epoch, state = Empty, otel.status_code = Empty
            );
            telemetry::start_job(&job, &record.job_name, parent);
            Spans { job, stages: BTreeMap::new() }
        });
        for stage in record.stages.iter().filter(|stage| stage.state != "unresolved") {
            spans.see(&record.job_id, stage);
        }
        if record.state.is_terminal() {
            end(&spans.job, record.state.name(), record.state == JobState::Failed);
            self.0.remove(&record.job_id);
        }
    }
}

impl Spans {
    fn see(&mut self, job_id: &str, stage: &StageRecord) {
        let slot = self.stages.entry(stage.stage_id).or_insert_with(|| {
            let tasks = stage.partitions.unwrap_or_default();
            let span = info_span!(
                target: SPANS, parent: &self.job, "stage", job_id, stage = stage.stage_id, tasks,
                state = Empty, otel.status_code = Empty
            );
            telemetry::start_stage(&span, job_id, stage.stage_id);
            Some(span)
        });
        let failed = stage.state == "failed";
        if (failed || stage.state == "successful")
            && let Some(span) = slot.take()
        {
            end(&span, &stage.state, failed);
        }
    }
}

fn end(span: &Span, state: &str, failed: bool) {
    span.record("state", state);
    if failed {
        span.record("otel.status_code", "ERROR");
    }
}
