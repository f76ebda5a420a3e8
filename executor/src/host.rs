//! The process around the operators: content from its source, facts from the pool of workers.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lode_facts::extract::{FileReport, FileRequest, GroupOutput, LaneStatus};
use lode_facts::file::FileKind;
use lode_facts::options::{Limits, Options};
use lode_plan::fingerprint::json_hash;
use lode_plan::host::{ExtractOrder, GroupCost, Host, ShardEvent};
use rustix::io::Errno;

use crate::content::ContentReader;
use crate::worker::{Content, PoolConfig, WorkerError, WorkerPool};

/// Hears of progress.
pub type Listener = Arc<dyn Fn(&ShardEvent) + Send + Sync>;

/// Extracts in worker processes of this machine. Pools and readers are made when first asked for, one for each set of
/// options and each source.
pub struct LocalHost {
    workers: usize,
    listener: Option<Listener>,
    program: Option<PathBuf>,
    pools: Mutex<BTreeMap<String, WorkerPool>>,
    readers: Mutex<BTreeMap<String, Arc<ContentReader>>>,
}

impl fmt::Debug for LocalHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHost").field("workers", &self.workers).finish_non_exhaustive()
    }
}

impl LocalHost {
    /// A host with at most so many workers at a time.
    pub fn new(workers: usize, listener: Option<Listener>) -> Self {
        Self { workers, listener, program: None, pools: Mutex::default(), readers: Mutex::default() }
    }

    /// Runs this program as a worker, instead of this very one.
    #[must_use]
    pub fn with_program(self, program: PathBuf) -> Self {
        Self { program: Some(program), ..self }
    }

    fn pool(&self, options: &Options, limits: &Limits) -> WorkerPool {
        let key = json_hash(&(options, limits));
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let config = PoolConfig::new(self.workers, options.clone(), limits.clone());
            WorkerPool::new(PoolConfig { program: self.program.clone(), ..config })
        };
        pools.entry(key).or_insert_with(new).clone()
    }

    fn reader(&self, order: &ExtractOrder) -> io::Result<Arc<ContentReader>> {
        let key = json_hash(&order.source);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = readers.get(&key) {
            return Ok(Arc::clone(reader));
        }
        let reader = Arc::new(ContentReader::open(&order.source)?);
        readers.insert(key, Arc::clone(&reader));
        Ok(reader)
    }

    /// Ends all workers.
    pub fn close(&self) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[async_trait]
impl Host for LocalHost {
    async fn extract(&self, order: &ExtractOrder, files: Vec<FileRequest>) -> io::Result<(GroupOutput, GroupCost)> {
        let reader = self.reader(order)?;
        let limit = order.limits.file_bytes;
        let opened = tokio::task::spawn_blocking(move || {
            let open = |request: FileRequest| {
                let content = content(&reader, &request, limit);
                (request, content)
            };
            files.into_iter().map(open).collect::<Vec<_>>()
        });
        let opened = opened.await.map_err(io::Error::other)?;

        // Files that can't be opened take no part in the group; their reports go back to their places.
        let mut refused: BTreeMap<usize, FileReport> = BTreeMap::new();
        let mut readable = vec![];
        let mut positions = vec![];
        for (position, (request, content)) in opened.into_iter().enumerate() {
            match content {
                Ok(content) => {
                    readable.push((request, content));
                    positions.push(position);
                }
                Err(error) => {
                    refused.insert(position, FileReport::uniform(&request, unreadable(&error)));
                }
            }
        }
        if readable.is_empty() {
            return Ok((GroupOutput { files: refused.into_values().collect(), tables: vec![] }, GroupCost::default()));
        }
        let result = self.pool(&order.options, &order.limits).extract(readable).await.map_err(worker_error)?;
        let slowest = result.slowest.and_then(|(index, time)| Some((*positions.get(index)?, time)));
        let mut output = result.output;
        for (position, report) in refused {
            output.files.insert(position, report);
        }
        Ok((output, GroupCost { cpu: result.cpu, slowest, peak_rss: result.peak_rss }))
    }

    async fn extract_contents(
        &self,
        options: &Options,
        limits: &Limits,
        files: Vec<(FileRequest, Vec<u8>)>,
    ) -> io::Result<GroupOutput> {
        let files = files.into_iter().map(|(request, bytes)| (request, Some(Content::Bytes(bytes.into()))));
        let result = self.pool(options, limits).extract(files.collect()).await.map_err(worker_error)?;
        Ok(result.output)
    }

    fn observe(&self, event: &ShardEvent) {
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }
}

/// What is out of scope or no regular file has no content.
fn content(reader: &ContentReader, request: &FileRequest, limit: u64) -> io::Result<Option<Content>> {
    if !request.meta.included || request.meta.kind != FileKind::File {
        return Ok(None);
    }
    reader.read(&request.meta, limit).map(Some)
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

fn worker_error(error: WorkerError) -> io::Error {
    io::Error::other(error)
}
