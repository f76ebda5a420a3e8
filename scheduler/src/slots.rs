//! Who is in the cluster and how many tasks each executor can still take.
//!
//! Ballista counts free slots down and up, and the count drifts: the end of a task whose stage was rolled back, or whose
//! job is gone, gives nothing back, so that an executor of one slot never gets a task again. Here nothing is counted. An
//! executor's free slots are those it registered less those of the tasks that run on it, as the jobs themselves say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::{AvailableVcores, ExecutorHeartbeat};
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::memory::InMemoryClusterState;
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;
use tokio::sync::{Mutex, mpsc};

use crate::capture::Report;
use crate::fair::{FairShare, in_order, running_tasks};

/// The executors of the cluster and their slots.
pub(crate) struct Slots {
    members: InMemoryClusterState,
    /// Slots by executor. Locked while tasks are handed out: two who do it at once would give a slot twice.
    registered: Mutex<BTreeMap<String, u32>>,
    policy: FairShare,
    reports: mpsc::Sender<Report>,
}

impl Slots {
    /// A cluster without executors, whose tasks this policy hands out; which stages it starts is reported.
    pub fn new(policy: FairShare, reports: mpsc::Sender<Report>) -> Self {
        Self { members: InMemoryClusterState::default(), registered: Mutex::default(), policy, reports }
    }

    /// Reports the stages that have got the first of their tasks. Nothing repeats this, so it waits for a place, which
    /// the renderer frees without any I/O.
    async fn report(&self, bound: &[BoundTask]) {
        for (_, task) in bound.iter().filter(|(_, task)| task.key.task_id == 0) {
            let (job_id, stage_id) = (task.key.job_id.to_string(), task.key.stage_id);
            let _ = self.reports.send(Report::Started { job_id, stage_id }).await;
        }
    }
}

#[async_trait::async_trait]
impl ClusterState for Slots {
    async fn bind_schedulable_tasks(
        &self,
        _distribution: TaskDistributionPolicy,
        jobs: Arc<HashMap<JobId, JobInfoCache>>,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        let registered = self.registered.lock().await;
        let asked = |id: &str| executors.as_ref().is_none_or(|executors| executors.contains(id));
        let mut free: BTreeMap<&str, u32> =
            registered.iter().filter(|(id, _)| asked(id)).map(|(id, slots)| (id.as_str(), *slots)).collect();
        for (_, job) in in_order(&jobs) {
            for (executor, slots) in running_tasks(&*job.execution_graph.read().await) {
                if let Some(free) = free.get_mut(executor) {
                    *free = free.saturating_sub(slots);
                }
            }
        }
        let free = free.into_iter().filter(|(_, vcores)| *vcores > 0);
        let free = free.map(|(id, vcores)| AvailableVcores { executor_id: id.to_owned(), vcores });
        let bound = self.policy.hand_out(free.collect(), &jobs).await;
        self.report(&bound).await;
        Ok(bound)
    }

    /// Nothing is counted, so nothing is given back.
    async fn unbind_tasks(&self, _slots: Vec<ExecutorSlot>) -> Result<()> {
        Ok(())
    }

    async fn register_executor(&self, metadata: ExecutorMetadata, spec: ExecutorData) -> Result<()> {
        let mut registered = self.registered.lock().await;
        let (id, slots) = (spec.executor_id.clone(), spec.available_vcores);
        self.members.register_executor(metadata, spec).await?;
        registered.insert(id, slots);
        Ok(())
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.members.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.members.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.members.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        self.members.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        let mut registered = self.registered.lock().await;
        self.members.remove_executor(executor_id).await?;
        registered.remove(executor_id);
        Ok(())
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        self.members.executor_heartbeats()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.members.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.members.cluster_state_events().await
    }
}
