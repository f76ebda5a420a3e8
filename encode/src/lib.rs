//! How rows become Parquet files.
//!
//! Facts are integers that climb in small steps and words that repeat, and they arrive with dictionaries that their
//! extractors made. A general writer hashes every word of every row again; here a column of words costs a look-up in a
//! small table a row, and integers are packed 32 at a time. Columns of other types go through the general writer.
//!
//! Nothing here knows where files lie or what a table is.

mod bitpack;
mod chunk;
mod delta;
mod fixed;
mod hybrid;
mod ids;
mod levels;
mod pages;
mod rows;
mod settings;
mod texts;
mod writer;

pub use rows::{EncodedRows, Rows, RowsEncoder, group_range, has_columns, with_words};
pub use settings::{GROUP_ROWS, LEAST_GROUP_ROWS, properties};
pub use writer::FileWriter;
