//! How data files are laid out.

use arrow::datatypes::{DataType, Field, Schema};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::pages::compression;

/// Rows of a row group: enough to compress well, few enough that a reader can skip, and that a change in one has few
/// others encoded again.
pub const GROUP_ROWS: usize = 64 * 1024;
/// Fewer rows than these are better written together with their neighbours than as a row group of their own.
pub const LEAST_GROUP_ROWS: usize = 8 * 1024;
/// Encoded bytes after which a row group ends even with fewer rows, so that wide rows don't fill the memory.
pub(crate) const GROUP_BYTES: usize = 16 << 20;
/// Rows of a page.
pub(crate) const PAGE_ROWS: usize = 32 * 1024;
/// Bytes of plain text after which a page ends even with fewer rows.
pub(crate) const PAGE_BYTES: usize = 1 << 20;
/// Bytes of text after which a dictionary takes no more.
pub(crate) const DICTIONARY_BYTES: usize = 1 << 20;
/// Bytes after which the bounds of a text are cut.
pub(crate) const BOUND_BYTES: usize = 64;

/// Texts whose bounds let a reader skip. Bounds of a text that rows aren't sorted by rule nothing out, and cost a
/// comparison a word.
const BOUNDED_TEXTS: &[&str] = &["repo", "path", "run_id"];

/// Whether a file says between which texts a column lies.
pub(crate) fn bounded(field: &Field) -> bool {
    BOUNDED_TEXTS.contains(&field.name().as_str())
}

/// Numbers that name something, of which a row group has a few.
const CODES: &[&str] = &["kind_id", "grammar_id"];

/// Whether a column of integers is better kept as keys of a dictionary than as differences.
pub(crate) fn codes(field: &Field) -> bool {
    CODES.contains(&field.name().as_str())
}

/// The settings for the columns that the general writer encodes.
pub fn properties(schema: &Schema) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(compression())
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("lode ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(Some(GROUP_ROWS));
    for field in schema.fields() {
        if field.data_type() == &DataType::Utf8 && !bounded(field) {
            let path = ColumnPath::from(field.name().as_str());
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    builder.build()
}
