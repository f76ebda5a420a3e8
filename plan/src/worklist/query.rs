//! The worklist as a plan: the outer join of what the scan wants with what the lake holds.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, BooleanBuilder, Int64Builder, ListBuilder, RecordBatch, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::{JoinType, Result};
use datafusion::functions_nested::expr_fn::array_has_all;
use datafusion::prelude::{DataFrame, SessionContext, col, concat, lit, when};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::error::PlanError;

/// Name of the table of what the scan wants, see [`WANTED_SCHEMA`].
pub const WANTED: &str = "wanted";
/// Name of the table `extract_state` of the repository, in the worklist query.
pub const STATE: &str = "extract_state";

/// Columns of what a scan wants: one row a (file, lane) that the lane accepts.
pub static WANTED_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("path", false),
        Field::new("file_id", DataType::Int64, false),
        text("lane", false),
        text("content_key", false),
        text("fingerprint", false),
        text("limits", false),
        Field::new("requested", DataType::Boolean, false),
        Field::new("retry", DataType::Boolean, false),
        Field::new("datasets", DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))), false),
        // The scan's record of the file, as JSON: on the first row of each file alone.
        text("meta", true),
    ]))
});

/// What a scan wants of one lane for one file.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The file.
    pub meta: &'a FileMeta,
    /// Its record as JSON, on the file's first row.
    pub record: Option<&'a str>,
    /// Lane.
    pub lane: LaneId,
    /// Content key of the lane for this file.
    pub content_key: &'a str,
    /// Fingerprint of the lane.
    pub fingerprint: &'a str,
    /// Hash of the limits in force.
    pub limits: &'a str,
    /// Whether somebody asked for the file to be taken out of quarantine.
    pub retry: bool,
    /// Datasets the run asks for; none when the lane is left out of this run.
    pub datasets: &'a [&'a str],
}

/// Writes what a scan wants as Parquet, a bounded batch at a time.
pub struct WantedWriter<W: std::io::Write + Send> {
    writer: ArrowWriter<W>,
    text: [StringBuilder; 5],
    meta: StringBuilder,
    file_id: Int64Builder,
    requested: BooleanBuilder,
    retry: BooleanBuilder,
    datasets: ListBuilder<StringBuilder>,
    rows: usize,
}

/// Rows of a batch: few enough that their memory is used again and again.
const BATCH: usize = 2 * 1024;

/// How a worklist and what it comes from are kept: in small row groups that know their paths, so that a range of them is
/// read alone.
pub(super) fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled("path".into(), EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(64 * 1024));
    // Texts that hardly repeat, or only from row to row: to look each up in a dictionary costs more than it saves. They
    // are most of the bytes.
    for column in ["path", "content_key", "meta"] {
        properties = properties
            .set_column_dictionary_enabled(column.into(), false)
            .set_column_compression(column.into(), Compression::ZSTD(ZstdLevel::default()));
    }
    properties.build()
}

impl<W: std::io::Write + Send> WantedWriter<W> {
    /// A writer onto a sink of bytes.
    ///
    /// # Errors
    /// If the file's head can't be written.
    pub fn new(sink: W) -> Result<Self, PlanError> {
        Ok(Self {
            writer: ArrowWriter::try_new(sink, Arc::clone(&WANTED_SCHEMA), Some(properties()))?,
            text: Default::default(),
            meta: StringBuilder::new(),
            file_id: Int64Builder::new(),
            requested: BooleanBuilder::new(),
            retry: BooleanBuilder::new(),
            datasets: ListBuilder::new(StringBuilder::new()),
            rows: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// If the sink takes no more.
    pub fn push(&mut self, wanted: &Wanted<'_>) -> Result<(), PlanError> {
        let values =
            [wanted.meta.path.as_str(), wanted.lane.name(), wanted.content_key, wanted.fingerprint, wanted.limits];
        for (builder, value) in self.text.iter_mut().zip(values) {
            builder.append_value(value);
        }
        self.meta.append_option(wanted.record);
        self.file_id.append_value(wanted.meta.file_id);
        self.requested.append_value(!wanted.datasets.is_empty());
        self.retry.append_value(wanted.retry);
        for dataset in wanted.datasets {
            self.datasets.values().append_value(dataset);
        }
        self.datasets.append(true);
        self.rows += 1;
        if self.rows == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), PlanError> {
        self.rows = 0;
        let [path, lane, content_key, fingerprint, limits] =
            self.text.each_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let batch = RecordBatch::try_new(
            Arc::clone(&WANTED_SCHEMA),
            vec![
                path,
                Arc::new(self.file_id.finish()),
                lane,
                content_key,
                fingerprint,
                limits,
                Arc::new(self.requested.finish()),
                Arc::new(self.retry.finish()),
                Arc::new(self.datasets.finish()),
                Arc::new(self.meta.finish()),
            ],
        )?;
        Ok(self.writer.write(&batch)?)
    }

    /// Ends the file and gives the sink back.
    ///
    /// # Errors
    /// If the sink takes no more.
    pub fn finish(mut self) -> Result<W, PlanError> {
        self.flush()?;
        Ok(self.writer.into_inner()?)
    }
}

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
    fn of(&self, table: DataFrame) -> Result<DataFrame> {
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

/// The scan's records of the files in a range, as JSON by file.
pub(super) async fn records_within(ctx: &SessionContext, range: &PathRange) -> Result<HashMap<i64, String>> {
    let rows = range.of(ctx.table(WANTED).await?)?.filter(col("meta").is_not_null())?;
    let mut records = HashMap::new();
    for batch in rows.select_columns(&["file_id", "meta"])?.collect().await? {
        let meta = cast(batch.column(1), &DataType::Utf8)?;
        let ids = batch.column(0).as_primitive::<Int64Type>().values();
        records.extend(ids.iter().zip(meta.as_string::<i32>()).filter_map(|(id, meta)| Some((*id, meta?.to_owned()))));
    }
    Ok(records)
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
