//! Chunks of text: a dictionary, and plain values once it has grown too large.

use arrow::array::{Array, AsArray, DictionaryArray, PrimitiveArray, StringArray};
use arrow::datatypes::{ArrowDictionaryKeyType, ArrowNativeType};
use hashbrown::HashTable;
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::errors::Result;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescPtr;
use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Compressor;

use crate::bitpack::width;
use crate::hybrid;
use crate::levels::{Levels, extend_valid};
use crate::pages::{Encoded, Pages, parts};
use crate::settings::{BOUND_BYTES, DICTIONARY_BYTES, PAGE_BYTES, PAGE_ROWS};

/// A key that was not looked up yet.
const UNKNOWN: u32 = u32::MAX;

pub(crate) struct Texts {
    pages: Pages,
    levels: Levels,
    words: Words,
    /// Keys of the page, without nulls.
    keys: Vec<u32>,
    /// Values of the page once the dictionary is full, each behind its length.
    plain: Option<Vec<u8>>,
    page_rows: usize,
    nulls: usize,
    bounds: Option<Bounds>,
    /// Keys of the chunk's dictionary by those of an array's.
    translated: Vec<u32>,
}

impl Texts {
    /// With bounds or without.
    pub(crate) fn new(column: ColumnDescPtr, bounded: bool) -> Self {
        let levels = Levels::new(column.max_def_level() > 0);
        Self {
            pages: Pages::new(column),
            levels,
            words: Words::default(),
            keys: vec![],
            plain: None,
            page_rows: 0,
            nulls: 0,
            bounds: bounded.then(Bounds::default),
            translated: vec![],
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let plain = self.plain.as_ref().map_or(0, Vec::len);
        self.pages.bytes() + self.words.plain.len() + size_of_val(self.keys.as_slice()) + plain
    }

    /// Appends texts with a dictionary of their own: a word costs a hash only the first time it occurs in the array.
    pub(crate) fn write_dictionary<K: ArrowDictionaryKeyType>(
        &mut self,
        array: &DictionaryArray<K>,
        compressor: &mut Compressor<'_>,
    ) -> Result<()> {
        let words = array.values().as_string::<i32>();
        self.translated.clear();
        self.translated.resize(words.len(), UNKNOWN);
        for rows in parts(array.len(), self.page_rows) {
            let keys = array.keys().slice(rows.start, rows.len());
            self.begin_rows(&keys);
            self.push_keys(&keys, words);
            self.end_rows(compressor)?;
        }
        Ok(())
    }

    /// Appends texts as they come.
    pub(crate) fn write(&mut self, array: &StringArray, compressor: &mut Compressor<'_>) -> Result<()> {
        for rows in parts(array.len(), self.page_rows) {
            let texts = array.slice(rows.start, rows.len());
            self.begin_rows(&texts);
            for text in texts.iter().flatten() {
                self.push(text);
            }
            self.end_rows(compressor)?;
        }
        Ok(())
    }

    /// Appends so many rows of one text.
    pub(crate) fn write_run(&mut self, text: &str, rows: usize, compressor: &mut Compressor<'_>) -> Result<()> {
        for rows in parts(rows, self.page_rows) {
            self.page_rows += rows.len();
            self.levels.push(None, rows.len());
            match &self.plain {
                None => {
                    let key = self.words.key(text, &mut self.bounds);
                    self.keys.resize(self.keys.len() + rows.len(), key);
                }
                Some(_) => rows.for_each(|_| self.push(text)),
            }
            self.end_rows(compressor)?;
        }
        Ok(())
    }

    fn begin_rows(&mut self, array: &dyn Array) {
        self.page_rows += array.len();
        self.nulls += array.null_count();
        self.levels.push(array.nulls(), array.len());
    }

    fn end_rows(&mut self, compressor: &mut Compressor<'_>) -> Result<()> {
        if self.page_rows == PAGE_ROWS || self.plain.as_ref().is_some_and(|plain| plain.len() >= PAGE_BYTES) {
            self.end_page(compressor)?;
        }
        if self.plain.is_none() && self.words.plain.len() > DICTIONARY_BYTES {
            if self.page_rows > 0 {
                self.end_page(compressor)?;
            }
            self.plain = Some(vec![]);
        }
        Ok(())
    }

    fn push_keys<K: ArrowDictionaryKeyType>(&mut self, keys: &PrimitiveArray<K>, words: &StringArray) {
        if self.plain.is_some() {
            keys.iter().flatten().for_each(|key| self.push(words.value(key.as_usize())));
            return;
        }
        let (translated, dictionary, bounds) = (&mut self.translated, &mut self.words, &mut self.bounds);
        extend_valid(&mut self.keys, keys.values(), keys.nulls(), |key| {
            let known = &mut translated[key.as_usize()];
            if *known == UNKNOWN {
                *known = dictionary.key(words.value(key.as_usize()), bounds);
            }
            *known
        });
    }

    fn push(&mut self, text: &str) {
        match &mut self.plain {
            None => self.keys.push(self.words.key(text, &mut self.bounds)),
            Some(plain) => {
                if let Some(bounds) = &mut self.bounds {
                    bounds.widen(text);
                }
                push_plain(text, plain);
            }
        }
    }

    fn end_page(&mut self, compressor: &mut Compressor<'_>) -> Result<()> {
        let mut body = vec![];
        self.levels.take(&mut body);
        let encoding = match &mut self.plain {
            None => {
                keys_page(&self.keys, self.words.len(), &mut body);
                self.keys.clear();
                Encoding::RLE_DICTIONARY
            }
            Some(plain) => {
                body.append(plain);
                Encoding::PLAIN
            }
        };
        self.pages.data(&body, self.page_rows, encoding, compressor)?;
        self.page_rows = 0;
        Ok(())
    }

    pub(crate) fn close(mut self, compressor: &mut Compressor<'_>) -> Result<Encoded> {
        if self.page_rows > 0 {
            self.end_page(compressor)?;
        }
        let nulls = self.nulls as u64;
        let statistics = self.bounds.map(|bounds| bounds.statistics(nulls));
        self.pages.close(Some((&self.words.plain, self.words.len())), statistics, compressor)
    }
}

/// Appends a page's keys of a dictionary of that many values.
pub(crate) fn keys_page(keys: &[u32], values: usize, out: &mut Vec<u8>) {
    let width = width(values.saturating_sub(1) as u32);
    out.push(width as u8);
    hybrid::encode(keys, width, out);
}

fn push_plain(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// The dictionary: every text once, in the order they came.
#[derive(Default)]
struct Words {
    /// Each text behind its length, as the dictionary's page holds them.
    plain: Vec<u8>,
    /// Where each text starts in `plain`.
    starts: Vec<u32>,
    table: HashTable<u32>,
}

impl Words {
    fn len(&self) -> usize {
        self.starts.len()
    }

    fn text(plain: &[u8], start: u32) -> &[u8] {
        let (length, text) = plain[start as usize..].split_at(4);
        &text[..u32::from_le_bytes(length.try_into().expect("a length has four bytes")) as usize]
    }

    fn key(&mut self, text: &str, bounds: &mut Option<Bounds>) -> u32 {
        let Self { plain, starts, table } = self;
        let same = |key: &u32| Self::text(plain, starts[*key as usize]) == text.as_bytes();
        let hash = xxh3_64(text.as_bytes());
        if let Some(key) = table.find(hash, same) {
            return *key;
        }
        let key = starts.len() as u32;
        table.insert_unique(hash, key, |key| xxh3_64(Self::text(plain, starts[*key as usize])));
        starts.push(plain.len() as u32);
        push_plain(text, plain);
        if let Some(bounds) = bounds {
            bounds.widen(text);
        }
        key
    }
}

/// The least and the greatest text.
#[derive(Default)]
struct Bounds(Option<(String, String)>);

impl Bounds {
    fn widen(&mut self, text: &str) {
        match &mut self.0 {
            None => self.0 = Some((text.to_owned(), text.to_owned())),
            Some((low, _)) if text < low.as_str() => text.clone_into(low),
            Some((_, high)) if text > high.as_str() => text.clone_into(high),
            Some(_) => {}
        }
    }

    /// Long bounds are cut: the lower one is then less than every text, the upper one greater.
    fn statistics(self, nulls: u64) -> Statistics {
        let (low, high) = self.0.unzip();
        let cut = |text: &String| text.len() > BOUND_BYTES;
        let (low_exact, high_exact) = (!low.as_ref().is_some_and(cut), !high.as_ref().is_some_and(cut));
        let low = low.map(|text| head(&text).to_owned());
        let high = high.and_then(|text| if high_exact { Some(text) } else { successor(head(&text)) });
        let bytes = |text: Option<String>| text.map(|text| ByteArray::from(text.into_bytes()));
        let statistics = ValueStatistics::new(bytes(low), bytes(high), None, Some(nulls), false);
        Statistics::ByteArray(statistics.with_min_is_exact(low_exact).with_max_is_exact(high_exact))
    }
}

fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(BOUND_BYTES)]
}

/// The least text of at most this length that is greater than all that begin with it; there may be none.
fn successor(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    while let Some(last) = text.pop() {
        let next = char::from_u32(u32::from(last) + 1).filter(|next| next.len_utf8() == last.len_utf8());
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}
