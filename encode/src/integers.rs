//! Chunks of 32-bit integers: positions climb in small steps, so their differences are packed.

use std::ops::Range;

use arrow::array::{Array, Int32Array};
use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::delta;
use crate::levels::{Levels, extend_valid};
use crate::pages::{Encoded, Pages};
use crate::settings::PAGE_ROWS;

pub(crate) struct Integers {
    pages: Pages,
    levels: Levels,
    /// Values of the page, without nulls.
    values: Vec<i32>,
    page_rows: usize,
    bounds: Option<(i32, i32)>,
    nulls: usize,
}

impl Integers {
    pub(crate) fn new(column: ColumnDescPtr) -> Self {
        let levels = Levels::new(column.max_def_level() > 0);
        Self { pages: Pages::new(column), levels, values: vec![], page_rows: 0, bounds: None, nulls: 0 }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pages.bytes() + size_of_val(self.values.as_slice())
    }

    pub(crate) fn write(&mut self, array: &Int32Array, compressor: &mut Compressor<'_>) -> Result<()> {
        for rows in parts(array.len(), &mut { self.page_rows }) {
            self.push(&array.slice(rows.start, rows.len()));
            if self.page_rows == PAGE_ROWS {
                self.end_page(compressor)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, array: &Int32Array) {
        self.page_rows += array.len();
        self.levels.push(array.nulls(), array.len());
        self.nulls += array.null_count();
        extend_valid(&mut self.values, array.values(), array.nulls(), |value| value);
    }

    fn end_page(&mut self, compressor: &mut Compressor<'_>) -> Result<()> {
        if let (Some(low), Some(high)) = (self.values.iter().min(), self.values.iter().max()) {
            let (least, greatest) = self.bounds.unwrap_or((*low, *high));
            self.bounds = Some((least.min(*low), greatest.max(*high)));
        }
        let mut body = Vec::with_capacity(self.values.len() * 2 + 64);
        self.levels.take(&mut body);
        delta::encode(&self.values, &mut body);
        self.pages.data(&body, self.page_rows, Encoding::DELTA_BINARY_PACKED, compressor)?;
        self.values.clear();
        self.page_rows = 0;
        Ok(())
    }

    pub(crate) fn close(mut self, compressor: &mut Compressor<'_>) -> Result<Encoded> {
        if self.page_rows > 0 {
            self.end_page(compressor)?;
        }
        let (low, high) = self.bounds.unzip();
        let statistics = Statistics::int32(low, high, None, Some(self.nulls as u64), false);
        self.pages.close(None, Some(statistics), compressor)
    }
}

/// Cuts `rows` more rows where pages end, of which the first holds `held` already.
pub(crate) fn parts(rows: usize, held: &mut usize) -> Vec<Range<usize>> {
    let (mut parts, mut start) = (vec![], 0);
    while start < rows {
        let end = rows.min(start + PAGE_ROWS - *held);
        *held = 0;
        parts.push(start..end);
        start = end;
    }
    parts
}
