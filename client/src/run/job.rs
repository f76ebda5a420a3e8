//! The epochs of a run: plan, submit, and plan again when another run won.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use lode_executor::{memory, telemetry};
use lode_lake::base::Base;
use lode_lake::plan::EpochPlan;
use lode_lake::store::Lake;
use lode_lake::trace::SPANS;
use lode_plan::artifacts::{self, Artifact};
use lode_plan::commit::commit_run;
use lode_plan::epoch::{PlannedEpoch, job, plan_epoch, resumed_epoch};
use lode_plan::inputs::{KeptRun, PlannedFile};
use lode_scheduler::outcome::Outcome;
use tracing::{Instrument, info_span};

use super::cluster::{Cluster, Ended, outcome};
use super::{Failure, Refusal, now_micros, record};
use crate::report::{Phase, Progress, RunObserver};

/// How often a run plans again after others won, before it gives up for now.
const MAX_EPOCHS: u32 = 64;

/// What the epochs of a run need.
pub struct Job<'a> {
    pub lake: &'a Lake,
    pub run: KeptRun<'a>,
    pub cluster: &'a Cluster,
    pub observer: &'a dyn RunObserver,
    pub progress: &'a Arc<Mutex<Progress>>,
}

impl Job<'_> {
    /// Runs epochs until one is committed, or is on its way without anybody to wait for it; `kept` is the last one that was planned before, if any, `base` what a new one
    /// may be planned on.
    pub async fn run(
        &self,
        files: &[PlannedFile],
        mut kept: Option<EpochPlan>,
        mut base: Option<Base>,
    ) -> Result<Ended, Failure> {
        let mut number = kept.as_ref().map_or(0, |plan| plan.epoch);
        while number < MAX_EPOCHS {
            let planning = Instant::now();
            let mut epoch = match kept.take() {
                Some(plan) => resumed_epoch(self.lake, plan, self.run.request),
                None => {
                    let base = match base.take() {
                        Some(base) => base,
                        None => Base::load(self.lake, &self.run.request.repo).await?,
                    };
                    let context = self.cluster.context();
                    let span = info_span!(target: SPANS, "plan", epoch = number);
                    plan_epoch(self.lake, context, &self.run, &base, number, files, now_micros())
                        .instrument(span)
                        .await?
                }
            };
            epoch.spec.trace = telemetry::current();
            let planned = planning.elapsed();
            let executing = Instant::now();
            let (ended, artifacts) = self.execute(&epoch).await?;
            let durations = serde_json::json!({
                "plan_ms": planned.as_millis() as u64,
                "execute_ms": executing.elapsed().as_millis() as u64,
            });
            match ended {
                Ended::With(Outcome::Superseded { .. }) => {
                    self.observer
                        .warning("another run of this repository committed first: planning again on its result");
                    number += 1;
                }
                Ended::With(Outcome::Cancelled | Outcome::Resumable) => {
                    return Err(Refusal::new("the run was cancelled", "start a new one").into());
                }
                Ended::With(Outcome::Committed { .. }) | Ended::Detached => {
                    let kept = record::keep(self.lake, self.cluster, &epoch, artifacts, durations);
                    tokio::join!(kept, self.cluster.retire()).0?;
                    return Ok(ended);
                }
            }
        }
        Err(Refusal::new(
            format!("{MAX_EPOCHS} other runs of this repository committed first"),
            "let fewer runs of one repository go at once",
        )
        .into())
    }

    async fn execute(&self, epoch: &PlannedEpoch) -> Result<(Ended, Vec<Artifact>), Failure> {
        self.observer.phase(Phase::Extracting);
        {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            *progress =
                Progress { files_total: epoch.work.files, bytes_total: epoch.work.bytes, ..Progress::default() };
        }
        // A run without work needs no cluster to commit.
        if epoch.plan.tasks.is_empty() {
            self.observer.phase(Phase::Committing);
            let rows = commit_run(&epoch.spec, None).instrument(info_span!(target: SPANS, "commit")).await?;
            return Ok((Ended::With(outcome(&[rows])?), vec![]));
        }
        self.cluster.prepare(self.run.request);
        let plan = job(self.lake, epoch).await?;
        let tasks = |done: usize, total: usize| {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            (progress.tasks_done, progress.tasks_total) = (done as u64, total as u64);
            self.observer.progress(&progress);
        };
        memory::give_back();
        let state = self.cluster.context().state();
        let (ended, artifacts) =
            tokio::join!(self.cluster.run(self.run.run_id, &plan, &tasks), artifacts::of_plan(&state, "job", &plan));
        Ok((ended?, artifacts?))
    }
}
