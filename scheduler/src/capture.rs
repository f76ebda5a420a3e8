//! What the scheduler remembers of a job: plans, stages, metrics and how it ended.
//!
//! Ballista drops intermediate state as soon as a job is done, so everything is recorded while it happens.
//! [`crate::observer`] takes cheap copies inside the scheduler's event loop, and [`crate::slots`] tells which stages have
//! started; the rendering is done here, in a task of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ballista_scheduler::display::DisplayableBallistaExecutionPlan;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use lode_plan::commit::CommitExec;
use lode_plan::nodes::JobSpec;
use tokio::sync::{mpsc, watch};

use crate::job::{JobRecord, JobState, StageRecord, now_ms};
use crate::outcome::{JobAddress, Outcome};
use crate::trace::Trace;

/// How many jobs are remembered. Terminal jobs beyond that are forgotten, oldest first.
const REMEMBERED_JOBS: usize = 256;

/// What the scheduler tells of its jobs.
pub(crate) enum Report {
    /// A job as it is now.
    Job(Box<Snapshot>),
    /// The first task of a stage was handed out, which Ballista tells nobody.
    Started {
        /// The job.
        job_id: String,
        /// The stage of it.
        stage_id: usize,
    },
}

/// A copy of a job at one moment, cheap to take: plans and metrics are shared.
pub(crate) struct Snapshot {
    pub job_id: String,
    pub job_name: Option<String>,
    pub state: JobState,
    pub error: Option<String>,
    pub logical_plan: Option<String>,
    pub physical_plan: Option<Arc<dyn ExecutionPlan>>,
    pub stages: Vec<StageSnapshot>,
}

pub(crate) struct StageSnapshot {
    pub stage_id: usize,
    pub state: String,
    pub partitions: Option<usize>,
    pub tasks_done: usize,
    pub plan: Arc<dyn ExecutionPlan>,
    pub metrics: Vec<MetricsSet>,
    pub error: Option<String>,
}

/// The records of the jobs of a scheduler.
#[derive(Clone, Debug)]
pub struct Captures {
    memory: Arc<Mutex<Memory>>,
    changed: watch::Receiver<u64>,
    bell: Bell,
}

/// Tells whoever waits that something has changed. The renderer alone keeps it alive: when the scheduler has gone,
/// nothing changes any more.
#[derive(Clone, Debug)]
struct Bell(Weak<watch::Sender<u64>>);

impl Bell {
    fn ring(&self) {
        if let Some(sender) = self.0.upgrade() {
            sender.send_modify(|version| *version += 1);
        }
    }
}

#[derive(Debug, Default)]
struct Memory {
    records: BTreeMap<String, JobRecord>,
    /// Job ids in the order of their acceptance.
    order: VecDeque<String>,
}

impl Captures {
    /// Starts the task that renders reports. It ends when the last sender is gone.
    pub(crate) fn start(mut reports: mpsc::Receiver<Report>) -> Self {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let (tell, changed) = watch::channel(0);
        let tell = Arc::new(tell);
        let captures = Self { memory, changed, bell: Bell(Arc::downgrade(&tell)) };
        let memory = captures.memory.clone();
        let mut trace = Trace::default();
        tokio::spawn(async move {
            while let Some(report) = reports.recv().await {
                match report {
                    Report::Job(snapshot) => {
                        let previous = lock(&memory).records.get(&snapshot.job_id).cloned();
                        let plan = snapshot.physical_plan.clone();
                        let record = render(*snapshot, previous);
                        trace.see(&record, plan.as_deref().and_then(spec).and_then(|spec| spec.trace.as_deref()));
                        lock(&memory).keep(record);
                    }
                    Report::Started { job_id, stage_id } => {
                        if let Some(record) = lock(&memory).records.get_mut(&job_id) {
                            record.start_stage(stage_id);
                        }
                    }
                }
                tell.send_modify(|version| *version += 1);
            }
        });
        captures
    }

    /// The latest job of this name.
    pub fn job(&self, job_name: &str) -> Option<JobRecord> {
        lock(&self.memory).latest(job_name).cloned()
    }

    /// The job of that id.
    pub fn by_id(&self, job_id: &str) -> Option<JobRecord> {
        lock(&self.memory).records.get(job_id).cloned()
    }

    /// Whether a job of that id is not over.
    pub fn is_at_work(&self, job_id: &str) -> bool {
        lock(&self.memory).records.get(job_id).is_some_and(|record| !record.state.is_terminal())
    }

    /// Adds an event to a job.
    pub(crate) fn note(&self, job_id: &str, text: impl Into<String>) {
        self.change(job_id, |record| record.note(text));
    }

    /// Says what became of a job's run.
    pub(crate) fn conclude(&self, job_id: &str, outcome: Outcome) {
        self.change(job_id, |record| {
            record.note(format!("run {}: {}", record.job_name, outcome.name()));
            record.outcome = Some(outcome);
        });
    }

    fn change(&self, job_id: &str, change: impl FnOnce(&mut JobRecord)) {
        if let Some(record) = lock(&self.memory).records.get_mut(job_id) {
            change(record);
        }
        self.bell.ring();
    }

    /// Waits for the next change of any job; `false` if there will be none.
    pub(crate) async fn next_change(&mut self) -> bool {
        self.changed.changed().await.is_ok()
    }

    /// The records of all remembered jobs, oldest first.
    pub fn jobs(&self) -> Vec<JobRecord> {
        let memory = lock(&self.memory);
        memory.order.iter().filter_map(|id| memory.records.get(id)).cloned().collect()
    }

    /// Waits until the latest job of this name is over. `None` if it is not within `timeout`, or if the scheduler is
    /// shut down before.
    pub async fn finished(&self, job_name: &str, timeout: Duration) -> Option<JobRecord> {
        let mut changed = self.changed.clone();
        let wait = async {
            loop {
                changed.borrow_and_update();
                if let Some(record) = self.job(job_name).filter(|record| record.state.is_terminal()) {
                    return Some(record);
                }
                changed.changed().await.ok()?;
            }
        };
        tokio::time::timeout(timeout, wait).await.ok().flatten()
    }
}

impl Memory {
    fn latest(&self, job_name: &str) -> Option<&JobRecord> {
        self.order.iter().rev().filter_map(|id| self.records.get(id)).find(|record| record.job_name == job_name)
    }

    fn keep(&mut self, record: JobRecord) {
        let id = record.job_id.clone();
        if self.records.insert(id.clone(), record).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > REMEMBERED_JOBS {
            let over = |id: &String| self.records.get(id).is_none_or(|record| record.state.is_terminal());
            let Some(oldest) = self.order.iter().position(over) else { break };
            if let Some(id) = self.order.remove(oldest) {
                self.records.remove(&id);
            }
        }
    }
}

/// A panic while rendering leaves whole records behind, so a poisoned lock is as good as any.
fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Renders a snapshot; what it doesn't know stays as it was.
fn render(snapshot: Snapshot, previous: Option<JobRecord>) -> JobRecord {
    let fresh = previous.is_none();
    let mut record = previous.unwrap_or_else(|| JobRecord {
        job_id: snapshot.job_id.clone(),
        job_name: String::new(),
        state: snapshot.state,
        error: None,
        logical_plan: None,
        physical_plan: None,
        stages: vec![],
        address: None,
        outcome: None,
        accepted_ms: now_ms(),
        ended_ms: None,
        events: vec![],
    });
    if let Some(name) = snapshot.job_name {
        record.job_name = name;
    }
    if fresh || record.state != snapshot.state {
        record.note(match &snapshot.error {
            Some(error) => format!("job failed: {error}"),
            None => format!("job {}", snapshot.state.name()),
        });
    }
    record.state = snapshot.state;
    record.error = snapshot.error;
    if snapshot.state.is_terminal() {
        record.ended_ms.get_or_insert_with(now_ms);
    }
    record.logical_plan = snapshot.logical_plan.or(record.logical_plan);
    if let Some(plan) = &snapshot.physical_plan {
        record.physical_plan = Some(displayable(plan.as_ref()).indent(false).to_string());
        let of = |spec: &JobSpec| JobAddress { lake: spec.lake.clone(), repo: spec.repo.clone(), epoch: spec.epoch };
        record.address = spec(plan.as_ref()).map(of).or(record.address);
    }
    if !snapshot.stages.is_empty() {
        let stages: Vec<_> = snapshot.stages.into_iter().map(render_stage).collect();
        for stage in &stages {
            let before = record.stages.iter().find(|known| known.stage_id == stage.stage_id);
            if before.is_none_or(|known| known.state != stage.state) && stage.state != "unresolved" {
                record.note(stage.change());
            }
        }
        record.stages = stages;
    }
    record
}

/// The job that a plan does: its commit says so.
fn spec(plan: &dyn ExecutionPlan) -> Option<&JobSpec> {
    match plan.downcast_ref::<CommitExec>() {
        Some(commit) => Some(commit.spec()),
        None => plan.children().into_iter().find_map(|child| spec(child.as_ref())),
    }
}

fn render_stage(stage: StageSnapshot) -> StageRecord {
    let plan = if stage.metrics.is_empty() {
        displayable(stage.plan.as_ref()).indent(false).to_string()
    } else {
        DisplayableBallistaExecutionPlan::new(stage.plan.as_ref(), &stage.metrics).indent().to_string()
    };
    StageRecord {
        stage_id: stage.stage_id,
        state: stage.state,
        partitions: stage.partitions,
        tasks_done: stage.tasks_done,
        metrics: sums(stage.plan.as_ref(), &stage.metrics),
        plan,
        error: stage.error,
    }
}

/// Sums per operator and metric. Ballista lists the metrics of a stage's operators in pre-order.
fn sums(plan: &dyn ExecutionPlan, metrics: &[MetricsSet]) -> BTreeMap<String, u64> {
    let mut operators = Vec::new();
    pre_order(plan, &mut operators);
    let mut sums = BTreeMap::new();
    for (operator, set) in operators.iter().zip(metrics) {
        for metric in set.iter() {
            // The sum of two moments means nothing.
            if matches!(metric.value(), MetricValue::StartTimestamp(_) | MetricValue::EndTimestamp(_)) {
                continue;
            }
            let sum = sums.entry(format!("{operator}.{}", metric.value().name())).or_insert(0_u64);
            *sum = sum.saturating_add(u64::try_from(metric.value().as_usize()).unwrap_or(u64::MAX));
        }
    }
    sums
}

fn pre_order(plan: &dyn ExecutionPlan, names: &mut Vec<String>) {
    names.push(plan.name().to_owned());
    for child in plan.children() {
        pre_order(child.as_ref(), names);
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Schema;
    use datafusion::physical_plan::empty::EmptyExec;

    use super::*;

    fn job(snapshot: Snapshot) -> Report {
        Report::Job(Box::new(snapshot))
    }

    fn snapshot(id: &str, state: JobState) -> Snapshot {
        Snapshot {
            job_id: id.to_owned(),
            job_name: Some("run".to_owned()),
            state,
            error: None,
            logical_plan: None,
            physical_plan: None,
            stages: Vec::new(),
        }
    }

    #[tokio::test]
    async fn waiting_ends_with_the_terminal_record_of_the_latest_job() {
        let (send, receive) = mpsc::channel(4);
        let captures = Captures::start(receive);
        send.send(job(snapshot("1", JobState::Running))).await.unwrap();
        assert_eq!(captures.finished("run", Duration::from_millis(20)).await, None);
        let waiting = tokio::spawn({
            let captures = captures.clone();
            async move { captures.finished("run", Duration::from_secs(5)).await }
        });
        let failed = Snapshot { job_name: None, error: Some("why".into()), ..snapshot("1", JobState::Failed) };
        send.send(job(failed)).await.unwrap();
        let record = waiting.await.unwrap().unwrap();
        assert_eq!((record.job_name.as_str(), record.error.as_deref()), ("run", Some("why")));

        send.send(job(snapshot("2", JobState::Successful))).await.unwrap();
        drop(send);
        while captures.jobs().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(captures.job("run").unwrap().job_id, "2");
        assert_eq!(captures.finished("other", Duration::from_secs(5)).await, None, "the sender is gone");
    }

    #[tokio::test]
    async fn a_stage_runs_once_its_first_task_was_handed_out() {
        let (send, receive) = mpsc::channel(4);
        let mut captures = Captures::start(receive);
        let plan: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(Arc::new(Schema::empty())));
        let at = |state: &str| {
            let stage = StageSnapshot {
                stage_id: 1,
                state: state.to_owned(),
                partitions: Some(3),
                tasks_done: 0,
                plan: plan.clone(),
                metrics: vec![],
                error: None,
            };
            job(Snapshot { stages: vec![stage], ..snapshot("1", JobState::Running) })
        };
        let started = |job: &str, stage_id| Report::Started { job_id: job.to_owned(), stage_id };
        for (report, expected) in [
            (at("resolved"), "resolved"),
            (started("1", 2), "resolved"),
            (started("2", 1), "resolved"),
            (started("1", 1), "running"),
            (at("successful"), "successful"),
            (started("1", 1), "successful"),
        ] {
            send.send(report).await.unwrap();
            assert!(captures.next_change().await);
            assert_eq!(captures.by_id("1").unwrap().stages[0].state, expected);
        }
        let events = captures.by_id("1").unwrap().events;
        let texts: Vec<_> = events.iter().map(|event| event.text.as_str()).collect();
        let stage = |state: &str| format!("stage 1 of 3 tasks {state}");
        assert_eq!(texts, ["job running", &stage("resolved"), &stage("running"), &stage("successful")]);
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_still_runs() {
        let mut memory = Memory::default();
        memory.keep(render(snapshot("running", JobState::Running), None));
        for i in 0..2 * REMEMBERED_JOBS {
            memory.keep(render(snapshot(&i.to_string(), JobState::Successful), None));
        }
        assert_eq!((memory.records.len(), memory.order.len()), (REMEMBERED_JOBS, REMEMBERED_JOBS));
        assert!(memory.records.contains_key("running"));
        assert_eq!(memory.latest("run").unwrap().job_id, (2 * REMEMBERED_JOBS - 1).to_string());
    }
}
