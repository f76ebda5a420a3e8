//! Text as keys of a dictionary.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, PrimitiveArray, StringArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowDictionaryKeyType, ArrowNativeType, UInt16Type, UInt32Type};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::text::Varlen;
use super::{Values, renew};
use crate::catalog::ColumnType;

/// The words of a dictionary, each known by its key.
pub trait Vocabulary {
    /// Logical type of columns.
    const TYPE: ColumnType;
    /// A word.
    type Word<'v>;
    /// A key.
    type Key: ArrowNativeType + Debug;
    /// Its Arrow type.
    type ArrowKey: ArrowDictionaryKeyType<Native = Self::Key>;
    /// The key of a word, which is taken in if it is new.
    fn key(&mut self, word: Self::Word<'_>) -> Self::Key;
    /// Bytes held by the words.
    fn bytes(&self) -> usize;
    /// The words in the order of their keys, at the end of a group.
    fn finish(&mut self) -> StringArray;
}

/// One key a row, and the words they stand for.
#[derive(Debug, Default)]
pub struct Dictionary<V: Vocabulary> {
    keys: Vec<V::Key>,
    words: V,
}

impl<V: Vocabulary> Dictionary<V> {
    /// The key of a word, which is taken in if it is new.
    #[inline]
    pub(super) fn key(&mut self, word: V::Word<'_>) -> V::Key {
        self.words.key(word)
    }

    /// Appends words by their keys, and what stands for none.
    #[inline]
    pub(super) fn extend_keys(&mut self, keys: impl Iterator<Item = Option<V::Key>>) {
        self.keys.extend(keys.map(Option::unwrap_or_default));
    }
}

impl<V: Vocabulary> Values for Dictionary<V> {
    const TYPE: ColumnType = V::TYPE;
    type Value<'v> = V::Word<'v>;

    #[inline]
    fn push(&mut self, value: V::Word<'_>) {
        let key = self.words.key(value);
        self.keys.push(key);
    }
    #[inline]
    fn push_nothing(&mut self) {
        self.keys.push(V::Key::default());
    }
    #[inline]
    fn extend<'v>(&mut self, values: impl Iterator<Item = Option<V::Word<'v>>>)
    where
        Self: 'v,
    {
        let Self { keys, words } = self;
        keys.extend(values.map(|word| word.map_or_else(V::Key::default, |word| words.key(word))));
    }
    fn len(&self) -> usize {
        self.keys.len()
    }
    fn truncate(&mut self, len: usize) {
        self.keys.truncate(len);
    }
    fn bytes(&self) -> usize {
        std::mem::size_of_val(self.keys.as_slice()) + self.words.bytes()
    }
    fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        let keys = PrimitiveArray::<V::ArrowKey>::new(ScalarBuffer::from(renew(&mut self.keys)), nulls);
        Arc::new(DictionaryArray::new(keys, Arc::new(self.words.finish())))
    }
}

/// Static words, which stay from group to group.
#[derive(Debug, Default)]
pub struct Statics {
    words: Vec<&'static str>,
    /// By address and length: the same static word is the same pointer.
    known: HashMap<(usize, usize), u16>,
    /// The word last seen in each slot: most lookups end here, without a hash of `known`'s kind.
    recent: Vec<Option<(&'static str, u16)>>,
}

/// Slots of recent words, as bits.
const RECENT_BITS: u32 = 8;

impl Statics {
    /// The key of a word that is not in its slot of recent words.
    fn look_up(&mut self, word: &'static str) -> u16 {
        let address = (word.as_ptr() as usize, word.len());
        if let Some(key) = self.known.get(&address) {
            return *key;
        }
        // The same word can stand at two addresses: the dictionary must still hold it once.
        let key = match self.words.iter().position(|known| *known == word) {
            Some(position) => position as u16,
            None => {
                self.words.push(word);
                u16::try_from(self.words.len() - 1).expect("a vocabulary has fewer than 65,536 words")
            }
        };
        self.known.insert(address, key);
        key
    }
}

impl Vocabulary for Statics {
    const TYPE: ColumnType = ColumnType::Symbol;
    type Word<'v> = &'static str;
    type Key = u16;
    type ArrowKey = UInt16Type;

    #[inline]
    fn key(&mut self, word: &'static str) -> u16 {
        let mixed = (word.as_ptr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = (mixed >> (u64::BITS - RECENT_BITS)) as usize;
        if let Some(Some((recent, key))) = self.recent.get(slot)
            && std::ptr::eq(*recent, word)
        {
            return *key;
        }
        let key = self.look_up(word);
        self.recent.resize(1 << RECENT_BITS, None);
        self.recent[slot] = Some((word, key));
        key
    }
    /// They are the program's.
    fn bytes(&self) -> usize {
        0
    }
    fn finish(&mut self) -> StringArray {
        StringArray::from(self.words.clone())
    }
}

/// Words of any text, which go with their group.
#[derive(Debug, Default)]
pub struct Texts {
    words: Varlen,
    table: HashTable<u32>,
}

impl Vocabulary for Texts {
    const TYPE: ColumnType = ColumnType::Words;
    type Word<'v> = &'v str;
    type Key = u32;
    type ArrowKey = UInt32Type;

    #[inline]
    fn key(&mut self, word: &str) -> u32 {
        let Self { words, table } = self;
        let word = word.as_bytes();
        let hash = xxh3_64(word);
        match table.find(hash, |key| words.value(*key as usize) == word) {
            Some(key) => *key,
            None => {
                let key = words.len() as u32;
                words.push(word);
                table.insert_unique(hash, key, |key| xxh3_64(words.value(*key as usize)));
                key
            }
        }
    }
    fn bytes(&self) -> usize {
        self.words.bytes()
    }
    fn finish(&mut self) -> StringArray {
        self.table.clear();
        self.words.finish_text(None)
    }
}
