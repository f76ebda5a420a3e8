//! How data files are encoded. It knows no engine: the bare loop of the benches includes this file, to write the same.

use arrow::datatypes::{DataType, Schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Rows of a row group: enough to compress well, few enough that a reader can skip.
pub(crate) const GROUP_ROWS: usize = 128 * 1024;

/// Texts whose bounds let a reader skip.
const BOUNDED_TEXTS: &[&str] = &["repo", "path", "run_id"];

/// How the columns are encoded: text as dictionaries, integers as packed deltas (positions climb in small steps, and a
/// dictionary would have to hash every value of them).
pub(crate) fn properties(schema: &Schema) -> WriterProperties {
    let zstd = ZstdLevel::try_new(3).expect("3 is a zstd level");
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("lode ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(None);
    for field in schema.fields() {
        // Bounds of a text that rows aren't sorted by rule nothing out, and cost a comparison a row.
        if field.data_type() == &DataType::Utf8 && !BOUNDED_TEXTS.contains(&field.name().as_str()) {
            let path = ColumnPath::from(field.name().as_str());
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
        // An id that stays the same over a file's rows is cheapest as a dictionary of runs.
        if matches!(field.data_type(), DataType::Int32 | DataType::Int64) && field.name() != "file_id" {
            let path = ColumnPath::from(field.name().as_str());
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    builder.build()
}
