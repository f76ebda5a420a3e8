//! What became of a run, as its lake says: a job's success says only that its commit task ended.

use lode_lake::commit::{self, Decision, decide};
use lode_lake::plan::EpochPlan;
use lode_lake::store::Lake;
use lode_lake::{LakeError, history, layout};
use serde::{Deserialize, Serialize};

/// Where the run of a job is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAddress {
    /// The lake.
    pub lake: String,
    /// The repository.
    pub repo: String,
    /// Epoch of the run.
    pub epoch: u32,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Its rows are in the lake.
    Committed {
        /// Commit number of the repository.
        sequence: u64,
    },
    /// Another run took its place: it has to be planned again.
    Superseded {
        /// The other run.
        by: String,
    },
    /// It can't be committed any more.
    Cancelled,
    /// Not finished: `lode resume` goes on with it.
    Resumable,
}

impl Outcome {
    /// Asks the lake.
    ///
    /// # Errors
    /// If the lake can't be read.
    pub async fn of(run_id: &str, address: &JobAddress) -> Result<Self, LakeError> {
        let lake = Lake::open(&address.lake).await?;
        if let Some(plan) = EpochPlan::load(&lake, run_id, address.epoch).await?
            && let Some(entry) = commit::entry(&lake, &plan.repo_key, plan.base_sequence + 1).await?
        {
            if entry.run_id != run_id {
                return Ok(Self::Superseded { by: entry.run_id });
            }
            // The commit stands; the tables follow, at the latest with the next run.
            return Ok(match history::run(&lake, run_id).await? {
                Some(_) => Self::Committed { sequence: entry.sequence },
                None => Self::Resumable,
            });
        }
        let decision = lake.get_json::<Decision>(&layout::decision(run_id)).await?;
        Ok(if decision == Some(Decision::Cancelled) { Self::Cancelled } else { Self::Resumable })
    }

    /// Name for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Committed { .. } => "committed",
            Self::Superseded { .. } => "superseded",
            Self::Cancelled => "cancelled",
            Self::Resumable => "resumable",
        }
    }
}

/// Sees to it that a run is never committed. Returns whether it was in time.
///
/// # Errors
/// If the lake can't be written.
pub async fn forbid_commit(run_id: &str, address: &JobAddress) -> Result<bool, LakeError> {
    let lake = Lake::open(&address.lake).await?;
    Ok(decide(&lake, run_id, Decision::Cancelled).await? == Decision::Cancelled)
}
