//! Upkeep: what no kept run reaches goes, logs get checkpoints.
//!
//! Reached is what a kept run's tables are made of, what readers of its changes need, and everything of a run that can
//! still be resumed. Everything else goes once it is older than a grace period, which covers files that a task has
//! written and not yet named in its manifest. Delta's logs and the commit objects stay.

mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, TryStreamExt, stream};
use lode_facts::catalog::datasets;
use object_store::{ObjectMeta, ObjectStoreExt};
use serde::Serialize;

use crate::error::{LakeError, Result};
use crate::history::{self, OpenState, Run};
use crate::layout;
use crate::manifest::Manifest;
use crate::snapshot;
use crate::store::{Lake, failed};

/// How much is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upkeep {
    /// Say what would be done and do nothing.
    pub dry_run: bool,
    /// Last runs of each repository that stay readable; all when not given.
    pub keep_runs: Option<usize>,
    /// Age below which nothing goes.
    pub grace: Duration,
}

/// Default of [`Upkeep::grace`].
pub const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// Commits of a table after which its log gets a checkpoint.
pub const CHECKPOINT_EVERY: i64 = 100;

/// Why an object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A data or change file that no kept run reaches.
    Unreached,
    /// Input of a run that is committed or cancelled.
    Staged,
    /// A record of a run that is no longer kept.
    Dropped,
}

/// An object that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Its path in the lake.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Why.
    pub reason: Reason,
}

/// What was done, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Objects that went.
    pub removed: Vec<Removal>,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Unreached objects that are too young to go.
    pub in_grace: u64,
    /// Tables that got a checkpoint.
    pub checkpoints: Vec<String>,
    /// Shards with more than one file in a table; a run writes one, so compaction has nothing to do unless another
    /// writer was at work. The next run that touches the shard makes it one file again.
    pub scattered: BTreeMap<String, u64>,
}

/// Sweeps and tidies a lake.
///
/// # Errors
/// If the lake can't be read or written.
pub async fn maintain(lake: &Lake, upkeep: &Upkeep) -> Result<Report> {
    let mut report = Report { dry_run: upkeep.dry_run, ..Report::default() };
    // Objects first, references second: what is referenced in between is seen.
    let mut objects = vec![];
    for dataset in datasets() {
        let listed = lake.list(dataset.name).await?;
        let log = format!("{}/_delta_log/", dataset.name);
        objects.extend(listed.into_iter().filter(|object| !object.location.as_ref().starts_with(&log)));
    }
    let runs = lake.list(layout::RUNS).await?;

    let all = history::runs(lake).await?;
    let kept = kept(&all, upkeep.keep_runs);
    let reached = reach::files(lake, &kept, &mut report).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut old = |object: &ObjectMeta| {
        let age = now.as_secs() as i64 - object.last_modified.timestamp();
        let old = age >= upkeep.grace.as_secs() as i64;
        report.in_grace += u64::from(!old);
        old
    };

    let mut removals = vec![];
    for object in objects.iter().filter(|object| !reached.contains(object.location.as_ref())) {
        if old(object) {
            removals.push(removal(object, Reason::Unreached));
        }
    }
    let open: BTreeMap<String, OpenState> =
        history::open_runs(lake).await?.into_iter().map(|run| (run.run_id, run.state)).collect();
    let committed: BTreeSet<&str> = all.iter().map(|run| run.run_id.as_str()).collect();
    let readable: BTreeSet<&str> = kept.iter().map(|run| run.run_id.as_str()).collect();
    for object in &runs {
        let Some((run_id, name)) = run_object(object.location.as_ref()) else { continue };
        let staged = name.starts_with("scan-") || name.contains("/worklist/") || name.contains("/content/");
        let reason = if committed.contains(run_id) {
            match (readable.contains(run_id), staged) {
                (false, _) => Reason::Dropped,
                (true, true) => Reason::Staged,
                (true, false) => continue,
            }
        } else {
            // A run that is neither committed nor listed has no plan yet: only age tells whether it ever will.
            match open.get(run_id) {
                Some(OpenState::Resumable | OpenState::Committing) => continue,
                Some(OpenState::Cancelled) if !staged => continue,
                Some(OpenState::Cancelled) => Reason::Staged,
                None => Reason::Dropped,
            }
        };
        // What a committed run has staged was read for the last time: no grace is needed.
        if (reason == Reason::Staged && committed.contains(run_id)) || old(object) {
            removals.push(removal(object, reason));
        }
    }

    report.removed_bytes = removals.iter().map(|removal| removal.bytes).sum();
    if !upkeep.dry_run {
        remove(lake, &removals).await?;
    }
    report.removed = removals;
    checkpoints(lake, &mut report).await?;
    Ok(report)
}

fn removal(object: &ObjectMeta, reason: Reason) -> Removal {
    Removal { path: object.location.to_string(), bytes: object.size, reason }
}

/// Run and name of an object below `_runs/`.
fn run_object(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix(layout::RUNS)?.strip_prefix('/')?.split_once('/')
}

/// The last runs of each repository.
fn kept(all: &[Run], keep: Option<usize>) -> Vec<Run> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kept: Vec<Run> = all
        .iter()
        .rev()
        .filter(|run| {
            let left = left.entry(&run.repo).or_insert(keep.map_or(usize::MAX, |keep| keep.max(1)));
            let keep = *left > 0;
            *left = left.saturating_sub(1);
            keep
        })
        .cloned()
        .collect();
    kept.reverse();
    kept
}

async fn remove(lake: &Lake, removals: &[Removal]) -> Result<()> {
    let remove = |removal: &Removal| {
        let path = removal.path.clone();
        async move {
            let location = object_store::path::Path::parse(&path).map_err(|e| LakeError::damaged(&path, e))?;
            match lake.store().delete(&location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(failed("delete", &path, source)),
            }
        }
    };
    // The plan of a run goes first: with it the run counts as readable.
    let (plans, others): (Vec<_>, Vec<_>) =
        removals.iter().partition(|r| run_object(&r.path).is_some_and(|(_, name)| name == "plan.json"));
    for part in [plans, others] {
        stream::iter(part).map(remove).buffer_unordered(16).try_collect::<()>().await?;
    }
    Ok(())
}

/// Gives a checkpoint to every log that has grown long since its last.
async fn checkpoints(lake: &Lake, report: &mut Report) -> Result<()> {
    for dataset in datasets() {
        let Some(table) = snapshot::open(lake, dataset.name, None).await? else { continue };
        let version = table.version().and_then(|version| i64::try_from(version).ok()).unwrap_or(0);
        let hint = format!("{}/_delta_log/_last_checkpoint", dataset.name);
        let last: Option<serde_json::Value> = lake.get_json(&hint).await?;
        let last = last.and_then(|last| last["version"].as_i64()).unwrap_or(-1);
        if version - last <= CHECKPOINT_EVERY {
            continue;
        }
        if !report.dry_run {
            let made = deltalake::protocol::checkpoints::create_checkpoint(&table, None).await;
            made.map_err(LakeError::delta(dataset.name, "writing a checkpoint"))?;
        }
        report.checkpoints.push(dataset.name.to_owned());
    }
    Ok(())
}

/// Paths in the lake of the files that a manifest names.
fn named(manifest: &Manifest) -> impl Iterator<Item = String> + '_ {
    manifest.tables.iter().flat_map(|output| {
        let adds = output.adds.iter().map(|add| add.path.as_str());
        let changes = output.cdc.iter().map(|cdc| cdc.path.as_str());
        adds.chain(changes).map(|path| reach::in_lake(&output.table, path))
    })
}

#[cfg(test)]
mod tests;
