//! Running `lode` and reading what it says.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

/// How long a command may take before it counts as one that hangs, and is killed.
const PATIENCE: Duration = Duration::from_secs(600);

/// A `lode` command that no setting of the machine reaches.
pub fn lode() -> Command {
    let mut command = Command::new(crate::profile_directory().join("lode-under-test"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LODE_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").env("COLUMNS", "100").env("XDG_CACHE_HOME", crate::cache().join("xdg"));
    command
}

/// What a finished command said.
#[derive(Debug)]
pub struct Output {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Logs.
    pub stderr: String,
    command: String,
}

impl Output {
    /// Runs a command to its end, which must come within [`PATIENCE`].
    pub fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("lode starts");
        let id = libc::pid_t::try_from(child.id()).expect("a process id fits");
        let (ended, end) = mpsc::channel::<()>();
        let guard = thread::spawn(move || {
            if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                // SAFETY: signals have no other effect on this process.
                unsafe { libc::kill(id, libc::SIGKILL) };
            }
        });
        let output = child.wait_with_output().expect("its output can be read");
        drop(ended);
        guard.join().expect("it does nothing that fails");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            command: format!("{command:?}"),
        }
    }

    /// Expects success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Expects an error that says these words and how to go on.
    #[track_caller]
    pub fn fails_with(self, words: &[&str]) -> Self {
        assert!(self.code.is_some_and(|code| code != 0), "{self}");
        assert!(!self.stderr.contains("panicked"), "{self}");
        for word in words {
            assert!(self.stderr.contains(word) || self.stdout.contains(word), "no `{word}` in\n{self}");
        }
        self
    }

    /// The summary on stdout, which is one JSON object and nothing else.
    #[track_caller]
    pub fn summary(&self) -> Summary {
        let summary: Summary = serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no summary: {e}\n{self}"));
        if summary.state == "committed" {
            let f = &summary.files;
            let states = f.extracted + f.unchanged + f.skipped + f.failed + f.quarantined;
            assert_eq!(states, f.scanned, "counts don't add up to the scan\n{self}");
        }
        summary
    }

    /// The lines of stdout as JSON objects.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let object = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON: {e}: {line}\n{self}"));
        self.stdout.lines().map(object).collect()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, stdout, stderr, command } = self;
        write!(f, "{command}\nexit code {code:?}\n-- stdout\n{stdout}\n-- stderr\n{stderr}")
    }
}

/// The summary of a run, as scripts read it.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Summary {
    pub run_id: String,
    pub state: String,
    pub files: Files,
    pub rows: BTreeMap<String, u64>,
    pub rows_written: BTreeMap<String, u64>,
    pub bytes: u64,
    pub elapsed_ms: u64,
    pub core_seconds: f64,
    pub peak_rss_bytes: u64,
    pub tables: BTreeMap<String, i64>,
}

/// Files by state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Files {
    pub scanned: u64,
    pub extracted: u64,
    pub unchanged: u64,
    pub skipped: u64,
    pub failed: u64,
    pub quarantined: u64,
    pub deleted: u64,
}

/// Adds arguments of one type; for tests that build them piece by piece.
pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut command: Command, args: I) -> Command {
    command.args(args);
    command
}
