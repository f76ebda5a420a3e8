//! Parquet files of the lake: streamed to and from the object store.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Field, SchemaRef};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use lode_encode::EncodedRows;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;

use crate::object_reader::ObjectReader;

/// Bytes handed to the object store at once; S3 wants parts of at least 5 MiB.
const PART_BYTES: usize = 5 << 20;
/// Bytes of the pieces that a part is made of: a buffer that grew to a part would be copied again and again, into memory
/// that is new each time.
const PIECE_BYTES: usize = 256 << 10;
/// Rows of a batch that is read.
pub(crate) const BATCH_ROWS: usize = 32 * 1024;

/// Bytes on their way to one object, from a blocking thread.
struct Upload {
    writer: BufWriter,
    handle: Handle,
    piece: Vec<u8>,
}

impl Upload {
    fn send(&mut self) -> std::io::Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        self.handle.block_on(self.writer.put(piece)).map_err(std::io::Error::other)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.piece.len() + bytes.len() > PIECE_BYTES && !self.piece.is_empty() {
            self.send()?;
        }
        if self.piece.capacity() == 0 {
            self.piece.reserve_exact(PIECE_BYTES.max(bytes.len()));
        }
        self.piece.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A Parquet file on its way to the lake. It encodes and uploads on the calling thread, which must be one that may block.
pub(crate) struct FileWriter(lode_encode::FileWriter<Upload>);

/// A Parquet file that is complete.
pub(crate) struct Written {
    pub(crate) size: i64,
    pub(crate) metadata: ParquetMetaData,
}

impl FileWriter {
    pub(crate) fn create(store: Arc<dyn ObjectStore>, path: &str, schema: &SchemaRef, handle: Handle) -> Result<Self> {
        let writer = BufWriter::with_capacity(store, Path::from(path), PART_BYTES);
        let upload = Upload { writer, handle, piece: vec![] };
        Ok(Self(lode_encode::FileWriter::new(upload, schema.clone())?))
    }

    /// Appends rows. Text may come with a dictionary, another one in every batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch)
    }

    /// Appends row groups that are encoded already, behind the columns in `first`.
    pub(crate) fn append(&mut self, first: &[ArrayRef], rows: &EncodedRows) -> Result<()> {
        self.0.append(first, rows)
    }

    /// Ends the file and the upload.
    pub(crate) fn finish(mut self) -> Result<Written> {
        let (metadata, size) = self.0.finish()?;
        let upload = self.0.sink();
        upload.send()?;
        crate::fault::point("data.before");
        upload.handle.block_on(upload.writer.shutdown())?;
        crate::fault::point("data.after");
        Ok(Written { size: size as i64, metadata })
    }

    /// Gives the file up.
    pub(crate) fn abort(mut self) -> Result<()> {
        let upload = self.0.sink();
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

/// A batch in the shape of a schema: columns that came later are null.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
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
