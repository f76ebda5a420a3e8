//! What changed since a commit.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use gix::objs::Kind;
use lode_facts::file::FileKind;

use super::content::ContentReader;
use super::walk::{Found, GitEntry, Place};
use super::{Location, ScanError, git, names};

/// Paths of a commit, as the scan writes them.
pub(super) type Base = BTreeMap<Vec<u8>, GitEntry>;

/// The commit's files below `prefix`, written below `place`. With `submodules`, the files of the commits it links to.
pub(super) fn base(
    repo: &gix::Repository,
    commit: gix::ObjectId,
    prefix: &[u8],
    place: &Place,
    submodules: bool,
    warnings: &mut Vec<String>,
) -> Result<Base, ScanError> {
    let mut base = Base::new();
    // A directory that the commit has not is all new.
    for (path, entry) in git::tree_entries(repo, commit, prefix)?.unwrap_or_default() {
        let written = [&place.prefix, path.as_slice()].concat();
        if entry.mode & 0o170_000 != 0o160_000 || !submodules {
            base.insert(written, entry);
            continue;
        }
        let inner = Place {
            base: place.base.join(OsStr::from_bytes(&path)),
            prefix: [&written, b"/".as_slice()].concat(),
            linked: place.linked.clone(),
        };
        match submodule(&inner, entry.id) {
            Some(repo) => base.append(&mut self::base(&repo, entry.id, b"", &inner, true, warnings)?),
            None => warnings.push(format!(
                "submodule `{}` lacks the commit it had: all of it counts as changed, its deletions are unknown",
                names::escape(&path)
            )),
        }
    }
    Ok(base)
}

fn submodule(place: &Place, commit: gix::ObjectId) -> Option<gix::Repository> {
    let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|m| m.is_symlink());
    if is_link(&place.base) {
        return None;
    }
    git::open_exactly(&place.base).ok().filter(|repo| repo.has_object(commit))
}

/// Leaves what differs from the base, and names what is gone. `absent` are paths that are not on disk on purpose.
pub(super) fn retain_changed(
    found: &mut Vec<Found>,
    base: &Base,
    absent: &BTreeSet<Vec<u8>>,
    reader: &mut ContentReader,
    hash: gix::hash::Kind,
) -> Vec<Vec<u8>> {
    let present: BTreeSet<&[u8]> = found.iter().map(|f| f.path.as_slice()).collect();
    let is_absent = |path: &[u8]| {
        let mut ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
        absent.contains(path) || ends.any(|end| absent.contains(&path[..end]))
    };
    let deleted = base.keys().filter(|path| !present.contains(path.as_slice()) && !is_absent(path)).cloned().collect();
    found.retain(|file| base.get(&file.path).is_none_or(|before| differs(file, before, reader, hash)));
    deleted
}

fn differs(file: &Found, before: &GitEntry, reader: &mut ContentReader, hash: gix::hash::Kind) -> bool {
    let mode = match file.kind {
        FileKind::File if file.stat.mode & 0o100 != 0 => 0o100_755,
        FileKind::File => 0o100_644,
        FileKind::Symlink => 0o120_000,
        FileKind::Submodule => 0o160_000,
        FileKind::Special => return true,
    };
    // Old commits hold modes like 100664, which mean 100644.
    let before_mode = if before.mode == 0o100_664 { 0o100_644 } else { before.mode };
    if mode != before_mode {
        return true;
    }
    if let Some(entry) = file.git.filter(|entry| entry.clean || matches!(file.location, Location::GitBlob(_))) {
        return entry.id != before.id;
    }
    let id = match file.kind {
        FileKind::Symlink => {
            reader.link(&file.location).ok().and_then(|link| gix::objs::compute_hash(hash, Kind::Blob, &link).ok())
        }
        _ => reader.file(&file.location).ok().and_then(|mut opened| {
            let stop = AtomicBool::new(false);
            let size = opened.metadata().ok()?.len();
            gix::objs::compute_stream_hash(hash, Kind::Blob, &mut opened, size, &mut gix::progress::Discard, &stop).ok()
        }),
    };
    // What can't be read is kept, so that the scan says so.
    id != Some(before.id)
}
