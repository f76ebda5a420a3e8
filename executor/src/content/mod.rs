//! The bytes of files: from a directory, never outside it, or from the objects of a git repository.

mod beneath;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

pub use beneath::{Beneath, open_directory, stat};
use bytes::Bytes;
use lode_facts::file::FileMeta;
use lode_plan::host::ContentSource;

use crate::worker::Content;

/// Opens content by a scan's record. Shared by the groups of a run.
pub enum ContentReader {
    /// Below a directory, and below those of linked worktrees.
    Shared {
        /// The repository's root.
        root: Mutex<Beneath>,
        /// By name.
        linked: BTreeMap<String, Mutex<Beneath>>,
    },
    /// From git's objects.
    Git(Box<gix::ThreadSafeRepository>),
}

impl std::fmt::Debug for ContentReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shared { .. } => "ContentReader::Shared",
            Self::Git(_) => "ContentReader::Git",
        })
    }
}

impl ContentReader {
    /// A reader of a source.
    ///
    /// # Errors
    /// If the directory or repository can't be opened here.
    pub fn open(source: &ContentSource) -> io::Result<Self> {
        match source {
            ContentSource::Shared { root, linked } => {
                let open = |path: &Path| Beneath::new(path).map(Mutex::new);
                let linked = linked.iter().map(|(name, path)| Ok((name.clone(), open(path)?)));
                Ok(Self::Shared { root: open(root)?, linked: linked.collect::<io::Result<_>>()? })
            }
            ContentSource::Git { repository } => {
                let options = gix::open::Options::isolated().open_path_as_is(false);
                let repository = gix::ThreadSafeRepository::open_opts(repository, options).map_err(io::Error::other)?;
                Ok(Self::Git(Box::new(repository)))
            }
        }
    }

    /// The content of a regular file, at most one byte more than `limit`.
    ///
    /// # Errors
    /// `NotFound` when it vanished since the scan; otherwise why it can't be read.
    pub fn read(&self, file: &FileMeta, limit: u64) -> io::Result<Content> {
        match self {
            Self::Shared { root, linked } => {
                let path = file.path_bytes.as_deref().unwrap_or(file.path.as_bytes());
                let (root, path) = below_linked(linked, path).unwrap_or((root, path));
                Ok(Content::File(root.lock().unwrap_or_else(PoisonError::into_inner).open(path)?))
            }
            Self::Git(repository) => {
                let id = file.git_blob.as_deref().ok_or_else(|| io::Error::other("the scan named no object"))?;
                let id = gix::ObjectId::from_hex(id.as_bytes()).map_err(io::Error::other)?;
                let repository = repository.to_thread_local();
                let header = repository.find_header(id).map_err(io::Error::other)?;
                if header.size() > limit {
                    // The pool refuses what is larger than the limit; it need not be unpacked for that.
                    return Ok(Content::Bytes(Bytes::from(vec![
                        0;
                        usize::try_from(limit)
                            .unwrap_or(usize::MAX)
                            .saturating_add(1)
                    ])));
                }
                let object = repository.find_object(id).map_err(io::Error::other)?;
                Ok(Content::Bytes(Bytes::from(object.detach().data)))
            }
        }
    }
}

fn below_linked<'a>(
    linked: &'a BTreeMap<String, Mutex<Beneath>>,
    path: &'a [u8],
) -> Option<(&'a Mutex<Beneath>, &'a [u8])> {
    let rest = path.strip_prefix(b".worktrees/")?;
    let end = rest.iter().position(|byte| *byte == b'/')?;
    let root = linked.get(std::str::from_utf8(&rest[..end]).ok()?)?;
    Some((root, &rest[end + 1..]))
}
