//! The catalog: every dataset Lode can fill, described once.
//!
//! A dataset's columns are declared next to the builder that fills them (see [`crate::fact_table!`]); this module
//! gathers those declarations and turns them into Arrow schemas. Documentation, schema gate, `lode describe` and the
//! sink all read from here.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::lane::LaneId;
use crate::{agreement, ast, bytecode, cst, files, lines, records, symtable, ts};

/// Logical type of a column. Delta has neither unsigned integers nor dictionaries, so what is stored can be plainer
/// than what a worker sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// 32-bit signed integer: ordinals, lines, columns and byte offsets inside one file.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// Boolean.
    Boolean,
    /// UTF-8 text.
    Utf8,
    /// Text drawn from a small vocabulary: sent as a dictionary, stored as text.
    Symbol,
    /// Text that repeats: sent as a dictionary of the group's words, stored as text.
    Words,
    /// Raw bytes.
    Binary,
    /// List of text.
    Utf8List,
    /// List of 64-bit signed integers.
    Int64List,
    /// UTC timestamp in microseconds.
    Timestamp,
}

impl ColumnType {
    /// The Arrow type a worker sends.
    pub fn sent(self) -> DataType {
        match self {
            Self::Symbol => DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8)),
            Self::Words => DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8)),
            other => other.stored(),
        }
    }

    /// The Arrow type of the Delta table.
    pub fn stored(self) -> DataType {
        let list = |item| DataType::List(Arc::new(Field::new("element", item, true)));
        match self {
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Utf8 | Self::Symbol | Self::Words => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Utf8List => list(DataType::Utf8),
            Self::Int64List => list(DataType::Int64),
            Self::Timestamp => DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// One column of a dataset.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name in the table.
    pub name: &'static str,
    /// Logical type.
    pub ty: ColumnType,
    /// Whether a row may leave it out.
    pub nullable: bool,
    /// What it means.
    pub doc: &'static str,
    /// Unit or convention: `byte`, `line, from 1`, ….
    pub unit: Option<&'static str>,
    /// Where the rule for its value comes from.
    pub source: Option<&'static str>,
}

impl Column {
    /// A column without unit and source.
    pub const fn new(name: &'static str, ty: ColumnType, nullable: bool, doc: &'static str) -> Self {
        Self { name, ty, nullable, doc, unit: None, source: None }
    }

    /// Sets the unit.
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    /// Sets the source of the rule.
    pub const fn source(mut self, source: &'static str) -> Self {
        self.source = Some(source);
        self
    }

    fn field(&self, ty: DataType) -> Field {
        Field::new(self.name, ty, self.nullable)
    }
}

/// What a row of a dataset belongs to, which decides how it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To a file: the rows of a file are replaced together; partitioned by shard.
    File,
    /// To a run: rows are only appended.
    Run,
    /// To a repository: its rows are replaced together.
    Repo,
}

/// One dataset, which is one Delta table.
#[derive(Debug)]
pub struct Dataset {
    /// Table name, without version suffix.
    pub name: &'static str,
    /// The lane that fills it; `None` for Lode's own records.
    pub lane: Option<LaneId>,
    /// What a row belongs to.
    pub scope: Scope,
    /// What a row is.
    pub doc: &'static str,
    /// Columns after the identity columns (for [`Scope::File`]), in table order.
    pub columns: &'static [Column],
    /// Columns that identify a row.
    pub key: &'static [&'static str],
    /// Whether a run fills it unless told otherwise.
    pub default: bool,
}

/// Columns that open every table of [`Scope::File`].
pub const IDENTITY: &[Column] = &[
    Column::new("repo", ColumnType::Utf8, false, "Repository the file belongs to."),
    Column::new(
        "path",
        ColumnType::Utf8,
        false,
        "Path of the file below the repository's root, with `/`; bytes that are not UTF-8 are written `\\xHH`.",
    ),
    Column::new("file_id", ColumnType::Int64, false, "Stable hash of (repo, path).")
        .source("xxh3-64 over repo, NUL, path bytes"),
];

/// The partition column of every table of [`Scope::File`]: physical, outside keys, hashes and change data.
pub const SHARD: Column = Column::new(
    "shard",
    ColumnType::Utf8,
    false,
    "Range of paths the row is stored with; physical, it can change from run to run.",
);

impl Dataset {
    /// Schema of the batches an extractor makes: the fact columns alone.
    pub fn sent_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|c| c.field(c.ty.sent())).collect::<Vec<_>>()))
    }

    /// Schema of the fact columns alone as files store them.
    pub fn facts_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|c| c.field(c.ty.stored())).collect::<Vec<_>>()))
    }

    /// All columns of the Delta table in order, partition column last.
    pub fn table_columns(&self) -> impl Iterator<Item = &'static Column> + use<> {
        let (identity, shard): (&'static [Column], Option<&'static Column>) = match self.scope {
            Scope::File => (IDENTITY, Some(&SHARD)),
            Scope::Run | Scope::Repo => (&[], None),
        };
        identity.iter().chain(self.columns).chain(shard)
    }

    /// Schema of the Delta table, partition column (if any) last.
    pub fn table_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.table_columns().map(|c| c.field(c.ty.stored())).collect::<Vec<_>>()))
    }

    /// Schema of the Parquet files: the table without its partition column.
    pub fn file_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(
            self.table_columns()
                .filter(|c| self.scope != Scope::File || c.name != SHARD.name)
                .map(|c| c.field(c.ty.stored()))
                .collect::<Vec<_>>(),
        ))
    }
}

static ALL: LazyLock<Vec<&'static Dataset>> = LazyLock::new(|| {
    [
        files::DATASETS,
        lines::DATASETS,
        ast::DATASETS,
        cst::DATASETS,
        symtable::DATASETS,
        bytecode::DATASETS,
        ts::DATASETS,
        agreement::DATASETS,
        records::DATASETS,
    ]
    .concat()
});

/// Every dataset, in a fixed order.
pub fn datasets() -> &'static [&'static Dataset] {
    &ALL
}

/// The dataset of that name.
pub fn dataset(name: &str) -> Option<&'static Dataset> {
    datasets().iter().copied().find(|d| d.name == name)
}
