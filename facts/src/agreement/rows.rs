//! Rows of lanes, read column by column.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};

use super::align::{Kind, Sighting};
use super::views::Span;

/// Rows of one dataset of one file.
pub(super) struct Rows(RecordBatch);

impl Rows {
    pub(super) fn new(batch: RecordBatch) -> Self {
        Self(batch)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.num_rows() == 0
    }

    fn column(&self, name: &str) -> &ArrayRef {
        self.0.column_by_name(name).expect("a dataset has the columns of its declaration")
    }

    pub(super) fn numbers(&self, name: &str) -> impl Iterator<Item = Option<i32>> {
        self.column(name).as_primitive::<Int32Type>().iter()
    }

    pub(super) fn texts(&self, name: &str) -> StringArray {
        cast(self.column(name), &DataType::Utf8).expect("a vocabulary is text").as_string::<i32>().clone()
    }

    /// The bytes that two columns name.
    pub(super) fn spans(&self, [start, end]: [&str; 2]) -> Vec<Option<Span>> {
        self.numbers(start).zip(self.numbers(end)).map(|(start, end)| start.zip(end)).collect()
    }

    /// A sighting a row, at the bytes that two columns name and under the name in a third.
    pub(super) fn sightings(&self, kind: Kind, span: [&str; 2], name: Option<&str>) -> Vec<Sighting> {
        let names = name.map(|name| self.texts(name));
        let sighting = |(row, span): (usize, Option<Span>)| {
            let name = names.as_ref().map_or("", |names| names.value(row)).to_owned();
            span.map(|(bstart, bend)| Sighting { kind, bstart, bend, name })
        };
        self.spans(span).into_iter().enumerate().filter_map(sighting).collect()
    }

    /// The rows whose text in a column is one of these.
    pub(super) fn only(&self, column: &str, wanted: &[&str]) -> Self {
        let is_wanted = |text: Option<&str>| text.is_some_and(|text| wanted.contains(&text));
        let keep = self.texts(column).iter().map(is_wanted).collect::<Vec<_>>();
        let kept = arrow::compute::filter_record_batch(&self.0, &keep.into());
        Self(kept.expect("one decision a row"))
    }

    fn import_name(&self, row: usize, texts: &[StringArray; 3], level: i32, with_asname: bool) -> String {
        let [module, name, asname] = texts;
        let text = |column: &StringArray| (!column.is_null(row)).then(|| column.value(row).to_owned());
        let asname = text(asname).filter(|_| with_asname);
        import(level as usize, text(module).as_deref(), &text(name).unwrap_or_default(), asname.as_deref())
    }

    /// Imports in one way of writing; the column `level` has the dots.
    pub(super) fn import_names(&self, level: &str, with_asnames: bool) -> Vec<String> {
        let texts = ["module", "name", "asname"].map(|column| self.texts(column));
        let levels = self.numbers(level).enumerate();
        levels.map(|(row, level)| self.import_name(row, &texts, level.unwrap_or(0), with_asnames)).collect()
    }

    /// Text of the first row in a column.
    pub(super) fn first_text(&self, column: &str) -> Option<String> {
        self.texts(column).iter().next().flatten().map(str::to_owned)
    }
}

/// The one way to write an import, whoever saw it.
pub(super) fn import(level: usize, module: Option<&str>, name: &str, asname: Option<&str>) -> String {
    let asname = asname.map(|asname| format!(" as {asname}")).unwrap_or_default();
    format!("{}{}:{name}{asname}", ".".repeat(level), module.unwrap_or_default())
}
