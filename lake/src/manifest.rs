//! The manifest of a finished shard: created once, by exactly one attempt.

use std::ops::AddAssign;

use deltalake::kernel::{Add, AddCDCFile, Remove};
use serde::{Deserialize, Serialize};

use crate::error::{LakeError, Result};
use crate::fault;
use crate::layout;
use crate::store::{Lake, Put};

/// What a shard's task wrote. Only what the manifest names is ever committed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The run.
    pub run_id: String,
    /// Epoch of the run.
    pub epoch: u32,
    /// Shard.
    pub shard: String,
    /// The attempt that wrote it; unique.
    pub attempt: String,
    /// Rows of the worklist that were consumed.
    pub rows: u64,
    /// Their digest.
    pub digest: String,
    /// One entry a table whose files change, in catalog order.
    pub tables: Vec<TableOutput>,
    /// Files by state.
    pub counts: FileCounts,
    /// Content that was read.
    pub bytes: u64,
    /// What it cost.
    pub stats: TaskStats,
}

/// The files of one (table, shard) that a commit swaps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableOutput {
    /// Table.
    pub table: String,
    /// Old data files.
    pub removes: Vec<Remove>,
    /// New data files.
    pub adds: Vec<Add>,
    /// Change-data files.
    pub cdc: Vec<AddCDCFile>,
    /// Rows that are gone.
    pub rows_removed: i64,
    /// Rows that are new.
    pub rows_added: i64,
    /// Rows that were taken over.
    pub rows_carried: i64,
}

/// What a shard's task cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskStats {
    /// Wall time.
    pub elapsed_ms: u64,
    /// CPU time of worker processes.
    pub worker_cpu_ms: u64,
    /// Largest resident size of a worker, in bytes.
    pub peak_rss: u64,
    /// File that took longest.
    pub slowest_path: Option<String>,
    /// How long it took.
    pub slowest_ms: u64,
    /// Worker processes that were started.
    pub workers_started: u64,
    /// Time the sink spent encoding and uploading, as far as the task waited for it.
    pub sink_ms: u64,
}

/// Files by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileCounts {
    /// Files the scan saw.
    pub scanned: u64,
    /// Whose facts were made in this run.
    pub extracted: u64,
    /// Whose facts were in the lake already.
    pub unchanged: u64,
    /// Left out by a rule.
    pub skipped: u64,
    /// That could not be read.
    pub failed: u64,
    /// That broke a limit.
    pub quarantined: u64,
    /// That were in the lake and are no longer in the scan; not part of `scanned`.
    pub deleted: u64,
}

impl FileCounts {
    /// Checks that every file of the scan has exactly one state.
    ///
    /// # Errors
    /// [`LakeError::Counts`] if they don't add up.
    pub fn check(&self) -> Result<()> {
        let states = self.extracted + self.unchanged + self.skipped + self.failed + self.quarantined;
        if states == self.scanned { Ok(()) } else { Err(LakeError::Counts { counts: *self }) }
    }
}

impl AddAssign for FileCounts {
    fn add_assign(&mut self, other: Self) {
        self.scanned += other.scanned;
        self.extracted += other.extracted;
        self.unchanged += other.unchanged;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.quarantined += other.quarantined;
        self.deleted += other.deleted;
    }
}

/// What the host of a task reports when all files of its worklist are through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOutcome {
    /// Rows of the worklist that were consumed.
    pub rows: u64,
    /// Their [`crate::task::WorklistDigest`].
    pub digest: String,
    /// Files by state.
    pub counts: FileCounts,
    /// Content that was read.
    pub bytes: u64,
    /// What it cost.
    pub stats: TaskStats,
}

/// Publishes a manifest. Returns the one on record: of two attempts the first wins, and the loser's files are orphans.
///
/// # Errors
/// If the lake can't be written.
pub async fn publish(lake: &Lake, manifest: Manifest) -> Result<Manifest> {
    let path = layout::manifest(&manifest.run_id, manifest.epoch, &manifest.shard);
    fault::point("manifest.before");
    let put = lake.put_new_json(&path, &manifest).await?;
    fault::point("manifest.after");
    match put {
        Put::Created => Ok(manifest),
        Put::Exists => lake.require_json(&path).await,
    }
}

/// The manifest of a shard, if it is finished.
///
/// # Errors
/// If the lake can't be read.
pub async fn load(lake: &Lake, run_id: &str, epoch: u32, shard: &str) -> Result<Option<Manifest>> {
    lake.get_json(&layout::manifest(run_id, epoch, shard)).await
}
