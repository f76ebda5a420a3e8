//! Rows of the worklist: one a (file, lane) that has something to do, in order of path; the first row of a shard's file
//! carries its task.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray, StringBuilder, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use lode_facts::extract::DatasetReport;
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_lake::task::{ShardTask, StateRow};

use crate::error::PlanError;

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// Columns of a worklist file.
pub static WORK_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("task"),
        text("path"),
        Field::new("file_id", DataType::Int64, true),
        text("lane"),
        text("action"),
        text("content_key"),
        text("fingerprint"),
        Field::new("datasets", list(DataType::Utf8), true),
        text("meta"),
        text("old_content_key"),
        text("old_fingerprint"),
        text("old_status"),
        text("old_reason"),
        Field::new("old_datasets", list(DataType::Utf8), true),
        Field::new("old_rows", list(DataType::Int64), true),
        Field::new("old_hashes", list(DataType::Int64), true),
        text("kept_status"),
    ]))
});

/// What is to be done for a (file, lane).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Extract anew: old rows go, new rows come.
    Extract,
    /// Content and fingerprint are as they were; datasets are missing.
    Add,
    /// Old rows go.
    Delete,
}

impl Action {
    /// Name in the worklist.
    pub fn name(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Add => "add",
            Self::Delete => "delete",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        [Self::Extract, Self::Add, Self::Delete].into_iter().find(|a| a.name() == name)
    }
}

/// One (file, lane) with something to do.
#[derive(Debug, Clone)]
pub struct WorkRow {
    /// Path of the file.
    pub path: String,
    /// Id of the file.
    pub file_id: i64,
    /// Lane.
    pub lane: LaneId,
    /// What to do.
    pub action: Action,
    /// Content key of the scan.
    pub content_key: String,
    /// Fingerprint of the lane; with `:` and the hash of the limits it is that of a quarantine.
    pub fingerprint: String,
    /// Datasets to produce.
    pub datasets: Vec<String>,
    /// The scan's record, on the first of the file's rows; `None` for a file that is gone.
    pub meta: Option<FileMeta>,
    /// What the lake holds of it.
    pub old: Option<StateRow>,
    /// Worst status among the file's lanes that have nothing to do, where it isn't `extracted`.
    pub kept_status: Option<String>,
}

/// The first batch of a shard's file: one row with its task.
pub fn task_batch(task: &ShardTask) -> RecordBatch {
    let json = serde_json::to_string(task).expect("a task is plain data");
    let columns = WORK_SCHEMA.fields().iter().map(|field| -> arrow::array::ArrayRef {
        if field.name() == "task" {
            Arc::new(StringArray::from(vec![json.as_str()]))
        } else {
            new_null_array(field.data_type(), 1)
        }
    });
    RecordBatch::try_new(Arc::clone(&WORK_SCHEMA), columns.collect()).expect("columns follow the schema")
}

/// Reads the rows of a batch: the shard's task if the batch opens with it, and its work.
///
/// # Errors
/// If the batch is not of a worklist.
pub fn work_rows(batch: &RecordBatch) -> Result<(Option<ShardTask>, Vec<WorkRow>), PlanError> {
    let text = |name: &str| -> Result<StringArray, PlanError> {
        let column =
            batch.column_by_name(name).ok_or_else(|| PlanError::worklist(format!("column {name} is missing")))?;
        Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
    };
    let names = |name: &str, row: usize| -> Result<Vec<String>, PlanError> {
        let lists =
            batch.column_by_name(name).ok_or_else(|| PlanError::worklist(format!("column {name} is missing")))?;
        let lists = lists.as_list::<i32>();
        if lists.is_null(row) {
            return Ok(vec![]);
        }
        let items = cast(&lists.value(row), &DataType::Utf8)?;
        Ok(items.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
    };
    let numbers = |name: &str, row: usize| -> Result<Vec<i64>, PlanError> {
        let lists =
            batch.column_by_name(name).ok_or_else(|| PlanError::worklist(format!("column {name} is missing")))?;
        let lists = lists.as_list::<i32>();
        if lists.is_null(row) {
            return Ok(vec![]);
        }
        Ok(lists.value(row).as_primitive::<Int64Type>().iter().flatten().collect())
    };
    let (task, path, lane, action) = (text("task")?, text("path")?, text("lane")?, text("action")?);
    let (content_key, fingerprint, meta) = (text("content_key")?, text("fingerprint")?, text("meta")?);
    let (old_key, old_fingerprint) = (text("old_content_key")?, text("old_fingerprint")?);
    let (old_status, old_reason, kept) = (text("old_status")?, text("old_reason")?, text("kept_status")?);
    let file_id: Int64Array = batch
        .column_by_name("file_id")
        .and_then(|c| c.as_primitive_opt::<Int64Type>().cloned())
        .ok_or_else(|| PlanError::worklist("column file_id is missing".into()))?;
    let owned = |array: &StringArray, row: usize| array.is_valid(row).then(|| array.value(row).to_owned());

    let mut shard_task = None;
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        if task.is_valid(row) {
            shard_task = Some(serde_json::from_str(task.value(row)).map_err(|e| PlanError::worklist(e.to_string()))?);
            continue;
        }
        let lane = LaneId::by_name(lane.value(row))
            .ok_or_else(|| PlanError::worklist(format!("this binary has no lane {:?}", lane.value(row))))?;
        let action = Action::by_name(action.value(row))
            .ok_or_else(|| PlanError::worklist(format!("no action {:?}", action.value(row))))?;
        let old = if let Some(status) = owned(&old_status, row) {
            let (datasets, counts, hashes) =
                (names("old_datasets", row)?, numbers("old_rows", row)?, numbers("old_hashes", row)?);
            let reports = datasets.into_iter().zip(counts).zip(hashes);
            Some(StateRow {
                lane,
                content_key: owned(&old_key, row).unwrap_or_default(),
                fingerprint: owned(&old_fingerprint, row).unwrap_or_default(),
                status,
                reason: owned(&old_reason, row),
                datasets: reports.map(|((dataset, rows), hash)| DatasetReport { dataset, rows, hash }).collect(),
            })
        } else {
            None
        };
        let meta = match owned(&meta, row) {
            Some(json) => Some(serde_json::from_str(&json).map_err(|e| PlanError::worklist(e.to_string()))?),
            None => None,
        };
        rows.push(WorkRow {
            path: path.value(row).to_owned(),
            file_id: file_id.value(row),
            lane,
            action,
            content_key: owned(&content_key, row).unwrap_or_default(),
            fingerprint: owned(&fingerprint, row).unwrap_or_default(),
            datasets: names("datasets", row)?,
            meta,
            old,
            kept_status: owned(&kept, row),
        });
    }
    Ok((shard_task, rows))
}

/// Adds the scan's record of each file to a batch of the worklist query, on the first of the file's rows: they follow
/// each other. `last` is the file of the last row so far.
pub(super) fn with_records(
    batch: &RecordBatch,
    records: &HashMap<i64, String>,
    last: &mut Option<i64>,
) -> Result<RecordBatch, ArrowError> {
    let ids = batch
        .column_by_name("file_id")
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .ok_or_else(|| ArrowError::SchemaError("the worklist has no file_id".into()))?;
    let mut meta = StringBuilder::new();
    for id in ids.values() {
        let first = last.replace(*id) != Some(*id);
        meta.append_option(records.get(id).filter(|_| first));
    }
    let at = WORK_SCHEMA.index_of("meta")? - 1;
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    fields.insert(at, Arc::clone(&WORK_SCHEMA.fields()[at + 1]));
    columns.insert(at, Arc::new(meta.finish()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Adds the worst status of each row's untouched lanes to a batch of the worklist, as its last column.
pub(super) fn with_kept_status(
    batch: &RecordBatch,
    mut status: impl FnMut(i64) -> Option<&'static str>,
) -> Result<RecordBatch, ArrowError> {
    let ids = batch
        .column_by_name("file_id")
        .ok_or_else(|| ArrowError::SchemaError("the worklist has no file_id".into()))?
        .as_primitive::<Int64Type>();
    let mut kept = StringBuilder::new();
    for id in ids.values() {
        kept.append_option(status(*id));
    }
    let mut columns = vec![new_null_array(&DataType::Utf8, batch.num_rows())];
    for (field, column) in WORK_SCHEMA.fields()[1..WORK_SCHEMA.fields().len() - 1].iter().zip(batch.columns()) {
        columns.push(cast(column, field.data_type())?);
    }
    columns.push(Arc::new(kept.finish()));
    RecordBatch::try_new(Arc::clone(&WORK_SCHEMA), columns)
}
