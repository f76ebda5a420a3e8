//! Progress: bars on a terminal, plain lines elsewhere, nothing when told so.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::summary::{bytes, count};
use super::{Phase, Progress, RunObserver};

/// The observer that fits: quiet on request, bars when stderr is a terminal, plain lines otherwise.
pub fn observer(quiet: bool) -> Arc<dyn RunObserver> {
    if quiet {
        Arc::new(Quiet)
    } else if std::io::stderr().is_terminal() {
        Arc::new(Terminal::new())
    } else {
        Arc::new(Lines::new(std::io::stderr()))
    }
}

/// Says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Quiet;

impl RunObserver for Quiet {
    fn started(&self, _: &str, _: &str) {}
    fn phase(&self, _: Phase) {}
    fn progress(&self, _: &Progress) {}
    fn warning(&self, _: &str) {}
    fn finished(&self) {}
}

/// A bar on the terminal.
#[derive(Debug)]
pub struct Terminal {
    bar: ProgressBar,
}

impl Terminal {
    /// On stderr.
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

const SPINNER: &str = "{spinner} {prefix:<10} {elapsed} {wide_msg}";
const BAR: &str = "{spinner} {prefix:<10} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} ETA {eta} {wide_msg}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant that parses").progress_chars("=> ")
}

impl RunObserver for Terminal {
    fn started(&self, run_id: &str, repo: &str) {
        self.bar.println(format!("run {run_id} of {repo}"));
    }

    fn phase(&self, phase: Phase) {
        self.bar.reset();
        self.bar.unset_length();
        self.bar.set_style(style(SPINNER));
        self.bar.set_prefix(phase.label());
        self.bar.set_message("");
    }

    fn progress(&self, progress: &Progress) {
        if progress.bytes_total > 0 && progress.tasks_total == 0 {
            if self.bar.length() != Some(progress.bytes_total) {
                self.bar.set_style(style(BAR));
                self.bar.set_length(progress.bytes_total);
            }
            self.bar.set_position(progress.bytes_done);
        }
        self.bar.set_message(details(progress));
    }

    fn warning(&self, message: &str) {
        self.bar.println(format!("warning: {message}"));
    }

    fn finished(&self) {
        self.bar.finish_and_clear();
    }
}

/// Files, failures and the slowest file, as far as they are known.
fn details(progress: &Progress) -> String {
    if progress.tasks_total > 0 {
        return format!("{}/{} tasks", count(progress.tasks_done), count(progress.tasks_total));
    }
    let mut text = match progress.files_total {
        0 => format!("{} files", count(progress.files_done)),
        total => format!("{}/{} files", count(progress.files_done), count(total)),
    };
    if progress.failures > 0 {
        text.push_str(&format!(", {} failed", count(progress.failures)));
    }
    if let Some((path, time)) = &progress.slowest {
        text.push_str(&format!(", slowest {path} ({:.1} s)", time.as_secs_f64()));
    }
    text
}

/// Plain lines, a few seconds apart.
#[derive(Debug)]
pub struct Lines<W> {
    state: Mutex<LinesState<W>>,
}

#[derive(Debug)]
struct LinesState<W> {
    out: W,
    phase: Option<Phase>,
    since: Instant,
    last: Instant,
}

/// Time between two lines of one phase.
const EVERY: Duration = Duration::from_secs(5);

impl<W: Write + Send> Lines<W> {
    /// To `out`.
    pub fn new(out: W) -> Self {
        let now = Instant::now();
        Self { state: Mutex::new(LinesState { out, phase: None, since: now, last: now }) }
    }

    fn with(&self, write: impl FnOnce(&mut LinesState<W>) -> std::io::Result<()>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody reads progress any more: the run goes on.
        let _ = write(&mut state);
    }
}

impl<W: Write + Send> RunObserver for Lines<W> {
    fn started(&self, run_id: &str, repo: &str) {
        self.with(|s| writeln!(s.out, "run {run_id} of {repo}"));
    }

    fn phase(&self, phase: Phase) {
        self.with(|s| {
            s.phase = Some(phase);
            s.since = Instant::now();
            s.last = s.since;
            writeln!(s.out, "{}", phase.label())
        });
    }

    fn progress(&self, progress: &Progress) {
        self.with(|s| {
            if s.last.elapsed() < EVERY {
                return Ok(());
            }
            s.last = Instant::now();
            let label = s.phase.map_or("working", Phase::label);
            let rate = rate(progress, s.since.elapsed());
            writeln!(s.out, "{label}: {}{rate}", details(progress))
        });
    }

    fn warning(&self, message: &str) {
        self.with(|s| writeln!(s.out, "warning: {message}"));
    }

    fn finished(&self) {
        self.with(|s| s.out.flush());
    }
}

/// Bytes, rate and the time that is left, once there is something to reckon with.
fn rate(progress: &Progress, elapsed: Duration) -> String {
    if progress.bytes_total == 0 || progress.tasks_total > 0 {
        return String::new();
    }
    let mut text = format!(", {} of {}", bytes(progress.bytes_done), bytes(progress.bytes_total));
    let per_second = progress.bytes_done as f64 / elapsed.as_secs_f64().max(1e-3);
    if progress.bytes_done > 0 {
        let left = progress.bytes_total.saturating_sub(progress.bytes_done) as f64 / per_second;
        text.push_str(&format!(", {}/s, ETA {left:.0} s", bytes(per_second as u64)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half_way() -> Progress {
        Progress {
            files_total: 2_000,
            files_done: 1_000,
            bytes_total: 20_000_000,
            bytes_done: 10_000_000,
            failures: 2,
            slowest: Some(("a/big.py".into(), Duration::from_millis(1500))),
            ..Progress::default()
        }
    }

    #[test]
    fn a_line_says_how_far_it_is() {
        let progress = half_way();
        assert_eq!(details(&progress), "1,000/2,000 files, 2 failed, slowest a/big.py (1.5 s)");
        assert_eq!(rate(&progress, Duration::from_secs(2)), ", 10.0 MB of 20.0 MB, 5.0 MB/s, ETA 2 s");
        let elsewhere = Progress { tasks_total: 12, tasks_done: 3, ..progress };
        assert_eq!(details(&elsewhere), "3/12 tasks");
        assert_eq!(rate(&elsewhere, Duration::from_secs(2)), "");
    }

    #[test]
    fn lines_are_few() {
        let lines = Lines::new(vec![]);
        lines.started("r1", "demo");
        lines.phase(Phase::Extracting);
        for _ in 0..1_000 {
            lines.progress(&half_way());
        }
        lines.finished();
        let out = lines.state.into_inner().unwrap().out;
        assert_eq!(String::from_utf8(out).unwrap(), "run r1 of demo\nextracting\n");
    }

    #[test]
    fn the_templates_parse() {
        style(SPINNER);
        style(BAR);
    }
}
