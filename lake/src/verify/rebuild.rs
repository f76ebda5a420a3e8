//! A lake against a new extraction of the same repository.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::common::{DataFusionError, JoinType};
use datafusion::prelude::{DataFrame, SessionContext, col, lit};
use futures::TryStreamExt;

use super::{Finding, Kind, Report};
use crate::error::{LakeError, Result};
use crate::snapshot::{self, Snapshot};

const TABLE: &str = "extract_state";
const COLUMNS: [&str; 9] =
    ["path", "file_id", "lane", "content_key", "fingerprint", "status", "datasets", "dataset_rows", "dataset_hashes"];

/// Compares what two lakes recorded of a repository: the states of every (file, lane), and rows and hashes of every
/// dataset of it.
///
/// # Errors
/// If one of them can't be read.
pub async fn compare(recorded: &Snapshot, rebuilt: &Snapshot, repo: &str) -> Result<Report> {
    let ctx = snapshot::context();
    let mut report = Report { tables: 1, ..Report::default() };
    let (Some(left), Some(right)) =
        (states(&ctx, recorded, repo, "").await?, states(&ctx, rebuilt, repo, "new_").await?)
    else {
        return Err(LakeError::damaged(TABLE, "the table is missing"));
    };
    let stream = async {
        let on = (["file_id", "lane"], ["new_file_id", "new_lane"]);
        left.join(right, JoinType::Full, &on.0, &on.1, None)?.execute_stream().await
    };
    let query = |error| LakeError::query(TABLE, "compare")(error);
    let mut stream = stream.await.map_err(query)?;
    let mut findings = vec![];
    while let Some(batch) = stream.try_next().await.map_err(query)? {
        report.entries += batch.num_rows() as u64;
        for row in 0..batch.num_rows() {
            let (old, new) = (State::of(&batch, "", row)?, State::of(&batch, "new_", row)?);
            let path = old.as_ref().or(new.as_ref()).map(|state| state.path.clone());
            findings.extend(differences(old, new).into_iter().map(|(table, detail)| Finding {
                kind: Kind::RebuildDiffers,
                table,
                shard: None,
                repo: Some(repo.to_owned()),
                path: path.clone(),
                detail,
            }));
        }
    }
    findings.sort();
    findings.into_iter().for_each(|finding| report.push(finding));
    Ok(report)
}

async fn states(ctx: &SessionContext, snapshot: &Snapshot, repo: &str, prefix: &str) -> Result<Option<DataFrame>> {
    let Some(table) = snapshot.table(TABLE).await? else { return Ok(None) };
    let frame = || -> Result<DataFrame, DataFusionError> {
        let frame = ctx.read_table(snapshot::scan(&table, &ctx.state())?)?.filter(col("repo").eq(lit(repo)))?;
        frame.select(COLUMNS.map(|name| col(name).alias(format!("{prefix}{name}"))).to_vec())
    };
    frame().map(Some).map_err(LakeError::query(TABLE, "read"))
}

struct State {
    path: String,
    lane: String,
    content_key: String,
    fingerprint: String,
    status: String,
    /// Rows and hash.
    datasets: BTreeMap<String, (i64, i64)>,
}

impl State {
    fn of(batch: &RecordBatch, prefix: &str, row: usize) -> Result<Option<Self>> {
        let column = |name: &str| -> Result<&ArrayRef> {
            let column = batch.column_by_name(&format!("{prefix}{name}"));
            column.ok_or_else(|| LakeError::damaged(TABLE, format!("column `{name}` is missing")))
        };
        if column("file_id")?.is_null(row) {
            return Ok(None);
        }
        let text = |name| Ok::<_, LakeError>(column(name)?.as_string::<i32>().value(row).to_owned());
        let list = |name| Ok::<_, LakeError>(column(name)?.as_list::<i32>().value(row));
        let (names, rows, hashes) = (list("datasets")?, list("dataset_rows")?, list("dataset_hashes")?);
        let names = names.as_string::<i32>().iter().map(|name| name.unwrap_or_default().to_owned());
        let rows = rows.as_primitive::<Int64Type>().values();
        let hashes = hashes.as_primitive::<Int64Type>().values();
        Ok(Some(Self {
            path: text("path")?,
            lane: text("lane")?,
            content_key: text("content_key")?,
            fingerprint: text("fingerprint")?,
            status: text("status")?,
            datasets: names.zip(rows.iter().copied().zip(hashes.iter().copied())).collect(),
        }))
    }
}

/// Tables and what differs in them.
fn differences(old: Option<State>, new: Option<State>) -> Vec<(String, String)> {
    let state = |detail: String| vec![(TABLE.to_owned(), detail)];
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (Some(old), None) => {
            return state(format!("lane `{}` is in the lake, a new extraction doesn't have it", old.lane));
        }
        (None, Some(new)) => return state(format!("lane `{}` is missing in the lake", new.lane)),
        (None, None) => return vec![],
    };
    let lane = &old.lane;
    if old.content_key != new.content_key {
        return state(format!("lane `{lane}`: the file has changed since the run"));
    }
    if old.fingerprint != new.fingerprint {
        return state(format!("lane `{lane}`: made by other extractors or with other options"));
    }
    if old.status != new.status {
        return state(format!("lane `{lane}`: {} in the lake, {} now", old.status, new.status));
    }
    let names: std::collections::BTreeSet<_> = old.datasets.keys().chain(new.datasets.keys()).collect();
    let differs = |name: &&String| old.datasets.get(*name) != new.datasets.get(*name);
    let detail = |name: &String| match (old.datasets.get(name), new.datasets.get(name)) {
        (Some((old, _)), Some((new, _))) if old == new => format!("{old} rows have other values"),
        (Some((old, _)), Some((new, _))) => format!("{old} rows in the lake, {new} now"),
        (None, _) => "missing in the lake".to_owned(),
        (_, None) => "in the lake, a new extraction doesn't have it".to_owned(),
    };
    names.into_iter().filter(differs).map(|name| (name.clone(), detail(name))).collect()
}
