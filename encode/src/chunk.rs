//! One column of a row group under construction.

use arrow::array::{Array, ArrayRef, AsArray, RunArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, compute_leaves};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::fixed::{Booleans, Codes, Fixed, Integers};
use crate::ids::Ids;
use crate::settings::{bounded, codes};
use crate::texts::Texts;

/// The runs of an array: where the value lies, and how many rows have it.
fn run_lengths(array: &RunArray<Int32Type>) -> impl Iterator<Item = (usize, usize)> {
    let (ends, rows) = (array.run_ends(), array.len());
    let first = if rows == 0 { ends.values().len() } else { ends.get_start_physical_index() };
    let runs = ends.values().iter().enumerate().skip(first);
    let runs = runs.map(move |(at, end)| (at, (*end as usize - array.offset()).min(rows)));
    runs.scan(0, move |start, (at, end)| {
        let length = end - *start;
        *start = end;
        (length > 0).then_some((at, length))
    })
}

/// How a column is encoded.
pub(crate) enum Chunk {
    Booleans(Fixed<Booleans>),
    Integers(Fixed<Integers>),
    Codes(Fixed<Codes>),
    Ids(Ids),
    Texts(Texts),
    /// By the general writer.
    Other(Box<ArrowColumnWriter>),
}

impl Chunk {
    /// The chunk of a flat column, unless the general writer is to encode it.
    pub(crate) fn of(field: &Field, column: &ColumnDescPtr) -> Option<Self> {
        Some(match field.data_type() {
            DataType::Boolean => Self::Booleans(Fixed::new(column.clone())),
            DataType::Int32 if codes(field) => Self::Codes(Fixed::new(column.clone())),
            DataType::Int32 => Self::Integers(Fixed::new(column.clone())),
            // The one id that stays the same over a file's rows.
            DataType::Int64 if field.name() == "file_id" && !field.is_nullable() => Self::Ids(Ids::new(column.clone())),
            DataType::Utf8 => Self::Texts(Texts::new(column.clone(), bounded(field))),
            _ => return None,
        })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Booleans(chunk) => chunk.bytes(),
            Self::Integers(chunk) => chunk.bytes(),
            Self::Codes(chunk) => chunk.bytes(),
            Self::Ids(chunk) => chunk.bytes(),
            Self::Texts(chunk) => chunk.bytes(),
            Self::Other(chunk) => chunk.memory_size(),
        }
    }

    /// Appends rows. Text may come with a dictionary or without; ids and texts also as runs.
    pub(crate) fn write(&mut self, field: &Field, array: &ArrayRef, compressor: &mut Compressor<'_>) -> Result<()> {
        let mismatch = || {
            let (name, found) = (field.name(), array.data_type());
            ParquetError::General(format!("column `{name}` is {}, and {found} came", field.data_type()))
        };
        if !field.is_nullable() && array.null_count() > 0 {
            return Err(ParquetError::General(format!("column `{}` takes no nulls", field.name())));
        }
        match self {
            Self::Booleans(chunk) => chunk.write(array.as_boolean_opt().ok_or_else(mismatch)?, compressor),
            Self::Integers(chunk) => {
                chunk.write(array.as_primitive_opt::<Int32Type>().ok_or_else(mismatch)?, compressor)
            }
            Self::Codes(chunk) => chunk.write(array.as_primitive_opt::<Int32Type>().ok_or_else(mismatch)?, compressor),
            Self::Ids(chunk) => match array.as_run_opt::<Int32Type>() {
                Some(runs) => {
                    let ids = runs.values().as_primitive_opt::<Int64Type>().ok_or_else(mismatch)?;
                    run_lengths(runs).try_for_each(|(at, rows)| chunk.write_run(ids.value(at), rows, compressor))
                }
                None => chunk.write(array.as_primitive_opt::<Int64Type>().ok_or_else(mismatch)?, compressor),
            },
            Self::Texts(chunk) => match array.data_type() {
                DataType::RunEndEncoded(..) => {
                    let runs = array.as_run_opt::<Int32Type>().ok_or_else(mismatch)?;
                    let texts = runs.values().as_string_opt::<i32>().ok_or_else(mismatch)?;
                    run_lengths(runs).try_for_each(|(at, rows)| chunk.write_run(texts.value(at), rows, compressor))
                }
                DataType::Utf8 => chunk.write(array.as_string::<i32>(), compressor),
                DataType::Dictionary(key, value) if **value == DataType::Utf8 => match key.as_ref() {
                    DataType::UInt8 => chunk.write_dictionary(array.as_dictionary::<UInt8Type>(), compressor),
                    DataType::UInt16 => chunk.write_dictionary(array.as_dictionary::<UInt16Type>(), compressor),
                    DataType::UInt32 => chunk.write_dictionary(array.as_dictionary::<UInt32Type>(), compressor),
                    DataType::Int32 => chunk.write_dictionary(array.as_dictionary::<Int32Type>(), compressor),
                    _ => Err(mismatch()),
                },
                _ => Err(mismatch()),
            },
            Self::Other(chunk) => {
                let field = field.clone().with_data_type(array.data_type().clone());
                compute_leaves(&field, array)?.iter().try_for_each(|leaf| chunk.write(leaf))
            }
        }
    }

    /// Ends the chunk and appends it to the row group.
    pub(crate) fn append<W: std::io::Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        compressor: &mut Compressor<'_>,
    ) -> Result<()> {
        let encoded = match self {
            Self::Booleans(chunk) => chunk.close(compressor)?,
            Self::Integers(chunk) => chunk.close(compressor)?,
            Self::Codes(chunk) => chunk.close(compressor)?,
            Self::Ids(chunk) => chunk.close(compressor)?,
            Self::Texts(chunk) => chunk.close(compressor)?,
            Self::Other(chunk) => return chunk.close()?.append_to_row_group(group),
        };
        group.append_column(&encoded.bytes, encoded.close)
    }
}
