//! Column builders: growable, truncatable, and turned into Arrow without a copy.
//!
//! Arrow's own builders can't take rows back, which a file that breaks a limit half-way needs.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    UInt16Array, UInt32Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

mod list;

pub use list::TextList;

use crate::catalog::{ColumnType, Dataset};

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

macro_rules! primitive {
    ($name:ident, $opt:ident, $native:ty, $array:ident, $ty:ident) => {
        #[doc = concat!("Non-null `", stringify!($native), "` values.")]
        #[derive(Debug, Default)]
        pub struct $name(Vec<$native>);
        impl $name {
            /// Appends a value.
            #[inline]
            pub fn push(&mut self, value: $native) {
                self.0.push(value);
            }
        }
        impl Typed for $name {
            const TYPE: ColumnType = ColumnType::$ty;
            const NULLABLE: bool = false;
        }
        impl Builder for $name {
            fn len(&self) -> usize {
                self.0.len()
            }
            fn truncate(&mut self, rows: usize) {
                self.0.truncate(rows);
            }
            fn bytes(&self) -> usize {
                std::mem::size_of_val(self.0.as_slice())
            }
            fn finish(&mut self) -> ArrayRef {
                Arc::new($array::new(ScalarBuffer::from(renew(&mut self.0)), None))
            }
        }

        #[doc = concat!("Nullable `", stringify!($native), "` values.")]
        #[derive(Debug, Default)]
        pub struct $opt(Vec<$native>, Validity);
        impl $opt {
            /// Appends a value or a null.
            #[inline]
            pub fn push(&mut self, value: Option<$native>) {
                self.0.push(value.unwrap_or_default());
                self.1.push(value.is_some());
            }
        }
        impl Typed for $opt {
            const TYPE: ColumnType = ColumnType::$ty;
            const NULLABLE: bool = true;
        }
        impl Builder for $opt {
            fn len(&self) -> usize {
                self.0.len()
            }
            fn truncate(&mut self, rows: usize) {
                self.0.truncate(rows);
                self.1.truncate(rows);
            }
            fn bytes(&self) -> usize {
                std::mem::size_of_val(self.0.as_slice())
            }
            fn finish(&mut self) -> ArrayRef {
                let nulls = self.1.finish();
                Arc::new($array::new(ScalarBuffer::from(renew(&mut self.0)), nulls))
            }
        }
    };
}

primitive!(Int32, OptInt32, i32, Int32Array, Int32);
primitive!(Int64, OptInt64, i64, Int64Array, Int64);

/// Most values that room is made for in advance.
const ROOM: usize = 1 << 18;

/// Takes the values, and leaves room for as many: one group of files is much like the next.
fn renew<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(values.len().min(ROOM));
    std::mem::replace(values, room)
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

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    fn finish(&mut self) -> Option<NullBuffer> {
        let valid = renew(&mut self.0);
        valid.contains(&false).then(|| NullBuffer::new(BooleanBuffer::from(valid)))
    }
}

/// Non-null booleans.
#[derive(Debug, Default)]
pub struct Bool(Vec<bool>);

impl Bool {
    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: bool) {
        self.0.push(value);
    }
}

impl Typed for Bool {
    const TYPE: ColumnType = ColumnType::Boolean;
    const NULLABLE: bool = false;
}

impl Builder for Bool {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }
    fn bytes(&self) -> usize {
        self.0.len()
    }
    fn finish(&mut self) -> ArrayRef {
        Arc::new(BooleanArray::new(BooleanBuffer::from(std::mem::take(&mut self.0)), None))
    }
}

/// Nullable booleans.
#[derive(Debug, Default)]
pub struct OptBool(Vec<Option<bool>>);

impl OptBool {
    /// Appends a value or a null.
    #[inline]
    pub fn push(&mut self, value: Option<bool>) {
        self.0.push(value);
    }
}

impl Typed for OptBool {
    const TYPE: ColumnType = ColumnType::Boolean;
    const NULLABLE: bool = true;
}

impl Builder for OptBool {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }
    fn bytes(&self) -> usize {
        self.0.len()
    }
    fn finish(&mut self) -> ArrayRef {
        Arc::new(BooleanArray::from(std::mem::take(&mut self.0)))
    }
}

/// Bytes and where each value ends.
#[derive(Debug, Default)]
struct Varlen {
    ends: Vec<i32>,
    data: Vec<u8>,
}

impl Varlen {
    /// A column holds less than 2 GiB, as Arrow's 32-bit offsets ask; groups of files are cut long before.
    #[inline]
    fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.ends.push(i32::try_from(self.data.len()).expect("a group of files holds less than 2 GiB of text"));
    }

    #[inline]
    fn value(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.data[start..self.ends[row] as usize]
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.data.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Vec<u8>) {
        let mut offsets = Vec::with_capacity(self.ends.len() + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), renew(&mut self.data))
    }
}

macro_rules! varlen {
    ($name:ident, $opt:ident, $value:ty, $as_bytes:ident, $array:ident, $ty:ident, $build:expr) => {
        #[doc = concat!("Non-null `", stringify!($value), "` values.")]
        #[derive(Debug, Default)]
        pub struct $name(Varlen);
        impl $name {
            /// Appends a value.
            #[inline]
            pub fn push(&mut self, value: &$value) {
                self.0.push(value.$as_bytes());
            }
        }
        impl Typed for $name {
            const TYPE: ColumnType = ColumnType::$ty;
            const NULLABLE: bool = false;
        }
        impl Builder for $name {
            fn len(&self) -> usize {
                self.0.ends.len()
            }
            fn truncate(&mut self, rows: usize) {
                self.0.truncate(rows);
            }
            fn bytes(&self) -> usize {
                self.0.data.len() + 4 * self.0.ends.len()
            }
            fn finish(&mut self) -> ArrayRef {
                let (offsets, data) = self.0.finish();
                Arc::new($build(offsets, data, None))
            }
        }

        #[doc = concat!("Nullable `", stringify!($value), "` values.")]
        #[derive(Debug, Default)]
        pub struct $opt(Varlen, Validity);
        impl $opt {
            /// Appends a value or a null.
            #[inline]
            pub fn push(&mut self, value: Option<&$value>) {
                self.0.push(value.map_or(&[][..], |v| v.$as_bytes()));
                self.1.push(value.is_some());
            }
        }
        impl Typed for $opt {
            const TYPE: ColumnType = ColumnType::$ty;
            const NULLABLE: bool = true;
        }
        impl Builder for $opt {
            fn len(&self) -> usize {
                self.0.ends.len()
            }
            fn truncate(&mut self, rows: usize) {
                self.0.truncate(rows);
                self.1.truncate(rows);
            }
            fn bytes(&self) -> usize {
                self.0.data.len() + 4 * self.0.ends.len()
            }
            fn finish(&mut self) -> ArrayRef {
                let (offsets, data) = self.0.finish();
                Arc::new($build(offsets, data, self.1.finish()))
            }
        }
    };
}

varlen!(Utf8, OptUtf8, str, as_bytes, StringArray, Utf8, |offsets, data: Vec<u8>, nulls| {
    // SAFETY: only whole `str` values were appended, and truncation falls on their ends.
    unsafe { StringArray::new_unchecked(offsets, data.into(), nulls) }
});
varlen!(Binary, OptBinary, [u8], as_ref, BinaryArray, Binary, |offsets, data: Vec<u8>, nulls| BinaryArray::new(
    offsets,
    data.into(),
    nulls
));

/// Non-null lists of text.
#[derive(Debug, Default)]
pub struct Utf8List {
    /// Where each list ends among the items.
    ends: Vec<i32>,
    items: Varlen,
}

impl Utf8List {
    /// Appends a list.
    #[inline]
    pub fn push<'v>(&mut self, values: impl IntoIterator<Item = &'v str>) {
        values.into_iter().for_each(|value| self.items.push(value.as_bytes()));
        self.ends.push(i32::try_from(self.items.ends.len()).expect("items hold at least their end each"));
    }
}

impl Typed for Utf8List {
    const TYPE: ColumnType = ColumnType::Utf8List;
    const NULLABLE: bool = false;
}

impl Builder for Utf8List {
    fn len(&self) -> usize {
        self.ends.len()
    }
    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.items.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }
    fn bytes(&self) -> usize {
        self.items.data.len() + 4 * (self.items.ends.len() + self.ends.len())
    }
    fn finish(&mut self) -> ArrayRef {
        let (offsets, data) = self.items.finish();
        // SAFETY: only whole `str` values were appended, and truncation falls on their ends.
        let items = unsafe { StringArray::new_unchecked(offsets, data.into(), None) };
        let mut offsets = Vec::with_capacity(self.ends.len() + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        let DataType::List(item) = Self::TYPE.sent() else { unreachable!("a list is sent as a list") };
        Arc::new(ListArray::new(item, OffsetBuffer::new(ScalarBuffer::from(offsets)), Arc::new(items), None))
    }
}

/// Text of a small vocabulary (under 65,535 different values in a group of files), kept as dictionary keys.
#[derive(Debug, Default)]
pub struct Symbol {
    keys: Vec<u16>,
    values: Vec<&'static str>,
    /// By address and length: the vocabulary is made of static strings, so the same word is the same pointer.
    known: HashMap<(usize, usize), u16>,
    /// The word last seen in each slot: most lookups end here, without a hash of `known`'s kind.
    recent: Vec<Option<(&'static str, u16)>>,
}

/// Slots of recent words, as bits.
const RECENT_BITS: u32 = 8;

impl Symbol {
    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: &'static str) {
        let mixed = (value.as_ptr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = (mixed >> (u64::BITS - RECENT_BITS)) as usize;
        if let Some(Some((recent, key))) = self.recent.get(slot)
            && std::ptr::eq(*recent, value)
        {
            self.keys.push(*key);
            return;
        }
        let key = self.key(value);
        self.recent.resize(1 << RECENT_BITS, None);
        self.recent[slot] = Some((value, key));
        self.keys.push(key);
    }

    fn key(&mut self, value: &'static str) -> u16 {
        let address = (value.as_ptr() as usize, value.len());
        if let Some(key) = self.known.get(&address) {
            return *key;
        }
        // The same word can stand at two addresses: the dictionary must still hold it once.
        let key = match self.values.iter().position(|v| *v == value) {
            Some(position) => position as u16,
            None => {
                self.values.push(value);
                u16::try_from(self.values.len() - 1).expect("a vocabulary has fewer than 65,536 words")
            }
        };
        self.known.insert(address, key);
        key
    }
}

impl Typed for Symbol {
    const TYPE: ColumnType = ColumnType::Symbol;
    const NULLABLE: bool = false;
}

impl Builder for Symbol {
    fn len(&self) -> usize {
        self.keys.len()
    }
    fn truncate(&mut self, rows: usize) {
        self.keys.truncate(rows);
    }
    fn bytes(&self) -> usize {
        2 * self.keys.len()
    }
    fn finish(&mut self) -> ArrayRef {
        let keys = UInt16Array::new(ScalarBuffer::from(renew(&mut self.keys)), None);
        Arc::new(DictionaryArray::new(keys, Arc::new(StringArray::from(self.values.clone()))))
    }
}

/// Like [`Symbol`], with nulls.
#[derive(Debug, Default)]
pub struct OptSymbol(Symbol, Validity);

impl OptSymbol {
    /// Appends a value or a null.
    #[inline]
    pub fn push(&mut self, value: Option<&'static str>) {
        match value {
            Some(value) => self.0.push(value),
            None => self.0.keys.push(0),
        }
        self.1.push(value.is_some());
    }
}

impl Typed for OptSymbol {
    const TYPE: ColumnType = ColumnType::Symbol;
    const NULLABLE: bool = true;
}

impl Builder for OptSymbol {
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
        let keys = UInt16Array::new(ScalarBuffer::from(renew(&mut self.0.keys)), nulls);
        Arc::new(DictionaryArray::new(keys, Arc::new(StringArray::from(self.0.values.clone()))))
    }
}

/// Text that repeats, as identifiers do: each word is kept once, and rows hold its key. What reads the column then hashes
/// and copies a word once a group of files instead of once a row.
#[derive(Debug, Default)]
pub struct Words {
    keys: Vec<u32>,
    words: Varlen,
    table: HashTable<u32>,
}

impl Words {
    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: &str) {
        let key = self.key(value.as_bytes());
        self.keys.push(key);
    }

    #[inline]
    fn key(&mut self, value: &[u8]) -> u32 {
        let Self { words, table, .. } = self;
        let hash = xxh3_64(value);
        match table.find(hash, |key| words.value(*key as usize) == value) {
            Some(key) => *key,
            None => {
                let key = words.ends.len() as u32;
                words.push(value);
                table.insert_unique(hash, key, |key| xxh3_64(words.value(*key as usize)));
                key
            }
        }
    }

    fn take(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        self.table.clear();
        let (offsets, data) = self.words.finish();
        // SAFETY: only whole `str` values were appended.
        let words = unsafe { StringArray::new_unchecked(offsets, data.into(), None) };
        let keys = ScalarBuffer::from(renew(&mut self.keys));
        Arc::new(DictionaryArray::new(UInt32Array::new(keys, nulls), Arc::new(words)))
    }
}

impl Typed for Words {
    const TYPE: ColumnType = ColumnType::Words;
    const NULLABLE: bool = false;
}

impl Builder for Words {
    fn len(&self) -> usize {
        self.keys.len()
    }
    fn truncate(&mut self, rows: usize) {
        self.keys.truncate(rows);
    }
    fn bytes(&self) -> usize {
        4 * (self.keys.len() + self.words.ends.len()) + self.words.data.len()
    }
    fn finish(&mut self) -> ArrayRef {
        self.take(None)
    }
}

/// Like [`Words`], with nulls.
#[derive(Debug, Default)]
pub struct OptWords(Words, Validity);

impl OptWords {
    /// Appends a value or a null.
    #[inline]
    pub fn push(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.0.push(value),
            None => self.0.keys.push(0),
        }
        self.1.push(value.is_some());
    }
}

impl Typed for OptWords {
    const TYPE: ColumnType = ColumnType::Words;
    const NULLABLE: bool = true;
}

impl Builder for OptWords {
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
        self.0.take(nulls)
    }
}

/// A table under construction: one builder a column of its dataset.
pub trait Table {
    /// The dataset it fills.
    fn dataset(&self) -> &'static Dataset;
    /// Rows so far.
    fn rows(&self) -> usize;
    /// Forgets all rows from `rows` on, also of a row that was only half pushed.
    fn truncate(&mut self, rows: usize);
    /// Bytes held by the values.
    fn bytes(&self) -> usize;
    /// Takes the rows out, leaving the table empty.
    fn finish(&mut self) -> RecordBatch;
}

/// Declares a table: the struct of builders that fills it and its entry in the catalog, from one text.
///
/// The type of a column is one of the builders of [`crate::columns`]; `{ unit: "…", source: "…" }` is optional.
///
/// ```ignore
/// fact_table! {
///     /// One row a statement.
///     pub struct Statements = "statements", lane: Some(LaneId::Ast), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
///         /// Position in the file.
///         ordinal: Int32,
///         /// First byte.
///         bstart: Int32 { unit: "byte" },
///     }
/// }
/// ```
#[macro_export]
macro_rules! fact_table {
    (
        $(#[doc = $doc:literal])+
        pub struct $table:ident = $name:literal, lane: $lane:expr, scope: $scope:expr, key: [$($key:literal),+], default: $default:literal {
            $( $(#[doc = $cdoc:literal])+ $column:ident : $builder:ident $({ $($meta:ident : $value:literal),+ })? ),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Default)]
        #[allow(missing_docs)]
        pub struct $table { $( pub $column: $crate::columns::$builder ),+ }

        impl $table {
            /// Its entry in the catalog.
            pub const DATASET: $crate::catalog::Dataset = $crate::catalog::Dataset {
                name: $name,
                lane: $lane,
                scope: $scope,
                doc: concat!($($doc, "\n"),+),
                columns: &[ $(
                    $crate::catalog::Column::new(
                        stringify!($column),
                        <$crate::columns::$builder as $crate::columns::Typed>::TYPE,
                        <$crate::columns::$builder as $crate::columns::Typed>::NULLABLE,
                        concat!($($cdoc, "\n"),+),
                    )$($(.$meta($value))+)?
                ),+ ],
                key: &[$($key),+],
                default: $default,
            };
        }

        impl $crate::columns::Table for $table {
            fn dataset(&self) -> &'static $crate::catalog::Dataset {
                static DATASET: $crate::catalog::Dataset = $table::DATASET;
                &DATASET
            }
            fn rows(&self) -> usize {
                [$( $crate::columns::Builder::len(&self.$column) ),+].into_iter().min().unwrap_or(0)
            }
            fn truncate(&mut self, rows: usize) {
                $( $crate::columns::Builder::truncate(&mut self.$column, rows); )+
            }
            fn bytes(&self) -> usize {
                0 $( + $crate::columns::Builder::bytes(&self.$column) )+
            }
            fn finish(&mut self) -> ::arrow::array::RecordBatch {
                let columns = vec![ $( $crate::columns::Builder::finish(&mut self.$column) ),+ ];
                ::arrow::array::RecordBatch::try_new(self.dataset().sent_schema(), columns)
                    .expect("every row of a table pushes every column")
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;

    #[test]
    fn truncation_takes_rows_back() {
        let mut text = OptUtf8::default();
        for value in [Some("a"), None, Some("bcd")] {
            text.push(value);
        }
        text.truncate(2);
        text.push(Some("é"));
        let array = text.finish();
        assert_eq!(array.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None, Some("é")]);
        assert_eq!(text.len(), 0);
    }

    #[test]
    fn truncation_takes_lists_back() {
        let mut lists = Utf8List::default();
        lists.push(["a", "bc"]);
        lists.push([]);
        lists.push(["d"]);
        lists.truncate(2);
        lists.push(["é"]);
        assert_eq!((lists.len(), lists.bytes()), (3, 5 + 4 * 6));
        let array = lists.finish();
        let list = |row| array.as_list::<i32>().value(row);
        let texts = |row| list(row).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!([texts(0), texts(1), texts(2)], [vec!["a", "bc"], vec![], vec!["é"]]);
        assert_eq!((lists.len(), lists.bytes()), (0, 0));
    }

    #[test]
    fn a_vocabulary_survives_finish() {
        let mut kind = Symbol::default();
        kind.push("Name");
        kind.push("Call");
        kind.push("Name");
        let first = kind.finish();
        kind.push("Call");
        let second = kind.finish();
        let text = |array: &ArrayRef| {
            let plain = arrow::compute::cast(array, &arrow::datatypes::DataType::Utf8).unwrap();
            plain.as_string::<i32>().iter().map(|v| v.unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(text(&first), ["Name", "Call", "Name"]);
        assert_eq!(text(&second), ["Call"]);
    }

    #[test]
    fn a_word_is_kept_once_and_nulls_and_lost_rows_leave_no_trace() {
        let mut name = OptWords::default();
        for value in [Some("self"), None, Some("x"), Some("self"), Some("lost")] {
            name.push(value);
        }
        name.truncate(4);
        name.push(Some("x"));
        let array = name.finish();
        assert_eq!(array.as_dictionary::<arrow::datatypes::UInt32Type>().values().len(), 3);
        let plain = arrow::compute::cast(&array, &arrow::datatypes::DataType::Utf8).unwrap();
        let plain: Vec<Option<&str>> = plain.as_string::<i32>().iter().collect();
        assert_eq!(plain, [Some("self"), None, Some("x"), Some("self"), Some("x")]);
        name.push(Some("x"));
        let next = name.finish();
        assert_eq!(next.as_dictionary::<arrow::datatypes::UInt32Type>().values().len(), 1);
    }
}
