//! The bytes of files: from a directory, never outside it, from the objects of a git repository, or from the lake.

mod beneath;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub use beneath::{Beneath, open_directory, stat};
use bytes::Bytes;
use lode_facts::extract::LaneStatus;
use lode_facts::file::FileMeta;
use lode_plan::host::{ContentSource, FileContent};
use lode_plan::staging::{Staged, StagedContent};
use rustix::fs::fstat;
use rustix::io::Errno;

use crate::worker::{Content, unread};

/// Room that is made for what a file has more than its record says, in bytes.
const GROWTH: usize = 64 << 10;

/// Opens content by a scan's record. Shared by the groups of a run.
pub enum ContentReader {
    /// Below a directory, and below those of linked worktrees.
    Shared {
        /// The repository's root.
        root: Mutex<Beneath>,
        /// By name.
        linked: BTreeMap<String, Mutex<Beneath>>,
    },
    /// From packs on the lake.
    Staged(Staged),
    /// From git's objects.
    Git(Box<gix::ThreadSafeRepository>),
}

impl std::fmt::Debug for ContentReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shared { .. } => "ContentReader::Shared",
            Self::Staged(_) => "ContentReader::Staged",
            Self::Git(_) => "ContentReader::Git",
        })
    }
}

impl ContentReader {
    /// A reader of a source.
    ///
    /// # Errors
    /// If the directory, repository or lake can't be opened here.
    pub async fn open(source: &ContentSource) -> io::Result<Self> {
        match source {
            ContentSource::Shared { root, linked } => {
                let open = |path: &Path| Beneath::new(path).map(Mutex::new);
                let linked = linked.iter().map(|(name, path)| Ok((name.clone(), open(path)?)));
                Ok(Self::Shared { root: open(root)?, linked: linked.collect::<io::Result<_>>()? })
            }
            ContentSource::Staged { lake, folder } => Ok(Self::Staged(Staged::open(lake, folder).await?)),
            ContentSource::Git { repository } => {
                let options = gix::open::Options::isolated().open_path_as_is(false);
                let repository = gix::ThreadSafeRepository::open_opts(repository, options).map_err(io::Error::other)?;
                Ok(Self::Git(Box::new(repository)))
            }
        }
    }

    /// The contents of regular files, in their order: each, or why it can't be read. What is larger than `limit` may end
    /// one byte after it.
    ///
    /// # Errors
    /// If the lake fails.
    pub async fn read(
        self: &Arc<Self>,
        files: Vec<FileMeta>,
        limit: u64,
    ) -> io::Result<Vec<Result<Content, LaneStatus>>> {
        let Self::Staged(staged) = self.as_ref() else {
            let reader = Arc::clone(self);
            let read =
                move || files.iter().map(|file| reader.read_one(file, limit).map_err(|e| unreadable(&e))).collect();
            return tokio::task::spawn_blocking(read).await.map_err(io::Error::other);
        };
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let contents = staged.read(&paths).await?.into_iter().map(|content| match content {
            StagedContent::Bytes(bytes) => Ok(Content::Bytes(bytes)),
            StagedContent::Part(pack, range) => Ok(Content::Part(pack, range)),
            StagedContent::TooLarge => Ok(Content::Bytes(larger_than(limit))),
            StagedContent::Refused(status) => Err(status),
        });
        Ok(contents.collect())
    }

    /// The contents of regular files in memory, in their order. Those of a directory lie in one buffer.
    ///
    /// # Errors
    /// If reading broke off.
    pub async fn load(self: &Arc<Self>, files: Vec<FileMeta>, limit: u64) -> io::Result<Vec<FileContent>> {
        let reader = Arc::clone(self);
        let load = move || reader.load_all(&files, limit);
        tokio::task::spawn_blocking(load).await.map_err(io::Error::other)
    }

    fn load_all(&self, files: &[FileMeta], limit: u64) -> Vec<FileContent> {
        let sizes = files.iter().map(|file| file.size.max(0) as u64).filter(|size| *size <= limit);
        let mut buffer = Vec::with_capacity(sizes.map(|size| size as usize + 1).sum());
        let load = |file| match self.read_one(file, limit) {
            Ok(Content::File(file)) => append(&mut buffer, &file, limit),
            Ok(Content::Bytes(bytes)) if bytes.len() as u64 > limit => Err(FileContent::TooLarge),
            Ok(Content::Bytes(bytes)) => Err(FileContent::Bytes(bytes)),
            Ok(Content::Part(..)) => Err(FileContent::Refused(unreadable(&staged_already()))),
            Err(error) => Err(FileContent::Refused(unreadable(&error))),
        };
        let loaded: Vec<Result<Range<usize>, FileContent>> = files.iter().map(load).collect();
        let buffer = Bytes::from(buffer);
        let content =
            |loaded: Result<_, _>| loaded.map_or_else(|other| other, |part| FileContent::Bytes(buffer.slice(part)));
        loaded.into_iter().map(content).collect()
    }

    /// `NotFound` when it vanished since the scan; otherwise why it can't be read.
    fn read_one(&self, file: &FileMeta, limit: u64) -> io::Result<Content> {
        match self {
            Self::Staged(_) => Err(staged_already()),
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
                    return Ok(Content::Bytes(larger_than(limit)));
                }
                let object = repository.find_object(id).map_err(io::Error::other)?;
                Ok(Content::Bytes(Bytes::from(object.detach().data)))
            }
        }
    }
}

fn staged_already() -> io::Error {
    io::Error::other("what is staged is on the lake already")
}

/// The pool refuses what is larger than the limit; what it is need not be fetched for that.
fn larger_than(limit: u64) -> Bytes {
    Bytes::from(vec![0; usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1)])
}

/// Appends a file to a buffer and says where it lies there; or what is to be said of it instead.
fn append(buffer: &mut Vec<u8>, file: &File, limit: u64) -> Result<Range<usize>, FileContent> {
    if fstat(file).is_ok_and(|stat| stat.st_size as u64 > limit) {
        return Err(FileContent::TooLarge);
    }
    let start = buffer.len();
    let refused = loop {
        if (buffer.len() - start) as u64 > limit {
            break FileContent::TooLarge;
        }
        // The file may have grown since the scan.
        if buffer.len() == buffer.capacity() {
            buffer.reserve(GROWTH);
        }
        match rustix::io::read(file, rustix::buffer::spare_capacity(buffer)) {
            Ok(0) => return Ok(start..buffer.len()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => break FileContent::Refused(unread(&error.into())),
        }
    };
    buffer.truncate(start);
    Err(refused)
}

fn unreadable(error: &io::Error) -> LaneStatus {
    let reason = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "vanished",
        io::ErrorKind::InvalidInput => "replaced",
        _ if Errno::from_io_error(error) == Some(Errno::LOOP) => "replaced",
        _ => "unreadable",
    };
    LaneStatus::Failed { reason: reason.into(), message: error.to_string() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_loaded_as_they_are_now_whatever_their_records_say() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: usize, recorded: usize| {
            std::fs::write(dir.path().join(name), vec![b'x'; bytes]).unwrap();
            FileMeta::in_scope("r", name, recorded, None)
        };
        let files = vec![
            file("same", 3, 3),
            file("grown", 200_000, 1),
            file("shrunk", 2, 5_000_000),
            file("empty", 0, 0),
            file("whole", 1_000_000, 1_000_000),
            file("larger", 1_000_001, 10),
            FileMeta::in_scope("r", "gone", 4, None),
        ];
        let source = ContentSource::Shared { root: dir.path().into(), linked: BTreeMap::new() };
        let reader = Arc::new(ContentReader::open(&source).await.unwrap());
        let contents = reader.load(files, 1_000_000).await.unwrap();
        let bytes = |count: usize| FileContent::Bytes(vec![b'x'; count].into());
        assert_eq!(contents[..5], [bytes(3), bytes(200_000), bytes(2), bytes(0), bytes(1_000_000)]);
        assert_eq!(contents[5], FileContent::TooLarge);
        let FileContent::Refused(LaneStatus::Failed { reason, .. }) = &contents[6] else { panic!("{:?}", contents[6]) };
        assert_eq!(reason, "vanished");
    }
}
