//! The commit of a run: one object, created at most once, which the tables are then rolled forward to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::Add;
use futures::{StreamExt, TryStreamExt, stream};
use lode_facts::catalog::{Dataset, Scope, datasets};
use lode_facts::hash::stable_hash;
use lode_facts::records::{REPOS, RUNS, SHARDS};
use serde::{Deserialize, Serialize};
use tracing::{Instrument, info_span};
use uuid::Uuid;

use crate::base::repo_files;
use crate::error::{LakeError, Result};
use crate::fault;
use crate::layout;
use crate::manifest::{self, FileCounts, Manifest};
use crate::merge::{empty_add, remove};
use crate::parquet_file::write_file;
use crate::plan::EpochPlan;
use crate::records::{integer_lists, one, text, text_lists};
use crate::stats::delta_stats;
use crate::store::{Lake, Put};
use crate::table::{Change, Known, Table, apply_with_faults, now_millis, partition_column};
use crate::trace::SPANS;

/// Tables that are committed, and manifests that are read, at once.
const AT_ONCE: usize = 8;

/// What is to become of a run; the first decision stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// It may be committed.
    Commit,
    /// It must not be.
    Cancelled,
}

/// A committed run, as `_commits/<repo_key>/<sequence>.json` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitEntry {
    /// Repository.
    pub repo: String,
    /// Its short key.
    pub repo_key: String,
    /// Commit number of the repository, from 1.
    pub sequence: u64,
    /// The run.
    pub run_id: String,
    /// The epoch of it that is committed.
    pub epoch: u32,
    /// Microseconds since the Unix epoch.
    pub committed_at: i64,
}

/// How an attempt to commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The run is committed, by this attempt or an earlier one.
    Committed {
        /// Commit number of the repository.
        sequence: u64,
    },
    /// Another run took the place: this epoch is void.
    Superseded {
        /// The other run.
        by: String,
    },
}

/// Application id of a repository's transactions: writers of different repositories don't conflict.
pub fn app_id(repo_key: &str) -> String {
    format!("lode/{repo_key}")
}

/// Decides about a run, unless that was done before. Returns the decision that stands.
///
/// # Errors
/// If the lake can't be read or written.
pub async fn decide(lake: &Lake, run_id: &str, decision: Decision) -> Result<Decision> {
    let path = layout::decision(run_id);
    fault::point("decision.before");
    let put = lake.put_new_json(&path, &decision).await?;
    fault::point("decision.after");
    match put {
        Put::Created => Ok(decision),
        Put::Exists => lake.require_json(&path).await,
    }
}

/// The commit of a repository with that number, if there is one.
///
/// # Errors
/// If the lake can't be read.
pub async fn entry(lake: &Lake, repo_key: &str, sequence: u64) -> Result<Option<CommitEntry>> {
    lake.get_json(&layout::commit(repo_key, sequence)).await
}

/// Commits an epoch whose shards are all finished, and rolls the tables forward.
///
/// # Errors
/// If a shard isn't finished, the counts don't add up, the run was cancelled, or the lake can't be read or written. Once
/// the commit object is there, the run is committed whatever happens to the tables: trying again finishes them.
pub async fn commit(lake: &Lake, plan: &EpochPlan) -> Result<CommitOutcome> {
    let sequence = plan.base_sequence + 1;
    let found = match entry(lake, &plan.repo_key, sequence).await? {
        Some(entry) => entry,
        None => {
            let manifests = manifests(lake, plan).await?;
            counts(plan, &manifests).check()?;
            if decide(lake, &plan.run_id, Decision::Commit).await? == Decision::Cancelled {
                return Err(LakeError::Cancelled { run_id: plan.run_id.clone() });
            }
            let entry = CommitEntry {
                repo: plan.repo.clone(),
                repo_key: plan.repo_key.clone(),
                sequence,
                run_id: plan.run_id.clone(),
                epoch: plan.epoch,
                committed_at: now_micros(),
            };
            let path = layout::commit(&plan.repo_key, sequence);
            fault::point("commit.before");
            let put = lake.put_new_json(&path, &entry).await?;
            fault::point("commit.after");
            match put {
                Put::Created => entry,
                Put::Exists => lake.require_json(&path).await?,
            }
        }
    };
    roll_forward(lake, &plan.repo_key).instrument(info_span!(target: SPANS, "tables")).await?;
    if found.run_id == plan.run_id && found.epoch == plan.epoch {
        Ok(CommitOutcome::Committed { sequence })
    } else {
        Ok(CommitOutcome::Superseded { by: found.run_id })
    }
}

/// Applies the commits of a repository that the tables don't have yet, in order. Anybody may do it, at any time, at once.
///
/// # Errors
/// If the lake can't be read or written.
pub async fn roll_forward(lake: &Lake, repo_key: &str) -> Result<Vec<CommitEntry>> {
    let runs = Table::open(lake, RUNS.name).await?;
    let done = match &runs {
        Some(runs) => runs.transaction(&app_id(repo_key)).await?.unwrap_or_default(),
        None => 0,
    };
    let mut applied = vec![];
    let mut next = u64::try_from(done).map_err(|e| LakeError::damaged(RUNS.name, e))? + 1;
    let mut runs = Known::from(runs);
    while let Some(entry) = entry(lake, repo_key, next).await? {
        apply(lake, &entry, std::mem::replace(&mut runs, Known::Nothing)).await?;
        applied.push(entry);
        next += 1;
    }
    Ok(applied)
}

/// Applies one commit: every table, then its row in `runs`.
async fn apply(lake: &Lake, entry: &CommitEntry, runs: Known) -> Result<()> {
    let plan = EpochPlan::load(lake, &entry.run_id, entry.epoch).await?;
    let plan = plan.ok_or_else(|| {
        LakeError::damaged(layout::epoch_plan(&entry.run_id, entry.epoch), "a committed run has no plan")
    })?;
    let manifests = manifests(lake, &plan).await?;
    let mut versions = plan.table_versions.clone();
    let runs_wide = datasets().iter().filter(|d| d.scope == Scope::Run).map(|d| d.name).collect::<Vec<_>>();
    versions.retain(|name, _| !runs_wide.contains(&name.as_str()));
    let shared = datasets().iter().filter(|dataset| dataset.scope != Scope::Run);
    let commits = shared.map(|dataset| apply_table(lake, dataset, &plan, entry, &manifests)).collect::<Vec<_>>();
    let changed = stream::iter(commits).buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
    versions.extend(changed.into_iter().flatten());
    let batch = runs_row(&plan, entry, &manifests, &versions).map_err(LakeError::arrow(RUNS.name))?;
    let change = Change {
        dataset: &RUNS,
        app_id: app_id(&entry.repo_key),
        app_version: entry.sequence as i64,
        run_id: entry.run_id.clone(),
        removes: vec![],
        adds: vec![stage(lake, &RUNS, batch, None).await?],
        cdc: vec![],
    };
    apply_with_faults(&change, lake, runs, ["runs.before", "runs.after"]).await?;
    Ok(())
}

/// Applies a commit to one table; `None` if it needs no commit there.
async fn apply_table(
    lake: &Lake,
    dataset: &'static Dataset,
    plan: &EpochPlan,
    entry: &CommitEntry,
    manifests: &[Manifest],
) -> Result<Option<(String, i64)>> {
    let missing = !plan.table_versions.contains_key(dataset.name);
    let change = match dataset.scope {
        Scope::Repo => repo_change(lake, dataset, plan, entry, missing).await?,
        _ => shard_change(dataset, plan, entry, manifests, missing),
    };
    let Some(change) = change else { return Ok(None) };
    let known = if missing { Known::Missing } else { Known::Nothing };
    let version = apply_with_faults(&change, lake, known, ["table.before", "table.after"]).await?;
    Ok(Some((dataset.name.to_owned(), version)))
}

/// What the shards' tasks did to a table; `None` if they did nothing and it exists or wasn't asked for.
fn shard_change(
    dataset: &'static Dataset,
    plan: &EpochPlan,
    entry: &CommitEntry,
    manifests: &[Manifest],
    missing: bool,
) -> Option<Change> {
    let outputs = || manifests.iter().flat_map(|m| &m.tables).filter(|output| output.table == dataset.name);
    let wanted = dataset.lane.is_none() || plan.datasets.iter().any(|name| name == dataset.name);
    if outputs().next().is_none() && !(missing && wanted) {
        return None;
    }
    Some(Change {
        dataset,
        app_id: app_id(&entry.repo_key),
        app_version: entry.sequence as i64,
        run_id: entry.run_id.clone(),
        removes: outputs().flat_map(|o| o.removes.clone()).collect(),
        adds: outputs().flat_map(|o| o.adds.clone()).collect(),
        cdc: outputs().flat_map(|o| o.cdc.clone()).collect(),
    })
}

/// The new rows of a repository in `shards` or `repos`, if they are new.
async fn repo_change(
    lake: &Lake,
    dataset: &'static Dataset,
    plan: &EpochPlan,
    entry: &CommitEntry,
    missing: bool,
) -> Result<Option<Change>> {
    let batch = repo_rows(dataset, plan).map_err(LakeError::arrow(dataset.name))?;
    // The name tells the content, so that equal rows need no commit.
    let content = arrow::util::pretty::pretty_format_batches(std::slice::from_ref(&batch))
        .map_err(LakeError::arrow(dataset.name))?;
    let stem = format!("part-{:016x}-", stable_hash(content.to_string().as_bytes()));
    let old = match if missing { None } else { Table::open(lake, dataset.name).await? } {
        Some(table) => repo_files(&table, &plan.repo)?,
        None => vec![],
    };
    if old.len() == 1 && old.iter().all(|file| file.path.starts_with(&stem)) {
        return Ok(None);
    }
    Ok(Some(Change {
        dataset,
        app_id: app_id(&entry.repo_key),
        app_version: entry.sequence as i64,
        run_id: entry.run_id.clone(),
        removes: old.iter().map(|file| remove(&file.add, true)).collect(),
        adds: vec![stage(lake, dataset, batch, Some((&stem, &plan.repo))).await?],
        cdc: vec![],
    }))
}

/// Schema of the data files of a repository's own tables: without the partition column.
pub(crate) fn repo_schema(dataset: &Dataset) -> SchemaRef {
    let schema = dataset.file_schema();
    let partition = partition_column(dataset);
    let fields = schema.fields().iter().filter(|field| Some(field.name().as_str()) != partition);
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

fn repo_rows(dataset: &Dataset, plan: &EpochPlan) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns: Vec<ArrayRef> = if dataset.name == SHARDS.name {
        let shards = plan.shards.iter();
        vec![
            text(shards.clone().map(|s| s.id.as_str())),
            text(shards.clone().map(|s| s.lower.as_str())),
            Arc::new(shards.clone().map(|s| s.upper.as_deref()).collect::<StringArray>()),
            Arc::new(shards.clone().map(|s| s.files as i64).collect::<Int64Array>()),
            Arc::new(shards.map(|s| s.bytes as i64).collect::<Int64Array>()),
        ]
    } else {
        debug_assert_eq!(dataset.name, REPOS.name, "the tables of a repository are known");
        vec![text([plan.repo_key.as_str()].into_iter()), Arc::new(StringArray::from(vec![plan.origin.as_deref()]))]
    };
    RecordBatch::try_new(repo_schema(dataset), columns)
}

/// Writes a batch as a data file that nothing refers to yet.
async fn stage(
    lake: &Lake,
    dataset: &'static Dataset,
    batch: RecordBatch,
    partition: Option<(&str, &str)>,
) -> Result<Add> {
    let stem = partition.map_or("part-", |(stem, _)| stem);
    let path = format!("{stem}{}.parquet", Uuid::new_v4());
    let schema = batch.schema();
    let written = write_file(lake.table_store(dataset.name), path.clone(), batch).await;
    let written = written.map_err(LakeError::parquet(dataset.name, "write"))?;
    let value = partition
        .zip(partition_column(dataset))
        .map(|((_, value), column)| (column.to_owned(), Some(value.to_owned())));
    Ok(Add {
        path,
        partition_values: value.into_iter().collect(),
        size: written.size,
        modification_time: now_millis(),
        stats: Some(delta_stats(&written.metadata, &schema)),
        ..empty_add()
    })
}

/// Appends rows to a table of [`Scope::Run`]; a second call with the same transaction does nothing.
///
/// # Errors
/// If the lake can't be read or written.
pub async fn append_run_rows(
    lake: &Lake,
    dataset: &'static Dataset,
    batch: RecordBatch,
    run_id: &str,
    app_id: &str,
) -> Result<()> {
    let table = Table::open(lake, dataset.name).await?;
    if let Some(table) = &table
        && table.transaction(app_id).await?.is_some()
    {
        return Ok(());
    }
    let change = Change {
        dataset,
        app_id: app_id.to_owned(),
        app_version: 1,
        run_id: run_id.to_owned(),
        removes: vec![],
        adds: vec![stage(lake, dataset, batch, None).await?],
        cdc: vec![],
    };
    change.apply(lake, table.into()).await.map(|_| ())
}

/// The manifests of all tasks of a plan, in their order.
///
/// # Errors
/// [`LakeError::MissingManifest`] if a shard isn't finished.
pub async fn manifests(lake: &Lake, plan: &EpochPlan) -> Result<Vec<Manifest>> {
    let load = plan.tasks.iter().map(|shard| require_manifest(lake, plan, shard)).collect::<Vec<_>>();
    stream::iter(load).buffered(AT_ONCE).try_collect().await
}

async fn require_manifest(lake: &Lake, plan: &EpochPlan, shard: &str) -> Result<Manifest> {
    let found = manifest::load(lake, &plan.run_id, plan.epoch, shard).await?;
    found.ok_or_else(|| LakeError::MissingManifest { run_id: plan.run_id.clone(), shard: shard.to_owned() })
}

/// Files of a run by state.
pub fn counts(plan: &EpochPlan, manifests: &[Manifest]) -> FileCounts {
    let mut counts = plan.counts;
    manifests.iter().for_each(|manifest| counts += manifest.counts);
    counts
}

fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// Rows of the repository by dataset after a run, and rows the run wrote.
fn row_counts(plan: &EpochPlan, manifests: &[Manifest]) -> (BTreeMap<String, i64>, BTreeMap<String, i64>) {
    let mut rows = plan.base_rows.clone();
    let mut written = BTreeMap::new();
    for name in &plan.datasets {
        rows.entry(name.clone()).or_default();
        written.insert(name.clone(), 0);
    }
    for output in manifests.iter().flat_map(|m| &m.tables) {
        *rows.entry(output.table.clone()).or_default() += output.rows_added - output.rows_removed;
        *written.entry(output.table.clone()).or_default() += output.rows_added;
    }
    (rows, written)
}

fn runs_row(
    plan: &EpochPlan,
    entry: &CommitEntry,
    manifests: &[Manifest],
    versions: &BTreeMap<String, i64>,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let (rows, written) = row_counts(plan, manifests);
    let map = |counts: &BTreeMap<String, i64>| serde_json::json!(counts).to_string();
    let value = |value: &str| text([value].into_iter());
    let optional = |value: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let time =
        |micros: i64| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC")) };
    let names = |names: &[String]| text_lists([names.iter().map(String::as_str)].into_iter());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("run_id", value(&plan.run_id)),
        ("repo", value(&plan.repo)),
        ("sequence", one(entry.sequence as i64)),
        ("epoch", Arc::new(Int32Array::from(vec![plan.epoch as i32]))),
        ("git_commit", optional(plan.git_commit.as_deref())),
        ("scope", value(&plan.scope.to_string())),
        ("complete", Arc::new(BooleanArray::from(vec![plan.complete]))),
        ("settings_hash", value(&plan.settings_hash)),
        ("source", value(&plan.source)),
        ("version", value(&plan.version)),
        ("datasets", names(&plan.datasets)),
        ("complete_datasets", names(&plan.complete_datasets)),
        ("tables", text_lists([versions.keys().map(String::as_str)].into_iter())),
        ("table_versions", integer_lists([versions.values().copied()].into_iter())),
        ("counts", value(&serde_json::json!(counts(plan, manifests)).to_string())),
        ("rows", value(&map(&rows))),
        ("rows_written", value(&map(&written))),
        ("bytes", one(manifests.iter().map(|m| m.bytes).sum::<u64>() as i64)),
        ("started_at", time(plan.started_at)),
        ("committed_at", time(entry.committed_at)),
    ];
    let schema = RUNS.file_schema();
    let column = |name: &str| columns.iter().find(|(n, _)| *n == name).map(|(_, array)| array.clone());
    let arrays = schema
        .fields()
        .iter()
        .map(|field| column(field.name()).unwrap_or_else(|| arrow::array::new_null_array(field.data_type(), 1)));
    RecordBatch::try_new(schema.clone(), arrays.collect())
}
