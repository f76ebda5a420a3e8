//! What a run costs: CPU time and memory of the process and its workers.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often memory is looked at. A peak that is shorter goes unseen, except in this process itself.
const INTERVAL: Duration = Duration::from_millis(50);
/// Every so many looks the process tree is listed anew, which takes a file of `/proc` a thread. What a process takes before
/// it is first listed goes unseen.
const LOOKS_A_LISTING: usize = 5;

/// Measures from its start to its end.
pub struct Usage {
    started: Instant,
    cpu_before: f64,
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    sampler: Option<JoinHandle<()>>,
}

/// What was measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// Wall time.
    pub elapsed: Duration,
    /// CPU time of this process and of those below it that ended.
    pub core_seconds: f64,
    /// Peak of the memory of this process and those below it together, in bytes.
    pub peak_rss: u64,
}

impl Usage {
    /// Starts to measure.
    pub fn start() -> Self {
        let (peak, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let sampler = std::thread::Builder::new().name("usage".into()).spawn({
            let (peak, stop) = (Arc::clone(&peak), Arc::clone(&stop));
            move || {
                let mut known = vec![];
                for look in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if look % LOOKS_A_LISTING == 0 || known.is_empty() {
                        known = descendants();
                    }
                    peak.fetch_max(tree_memory(&known), Ordering::Relaxed);
                    std::thread::park_timeout(INTERVAL);
                }
            }
        });
        Self { started: Instant::now(), cpu_before: cpu_seconds(), peak, stop, sampler: sampler.ok() }
    }

    /// What was spent so far. CPU time of processes below this one counts once they ended.
    pub fn spent(&self) -> Spent {
        self.peak.fetch_max(tree_memory(&descendants()), Ordering::Relaxed);
        Spent {
            elapsed: self.started.elapsed(),
            core_seconds: cpu_seconds() - self.cpu_before,
            peak_rss: self.peak.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sampler) = self.sampler.take() {
            sampler.thread().unpark();
            // It only reads /proc; that it ended badly changes nothing.
            drop(sampler.join());
        }
    }
}

fn cpu_seconds() -> f64 {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].into_iter().map(cpu_of).sum()
}

fn cpu_of(who: libc::c_int) -> f64 {
    // SAFETY: `getrusage` fills the struct it is given; all-zero is a valid value of it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The processes below this one: those that it started, workers, and those that they started, interpreters.
fn descendants() -> Vec<String> {
    let mut found = children("self");
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children(pid));
        next += 1;
    }
    found
}

fn children(pid: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Memory of this process and those below it: what is theirs alone, and what they share counted once, in this process.
fn tree_memory(descendants: &[String]) -> u64 {
    let private = descendants.iter().map(|pid| field(&format!("/proc/{pid}/status"), &["RssAnon:"]));
    field("/proc/self/status", &["VmRSS:"]) + private.sum::<u64>()
}

fn field(path: &str, names: &[&str]) -> u64 {
    let Ok(status) = fs::read_to_string(path) else { return 0 };
    let lines = status.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    let kib = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_are_seen() {
        let usage = Usage::start();
        let mut block = vec![0u8; 64 << 20];
        for (i, byte) in block.iter_mut().enumerate() {
            *byte = (i * i) as u8;
        }
        std::hint::black_box(&block);
        let spent = usage.spent();
        assert!(spent.core_seconds > 0.0);
        assert!(spent.peak_rss >= 64 << 20);
    }
}
