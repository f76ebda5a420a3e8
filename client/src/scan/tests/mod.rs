//! Tests against real repositories, with git as the oracle.

mod changes;
mod hostile;
mod listing;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::*;

/// A repository in a temporary directory.
struct Fixture {
    _dir: TempDir,
    root: PathBuf,
}

impl Fixture {
    /// A directory that is no repository.
    fn plain() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("root");
        fs::create_dir(&root).unwrap();
        Self { _dir: dir, root }
    }

    fn git_init() -> Self {
        let fixture = Self::plain();
        fixture.git(&["init", "-q", "-b", "main"]);
        fixture
    }

    /// A repository with these files committed.
    fn committed(files: &[(&str, &str)]) -> Self {
        let fixture = Self::git_init();
        fixture.write(files);
        fixture.commit();
        fixture
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn commit(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn git(&self, args: &[&str]) -> String {
        git_in(&self.root, args)
    }

    fn scan(&self) -> Scan {
        self.scan_with(&ScanOptions::default())
    }

    fn scan_with(&self, options: &ScanOptions) -> Scan {
        scan(&self.root, options).unwrap()
    }

    fn fails(&self, options: &ScanOptions) -> ScanError {
        scan(&self.root, options).unwrap_err()
    }
}

fn git_in(directory: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.org",
            "-c",
            "protocol.file.allow=always",
            "-c",
            "commit.gpgSign=false",
        ])
        .args(args)
        .current_dir(directory)
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// NUL-separated paths, without the slash git puts behind directories.
fn listed(text: &str) -> BTreeSet<String> {
    text.split('\0').filter(|path| !path.is_empty()).map(|path| path.trim_end_matches('/').to_owned()).collect()
}

fn paths(scan: &Scan) -> BTreeSet<String> {
    scan.files.iter().map(|file| file.meta.path.clone()).collect()
}

fn included(scan: &Scan) -> Vec<&str> {
    scan.files.iter().filter(|file| file.meta.included).map(|file| file.meta.path.as_str()).collect()
}

fn file<'s>(scan: &'s Scan, path: &str) -> &'s ScannedFile {
    scan.files.iter().find(|file| file.meta.path == path).unwrap_or_else(|| panic!("{path} in {:?}", paths(scan)))
}

fn rule<'s>(scan: &'s Scan, path: &str) -> &'s str {
    &file(scan, path).meta.rule
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}
