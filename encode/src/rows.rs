//! Rows that are encoded by one process and put into a file by another: as whole row groups, taken over as they are.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataOptions,
    ParquetMetaDataReader,
};
use zstd::bulk::Compressor;

use crate::pages::compressor;
use crate::settings::GROUP_ROWS;
use crate::writer::FileWriter;

/// Encodes batch after batch, each as a Parquet file of its own.
pub struct RowsEncoder {
    compressor: Option<Compressor<'static>>,
}

impl RowsEncoder {
    /// An encoder.
    ///
    /// # Errors
    /// If there is no memory for a compressor.
    pub fn new() -> Result<Self> {
        Ok(Self { compressor: Some(compressor()?) })
    }

    /// Encodes a batch, whose texts may come with dictionaries, in row groups of about the same size.
    ///
    /// # Errors
    /// If a column has another type than the schema says.
    pub fn encode(&mut self, batch: &RecordBatch, stored: &SchemaRef) -> Result<Vec<u8>> {
        let compressor = self.compressor.take().map_or_else(compressor, Ok)?;
        let mut file = FileWriter::with_compressor(vec![], stored.clone(), compressor)?;
        let rows = batch.num_rows();
        let group = rows.div_ceil(rows.div_ceil(GROUP_ROWS).max(1)).max(1);
        for start in (0..rows).step_by(group) {
            file.write(&batch.slice(start, group.min(rows - start)))?;
            file.end_group()?;
        }
        file.finish()?;
        let bytes = std::mem::take(file.sink());
        self.compressor = Some(file.into_compressor());
        Ok(bytes)
    }
}

/// Rows of one table: in columns, or encoded.
#[derive(Debug, Clone)]
pub enum Rows {
    /// In columns; texts may have dictionaries of their own.
    Plain(RecordBatch),
    /// As row groups.
    Encoded(EncodedRows),
}

impl Rows {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match self {
            Self::Plain(batch) => batch.num_rows(),
            Self::Encoded(encoded) => encoded.rows,
        }
    }

    /// The rows in columns. Those that were encoded for `stored` have texts as in [`with_words`].
    ///
    /// # Errors
    /// If pages aren't what their footer says.
    pub fn batch(&self, stored: &SchemaRef) -> Result<RecordBatch> {
        match self {
            Self::Plain(batch) => Ok(batch.clone()),
            Self::Encoded(encoded) => encoded.decode(stored),
        }
    }
}

/// Encoded rows: what [`RowsEncoder::encode`] made.
#[derive(Debug, Clone)]
pub struct EncodedRows {
    bytes: Bytes,
    metadata: Arc<ParquetMetaData>,
    rows: usize,
}

impl EncodedRows {
    /// Opens what an encoder made for this schema. The footer is not believed: it must have the schema's columns, and
    /// chunks that lie in the bytes. What the pages hold is not looked at.
    ///
    /// # Errors
    /// If the footer can't be read or says anything else.
    pub fn open(bytes: Bytes, stored: &SchemaRef) -> Result<Self> {
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let metadata = ParquetMetaDataReader::new()
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_metadata_options(Some(options))
            .parse_and_finish(&bytes)?;
        if !has_columns(&metadata, stored)? {
            return Err(general("the rows have other columns"));
        }
        let mut rows = 0usize;
        for (index, group) in metadata.row_groups().iter().enumerate() {
            let count = usize::try_from(group.num_rows()).ok().filter(|count| *count > 0);
            let count = count.ok_or_else(|| general("a row group has an impossible number of rows"))?;
            rows = rows.checked_add(count).ok_or_else(|| general("too many rows"))?;
            for (position, column) in group.columns().iter().enumerate() {
                if !lies_within(column, page_offsets(&metadata, index, position), bytes.len()) {
                    return Err(general("a column chunk lies outside of the bytes"));
                }
            }
        }
        Ok(Self { bytes, metadata: Arc::new(metadata), rows })
    }

    /// One row group of a file that [`FileWriter`] wrote, whose bytes are those of [`group_range`].
    ///
    /// # Errors
    /// If there is no such row group.
    pub fn of_group(bytes: Bytes, file: &ParquetMetaData, group: usize) -> Result<Self> {
        let from_start = |offset: i64, start: i64| offset - start;
        let start = group_range(file, group)?.start as i64;
        let row_group = file.row_group(group);
        let columns = row_group.columns().iter().map(|column| {
            let builder = column.clone().into_builder();
            let builder = builder.set_data_page_offset(from_start(column.data_page_offset(), start));
            let dictionary = column.dictionary_page_offset().map(|offset| from_start(offset, start));
            builder.set_dictionary_page_offset(dictionary).build()
        });
        let row_group =
            row_group.clone().into_builder().set_column_metadata(columns.collect::<Result<_>>()?).build()?;
        let rows = usize::try_from(row_group.num_rows()).map_err(|_| general("a row group has too many rows"))?;
        let pages = file.offset_index().and_then(|index| index.get(group)).map(|columns| {
            let mut columns = columns.clone();
            let pages = columns.iter_mut().flat_map(|column| &mut column.page_locations);
            pages.for_each(|page| page.offset = from_start(page.offset, start));
            vec![columns]
        });
        let metadata = ParquetMetaDataBuilder::new(file.file_metadata().clone());
        let metadata = metadata.add_row_group(row_group).set_offset_index(pages).build();
        Ok(Self { bytes, metadata: Arc::new(metadata), rows })
    }

    fn decode(&self, stored: &SchemaRef) -> Result<RecordBatch> {
        let schema = Arc::new(with_words(stored, &[]));
        let options = ArrowReaderOptions::new().with_schema(schema.clone());
        let metadata = ArrowReaderMetadata::try_new(self.metadata.clone(), options)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), metadata);
        let batches = builder.with_batch_size(self.rows.max(1)).build()?.collect::<Result<Vec<_>, _>>()?;
        let batch = concat_batches(&schema, &batches)?;
        if batch.num_rows() != self.rows {
            return Err(general("the pages hold another number of rows"));
        }
        Ok(batch)
    }

    /// Row groups in order: how many rows, and what the footer says of each column.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (usize, impl Iterator<Item = ColumnCloseResult>)> {
        self.metadata.row_groups().iter().enumerate().map(move |(index, group)| {
            let rows = group.num_rows() as usize;
            let columns = group.columns().iter().enumerate().map(move |(position, column)| ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: rows as u64,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: page_offsets(&self.metadata, index, position).cloned(),
            });
            (rows, columns)
        })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What the footer's offsets point into.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Where a row group lies in its file.
///
/// # Errors
/// If there is no such row group, or its columns don't lie one behind the other.
pub fn group_range(file: &ParquetMetaData, group: usize) -> Result<Range<u64>> {
    let group = file.row_groups().get(group).ok_or_else(|| general("there is no such row group"))?;
    let mut range: Option<Range<u64>> = None;
    for column in group.columns() {
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let (start, length) = (u64::try_from(start), u64::try_from(column.compressed_size()));
        let (Ok(start), Ok(length)) = (start, length) else { return Err(general("a column chunk lies nowhere")) };
        let begin = match range {
            Some(before) if before.end != start => return Err(general("column chunks lie apart")),
            Some(before) => before.start,
            None => start,
        };
        range = Some(begin..start.saturating_add(length));
    }
    range.ok_or_else(|| general("a row group without columns"))
}

/// A schema whose texts have dictionaries, as they have in a file, save for the columns in `plain`.
pub fn with_words(schema: &Schema, plain: &[&str]) -> Schema {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 if !plain.contains(&field.name().as_str()) => {
            Arc::new(field.as_ref().clone().with_data_type(dictionary.clone()))
        }
        _ => field.clone(),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// Whether a file has the columns of a schema, in its order.
///
/// # Errors
/// If a type of the schema has no place in Parquet.
pub fn has_columns(file: &ParquetMetaData, stored: &Schema) -> Result<bool> {
    let expected = ArrowSchemaConverter::new().convert(stored)?;
    Ok(file.file_metadata().schema_descr().root_schema() == expected.root_schema())
}

type OffsetIndex = parquet::file::page_index::offset_index::OffsetIndexMetaData;

fn page_offsets(metadata: &ParquetMetaData, group: usize, column: usize) -> Option<&OffsetIndex> {
    metadata.offset_index()?.get(group)?.get(column)
}

fn lies_within(column: &ColumnChunkMetaData, pages: Option<&OffsetIndex>, length: usize) -> bool {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let Some(end) = start.checked_add(column.compressed_size()) else { return false };
    let inside = |offset: i64| (start..end).contains(&offset);
    start >= 0
        && end <= length as i64
        && inside(column.data_page_offset())
        && pages.is_none_or(|pages| pages.page_locations.iter().all(|page| inside(page.offset)))
}

fn general(text: &str) -> ParquetError {
    ParquetError::General(text.to_owned())
}
