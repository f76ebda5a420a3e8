//! The runs of a lake: those that are committed, and those that are under way, stopped or given up.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use lode_facts::records::RUNS;
use serde::Serialize;

use crate::commit::{self, CommitEntry, Decision};
use crate::error::{LakeError, Result};
use crate::layout;
use crate::parquet_file::read_all;
use crate::plan::RunPlan;
use crate::snapshot;
use crate::store::{Lake, failed};
use crate::table::Table;

/// A committed run: a row of `runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The run.
    pub run_id: String,
    /// Repository.
    pub repo: String,
    /// Commit number of the repository.
    pub sequence: i64,
    /// Commit the scan saw.
    pub git_commit: Option<String>,
    /// Whether the scan saw the whole repository.
    pub complete: bool,
    /// Datasets the run filled.
    pub datasets: Vec<String>,
    /// Datasets that equal the snapshot of the run.
    pub complete_datasets: Vec<String>,
    /// Delta version of every table.
    pub table_versions: BTreeMap<String, i64>,
    /// Files by state.
    pub counts: serde_json::Value,
    /// Rows of the repository's snapshot by dataset.
    pub rows: serde_json::Value,
    /// Rows the run wrote by dataset.
    pub rows_written: serde_json::Value,
    /// Content that was extracted, in bytes.
    pub bytes: i64,
    /// Start of the run, microseconds since the Unix epoch.
    pub started_at: i64,
    /// Time of its commit, microseconds since the Unix epoch.
    pub committed_at: i64,
}

/// Where a run without a row in `runs` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenState {
    /// At work, or stopped: `lode resume` finishes it.
    Resumable,
    /// Its commit stands, its tables are not all there yet: any run and `lode resume` finish it.
    Committing,
    /// Given up: it can't be committed any more.
    Cancelled,
}

impl OpenState {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resumable => "resumable",
            Self::Committing => "committing",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A run without a row in `runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenRun {
    /// The run.
    pub run_id: String,
    /// Repository.
    pub repo: String,
    /// Where it is.
    pub state: OpenState,
    /// Its plan's time, microseconds since the Unix epoch.
    pub created_at: i64,
}

/// The committed runs, oldest first.
///
/// # Errors
/// If the lake can't be read.
pub async fn runs(lake: &Lake) -> Result<Vec<Run>> {
    let batches = snapshot::read_newest(lake, "runs").await?;
    let mut runs = vec![];
    for batch in &batches {
        let rows = Rows(batch);
        for row in 0..batch.num_rows() {
            runs.push(rows.run(row)?);
        }
    }
    runs.sort_by(|a, b| (a.committed_at, &a.repo, a.sequence).cmp(&(b.committed_at, &b.repo, b.sequence)));
    Ok(runs)
}

/// The committed run of that id, if there is one.
///
/// # Errors
/// If the lake can't be read.
pub async fn run(lake: &Lake, run_id: &str) -> Result<Option<Run>> {
    let Some(table) = Table::open(lake, RUNS.name).await? else { return Ok(None) };
    let is_it = |rows: &Rows, row| Ok(rows.text("run_id", row)? == run_id);
    match newest(lake, &table, is_it).await? {
        Some((batch, row)) => Rows(&batch).run(row).map(Some),
        None => Ok(None),
    }
}

/// The committed run of a repository with that number, as its row in `runs`.
pub(crate) async fn row_of(
    lake: &Lake,
    runs: &Table,
    repo: &str,
    sequence: i64,
) -> Result<Option<(RecordBatch, usize)>> {
    let is_it = |rows: &Rows, row| Ok(rows.text("repo", row)? == repo && rows.integer("sequence", row)? == sequence);
    newest(lake, runs, is_it).await
}

/// The row of `runs` that fits. Files are read one after the other, the newest first: a lake has one a run. (Their
/// modification time is only a guess at where to begin.)
async fn newest(
    lake: &Lake,
    runs: &Table,
    fits: impl Fn(&Rows<'_>, usize) -> Result<bool>,
) -> Result<Option<(RecordBatch, usize)>> {
    let mut files = runs.files()?;
    files.sort_by_key(|file| std::cmp::Reverse(file.add.modification_time));
    for file in files {
        let batches = read_all(lake.table_store(RUNS.name), &file.path, RUNS.file_schema()).await;
        for batch in batches.map_err(LakeError::parquet(RUNS.name, "read"))? {
            for row in 0..batch.num_rows() {
                if fits(&Rows(&batch), row)? {
                    return Ok(Some((batch, row)));
                }
            }
        }
    }
    Ok(None)
}

/// The runs that are not in `runs`, oldest first.
///
/// # Errors
/// If the lake can't be read.
pub async fn open_runs(lake: &Lake) -> Result<Vec<OpenRun>> {
    let done: BTreeSet<String> = runs(lake).await?.into_iter().map(|run| run.run_id).collect();
    let mut open = vec![];
    for run_id in folders(lake, layout::RUNS).await?.into_iter().filter(|id| !done.contains(id)) {
        let Some(plan) = RunPlan::load(lake, &run_id).await? else { continue };
        let state = open_state(lake, &plan).await?;
        open.push(OpenRun { run_id, repo: plan.repo, state, created_at: plan.created_at });
    }
    open.sort_by(|a, b| (a.created_at, &a.run_id).cmp(&(b.created_at, &b.run_id)));
    Ok(open)
}

async fn open_state(lake: &Lake, plan: &RunPlan) -> Result<OpenState> {
    for object in lake.list(&layout::commits(&plan.repo_key)).await? {
        let commit: CommitEntry = lake.require_json(object.location.as_ref()).await?;
        if commit.run_id == plan.run_id {
            return Ok(OpenState::Committing);
        }
    }
    let decision: Option<Decision> = lake.get_json(&layout::decision(&plan.run_id)).await?;
    Ok(if decision == Some(Decision::Cancelled) { OpenState::Cancelled } else { OpenState::Resumable })
}

/// Completes the tables of every commit that stands, whoever made it.
///
/// # Errors
/// If the lake can't be read, or there is something to complete and it can't be written.
pub async fn settle(lake: &Lake) -> Result<()> {
    for repo_key in folders(lake, layout::COMMITS).await? {
        commit::roll_forward(lake, &repo_key).await?;
    }
    Ok(())
}

/// Names of the folders right below a folder.
async fn folders(lake: &Lake, folder: &str) -> Result<BTreeSet<String>> {
    let listed = lake.store().list_with_delimiter(Some(&object_store::path::Path::from(folder))).await;
    let listed = listed.map_err(|source| failed("list", folder, source))?;
    Ok(listed.common_prefixes.iter().filter_map(|path| path.filename()).map(str::to_owned).collect())
}

struct Rows<'a>(&'a RecordBatch);

impl Rows<'_> {
    fn column(&self, name: &str) -> Result<&dyn Array> {
        let column = self.0.column_by_name(name).map(AsRef::as_ref);
        column.ok_or_else(|| LakeError::damaged("runs", format!("column `{name}` is missing")))
    }

    fn optional_text(&self, name: &str, row: usize) -> Result<Option<String>> {
        let column = self.column(name)?;
        let text =
            column.as_string_opt::<i32>().ok_or_else(|| LakeError::damaged("runs", format!("`{name}` is no text")))?;
        Ok(text.is_valid(row).then(|| text.value(row).to_owned()))
    }

    fn text(&self, name: &str, row: usize) -> Result<String> {
        Ok(self.optional_text(name, row)?.unwrap_or_default())
    }

    fn json(&self, name: &str, row: usize) -> Result<serde_json::Value> {
        let text = self.text(name, row)?;
        serde_json::from_str(&text).map_err(|e| LakeError::damaged("runs", format!("`{name}`: {e}")))
    }

    fn integer(&self, name: &str, row: usize) -> Result<i64> {
        let column = self.column(name)?;
        let value = column.as_primitive_opt::<Int64Type>().map(|c| c.value(row));
        let value = value.or_else(|| column.as_primitive_opt::<TimestampMicrosecondType>().map(|c| c.value(row)));
        value.ok_or_else(|| LakeError::damaged("runs", format!("`{name}` is no 64-bit integer")))
    }

    fn list(&self, name: &str, row: usize) -> Result<arrow::array::ArrayRef> {
        let list = self.column(name)?.as_list_opt::<i32>();
        Ok(list.ok_or_else(|| LakeError::damaged("runs", format!("`{name}` is no list")))?.value(row))
    }

    fn texts(&self, name: &str, row: usize) -> Result<Vec<String>> {
        let items = self.list(name, row)?;
        Ok(items.as_string::<i32>().iter().map(|item| item.unwrap_or_default().to_owned()).collect())
    }

    fn run(&self, row: usize) -> Result<Run> {
        let versions = self.list("table_versions", row)?;
        let versions = versions.as_primitive::<Int64Type>().values().iter().copied();
        let booleans = self.column("complete")?.as_boolean_opt();
        Ok(Run {
            run_id: self.text("run_id", row)?,
            repo: self.text("repo", row)?,
            sequence: self.integer("sequence", row)?,
            git_commit: self.optional_text("git_commit", row)?,
            complete: booleans.is_some_and(|complete| complete.value(row)),
            datasets: self.texts("datasets", row)?,
            complete_datasets: self.texts("complete_datasets", row)?,
            table_versions: self.texts("tables", row)?.into_iter().zip(versions).collect(),
            counts: self.json("counts", row)?,
            rows: self.json("rows", row)?,
            rows_written: self.json("rows_written", row)?,
            bytes: self.integer("bytes", row)?,
            started_at: self.integer("started_at", row)?,
            committed_at: self.integer("committed_at", row)?,
        })
    }
}
