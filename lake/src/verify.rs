//! Proof that tables equal what was extracted: every row is read and hashed again, and every (file, dataset) compared
//! with what `extract_state` recorded.
//!
//! Shards are checked one by one: memory holds the state of as many shards as there are cores, and one batch of rows each.

mod content;
mod rebuild;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures::{StreamExt, stream};
use lode_facts::catalog::{Dataset, Scope, datasets};
use object_store::path::Path;
use serde::Serialize;

use crate::error::{LakeError, Result, with_causes};
use crate::snapshot::Snapshot;
use crate::store::Lake;

pub use rebuild::compare;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A table's log can't be read.
    UnreadableTable,
    /// A data file is gone.
    MissingFile,
    /// A data file can't be read to its end.
    UnreadableFile,
    /// Rows that were recorded are not there.
    MissingRows,
    /// Rows of a file, dataset, path or shard that nothing recorded.
    ForeignRows,
    /// More rows than were recorded.
    DoubledRows,
    /// As many rows as were recorded, with other values.
    ChangedRows,
    /// A new extraction gives something else.
    RebuildDiffers,
}

impl Kind {
    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnreadableTable => "unreadable_table",
            Self::MissingFile => "missing_file",
            Self::UnreadableFile => "unreadable_file",
            Self::MissingRows => "missing_rows",
            Self::ForeignRows => "foreign_rows",
            Self::DoubledRows => "doubled_rows",
            Self::ChangedRows => "changed_rows",
            Self::RebuildDiffers => "rebuild_differs",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: Kind,
    /// Where.
    pub table: String,
    /// Shard, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Repository, where it is about one file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// Path in the repository, or of the data file below its table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// For people.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.kind.name(), self.table)?;
        if let Some(path) = &self.path {
            write!(f, "  {path}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// Findings that are kept word for word; the others are counted.
pub const KEPT_FINDINGS: usize = 1_000;

/// What was checked and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Tables.
    pub tables: u64,
    /// Data files.
    pub data_files: u64,
    /// (File, dataset) pairs.
    pub entries: u64,
    /// Rows.
    pub rows: u64,
    /// How many differences there are.
    pub findings_total: u64,
    /// The first of them, see [`KEPT_FINDINGS`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings_total == 0
    }

    /// Adds a difference.
    pub fn push(&mut self, finding: Finding) {
        self.findings_total += 1;
        if self.findings.len() < KEPT_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// Adds what another report says.
    pub fn merge(&mut self, other: Report) {
        let dropped = other.findings_total - other.findings.len() as u64;
        self.tables += other.tables;
        self.data_files += other.data_files;
        self.entries += other.entries;
        self.rows += other.rows;
        other.findings.into_iter().for_each(|finding| self.push(finding));
        self.findings_total += dropped;
    }
}

/// A data file of a table.
#[derive(Debug, Clone)]
struct DataFile {
    path: Path,
    size: i64,
}

/// A table at its version.
#[derive(Debug)]
struct Table {
    dataset: &'static Dataset,
    files: BTreeMap<String, Vec<DataFile>>,
}

/// What every shard's check reads.
#[derive(Debug)]
struct Context {
    lake: Lake,
    state: Table,
    tables: Vec<Table>,
    ranges: BTreeMap<String, state::Range>,
}

/// Checks every table whose rows belong to files.
///
/// # Errors
/// If the lake can't be reached, or the shard map can't be read. What is wrong with the data is in the report.
pub async fn verify(snapshot: &Snapshot) -> Result<Report> {
    let mut report = Report::default();
    let mut tables = vec![];
    for dataset in datasets().iter().copied().filter(|dataset| dataset.scope == Scope::File) {
        match files(snapshot, dataset).await {
            Ok(Some(table)) => tables.push(table),
            Ok(None) => {}
            Err(error) => report.push(unreadable_table(dataset.name, &error)),
        }
    }
    report.tables = tables.len() as u64;
    let Some(at) = tables.iter().position(|table| table.dataset.name == state::TABLE) else {
        if !snapshot.runs().is_empty() && report.is_clean() {
            let missing = LakeError::damaged(state::TABLE, "the table is missing");
            report.push(unreadable_table(state::TABLE, &missing));
        }
        return Ok(report);
    };
    let state = tables.remove(at);
    let ranges = state::ranges(snapshot).await?;
    let context = Arc::new(Context { lake: snapshot.lake().clone(), state, tables, ranges });

    let every = context.tables.iter().chain([&context.state]).flat_map(|table| table.files.keys());
    let shards: BTreeSet<String> = every.cloned().collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut totals = BTreeMap::new();
    let mut checks =
        stream::iter(shards).map(|shard| tokio::spawn(content::check(Arc::clone(&context), shard))).buffered(cores);
    while let Some(check) = checks.next().await {
        let check = check.map_err(|e| LakeError::Task(e.to_string()))??;
        report.merge(check.report);
        for (entry, rows) in check.recorded {
            *totals.entry(entry).or_insert(0) += rows;
        }
    }
    state::compare_totals(snapshot, &totals, &mut report);
    Ok(report)
}

fn unreadable_table(table: &str, error: &LakeError) -> Finding {
    Finding {
        kind: Kind::UnreadableTable,
        table: table.to_owned(),
        shard: None,
        repo: None,
        path: None,
        detail: with_causes(error),
    }
}

async fn files(snapshot: &Snapshot, dataset: &'static Dataset) -> Result<Option<Table>> {
    let Some(table) = snapshot.table(dataset.name).await? else { return Ok(None) };
    let state = table.snapshot().map_err(LakeError::delta(dataset.name, "reading"))?;
    let mut files: BTreeMap<String, Vec<DataFile>> = BTreeMap::new();
    for file in state.log_data().iter() {
        let shard = file.partition_values_map().remove("shard").flatten().unwrap_or_default();
        files.entry(shard).or_default().push(DataFile { path: file.object_store_path(), size: file.size() });
    }
    for files in files.values_mut() {
        files.sort_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(Some(Table { dataset, files }))
}

#[cfg(test)]
mod tests;
