//! Chunks of booleans: a bit each.

use arrow::array::{Array, BooleanArray, BooleanBufferBuilder};
use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::integers::parts;
use crate::levels::Levels;
use crate::pages::{Encoded, Pages};
use crate::settings::PAGE_ROWS;

pub(crate) struct Booleans {
    pages: Pages,
    levels: Levels,
    /// Values of the page, without nulls.
    values: BooleanBufferBuilder,
    page_rows: usize,
    /// Whether `false` and `true` occur.
    seen: [bool; 2],
    nulls: usize,
}

impl Booleans {
    pub(crate) fn new(column: ColumnDescPtr) -> Self {
        let levels = Levels::new(column.max_def_level() > 0);
        let values = BooleanBufferBuilder::new(0);
        Self { pages: Pages::new(column), levels, values, page_rows: 0, seen: [false; 2], nulls: 0 }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pages.bytes() + self.values.as_slice().len()
    }

    pub(crate) fn write(&mut self, array: &BooleanArray, compressor: &mut Compressor<'_>) -> Result<()> {
        for rows in parts(array.len(), &mut { self.page_rows }) {
            self.push(&array.slice(rows.start, rows.len()));
            if self.page_rows == PAGE_ROWS {
                self.end_page(compressor)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, array: &BooleanArray) {
        self.page_rows += array.len();
        self.nulls += array.null_count();
        self.levels.push(array.nulls(), array.len());
        let (yes, no) = (array.true_count(), array.false_count());
        self.seen = [self.seen[0] || no > 0, self.seen[1] || yes > 0];
        match array.null_count() {
            0 => self.values.append_buffer(array.values()),
            _ => array.iter().flatten().for_each(|value| self.values.append(value)),
        }
    }

    fn end_page(&mut self, compressor: &mut Compressor<'_>) -> Result<()> {
        let mut body = Vec::with_capacity(self.values.as_slice().len() + 64);
        self.levels.take(&mut body);
        body.extend_from_slice(self.values.finish().values());
        self.pages.data(&body, self.page_rows, Encoding::PLAIN, compressor)?;
        self.page_rows = 0;
        Ok(())
    }

    pub(crate) fn close(mut self, compressor: &mut Compressor<'_>) -> Result<Encoded> {
        if self.page_rows > 0 {
            self.end_page(compressor)?;
        }
        let [no, yes] = self.seen;
        let (low, high) = ((no || yes).then_some(!no), (no || yes).then_some(yes));
        let statistics = Statistics::boolean(low, high, None, Some(self.nulls as u64), false);
        self.pages.close(None, Some(statistics), compressor)
    }
}
