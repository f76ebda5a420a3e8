//! One worker process, as its supervisor sees it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use lode_facts::options::Limits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl, memfd_create};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process_group, set_child_subreaper, waitid};

use super::WorkerError;
use super::channel;
use super::child::{ARGUMENT, READY};
use super::parcel::{Label, Parcel};
use super::pool::PoolConfig;
use super::status::{Cause, StatusPage, Step};
use super::verdict::{Evidence, Kill, Verdict, judge, tidy};

/// How often a supervisor looks whether its worker's time is up and its caller still waits.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// How much of what a worker printed is looked at.
const PRINTED: u64 = 8 * 1024;
/// This process, also after its file was replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// A running worker. It leads a process group of its own, which its interpreters belong to.
pub(super) struct Process {
    pid: Pid,
    reaped: bool,
    socket: OwnedFd,
    status: StatusPage,
    printed: File,
    wall_limit: Duration,
    /// CPU time of the worker that groups were told of already.
    pub(super) accounted: Duration,
    /// Whether it has seen no group yet.
    pub(super) fresh: bool,
}

/// How an order ended.
pub(super) enum Outcome {
    /// With a reply.
    Reply(Parcel),
    /// With the worker's death.
    Died(Death),
    /// The caller went away; the worker is dead.
    Cancelled,
}

/// The death of a worker.
pub(super) struct Death {
    /// What it was at.
    pub(super) step: Step,
    /// For how long.
    pub(super) elapsed: Duration,
    /// What the file at work is to be told.
    pub(super) verdict: Verdict,
    /// CPU time that no reply told of.
    pub(super) cpu: Duration,
}

impl Process {
    /// Starts a worker and waits until it is ready. The calling thread must outlive the worker: the kernel ties the
    /// worker's life to that thread's.
    pub(super) fn start(config: &PoolConfig) -> Result<Self, WorkerError> {
        let program = config.program.as_deref().unwrap_or(Path::new(THIS_PROGRAM));
        let mut process = Self::spawn(program, config)
            .map_err(|source| WorkerError::Spawn { program: program.display().to_string(), source })?;
        let setup = serde_json::to_vec(&config.setup()).expect("settings of plain values serialize");
        let greeted = channel::send(process.socket.as_fd(), &setup, None).and_then(|()| process.greeting());
        match greeted {
            Ok(true) => Ok(process),
            Ok(false) | Err(_) => {
                let (exit, _) = process.end();
                Err(WorkerError::Start(format!("{exit}; {}", tidy(&process.printed()))))
            }
        }
    }

    fn spawn(program: &Path, config: &PoolConfig) -> io::Result<Self> {
        // What a worker leaves behind becomes a child of this process, which can then wait for it: otherwise nobody
        // would know what it cost, and as the first process of a container this one would collect the dead.
        set_child_subreaper(Some(getpid()))?;
        let (socket, theirs) = channel::pair()?;
        let (status, page) = StatusPage::create()?;
        let printed = memfd_create("lode-stderr", MemfdFlags::CLOEXEC)?;
        fcntl_setfl(&printed, OFlags::APPEND)?;
        let mut command = Command::new(program);
        command.arg0("lode-worker").arg(ARGUMENT).env_clear().process_group(0);
        command.stdin(theirs).stdout(page).stderr(printed.try_clone()?);
        let child = command.spawn()?;
        Ok(Self {
            pid: Pid::from_child(&child),
            reaped: false,
            socket,
            status,
            printed: printed.into(),
            wall_limit: config.wall_limit(),
            accounted: Duration::ZERO,
            fresh: true,
        })
    }

    fn greeting(&self) -> io::Result<bool> {
        let mut buffer = [0; 64];
        let received = channel::receive(self.socket.as_fd(), &mut buffer)?;
        Ok(received.is_some_and(|(length, _)| &buffer[..length] == READY))
    }

    /// Has a worker do an order, watching over it.
    pub(super) fn order(
        &mut self,
        parcel: OwnedFd,
        label: &Label,
        limits: &Limits,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Outcome, WorkerError> {
        self.fresh = false;
        self.printed.set_len(0).map_err(WorkerError::system("clear what a worker printed"))?;
        let mut watch = Watch::new(&self.status);
        // A worker that died while it was idle is found out below.
        let sent = channel::send(self.socket.as_fd(), label, Some(parcel.as_fd()));
        drop(parcel);
        let kill = match sent {
            Err(_) => None,
            Ok(()) => loop {
                if self.readable().map_err(WorkerError::system("wait for a worker"))? {
                    match self.reply() {
                        Ok(Some(parcel)) => return Ok(Outcome::Reply(parcel)),
                        Ok(None) => break None,
                        Err(error) => break Some(Kill::Nonsense(error.to_string())),
                    }
                }
                if cancelled() {
                    self.end();
                    return Ok(Outcome::Cancelled);
                }
                if watch.elapsed(&self.status) > self.wall_limit {
                    break Some(Kill::Wall(self.wall_limit));
                }
            },
        };
        let elapsed = watch.elapsed(&self.status);
        Ok(Outcome::Died(self.autopsy(kill, elapsed, limits)))
    }

    fn readable(&self) -> io::Result<bool> {
        let mut sockets = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut sockets, Some(&TICK)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn reply(&self) -> io::Result<Option<Parcel>> {
        let mut buffer = [0; 64];
        let Some((length, fd)) = channel::receive(self.socket.as_fd(), &mut buffer)? else { return Ok(None) };
        let fd = fd.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a reply without a parcel"))?;
        Parcel::open(fd, &buffer[..length]).map(Some)
    }

    /// Ends the worker, if it hasn't ended already, and finds out why.
    pub(super) fn autopsy(&mut self, killed: Option<Kill>, elapsed: Duration, limits: &Limits) -> Death {
        // A worker that hung up without being killed is about to exit by itself; it may not be robbed of its reason.
        let (exit, cpu) = if killed.is_some() { self.end() } else { self.reap() };
        let printed = self.printed();
        let cause = if matches!(killed, Some(Kill::Nonsense(_))) { Cause::None } else { self.status.cause() };
        let evidence = Evidence { killed, cause, exit, printed: &printed };
        Death {
            step: self.status.step().0,
            elapsed,
            verdict: judge(&evidence, limits),
            cpu: cpu.saturating_sub(self.accounted),
        }
    }

    fn printed(&self) -> String {
        let length = self.printed.metadata().map_or(0, |m| m.len());
        let start = length.saturating_sub(PRINTED);
        let mut text = vec![0; (length - start) as usize];
        let read = self.printed.read_at(&mut text, start).unwrap_or(0);
        String::from_utf8_lossy(&text[..read]).into_owned()
    }

    fn end(&mut self) -> (ExitStatus, Duration) {
        self.kill();
        self.reap()
    }

    /// Kills the worker and its interpreters.
    fn kill(&self) {
        if !self.reaped {
            // The worker was not waited for, so the id of its group is still its own. It may have ended by itself.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Waits for the end of the worker, then ends what it left behind: its exit status, and the CPU time of their lives.
    fn reap(&mut self) -> (ExitStatus, Duration) {
        if self.reaped {
            return (ExitStatus::default(), self.accounted);
        }
        let ended = || waitid(WaitId::Pid(self.pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        while ended().is_err_and(|error| error == rustix::io::Errno::INTR) {}
        self.kill();
        self.reaped = true;
        let (mut exit, mut cpu) = (ExitStatus::default(), Duration::ZERO);
        while let Some((pid, status, time)) = wait_for_group(self.pid) {
            cpu += time;
            if pid == self.pid.as_raw_nonzero().get() {
                exit = status;
            }
        }
        (exit, cpu)
    }
}

/// Waits for the end of any child in a group: its id, its exit status, and the CPU time of its life and of those that it
/// waited for. None when no such child is left.
fn wait_for_group(group: Pid) -> Option<(libc::pid_t, ExitStatus, Duration)> {
    loop {
        let mut status = 0;
        // SAFETY: an all-zero `rusage` is valid, and the pointers outlive the call.
        let (pid, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::wait4(-group.as_raw_nonzero().get(), &mut status, 0, &mut usage), usage)
        };
        if pid > 0 {
            let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
            return Some((pid, ExitStatus::from_raw(status), time(usage.ru_utime) + time(usage.ru_stime)));
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Since when a worker has been at its present step. Its own clock is not asked: it could be wrong.
struct Watch {
    stamp: u64,
    since: Instant,
}

impl Watch {
    fn new(status: &StatusPage) -> Self {
        Self { stamp: status.step().1, since: Instant::now() }
    }

    fn elapsed(&mut self, status: &StatusPage) -> Duration {
        let (_, stamp) = status.step();
        if stamp != self.stamp {
            *self = Self { stamp, since: Instant::now() };
        }
        self.since.elapsed()
    }
}
