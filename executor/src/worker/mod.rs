//! Extraction in isolated worker processes.
//!
//! A parser that hangs, overflows its stack, eats memory or crashes costs one worker process and one quarantined file.
//!
//! ```text
//! supervisor thread ── order: contents + requests, a sealed memfd ──▶ worker process
//!  (one a worker)   ◀── reply: Arrow IPC + reports, a sealed memfd ──   (same binary, `__worker`)
//!                   ◀── status page: the file at work ─────────────
//! ```
//!
//! Content and facts are copied once in each direction; a seal makes what was received immutable, so the pool decodes
//! facts in place and a worker gone wild can't pull memory away from under it. Whatever a worker answers is validated.

mod channel;
mod child;
mod fault;
mod group;
mod guard;
mod parcel;
mod pool;
mod process;
mod status;
mod supervisor;
mod verdict;

pub use child::{ARGUMENT, worker_main};
pub use fault::{Fault, FaultKind};
pub use group::{Content, GroupResult, unread};
pub use pool::{PoolConfig, WorkerPool};
pub(crate) use verdict::tidy;

/// Extraction of a group could not be done at all; no file is to blame.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No worker process could be started.
    #[error("can't start a worker process from {program}: {source} (are there processes, memory and /proc to be had?)")]
    Spawn {
        /// What was to be run.
        program: String,
        /// Why it wasn't.
        source: std::io::Error,
    },
    /// A worker process ended before it was ready.
    #[error("a worker process ended before it was ready: {0} (does the program call `worker_main` first of all?)")]
    Start(String),
    /// The system refused what transport or supervision need.
    #[error("can't {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The facts of a group's parts don't fit together.
    #[error("facts of a group's parts can't be put together: {0}")]
    Merge(#[from] arrow::error::ArrowError),
    /// The caller no longer waits for the group.
    #[error("extraction was cancelled")]
    Cancelled,
    /// The supervisor of the worker is gone.
    #[error("the supervisor of a worker ended unexpectedly: {0}")]
    Supervisor(String),
}

impl WorkerError {
    fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
