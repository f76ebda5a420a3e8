//! What a run is asked to do.

use std::path::PathBuf;

use lode_facts::options::{Limits, Options};
use lode_facts::python::Version;

use super::Place;

/// How the content of files reaches executors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// They read the directory.
    Shared,
    /// They read packs on the lake, which this process fills.
    Staged,
    /// They read git's objects, where the scan is of a commit.
    Git {
        /// Where executors find the repository, if it isn't where this process does.
        repository: Option<PathBuf>,
    },
}

/// Everything `lode extract` can ask for, checked for form but not against the repository.
#[derive(Debug, Clone)]
pub struct ExtractRequest {
    /// Where the repository lies.
    pub path: PathBuf,
    /// Directory or URL of the lake.
    pub lake: String,
    /// Name of the repository; otherwise from its origin or directory.
    pub repo: Option<String>,
    /// Patterns (as in `.gitignore`) of what to take; all when empty.
    pub include: Vec<String>,
    /// Patterns of what to leave out.
    pub exclude: Vec<String>,
    /// Commit, tag or branch to read from git's objects instead of the checkout.
    pub reference: Option<String>,
    /// Look only at what changed since this commit.
    pub changed_since: Option<String>,
    /// Enter submodules.
    pub submodules: bool,
    /// Scan linked worktrees.
    pub worktrees: bool,
    /// Names of the datasets to fill, in catalog order.
    pub datasets: Vec<&'static str>,
    /// Id of the run, chosen by the caller.
    pub run_id: Option<String>,
    /// Where the run is executed.
    pub place: Place,
    /// How content reaches executors; from where the scan read it when not given.
    pub source: Option<Source>,
    /// Number of shards, against the planner's own choice; for tests.
    pub shards: Option<usize>,
    /// Version of Python to read files as; the one of the project, else the default, when not given.
    pub python_version: Option<Version>,
    /// Options of the extractors; their version of Python is the one above.
    pub options: Options,
    /// Limits of a file.
    pub limits: Limits,
}
