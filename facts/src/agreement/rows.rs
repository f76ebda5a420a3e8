//! Sightings in the rows of lanes.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};

use super::align::{Kind, Sighting};

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

    fn numbers(&self, name: &str) -> impl Iterator<Item = Option<i32>> {
        self.column(name).as_primitive::<Int32Type>().iter()
    }

    fn texts(&self, name: &str) -> StringArray {
        cast(self.column(name), &DataType::Utf8).expect("a vocabulary is text").as_string::<i32>().clone()
    }

    /// A sighting a row, under the name in a column.
    fn sightings(&self, kind: Kind, name: Option<&str>) -> Vec<Sighting> {
        let names = name.map(|name| self.texts(name));
        let spans = self.numbers("bstart").zip(self.numbers("bend")).enumerate();
        let sighting = |(row, (bstart, bend))| {
            let name = names.as_ref().map_or("", |names| names.value(row)).to_owned();
            Some(Sighting { kind, bstart: bstart?, bend: bend?, name })
        };
        spans.filter_map(sighting).collect()
    }

    /// The rows whose text in a column is one of these.
    fn only(&self, column: &str, wanted: &[&str]) -> Self {
        let keep =
            self.texts(column).iter().map(|text| text.is_some_and(|text| wanted.contains(&text))).collect::<Vec<_>>();
        let kept = arrow::compute::filter_record_batch(&self.0, &keep.into());
        Self(kept.expect("one decision a row"))
    }

    fn import_name(&self, row: usize, texts: &[StringArray; 3], level: i32) -> String {
        let [module, name, asname] = texts;
        let text = |column: &StringArray| (!column.is_null(row)).then(|| column.value(row).to_owned());
        import(level as usize, text(module).as_deref(), &text(name).unwrap_or_default(), text(asname).as_deref())
    }

    fn import_names(&self) -> Vec<String> {
        let texts = ["module", "name", "asname"].map(|column| self.texts(column));
        let levels = self.numbers("level").enumerate();
        levels.map(|(row, level)| self.import_name(row, &texts, level.unwrap_or(0))).collect()
    }
}

/// The one way to write an import, whoever saw it.
pub(super) fn import(level: usize, module: Option<&str>, name: &str, asname: Option<&str>) -> String {
    let asname = asname.map(|asname| format!(" as {asname}")).unwrap_or_default();
    format!("{}{}:{name}{asname}", ".".repeat(level), module.unwrap_or_default())
}

/// What the `ast_*` tables say: nodes, definitions, calls, imports, docstrings.
pub(super) fn of_ast([nodes, defs, calls, imports, docstrings]: &[Rows; 5]) -> Vec<Sighting> {
    let mut found = nodes.only("kind", &["Name"]).sightings(Kind::Name, Some("name"));
    found.extend(defs.sightings(Kind::Definition, Some("name")));
    found.extend(calls.sightings(Kind::Call, None));
    found.extend(docstrings.sightings(Kind::Docstring, None));
    let spans: Vec<(Option<i32>, Option<i32>)> = nodes.numbers("bstart").zip(nodes.numbers("bend")).collect();
    let statements = imports.numbers("node_ordinal").map(|node| spans[node.unwrap_or(0) as usize]);
    found.extend(statements.zip(imports.import_names()).filter_map(|((bstart, bend), name)| {
        Some(Sighting { kind: Kind::Import, bstart: bstart?, bend: bend?, name })
    }));
    found
}

/// What the `ts_*` tables say: definitions, calls, imports, docstrings.
pub(super) fn of_ts([defs, calls, imports, docstrings]: &[Rows; 4]) -> Vec<Sighting> {
    let definitions = defs.only("kind", &["function_definition", "class_definition"]);
    let mut found = definitions.sightings(Kind::Definition, Some("name"));
    found.extend(calls.sightings(Kind::Call, None));
    found.extend(docstrings.sightings(Kind::Docstring, None));
    let statements = imports.sightings(Kind::Import, None).into_iter().zip(imports.import_names());
    found.extend(statements.map(|(statement, name)| Sighting { name, ..statement }));
    found
}
