//! What a run tells people and machines: progress while it works, a summary when it ends.

mod agreement;
mod progress;
mod summary;

use std::error::Error;
use std::time::Duration;

pub use agreement::{Agreed, AgreementRate};
pub use progress::{Lines, Quiet, Terminal, observer};
pub use summary::{PythonChoice, RunState, RunSummary};
pub(crate) use summary::{bytes, count};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Looking at the repository's files.
    Scanning,
    /// Comparing them with the lake and planning shards.
    Planning,
    /// Extracting facts and writing data files.
    Extracting,
    /// Checking and committing the tables.
    Committing,
}

impl Phase {
    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Scanning => "scanning",
            Self::Planning => "planning",
            Self::Extracting => "extracting",
            Self::Committing => "committing",
        }
    }
}

/// How far a phase is. Totals are 0 while they are unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files to do.
    pub files_total: u64,
    /// Files done.
    pub files_done: u64,
    /// Bytes to do.
    pub bytes_total: u64,
    /// Bytes done.
    pub bytes_done: u64,
    /// Files that failed or were quarantined.
    pub failures: u64,
    /// Tasks to do, on a cluster elsewhere, which says no more.
    pub tasks_total: u64,
    /// Tasks done.
    pub tasks_done: u64,
    /// The file that took longest so far, and how long.
    pub slowest: Option<(String, Duration)>,
}

/// Follows a run. Calls come from any thread and cost little; a report holds totals, so that one may be lost.
pub trait RunObserver: Send + Sync {
    /// The run is planned under this id: from now on it can be resumed.
    fn started(&self, run_id: &str, repo: &str);
    /// A phase begins.
    fn phase(&self, phase: Phase);
    /// How far the current phase is.
    fn progress(&self, progress: &Progress);
    /// Something a person should know now; the summary repeats it.
    fn warning(&self, message: &str);
    /// The run ended, however it did: what is drawn on the terminal goes.
    fn finished(&self);
}

/// A run that did not commit: why, and how far it got.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct RunError {
    /// As on success, with `state`, `error` and `hint` saying what happened.
    pub summary: Box<RunSummary>,
    /// Why.
    pub source: Box<dyn Error + Send + Sync>,
}
