//! Column builders: growable, truncatable, and turned into Arrow without a copy.
//!
//! Arrow's own builders can't take rows back, which a file that breaks a limit half-way needs. A kind of value is a
//! [`Values`]; [`Required`] and [`Optional`] make columns of it, without and with nulls.

mod dictionary;
mod fixed;
mod table;
#[cfg(test)]
mod tests;
mod text;

use arrow::array::ArrayRef;
use arrow::buffer::{BooleanBuffer, NullBuffer};

use crate::catalog::ColumnType;
use dictionary::{Dictionary, Statics, Texts};
use fixed::{Flags, Numbers};
pub use table::Table;
pub use text::Utf8List;
use text::{Bytes, Text};

/// Non-null 32-bit integers.
pub type Int32 = Required<Numbers<i32>>;
/// Nullable 32-bit integers.
pub type OptInt32 = Optional<Numbers<i32>>;
/// Non-null 64-bit integers.
pub type Int64 = Required<Numbers<i64>>;
/// Nullable 64-bit integers.
pub type OptInt64 = Optional<Numbers<i64>>;
/// Non-null booleans.
pub type Bool = Required<Flags>;
/// Nullable booleans.
pub type OptBool = Optional<Flags>;
/// Non-null text.
pub type Utf8 = Required<Text>;
/// Nullable text.
pub type OptUtf8 = Optional<Text>;
/// Non-null bytes.
pub type Binary = Required<Bytes>;
/// Nullable bytes.
pub type OptBinary = Optional<Bytes>;
/// Text of a small vocabulary of static words (under 65,536 in a group of files), kept as dictionary keys.
pub type Symbol = Required<Dictionary<Statics>>;
/// Like [`Symbol`], with nulls.
pub type OptSymbol = Optional<Dictionary<Statics>>;
/// Text that repeats, as identifiers do: each word is kept once, and rows hold its key. What reads the column then hashes
/// and copies a word once a group of files instead of once a row.
pub type Words = Required<Dictionary<Texts>>;
/// Like [`Words`], with nulls.
pub type OptWords = Optional<Dictionary<Texts>>;

/// A column under construction.
pub trait Builder {
    /// Rows so far.
    fn len(&self) -> usize;
    /// Whether there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Forgets all rows from `rows` on.
    fn truncate(&mut self, rows: usize);
    /// Bytes held by the values.
    fn bytes(&self) -> usize;
    /// Takes the rows out as an Arrow array, leaving the builder empty.
    fn finish(&mut self) -> ArrayRef;
}

/// Static facts about a builder type, for the catalog.
pub trait Typed {
    /// Its logical type.
    const TYPE: ColumnType;
    /// Whether it takes nulls.
    const NULLABLE: bool;
}

/// Values of one kind, one a row.
pub trait Values {
    /// Their logical type.
    const TYPE: ColumnType;
    /// One of them.
    type Value<'v>;
    /// Appends a value.
    fn push(&mut self, value: Self::Value<'_>);
    /// Appends what stands where a row has none.
    fn push_nothing(&mut self);
    /// Appends a value for each item that is one, and what stands for none for the others.
    fn extend<'v>(&mut self, values: impl Iterator<Item = Option<Self::Value<'v>>>)
    where
        Self: 'v,
    {
        values.for_each(|value| match value {
            Some(value) => self.push(value),
            None => self.push_nothing(),
        });
    }
    /// Values so far.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Forgets all values from `len` on.
    fn truncate(&mut self, len: usize);
    /// Bytes held by them.
    fn bytes(&self) -> usize;
    /// Takes them out as an Arrow array with these nulls.
    fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef;
}

/// A column of values without nulls.
#[derive(Debug, Default)]
pub struct Required<V>(V);

impl<V: Values> Required<V> {
    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: V::Value<'_>) {
        self.0.push(value);
    }

    /// Appends values.
    #[inline]
    pub fn extend<'v>(&mut self, values: impl Iterator<Item = V::Value<'v>>)
    where
        V: 'v,
    {
        self.0.extend(values.map(Some));
    }
}

impl<V: Values> Typed for Required<V> {
    const TYPE: ColumnType = V::TYPE;
    const NULLABLE: bool = false;
}

impl<V: Values> Builder for Required<V> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }
    fn bytes(&self) -> usize {
        self.0.bytes()
    }
    fn finish(&mut self) -> ArrayRef {
        self.0.finish(None)
    }
}

/// A column of values with nulls.
#[derive(Debug, Default)]
pub struct Optional<V>(V, Validity);

impl<V: Values> Optional<V> {
    /// Appends a value or a null.
    #[inline]
    pub fn push(&mut self, value: Option<V::Value<'_>>) {
        self.1.push(value.is_some());
        match value {
            Some(value) => self.0.push(value),
            None => self.0.push_nothing(),
        }
    }

    /// Appends values and nulls.
    #[inline]
    pub fn extend<'v>(&mut self, values: impl Iterator<Item = Option<V::Value<'v>>> + Clone)
    where
        V: 'v,
    {
        self.1.extend(values.clone().map(|value| value.is_some()));
        self.0.extend(values);
    }

    /// Appends values, and nulls where there is something else instead.
    #[inline]
    pub fn extend_where<'v>(&mut self, valid: &[bool], values: impl Iterator<Item = V::Value<'v>>)
    where
        V: 'v,
    {
        self.1.0.extend_from_slice(valid);
        self.0.extend(values.map(Some));
    }
}

impl Required<Dictionary<Texts>> {
    /// The key of a word, for [`Self::extend_keys`].
    #[inline]
    pub fn key(&mut self, word: &str) -> u32 {
        self.0.key(word)
    }

    /// Appends words, of which the keys were asked for.
    #[inline]
    pub fn extend_keys(&mut self, keys: impl Iterator<Item = u32>) {
        self.0.extend_keys(keys.map(Some));
    }
}

impl Optional<Dictionary<Texts>> {
    /// The key of a word, for [`Self::extend_keys`].
    #[inline]
    pub fn key(&mut self, word: &str) -> u32 {
        self.0.key(word)
    }

    /// Appends words, of which the keys were asked for, and nulls.
    #[inline]
    pub fn extend_keys(&mut self, keys: impl Iterator<Item = Option<u32>> + Clone) {
        self.1.extend(keys.clone().map(|key| key.is_some()));
        self.0.extend_keys(keys);
    }
}

impl<V: Values> Typed for Optional<V> {
    const TYPE: ColumnType = V::TYPE;
    const NULLABLE: bool = true;
}

impl<V: Values> Builder for Optional<V> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
        self.1.truncate(rows);
    }
    fn bytes(&self) -> usize {
        self.0.bytes()
    }
    fn finish(&mut self) -> ArrayRef {
        let nulls = self.1.finish();
        self.0.finish(nulls)
    }
}

/// Which rows have a value: a byte each while they are pushed, as setting single bits costs more than packing them at
/// the end.
#[derive(Debug, Default)]
struct Validity(Vec<bool>);

impl Validity {
    #[inline]
    fn push(&mut self, valid: bool) {
        self.0.push(valid);
    }

    #[inline]
    fn extend(&mut self, valid: impl Iterator<Item = bool>) {
        self.0.extend(valid);
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    fn finish(&mut self) -> Option<NullBuffer> {
        let nulls = NullBuffer::new(packed(&mut self.0));
        (nulls.null_count() > 0).then_some(nulls)
    }
}

/// Takes booleans out as bits.
fn packed(flags: &mut Vec<bool>) -> BooleanBuffer {
    /// Times eight bytes of 0 or 1 it has their lowest bits in its highest byte, the first byte's at the bottom.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let byte = |eight: &[bool]| {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(eight).for_each(|(byte, flag)| *byte = u8::from(*flag));
        (u64::from_le_bytes(bytes).wrapping_mul(GATHER) >> 56) as u8
    };
    let (eights, rest) = flags.as_chunks::<8>();
    let mut bits = Vec::with_capacity(flags.len().div_ceil(8));
    bits.extend(eights.iter().map(|eight| byte(eight)));
    if !rest.is_empty() {
        bits.push(byte(rest));
    }
    let packed = BooleanBuffer::new(bits.into(), 0, flags.len());
    flags.clear();
    flags.shrink_to(ROOM);
    packed
}

/// Most values that room is made for in advance.
const ROOM: usize = 1 << 20;

/// Takes the values, and leaves room for a few more: one group of files is much like the next.
fn renew<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity((values.len() + values.len() / 4).min(ROOM));
    std::mem::replace(values, room)
}
