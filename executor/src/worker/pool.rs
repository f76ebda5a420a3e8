//! The pool: groups queue up, supervisors take them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lode_facts::extract::FileRequest;
use lode_facts::options::{Limits, Options};
use tokio::sync::oneshot;

use super::WorkerError;
use super::child::Setup;
use super::fault::Fault;
use super::group::{Content, Files, GroupResult};
use super::supervisor::Supervisor;

/// What a pool is made of.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Most worker processes at a time.
    pub workers: usize,
    /// Options of the extractors.
    pub options: Options,
    /// What one file may cost.
    pub limits: Limits,
    /// The program to run as a worker, instead of this very one.
    pub program: Option<PathBuf>,
    /// Wall time a file may take, as a multiple of the CPU time it may take.
    pub wall_factor: u32,
    /// Faults for tests.
    #[doc(hidden)]
    pub faults: Vec<Fault>,
}

impl PoolConfig {
    /// Workers that are this program.
    pub fn new(workers: usize, options: Options, limits: Limits) -> Self {
        Self { workers, options, limits, program: None, wall_factor: 10, faults: vec![] }
    }

    pub(super) fn setup(&self) -> Setup {
        Setup {
            options: self.options.clone(),
            limits: self.limits.clone(),
            wall: self.wall_limit(),
            faults: self.faults.clone(),
        }
    }

    /// Wall time a file may take.
    pub(super) fn wall_limit(&self) -> Duration {
        Duration::from_millis(self.limits.cpu_ms.max(1)) * self.wall_factor.max(1)
    }
}

/// A pool of worker processes, cheap to clone. Workers are started when they are needed, serve many groups, and end
/// with the pool or with this process.
#[derive(Clone)]
pub struct WorkerPool {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<PoolConfig>,
    /// Present until closed.
    jobs: Mutex<Option<Sender<Job>>>,
    queue: Arc<Mutex<Receiver<Job>>>,
    load: Arc<Mutex<Load>>,
    closed: Arc<AtomicBool>,
}

#[derive(Default)]
struct Load {
    /// Threads that take groups.
    supervisors: Vec<JoinHandle<()>>,
    /// Groups that wait or are under way.
    groups: usize,
}

struct Job {
    files: Files,
    reply: oneshot::Sender<Result<GroupResult, WorkerError>>,
}

impl WorkerPool {
    /// A pool without any worker yet.
    pub fn new(config: PoolConfig) -> Self {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let jobs = Mutex::new(Some(jobs));
        let (config, load, closed) = (Arc::new(config), Arc::default(), Arc::default());
        Self { inner: Arc::new(Inner { config, jobs, queue, load, closed }) }
    }

    /// Starts all workers, beside whatever the caller does: for work that is sure to come. One that does not start is
    /// started again when it is needed.
    pub fn prepare(&self) {
        let mut load = self.inner.load.lock().unwrap_or_else(PoisonError::into_inner);
        while load.supervisors.len() < self.inner.config.workers.max(1) {
            let Ok(supervisor) = self.inner.hire(true) else { return };
            load.supervisors.push(supervisor);
        }
    }

    /// Ends the pool, whoever else holds it, and waits for its workers to end, so that what they cost is known. Groups
    /// that are under way are given up within a moment.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Extracts a group of files in a worker, in their order: a few megabytes of small files, or one large file.
    /// Dropping the future stops the work within a moment.
    ///
    /// # Errors
    /// When nothing could be extracted for a reason that no file is to blame for. Files that break a limit, crash an
    /// extractor or can't be read have reports that say so.
    pub async fn extract(&self, files: Vec<(FileRequest, Option<Content>)>) -> Result<GroupResult, WorkerError> {
        let (reply, result) = oneshot::channel();
        self.inner.submit(Job { files, reply })?;
        result.await.unwrap_or_else(|_| Err(WorkerError::Supervisor("it dropped the group".into())))
    }
}

impl Inner {
    fn submit(&self, job: Job) -> Result<(), WorkerError> {
        {
            let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
            if load.supervisors.len() <= load.groups && load.supervisors.len() < self.config.workers.max(1) {
                load.supervisors.push(self.hire(false).map_err(WorkerError::system("start a thread"))?);
            }
            load.groups += 1;
        }
        let nobody = || WorkerError::Supervisor("nobody takes groups".into());
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().ok_or_else(nobody)?.send(job).map_err(|_| nobody())
    }

    /// Starts a supervisor, which starts its worker at once or for its first group. It lives until the pool is dropped.
    fn hire(&self, prepared: bool) -> std::io::Result<JoinHandle<()>> {
        let (config, queue, load) = (self.config.clone(), self.queue.clone(), self.load.clone());
        let closed = self.closed.clone();
        let thread = std::thread::Builder::new().name("lode-supervisor".into());
        thread.spawn(move || {
            let mut supervisor = Supervisor::new(config.clone());
            if prepared {
                supervisor.prepare();
            }
            loop {
                let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(Job { files, reply }) = job else { break };
                let cancelled = || reply.is_closed() || closed.load(Ordering::Relaxed);
                let result = catch_unwind(AssertUnwindSafe(|| supervisor.extract(&files, &cancelled)));
                let result = result.unwrap_or_else(|panic| {
                    supervisor = Supervisor::new(config.clone());
                    let text = panic.downcast_ref::<String>().map(String::as_str);
                    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
                    Err(WorkerError::Supervisor(text.to_owned()))
                });
                load.lock().unwrap_or_else(PoisonError::into_inner).groups -= 1;
                // The caller may have gone: then nobody misses the result.
                let _ = reply.send(result);
            }
        })
    }
}

impl Inner {
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let supervisors = std::mem::take(&mut self.load.lock().unwrap_or_else(PoisonError::into_inner).supervisors);
        for supervisor in supervisors {
            // Panics are caught inside.
            let _ = supervisor.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
