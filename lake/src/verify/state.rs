//! What `extract_state` and `shards` recorded.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use lode_facts::catalog::dataset;

use super::{Finding, Kind, Report};
use crate::error::{LakeError, Result};
use crate::snapshot::{self, Snapshot};

/// The table of states.
pub(super) const TABLE: &str = "extract_state";

/// A shard's paths.
#[derive(Debug, Clone)]
pub(super) struct Range {
    repo: String,
    lower: String,
    upper: Option<String>,
}

impl Range {
    pub(super) fn contains(&self, repo: &str, path: &str) -> bool {
        self.repo == repo && path >= self.lower.as_str() && self.upper.as_deref().is_none_or(|upper| path < upper)
    }
}

/// The shard map of every repository, by shard.
pub(super) async fn ranges(snapshot: &Snapshot) -> Result<BTreeMap<String, Range>> {
    let Some(table) = snapshot.table("shards").await? else { return Ok(BTreeMap::new()) };
    let mut ranges = BTreeMap::new();
    for batch in snapshot::read(&table, "shards").await? {
        let [repo, shard, lower, upper] = ["repo", "shard", "lower", "upper"].map(|name| batch.column_by_name(name));
        let (Some(repo), Some(shard), Some(lower), Some(upper)) = (repo, shard, lower, upper) else {
            return Err(LakeError::damaged("shards", "a column is missing"));
        };
        let [repo, shard, lower, upper] = [repo, shard, lower, upper].map(|column| column.as_string::<i32>());
        for row in 0..batch.num_rows() {
            let upper = upper.is_valid(row).then(|| upper.value(row).to_owned());
            let range = Range { repo: repo.value(row).to_owned(), lower: lower.value(row).to_owned(), upper };
            ranges.insert(shard.value(row).to_owned(), range);
        }
    }
    Ok(ranges)
}

/// What is recorded of one dataset of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) rows: i64,
    pub(super) hash: i64,
}

/// What is recorded of one file.
#[derive(Debug, Default)]
pub(super) struct FileState {
    pub(super) repo: String,
    pub(super) path: String,
    /// Lane and status.
    pub(super) lanes: BTreeMap<String, String>,
    pub(super) datasets: BTreeMap<&'static str, Entry>,
}

/// What is recorded of one shard.
#[derive(Debug, Default)]
pub(super) struct ShardState {
    pub(super) files: HashMap<i64, FileState>,
}

impl ShardState {
    /// Adds rows of `extract_state`; whatever contradicts itself becomes a finding.
    pub(super) fn add(&mut self, batch: &RecordBatch, found: &mut dyn FnMut(Kind, &str, &str, String)) -> Result<()> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| LakeError::damaged(TABLE, format!("column `{name}` is missing")))
        };
        let text = |name: &str| {
            let column = column(name)?.as_string_opt::<i32>();
            column.ok_or_else(|| LakeError::damaged(TABLE, format!("`{name}` is no text")))
        };
        let list = |name: &str| {
            let column = column(name)?.as_list_opt::<i32>();
            column.ok_or_else(|| LakeError::damaged(TABLE, format!("`{name}` is no list")))
        };
        let (repo, path, lane, status) = (text("repo")?, text("path")?, text("lane")?, text("status")?);
        let (names, rows, hashes) = (list("datasets")?, list("dataset_rows")?, list("dataset_hashes")?);
        let ids = column("file_id")?.as_primitive_opt::<Int64Type>();
        let ids = ids.ok_or_else(|| LakeError::damaged(TABLE, "`file_id` is no 64-bit integer"))?;
        for row in 0..batch.num_rows() {
            let file = self.files.entry(ids.value(row)).or_default();
            if file.lanes.is_empty() {
                file.repo = repo.value(row).to_owned();
                file.path = path.value(row).to_owned();
            } else if file.repo != repo.value(row) || file.path != path.value(row) {
                found(Kind::ForeignRows, repo.value(row), path.value(row), "its id belongs to another path".into());
                continue;
            }
            if file.lanes.insert(lane.value(row).to_owned(), status.value(row).to_owned()).is_some() {
                let detail = format!("lane `{}` is recorded more than once", lane.value(row));
                found(Kind::DoubledRows, &file.repo, &file.path, detail);
                continue;
            }
            let (names, rows, hashes) = (names.value(row), rows.value(row), hashes.value(row));
            let (Some(names), Some(rows), Some(hashes)) = (
                names.as_string_opt::<i32>(),
                rows.as_primitive_opt::<Int64Type>(),
                hashes.as_primitive_opt::<Int64Type>(),
            ) else {
                return Err(LakeError::damaged(TABLE, "the lists of datasets have other types"));
            };
            if names.len() != rows.len() || names.len() != hashes.len() {
                let detail = format!("the lists of lane `{}` have different lengths", lane.value(row));
                found(Kind::ChangedRows, &file.repo, &file.path, detail);
                continue;
            }
            for at in 0..names.len() {
                // A dataset this binary doesn't know was written by a newer one; its table is not checked either.
                if let Some(dataset) = dataset(names.value(at)) {
                    file.datasets.insert(dataset.name, Entry { rows: rows.value(at), hash: hashes.value(at) });
                }
            }
        }
        Ok(())
    }
}

/// Rows by repository and dataset, as states record them.
pub(super) type Totals = BTreeMap<(String, &'static str), i64>;

/// Compares the states' totals with those of each repository's last run: what state and tables lost together shows here.
pub(super) fn compare_totals(snapshot: &Snapshot, totals: &Totals, report: &mut Report) {
    for run in snapshot.repos().into_iter().filter_map(|repo| snapshot.last_run(repo)) {
        for (name, rows) in run.rows.as_object().into_iter().flatten() {
            let Some(dataset) = dataset(name).filter(|dataset| dataset.lane.is_some()) else { continue };
            let recorded = totals.get(&(run.repo.clone(), dataset.name)).copied().unwrap_or(0);
            let Some(expected) = rows.as_i64().filter(|expected| *expected != recorded) else { continue };
            report.push(Finding {
                kind: if recorded < expected { Kind::MissingRows } else { Kind::ForeignRows },
                table: dataset.name.to_owned(),
                shard: None,
                repo: Some(run.repo.clone()),
                path: None,
                detail: format!("run {} has {expected} rows, `{TABLE}` {recorded}", run.run_id),
            });
        }
    }
}
