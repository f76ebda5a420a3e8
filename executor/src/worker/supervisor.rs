//! A supervisor: one thread, at most one worker process, and the rule by which a group outlives the death of workers.
//!
//! When a worker dies at a file, the group is split there: what came before, the file, what comes after. A verdict that
//! may be owed to the file's company or to the machine's load is only final when the file was alone on a fresh worker.
//! Every split leaves smaller parts, so the work lost is bounded by what the group costs, and its end is certain.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use lode_facts::extract::{FileReport, LaneStatus};
use lode_plan::host::GroupFacts;

use super::WorkerError;
use super::group::{Accepted, Files, GroupResult, Order, accept, merge};
use super::pool::PoolConfig;
use super::process::{Death, Outcome, Process};
use super::status::Step;
use super::verdict::{Kill, Verdict};

/// A worker that holds on to more memory than this, or than a quarter of its limit, is replaced after its group.
const MAX_IDLE_BYTES: u64 = 256 << 20;

/// The file of an order is not kept for the next one when it has become larger than this.
const MAX_ORDER_BYTES: u64 = 8 << 20;

pub(super) struct Supervisor {
    config: Arc<PoolConfig>,
    worker: Option<Process>,
    /// What the last order lay in, which nobody reads any more.
    order: Option<File>,
}

/// A part of a group that is still to be done.
#[derive(Debug, Clone)]
struct Part {
    files: Range<usize>,
    /// Whether it needs a worker that has seen nothing else.
    fresh: bool,
}

/// A group under way.
#[derive(Default)]
struct Progress {
    /// Parts to do, the next one last.
    parts: Vec<Part>,
    reports: BTreeMap<usize, FileReport>,
    outputs: Vec<GroupFacts>,
    result: GroupResult,
}

impl Supervisor {
    pub(super) fn new(config: Arc<PoolConfig>) -> Self {
        Self { config, worker: None, order: None }
    }

    /// Starts the worker for the first group. If that fails, the first group's attempt says why.
    pub(super) fn prepare(&mut self) {
        self.worker = Process::start(&self.config).ok();
    }

    /// Extracts a group, whatever it does to workers.
    pub(super) fn extract(&mut self, files: &Files, cancelled: &dyn Fn() -> bool) -> Result<GroupResult, WorkerError> {
        let whole = Part { files: 0..files.len(), fresh: false };
        let mut progress = Progress { parts: vec![whole], ..Progress::default() };
        while let Some(part) = progress.parts.pop() {
            if cancelled() {
                return Err(WorkerError::Cancelled);
            }
            self.attempt(part, files, &mut progress, cancelled)?;
        }
        let Progress { reports, outputs, mut result, .. } = progress;
        result.output = merge(reports, outputs)?;
        Ok(result)
    }

    fn attempt(
        &mut self,
        part: Part,
        files: &Files,
        progress: &mut Progress,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), WorkerError> {
        let order = Order::pack(files, part.files.clone(), &self.config.limits, self.order.take());
        let Order { file, parcel, label, sent, settled } =
            order.map_err(WorkerError::system("pack files for a worker"))?;
        for (index, status) in settled {
            progress.settle(index, files, status);
        }
        if sent.is_empty() {
            return Ok(());
        }
        let limits = &self.config.limits;
        let worker = match self.worker.take().filter(|worker| worker.fresh || !part.fresh) {
            Some(worker) => worker,
            None => Process::start(&self.config)?,
        };
        let worker = self.worker.insert(worker);
        let alone = sent.len() == 1 && worker.fresh;
        let death = match worker.order(parcel, &label, limits, cancelled)? {
            Outcome::Reply(parcel) => match accept(&parcel, files, &sent) {
                Ok(accepted) => {
                    // A worker that answered has let go of its order; one that died is not trusted to have.
                    self.order = file.metadata().is_ok_and(|m| m.len() <= MAX_ORDER_BYTES).then_some(file);
                    self.accepted(accepted, &sent, progress);
                    return Ok(());
                }
                Err(what) => worker.autopsy(Some(Kill::Nonsense(what)), Duration::ZERO, limits),
            },
            Outcome::Died(death) => death,
            Outcome::Cancelled => {
                self.worker = None;
                return Err(WorkerError::Cancelled);
            }
        };
        self.worker = None;
        tracing::warn!(limit = ?death.verdict.limit, step = ?death.step, message = death.verdict.message, "a worker died");
        progress.died(&part, &sent, death, alone, files);
        Ok(())
    }

    fn accepted(&mut self, Accepted { output, reply }: Accepted, sent: &[usize], progress: &mut Progress) {
        let GroupFacts { files: reports, tables } = output;
        progress.reports.extend(sent.iter().copied().zip(reports));
        progress.outputs.push(GroupFacts { files: vec![], tables });
        let result = &mut progress.result;
        if let Some((index, elapsed)) = reply.slowest.and_then(|(i, elapsed)| Some((*sent.get(i)?, elapsed))) {
            result.took(index, elapsed);
        }
        result.peak_rss = result.peak_rss.max(reply.peak_rss);
        if let Some(worker) = &mut self.worker {
            result.cpu += reply.cpu.saturating_sub(worker.accounted);
            worker.accounted = reply.cpu;
        }
        if reply.resident > MAX_IDLE_BYTES.min(self.config.limits.memory_bytes / 4) {
            self.worker = None;
        }
    }
}

impl Progress {
    fn settle(&mut self, index: usize, files: &Files, status: LaneStatus) {
        self.reports.insert(index, FileReport::uniform(&files[index].0, status));
    }

    /// A worker died: settles the file at work, or has parts of the group tried again.
    fn died(&mut self, part: &Part, sent: &[usize], death: Death, alone: bool, files: &Files) {
        self.result.cpu += death.cpu;
        let suspect = match death.step {
            Step::File(position) => sent.get(position as usize).copied(),
            Step::Idle | Step::Finish => None,
        };
        let Some(index) = suspect.or_else(|| (sent.len() == 1).then(|| sent[0])) else {
            // Nobody knows which file it was: the halves will tell.
            let middle = sent[sent.len() / 2];
            self.again(middle..part.files.end, false);
            self.again(part.files.start..middle, false);
            return;
        };
        *self.result.attempts.entry(index).or_default() += 1;
        self.result.took(index, death.elapsed);
        self.again(index + 1..part.files.end, false);
        match &death.verdict {
            verdict if alone || !verdict.depends_on_company() => self.condemn(index, files, verdict),
            _ => self.again(index..index + 1, true),
        }
        self.again(part.files.start..index, false);
    }

    fn condemn(&mut self, index: usize, files: &Files, verdict: &Verdict) {
        self.settle(index, files, verdict.status());
    }

    fn again(&mut self, files: Range<usize>, fresh: bool) {
        if !files.is_empty() {
            self.parts.push(Part { files, fresh });
        }
    }
}
