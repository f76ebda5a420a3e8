//! From how a worker died to which limit its file broke.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use lode_facts::extract::LaneStatus;
use lode_facts::options::Limits;

use super::child::STACK_BYTES;
use super::status::Cause;

/// Longest end of what a worker printed that goes into a message, in bytes.
const MAX_TAIL: usize = 400;

/// The limit a file broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Cpu,
    Wall,
    Memory,
    Stack,
    FileBytes,
    Crash,
}

impl Limit {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wall => "wall",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::FileBytes => "file_bytes",
            Self::Crash => "crash",
        }
    }
}

/// A file's sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) limit: Limit,
    pub(super) message: String,
}

impl Verdict {
    /// Whether other files of the group, or other work on the machine, can have had a part in it.
    pub(super) fn depends_on_company(&self) -> bool {
        matches!(self.limit, Limit::Wall | Limit::Memory | Limit::Crash)
    }

    pub(super) fn status(&self) -> LaneStatus {
        LaneStatus::Quarantined { limit: self.limit.name().into(), message: self.message.clone() }
    }
}

/// What is known of a death.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// Why the supervisor killed it, if it did.
    pub(super) killed: Option<Kill>,
    pub(super) cause: Cause,
    pub(super) exit: ExitStatus,
    pub(super) printed: &'a str,
}

/// Why the supervisor kills a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kill {
    /// A step took longer than this.
    Wall(Duration),
    /// It answered with something that makes no sense.
    Nonsense(String),
}

/// Names the limit, for a file that was at work when its worker died.
pub(super) fn judge(evidence: &Evidence<'_>, limits: &Limits) -> Verdict {
    let printed = evidence.printed;
    let (limit, what) = match (&evidence.killed, evidence.cause, evidence.exit.signal()) {
        (_, Cause::Cpu, _) => (Limit::Cpu, format!("took more than {} ms of CPU time", limits.cpu_ms)),
        (Some(Kill::Nonsense(what)), ..) => (Limit::Crash, format!("the worker's answer made no sense: {what}")),
        (_, Cause::Panic, _) => (Limit::Crash, "the extractor panicked".into()),
        // Both are printed by what aborts: Rust's runtime, and tree-sitter's allocator.
        _ if printed.contains("has overflowed its stack") => {
            (Limit::Stack, format!("overflowed the stack of {} MiB", STACK_BYTES >> 20))
        }
        _ if printed.contains("memory allocation of") || printed.contains("failed to allocate") => {
            (Limit::Memory, format!("needed more than {} bytes of memory", limits.memory_bytes))
        }
        (Some(Kill::Wall(limit)), ..) => (Limit::Wall, format!("took longer than {} ms", limit.as_millis())),
        (.., Some(libc::SIGKILL)) => {
            (Limit::Memory, "the worker was killed from outside, as a system short of memory does".into())
        }
        (.., Some(signal)) => (Limit::Crash, format!("the worker died of {}", signal_name(signal))),
        _ => (Limit::Crash, format!("the worker ended with {}", evidence.exit)),
    };
    let tail = tidy(printed);
    let message = if tail.is_empty() { what } else { format!("{what}: {tail}") };
    Verdict { limit, message }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        _ => return format!("signal {signal}"),
    };
    name.into()
}

/// The end of what was printed, as one line without what differs from machine to machine or from run to run:
/// directories, addresses, thread ids.
pub(crate) fn tidy(printed: &str) -> String {
    let words = |line: &str| line.split_whitespace().filter_map(tidy_word).collect::<Vec<_>>().join(" ");
    let lines = printed.lines().filter(|line| !line.starts_with("note: run with"));
    let lines: Vec<String> = lines.map(words).filter(|line| !line.is_empty()).collect();
    let line = lines.join("; ");
    let start = line.ceil_char_boundary(line.len().saturating_sub(MAX_TAIL));
    if start == 0 { line } else { format!("…{}", &line[start..]) }
}

fn tidy_word(word: &str) -> Option<String> {
    let inner = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/');
    if word.starts_with('(') && !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if inner.starts_with("0x") && inner.len() > 2 {
        return Some(word.replace(inner, "0x…"));
    }
    let name = inner.rsplit('/').next().unwrap_or(inner);
    let is_path = inner.starts_with('/') && !name.is_empty();
    Some(if is_path { word.replace(inner, name) } else { word.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(killed: Option<Kill>, cause: Cause, raw: i32, printed: &str) -> &'static str {
        let exit = ExitStatus::from_raw(raw);
        judge(&Evidence { killed, cause, exit, printed }, &Limits::default()).limit.name()
    }

    #[test]
    fn deaths_are_told_apart() {
        let wall = || Some(Kill::Wall(Duration::from_secs(1)));
        let overflow = "\nthread 'extract' (77) has overflowed its stack\nfatal runtime error: stack overflow\n";
        assert_eq!(limit(None, Cause::Cpu, 3 << 8, ""), "cpu");
        assert_eq!(limit(wall(), Cause::None, libc::SIGKILL, ""), "wall");
        assert_eq!(limit(wall(), Cause::Cpu, libc::SIGKILL, ""), "cpu");
        assert_eq!(limit(None, Cause::None, libc::SIGKILL, ""), "memory");
        assert_eq!(limit(None, Cause::None, libc::SIGABRT, "memory allocation of 9 bytes failed"), "memory");
        assert_eq!(limit(None, Cause::None, libc::SIGABRT, "tree-sitter failed to allocate 9 bytes"), "memory");
        assert_eq!(limit(None, Cause::None, libc::SIGABRT, overflow), "stack");
        assert_eq!(limit(None, Cause::None, libc::SIGSEGV, ""), "crash");
        assert_eq!(limit(None, Cause::Panic, 3 << 8, "memory allocation of nothing"), "crash");
    }

    #[test]
    fn messages_are_the_same_on_every_machine() {
        let printed =
            "\nthread 'extract' (4711) panicked at /home/me/.cargo/x/src/lib.rs:7:9:\nno \"/a/b\" at 0x7f00ab\n";
        assert_eq!(tidy(printed), "thread 'extract' panicked at lib.rs:7:9:; no \"b\" at 0x…");
        assert_eq!(tidy("a/b (c) / 12"), "a/b (c) / 12");
    }

    #[test]
    fn only_the_end_is_kept() {
        let tail = tidy(&"é ".repeat(1000));
        assert!(tail.starts_with('…') && tail.ends_with('é') && tail.len() <= MAX_TAIL + '…'.len_utf8());
    }
}
