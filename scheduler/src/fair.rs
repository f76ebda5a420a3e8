//! Who gets the next free slot: the job that has the fewest.
//!
//! Ballista's own policies serve one job until it has nothing left to start, so a small job waits for a large one to
//! end. Tasks are never taken away again, but they are short: a job that comes late has its share as soon as tasks end.

use std::collections::HashMap;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::config::BallistaConfig;
use ballista_core::execution_plans::ShuffleReaderExec;
use ballista_core::serde::protobuf::AvailableVcores;
use ballista_core::serde::protobuf::task_status::Status;
use ballista_core::serde::scheduler::TaskKey;
use ballista_scheduler::cluster::BoundTask;
use ballista_scheduler::state::execution_graph::{ExecutionGraphBox, TaskDescription, create_task_info};
use ballista_scheduler::state::execution_stage::{ExecutionStage, RunningStage};
use ballista_scheduler::state::task_manager::JobInfoCache;
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::OwnedRwLockWriteGuard;

use crate::slim::Slim;

/// Shares slots among jobs.
#[derive(Debug, Clone, Default)]
pub(crate) struct FairShare {
    /// How many tasks of a job may run at a time; any number if it is `None`.
    limit: Option<usize>,
    slim: Slim,
}

impl FairShare {
    pub fn new(limit: Option<usize>) -> Self {
        Self { limit, slim: Slim::default() }
    }

    /// Hands the free slots out, the emptiest executor's first.
    pub async fn hand_out(
        &self,
        mut free: Vec<AvailableVcores>,
        running_jobs: &HashMap<JobId, JobInfoCache>,
    ) -> Vec<BoundTask> {
        let mut contenders = vec![];
        for (id, job) in in_order(running_jobs) {
            let graph = job.execution_graph.clone().write_owned().await;
            let running = running_tasks(&graph).count();
            contenders.push(Contender { id: id.clone(), graph, running });
        }
        let mut bound = vec![];
        loop {
            let free = free.iter_mut().filter(|budget| budget.vcores > 0).max_by_key(|budget| budget.vcores);
            let Some(budget) = free else { break };
            let admitted = |job: &Contender| self.limit.is_none_or(|limit| job.running < limit);
            let next = contenders.iter().enumerate().filter(|(_, job)| admitted(job));
            let Some((position, _)) = next.min_by_key(|(position, job)| (job.running, *position)) else { break };
            match next_task(&mut contenders[position], budget, &self.slim) {
                Some(task) => {
                    contenders[position].running += 1;
                    bound.push(task);
                }
                // It has nothing to start for now.
                None => drop(contenders.remove(position)),
            }
        }
        bound
    }
}

/// Jobs in the order of their acceptance, which their ids have, too.
pub(crate) fn in_order(jobs: &HashMap<JobId, JobInfoCache>) -> Vec<(&JobId, &JobInfoCache)> {
    let mut jobs: Vec<_> = jobs.iter().collect();
    jobs.sort_by(|a, b| a.0.cmp(b.0));
    jobs
}

/// The executor and the slots of every task of a job that runs. It is asked for each time that a task ends, so nothing is
/// copied.
pub(crate) fn running_tasks(job: &ExecutionGraphBox) -> impl Iterator<Item = (&str, u32)> {
    let stages = job.stages().values().filter_map(|stage| match stage {
        ExecutionStage::Running(stage) => Some(stage),
        _ => None,
    });
    stages.flat_map(|stage| &stage.task_infos).filter_map(|task| match &task.task_status {
        Status::Running(running) => Some((running.executor_id.as_str(), task.vcores_consumed)),
        _ => None,
    })
}

struct Contender {
    id: JobId,
    graph: OwnedRwLockWriteGuard<ExecutionGraphBox>,
    running: usize,
}

/// Takes the job's next task and gives it a slot of the executor.
fn next_task(job: &mut Contender, budget: &mut AvailableVcores, slim: &Slim) -> Option<BoundTask> {
    let session_id = job.graph.session_id().to_owned();
    let mut empty = vec![];
    loop {
        let stage = job.graph.fetch_running_stage(&empty)?;
        match bind(stage, &session_id, &job.id, budget, slim) {
            Some(task) => return Some(task),
            None => empty.push(stage.stage_id),
        }
    }
}

fn bind(
    stage: &mut RunningStage,
    session_id: &str,
    job_id: &JobId,
    budget: &mut AvailableVcores,
    slim: &Slim,
) -> Option<BoundTask> {
    // A stage that brings its input together is one task, whatever the number of its partitions.
    let collapses = collapses(stage.plan.as_ref());
    let most = if collapses { usize::MAX } else { partitions_per_task(stage).min(budget.vcores as usize) };
    let partitions = stage.pending.next_slice(most);
    if partitions.is_empty() {
        return None;
    }
    let vcores = if collapses { 1 } else { u32::try_from(partitions.len()).unwrap_or(u32::MAX) };
    let task_id = stage.task_infos.len();
    let failures = partitions.iter().filter_map(|partition| stage.task_failure_numbers.get(*partition));
    let task_attempt = failures.copied().max().unwrap_or(0);
    let mut info = create_task_info(budget.executor_id.clone(), task_id);
    info.global_input_partition_ids.clone_from(&partitions);
    info.vcores_consumed = vcores;
    stage.task_infos.push(info);
    budget.vcores = budget.vcores.saturating_sub(vcores);
    // A task that brings its input together reads what is no partition of its own.
    let plan = match collapses {
        true => Arc::clone(&stage.plan),
        false => slim.plan((job_id.to_string(), stage.stage_id, stage.stage_attempt_num), &stage.plan, &partitions),
    };
    let task = TaskDescription {
        session_id: session_id.to_owned(),
        key: TaskKey { job_id: job_id.clone(), stage_id: stage.stage_id, task_id },
        stage_attempt_num: stage.stage_attempt_num,
        task_attempt,
        global_input_partition_ids: partitions,
        vcores_consumed: vcores,
        plan,
        session_config: stage.session_config.clone(),
    };
    Some((budget.executor_id.clone(), task))
}

fn partitions_per_task(stage: &RunningStage) -> usize {
    let config = stage.session_config.options().extensions.get::<BallistaConfig>();
    config.map(BallistaConfig::max_partitions_per_task).filter(|n| *n > 0).unwrap_or(usize::MAX)
}

/// Whether an operator between the stage's end and its inputs has a single partition: splitting its input among tasks
/// would give each of them a part of the answer. The rule is that of Ballista's own policies.
fn collapses(stage: &dyn ExecutionPlan) -> bool {
    let mut node = match stage.children().as_slice() {
        [child] => Arc::clone(child),
        _ => return false,
    };
    loop {
        let reads_stage = node.downcast_ref::<ShuffleReaderExec>().is_some() || node.name() == "RangeShuffleReaderExec";
        if reads_stage {
            return false;
        }
        if node.properties().output_partitioning().partition_count() == 1 {
            return true;
        }
        node = match node.children().as_slice() {
            [child] => Arc::clone(child),
            _ => return false,
        };
    }
}
