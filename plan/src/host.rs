//! What the operators need from the process they run in: extraction, and an ear for progress.
//!
//! The plan knows neither processes nor file systems. A process that can execute [`crate::extract::ExtractExec`] puts a
//! [`HostHandle`] into its sessions' configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lode_encode::Rows;
use lode_facts::catalog::Dataset;
use lode_facts::extract::{FileReport, FileRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::options::{Limits, Options};
use serde::{Deserialize, Serialize};
use tracing::Span;

/// Where the bytes of the worklist's files come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum ContentSource {
    /// From a directory the executor can reach; nothing outside it is ever read.
    Shared {
        /// The repository's root.
        root: PathBuf,
        /// Directories of linked worktrees, whose files lie below `.worktrees/<name>/`.
        linked: BTreeMap<String, PathBuf>,
    },
    /// From packs on the lake, see [`crate::staging`].
    Staged {
        /// Address of the lake.
        lake: String,
        /// Folder of the packs.
        folder: String,
    },
    /// From the object database of a git repository the executor can reach, by blob id.
    Git {
        /// The repository.
        repository: PathBuf,
    },
}

impl ContentSource {
    /// Name in `runs.source`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shared { .. } => "shared",
            Self::Staged { .. } => "staged",
            Self::Git { .. } => "git",
        }
    }
}

/// How to extract: the same for every file of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractOrder {
    /// Where content comes from.
    pub source: ContentSource,
    /// Options of the extractors.
    pub options: Options,
    /// Limits of a file.
    pub limits: Limits,
}

/// Facts of a group of files, as a worker made them.
#[derive(Debug, Clone, Default)]
pub struct GroupFacts {
    /// One report a file, in the order of the requests.
    pub files: Vec<FileReport>,
    /// Rows by dataset, for those that have any, in the order of files. Their columns follow the dataset's.
    pub tables: Vec<(&'static Dataset, Rows)>,
}

/// What a group of files cost.
#[derive(Debug, Clone, Default)]
pub struct GroupCost {
    /// CPU time of the worker.
    pub cpu: Duration,
    /// Slowest file: its position in the group and how long it took.
    pub slowest: Option<(usize, Duration)>,
    /// Largest memory of the worker, in bytes.
    pub peak_rss: u64,
}

/// The content of a file, or what is to be said of it instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// Its bytes.
    Bytes(Bytes),
    /// It is larger than the limit.
    TooLarge,
    /// It can't be read: the state its lanes end in.
    Refused(LaneStatus),
}

/// The process around the operators.
#[async_trait]
pub trait Host: fmt::Debug + Send + Sync {
    /// Reads and extracts a group of files; reports and rows come in the order of the requests. A file that can't be
    /// read or breaks a limit is a report, not an error.
    ///
    /// # Errors
    /// Only when no extraction is possible at all (no worker can be started).
    async fn extract(&self, order: &ExtractOrder, files: Vec<FileRequest>) -> std::io::Result<(GroupFacts, GroupCost)>;

    /// Extracts contents that are already at hand (the extractor functions of SQL).
    ///
    /// # Errors
    /// As [`Host::extract`].
    async fn extract_contents(
        &self,
        options: &Options,
        limits: &Limits,
        files: Vec<(FileRequest, Vec<u8>)>,
    ) -> std::io::Result<GroupFacts>;

    /// Reads files as they are now, for whoever stages them.
    ///
    /// # Errors
    /// Only when nothing of the source can be read at all.
    async fn read(&self, source: &ContentSource, files: Vec<FileMeta>, limit: u64)
    -> std::io::Result<Vec<FileContent>>;

    /// Options under which functions of SQL extract; with interpreters, `bytecode_*` can be among them.
    fn function_options(&self) -> &Options;

    /// Called with the span of a task before it is entered, the task's run, and what Ballista calls the task.
    fn begin(&self, _span: &Span, _run_id: &str, _task: &str) {}

    /// Called as work goes on.
    fn observe(&self, _event: &ShardEvent) {}
}

/// Progress of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardEvent {
    /// A group of files is done.
    Group {
        /// Files in it.
        files: u64,
        /// Content read.
        bytes: u64,
        /// Files that failed or were quarantined.
        failures: u64,
        /// The slowest file and how long it took.
        slowest: Option<(String, Duration)>,
    },
    /// The shard's manifest stands; `reused` when an earlier attempt had written it.
    Shard {
        /// Shard.
        shard: String,
        /// Whether nothing had to be done.
        reused: bool,
        /// Files on its worklist.
        files: u64,
    },
}

/// A host inside a session's configuration.
#[derive(Debug, Clone)]
pub struct HostHandle(pub Arc<dyn Host>);
