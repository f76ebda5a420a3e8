//! The scan's records of files, as they are kept on the lake: all that planning and executors know of a file.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};
use std::thread::{self, JoinHandle};

use arrow::array::{AsArray, Int64Builder, RecordBatch, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionContext, col};
use lode_facts::file::FileMeta;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::query::PathRange;
use super::windows::WINDOW_FILES;
use crate::error::PlanError;

/// Name of the table of the scan's records, see [`RECORDS_SCHEMA`].
pub const RECORDS: &str = "records";

/// Columns of the scan's records: one row a file, in order of path.
pub static RECORDS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("file_id", DataType::Int64, false),
        // The record, a `FileMeta` as JSON.
        Field::new("meta", DataType::Utf8, false),
    ]))
});

/// Rows of a batch that is written: few enough that their memory is used again and again.
pub(super) const BATCH: usize = 1024;
/// Rows of a row group, where a window need not read one alone.
pub(super) const GROUP_ROWS: usize = 64 * 1024;
/// Batches that wait to be written.
const WAITING: usize = 2;

/// How a worklist and what it comes from are kept: in small row groups that know their paths, so that a range of them is
/// read alone.
pub(super) fn properties(group_rows: usize) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled("path".into(), EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(group_rows));
    // Texts that hardly repeat, or only from row to row: to look each up in a dictionary costs more than it saves. They
    // are most of the bytes.
    for column in ["path", "content_key", "meta"] {
        properties = properties
            .set_column_dictionary_enabled(column.into(), false)
            .set_column_compression(column.into(), Compression::ZSTD(ZstdLevel::default()));
    }
    properties.build()
}

/// Writes records as Parquet, a bounded batch at a time: on a thread of its own, beside whatever its caller makes of them.
pub struct RecordsWriter<W> {
    batches: SyncSender<RecordBatch>,
    writer: JoinHandle<Result<W, PlanError>>,
    path: StringBuilder,
    file_id: Int64Builder,
    meta: StringBuilder,
    rows: usize,
}

impl<W: Write + Send + 'static> RecordsWriter<W> {
    /// A writer onto a sink of bytes.
    ///
    /// # Errors
    /// If the file's head can't be written, or there is no thread to be had.
    pub fn new(sink: W) -> Result<Self, PlanError> {
        // A row group is what a window reads.
        let properties = Some(properties(WINDOW_FILES));
        let mut writer = ArrowWriter::try_new(sink, Arc::clone(&RECORDS_SCHEMA), properties)?;
        let (batches, received) = sync_channel::<RecordBatch>(WAITING);
        let write = move || {
            for batch in received {
                writer.write(&batch)?;
            }
            Ok(writer.into_inner()?)
        };
        Ok(Self {
            batches,
            writer: thread::Builder::new().name("records".into()).spawn(write).map_err(DataFusionError::IoError)?,
            path: StringBuilder::new(),
            file_id: Int64Builder::new(),
            meta: StringBuilder::new(),
            rows: 0,
        })
    }

    /// Adds a file and its record as JSON. That the sink takes no more comes out at the end.
    pub fn push(&mut self, meta: &FileMeta, record: &str) {
        self.path.append_value(&meta.path);
        self.file_id.append_value(meta.file_id);
        self.meta.append_value(record);
        self.rows += 1;
        if self.rows == BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.rows = 0;
        let (path, file_id, meta) = (self.path.finish(), self.file_id.finish(), self.meta.finish());
        let columns = vec![Arc::new(path) as _, Arc::new(file_id) as _, Arc::new(meta) as _];
        let batch = RecordBatch::try_new(Arc::clone(&RECORDS_SCHEMA), columns).expect("columns follow the schema");
        // A writer that failed hears no more; its error is told by `finish`.
        let _ = self.batches.send(batch);
    }

    /// Ends the file and gives the sink back.
    ///
    /// # Errors
    /// If the sink took no more.
    pub fn finish(mut self) -> Result<W, PlanError> {
        self.flush();
        drop(self.batches);
        self.writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Reads a file of records in order, each as JSON and as what it says.
///
/// # Errors
/// If it is damaged, or `each` fails.
pub fn read_records(
    file: bytes::Bytes,
    mut each: impl FnMut(&str, FileMeta) -> Result<(), PlanError>,
) -> Result<(), PlanError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let columns = ProjectionMask::columns(builder.parquet_schema(), ["meta"]);
    for batch in builder.with_projection(columns).build()? {
        let batch = batch?;
        let meta = batch.column_by_name("meta").and_then(|column| column.as_string_opt::<i32>());
        let meta = meta.ok_or_else(|| PlanError::worklist("the scan has no records".into()))?;
        for record in meta.iter().flatten() {
            each(record, serde_json::from_str(record).map_err(|e| PlanError::worklist(e.to_string()))?)?;
        }
    }
    Ok(())
}

/// The records in a range of those of these files, as JSON.
pub(super) async fn records_within(
    ctx: &SessionContext,
    range: &PathRange,
    files: &HashSet<i64>,
) -> Result<HashMap<i64, String>> {
    let rows = range.of(ctx.table(RECORDS).await?)?.filter(col("meta").is_not_null())?;
    let mut records = HashMap::new();
    for batch in rows.select_columns(&["file_id", "meta"])?.collect().await? {
        let meta = cast(batch.column(1), &DataType::Utf8)?;
        let meta = meta.as_string::<i32>();
        let ids = batch.column(0).as_primitive::<Int64Type>().values().iter().enumerate();
        let wanted = ids.filter(|(_, id)| files.contains(id));
        records.extend(wanted.map(|(row, id)| (*id, meta.value(row).to_owned())));
    }
    Ok(records)
}
