//! The data and change files that somebody may still read.

use std::collections::{BTreeMap, BTreeSet};

use lode_facts::catalog::{Dataset, datasets};
use object_store::path::Path;

use super::{Report, named};
use crate::error::{LakeError, Result};
use crate::history::{self, OpenState, Run};
use crate::layout;
use crate::manifest::Manifest;
use crate::plan::EpochPlan;
use crate::snapshot;
use crate::store::Lake;

/// A file of a log as a path in the lake. Logs percent-encode.
pub(super) fn in_lake(table: &str, path: &str) -> String {
    let path = Path::from_url_path(path).map_or_else(|_| path.to_owned(), |path| path.to_string());
    format!("{table}/{path}")
}

/// All files that are reached.
pub(super) async fn files(lake: &Lake, kept: &[Run], report: &mut Report) -> Result<BTreeSet<String>> {
    let mut reached = BTreeSet::new();
    let mut pinned: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    let mut pin = |versions: &BTreeMap<String, i64>| {
        for (table, version) in versions {
            pinned.entry(table.clone()).or_default().insert(*version);
        }
    };
    for run in kept {
        pin(&run.table_versions);
    }
    for run in history::open_runs(lake).await? {
        if run.state == OpenState::Cancelled {
            continue;
        }
        for object in lake.list(&layout::run(&run.run_id)).await? {
            let path = object.location.as_ref();
            if path.ends_with(".json") && path.contains("/manifest/") {
                reached.extend(named(&lake.require_json::<Manifest>(path).await?));
            } else if path.ends_with("/plan.json") && path != layout::run_plan(&run.run_id) {
                pin(&lake.require_json::<EpochPlan>(path).await?.table_versions);
            }
        }
    }
    for dataset in datasets() {
        let pinned = pinned.remove(dataset.name).unwrap_or_default();
        table(lake, dataset, pinned, &mut reached, report).await?;
    }
    Ok(reached)
}

/// The files of one table that its newest or a pinned version has, and change files after the oldest pinned one.
async fn table(
    lake: &Lake,
    dataset: &Dataset,
    mut pinned: BTreeSet<i64>,
    reached: &mut BTreeSet<String>,
    report: &mut Report,
) -> Result<()> {
    let name = dataset.name;
    let Some(newest) = snapshot::open(lake, name, None).await? else { return Ok(()) };
    let version = newest.version().and_then(|version| i64::try_from(version).ok()).unwrap_or(0);
    let mut shards: BTreeMap<String, u64> = BTreeMap::new();
    for file in newest.snapshot().map_err(LakeError::delta(name, "reading"))?.log_data().iter() {
        reached.insert(format!("{name}/{}", file.object_store_path()));
        *shards.entry(file.partition_values_map().remove("shard").flatten().unwrap_or_default()).or_default() += 1;
    }
    if dataset.scope == lode_facts::catalog::Scope::File {
        let scattered = shards.values().filter(|files| **files > 1).count() as u64;
        if scattered > 0 {
            report.scattered.insert(name.to_owned(), scattered);
        }
    }

    pinned.insert(version);
    let oldest = pinned.first().copied().unwrap_or(version);
    let mut added: BTreeMap<String, i64> = BTreeMap::new();
    let mut first = None;
    for object in lake.list(&format!("{name}/_delta_log")).await? {
        let Some(at) = commit_version(&object.location) else { continue };
        if first.is_none() {
            first = Some(at);
            if at > 0 {
                // The log was cut: what the first commit that is left builds on is in a checkpoint.
                let Some(base) = snapshot::open(lake, name, Some(at)).await? else { continue };
                for file in base.snapshot().map_err(LakeError::delta(name, "reading"))?.log_data().iter() {
                    added.insert(format!("{name}/{}", file.object_store_path()), at);
                }
            }
        }
        let log = lake.get(object.location.as_ref()).await?.unwrap_or_default();
        for line in log.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let action: serde_json::Value =
                serde_json::from_slice(line).map_err(|e| LakeError::damaged(object.location.as_ref(), e))?;
            let file = |kind: &str| action[kind]["path"].as_str().map(|path| in_lake(name, path));
            if let Some(file) = file("add") {
                added.insert(file, at);
            } else if let Some(file) = file("remove") {
                // Reached by any pinned version between the two commits.
                let from = added.remove(&file).unwrap_or(i64::MIN);
                if pinned.range(from..at).next().is_some() {
                    reached.insert(file);
                }
            } else if let Some(file) = file("cdc").filter(|_| at > oldest) {
                reached.insert(file);
            }
        }
    }
    Ok(())
}

fn commit_version(path: &Path) -> Option<i64> {
    let version = path.filename()?.strip_suffix(".json")?;
    (version.len() == 20).then(|| version.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commits_are_commits() {
        let version = |name: &str| commit_version(&Path::from(format!("t/_delta_log/{name}")));
        assert_eq!(version("00000000000000000012.json"), Some(12));
        assert_eq!(version("00000000000000000012.checkpoint.parquet"), None);
        assert_eq!(version("_last_checkpoint"), None);
        assert_eq!(version("1.json"), None);
    }

    #[test]
    fn encoded_paths_are_decoded() {
        assert_eq!(in_lake("t", "shard=a%20b/part.parquet"), "t/shard=a b/part.parquet");
    }
}
