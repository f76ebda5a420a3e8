//! What a run is asked to do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lode_facts::lane::LaneId;
use lode_facts::options::{Limits, Options};
use lode_facts::python::Version;
use lode_lake::store::Lake;
use lode_plan::host::ContentSource;
use lode_plan::inputs::RunRequest;

use super::{Place, Refusal};
use crate::scan::{Scan, ScanOptions};

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

impl ExtractRequest {
    /// What to scan for it.
    pub(super) fn scan_options(&self, lake: &Lake) -> ScanOptions {
        ScanOptions {
            lake: lake.url().to_file_path().ok().and_then(|path| path.canonicalize().ok()),
            repo: self.repo.clone(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            submodules: self.submodules,
            worktrees: self.worktrees,
            reference: self.reference.clone(),
            changed_since: self.changed_since.clone(),
            requires_python: self.python_version.is_none(),
            ..ScanOptions::default()
        }
    }

    /// What to plan, now that the repository is known. `retried` are the files and lanes to do again although nothing
    /// of them has changed.
    ///
    /// # Errors
    /// If content can't come from where it was asked to.
    pub(super) fn planned(&self, scanned: &Scan, retried: BTreeSet<(i64, LaneId)>) -> Result<RunRequest, Refusal> {
        let source = match (scanned.objects(), &self.source) {
            (Some(_), Some(Source::Shared)) => {
                return Err(Refusal::new(
                    "a commit is in no directory that could be shared",
                    "use --source git or staged",
                ));
            }
            (None, Some(Source::Git { .. })) => {
                let hint = "name a commit with --ref, or use --source shared or staged";
                return Err(Refusal::new("the files of a work tree need not be in git's objects", hint));
            }
            (Some(_), Some(Source::Git { repository: Some(elsewhere) })) => {
                ContentSource::Git { repository: elsewhere.clone() }
            }
            (Some(repository), _) => ContentSource::Git { repository: repository.to_owned() },
            (None, _) => ContentSource::Shared { root: scanned.root.clone(), linked: scanned.worktrees.clone() },
        };
        let gone = scanned.deleted.iter().map(|path| lode_facts::hash::file_id(&scanned.repo, path.as_bytes()));
        Ok(RunRequest {
            repo: scanned.repo.clone(),
            origin: scanned.origin.clone(),
            git_commit: scanned.git_commit.clone(),
            complete: scanned.complete,
            changed_since: scanned.base_commit.clone(),
            gone: gone.collect(),
            retried,
            source,
            // Executors elsewhere can be sure to reach the lake and nothing else.
            staged: match &self.source {
                Some(source) => *source == Source::Staged,
                None => self.place.scheduler().is_some(),
            },
            datasets: self.datasets.iter().map(|name| (*name).to_owned()).collect(),
            options: self.options.clone(),
            limits: self.limits.clone(),
            scope: serde_json::json!({
                "include": self.include,
                "exclude": self.exclude,
                "ref": self.reference,
                "changed_since": self.changed_since,
                "submodules": self.submodules,
                "worktrees": self.worktrees,
            }),
            shards: self.shards,
        })
    }
}
