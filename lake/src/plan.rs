//! The plans of a run: what was asked for, and how each epoch goes about it. Both are create-if-absent objects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{LakeError, Result};
use crate::layout;
use crate::manifest::FileCounts;
use crate::shard::Shard;
use crate::store::{Lake, Put};

/// What a run was asked to do; written once, before anything else of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    /// The run.
    pub run_id: String,
    /// Repository.
    pub repo: String,
    /// Short key of the repository, see [`crate::shard::repo_key`].
    pub repo_key: String,
    /// Normalised URL of the remote `origin`, where there is one.
    pub origin: Option<String>,
    /// Digest of everything that decides the outcome: request and scan.
    pub digest: String,
    /// Microseconds since the Unix epoch.
    pub created_at: i64,
    /// The request as the client understands it: options, limits, datasets, scope.
    pub request: serde_json::Value,
}

/// How one epoch of a run does its work. A run that loses the race for its commit plans again, as the next epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochPlan {
    /// The run.
    pub run_id: String,
    /// The epoch, from 0.
    pub epoch: u32,
    /// Repository.
    pub repo: String,
    /// Short key of the repository.
    pub repo_key: String,
    /// Normalised URL of the remote `origin`, where there is one.
    pub origin: Option<String>,
    /// Sequence of the repository's commit this epoch builds on; 0 for none.
    pub base_sequence: u64,
    /// Rows of the repository in each dataset at that commit.
    pub base_rows: BTreeMap<String, i64>,
    /// Pinned Delta version of every table that exists.
    pub table_versions: BTreeMap<String, i64>,
    /// The whole shard map as it is after this run.
    pub shards: Vec<Shard>,
    /// Ids of the shards that have work.
    pub tasks: Vec<String>,
    /// Datasets the run fills.
    pub datasets: Vec<String>,
    /// Datasets that equal the snapshot of this run once it is committed.
    pub complete_datasets: Vec<String>,
    /// Files whose state is known without execution.
    pub counts: FileCounts,
    /// Commit the scan saw.
    pub git_commit: Option<String>,
    /// The scan's scope.
    pub scope: serde_json::Value,
    /// Whether the scan saw the whole repository.
    pub complete: bool,
    /// Hash of options, limits, datasets and scope.
    pub settings_hash: String,
    /// How content reaches the executors: `shared`, `staged` or `git`.
    pub source: String,
    /// Version of Lode.
    pub version: String,
    /// Start of the run, microseconds since the Unix epoch.
    pub started_at: i64,
}

impl RunPlan {
    /// Publishes the plan, or attaches to the run that already has it. Returns the plan on record: the first one's, which
    /// differs from this one in its time only.
    ///
    /// # Errors
    /// [`LakeError::RunConflict`] if the run id is taken by a run with another digest.
    pub async fn publish(self, lake: &Lake) -> Result<Self> {
        let path = layout::run_plan(&self.run_id);
        if lake.put_new_json(&path, &self).await? == Put::Created {
            return Ok(self);
        }
        let first: Self = lake.require_json(&path).await?;
        if first.digest == self.digest { Ok(first) } else { Err(LakeError::RunConflict { run_id: self.run_id }) }
    }

    /// The plan of a run, if there is such a run.
    ///
    /// # Errors
    /// If the lake can't be read.
    pub async fn load(lake: &Lake, run_id: &str) -> Result<Option<Self>> {
        lake.get_json(&layout::run_plan(run_id)).await
    }
}

impl EpochPlan {
    /// Publishes the plan. Returns the plan on record: two clients that plan the same epoch work by the first one's.
    ///
    /// # Errors
    /// If the lake can't be written.
    pub async fn publish(self, lake: &Lake) -> Result<Self> {
        let path = layout::epoch_plan(&self.run_id, self.epoch);
        match lake.put_new_json(&path, &self).await? {
            Put::Created => Ok(self),
            Put::Exists => lake.require_json(&path).await,
        }
    }

    /// The plan of an epoch, if it was planned.
    ///
    /// # Errors
    /// If the lake can't be read.
    pub async fn load(lake: &Lake, run_id: &str, epoch: u32) -> Result<Option<Self>> {
        lake.get_json(&layout::epoch_plan(run_id, epoch)).await
    }

    /// The plan of a run's last epoch, if it has one.
    ///
    /// # Errors
    /// If the lake can't be read.
    pub async fn last(lake: &Lake, run_id: &str) -> Result<Option<Self>> {
        let mut last = None;
        for epoch in 0.. {
            match Self::load(lake, run_id, epoch).await? {
                Some(plan) => last = Some(plan),
                None => break,
            }
        }
        Ok(last)
    }

    /// The shard of that id.
    pub fn shard(&self, id: &str) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.id == id)
    }
}
