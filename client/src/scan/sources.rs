//! Where the files of a scan come from: a work tree, a commit, or a directory outside git.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use super::content::{ContentReader, ReadError};
use super::git::Around;
use super::names::escape;
use super::project::{MAX_PROJECT_BYTES, PROJECT_FILES, RequiresPython};
use super::rules::{CONFIG_FILE, MAX_CONFIG_BYTES};
use super::walk::{Found, Place, Walk};
use super::{Scan, ScanError, ScanOptions, changes, git};
use lode_executor::content::Beneath;

/// The repository around the root, unless it says nothing of the root.
pub(super) fn surroundings(
    root: &Path,
    options: &ScanOptions,
    warnings: &mut Vec<String>,
) -> Result<Option<Around>, ScanError> {
    let around = git::around(root)?;
    let needs_git = [
        ("--ref", options.reference.is_some()),
        ("--changed-since", options.changed_since.is_some()),
        ("--submodules", options.submodules),
        ("--worktrees", options.worktrees),
    ];
    let needed = needs_git.into_iter().find(|(_, asked)| *asked);
    match (around, needed) {
        (None, Some((option, _))) => Err(ScanError::NotGit { option, root: root.to_owned() }),
        (Some(around), None) if !around.bare && git::is_ignored(&around)? => {
            warnings.push("git ignores the directory: it is scanned as one outside git".into());
            Ok(None)
        }
        (around, _) => Ok(around),
    }
}

pub(super) fn place(root: &Path) -> Place {
    Place { base: root.to_owned(), prefix: vec![], linked: None }
}

/// The files of the work tree, linked worktrees included if asked for.
pub(super) fn found_in_git(
    scan: &mut Scan,
    around: &Around,
    top: &Beneath,
    options: &ScanOptions,
) -> Result<Vec<Found>, ScanError> {
    let Around { repo, prefix, .. } = around;
    scan.git_commit = git::head(repo)?.map(|id| id.to_string());
    let mut walk = Walk { submodules: options.submodules, skip: options.lake.clone(), ..Walk::default() };
    let mut places = vec![(place(&scan.root), prefix.as_slice())];
    walk.repository(repo, &places[0].0, top.root(), prefix, b"")?;
    if options.worktrees && !prefix.is_empty() {
        scan.warnings.push("linked worktrees are left out: the root is a part of the repository".into());
    } else if options.worktrees {
        for (name, base) in git::linked_worktrees(repo)? {
            if base == scan.root {
                continue;
            }
            let opened = Beneath::new(&base).map_err(|source| ScanError::Root { path: base.clone(), source })?;
            let linked = git::open_exactly(&base)?;
            let prefix = format!(".worktrees/{name}/").into_bytes();
            let place = Place { base: base.clone(), prefix, linked: Some(name.clone()) };
            walk.repository(&linked, &place, opened.root(), b"", b"")?;
            scan.worktrees.insert(name, base);
            places.push((place, &[]));
        }
    }
    let absent = std::mem::take(&mut walk.absent);
    let mut found = scan.take(walk);
    if let Some(reference) = &options.changed_since {
        let commit = git::commit(repo, reference)?;
        scan.base_commit = Some(commit.to_string());
        let mut base = changes::Base::new();
        for (place, prefix) in &places {
            base.append(&mut changes::base(repo, commit, prefix, place, options.submodules, &mut scan.warnings)?);
        }
        let mut reader = ContentReader::new(scan, u64::MAX)?;
        let deleted = changes::retain_changed(&mut found, &base, &absent, &mut reader, repo.object_hash());
        scan.deleted = deleted.iter().map(|path| escape(path)).collect();
    }
    Ok(found)
}

/// The files of a commit, and its `lode.toml`.
pub(super) fn found_in_commit(
    scan: &mut Scan,
    around: &Around,
    options: &ScanOptions,
) -> Result<(Vec<Found>, Option<String>), ScanError> {
    let Around { repo, prefix, bare } = around;
    let reference = match &options.reference {
        Some(reference) => reference.as_str(),
        None => {
            debug_assert!(*bare, "a work tree is scanned as it is unless a commit is asked for");
            scan.warnings.push("the repository is bare: the commit of HEAD is scanned".into());
            "HEAD"
        }
    };
    if options.submodules || options.worktrees {
        scan.warnings.push("submodules and worktrees are left out of the scan of a commit".into());
    }
    let commit = git::commit(repo, reference)?;
    scan.git_commit = Some(commit.to_string());
    let entries = git::tree_entries(repo, commit, prefix)?
        .ok_or_else(|| ScanError::NotInTree { path: escape(prefix), reference: reference.to_owned() })?;
    let config = entries.get(CONFIG_FILE.as_bytes()).copied();
    let project = PROJECT_FILES.map(|name| (name, entries.get(name.as_bytes()).copied()));
    let mut found = git::found_in_tree(repo, entries);
    scan.objects = Some(repo.clone().into_sync());
    let mut reader = ContentReader::new(scan, u64::MAX)?;
    if let Some(reference) = &options.changed_since {
        let commit = git::commit(repo, reference)?;
        scan.base_commit = Some(commit.to_string());
        let base = changes::base(repo, commit, prefix, &place(&scan.root), false, &mut scan.warnings)?;
        let deleted = changes::retain_changed(&mut found, &base, &BTreeSet::new(), &mut reader, repo.object_hash());
        scan.deleted = deleted.iter().map(|path| escape(path)).collect();
    }
    let is_file = |mode: u32| mode & 0o170_000 == 0o100_000;
    if options.requires_python {
        let content = |name: &str| {
            let entry = project.iter().find(|(file, _)| *file == name)?.1?;
            is_file(entry.mode).then(|| reader.blob(&entry.id.to_string()))
        };
        scan.requires_python = RequiresPython::read(content, &mut scan.warnings);
    }
    let config = match config {
        Some(entry) if is_file(entry.mode) => Some(reader.blob(&entry.id.to_string())),
        Some(_) => return Err(ScanError::Config { reason: "it is not a regular file".into() }),
        None => None,
    };
    Ok((found, config.map(config_text).transpose()?))
}

pub(super) fn config_on_disk(top: &mut Beneath) -> Result<Option<String>, ScanError> {
    let mut file = match top.open(CONFIG_FILE.as_bytes()) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ScanError::Config { reason: format!("it cannot be read: {error}") }),
    };
    let mut bytes = vec![];
    let read = file.by_ref().take(MAX_CONFIG_BYTES + 1).read_to_end(&mut bytes);
    config_text(read.map(|_| bytes).map_err(ReadError::from)).map(Some)
}

/// What the files of the work tree say of the Python they are for. A link is no file.
pub(super) fn project_on_disk(top: &mut Beneath, warnings: &mut Vec<String>) -> Option<RequiresPython> {
    let content = |name: &str| {
        let mut bytes = vec![];
        match top.open(name.as_bytes()).map_err(ReadError::from) {
            Err(ReadError::Vanished) => None,
            Err(error) => Some(Err(error)),
            Ok(file) => {
                let read = file.take(MAX_PROJECT_BYTES + 1).read_to_end(&mut bytes);
                Some(read.map(|_| bytes).map_err(ReadError::from))
            }
        }
    };
    RequiresPython::read(content, warnings)
}

fn config_text(bytes: Result<Vec<u8>, ReadError>) -> Result<String, ScanError> {
    let wrong = |reason: String| ScanError::Config { reason };
    let bytes = bytes.map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > MAX_CONFIG_BYTES {
        return Err(wrong(format!("it is larger than {} bytes", MAX_CONFIG_BYTES)));
    }
    String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))
}
