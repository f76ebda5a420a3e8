//! The scan: which files a repository has, which of them are in scope and by which rule, and what they are.
//!
//! Inside git, candidates are what git tracks and what it neither tracks nor ignores; elsewhere, every file. Hidden files
//! count. Nothing is followed, executed or fetched, and nothing outside the root is read.

mod cache;
mod changes;
mod content;
mod error;
mod git;
mod inspect;
mod names;
mod project;
mod rules;
mod sources;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use lode_facts::file::{FileKind, FileMeta};
use lode_facts::hash::file_id;

pub use self::cache::{ScanCache, cached_scan};
pub use self::content::{ContentReader, ReadError};
pub use self::error::ScanError;
pub use self::names::{escape, normalise_origin};
pub use self::project::RequiresPython;
use self::rules::Rules;
use self::sources::{config_on_disk, found_in_commit, found_in_git, place, project_on_disk, surroundings};
pub use self::walk::FileStat;
use self::walk::{Found, Walk};
use lode_executor::content::Beneath;

/// What to scan.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// Name of the repository; `None` for its origin or its directory's name.
    pub repo: Option<String>,
    /// Patterns of what is in scope; none for everything.
    pub include: Vec<String>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Whether to enter submodules that are checked out.
    pub submodules: bool,
    /// Whether to add linked worktrees, below `.worktrees/<name>/`.
    pub worktrees: bool,
    /// A commit to scan instead of the work tree.
    pub reference: Option<String>,
    /// A commit: only what differs from it is scanned.
    pub changed_since: Option<String>,
    /// Whether to look for the versions of Python that the repository is for.
    pub requires_python: bool,
    /// Most files that may be in scope.
    pub max_files: Option<u64>,
    /// Directory of the lake, without links: no part of the repository, wherever it lies.
    pub lake: Option<PathBuf>,
    /// What an earlier scan learned.
    pub cache: Option<ScanCache>,
}

/// Where the content of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// At this path below the root, as bytes.
    WorkTree(Vec<u8>),
    /// In a linked worktree (see [`Scan::worktrees`]).
    Linked {
        /// Its name.
        worktree: String,
        /// Path below it, as bytes.
        path: Vec<u8>,
    },
    /// In the git object of this id.
    GitBlob(String),
}

/// One path of a scan.
#[derive(Debug, Clone)]
pub struct ScannedFile {
    /// What extractors may know of it.
    pub meta: FileMeta,
    /// What the file system says of it; only size and mode for files of a commit.
    pub stat: FileStat,
    /// Where its content is.
    pub location: Location,
    /// Why it is in scope but could not be read.
    pub unreadable: Option<String>,
}

/// What a repository has.
#[derive(Debug)]
pub struct Scan {
    /// Name of the repository.
    pub repo: String,
    /// Its origin, normalised: no scheme, no user, no `.git`.
    pub origin: Option<String>,
    /// The root, an absolute path without links.
    pub root: PathBuf,
    /// The commit that was scanned, or is checked out.
    pub git_commit: Option<String>,
    /// The commit that `changed_since` names.
    pub base_commit: Option<String>,
    /// Whether everything was seen, so that what is missing here is deleted.
    pub complete: bool,
    /// Every path, sorted by its bytes.
    pub files: Vec<ScannedFile>,
    /// Paths of the base commit that are gone; only with `changed_since`.
    pub deleted: Vec<String>,
    /// Directories of the linked worktrees that were scanned.
    pub worktrees: BTreeMap<String, PathBuf>,
    /// The versions of Python that the repository says it is for; only if asked for.
    pub requires_python: Option<RequiresPython>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// What this scan learned, for the next one.
    pub cache: ScanCache,
    objects: Option<gix::ThreadSafeRepository>,
}

/// Where a repository is, without links, and its directory.
fn open_root(root: &Path) -> Result<(PathBuf, Beneath), ScanError> {
    let unreachable = |source| ScanError::Root { path: root.to_owned(), source };
    let place = fs::canonicalize(root).map_err(unreachable)?;
    let top = Beneath::new(&place).map_err(unreachable)?;
    Ok((place, top))
}

/// Whether there is anything to scan at `root`.
///
/// # Errors
/// [`ScanError::Root`] if there is no directory that can be opened.
pub fn check_root(root: &Path) -> Result<(), ScanError> {
    open_root(root).map(drop)
}

/// Scans the repository, or the directory, at `root`.
///
/// # Errors
/// If the root, git's data, a reference, a pattern or `lode.toml` is wrong; see [`ScanError`]. Files that can't be read
/// are no error: they are marked.
pub fn scan(root: &Path, options: &ScanOptions) -> Result<Scan, ScanError> {
    let cache = ScanCache::begin();
    let (root, mut top) = open_root(root)?;
    if options.lake.as_ref() == Some(&root) {
        return Err(ScanError::IsLake { root });
    }
    let mut warnings = vec![];
    let around = surroundings(&root, options, &mut warnings)?;
    let origin = around.as_ref().and_then(|a| git::origin(&a.repo)).and_then(|url| normalise_origin(&url));
    let prefix = around.as_ref().map_or(&[][..], |a| &a.prefix);
    let mut scan = Scan {
        repo: names::repo_name(options.repo.as_deref(), origin.as_deref(), prefix, &root)?,
        origin,
        root,
        git_commit: None,
        base_commit: None,
        complete: options.changed_since.is_none(),
        files: vec![],
        deleted: vec![],
        worktrees: BTreeMap::new(),
        requires_python: None,
        warnings,
        cache,
        objects: None,
    };
    let (mut found, config) = match &around {
        Some(around) if around.bare || options.reference.is_some() => found_in_commit(&mut scan, around, options)?,
        Some(around) => {
            found_in_git(&mut scan, around, &top, options).and_then(|f| Ok((f, config_on_disk(&mut top)?)))?
        }
        None => {
            let mut walk = Walk { skip: options.lake.clone(), ..Walk::default() };
            walk.plain(&place(&scan.root), top.root())?;
            (scan.take(walk), config_on_disk(&mut top)?)
        }
    };
    if options.requires_python && scan.objects.is_none() {
        scan.requires_python = project_on_disk(&mut top, &mut scan.warnings);
    }
    let rules = Rules::new(config.as_deref(), &options.include, &options.exclude, around.is_some())?;
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let mut files: Vec<ScannedFile> = found.into_iter().map(|f| scanned(&scan.repo, &rules, f)).collect();
    check(&files, options.max_files)?;
    inspect::inspect(&scan, &mut files, options.cache.as_ref())?;
    for file in &files {
        if let (Some(sha256), Location::WorkTree(_) | Location::Linked { .. }) = (&file.meta.sha256, &file.location) {
            scan.cache.insert(file.meta.path.clone(), &file.stat, sha256.clone(), file.meta.language);
        }
    }
    if let (false, Some(known)) = (scan.complete, &options.cache) {
        scan.cache.carry(known);
    }
    scan.files = files;
    Ok(scan)
}

impl Scan {
    /// The git directory whose objects hold the files, when a commit was scanned.
    pub fn objects(&self) -> Option<&Path> {
        self.objects.as_ref().map(|repository| repository.path())
    }

    /// Takes over what a walk found and says.
    fn take(&mut self, walk: Walk) -> Vec<Found> {
        self.complete &= !walk.incomplete;
        self.warnings.extend(walk.warnings);
        walk.found
    }
}

fn scanned(repo: &str, rules: &Rules, found: Found) -> ScannedFile {
    let (included, rule) = match found.rule {
        Some(rule) => (false, rule.to_owned()),
        None => {
            let verdict = rules.verdict(&found.path);
            (verdict.included, verdict.rule)
        }
    };
    let mode = match found.kind {
        FileKind::File if found.stat.mode & 0o100 != 0 => 0o100_755,
        FileKind::File => 0o100_644,
        FileKind::Symlink => 0o120_000,
        FileKind::Submodule => 0o160_000,
        FileKind::Special => found.stat.mode as i32,
    };
    let meta = FileMeta {
        repo: repo.to_owned(),
        path: escape(&found.path),
        file_id: file_id(repo, &found.path),
        kind: found.kind,
        size: found.stat.size,
        sha256: None,
        mode,
        git_blob: found.git.map(|entry| entry.id.to_string()),
        tracked: found.tracked,
        language: None,
        included,
        rule,
        path_bytes: str::from_utf8(&found.path).is_err().then_some(found.path),
    };
    ScannedFile { meta, stat: found.stat, location: found.location, unreadable: None }
}

/// Every path is its own in tables, and there are no more than allowed.
fn check(files: &[ScannedFile], max_files: Option<u64>) -> Result<(), ScanError> {
    let collision = |file: &ScannedFile| ScanError::Collision { path: file.meta.path.clone() };
    let (mut ids, mut paths) = (HashSet::new(), HashSet::new());
    for file in files {
        if !ids.insert(file.meta.file_id) || !paths.insert(file.meta.path.as_str()) {
            return Err(collision(file));
        }
    }
    let count = files.iter().filter(|file| file.meta.included).count() as u64;
    match max_files {
        Some(limit) if count > limit => Err(ScanError::TooManyFiles { count, limit }),
        _ => Ok(()),
    }
}
