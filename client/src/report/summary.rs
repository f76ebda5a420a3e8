//! The summary of a run.

use std::collections::BTreeMap;
use std::fmt::Write;

use lode_facts::python::Version;
use lode_lake::manifest::FileCounts;
use serde::{Deserialize, Serialize};

use super::AgreementRate;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Its rows are in the lake.
    Committed,
    /// It failed before its plan was kept: nothing to resume.
    Failed,
    /// It was cancelled: it can't be committed any more.
    Cancelled,
    /// It stopped and `lode resume` can finish it.
    Resumable,
    /// It is on its way on a cluster, and nobody waits for it.
    Submitted,
}

impl RunState {
    /// Name in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Resumable => "resumable",
            Self::Submitted => "submitted",
        }
    }
}

/// The version of Python that a project's files are read as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonChoice {
    /// The version.
    pub version: Version,
    /// What the project says: `requires ">=3.9" in pyproject.toml`.
    pub source: String,
}

/// The summary of a run: with `--output json`, the one object on stdout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run.
    pub run_id: String,
    /// How it ended.
    pub state: RunState,
    /// The repository.
    pub repo: String,
    /// Commit number of the repository, once committed.
    pub sequence: Option<i64>,
    /// Files by state.
    pub files: FileCounts,
    /// Rows of the committed snapshot by dataset.
    pub rows: BTreeMap<String, i64>,
    /// Rows this run wrote by dataset.
    pub rows_written: BTreeMap<String, i64>,
    /// Bytes of content that were extracted.
    pub bytes: u64,
    /// Wall time.
    pub elapsed_ms: u64,
    /// CPU time of the whole process tree.
    pub core_seconds: f64,
    /// Peak memory of the whole process tree.
    pub peak_rss_bytes: u64,
    /// Version of every table after the run.
    pub tables: BTreeMap<String, i64>,
    /// How far views of its Python files agree; with `agreement_counts` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<AgreementRate>,
    /// The version of Python that files are read as, if the project decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PythonChoice>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Why the run did not commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl RunSummary {
    /// The summary of a run that has done nothing yet; `failed` until something better is known.
    pub fn new(run_id: impl Into<String>, repo: impl Into<String>) -> Self {
        Self {
            run_id: run_id.into(),
            state: RunState::Failed,
            repo: repo.into(),
            sequence: None,
            files: FileCounts::default(),
            rows: BTreeMap::new(),
            rows_written: BTreeMap::new(),
            bytes: 0,
            elapsed_ms: 0,
            core_seconds: 0.0,
            peak_rss_bytes: 0,
            tables: BTreeMap::new(),
            agreement: None,
            python: None,
            warnings: vec![],
            error: None,
            hint: None,
        }
    }

    /// The summary for people: short, aligned, with the command that comes next.
    pub fn to_text(&self, lake: &str) -> String {
        let mut out = String::new();
        self.write_text(&mut out, lake).expect("writing to a string does not fail");
        out
    }

    fn write_text(&self, out: &mut String, lake: &str) -> std::fmt::Result {
        let f = &self.files;
        if self.state == RunState::Submitted {
            return writeln!(out, "{:<11} {}  ({})", self.state.name(), self.run_id, self.repo);
        }
        write!(out, "{:<11} {}", self.state.name(), self.run_id)?;
        match self.sequence {
            Some(sequence) => writeln!(out, "  ({} #{sequence})", self.repo)?,
            None => writeln!(out, "  ({})", self.repo)?,
        }
        write!(out, "{:<11} {} scanned", "files", count(f.scanned))?;
        let states = [
            (f.extracted, "extracted"),
            (f.unchanged, "unchanged"),
            (f.skipped, "skipped"),
            (f.failed, "failed"),
            (f.quarantined, "quarantined"),
            (f.deleted, "deleted"),
        ];
        for (files, state) in states.into_iter().filter(|(files, _)| *files > 0) {
            write!(out, ", {} {state}", count(files))?;
        }
        writeln!(out)?;
        let seconds = self.elapsed_ms as f64 / 1e3;
        writeln!(
            out,
            "{:<11} {} in {seconds:.1} s ({:.1} core-seconds, peak memory {})",
            "work",
            bytes(self.bytes),
            self.core_seconds,
            bytes(self.peak_rss_bytes),
        )?;
        let written: i64 = self.rows_written.values().sum();
        let total: i64 = self.rows.values().sum();
        if total > 0 || written > 0 {
            writeln!(out, "{:<11} {} written, {} in the snapshot", "rows", count_i(written), count_i(total))?;
        }
        let width = self.rows.keys().map(String::len).max().unwrap_or(0);
        for (dataset, rows) in &self.rows {
            let written = self.rows_written.get(dataset).copied().unwrap_or(0);
            write!(out, "  {dataset:<width$}  {:>13}", count_i(*rows))?;
            match written {
                0 => writeln!(out)?,
                written => writeln!(out, "  {:>13} written", count_i(written))?,
            }
        }
        if let Some(agreement) = &self.agreement {
            writeln!(out, "{:<11} {}", "agreement", agreement.to_text())?;
        }
        if let Some(PythonChoice { version, source }) = &self.python {
            writeln!(out, "{:<11} {version}: the project {source}", "python")?;
        }
        for warning in &self.warnings {
            writeln!(out, "{:<11} {warning}", "warning")?;
        }
        if self.state == RunState::Committed {
            let quarantined = if f.quarantined > 0 {
                format!("\n{:<11} lode quarantine list --lake {lake}", "")
            } else {
                String::new()
            };
            writeln!(out, "{:<11} lode tables --lake {lake}{quarantined}", "next")?;
        }
        Ok(())
    }
}

pub(super) fn count_i(n: i64) -> String {
    count(u64::try_from(n).unwrap_or(0))
}

/// A number with its thousands apart.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit that reads best.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 12, 999, 1000, 1_234_567].map(count), ["0", "12", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 999, 1_000, 1_250_000, 3_000_000_000].map(bytes),
            ["0 B", "999 B", "1.0 kB", "1.2 MB", "3.0 GB"]
        );
    }

    #[test]
    fn the_object_has_what_machines_rely_on() {
        let json = serde_json::to_value(RunSummary::new("r", "repo")).unwrap();
        for key in [
            "run_id",
            "state",
            "files",
            "rows",
            "rows_written",
            "bytes",
            "elapsed_ms",
            "core_seconds",
            "peak_rss_bytes",
            "tables",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!(json["state"], "failed");
    }

    #[test]
    fn text_names_what_is_not_zero() {
        let mut summary = RunSummary::new("0198", "demo");
        summary.state = RunState::Committed;
        summary.sequence = Some(2);
        summary.files = FileCounts { scanned: 12, extracted: 2, unchanged: 9, skipped: 1, ..Default::default() };
        summary.rows.insert("ast_nodes".into(), 1_200);
        summary.rows.insert("repo_files".into(), 12);
        summary.rows_written.insert("ast_nodes".into(), 300);
        summary.bytes = 4_200;
        summary.elapsed_ms = 320;
        let source = "requires \">=3.9\" in pyproject.toml".into();
        summary.python = Some(PythonChoice { version: Version::Py313, source });
        insta::assert_snapshot!(summary.to_text("lake"), @r#"
        committed   0198  (demo #2)
        files       12 scanned, 2 extracted, 9 unchanged, 1 skipped
        work        4.2 kB in 0.3 s (0.0 core-seconds, peak memory 0 B)
        rows        300 written, 1,212 in the snapshot
          ast_nodes           1,200            300 written
          repo_files             12
        python      3.13: the project requires ">=3.9" in pyproject.toml
        next        lode tables --lake lake
        "#);
    }
}
