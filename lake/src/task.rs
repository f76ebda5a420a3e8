//! One shard's work: what its executor is told, and what it tells the sink.

use deltalake::kernel::Add;
use lode_facts::catalog::Dataset;
use lode_facts::extract::{DatasetReport, Diagnostic};
use lode_facts::lane::LaneId;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// All an executor needs to rewrite one shard, fixed at plan time; travels as JSON in the first row of its worklist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardTask {
    /// The run.
    pub run_id: String,
    /// Epoch of the run.
    pub epoch: u32,
    /// Repository.
    pub repo: String,
    /// Shard.
    pub shard: String,
    /// First path of the range; empty for the start.
    pub lower: String,
    /// First path after the range; `None` for the end.
    pub upper: Option<String>,
    /// Rows of the worklist.
    pub rows: u64,
    /// [`WorklistDigest`] of them.
    pub digest: String,
    /// Shards whose old rows lie in this range, when the range comes from a split.
    pub sources: Vec<String>,
    /// Tables that exist or that the run fills, in catalog order; a table that is missing here has no old rows.
    pub tables: Vec<TableTask>,
}

/// What one table holds of a shard before the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableTask {
    /// Table.
    pub table: String,
    /// Data files with old rows of the range.
    pub sources: Vec<OldFile>,
    /// Whether the run may take rows from this table anywhere, so that every shard writes its changes down: readers of a
    /// version with any change file look at nothing else.
    pub change_data: bool,
    /// Whether the range was split: its rows move to another file even where nothing changed.
    pub moved: bool,
}

/// A data file of the pinned snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OldFile {
    /// Path below the table.
    pub path: String,
    /// Size in bytes.
    pub size: i64,
    /// Rows, where the log says.
    pub rows: Option<i64>,
    /// Shard it belongs to. The task of that very shard removes it.
    pub shard: String,
    /// The action that added it, without its statistics.
    pub add: Add,
}

impl ShardTask {
    /// The old state of a table.
    pub fn table(&self, dataset: &Dataset) -> Option<&TableTask> {
        self.tables.iter().find(|table| table.table == dataset.name)
    }

    /// Whether a path lies in the range.
    pub fn contains(&self, path: &str) -> bool {
        path >= self.lower.as_str() && self.upper.as_deref().is_none_or(|upper| path < upper)
    }
}

/// Digest of a worklist: of its paths and of how many there are, in order.
#[derive(Default, Clone)]
pub struct WorklistDigest {
    hash: Xxh3,
    rows: u64,
}

impl WorklistDigest {
    /// Adds the next row.
    pub fn push(&mut self, path: &str, file_id: i64) {
        self.hash.update(path.as_bytes());
        self.hash.update(&[0]);
        self.hash.update(&file_id.to_le_bytes());
        self.rows += 1;
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The digest as text.
    pub fn text(&self) -> String {
        format!("{:016x}", self.hash.digest())
    }
}

/// A row of `extract_state` without its file and lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRow {
    /// Lane.
    pub lane: LaneId,
    /// What the lane read.
    pub content_key: String,
    /// Fingerprint of the lane.
    pub fingerprint: String,
    /// `extracted`, `failed` or `quarantined`.
    pub status: String,
    /// Reason code of a failure, or the limit that was broken.
    pub reason: Option<String>,
    /// Datasets that are done, with their rows.
    pub datasets: Vec<DatasetReport>,
}

impl StateRow {
    /// The report of a dataset, if it is done.
    pub fn report(&self, dataset: &str) -> Option<&DatasetReport> {
        self.datasets.iter().find(|report| report.dataset == dataset)
    }
}

/// A row of `quarantine` without its file, lane, content key and fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineRow {
    /// Hash of the limits in force.
    pub limits: String,
    /// The limit that was broken.
    pub limit: String,
    /// What happened.
    pub message: String,
    /// How often it was tried.
    pub attempts: i32,
}

/// What becomes of one lane of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneChange {
    /// Lane.
    pub lane: LaneId,
    /// Its state in the lake, if it has one.
    pub old: Option<StateRow>,
    /// Its state after the run; `None` when the file is deleted or the lane no longer takes it.
    ///
    /// A dataset of the new state that is not in `produced` keeps its rows; one that was in the old state only loses them.
    pub new: Option<StateRow>,
    /// Datasets whose rows come with the group's batches, in the order of [`LaneChange::new`].
    pub produced: Vec<DatasetReport>,
    /// What the lane has to say now.
    pub diagnostics: Vec<Diagnostic>,
    /// Why it is in quarantine, if it is.
    pub quarantine: Option<QuarantineRow>,
}

/// What becomes of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Path below the root.
    pub path: String,
    /// Its id.
    pub file_id: i64,
    /// One entry a lane that is touched, in the order of [`LaneId::ALL`]; other lanes keep their rows.
    pub lanes: Vec<LaneChange>,
}
