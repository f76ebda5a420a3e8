//! The process around the operators: content from its source, facts from the pool of workers.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lode_facts::extract::{FileReport, FileRequest};
use lode_facts::file::{FileKind, FileMeta};
use lode_facts::options::{Limits, Options};
use lode_plan::fingerprint::json_hash;
use lode_plan::host::{ContentSource, ExtractOrder, FileContent, GroupCost, GroupFacts, Host, ShardEvent};

use crate::content::ContentReader;
use crate::telemetry;
use crate::worker::{Content, PoolConfig, WorkerError, WorkerPool};

/// Readers of sources that are kept open.
const READERS: usize = 16;

/// Hears of progress.
pub type Listener = Arc<dyn Fn(&ShardEvent) + Send + Sync>;

/// Extracts in worker processes of this machine. Pools and readers are made when first asked for, one for each set of
/// options and each source.
pub struct LocalHost {
    workers: usize,
    listener: Option<Listener>,
    program: Option<PathBuf>,
    functions: Options,
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
        let functions = Options::default();
        Self { workers, listener, program: None, functions, pools: Mutex::default(), readers: Mutex::default() }
    }

    /// Runs this program as a worker, instead of this very one.
    #[must_use]
    pub fn with_program(self, program: PathBuf) -> Self {
        Self { program: Some(program), ..self }
    }

    /// Extracts under these options where a function of SQL asks for it.
    #[must_use]
    pub fn with_function_options(self, functions: Options) -> Self {
        Self { functions, ..self }
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

    /// Starts the workers for these options beside whatever the caller does: for work that is sure to come.
    pub fn prepare(&self, options: &Options, limits: &Limits) {
        self.pool(options, limits).prepare();
    }

    async fn reader(&self, source: &ContentSource) -> io::Result<Arc<ContentReader>> {
        let key = json_hash(source);
        let known = self.readers.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(reader) = known {
            return Ok(reader);
        }
        let reader = Arc::new(ContentReader::open(source).await?);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        // Each epoch that stages is a source of its own; a reader that went is opened again.
        if readers.len() >= READERS {
            readers.pop_first();
        }
        Ok(Arc::clone(readers.entry(key).or_insert(reader)))
    }

    /// Ends all workers.
    pub fn close(&self) {
        let pools = std::mem::take(&mut *self.pools.lock().unwrap_or_else(PoisonError::into_inner));
        pools.values().for_each(WorkerPool::close);
    }
}

#[async_trait]
impl Host for LocalHost {
    async fn extract(&self, order: &ExtractOrder, files: Vec<FileRequest>) -> io::Result<(GroupFacts, GroupCost)> {
        let reader = self.reader(&order.source).await?;
        let with_content = |request: &FileRequest| request.meta.included && request.meta.kind == FileKind::File;
        let metas = files.iter().filter(|request| with_content(request)).map(|request| request.meta.clone()).collect();
        let mut read = reader.read(metas, order.limits.file_bytes).await?.into_iter();
        // What is out of scope or no regular file has no content.
        let opened = files.into_iter().map(|request| {
            let content = if with_content(&request) { read.next().transpose() } else { Ok(None) };
            (request, content)
        });

        // Files that can't be opened take no part in the group; their reports go back to their places.
        let mut refused: BTreeMap<usize, FileReport> = BTreeMap::new();
        let mut readable = vec![];
        let mut positions = vec![];
        for (position, (request, content)) in opened.enumerate() {
            match content {
                Ok(content) => {
                    readable.push((request, content));
                    positions.push(position);
                }
                Err(status) => {
                    refused.insert(position, FileReport::uniform(&request, status));
                }
            }
        }
        if readable.is_empty() {
            return Ok((GroupFacts { files: refused.into_values().collect(), tables: vec![] }, GroupCost::default()));
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
    ) -> io::Result<GroupFacts> {
        let files = files.into_iter().map(|(request, bytes)| (request, Some(Content::Bytes(bytes.into()))));
        let result = self.pool(options, limits).extract(files.collect()).await.map_err(worker_error)?;
        Ok(result.output)
    }

    async fn read(&self, source: &ContentSource, files: Vec<FileMeta>, limit: u64) -> io::Result<Vec<FileContent>> {
        self.reader(source).await?.load(files, limit).await
    }

    fn function_options(&self) -> &Options {
        &self.functions
    }

    fn begin(&self, span: &tracing::Span, run_id: &str, task: &str) {
        telemetry::start_task(span, run_id, task);
    }

    fn observe(&self, event: &ShardEvent) {
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }
}

fn worker_error(error: WorkerError) -> io::Error {
    io::Error::other(error)
}
