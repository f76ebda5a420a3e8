//! Start and end of commands, which are the same for all.

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::settings::complain;

/// Why a command failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Ends the process at once. Nothing is left to be done but to give memory back piece by piece, which takes as long as a
/// tenth of a run over an unchanged repository: the system does it faster.
pub fn leave(code: u8) -> ! {
    // Whoever prints flushes and tells the error; here, nobody is left to be told that stdout is closed.
    let _ = std::io::stdout().flush();
    // SAFETY: it does not return, and other threads may run until then.
    unsafe { libc::_exit(code.into()) }
}

/// Runs a command with these arguments, the first of which is the name of the program, and ends the process.
///
/// Exit codes: 0 ended as asked, 1 failed, 2 wrong usage.
pub fn run<F: Parser>(args: impl IntoIterator<Item = OsString>, start: impl FnOnce(&F) -> Result<(), Failure>) -> ! {
    let flags = match F::try_parse_from(args) {
        Ok(flags) => flags,
        Err(error) => {
            // Nobody is left to be told that stderr is closed.
            let _ = error.print();
            leave(if error.use_stderr() { 2 } else { 0 })
        }
    };
    match start(&flags) {
        Ok(()) => leave(0),
        Err(error) => {
            complain(error.as_ref());
            leave(1)
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
