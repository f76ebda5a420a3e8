//! Facts as an oracle prints them: a row a line, which begins with a letter for its table and has its values behind tabs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use lode_facts::bytecode::Compiled;
use lode_facts::extract::{Extractor, FileRequest, GroupOutput, LaneRequest};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;

/// Tables by name.
pub type Tables = BTreeMap<&'static str, RecordBatch>;

/// A table that is printed: letter, name, columns.
pub type Table<'a> = (&'a str, &'a str, &'a [&'a str]);

/// All facts of a lane about a Python file.
pub fn extract(
    extractor: &mut Extractor,
    lane: LaneId,
    path: &str,
    content: &[u8],
    compiled: &[Compiled],
) -> GroupOutput {
    let meta = FileMeta::in_scope("r", path, content.len(), Some(Language::Python));
    let datasets = lane.datasets().map(|dataset| dataset.name.to_owned()).collect();
    let request = FileRequest { meta, lanes: vec![LaneRequest { lane, datasets }] };
    extractor.extract_compiled(&request, Some(content), compiled);
    extractor.finish().unwrap()
}

/// The tables of what was extracted.
pub fn tables(output: GroupOutput) -> Tables {
    output.tables.into_iter().map(|(dataset, batch)| (dataset.name, batch)).collect()
}

/// A table's rows, none if there is no such table. `between` parts the items of a list.
pub fn lines(tables: &Tables, (letter, name, columns): Table<'_>, between: &str) -> Vec<String> {
    let Some(batch) = tables.get(name) else { return vec![] };
    let plain = |column: &&str| {
        let array = batch.column_by_name(column).unwrap();
        match array.data_type() {
            DataType::Dictionary(..) => arrow::compute::cast(array, &DataType::Utf8).unwrap(),
            _ => array.clone(),
        }
    };
    let arrays: Vec<ArrayRef> = columns.iter().map(plain).collect();
    let line = |row| {
        let mut line = letter.to_owned();
        for array in &arrays {
            line.push('\t');
            push_value(&mut line, array, row, between);
        }
        line
    };
    (0..batch.num_rows()).map(line).collect()
}

fn push_value(line: &mut String, array: &ArrayRef, row: usize, between: &str) {
    if array.is_null(row) {
        line.push_str("\\N");
        return;
    }
    match array.data_type() {
        DataType::Int32 => write!(line, "{}", array.as_primitive::<Int32Type>().value(row)).unwrap(),
        DataType::Int64 => write!(line, "{}", array.as_primitive::<Int64Type>().value(row)).unwrap(),
        DataType::Boolean => write!(line, "{}", array.as_boolean().value(row)).unwrap(),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let items: Vec<&str> = items.as_string::<i32>().iter().map(Option::unwrap).collect();
            push_text(line, &format!("[{}]", items.join(between)));
        }
        _ => push_text(line, array.as_string::<i32>().value(row)),
    }
}

fn push_text(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            '\t' => line.push_str("\\t"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            c => line.push(c),
        }
    }
}
