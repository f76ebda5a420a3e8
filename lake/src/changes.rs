//! What changed in a table between two runs, from Delta's change data feed.

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::prelude::{DataFrame, Expr, SessionContext, col, lit};
use deltalake::delta_datafusion::DeltaCdfTableProvider;
use lode_facts::catalog::{Dataset, SHARD, Scope};

use crate::error::{LakeError, Result};
use crate::history::Run;
use crate::snapshot;
use crate::store::Lake;

/// Columns of the feed that follow the table's own.
pub const FEED: [&str; 3] = ["_change_type", "_commit_version", "_commit_timestamp"];

/// The rows that entered or left a table after `since`, up to and with `until`, of the repository of `since`.
///
/// `_change_type` is `insert`, `delete`, `update_preimage` or `update_postimage`. The order is that of commits, then of
/// the table's keys, a deletion before the insertion that replaces it.
///
/// # Errors
/// If the dataset has no feed, the runs are not two runs of one repository in this order, or the lake can't be read.
pub async fn changes(
    lake: &Lake,
    ctx: &SessionContext,
    dataset: &'static Dataset,
    since: &Run,
    until: &Run,
) -> Result<DataFrame> {
    let refuse = |reason: String| LakeError::Changes { table: dataset.name.to_owned(), reason };
    if dataset.scope != Scope::File {
        return Err(refuse("only tables whose rows belong to files have a change feed".into()));
    }
    if since.repo != until.repo || since.sequence > until.sequence {
        return Err(refuse(format!("run {} does not come after run {} in one repository", until.run_id, since.run_id)));
    }
    let end = until.table_versions.get(dataset.name).copied();
    let end = end.ok_or_else(|| refuse(format!("it did not exist at run {}", until.run_id)))?;
    let start = since.table_versions.get(dataset.name).map_or(0, |version| version + 1);
    let table = snapshot::open(lake, dataset.name, Some(end)).await?;
    let table = table.ok_or_else(|| LakeError::damaged(dataset.name, "the table's log is missing"))?;

    let query = |error| LakeError::query(dataset.name, "read the changes of")(error);
    table.update_datafusion_session(&ctx.state()).map_err(LakeError::delta(dataset.name, "opening"))?;
    let feed = table
        .scan_cdf()
        .with_starting_version(u64::try_from(start).unwrap_or(0))
        .with_ending_version(u64::try_from(end).unwrap_or(0))
        .with_allow_out_of_range();
    let feed = DeltaCdfTableProvider::try_new(feed).map_err(LakeError::delta(dataset.name, "opening"))?;
    let frame = ctx.read_table(Arc::new(feed)).and_then(|frame| arrange(frame, dataset, &since.repo));
    frame.map_err(query)
}

fn arrange(frame: DataFrame, dataset: &Dataset, repo: &str) -> Result<DataFrame, DataFusionError> {
    let own = dataset.table_columns().map(|column| column.name).filter(|name| *name != SHARD.name);
    let columns: Vec<Expr> = own.chain(FEED).map(col).collect();
    let keys = dataset.key.iter().copied();
    let order = ["_commit_version", "path"].into_iter().chain(keys).chain(["_change_type"]);
    let order = order.map(|name| col(name).sort(true, true)).collect();
    // The limit is none. It keeps the sort from being pushed into the parts of the feed, of which an empty one has no
    // partition that could be sorted.
    let rows = frame.filter(col("repo").eq(lit(repo)))?.select(columns)?.limit(0, Some(i64::MAX as usize))?;
    rows.sort(order)
}
