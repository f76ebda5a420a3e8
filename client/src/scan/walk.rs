//! The walk over a work tree: what lies below the root, without what git ignores. Nothing is followed or executed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use gix::bstr::ByteSlice;
use gix::index::entry::{Flags, Mode};
use lode_facts::file::FileKind;
use rustix::fs::{Dir, FileType, Stat};

use super::names::escape;
use super::{Location, ScanError, git};
use lode_executor::content::{open_directory, stat};

/// Deeper directories are not entered: each level holds a file descriptor.
const MAX_DEPTH: usize = 200;

/// What the scan keeps of `lstat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileStat {
    /// Size in bytes.
    pub size: i64,
    /// Type and permissions.
    pub mode: u32,
    /// Modification time, in nanoseconds.
    pub mtime_ns: i64,
    /// Time of the last change of content or status, in nanoseconds.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
}

impl From<Stat> for FileStat {
    fn from(stat: Stat) -> Self {
        let ns =
            |seconds: i64, nanoseconds: u64| seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds as i64);
        Self {
            size: stat.st_size,
            mode: stat.st_mode,
            mtime_ns: ns(stat.st_mtime, stat.st_mtime_nsec),
            ctime_ns: ns(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
        }
    }
}

/// What git's index or a commit says of a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct GitEntry {
    /// Object id.
    pub id: gix::ObjectId,
    /// Mode as git writes it.
    pub mode: u32,
    /// Whether the file's `lstat` proves that the content is still that object.
    pub clean: bool,
}

/// A path of the scan, before rules and content.
#[derive(Debug)]
pub(super) struct Found {
    /// Path below the root.
    pub path: Vec<u8>,
    pub kind: FileKind,
    pub stat: FileStat,
    /// `None` outside git.
    pub tracked: Option<bool>,
    pub git: Option<GitEntry>,
    /// A rule that leaves it out whatever the patterns say.
    pub rule: Option<&'static str>,
    pub location: Location,
}

/// Where a walk reads, and below what prefix its paths lie.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The directory on disk.
    pub base: PathBuf,
    /// Put before every path; empty or ending in `/`.
    pub prefix: Vec<u8>,
    /// Name of the linked worktree.
    pub linked: Option<String>,
}

/// A path in two views: below the repository's work tree, and below the place.
#[derive(Debug, Default)]
struct Paths {
    in_repo: Vec<u8>,
    on_disk: Vec<u8>,
}

impl Paths {
    fn push(&mut self, name: &[u8]) -> (usize, usize) {
        let lengths = (self.in_repo.len(), self.on_disk.len());
        for path in [&mut self.in_repo, &mut self.on_disk] {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        lengths
    }

    fn pop(&mut self, (in_repo, on_disk): (usize, usize)) {
        self.in_repo.truncate(in_repo);
        self.on_disk.truncate(on_disk);
    }
}

/// Git's view of a work tree.
struct View<'r> {
    index: gix::worktree::Index,
    excludes: gix::AttributeStack<'r>,
}

impl View<'_> {
    fn is_ignored(&mut self, path: &[u8], mode: Mode) -> gix::Result<bool> {
        Ok(self.excludes.at_entry(path.as_bstr(), Some(mode))?.is_excluded())
    }

    fn entry(&self, path: &[u8], stat: &Stat) -> Option<GitEntry> {
        let entry = self.index.entry_by_path(path.as_bstr())?;
        if entry.mode == Mode::COMMIT || entry.mode == Mode::DIR {
            return None;
        }
        let known = &entry.stat;
        // As git does: a file no older than the index may have changed after the index saw it.
        let racy = i64::from(known.mtime.secs) >= self.index.timestamp().unix_seconds();
        let same = i64::from(known.mtime.secs) == stat.st_mtime
            && u64::from(known.mtime.nsecs) == stat.st_mtime_nsec
            && i64::from(known.ctime.secs) == stat.st_ctime
            && u64::from(known.ctime.nsecs) == stat.st_ctime_nsec
            && u64::from(known.size) == stat.st_size as u64
            && known.ino == stat.st_ino as u32;
        let clean = same && !racy && !entry.flags.contains(Flags::INTENT_TO_ADD);
        Some(GitEntry { id: entry.id, mode: entry.mode.bits(), clean })
    }
}

/// A walk under way, over one or more places.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Whether submodules are entered.
    pub submodules: bool,
    /// A directory on disk that is passed over.
    pub skip: Option<PathBuf>,
    /// What was found, in no order.
    pub found: Vec<Found>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Whether some directory could not be listed.
    pub incomplete: bool,
    /// Paths that a sparse checkout leaves out of the work tree; directories end in `/`.
    pub absent: BTreeSet<Vec<u8>>,
}

impl Walk {
    /// Walks a directory outside git.
    pub fn plain(&mut self, place: &Place, root: BorrowedFd<'_>) -> Result<(), ScanError> {
        self.directory(place, root, &mut None, &mut Paths::default(), State::default())
    }

    /// Walks the directory `in_repo` of a repository's work tree, which lies at `on_disk` below the place.
    pub fn repository(
        &mut self,
        repo: &gix::Repository,
        place: &Place,
        root: BorrowedFd<'_>,
        in_repo: &[u8],
        on_disk: &[u8],
    ) -> Result<(), ScanError> {
        let index = repo.index_or_empty().map_err(ScanError::git("the index", repo))?;
        let source = gix::worktree::stack::state::ignore::Source::WorktreeThenIdMappingIfNotSkipped;
        let excludes = repo.excludes(&index, None, source).map_err(ScanError::git("the ignore rules", repo))?;
        let skipped = index.entries().iter().filter(|e| e.flags.contains(Flags::SKIP_WORKTREE) || e.mode == Mode::DIR);
        self.absent.extend(skipped.filter_map(|entry| {
            let below = below(entry.path(&index), in_repo)?;
            let slash: &[u8] = if on_disk.is_empty() { b"" } else { b"/" };
            Some([&place.prefix, on_disk, slash, below].concat())
        }));
        let mut paths = Paths { in_repo: in_repo.to_vec(), on_disk: on_disk.to_vec() };
        self.directory(place, root, &mut Some((repo, View { index, excludes })), &mut paths, State::default())
    }

    fn directory(
        &mut self,
        place: &Place,
        directory: BorrowedFd<'_>,
        git: &mut Option<(&gix::Repository, View<'_>)>,
        paths: &mut Paths,
        state: State,
    ) -> Result<(), ScanError> {
        let entries = match list(directory) {
            Ok(entries) => entries,
            Err(error) => {
                self.unlisted(paths, &error.to_string());
                return Ok(());
            }
        };
        if git.is_some() && !can_read_ignore_file(directory) {
            self.unlisted(paths, "its `.gitignore` is no regular file of sensible size");
            return Ok(());
        }
        for (name, is_directory) in entries {
            if name == b".git" {
                continue;
            }
            let lengths = paths.push(&name);
            if is_directory {
                self.subdirectory(place, directory, &name, git, paths, state)?;
            } else {
                match stat(directory, OsStr::from_bytes(&name)) {
                    Ok(stat) => self.file(place, &stat, git, paths, state)?,
                    // It went away since the directory was listed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => self.unlisted(paths, &error.to_string()),
                }
            }
            paths.pop(lengths);
        }
        Ok(())
    }

    fn subdirectory(
        &mut self,
        place: &Place,
        parent: BorrowedFd<'_>,
        name: &[u8],
        git: &mut Option<(&gix::Repository, View<'_>)>,
        paths: &mut Paths,
        mut state: State,
    ) -> Result<(), ScanError> {
        state.depth += 1;
        if state.depth > MAX_DEPTH {
            self.unlisted(paths, &format!("it lies more than {MAX_DEPTH} directories deep"));
            return Ok(());
        }
        if self.skip.as_deref().is_some_and(|skip| skip == place.base.join(OsStr::from_bytes(&paths.on_disk))) {
            return Ok(());
        }
        let mut gitlink = None;
        let mut tracked_below = false;
        if let Some((repo, view)) = git {
            let path = paths.in_repo.as_bstr();
            gitlink = view.index.entry_by_path(path).filter(|e| e.mode == Mode::COMMIT).map(|e| e.id);
            tracked_below = gitlink.is_some() || view.index.path_is_directory(path);
            if !state.ignored {
                let ignored = view.is_ignored(&paths.in_repo, Mode::DIR);
                state.ignored = ignored.map_err(ScanError::git("the ignore rules", repo))?;
            }
            if state.ignored && !tracked_below {
                return Ok(());
            }
        }
        let opened = match open_directory(parent, OsStr::from_bytes(name)) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                self.unlisted(paths, &error.to_string());
                return Ok(());
            }
        };
        match (git.as_ref(), gitlink) {
            (Some(_), Some(id)) => {
                let entered = self.submodules && self.submodule(place, opened.as_fd(), paths)?;
                if !entered {
                    let entry = GitEntry { id, mode: Mode::COMMIT.bits(), clean: true };
                    self.push_repository(place, paths, true, Some(entry), "submodule");
                }
                return Ok(());
            }
            (Some(_), None) if !tracked_below && git::is_repository(opened.as_fd()) => {
                self.push_repository(place, paths, false, None, "nested-repository");
                return Ok(());
            }
            (None, _) if stat(opened.as_fd(), OsStr::new("pyvenv.cfg")).is_ok() => state.virtual_environment = true,
            _ => {}
        }
        self.directory(place, opened.as_fd(), git, paths, state)
    }

    /// Walks a submodule that is checked out; `false` if it is not.
    fn submodule(&mut self, place: &Place, opened: BorrowedFd<'_>, paths: &Paths) -> Result<bool, ScanError> {
        if !git::is_repository(opened) {
            self.warnings.push(format!("submodule `{}` is not checked out", escape(&paths.on_disk)));
            return Ok(false);
        }
        let repo = git::open_exactly(&place.base.join(OsStr::from_bytes(&paths.on_disk)))?;
        self.repository(&repo, place, opened, b"", &paths.on_disk)?;
        Ok(true)
    }

    fn file(
        &mut self,
        place: &Place,
        stat: &Stat,
        git: &mut Option<(&gix::Repository, View<'_>)>,
        paths: &Paths,
        state: State,
    ) -> Result<(), ScanError> {
        let mut tracked = None;
        let mut entry = None;
        if let Some((repo, view)) = git {
            entry = view.entry(&paths.in_repo, stat);
            tracked = Some(entry.is_some());
            if entry.is_none() {
                let ignored = state.ignored
                    || view.is_ignored(&paths.in_repo, Mode::FILE).map_err(ScanError::git("the ignore rules", repo))?;
                if ignored {
                    return Ok(());
                }
            }
        }
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Special,
        };
        let rule = match kind {
            FileKind::Symlink => Some("symlink"),
            FileKind::Special => Some("special"),
            _ => state.virtual_environment.then_some("virtual-environment"),
        };
        self.push(
            place,
            paths,
            Found {
                path: vec![],
                kind,
                stat: (*stat).into(),
                tracked,
                git: entry,
                rule,
                location: Location::WorkTree(vec![]),
            },
        );
        Ok(())
    }

    fn push_repository(
        &mut self,
        place: &Place,
        paths: &Paths,
        tracked: bool,
        git: Option<GitEntry>,
        rule: &'static str,
    ) {
        self.push(
            place,
            paths,
            Found {
                path: vec![],
                kind: FileKind::Submodule,
                stat: FileStat { mode: Mode::COMMIT.bits(), ..FileStat::default() },
                tracked: Some(tracked),
                git,
                rule: Some(rule),
                location: Location::WorkTree(vec![]),
            },
        );
    }

    fn push(&mut self, place: &Place, paths: &Paths, found: Found) {
        let path = paths.on_disk.clone();
        let location = match &place.linked {
            Some(worktree) => Location::Linked { worktree: worktree.clone(), path },
            None => Location::WorkTree(path),
        };
        self.found.push(Found { path: [&place.prefix, paths.on_disk.as_slice()].concat(), location, ..found });
    }

    fn unlisted(&mut self, paths: &Paths, reason: &str) {
        self.incomplete = true;
        self.warnings.push(format!("`{}` was not scanned: {reason}", escape(&paths.on_disk)));
    }
}

/// A path as seen from a directory above it.
fn below<'p>(path: &'p [u8], directory: &[u8]) -> Option<&'p [u8]> {
    if directory.is_empty() { Some(path) } else { path.strip_prefix(directory)?.strip_prefix(b"/") }
}

/// What holds for a directory and everything below.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    ignored: bool,
    virtual_environment: bool,
    depth: usize,
}

/// Whether git's rules of a directory can be read: a pipe would never end. (Links are passed over, as git does.)
fn can_read_ignore_file(directory: BorrowedFd<'_>) -> bool {
    const MAX_BYTES: i64 = 16 << 20;
    let Ok(stat) = stat(directory, OsStr::new(".gitignore")) else { return true };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => stat.st_size <= MAX_BYTES,
        FileType::Directory | FileType::Symlink => true,
        _ => false,
    }
}

/// Names in a directory and whether each is a directory itself.
fn list(directory: BorrowedFd<'_>) -> io::Result<Vec<(Vec<u8>, bool)>> {
    let mut entries = vec![];
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let is_directory = match entry.file_type() {
            // Some file systems leave the type to `lstat`.
            FileType::Unknown => stat(directory, OsStr::from_bytes(name))
                .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory),
            known => known == FileType::Directory,
        };
        entries.push((name.to_vec(), is_directory));
    }
    entries.sort_unstable();
    Ok(entries)
}
