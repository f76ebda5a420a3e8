//! Hashes and languages of the files in scope, on as many threads as there are cores.

use std::io::Read;
use std::sync::Mutex;
use std::thread;

use lode_facts::file::FileKind;
use lode_facts::language::{HEAD_BYTES, Language};
use sha2::{Digest, Sha256};

use super::cache::ScanCache;
use super::content::{ContentReader, ReadError};
use super::{Location, Scan, ScanError, ScannedFile};

/// Files a thread takes at once.
const CHUNK: usize = 64;

/// Files are hashed as they are read, through a buffer of this size.
const BUFFER: usize = 256 << 10;

/// First bytes of what git-lfs leaves in place of a file.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// Fills in what only content tells, for files in scope.
pub(super) fn inspect(scan: &Scan, files: &mut [ScannedFile], known: Option<&ScanCache>) -> Result<(), ScanError> {
    let threads = thread::available_parallelism().map_or(2, usize::from).min(files.len().div_ceil(CHUNK)).max(1);
    let chunks = Mutex::new(files.chunks_mut(CHUNK));
    let next = || chunks.lock().expect("no thread panics while it holds the lock").next();
    let work = || -> Result<(), ScanError> {
        let mut reader = ContentReader::new(scan, u64::MAX)?;
        let mut buffer = vec![0; BUFFER];
        while let Some(chunk) = next() {
            for file in chunk {
                inspect_one(&mut reader, &mut buffer, file, known);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let results = workers.into_iter().map(|worker| worker.join().expect("reading files does not panic"));
        results.fold(own, Result::and)
    })
}

fn inspect_one(reader: &mut ContentReader, buffer: &mut [u8], file: &mut ScannedFile, known: Option<&ScanCache>) {
    let meta = &mut file.meta;
    if !meta.included || meta.kind != FileKind::File {
        meta.language = (meta.kind == FileKind::File).then(|| Language::detect(&meta.path, b"")).flatten();
        return;
    }
    if let Some((sha256, language)) = known.and_then(|cache| cache.get(&meta.path, &file.stat)) {
        meta.sha256 = Some(sha256.to_owned());
        meta.language = language;
        return;
    }
    match digest(reader, buffer, &file.location) {
        Ok(content) => {
            meta.language = Language::detect(&meta.path, &content.head);
            if matches!(file.location, Location::GitBlob(_)) && content.head.starts_with(LFS_POINTER) {
                meta.included = false;
                meta.rule = "lfs-pointer".into();
                return;
            }
            meta.size = content.size;
            meta.sha256 = Some(content.sha256);
        }
        Err(error) => {
            meta.language = Language::detect(&meta.path, b"");
            file.unreadable = Some(error.to_string());
        }
    }
}

struct Content {
    size: i64,
    sha256: String,
    head: Vec<u8>,
}

fn digest(reader: &mut ContentReader, buffer: &mut [u8], location: &Location) -> Result<Content, ReadError> {
    if let Location::GitBlob(id) = location {
        let blob = reader.blob(id)?;
        let head = blob[..blob.len().min(HEAD_BYTES)].to_vec();
        return Ok(Content { size: blob.len() as i64, sha256: format!("{:x}", Sha256::digest(&blob)), head });
    }
    let mut file = reader.file(location)?;
    let mut hasher = Sha256::new();
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let mut size = 0;
    loop {
        let count = file.read(buffer)?;
        if count == 0 {
            return Ok(Content { size, sha256: format!("{:x}", hasher.finalize()), head });
        }
        let read = &buffer[..count];
        hasher.update(read);
        head.extend_from_slice(&read[..count.min(HEAD_BYTES - head.len())]);
        size += count as i64;
    }
}
