//! A data file of the lake whose rows are taken over, row group by row group.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use futures::stream::BoxStream;
use lode_encode::{EncodedRows, LEAST_GROUP_ROWS, group_range, has_columns, with_words};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::Result;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader};

use crate::object_reader::{FOOTER_HINT, ObjectReader};
use crate::parquet_file::{BATCH_ROWS, conform};

/// A data file, and the row group that comes next.
pub(crate) struct StoredFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    footer: Arc<ParquetMetaData>,
    /// How its rows are decoded.
    words: ArrowReaderMetadata,
    /// Shape of decoded rows.
    schema: SchemaRef,
    /// Whether its columns are those of the table as it is now.
    current: bool,
    next: usize,
}

impl StoredFile {
    /// Opens a file whose rows are to have a schema: columns that came later than the file are null. Texts are decoded to
    /// the dictionaries that the file holds, save for the columns in `plain`: what is only taken over need not be spelled
    /// out.
    pub(crate) async fn open(
        store: Arc<dyn ObjectStore>,
        path: &str,
        size: i64,
        schema: SchemaRef,
        plain: &[&str],
    ) -> Result<Self> {
        let (path, size) = (Path::from(path), size as u64);
        let mut reader = ObjectReader::new(store.clone(), path.clone()).with_file_size(size);
        let footer = ParquetMetaDataReader::new()
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_metadata_options(Some(ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false)))
            .with_prefetch_hint(Some(FOOTER_HINT))
            .load_and_finish(&mut reader, size)
            .await?;
        let footer = Arc::new(footer);
        let current = has_columns(&footer, &schema)?;
        let stored = ArrowReaderMetadata::try_new(footer.clone(), ArrowReaderOptions::new())?;
        let options = ArrowReaderOptions::new().with_schema(Arc::new(with_words(stored.schema(), plain)));
        let words = ArrowReaderMetadata::try_new(footer.clone(), options)?;
        let schema = Arc::new(with_words(&schema, plain));
        Ok(Self { store, path, size, footer, words, schema, current, next: 0 })
    }

    /// Whether all row groups were taken.
    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.footer.num_row_groups()
    }

    /// Between which texts a column of the next row group lies, if it has these columns and is worth staying a row group.
    pub(crate) fn whole_between(&self, column: &str) -> Option<(&str, &str)> {
        let group = self.footer.row_groups().get(self.next)?;
        let worth_it = self.current && group.num_rows() >= LEAST_GROUP_ROWS as i64;
        let column = group.columns().iter().find(|c| worth_it && c.column_path().string() == column)?;
        let statistics = column.statistics()?;
        let low = std::str::from_utf8(statistics.min_bytes_opt()?).ok()?;
        let high = std::str::from_utf8(statistics.max_bytes_opt()?).ok()?;
        Some((low, high))
    }

    fn reader(&self) -> ObjectReader {
        ObjectReader::new(self.store.clone(), self.path.clone()).with_file_size(self.size)
    }

    /// The next row group as it lies in the file.
    pub(crate) async fn take_whole(&mut self) -> Result<EncodedRows> {
        let bytes = self.reader().get_bytes(group_range(&self.footer, self.next)?).await?;
        self.next += 1;
        EncodedRows::of_group(bytes, &self.footer, self.next - 1)
    }

    /// The rows of the next row group.
    pub(crate) fn take_rows(&mut self) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(self.reader(), self.words.clone());
        let stream = builder.with_row_groups(vec![self.next]).with_batch_size(BATCH_ROWS).build()?;
        self.next += 1;
        let schema = self.schema.clone();
        Ok(stream.map(move |batch| conform(&batch?, &schema)).boxed())
    }
}
