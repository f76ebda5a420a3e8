//! A scheduler and executors of this build, on the loopback interface.

use std::fs::{self, File};
use std::io;
use std::ops::Sub;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::corpus;
use crate::measure::{peak_rss, tree_time};

/// How long a process may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster, which ends with its handle.
pub struct Cluster {
    scheduler: Node,
    executors: Vec<Node>,
    address: String,
}

/// Core-seconds by role.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Spent {
    /// The client.
    pub client: f64,
    /// The scheduler.
    pub scheduler: f64,
    /// The executors and their workers.
    pub executors: f64,
}

impl Spent {
    /// All of them.
    pub fn total(&self) -> f64 {
        self.client + self.scheduler + self.executors
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            client: self.client - before.client,
            scheduler: self.scheduler - before.scheduler,
            executors: self.executors - before.executors,
        }
    }
}

impl Cluster {
    /// Starts a scheduler and executors with one task at a time.
    pub fn start(home: &Path, executors: usize) -> io::Result<Self> {
        let scheduler = Node::start(home, "lode-scheduler", "scheduler", &["--port", "0"])?;
        let address = format!("df://{}", scheduler.field("the scheduler takes jobs", "addr")?);
        let arguments = ["--scheduler", &address, "--tasks", "1"];
        let started = (0..executors).map(|n| Node::start(home, "lode-executor", &format!("executor-{n}"), &arguments));
        let executors = started.collect::<io::Result<Vec<_>>>()?;
        for executor in &executors {
            executor.line("the executor takes tasks")?;
        }
        Ok(Self { scheduler, executors, address })
    }

    /// The address for clients.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it has spent since its start.
    pub fn spent(&self) -> Spent {
        let executors = self.executors.iter().map(|node| tree_time(node.child.id())).sum();
        Spent { client: 0.0, scheduler: tree_time(self.scheduler.child.id()), executors }
    }

    /// Peak of the scheduler, in bytes.
    pub fn scheduler_memory(&self) -> u64 {
        peak_rss(self.scheduler.child.id())
    }

    /// Sum of the peaks of its processes (without workers), in bytes.
    pub fn memory(&self) -> u64 {
        self.executors.iter().chain([&self.scheduler]).map(|node| peak_rss(node.child.id())).sum()
    }
}

struct Node {
    child: Child,
    log: PathBuf,
}

impl Node {
    fn start(home: &Path, program: &str, name: &str, arguments: &[&str]) -> io::Result<Self> {
        let log = home.join(format!("{name}.log"));
        let mut command = Command::new(corpus::target_directory().join("release").join(program));
        command.args(arguments).args(["--log-format", "json"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        // SAFETY: `prctl` is safe between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        Ok(Self { child: command.spawn()?, log })
    }

    /// Waits for the line of its log that has these words.
    fn line(&self, words: &str) -> io::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = fs::read_to_string(&self.log)?;
            if let Some(line) = log.lines().find(|line| line.contains(words)) {
                return Ok(line.to_owned());
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("it does not say {words:?}; it says\n{log}")));
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// A field of that line.
    fn field(&self, words: &str, field: &str) -> io::Result<String> {
        let line = self.line(words)?;
        let line: serde_json::Value = serde_json::from_str(&line)?;
        let value = line["fields"][field].as_str();
        value.map(str::to_owned).ok_or_else(|| io::Error::other(format!("no {field} in {line}")))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // One that has ended by itself needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
