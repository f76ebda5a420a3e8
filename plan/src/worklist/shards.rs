//! Cutting the worklist into one file a shard.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use futures::stream::FuturesOrdered;
use futures::{Stream, StreamExt, TryStreamExt};
use lode_lake::layout;
use lode_lake::store::Lake;
use lode_lake::task::{ShardTask, WorklistDigest};
use parquet::arrow::ArrowWriter;

use super::records::{GROUP_ROWS, properties};
use super::row::{WORK_SCHEMA, task_batch, with_kept_status};
use crate::error::PlanError;

/// Files of shards that are encoded or on their way to the lake at once.
const WRITES: usize = 8;

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
        // Nearly always there are none.
        if !self.0.is_empty() {
            self.0.remove(&(file_id, lane.to_owned()));
        }
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
/// Holds the worklist of one shard, and of the few that are on their way to the lake.
///
/// # Errors
/// If the query fails or the lake takes no more.
pub async fn write_worklist(
    lake: &Lake,
    worklist: impl Stream<Item = Result<RecordBatch, DataFusionError>> + Send,
    sticky: &mut StickyStates,
    tasks: Vec<(ShardTask, bool)>,
) -> Result<WorklistSummary, PlanError> {
    let mut worklist = pin!(worklist);
    let mut summary = WorklistSummary::default();
    let mut writing = FuturesOrdered::new();
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
                if let Some(shard) = finish_shard(task, always, std::mem::take(&mut pending), sticky, &mut summary)? {
                    while writing.len() >= WRITES {
                        summary.files.extend(next_written(&mut writing).await?);
                    }
                    writing.push_back(shard.write(lake.clone()));
                }
            }
        }
    }
    for (task, always) in tasks {
        if let Some(shard) = finish_shard(task, always, std::mem::take(&mut pending), sticky, &mut summary)? {
            while writing.len() >= WRITES {
                summary.files.extend(next_written(&mut writing).await?);
            }
            writing.push_back(shard.write(lake.clone()));
        }
    }
    while let Some(written) = next_written(&mut writing).await? {
        summary.files.push(written);
    }
    Ok(summary)
}

type Written = Result<(String, u64), PlanError>;

/// The next file that is on the lake, in the order of shards.
async fn next_written(writing: &mut FuturesOrdered<SpawnedTask<Written>>) -> Result<Option<(String, u64)>, PlanError> {
    match writing.next().await {
        Some(written) => written.map_err(|e| DataFusionError::External(Box::new(e)))?.map(Some),
        None => Ok(None),
    }
}

/// Completes a shard's task with what its rows say; `None` for a shard that has none and needs none.
fn finish_shard(
    mut task: ShardTask,
    always: bool,
    batches: Vec<RecordBatch>,
    sticky: &mut StickyStates,
    summary: &mut WorklistSummary,
) -> Result<Option<ShardRows>, PlanError> {
    if batches.is_empty() && !always {
        return Ok(None);
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
            if (action.value(row) != "add" || old.is_null(row)) && !summary.changed_lanes.contains(lane.value(row)) {
                summary.changed_lanes.insert(lane.value(row).to_owned());
            }
        }
    }
    task.rows = digest.rows();
    task.digest = digest.text();
    summary.rows += task.rows;

    let rows = batches.iter().map(|batch| with_kept_status(batch, |id| sticky.worst(id))).collect::<Result<_, _>>()?;
    Ok(Some(ShardRows { task, rows }))
}

/// A shard's worklist.
struct ShardRows {
    task: ShardTask,
    rows: Vec<RecordBatch>,
}

impl ShardRows {
    /// Puts it onto the lake, beside whatever else the process does.
    fn write(self, lake: Lake) -> SpawnedTask<Written> {
        SpawnedTask::spawn(async move {
            let path = layout::worklist(&self.task.run_id, self.task.epoch, &self.task.shard);
            let shard = self.task.shard.clone();
            let encoded = SpawnedTask::spawn_blocking(move || self.encode()).join().await;
            let bytes = encoded.map_err(|e| DataFusionError::External(Box::new(e)))??;
            let size = bytes.len() as u64;
            // The worklist of an epoch is a function of its scan and base: a second planner of the run writes the same.
            lake.put_new(&path, bytes).await?;
            Ok((shard, size))
        })
    }

    fn encode(self) -> Result<Vec<u8>, PlanError> {
        let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&WORK_SCHEMA), Some(properties(GROUP_ROWS)))?;
        writer.write(&task_batch(&self.task))?;
        for batch in &self.rows {
            writer.write(batch)?;
        }
        Ok(writer.into_inner()?)
    }
}

fn text(batch: &RecordBatch, name: &str) -> Result<arrow::array::ArrayRef, PlanError> {
    let column = batch.column_by_name(name).ok_or_else(|| PlanError::worklist(format!("column {name} is missing")))?;
    Ok(cast(column, &DataType::Utf8)?)
}
