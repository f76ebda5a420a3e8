//! Content of scanned files, read again: below the root or from git's objects, and nowhere else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use rustix::io::Errno;
use thiserror::Error;

use super::{Location, Scan, ScanError, ScannedFile};
use lode_executor::content::Beneath;

/// Why a file's content can't be had.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It is no longer there.
    #[error("the file vanished after the scan")]
    Vanished,
    /// It is larger than allowed.
    #[error("{size} bytes are more than the {limit} allowed")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The system refuses to read it.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// Git has no such object, or it is damaged.
    #[error("git object {id} cannot be read: {reason}")]
    Object {
        /// The object.
        id: String,
        /// Why.
        reason: String,
    },
}

impl ReadError {
    /// Stable code of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Vanished => "vanished",
            Self::TooLarge { .. } => "file_bytes",
            Self::Unreadable(_) | Self::Object { .. } => "unreadable",
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        // A directory on the way that became a file or a link counts as gone, too.
        match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Self::Vanished,
            _ => Self::Unreadable(error),
        }
    }
}

/// Reads the content of a scan's files. One a thread; cheapest when files are asked for in their order.
#[derive(Debug)]
pub struct ContentReader {
    root: Option<Beneath>,
    worktrees: BTreeMap<String, Beneath>,
    repo: Option<gix::Repository>,
    max_bytes: u64,
}

impl ContentReader {
    /// A reader of the files of a scan, up to `max_bytes` each.
    ///
    /// # Errors
    /// If the root or a linked worktree can't be opened.
    pub fn new(scan: &Scan, max_bytes: u64) -> Result<Self, ScanError> {
        let open = |path: &std::path::Path| {
            Beneath::new(path).map_err(|source| ScanError::Root { path: path.to_owned(), source })
        };
        let worktrees = scan.worktrees.iter().map(|(name, base)| Ok((name.clone(), open(base)?)));
        Ok(Self {
            // A bare repository has no files of its own.
            root: Some(open(&scan.root)?),
            worktrees: worktrees.collect::<Result<_, ScanError>>()?,
            repo: scan.objects.as_ref().map(gix::ThreadSafeRepository::to_thread_local),
            max_bytes,
        })
    }

    /// The content of a file as it is now (or as the commit has it).
    ///
    /// # Errors
    /// If it can't be read, is gone, or is too large.
    pub fn read(&mut self, file: &ScannedFile) -> Result<Vec<u8>, ReadError> {
        if let Location::GitBlob(id) = &file.location {
            return self.blob(id);
        }
        let limit = self.max_bytes;
        let too_large = |size| ReadError::TooLarge { size, limit };
        let opened = self.file(&file.location)?;
        let size = opened.metadata()?.len();
        if size > limit {
            return Err(too_large(size));
        }
        // The file may grow while it is read.
        let mut content = Vec::with_capacity(size as usize + 1);
        opened.take(limit.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > limit { Err(too_large(content.len() as u64)) } else { Ok(content) }
    }

    pub(super) fn file(&mut self, location: &Location) -> Result<File, ReadError> {
        let (beneath, path) = self.beneath(location)?;
        Ok(beneath.open(path)?)
    }

    pub(super) fn link(&mut self, location: &Location) -> Result<Vec<u8>, ReadError> {
        let (beneath, path) = self.beneath(location)?;
        Ok(beneath.read_link(path)?)
    }

    fn beneath<'l>(&mut self, location: &'l Location) -> Result<(&mut Beneath, &'l [u8]), ReadError> {
        let (beneath, path) = match location {
            Location::WorkTree(path) => (self.root.as_mut(), path),
            Location::Linked { worktree, path } => (self.worktrees.get_mut(worktree), path),
            Location::GitBlob(_) => return Err(ReadError::Vanished),
        };
        Ok((beneath.ok_or(ReadError::Vanished)?, path))
    }

    pub(super) fn blob(&mut self, id: &str) -> Result<Vec<u8>, ReadError> {
        let failed = |reason: String| ReadError::Object { id: id.to_owned(), reason };
        let repo = self.repo.as_ref().ok_or_else(|| failed("the scan was not made of a commit".into()))?;
        let oid = gix::ObjectId::from_hex(id.as_bytes()).map_err(|error| failed(error.to_string()))?;
        let header = repo.find_header(oid).map_err(|error| failed(error.to_string()))?;
        if header.size() > self.max_bytes {
            return Err(ReadError::TooLarge { size: header.size(), limit: self.max_bytes });
        }
        let mut blob = repo.find_blob(oid).map_err(|error| failed(error.to_string()))?;
        Ok(blob.take_data())
    }
}
