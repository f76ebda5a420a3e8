//! Chunks of 64-bit ids that stay the same over many rows: a dictionary, and runs of its keys.

use std::collections::HashMap;

use arrow::array::Int64Array;
use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::pages::{Encoded, Pages, parts};
use crate::settings::PAGE_ROWS;
use crate::texts::keys_page;

/// A column that takes no nulls.
pub(crate) struct Ids {
    pages: Pages,
    values: Vec<i64>,
    known: HashMap<i64, u32>,
    /// Keys of the page.
    keys: Vec<u32>,
}

impl Ids {
    pub(crate) fn new(column: ColumnDescPtr) -> Self {
        Self { pages: Pages::new(column), values: vec![], known: HashMap::new(), keys: vec![] }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pages.bytes() + size_of_val(self.values.as_slice()) + size_of_val(self.keys.as_slice())
    }

    pub(crate) fn write(&mut self, array: &Int64Array, compressor: &mut Compressor<'_>) -> Result<()> {
        for rows in parts(array.len(), self.keys.len()) {
            for run in array.values()[rows].chunk_by(|a, b| a == b) {
                let key = self.key(run[0]);
                self.keys.resize(self.keys.len() + run.len(), key);
            }
            if self.keys.len() == PAGE_ROWS {
                self.end_page(compressor)?;
            }
        }
        Ok(())
    }

    /// Appends so many rows of one id.
    pub(crate) fn write_run(&mut self, id: i64, rows: usize, compressor: &mut Compressor<'_>) -> Result<()> {
        let key = self.key(id);
        for rows in parts(rows, self.keys.len()) {
            self.keys.resize(self.keys.len() + rows.len(), key);
            if self.keys.len() == PAGE_ROWS {
                self.end_page(compressor)?;
            }
        }
        Ok(())
    }

    fn key(&mut self, value: i64) -> u32 {
        *self.known.entry(value).or_insert_with(|| {
            self.values.push(value);
            self.values.len() as u32 - 1
        })
    }

    fn end_page(&mut self, compressor: &mut Compressor<'_>) -> Result<()> {
        let mut body = vec![];
        keys_page(&self.keys, self.values.len(), &mut body);
        self.pages.data(&body, self.keys.len(), Encoding::RLE_DICTIONARY, compressor)?;
        self.keys.clear();
        Ok(())
    }

    pub(crate) fn close(mut self, compressor: &mut Compressor<'_>) -> Result<Encoded> {
        if !self.keys.is_empty() {
            self.end_page(compressor)?;
        }
        let (low, high) = (self.values.iter().min().copied(), self.values.iter().max().copied());
        let statistics = Statistics::int64(low, high, None, Some(0), false);
        let dictionary: Vec<u8> = self.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.pages.close(Some((&dictionary, self.values.len())), Some(statistics), compressor)
    }
}
