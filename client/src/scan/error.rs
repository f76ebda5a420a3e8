//! What can keep a scan from being made.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

/// A scan that could not be made. A file that can't be read is no such error: it is part of the scan.
#[derive(Debug, Error, Diagnostic)]
pub enum ScanError {
    /// The root is not there or can't be opened.
    #[error("cannot open `{}`", path.display())]
    #[diagnostic(help("name a directory that exists and can be read"))]
    Root {
        /// The root.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The root is the lake.
    #[error("`{}` is the lake itself", root.display())]
    #[diagnostic(help("put the lake into another directory"))]
    IsLake {
        /// The root.
        root: PathBuf,
    },
    /// The root has no name to call the repository by.
    #[error("`{}` has no name that could be the repository's", path.display())]
    #[diagnostic(help("choose one with `--repo`"))]
    NoName {
        /// The root.
        path: PathBuf,
    },
    /// The name of the repository is empty or holds control characters.
    #[error("`{}` is no name of a repository", name.escape_debug())]
    #[diagnostic(help("choose a text without control characters, like `github.com/owner/name`"))]
    BadName {
        /// The name.
        name: String,
    },
    /// Git's data can't be read.
    #[error("cannot read {what} of the git repository `{}`", path.display())]
    #[diagnostic(help("`git fsck` and `git status` in that directory tell more"))]
    Git {
        /// Which part of it.
        what: &'static str,
        /// The repository.
        path: PathBuf,
        /// Why.
        source: Box<gix::Error>,
    },
    /// One of git's files is a pipe or a device.
    #[error("`{}` is no regular file", path.display())]
    #[diagnostic(help("git keeps a file there: remove what took its place"))]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The work tree that git's configuration names does not hold the root.
    #[error("`{}` lies outside the work tree `{}` that its git repository names", root.display(), worktree.display())]
    #[diagnostic(help("`core.worktree` of the repository points elsewhere: scan that directory, or unset it"))]
    Worktree {
        /// The root.
        root: PathBuf,
        /// The work tree.
        worktree: PathBuf,
    },
    /// A reference names no commit.
    #[error("`{reference}` names no commit of the git repository `{}`", path.display())]
    #[diagnostic(help("fetch it, or name a branch, tag or commit that `git rev-parse` knows here"))]
    Ref {
        /// The reference.
        reference: String,
        /// The repository.
        path: PathBuf,
        /// Why.
        source: Box<gix::Error>,
    },
    /// The root is not a directory of the commit.
    #[error("`{path}` is no directory of `{reference}`")]
    #[diagnostic(help("scan the repository's root, or a directory that the commit has"))]
    NotInTree {
        /// The root's path below the work tree.
        path: String,
        /// The reference.
        reference: String,
    },
    /// An option needs git.
    #[error("`{option}` needs a git repository, and `{}` is in none", root.display())]
    #[diagnostic(help("leave the option out, or scan a directory of a git repository"))]
    NotGit {
        /// The option.
        option: &'static str,
        /// The root.
        root: PathBuf,
    },
    /// A pattern is wrong.
    #[error("wrong pattern `{pattern}` in {origin}: {reason}")]
    #[diagnostic(help("patterns are those of .gitignore and match below the root, like `src/`, `*.py` or `!keep.py`"))]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Where it stands.
        origin: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The repository's `lode.toml` is wrong.
    #[error("`lode.toml` of the repository is wrong: {reason}")]
    #[diagnostic(help("it may hold `[scan]` with the lists `include` and `exclude`, and nothing else"))]
    Config {
        /// What is wrong.
        reason: String,
    },
    /// More files than allowed.
    #[error("{count} files are in scope, more than the {limit} allowed")]
    #[diagnostic(help("narrow the scope with `--exclude`, or raise the limit"))]
    TooManyFiles {
        /// Files in scope.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// Two paths can't be told apart in tables.
    #[error("two paths are both written `{path}` or have the same file_id")]
    #[diagnostic(help("rename or exclude one of them"))]
    Collision {
        /// The path.
        path: String,
    },
}

impl ScanError {
    pub(super) fn git(what: &'static str, repo: &gix::Repository) -> impl FnOnce(gix::Error) -> Self {
        let path = repo.git_dir().to_owned();
        move |source| Self::Git { what, path, source: Box::new(source) }
    }
}
