//! Lakes under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::command::{Output, Summary, lode};
use crate::repo::Repo;
use crate::tables::Tables;

/// A lake in a directory of its own.
pub struct Lake {
    _home: TempDir,
    root: PathBuf,
}

impl Default for Lake {
    fn default() -> Self {
        let home = TempDir::new().expect("a temporary directory");
        let root = home.path().join("lake");
        Self { _home: home, root }
    }
}

impl Lake {
    /// A lake that holds one run over a repository.
    #[track_caller]
    pub fn of(repo: &Repo, args: &[&str]) -> Self {
        let lake = Self::default();
        lake.extract(repo, args);
        lake
    }

    /// Another lake with the same content.
    pub fn duplicate(&self) -> Self {
        let copy = Self::default();
        crate::repo::copy(&self.root, &copy.root);
        copy
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `lode <command> --lake <this lake>`, without waiting for it.
    pub fn command(&self, command: &str) -> Command {
        let mut lode = lode();
        lode.arg(command).arg("--lake").arg(&self.root);
        lode
    }

    /// `lode extract` with JSON output and small shards of the work, without waiting for it.
    pub fn extraction(&self, root: &Path, args: &[&str]) -> Command {
        let mut command = self.command("extract");
        command.arg(root).args(["--output", "json", "--workers", "2"]).args(args);
        command
    }

    /// Extracts a repository and expects a committed run.
    #[track_caller]
    pub fn extract(&self, repo: &Repo, args: &[&str]) -> Summary {
        let output = self.try_extract(repo, args).ok();
        let summary = output.summary();
        assert_eq!(summary.state, "committed", "{output}");
        summary
    }

    /// Extracts a repository.
    pub fn try_extract(&self, repo: &Repo, args: &[&str]) -> Output {
        Output::of(&mut self.extraction(repo.root(), args))
    }

    /// `lode resume <run>`.
    pub fn resume(&self, run_id: &str) -> Output {
        Output::of(self.command("resume").arg(run_id).args(["--output", "json"]))
    }

    /// `lode verify`, which must find nothing.
    #[track_caller]
    pub fn verify(&self) {
        self.try_verify().ok();
    }

    /// `lode verify`.
    pub fn try_verify(&self) -> Output {
        Output::of(self.command("verify").args(["--output", "json"]))
    }

    /// `lode query` over the last committed run, as JSON objects.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<serde_json::Value> {
        Output::of(self.command("query").args(["--format", "jsonl", sql])).ok().json_lines()
    }

    /// The rows of the lake, read without Lode.
    pub fn tables(&self) -> Tables {
        Tables::open(&self.root)
    }

    /// Expects the same facts as in another lake: the same tables, each with the same rows any number of times.
    #[track_caller]
    pub fn assert_same_facts(&self, other: &Lake) {
        self.tables().assert_same_facts(&other.tables());
    }
}
