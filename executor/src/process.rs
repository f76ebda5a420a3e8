//! Start and end of the cluster's commands, which are the same for all.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::settings::complain;

/// Why a command failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a command with these arguments, the first of which is the name of the program.
///
/// Exit codes: 0 ended as asked, 1 failed, 2 wrong usage.
pub fn run<F: Parser>(
    args: impl IntoIterator<Item = OsString>,
    start: impl FnOnce(&F) -> Result<(), Failure>,
) -> ExitCode {
    let flags = match F::try_parse_from(args) {
        Ok(flags) => flags,
        Err(error) => {
            // Nobody is left to be told that stderr is closed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match start(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// Runs a server on a runtime of its own, with so many threads or one a core. What has not ended when the server has must
/// not hold the process up.
///
/// # Errors
/// What the server failed of, or that there are no threads.
pub fn block_on(threads: Option<usize>, server: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    let runtime = builder.enable_all().build()?;
    let ended = runtime.block_on(server);
    runtime.shutdown_background();
    ended
}

/// SIGTERM and SIGINT, which both ask a process to end.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals from now on.
    ///
    /// # Errors
    /// If they can't be taken.
    pub fn take() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
