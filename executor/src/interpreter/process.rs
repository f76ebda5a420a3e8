//! One interpreter process, and watch over what it takes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use lode_facts::bytecode::Refusal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl, memfd_create};
use rustix::process::{Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};

use crate::worker::tidy;

/// What the interpreter runs.
const SCRIPT: &str = include_str!("compile.py");
/// Isolated from environment, site packages and the directory; without warnings, with UTF-8.
const FLAGS: [&str; 8] = ["-I", "-S", "-E", "-B", "-W", "ignore", "-X", "utf8"];
/// How often an interpreter at work is looked at.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// Most that it may print beside its answers, in bytes.
const PRINTED: u64 = 64 * 1024;
/// Room of the pipes, in bytes, where the system grants it.
const PIPE_BYTES: libc::c_int = 1 << 20;

/// What a start may take; no file is to blame for it.
const START_CPU: Duration = Duration::from_secs(30);
const START_WALL: Duration = Duration::from_secs(60);

/// What a file may cost.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    pub(super) cpu: Duration,
    pub(super) wall: Duration,
    pub(super) memory_bytes: u64,
}

/// What an interpreter says first.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) version: String,
    pub(super) magic: u32,
}

/// What it says of a file.
#[derive(Debug)]
pub(super) enum Answer {
    Code(Vec<u8>),
    Refused(Refusal),
}

/// Why an interpreter did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Death {
    /// Too much CPU time.
    Cpu,
    /// Too much time.
    Wall,
    /// Too much memory.
    Memory,
    /// It ended.
    Crash(String),
    /// It can't be run.
    Start(String),
    /// It is another version than the run asks for.
    Other(String),
}

impl Death {
    /// The limit that was broken, if it was the file's doing.
    pub(super) fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Cpu => Some("cpu"),
            Self::Wall => Some("wall"),
            Self::Memory => Some("memory"),
            Self::Crash(_) => Some("crash"),
            Self::Start(_) | Self::Other(_) => None,
        }
    }

    /// Whether other files, or other work on the machine, can have had a part in it.
    pub(super) fn depends_on_company(&self) -> bool {
        matches!(self, Self::Wall | Self::Memory | Self::Crash(_))
    }

    pub(super) fn text(&self, budget: &Budget) -> String {
        match self {
            Self::Cpu => format!("compiling took more than {} ms of CPU time", budget.cpu.as_millis()),
            Self::Wall => format!("compiling took longer than {} ms", budget.wall.as_millis()),
            Self::Memory => format!("compiling needed more than {} bytes of memory", budget.memory_bytes),
            Self::Crash(how) => format!("the interpreter died while it compiled: {how}"),
            Self::Start(why) => format!("the interpreter does not start: {why}"),
            Self::Other(version) => format!("the interpreter of that name is version {version} here"),
        }
    }
}

/// How an exchange ended before its end.
#[derive(Debug)]
pub(super) enum End {
    Cpu,
    Wall,
    /// It closed its side, or something that makes no sense came from there.
    Gone(Option<String>),
    /// It had no memory left.
    Memory,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Gone(Some(error.to_string()))
    }
}

/// A running interpreter. It dies with the thread that started it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    requests: ChildStdin,
    answers: ChildStdout,
    printed: File,
    /// Whether it has not answered yet.
    pub(super) fresh: bool,
    /// When the file at work was sent, and the CPU time until then.
    asked: (Instant, Duration),
    /// CPU time up to its end.
    lived: Option<Duration>,
}

impl Process {
    /// Starts an interpreter.
    pub(super) fn start(program: &str, optimize: i32, budget: &Budget) -> Result<(Self, Greeting), Death> {
        let mut process = Self::spawn(program, optimize, budget).map_err(|error| Death::Start(error.to_string()))?;
        let budget = Budget { cpu: START_CPU, wall: START_WALL, ..budget.clone() };
        match process.greeting(&budget) {
            Ok(greeting) => Ok((process, greeting)),
            Err(End::Gone(Some(what))) => Err(Death::Start(what)),
            Err(end) => Err(Death::Start(process.bury(end).text(&budget))),
        }
    }

    fn spawn(program: &str, optimize: i32, budget: &Budget) -> io::Result<Self> {
        let printed = memfd_create("lode-interpreter", MemfdFlags::CLOEXEC)?;
        fcntl_setfl(&printed, OFlags::APPEND)?;
        let mut command = Command::new(program);
        command.args(FLAGS).args(["-c", SCRIPT, &optimize.to_string()]).env_clear().current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(printed.try_clone()?);
        let parent = rustix::process::getpid();
        let memory = budget.memory_bytes;
        // SAFETY: the closure only makes system calls, which is what may be done between fork and exec.
        unsafe {
            command.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                if getppid() != Some(parent) {
                    return Err(io::ErrorKind::NotConnected.into());
                }
                let limit = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
                limit(Resource::Data, memory)?;
                limit(Resource::Fsize, PRINTED)?;
                limit(Resource::Core, 0)?;
                Ok(())
            });
        }
        let mut child = command.spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the pipes are gone"));
        };
        fcntl_setfl(&requests, OFlags::NONBLOCK)?;
        fcntl_setfl(&answers, OFlags::NONBLOCK)?;
        for pipe in [requests.as_raw_fd(), answers.as_raw_fd()] {
            // SAFETY: a plain system call on an open pipe. Where the system refuses, less room only costs time.
            unsafe { libc::fcntl(pipe, libc::F_SETPIPE_SZ, PIPE_BYTES) };
        }
        let asked = (Instant::now(), Duration::ZERO);
        Ok(Self { child, requests, answers, printed: printed.into(), fresh: true, asked, lived: None })
    }

    fn greeting(&mut self, budget: &Budget) -> Result<Greeting, End> {
        let mut line = vec![];
        while line.last() != Some(&b'\n') && line.len() < 256 {
            let mut byte = [0];
            self.receive(&mut byte, budget)?;
            line.extend(byte);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["cpython", version, magic] => {
                let magic = magic.parse().map_err(|_| End::Gone(Some(format!("it says `{line}`"))))?;
                Ok(Greeting { version: version.into(), magic })
            }
            [other, ..] => Err(End::Gone(Some(format!("it is `{other}`")))),
            [] => Err(End::Gone(Some("it says nothing".into()))),
        }
    }

    /// Sends a file.
    pub(super) fn ask(&mut self, name: &str, source: &[u8], budget: &Budget) -> Result<(), End> {
        self.asked = (Instant::now(), self.cpu());
        let size = |bytes: usize| u32::try_from(bytes).map(u32::to_le_bytes).map_err(io::Error::other);
        let mut head = vec![];
        head.extend(size(name.len())?);
        head.extend(size(source.len())?);
        head.extend(name.as_bytes());
        self.send(&head, budget)?;
        self.send(source, budget)
    }

    /// Waits for the answer.
    pub(super) fn answer(&mut self, budget: &Budget) -> Result<Answer, End> {
        let mut head = [0; 5];
        self.receive(&mut head, budget)?;
        let [kind, size @ ..] = head;
        let size = u32::from_le_bytes(size) as usize;
        if size as u64 > budget.memory_bytes {
            return Err(End::Gone(Some("its answer is larger than its memory".into())));
        }
        let mut content = vec![0; size];
        self.receive(&mut content, budget)?;
        let answer = match kind {
            b'C' => Answer::Code(content),
            b'E' => {
                Answer::Refused(refusal(&content).ok_or_else(|| End::Gone(Some("its answer is no answer".into())))?)
            }
            _ => return Err(End::Gone(Some("its answer is no answer".into()))),
        };
        // CPython raises the same exception for what nests too deeply; then there was memory left.
        if matches!(&answer, Answer::Refused(refusal) if refusal.error_type == "MemoryError")
            && self.peak_bytes() > budget.memory_bytes / 2
        {
            return Err(End::Memory);
        }
        self.fresh = false;
        Ok(answer)
    }

    fn send(&mut self, mut bytes: &[u8], budget: &Budget) -> Result<(), End> {
        while !bytes.is_empty() {
            match self.requests.write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(self.requests.as_fd(), PollFlags::OUT, budget)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(End::Gone(None)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn receive(&mut self, mut room: &mut [u8], budget: &Budget) -> Result<(), End> {
        while !room.is_empty() {
            match self.answers.read(room) {
                Ok(0) => return Err(End::Gone(None)),
                Ok(read) => room = &mut room[read..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(self.answers.as_fd(), PollFlags::IN, budget)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn wait(&self, pipe: BorrowedFd<'_>, flags: PollFlags, budget: &Budget) -> Result<(), End> {
        let (since, cpu) = self.asked;
        loop {
            match poll(&mut [PollFd::new(&pipe, flags)], Some(&TICK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(io::Error::from(error).into()),
            }
            if self.cpu().saturating_sub(cpu) > budget.cpu {
                return Err(End::Cpu);
            }
            if since.elapsed() > budget.wall {
                return Err(End::Wall);
            }
        }
    }

    /// Its CPU time so far.
    pub(super) fn cpu(&self) -> Duration {
        self.lived.unwrap_or_else(|| {
            let mut clock = 0;
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: both pointers are valid; the process was not waited for, so the id is still its own.
            let read = unsafe {
                libc::clock_getcpuclockid(self.child.id() as libc::pid_t, &mut clock) == 0
                    && libc::clock_gettime(clock, &mut time) == 0
            };
            if read { Duration::new(time.tv_sec as u64, time.tv_nsec as u32) } else { Duration::ZERO }
        })
    }

    /// The most memory it ever had in RAM, in bytes.
    fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Memory that it has in RAM, in bytes.
    pub(super) fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    /// Ends it and finds out why it did not answer.
    pub(super) fn bury(&mut self, end: End) -> Death {
        let gone = match &end {
            End::Gone(None) => self.child.wait().ok(),
            _ => None,
        };
        self.lived = Some(self.cpu());
        let _ = self.child.kill();
        let _ = self.child.wait();
        match end {
            End::Cpu => Death::Cpu,
            End::Wall => Death::Wall,
            End::Memory => Death::Memory,
            End::Gone(what) => {
                let exit = gone.map(|status| match status.signal() {
                    Some(signal) => format!("it ended with signal {signal}"),
                    None => format!("it ended with {status}"),
                });
                let said = tidy(&self.printed());
                let parts: Vec<String> = [what.or(exit), Some(said)].into_iter().flatten().collect();
                Death::Crash(parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(": "))
            }
        }
    }

    fn printed(&self) -> String {
        let mut text = vec![0; PRINTED as usize];
        let read = self.printed.read_at(&mut text, 0).unwrap_or(0);
        String::from_utf8_lossy(&text[..read]).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The fields of an exception.
fn refusal(content: &[u8]) -> Option<Refusal> {
    let text = String::from_utf8_lossy(content);
    let mut fields = text.splitn(6, '\0');
    let error_type = fields.next()?.to_owned();
    let mut number = || fields.next().map(|field| field.parse().ok());
    let (lineno, offset, end_lineno, end_offset) = (number()?, number()?, number()?, number()?);
    Some(Refusal { error_type, message: fields.next()?.to_owned(), lineno, offset, end_lineno, end_offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_six_fields() {
        let found = refusal(b"SyntaxError\x001\x004\0\0\0invalid syntax").unwrap();
        assert_eq!((found.error_type.as_str(), found.message.as_str()), ("SyntaxError", "invalid syntax"));
        assert_eq!((found.lineno, found.offset, found.end_lineno, found.end_offset), (Some(1), Some(4), None, None));
        assert_eq!(refusal(b"SyntaxError"), None);
    }
}
