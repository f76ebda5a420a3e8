//! Points at which a test can kill the process, or stop it.
//!
//! `LODE_FAULT=<name>[:n]` aborts the process when it reaches the point for the n-th time (the first, by default). With
//! `!` at its end the process stops instead, until it gets SIGCONT: whatever is done to it or to others meanwhile is done
//! at exactly that point. The points are always compiled in, so that the binary under test is the binary that ships; without the variable each
//! costs one atomic load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Every point, in the order a run passes them.
pub const POINTS: &[&str] = &[
    "data.before",
    "data.after",
    "manifest.before",
    "manifest.after",
    "decision.before",
    "decision.after",
    "commit.before",
    "commit.after",
    "table.before",
    "table.after",
    "runs.before",
    "runs.after",
];

struct Fault {
    name: String,
    left: AtomicU64,
    stops: bool,
}

static FAULT: OnceLock<Option<Fault>> = OnceLock::new();

fn parse(text: &str) -> Option<Fault> {
    let (text, stops) = text.strip_suffix('!').map_or((text, false), |text| (text, true));
    let (name, count) = text.split_once(':').unwrap_or((text, "1"));
    let left = count.parse().ok().filter(|n| *n > 0)?;
    Some(Fault { name: name.to_owned(), left: AtomicU64::new(left), stops })
}

/// Marks a point of [`POINTS`].
pub fn point(name: &str) {
    debug_assert!(POINTS.contains(&name), "unlisted fault point {name}");
    let fault = FAULT.get_or_init(|| std::env::var("LODE_FAULT").ok().as_deref().and_then(parse));
    if let Some(fault) = fault
        && fault.name == name
        && fault.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        if fault.stops {
            tracing::error!(point = name, "fault injected: stopping");
            // To this thread: a signal to the process may be taken by another one, while this one goes on for a moment.
            // SAFETY: `raise` may be called at any time; a process that can't be stopped is a test that fails.
            let _ = unsafe { libc::raise(libc::SIGSTOP) };
            return;
        }
        tracing::error!(point = name, "fault injected: aborting");
        std::process::abort();
    }
}

/// Marks that the executor takes a file in hand. `LODE_POISON=<path>` makes that file one that kills whoever does.
pub fn poison(path: &str) {
    static POISON: OnceLock<Option<String>> = OnceLock::new();
    if POISON.get_or_init(|| std::env::var("LODE_POISON").ok()).as_deref() == Some(path) {
        tracing::error!(path, "poison injected: aborting");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_optional() {
        let left = |text: &str| parse(text).map(|f| (f.name, f.left.into_inner()));
        assert_eq!(left("table.before"), Some(("table.before".into(), 1)));
        assert_eq!(left("table.before:3"), Some(("table.before".into(), 3)));
        assert_eq!(left("table.before:0"), None);
        assert_eq!(left("table.before:x"), None);
        assert_eq!(left("table.before:2!"), Some(("table.before".into(), 2)));
        let stops = |text: &str| parse(text).map(|f| f.stops);
        assert_eq!((stops("table.before!"), stops("table.before")), (Some(true), Some(false)));
    }
}
