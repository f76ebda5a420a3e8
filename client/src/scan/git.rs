//! Git repositories: opened without trusting the directory, read without running anything.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::bstr::{BStr, ByteSlice};
use gix::objs::tree::EntryRef;
use gix::traverse::tree::recorder::Entry;
use gix::traverse::tree::visit::Action;
use gix::traverse::tree::{Recorder, Visit};
use lode_facts::file::FileKind;
use rustix::fs::FileType;

use super::walk::{FileStat, Found, GitEntry};
use super::{Location, ScanError};
use lode_executor::content::{open_directory, stat};

/// The repository around a root.
pub(super) struct Around {
    pub repo: gix::Repository,
    /// Path of the root below the work tree; empty at its top and in a bare repository.
    pub prefix: Vec<u8>,
    pub bare: bool,
}

/// `GIT_*` variables are left out: the root that was named decides which repository is read.
fn options() -> gix::open::Options {
    let mut permissions = gix::open::Permissions::default();
    permissions.env.git_prefix = gix::sec::Permission::Deny;
    gix::open::Options::default().permissions(permissions)
}

fn open(path: &Path) -> Result<gix::Repository, ScanError> {
    let dot_git = path.join(".git");
    for directory in [&dot_git, path] {
        for name in ["HEAD", "config", "index", "packed-refs", "info/exclude", "shallow", "commondir"] {
            check_file(&directory.join(name))?;
        }
    }
    let repo = gix::open_opts(path, options()).map_err(|source| ScanError::Git {
        what: "the configuration",
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let excludes = repo.config_snapshot().trusted_path("core.excludesFile");
    if let Some(excludes) = excludes.map_err(ScanError::git("`core.excludesFile`", &repo))? {
        check_file(&excludes)?;
    }
    Ok(repo)
}

/// Reading a pipe or a device in place of one of git's files would never end.
fn check_file(path: &Path) -> Result<(), ScanError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => Err(ScanError::NotAFile { path: path.to_owned() }),
        _ => Ok(()),
    }
}

/// Whether a directory is the top of a work tree: it holds a `.git` file, or a `.git` directory with a `HEAD`.
pub(super) fn is_repository(directory: BorrowedFd<'_>) -> bool {
    let Ok(found) = stat(directory, OsStr::new(".git")) else { return false };
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => true,
        FileType::Directory => {
            open_directory(directory, OsStr::new(".git")).is_ok_and(|git| stat(git.as_fd(), OsStr::new("HEAD")).is_ok())
        }
        _ => false,
    }
}

/// Opens the repository whose work tree is this directory, and no other.
pub(super) fn open_exactly(path: &Path) -> Result<gix::Repository, ScanError> {
    let repo = open(path)?;
    let worktree = repo.workdir().map(canonical);
    if worktree.as_deref() != Some(&canonical(path)) {
        return Err(ScanError::Worktree { root: path.to_owned(), worktree: worktree.unwrap_or_default() });
    }
    Ok(repo)
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The repository that a root (a canonical path) lies in, if any.
pub(super) fn around(root: &Path) -> Result<Option<Around>, ScanError> {
    if is_bare(root) {
        return Ok(Some(Around { repo: open(root)?, prefix: vec![], bare: true }));
    }
    for directory in root.ancestors() {
        let dot_git = directory.join(".git");
        let is_repository = match fs::symlink_metadata(&dot_git) {
            Ok(metadata) if metadata.is_dir() => dot_git.join("HEAD").exists(),
            Ok(metadata) if metadata.is_symlink() => dot_git.join("HEAD").exists(),
            Ok(metadata) => metadata.is_file(),
            Err(_) => false,
        };
        if !is_repository {
            continue;
        }
        let repo = open(directory)?;
        let Some(worktree) = repo.workdir().map(canonical) else {
            return Ok(Some(Around { repo, prefix: vec![], bare: true }));
        };
        let Ok(prefix) = root.strip_prefix(&worktree) else {
            return Err(ScanError::Worktree { root: root.to_owned(), worktree });
        };
        let prefix = prefix.as_os_str().as_bytes().to_vec();
        return Ok(Some(Around { repo, prefix, bare: false }));
    }
    Ok(None)
}

fn is_bare(root: &Path) -> bool {
    root.join("HEAD").is_file() && root.join("objects").is_dir() && root.join("refs").is_dir()
}

/// Whether git ignores everything below the root, so that the index and the ignore rules say nothing of it.
pub(super) fn is_ignored(around: &Around) -> Result<bool, ScanError> {
    let (repo, path) = (&around.repo, around.prefix.as_bstr());
    if path.is_empty() {
        return Ok(false);
    }
    let index = repo.index_or_empty().map_err(ScanError::git("the index", repo))?;
    if index.path_is_directory(path) {
        return Ok(false);
    }
    let ignored = || -> gix::Result<bool> {
        let mut excludes = repo.excludes(&index, None, Default::default())?;
        Ok(excludes.at_entry(path, Some(gix::index::entry::Mode::DIR))?.is_excluded())
    };
    ignored().map_err(ScanError::git("the ignore rules", repo))
}

/// The commit checked out; `None` before the first one.
pub(super) fn head(repo: &gix::Repository) -> Result<Option<gix::ObjectId>, ScanError> {
    let id = || -> gix::Result<_> { Ok(repo.head()?.try_peel_to_id()?.map(gix::Id::detach)) };
    id().map_err(ScanError::git("HEAD", repo))
}

/// The commit that a reference names.
pub(super) fn commit(repo: &gix::Repository, reference: &str) -> Result<gix::ObjectId, ScanError> {
    let id = || -> gix::Result<_> { Ok(repo.rev_parse_single(BStr::new(reference))?.object()?.peel_to_commit()?.id) };
    id().map_err(|source| ScanError::Ref {
        reference: reference.to_owned(),
        path: repo.git_dir().to_owned(),
        source: Box::new(source),
    })
}

/// URL of the remote `origin`, as configured.
pub(super) fn origin(repo: &gix::Repository) -> Option<Vec<u8>> {
    repo.config_snapshot().string("remote.origin.url").map(Vec::from)
}

/// Linked worktrees by name, each with its directory. A repository can claim any directory as its worktree, so only
/// those whose own `.git` file points back count.
pub(super) fn linked_worktrees(repo: &gix::Repository) -> Result<BTreeMap<String, PathBuf>, ScanError> {
    let proxies = repo.worktrees().map_err(ScanError::git("the worktrees", repo))?;
    let linked = proxies.iter().filter_map(|proxy| {
        let base = proxy.base().ok()?;
        let points_to = fs::read(base.join(".git")).ok()?;
        let points_to = points_to.strip_prefix(b"gitdir:")?.trim();
        let points_to = fs::canonicalize(base.join(OsStr::from_bytes(points_to))).ok()?;
        let name = super::names::escape(proxy.id().ok()?);
        (points_to == canonical(proxy.git_dir())).then(|| (name, canonical(&base)))
    });
    Ok(linked.collect())
}

/// A few trees that name each other many times make more paths than any machine holds.
const MAX_TREE_ENTRIES: usize = 2_000_000;

/// All entries below a tree, if there are no more than `most`.
pub(super) fn record(tree: &gix::Tree<'_>, most: usize) -> gix::Result<Vec<Entry>> {
    let mut capped = Capped { recorder: Recorder::default(), left: most };
    tree.traverse().breadthfirst(&mut capped)?;
    Ok(capped.recorder.records)
}

/// Records a tree's entries up to a number; more are an error.
struct Capped {
    recorder: Recorder,
    left: usize,
}

impl Capped {
    fn count(&mut self, then: impl FnOnce(&mut Recorder) -> Action) -> Action {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                then(&mut self.recorder)
            }
            None => Action::Break(()),
        }
    }
}

impl Visit for Capped {
    fn pop_back_tracked_path_and_set_current(&mut self) {
        self.recorder.pop_back_tracked_path_and_set_current();
    }
    fn pop_front_tracked_path_and_set_current(&mut self) {
        self.recorder.pop_front_tracked_path_and_set_current();
    }
    fn push_back_tracked_path_component(&mut self, component: &BStr) {
        self.recorder.push_back_tracked_path_component(component);
    }
    fn push_path_component(&mut self, component: &BStr) {
        self.recorder.push_path_component(component);
    }
    fn pop_path_component(&mut self) {
        self.recorder.pop_path_component();
    }
    fn visit_tree(&mut self, entry: &EntryRef<'_>) -> Action {
        self.count(|recorder| recorder.visit_tree(entry))
    }
    fn visit_nontree(&mut self, entry: &EntryRef<'_>) -> Action {
        self.count(|recorder| recorder.visit_nontree(entry))
    }
}

/// Whether a path leads below the root and nowhere else: a forged tree can hold any name.
fn is_plain(path: &[u8]) -> bool {
    !path.split(|b| *b == b'/').any(|component| matches!(component, b"" | b"." | b".."))
}

/// What a commit's tree says of each path below `prefix`, as paths below it.
pub(super) fn tree_entries(
    repo: &gix::Repository,
    commit: gix::ObjectId,
    prefix: &[u8],
) -> Result<Option<BTreeMap<Vec<u8>, GitEntry>>, ScanError> {
    let list = || -> gix::Result<Option<Vec<_>>> {
        let mut tree = repo.find_commit(commit)?.tree()?;
        if !prefix.is_empty() {
            match tree.peel_to_entry(prefix.split(|b| *b == b'/'))? {
                Some(entry) if entry.mode().is_tree() => tree = entry.object()?.try_into_tree()?,
                _ => return Ok(None),
            }
        }
        Ok(Some(record(&tree, MAX_TREE_ENTRIES)?))
    };
    let records = list().map_err(ScanError::git("the tree of the commit", repo))?;
    Ok(records.map(|records| {
        let entries = records.into_iter().filter(|record| record.mode.is_no_tree());
        let entry = |mode: u16, id| GitEntry { id, mode: u32::from(mode), clean: false };
        entries.map(|r| (r.filepath.into(), entry(r.mode.value(), r.oid))).collect()
    }))
}

/// The files of a commit, as the scan finds files on disk.
pub(super) fn found_in_tree(repo: &gix::Repository, entries: BTreeMap<Vec<u8>, GitEntry>) -> Vec<Found> {
    let found = entries.into_iter().map(|(path, entry)| {
        let (kind, rule) = match entry.mode & 0o170_000 {
            _ if !is_plain(&path) => (FileKind::Special, Some("unsafe-path")),
            0o120_000 => (FileKind::Symlink, Some("symlink")),
            0o160_000 => (FileKind::Submodule, Some("submodule")),
            _ => (FileKind::File, None),
        };
        // The size of an object that is missing comes out when its content is asked for.
        let size = if kind == FileKind::Submodule { 0 } else { repo.find_header(entry.id).map_or(0, |h| h.size()) };
        Found {
            path,
            kind,
            stat: FileStat { size: size as i64, mode: entry.mode, ..FileStat::default() },
            tracked: Some(true),
            git: Some(entry),
            rule,
            location: Location::GitBlob(entry.id.to_string()),
        }
    });
    found.collect()
}
