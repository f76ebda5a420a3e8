//! Chunks of values that all have one width.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::{Array, BooleanArray, BooleanBufferBuilder, Int32Array};
use arrow::buffer::NullBuffer;
use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::delta;
use crate::levels::{Levels, extend_valid};
use crate::pages::{Encoded, Pages, parts};
use crate::settings::PAGE_ROWS;
use crate::texts::keys_page;

/// The values of a page, without nulls, and what is known of those of earlier pages.
pub(crate) trait Values: Default {
    /// What they come from.
    type Array: Array;
    /// How they lie in a page.
    const ENCODING: Encoding;

    /// Appends those of some rows, of which `nulls` says which have one.
    fn extend(&mut self, array: &Self::Array, rows: Range<usize>, nulls: Option<&NullBuffer>);

    /// Bytes held.
    fn bytes(&self) -> usize;

    /// Appends the page's as they lie in it, and begins another page.
    fn take(&mut self, body: &mut Vec<u8>);

    /// What the footer says of all pages.
    fn statistics(&self, nulls: u64) -> Statistics;

    /// The values that pages refer to, in plain encoding, and how many they are.
    fn dictionary(&self) -> Option<(Vec<u8>, usize)> {
        None
    }
}

/// A chunk of values of one width, page after page.
pub(crate) struct Fixed<V> {
    pages: Pages,
    levels: Levels,
    values: V,
    page_rows: usize,
    nulls: usize,
}

impl<V: Values> Fixed<V> {
    pub(crate) fn new(column: ColumnDescPtr) -> Self {
        let levels = Levels::new(column.max_def_level() > 0);
        Self { pages: Pages::tried(column), levels, values: V::default(), page_rows: 0, nulls: 0 }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pages.bytes() + self.values.bytes()
    }

    pub(crate) fn write(&mut self, array: &V::Array, compressor: &mut Compressor<'_>) -> Result<()> {
        for rows in parts(array.len(), self.page_rows) {
            let nulls = array.nulls().map(|nulls| nulls.slice(rows.start, rows.len()));
            self.page_rows += rows.len();
            self.nulls += nulls.as_ref().map_or(0, NullBuffer::null_count);
            self.levels.push(nulls.as_ref(), rows.len());
            self.values.extend(array, rows, nulls.as_ref());
            if self.page_rows == PAGE_ROWS {
                self.end_page(compressor)?;
            }
        }
        Ok(())
    }

    fn end_page(&mut self, compressor: &mut Compressor<'_>) -> Result<()> {
        let mut body = Vec::with_capacity(self.values.bytes() / 2 + 64);
        self.levels.take(&mut body);
        self.values.take(&mut body);
        self.pages.data(&body, self.page_rows, V::ENCODING, compressor)?;
        self.page_rows = 0;
        Ok(())
    }

    pub(crate) fn close(mut self, compressor: &mut Compressor<'_>) -> Result<Encoded> {
        if self.page_rows > 0 {
            self.end_page(compressor)?;
        }
        let statistics = self.values.statistics(self.nulls as u64);
        let dictionary = self.values.dictionary();
        let dictionary = dictionary.as_ref().map(|(plain, values)| (plain.as_slice(), *values));
        self.pages.close(dictionary, Some(statistics), compressor)
    }
}

/// Positions climb in small steps, so their differences are packed.
#[derive(Default)]
pub(crate) struct Integers {
    page: Vec<i32>,
    bounds: Option<(i32, i32)>,
}

impl Values for Integers {
    type Array = Int32Array;
    const ENCODING: Encoding = Encoding::DELTA_BINARY_PACKED;

    fn extend(&mut self, array: &Int32Array, rows: Range<usize>, nulls: Option<&NullBuffer>) {
        extend_valid(&mut self.page, &array.values()[rows], nulls, |value| value);
    }

    fn bytes(&self) -> usize {
        size_of_val(self.page.as_slice())
    }

    fn take(&mut self, body: &mut Vec<u8>) {
        if let (Some(low), Some(high)) = (self.page.iter().min(), self.page.iter().max()) {
            let (least, greatest) = self.bounds.unwrap_or((*low, *high));
            self.bounds = Some((least.min(*low), greatest.max(*high)));
        }
        delta::encode(&self.page, body);
        self.page.clear();
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let (low, high) = self.bounds.unzip();
        Statistics::int32(low, high, None, Some(nulls), false)
    }
}

/// Numbers that name something: a few, in no order, so they are keys of a dictionary.
#[derive(Default)]
pub(crate) struct Codes {
    /// Every number once, in the order they came.
    known: Vec<i32>,
    /// Keys of small numbers, by number; [`NO_KEY`] for one that did not come.
    small: Vec<u32>,
    /// Keys of others.
    other: HashMap<i32, u32>,
    /// Keys of the page.
    keys: Vec<u32>,
}

/// Of a number without a key.
const NO_KEY: u32 = u32::MAX;
/// Numbers that are small.
const SMALL: usize = 1 << 16;

impl Codes {
    fn key(small: &mut Vec<u32>, other: &mut HashMap<i32, u32>, known: &mut Vec<i32>, code: i32) -> u32 {
        let slot = match usize::try_from(code) {
            Ok(at) if at < SMALL => {
                if at >= small.len() {
                    small.resize(at + 1, NO_KEY);
                }
                &mut small[at]
            }
            _ => other.entry(code).or_insert(NO_KEY),
        };
        if *slot == NO_KEY {
            *slot = known.len() as u32;
            known.push(code);
        }
        *slot
    }
}

impl Values for Codes {
    type Array = Int32Array;
    const ENCODING: Encoding = Encoding::RLE_DICTIONARY;

    fn extend(&mut self, array: &Int32Array, rows: Range<usize>, nulls: Option<&NullBuffer>) {
        let Self { known, small, other, keys } = self;
        extend_valid(keys, &array.values()[rows], nulls, |code| Self::key(small, other, known, code));
    }

    fn bytes(&self) -> usize {
        size_of_val(self.keys.as_slice()) + size_of_val(self.known.as_slice())
    }

    fn take(&mut self, body: &mut Vec<u8>) {
        keys_page(&self.keys, self.known.len(), body);
        self.keys.clear();
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let (low, high) = (self.known.iter().min().copied(), self.known.iter().max().copied());
        Statistics::int32(low, high, None, Some(nulls), false)
    }

    fn dictionary(&self) -> Option<(Vec<u8>, usize)> {
        Some((self.known.iter().flat_map(|code| code.to_le_bytes()).collect(), self.known.len()))
    }
}

/// A bit each.
pub(crate) struct Booleans {
    page: BooleanBufferBuilder,
    /// Whether `false` and `true` occur.
    seen: [bool; 2],
}

impl Default for Booleans {
    fn default() -> Self {
        Self { page: BooleanBufferBuilder::new(0), seen: [false; 2] }
    }
}

impl Values for Booleans {
    type Array = BooleanArray;
    const ENCODING: Encoding = Encoding::PLAIN;

    fn extend(&mut self, array: &BooleanArray, rows: Range<usize>, nulls: Option<&NullBuffer>) {
        let values = array.values().slice(rows.start, rows.len());
        match nulls {
            Some(nulls) => nulls.valid_indices().for_each(|row| self.page.append(values.value(row))),
            None => self.page.append_buffer(&values),
        }
    }

    fn bytes(&self) -> usize {
        self.page.as_slice().len()
    }

    fn take(&mut self, body: &mut Vec<u8>) {
        let bits = self.page.finish();
        let yes = bits.count_set_bits();
        self.seen = [self.seen[0] || yes < bits.len(), self.seen[1] || yes > 0];
        body.extend_from_slice(bits.values());
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let [no, yes] = self.seen;
        let (low, high) = ((no || yes).then_some(!no), (no || yes).then_some(yes));
        Statistics::boolean(low, high, None, Some(nulls), false)
    }
}
