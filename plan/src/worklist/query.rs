//! The worklist as a plan: the outer join of what the scan wants with what the lake holds.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{JoinType, Result};
use datafusion::functions_nested::expr_fn::array_has_all;
use datafusion::prelude::{DataFrame, SessionContext, col, concat, lit, when};

use super::wanted::WANTED;

/// Name of the table `extract_state` of the repository, in the worklist query.
pub const STATE: &str = "extract_state";

/// A range of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathRange {
    /// Its first path; the first of all when not given.
    pub lower: Option<String>,
    /// The first path after it; none when not given.
    pub upper: Option<String>,
}

impl PathRange {
    /// The rows whose `path` lies in it.
    pub(super) fn of(&self, table: DataFrame) -> Result<DataFrame> {
        let lower = self.lower.as_ref().map(|lower| col("path").gt_eq(lit(lower.as_str())));
        let upper = self.upper.as_ref().map(|upper| col("path").lt(lit(upper.as_str())));
        lower.into_iter().chain(upper).try_fold(table, |table, bound| table.filter(bound))
    }
}

/// Of these lanes, those that are left out of the run and accept a file that the lake has no state of: their tables lack
/// that file's rows.
///
/// # Errors
/// If a table is missing.
pub async fn lanes_behind(ctx: &SessionContext, repo: &str, lanes: &BTreeSet<&str>) -> Result<BTreeSet<String>> {
    if lanes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let of_these = col("lane").in_list(lanes.iter().map(|lane| lit(*lane)).collect(), false);
    let wanted = ctx.table(WANTED).await?.filter(of_these.and(!col("requested")))?;
    let state = ctx.table(STATE).await?.filter(col("repo").eq(lit(repo)))?;
    let state = state.select(vec![col("file_id").alias("held_id"), col("lane").alias("held_lane")])?;
    let unseen = wanted.join(state, JoinType::LeftAnti, &["file_id", "lane"], &["held_id", "held_lane"], None)?;
    let mut behind = BTreeSet::new();
    for batch in unseen.select_columns(&["lane"])?.distinct()?.collect().await? {
        let lanes = cast(batch.column(0), &DataType::Utf8)?;
        behind.extend(lanes.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(behind)
}

/// The worklist query over the tables [`WANTED`] and [`STATE`], in order of path and lane. Its columns are those of
/// [`super::WORK_SCHEMA`] between `task` and `kept_status`.
///
/// A (file, lane) is on it when it is new, its content or fingerprint changed, it failed, its quarantine ended, datasets
/// are missing, or it is gone. A lane that is left out of the run keeps the rows of files that did not change and loses
/// those of files that did: they are not this content's. `gone` names the files a scan that did not look at everything
/// saw deleted; a complete scan (`None`) infers deletion.
///
/// # Errors
/// If a table is missing.
pub async fn worklist(ctx: &SessionContext, repo: &str, gone: Option<&[i64]>) -> Result<DataFrame> {
    worklist_within(ctx, repo, gone, &PathRange::default()).await
}

/// The part of [`worklist`] that is about a range of paths. All rows of a file are in one range, so ranges that cover
/// every path give the whole of it.
///
/// # Errors
/// If a table is missing.
pub async fn worklist_within(
    ctx: &SessionContext,
    repo: &str,
    gone: Option<&[i64]>,
    range: &PathRange,
) -> Result<DataFrame> {
    let mut state = range.of(ctx.table(STATE).await?.filter(col("repo").eq(lit(repo)))?)?;
    let wanted = range.of(ctx.table(WANTED).await?)?;
    if let Some(gone) = gone {
        let ids = wanted.clone().select(vec![col("file_id").alias("seen_id")])?.distinct()?;
        let gone = col("file_id").in_list(gone.iter().map(|id| lit(*id)).collect(), false);
        let deleted = state.clone().filter(gone)?;
        state = state.join(ids, JoinType::LeftSemi, &["file_id"], &["seen_id"], None)?.union(deleted)?.distinct()?;
    }
    let held = state.select(
        [
            ("path", "old_path"),
            ("file_id", "old_file_id"),
            ("lane", "old_lane"),
            ("content_key", "old_content_key"),
            ("fingerprint", "old_fingerprint"),
            ("status", "old_status"),
            ("reason", "old_reason"),
            ("datasets", "old_datasets"),
            ("dataset_rows", "old_rows"),
            ("dataset_hashes", "old_hashes"),
        ]
        .map(|(name, alias)| col(name).alias(alias))
        .to_vec(),
    )?;
    let joined = wanted.join(held, JoinType::Full, &["file_id", "lane"], &["old_file_id", "old_lane"], None)?;

    let same_content = col("old_content_key").eq(col("content_key"));
    let in_quarantine = col("old_status").eq(lit("quarantined"));
    let fingerprint = when(in_quarantine.clone(), concat(vec![col("fingerprint"), lit(":"), col("limits")]))
        .otherwise(col("fingerprint"))?;
    let action = when(col("file_id").is_null(), lit("delete"))
        .when(
            !col("requested"),
            when(same_content.clone().or(col("old_file_id").is_null()), lit("keep")).otherwise(lit("delete"))?,
        )
        .when(col("old_file_id").is_null(), lit("extract"))
        .when(!same_content.and(col("old_fingerprint").eq(fingerprint)), lit("extract"))
        .when(col("old_status").eq(lit("failed")).or(col("retry")), lit("extract"))
        .when(in_quarantine, lit("keep"))
        .when(!array_has_all(col("old_datasets"), col("datasets")), lit("add"))
        .otherwise(lit("keep"))?;
    let either = |new: &str, old: &str| datafusion::functions::expr_fn::coalesce(vec![col(new), col(old)]);
    joined
        .select(vec![
            either("path", "old_path").alias("path"),
            either("file_id", "old_file_id").alias("file_id"),
            either("lane", "old_lane").alias("lane"),
            action.alias("action"),
            col("content_key"),
            col("fingerprint"),
            col("datasets"),
            col("old_content_key"),
            col("old_fingerprint"),
            col("old_status"),
            col("old_reason"),
            col("old_datasets"),
            col("old_rows"),
            col("old_hashes"),
        ])?
        // A relation of its own, so that the plan is also valid as SQL: WHERE does not see the names SELECT gives.
        .alias("worklist")?
        .filter(col("action").not_eq(lit("keep")))?
        .sort(vec![col("path").sort(true, false), col("lane").sort(true, false)])
}
