//! Watches executors come and go, and gives up a job that loses too many of them.
//!
//! A lost executor does not count as a failure of its tasks, so Ballista starts them again without end. The attempts of
//! each shard are counted on the lake (see `lode_lake::attempts`), which isolates the file that is to blame; this is the
//! bound for what kills executors before they come so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::capture::Captures;
use crate::server::Server;

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(500);

/// Executors lost since the scheduler started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses(Arc<AtomicU64>);

impl Losses {
    pub(crate) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Watches until the runtime ends.
    pub(crate) async fn watch(self, server: Server, captures: Captures, limit: u32) {
        let mut known = BTreeSet::new();
        let mut lost: BTreeMap<String, u32> = BTreeMap::new();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let executors = server.state.executor_manager.get_executors_state().await.unwrap_or_default();
            let now: BTreeSet<String> = executors.into_iter().map(|(executor, _, _)| executor.id).collect();
            let gone: Vec<String> = known.difference(&now).cloned().collect();
            known = now;
            self.0.fetch_add(gone.len() as u64, Ordering::Relaxed);
            let running: BTreeSet<String> =
                server.state.task_manager.get_running_job_cache().keys().map(ToString::to_string).collect();
            lost.retain(|job, _| running.contains(job));
            if gone.is_empty() {
                continue;
            }
            for job in running {
                let losses = lost.entry(job.clone()).or_default();
                *losses += u32::try_from(gone.len()).unwrap_or(u32::MAX);
                captures.note(&job, format!("executor {} is gone", gone.join(", ")));
                if *losses < limit {
                    continue;
                }
                let why = format!("{losses} executors were lost while the job ran: it is given up");
                tracing::error!(job, losses, "{why}");
                captures.note(&job, why);
                if let Err(error) = server.cancel_job(job.clone().into()).await {
                    tracing::warn!(job, %error, "the job can't be cancelled");
                }
            }
        }
    }
}
