//! A Parquet file being written.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::writer::SerializedFileWriter;
use zstd::bulk::Compressor;

use crate::chunk::Chunk;
use crate::pages::compressor;
use crate::rows::EncodedRows;
use crate::settings::{GROUP_BYTES, GROUP_ROWS, properties};

/// A Parquet file being written, on the calling thread. Memory holds one row group.
pub struct FileWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    schema: SchemaRef,
    general: ArrowRowGroupWriterFactory,
    compressor: Compressor<'static>,
    group: Vec<Chunk>,
    rows: usize,
}

impl<W: Write + Send> FileWriter<W> {
    /// A file of this schema, which names each column's type as it is stored.
    ///
    /// # Errors
    /// If a type has no place in Parquet, or the sink refuses the head of the file.
    pub fn new(sink: W, schema: SchemaRef) -> Result<Self> {
        Self::with_compressor(sink, schema, compressor()?)
    }

    pub(crate) fn with_compressor(sink: W, schema: SchemaRef, compressor: Compressor<'static>) -> Result<Self> {
        let parquet_schema = ArrowSchemaConverter::new().convert(&schema)?;
        let file = SerializedFileWriter::new(sink, parquet_schema.root_schema_ptr(), Arc::new(properties(&schema)))?;
        let general = ArrowRowGroupWriterFactory::new(&file, schema.clone());
        Ok(Self { file, schema, general, compressor, group: vec![], rows: 0 })
    }

    /// Appends rows. Text may come with a dictionary, another one in every batch.
    ///
    /// # Errors
    /// If a column has another type than the schema says, or the sink fails.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            if self.group.is_empty() {
                self.begin_group()?;
            }
            let rows = (batch.num_rows() - start).min(GROUP_ROWS - self.rows);
            for ((chunk, field), column) in self.group.iter_mut().zip(self.schema.fields()).zip(batch.columns()) {
                chunk.write(field, &column.slice(start, rows), &mut self.compressor)?;
            }
            start += rows;
            self.rows += rows;
            if self.rows == GROUP_ROWS || self.bytes() > GROUP_BYTES {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// Appends rows that are encoded already, as row groups of their own. The columns that the file has before theirs are
    /// given by `first`, best as runs.
    ///
    /// # Errors
    /// If the rows have other columns than the file, or the sink fails.
    pub fn append(&mut self, first: &[ArrayRef], rows: &EncodedRows) -> Result<()> {
        if first.iter().any(|column| column.len() != rows.rows()) {
            return Err(ParquetError::General("the columns differ in length".into()));
        }
        self.end_group()?;
        let leaves = self.file.schema_descr().columns().to_vec();
        let mut start = 0;
        for (count, columns) in rows.groups() {
            let mut encoded = Vec::with_capacity(first.len());
            for ((field, leaf), column) in self.schema.fields().iter().zip(&leaves).zip(first) {
                let unfit = || ParquetError::General(format!("column `{}` can't precede encoded ones", field.name()));
                let mut chunk = Chunk::of(field, leaf).ok_or_else(unfit)?;
                chunk.write(field, &column.slice(start, count), &mut self.compressor)?;
                encoded.push(chunk);
            }
            let mut group = self.file.next_row_group()?;
            for chunk in encoded {
                chunk.append(&mut group, &mut self.compressor)?;
            }
            for close in columns {
                group.append_column(rows.bytes(), close)?;
            }
            group.close()?;
            start += count;
        }
        Ok(())
    }

    /// Bytes of the row group under construction.
    pub fn bytes(&self) -> usize {
        self.group.iter().map(Chunk::bytes).sum()
    }

    /// Every type of the catalog is one leaf of the Parquet schema, in a list or not.
    fn begin_group(&mut self) -> Result<()> {
        let schema = self.file.schema_descr();
        let own = self.schema.fields().iter().zip(schema.columns()).map(|(field, leaf)| Chunk::of(field, leaf));
        let own: Vec<Option<Chunk>> = own.collect();
        self.group = if own.iter().all(Option::is_some) {
            own.into_iter().flatten().collect()
        } else {
            let general = self.general.create_column_writers(self.file.flushed_row_groups().len())?;
            let general = general.into_iter().map(|general| Chunk::Other(Box::new(general)));
            own.into_iter().zip(general).map(|(own, general)| own.unwrap_or(general)).collect()
        };
        Ok(())
    }

    pub(crate) fn end_group(&mut self) -> Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for chunk in self.group.drain(..) {
            chunk.append(&mut group, &mut self.compressor)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    /// Ends the file: what its footer says, and its size in bytes.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn finish(&mut self) -> Result<(ParquetMetaData, usize)> {
        self.end_group()?;
        Ok((self.file.finish()?, self.file.bytes_written()))
    }

    pub(crate) fn into_compressor(self) -> Compressor<'static> {
        self.compressor
    }

    /// The sink.
    pub fn sink(&mut self) -> &mut W {
        self.file.inner_mut()
    }
}
