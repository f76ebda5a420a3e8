//! What a process and its children cost.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

/// Cost of a finished process, its children included.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// Wall time in seconds.
    pub elapsed: f64,
    /// User and system time in seconds.
    pub core_seconds: f64,
    /// Highest sum of resident sizes, in bytes; pages that processes share count in each.
    pub peak_rss: u64,
    /// What it printed.
    pub output: Value,
}

/// Runs a command to its end.
pub fn measure(command: &mut Command) -> io::Result<Measurement> {
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = child.id();
    let done = AtomicBool::new(false);
    let (output, peak_rss, usage, elapsed) = thread::scope(|scope| {
        let sampler = scope.spawn(|| sample(pid, &done));
        let before = children_time();
        let output = child.wait_with_output();
        let elapsed = start.elapsed().as_secs_f64();
        done.store(true, Ordering::Relaxed);
        let peak = sampler.join().expect("sampling does not panic");
        (output, peak, children_time() - before, elapsed)
    });
    let output = output?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))));
    }
    let output = serde_json::from_slice(&output.stdout).map_err(io::Error::other)?;
    Ok(Measurement { elapsed, core_seconds: usage, peak_rss, output })
}

/// CPU time of all children that ended and were waited for, and of theirs.
fn children_time() -> f64 {
    // SAFETY: `rusage` is plain data, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The highest resident size of a process tree until `done`.
fn sample(root: u32, done: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !done.load(Ordering::Relaxed) {
        peak = peak.max(tree_rss(root));
        thread::sleep(Duration::from_millis(20));
    }
    peak
}

/// CPU time of a process that lives, of those below it, and of those of theirs that ended.
pub fn tree_time(root: u32) -> f64 {
    // SAFETY: sysconf has no preconditions.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    // User and system time, and those of children that were waited for.
    tree(root, |fields| fields.get(11..15).into_iter().flatten().filter_map(|f| f.parse::<u64>().ok()).sum()) as f64
        / ticks
}

/// The highest resident size that a process that lives has had.
pub fn peak_rss(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

fn tree_rss(root: u32) -> u64 {
    // SAFETY: sysconf has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.unsigned_abs();
    page * tree(root, |fields| fields.get(21).and_then(|f| f.parse().ok()).unwrap_or_default())
}

/// The sum of what is read from the `stat` of a process and of those below it: its fields after the command's closing
/// parenthesis are state, parent, …, times from the 11th, resident pages as the 21st, from 0.
fn tree(root: u32, value: impl Fn(&[&str]) -> u64) -> u64 {
    let mut parents = BTreeMap::new();
    let mut values = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
        if let Some(Ok(parent)) = fields.get(1).map(|f| f.parse()) {
            parents.insert(pid, parent);
            values.insert(pid, value(&fields));
        }
    }
    let in_tree = |mut pid: u32| {
        while pid != root {
            match parents.get(&pid) {
                Some(parent) if *parent != pid => pid = *parent,
                _ => return false,
            }
        }
        true
    };
    values.iter().filter(|(pid, _)| in_tree(**pid)).map(|(_, value)| value).sum()
}
