//! What a worker process does to itself before it touches any content: limits, timers, and a tie to its parent.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::Duration;

use lode_facts::options::Limits;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use super::status::{Cause, StatusPage};
use crate::memory;

/// Exit code of a worker that ended itself and said why on its status page.
const BLAMED: i32 = 3;

/// The status page, for handlers.
static STATUS: OnceLock<StatusPage> = OnceLock::new();

/// Ties the process to its parent, takes away what it doesn't need, and maps the status page that it was started with
/// as its standard output.
pub(super) fn enter() -> io::Result<&'static StatusPage> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // SAFETY: plain system calls; the descriptors from 3 on belong to nobody here, as nothing was opened yet.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::close_range(3, libc::c_uint::MAX, 0);
    }
    rustix::process::chdir("/")?;
    let status = StatusPage::open(&io::stdout())?;
    // From here on what is printed goes where errors go.
    // SAFETY: both descriptors are open, and nobody holds the old standard output.
    if unsafe { libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) } < 0 {
        return Err(io::Error::last_os_error());
    }
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(STATUS.get_or_init(|| status))
}

/// Sets the limits that hold from now on: memory beyond what is in use already, and the end of panics.
pub(super) fn confine(limits: &Limits) -> io::Result<()> {
    let memory = Some(Usage::of_this_process()?.data.saturating_add(limits.memory_bytes));
    setrlimit(Resource::Data, Rlimit { current: memory, maximum: memory })?;
    // Facts and messages go to anonymous files. Beyond the limit writes fail, instead of a signal that ends us.
    let size = Some(limits.memory_bytes);
    setrlimit(Resource::Fsize, Rlimit { current: size, maximum: size })?;
    // SAFETY: ignoring a signal installs no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    memory::keep();
    handle(libc::SIGPROF, on_cpu_limit)?;
    // Parsers and tables may be broken after a panic: the process ends, and the next one starts afresh.
    std::panic::set_hook(Box::new(|panic| {
        let _ = writeln!(io::stderr(), "{panic}");
        give_up(Cause::Panic);
    }));
    Ok(())
}

/// Arms the timer of CPU time anew; zero disarms it. It also stops native code that never returns.
pub(super) fn arm_cpu_timer(limit: Duration) {
    let value = libc::timeval { tv_sec: limit.as_secs() as i64, tv_usec: i64::from(limit.subsec_micros()) };
    let timer = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: value };
    // SAFETY: the timer is valid, and the old one isn't asked for.
    unsafe { libc::setitimer(libc::ITIMER_PROF, &timer, std::ptr::null_mut()) };
}

fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) -> io::Result<()> {
    // SAFETY: an all-zero `sigaction` is valid, and the handler only stores an atomic and exits.
    let installed = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    if installed < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

extern "C" fn on_cpu_limit(_: libc::c_int) {
    give_up(Cause::Cpu);
}

fn give_up(cause: Cause) -> ! {
    if let Some(status) = STATUS.get() {
        status.blame(cause);
    }
    // SAFETY: ends the process without running anything else of it.
    unsafe { libc::_exit(BLAMED) }
}

/// What this process uses.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Private writable memory, as the limit on data counts it, in bytes.
    pub(super) data: u64,
    /// Memory in RAM, in bytes.
    pub(super) resident: u64,
    /// The most it ever had in RAM, in bytes.
    pub(super) peak: u64,
    /// CPU time.
    pub(super) cpu: Duration,
}

impl Usage {
    pub(super) fn of_this_process() -> io::Result<Self> {
        let fd = rustix::fs::open("/proc/self/status", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = [0; 4096];
        let length = rustix::io::read(fd, &mut text)?;
        let mut usage = Self::parse(&String::from_utf8_lossy(&text[..length]));
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        usage.cpu = Duration::new(cpu.tv_sec as u64, cpu.tv_nsec as u32);
        Ok(usage)
    }

    fn parse(text: &str) -> Self {
        let mut usage = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let field = match words.next() {
                Some("VmData:") => &mut usage.data,
                Some("VmRSS:") => &mut usage.resident,
                Some("VmHWM:") => &mut usage.peak,
                _ => continue,
            };
            *field = words.next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024;
        }
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_proc() {
        let usage = Usage::of_this_process().unwrap();
        assert!(usage.data > 0 && usage.resident > 0 && usage.peak >= usage.resident && usage.cpu > Duration::ZERO);
        let parsed = Usage::parse("Name:\tx\nVmHWM:\t      12 kB\nVmData:\tnonsense\n");
        assert_eq!((parsed.peak, parsed.data), (12 * 1024, 0));
    }
}
