//! Cutting the worklist into one file a shard.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::TryStreamExt;
use lode_lake::layout;
use lode_lake::store::Lake;
use lode_lake::task::{ShardTask, WorklistDigest};
use parquet::arrow::ArrowWriter;

use super::row::{WORK_SCHEMA, task_batch, with_kept_status};
use crate::error::PlanError;

/// Lanes that are not `extracted` and have nothing to do: by file and lane, quarantined or failed.
#[derive(Debug, Default)]
pub struct StickyStates(BTreeMap<(i64, String), &'static str>);

impl StickyStates {
    /// Notes a lane's state.
    pub fn insert(&mut self, file_id: i64, lane: &str, status: &str) {
        let status = match status {
            "quarantined" => "quarantined",
            "failed" => "failed",
            _ => return,
        };
        self.0.insert((file_id, lane.to_owned()), status);
    }

    fn remove(&mut self, file_id: i64, lane: &str) {
        self.0.remove(&(file_id, lane.to_owned()));
    }

    /// The worst status of a file's untouched lanes.
    pub fn worst(&self, file_id: i64) -> Option<&'static str> {
        let of_file = self.0.range((file_id, String::new())..).take_while(|((id, _), _)| *id == file_id);
        // "quarantined" is worse than "failed", and sorts after it.
        of_file.map(|(_, status)| *status).max()
    }
}

/// What is on a worklist.
#[derive(Debug, Default)]
pub struct WorklistSummary {
    /// Shards that have rows, with the size of their file.
    pub files: Vec<(String, u64)>,
    /// Files with something to do, in order of path, and whether they are extracted: the others only lose rows.
    pub touched: Vec<(i64, bool)>,
    /// Rows.
    pub rows: u64,
    /// Lanes that lose or renew rows because a file's content changed, or that are new: their left-out datasets no
    /// longer equal the snapshot.
    pub changed_lanes: std::collections::BTreeSet<String>,
}

/// Writes the worklist, which comes in order of path, as one Parquet file a shard; a shard is written when it has rows
/// or when `always` says so (its range was split). `task` gives the frame of a shard's task, which is completed here.
///
/// Holds the worklist of one shard at a time.
///
/// # Errors
/// If the query fails or the lake takes no more.
pub async fn write_worklist(
    lake: &Lake,
    mut worklist: SendableRecordBatchStream,
    sticky: &mut StickyStates,
    tasks: Vec<(ShardTask, bool)>,
) -> Result<WorklistSummary, PlanError> {
    let mut summary = WorklistSummary::default();
    let mut tasks = tasks.into_iter().peekable();
    let mut pending: Vec<RecordBatch> = vec![];
    while let Some(batch) = worklist.try_next().await? {
        let paths = cast(&batch.column(0).clone(), &DataType::Utf8)?;
        let paths = paths.as_string::<i32>();
        let mut start = 0;
        while start < batch.num_rows() {
            let Some((task, _)) = tasks.peek() else {
                return Err(PlanError::worklist(format!("no shard takes {:?}", paths.value(start))));
            };
            let rest = start..batch.num_rows();
            let end = rest.clone().find(|row| !task.contains(paths.value(*row))).unwrap_or(rest.end);
            if end > start {
                pending.push(batch.slice(start, end - start));
            }
            start = end;
            if end < batch.num_rows() {
                let (task, always) = tasks.next().expect("peeked above");
                write_shard(lake, task, always, std::mem::take(&mut pending), sticky, &mut summary).await?;
            }
        }
    }
    for (task, always) in tasks {
        write_shard(lake, task, always, std::mem::take(&mut pending), sticky, &mut summary).await?;
    }
    Ok(summary)
}

async fn write_shard(
    lake: &Lake,
    mut task: ShardTask,
    always: bool,
    batches: Vec<RecordBatch>,
    sticky: &mut StickyStates,
    summary: &mut WorklistSummary,
) -> Result<(), PlanError> {
    if batches.is_empty() && !always {
        return Ok(());
    }
    let mut digest = WorklistDigest::default();
    for batch in &batches {
        let [path, lane, action, old] = ["path", "lane", "action", "old_status"].map(|name| text(batch, name));
        let (path, lane, action, old) = (path?, lane?, action?, old?);
        let (path, lane) = (path.as_string::<i32>(), lane.as_string::<i32>());
        let (action, old) = (action.as_string::<i32>(), old.as_string::<i32>());
        let ids = batch.column_by_name("file_id").and_then(|c| c.as_primitive_opt::<Int64Type>());
        let ids = ids.ok_or_else(|| PlanError::worklist("column file_id is missing".into()))?;
        for row in 0..batch.num_rows() {
            let id = ids.value(row);
            digest.push(path.value(row), id);
            sticky.remove(id, lane.value(row));
            let extracted = action.value(row) != "delete";
            match summary.touched.last_mut() {
                Some((last, any)) if *last == id => *any |= extracted,
                _ => summary.touched.push((id, extracted)),
            }
            if action.value(row) != "add" || old.is_null(row) {
                summary.changed_lanes.insert(lane.value(row).to_owned());
            }
        }
    }
    task.rows = digest.rows();
    task.digest = digest.text();
    summary.rows += task.rows;

    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&WORK_SCHEMA), None)?;
    writer.write(&task_batch(&task))?;
    for batch in &batches {
        writer.write(&with_kept_status(batch, |id| sticky.worst(id))?)?;
    }
    let bytes = writer.into_inner()?;
    let size = bytes.len() as u64;
    let path = layout::worklist(&task.run_id, task.epoch, &task.shard);
    // The worklist of an epoch is a function of its scan and base: a second planner of the run writes the same.
    lake.put_new(&path, bytes.into()).await?;
    summary.files.push((task.shard, size));
    Ok(())
}

fn text(batch: &RecordBatch, name: &str) -> Result<arrow::array::ArrayRef, PlanError> {
    let column = batch.column_by_name(name).ok_or_else(|| PlanError::worklist(format!("column {name} is missing")))?;
    Ok(cast(column, &DataType::Utf8)?)
}
