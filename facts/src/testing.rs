//! Helpers of this crate's tests.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;

use crate::extract::{Extractor, FileRequest, GroupOutput, LaneRequest};
use crate::file::FileMeta;
use crate::lane::LaneId;
use crate::language::Language;
use crate::options::{Limits, Options};

/// The record of a tracked file in scope.
pub fn file(path: &str) -> FileMeta {
    FileMeta { tracked: Some(true), ..FileMeta::in_scope("r", path, 0, Language::detect(path, b"")) }
}

/// Runs one lane with all its datasets over one file.
pub fn extract(options: &Options, meta: &FileMeta, lane: LaneId, content: Option<&[u8]>) -> GroupOutput {
    let mut extractor = Extractor::new(options, &Limits::default());
    let datasets = lane.datasets().map(|d| d.name.to_owned()).collect();
    extractor.extract(&FileRequest { meta: meta.clone(), lanes: vec![LaneRequest { lane, datasets }] }, content);
    extractor.finish().unwrap()
}

/// A column as text.
pub fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let array = batch.column_by_name(column).unwrap();
    if matches!(array.data_type(), DataType::Binary) {
        return array.as_binary::<i32>().iter().map(|v| v.map(|v| v.escape_ascii().to_string())).collect();
    }
    if let DataType::List(_) = array.data_type() {
        let lists = array.as_list::<i32>().iter();
        let text = |list: ArrayRef| list.as_string::<i32>().iter().flatten().collect::<Vec<_>>().join(", ");
        return lists.map(|list| list.map(|list| format!("[{}]", text(list)))).collect();
    }
    let text = arrow::compute::cast(array, &DataType::Utf8).unwrap();
    text.as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect()
}
