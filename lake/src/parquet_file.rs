//! Parquet files of the lake: how they are encoded, streamed to and from the object store, and described to Delta.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Field, SchemaRef};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::writer::SerializedFileWriter;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;

use crate::encoding::{GROUP_ROWS, properties};
use crate::object_reader::ObjectReader;

/// Encoded bytes after which a row group ends even with fewer rows, so that wide rows don't fill the memory.
const GROUP_BYTES: usize = 16 << 20;
/// Bytes handed to the object store at once; S3 wants parts of at least 5 MiB.
const PART_BYTES: usize = 5 << 20;
/// Rows of a batch that is read.
const BATCH_ROWS: usize = 16 * 1024;

/// Bytes on their way to one object, from a blocking thread.
struct Upload {
    writer: BufWriter,
    handle: Handle,
    part: Vec<u8>,
}

impl Upload {
    fn send(&mut self) -> std::io::Result<()> {
        let part = Bytes::from(std::mem::take(&mut self.part));
        self.handle.block_on(self.writer.put(part)).map_err(std::io::Error::other)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A Parquet file being written. It encodes and uploads on the calling thread, which must be one that may block.
pub(crate) struct FileWriter {
    file: SerializedFileWriter<Upload>,
    columns: ArrowRowGroupWriterFactory,
    group: Vec<ArrowColumnWriter>,
    rows: usize,
}

/// A Parquet file that is complete.
pub(crate) struct Written {
    pub(crate) size: i64,
    pub(crate) metadata: ParquetMetaData,
}

impl FileWriter {
    pub(crate) fn create(store: Arc<dyn ObjectStore>, path: &str, schema: &SchemaRef, handle: Handle) -> Result<Self> {
        let writer = BufWriter::with_capacity(store, Path::from(path), PART_BYTES);
        let upload = Upload { writer, handle, part: vec![] };
        let parquet_schema = ArrowSchemaConverter::new().convert(schema)?;
        let file = SerializedFileWriter::new(upload, parquet_schema.root_schema_ptr(), Arc::new(properties(schema)))?;
        let columns = ArrowRowGroupWriterFactory::new(&file, schema.clone());
        Ok(Self { file, columns, group: vec![], rows: 0 })
    }

    /// Appends rows. Dictionaries are taken as they are: a column need not have the same Arrow type in every batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            if self.group.is_empty() {
                self.group = self.columns.create_column_writers(self.file.flushed_row_groups().len())?;
            }
            let rows = (batch.num_rows() - start).min(GROUP_ROWS - self.rows);
            let part = batch.slice(start, rows);
            let mut writers = self.group.iter_mut();
            for (field, column) in part.schema().fields().iter().zip(part.columns()) {
                for leaf in compute_leaves(field, column)? {
                    writers.next().expect("one writer a leaf of the schema").write(&leaf)?;
                }
            }
            start += rows;
            self.rows += rows;
            if self.rows == GROUP_ROWS
                || self.group.iter().map(ArrowColumnWriter::memory_size).sum::<usize>() > GROUP_BYTES
            {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for column in self.group.drain(..) {
            column.close()?.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    /// Ends the file and the upload.
    pub(crate) fn finish(mut self) -> Result<Written> {
        self.end_group()?;
        let metadata = self.file.finish()?;
        let size = self.file.bytes_written() as i64;
        let upload = self.file.inner_mut();
        upload.send()?;
        crate::fault::point("data.before");
        upload.handle.block_on(upload.writer.shutdown())?;
        crate::fault::point("data.after");
        Ok(Written { size, metadata })
    }

    /// Gives the file up.
    pub(crate) fn abort(mut self) -> Result<()> {
        let upload = self.file.inner_mut();
        upload.handle.block_on(upload.writer.abort()).map_err(|e| ParquetError::External(Box::new(e)))
    }
}

/// Writes one small file, from an async thread.
pub(crate) async fn write_file(store: Arc<dyn ObjectStore>, path: String, batch: RecordBatch) -> Result<Written> {
    let handle = Handle::current();
    let write = move || {
        let mut file = FileWriter::create(store, &path, &batch.schema(), handle)?;
        file.write(&batch)?;
        file.finish()
    };
    tokio::task::spawn_blocking(write).await.map_err(|e| ParquetError::External(Box::new(e)))?
}

/// Streams a file's rows in the shape of a schema: columns that came later than the file are null.
pub(crate) async fn read_file(
    store: Arc<dyn ObjectStore>,
    path: &str,
    size: Option<i64>,
    schema: SchemaRef,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let mut reader = ObjectReader::new(store, Path::from(path));
    if let Some(size) = size {
        reader = reader.with_file_size(size as u64);
    }
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await?.with_batch_size(BATCH_ROWS);
    let stream = builder.build()?;
    Ok(stream.map(move |batch| conform(&batch?, &schema)).boxed())
}

/// All rows of a small file.
pub(crate) async fn read_all(store: Arc<dyn ObjectStore>, path: &str, schema: SchemaRef) -> Result<Vec<RecordBatch>> {
    read_file(store, path, None, schema).await?.try_collect().await
}

fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let column = |field: &Arc<Field>| -> Result<ArrayRef> {
        match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => Ok(cast(column, field.data_type())?),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
