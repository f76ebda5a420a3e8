//! Rows of Lode's own tables.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, Int64Builder, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use lode_facts::catalog::Dataset;
use lode_facts::records::{DIAGNOSTICS, EXTRACT_STATE, QUARANTINE};

use crate::new_rows::identity_columns;
use crate::task::{FileChange, LaneChange, StateRow};

/// Rows of one table for a group of files.
pub(crate) struct Records {
    pub(crate) batch: RecordBatch,
    /// Rows of each file.
    pub(crate) rows: Vec<usize>,
}

/// Builds a batch of a dataset's own columns behind the identity columns of the files.
fn records<'a, T>(
    dataset: &Dataset,
    repo: &str,
    changes: &'a [FileChange],
    of_lane: impl Fn(&'a LaneChange) -> Vec<T>,
    columns: impl FnOnce(&[T]) -> Vec<ArrayRef>,
) -> Result<Records, ArrowError> {
    let mut items = vec![];
    let mut rows = vec![];
    for change in changes {
        let before = items.len();
        let mut lanes = change.lanes.iter().collect::<Vec<_>>();
        lanes.sort_by_key(|lane| lane.lane);
        items.extend(lanes.into_iter().flat_map(&of_lane));
        rows.push(items.len() - before);
    }
    let files = changes.iter().zip(&rows).map(|(change, rows)| (change.path.as_str(), change.file_id, *rows));
    let (mut fields, mut arrays): (Vec<_>, Vec<_>) = identity_columns(repo, files).into_iter().unzip();
    for (column, array) in dataset.columns.iter().zip(columns(&items)) {
        fields.push(Field::new(column.name, array.data_type().clone(), column.nullable));
        arrays.push(array);
    }
    Ok(Records { batch: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?, rows })
}

/// A column of text.
pub(crate) fn text<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A column of lists of text.
pub(crate) fn text_lists<'a, I: Iterator<Item = &'a str>>(lists: impl Iterator<Item = I>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, true));
    for list in lists {
        list.for_each(|value| builder.values().append_value(value));
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// A column of lists of integers.
pub(crate) fn integer_lists<I: Iterator<Item = i64>>(lists: impl Iterator<Item = I>) -> ArrayRef {
    let mut builder = ListBuilder::new(Int64Builder::new()).with_field(Field::new("element", DataType::Int64, true));
    for list in lists {
        list.for_each(|value| builder.values().append_value(value));
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// Rows of `extract_state`.
pub(crate) fn states(repo: &str, changes: &[FileChange]) -> Result<Records, ArrowError> {
    let of_lane = |lane: &'_ LaneChange| -> Vec<StateRow> { lane.new.iter().cloned().collect() };
    records(&EXTRACT_STATE, repo, changes, of_lane, |rows| {
        vec![
            text(rows.iter().map(|r| r.lane.name())),
            text(rows.iter().map(|r| r.content_key.as_str())),
            text(rows.iter().map(|r| r.fingerprint.as_str())),
            text(rows.iter().map(|r| r.status.as_str())),
            Arc::new(rows.iter().map(|r| r.reason.as_deref()).collect::<StringArray>()),
            text_lists(rows.iter().map(|r| r.datasets.iter().map(|d| d.dataset.as_str()))),
            integer_lists(rows.iter().map(|r| r.datasets.iter().map(|d| d.rows))),
            integer_lists(rows.iter().map(|r| r.datasets.iter().map(|d| d.hash))),
        ]
    })
}

/// Rows of `diagnostics`.
pub(crate) fn diagnostics(repo: &str, changes: &[FileChange]) -> Result<Records, ArrowError> {
    let of_lane = |lane: &'_ LaneChange| {
        lane.diagnostics.iter().cloned().enumerate().map(|(n, d)| (lane.lane, n as i32, d)).collect()
    };
    records(&DIAGNOSTICS, repo, changes, of_lane, |rows| {
        vec![
            text(rows.iter().map(|r| r.0.name())),
            Arc::new(rows.iter().map(|r| r.1).collect::<Int32Array>()),
            text(rows.iter().map(|r| r.2.severity.name())),
            text(rows.iter().map(|r| r.2.code.as_str())),
            text(rows.iter().map(|r| r.2.message.as_str())),
            Arc::new(rows.iter().map(|r| r.2.bstart).collect::<Int32Array>()),
        ]
    })
}

/// Rows of `quarantine`.
pub(crate) fn quarantine(repo: &str, changes: &[FileChange]) -> Result<Records, ArrowError> {
    let of_lane = |lane: &'_ LaneChange| {
        let state = lane.new.as_ref();
        let key = |field: fn(&StateRow) -> &String| state.map(field).cloned().unwrap_or_default();
        let row = lane.quarantine.clone();
        row.map(|row| (lane.lane, key(|s| &s.content_key), key(|s| &s.fingerprint), row)).into_iter().collect()
    };
    records(&QUARANTINE, repo, changes, of_lane, |rows| {
        vec![
            text(rows.iter().map(|r| r.0.name())),
            text(rows.iter().map(|r| r.1.as_str())),
            text(rows.iter().map(|r| r.2.as_str())),
            text(rows.iter().map(|r| r.3.limits.as_str())),
            text(rows.iter().map(|r| r.3.limit.as_str())),
            text(rows.iter().map(|r| r.3.message.as_str())),
            Arc::new(rows.iter().map(|r| r.3.attempts).collect::<Int32Array>()),
        ]
    })
}

/// One-row columns, for the `runs` table.
pub(crate) fn one(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}
