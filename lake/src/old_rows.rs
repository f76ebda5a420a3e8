//! Old rows of one (table, shard), as they stream by.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use futures::stream::BoxStream;
use lode_encode::EncodedRows;
use lode_facts::catalog::Dataset;
use parquet::errors::ParquetError;

use crate::error::{LakeError, Result};
use crate::merge::Context;
use crate::stored_file::StoredFile;
use crate::task::OldFile;

/// Texts that are looked at row by row, and are therefore decoded without a dictionary.
const PLAIN: &[&str] = &["path", "lane"];

/// Rows that are taken over.
pub(crate) enum Carried {
    /// Some rows of a file.
    Rows(RecordBatch),
    /// A whole row group that no change falls into.
    Group(EncodedRows),
}

/// Old rows of the shard's range, in the order of paths.
pub(crate) struct OldRows {
    dataset: &'static Dataset,
    context: Arc<Context>,
    schema: SchemaRef,
    sources: std::vec::IntoIter<OldFile>,
    file: Option<StoredFile>,
    /// Of one row group.
    stream: Option<BoxStream<'static, Result<RecordBatch, ParquetError>>>,
    batch: Option<(RecordBatch, Range<usize>)>,
    last: String,
}

impl OldRows {
    pub(crate) fn new(
        dataset: &'static Dataset,
        context: Arc<Context>,
        schema: SchemaRef,
        sources: Vec<OldFile>,
    ) -> Self {
        let sources = sources.into_iter();
        Self { dataset, context, schema, sources, file: None, stream: None, batch: None, last: String::new() }
    }

    /// Next rows of this very file.
    pub(crate) fn take_file(&mut self, path: &str) -> Result<Option<RecordBatch>> {
        self.take(|at| if at == path { Ordering::Less } else { Ordering::Greater })
    }

    /// Next rows before a path.
    pub(crate) fn take_until(&mut self, path: Option<&str>) -> Result<Option<Carried>> {
        if self.batch.is_none()
            && let Some(group) = self.take_group(path)?
        {
            return Ok(Some(Carried::Group(group)));
        }
        Ok(self.take(|at| path.map_or(Ordering::Less, |path| at.cmp(path)))?.map(Carried::Rows))
    }

    /// The next row group, if all of it lies before a path and in the shard's range.
    fn take_group(&mut self, path: Option<&str>) -> Result<Option<EncodedRows>> {
        if self.stream.is_some() {
            self.batch = self.next_batch()?;
            if self.batch.is_some() {
                return Ok(None);
            }
        }
        let (name, handle) = (self.dataset.name, self.context.handle.clone());
        if !self.open_next()? {
            return Ok(None);
        }
        let Some(file) = &mut self.file else { return Ok(None) };
        let Some((low, high)) = file.whole_between("path") else { return Ok(None) };
        let task = &self.context.task;
        // Bounds may be cut; then the first is too low and the last too high.
        if low < task.lower.as_str() || !task.contains(high) || path.is_some_and(|path| high >= path) {
            return Ok(None);
        }
        if low > self.last.as_str() {
            self.last = low.to_owned();
        }
        handle.block_on(file.take_whole()).map(Some).map_err(LakeError::parquet(name, "read"))
    }

    /// Opens files until one has a row group left.
    fn open_next(&mut self) -> Result<bool> {
        let name = self.dataset.name;
        while self.file.as_ref().is_none_or(StoredFile::is_done) {
            let Some(source) = self.sources.next() else {
                self.file = None;
                return Ok(false);
            };
            let store = self.context.lake.table_store(name);
            let open = StoredFile::open(store, &source.path, source.size, self.schema.clone(), PLAIN);
            self.file = Some(self.context.handle.block_on(open).map_err(LakeError::parquet(name, "read"))?);
        }
        Ok(true)
    }

    /// Next rows, as long as their path is `Less`.
    fn take(&mut self, order: impl Fn(&str) -> Ordering) -> Result<Option<RecordBatch>> {
        if self.batch.is_none() {
            self.batch = self.read()?;
        }
        let Some((batch, rows)) = &mut self.batch else { return Ok(None) };
        let end = partition(paths(batch), rows.clone(), |path| order(path) == Ordering::Less);
        if end == rows.start {
            return Ok(None);
        }
        let taken = batch.slice(rows.start, end - rows.start);
        rows.start = end;
        if rows.start == rows.end {
            self.batch = None;
        }
        Ok(Some(taken))
    }

    /// Next batch with rows of the range.
    fn read(&mut self) -> Result<Option<(RecordBatch, Range<usize>)>> {
        loop {
            if let Some(batch) = self.next_batch()? {
                return Ok(Some(batch));
            }
            if !self.open_next()? {
                return Ok(None);
            }
            let stream = self.file.as_mut().map(StoredFile::take_rows).transpose();
            self.stream = stream.map_err(LakeError::parquet(self.dataset.name, "read"))?;
        }
    }

    /// Next batch with rows of the range in the row group at hand.
    fn next_batch(&mut self) -> Result<Option<(RecordBatch, Range<usize>)>> {
        let name = self.dataset.name;
        while let Some(stream) = &mut self.stream {
            let Some(batch) = self.context.handle.block_on(stream.next()) else {
                self.stream = None;
                break;
            };
            let batch = batch.map_err(LakeError::parquet(name, "read"))?;
            let column = paths(&batch);
            let task = &self.context.task;
            let start = partition(column, 0..batch.num_rows(), |path| path < task.lower.as_str());
            let end = partition(column, start..batch.num_rows(), |path| task.contains(path));
            if start == end {
                continue;
            }
            if column.value(start) < self.last.as_str() || column.value(end - 1) < column.value(start) {
                return Err(LakeError::damaged(name, "its rows are not sorted by path"));
            }
            self.last.clear();
            self.last.push_str(column.value(end - 1));
            return Ok(Some((batch, start..end)));
        }
        Ok(None)
    }
}

fn paths(batch: &RecordBatch) -> &StringArray {
    batch.column(1).as_string::<i32>()
}

/// First row of the range for which the predicate, true for a head of it, is false.
fn partition(paths: &StringArray, rows: Range<usize>, head: impl Fn(&str) -> bool) -> usize {
    let (mut low, mut high) = (rows.start, rows.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if head(paths.value(middle)) { low = middle + 1 } else { high = middle }
    }
    low
}
