//! Values of varying length: text, bytes, and lists of text.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, ListArray, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use super::{Builder, Typed, Values, renew};
use crate::catalog::ColumnType;

/// Bytes, and where each value ends.
#[derive(Debug, Default)]
pub(super) struct Varlen {
    ends: Vec<i32>,
    data: Vec<u8>,
}

impl Varlen {
    /// A column holds less than 2 GiB, as Arrow's 32-bit offsets ask; groups of files are cut long before.
    #[inline]
    pub(super) fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.ends.push(i32::try_from(self.data.len()).expect("a group of files holds less than 2 GiB of text"));
    }

    #[inline]
    pub(super) fn value(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.data[start..self.ends[row] as usize]
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.data.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    pub(super) fn bytes(&self) -> usize {
        self.data.len() + 4 * self.ends.len()
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Vec<u8>) {
        (offsets(&mut self.ends), renew(&mut self.data))
    }

    /// Takes the values out as text. Only whole `str` values may have been appended.
    pub(super) fn finish_text(&mut self, nulls: Option<NullBuffer>) -> StringArray {
        let (offsets, data) = self.finish();
        // SAFETY: only whole `str` values were appended, and truncation falls on their ends.
        unsafe { StringArray::new_unchecked(offsets, data.into(), nulls) }
    }
}

/// Takes the ends of values out as Arrow's offsets.
fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.append(ends);
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

macro_rules! varlen {
    ($(#[$doc:meta])+ $name:ident, $value:ty, $as_bytes:ident, $ty:ident, $finish:expr) => {
        $(#[$doc])+
        #[derive(Debug, Default)]
        pub struct $name(Varlen);

        impl Values for $name {
            const TYPE: ColumnType = ColumnType::$ty;
            type Value<'v> = &'v $value;

            #[inline]
            fn push(&mut self, value: &$value) {
                self.0.push(value.$as_bytes());
            }
            #[inline]
            fn push_nothing(&mut self) {
                self.0.push(&[]);
            }
            fn len(&self) -> usize {
                self.0.len()
            }
            fn truncate(&mut self, len: usize) {
                self.0.truncate(len);
            }
            fn bytes(&self) -> usize {
                self.0.bytes()
            }
            fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
                $finish(&mut self.0, nulls)
            }
        }
    };
}

varlen!(
    /// Texts.
    Text, str, as_bytes, Utf8, |values: &mut Varlen, nulls| -> ArrayRef { Arc::new(values.finish_text(nulls)) }
);
varlen!(
    /// Bytes.
    Bytes, [u8], as_ref, Binary, |values: &mut Varlen, nulls| -> ArrayRef {
        let (offsets, data) = values.finish();
        Arc::new(BinaryArray::new(offsets, data.into(), nulls))
    }
);

/// Non-null lists of non-null text.
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
        self.ends.push(i32::try_from(self.items.len()).expect("items hold at least their end each"));
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
        self.items.bytes() + 4 * self.ends.len()
    }
    fn finish(&mut self) -> ArrayRef {
        let items = self.items.finish_text(None);
        let DataType::List(item) = Self::TYPE.sent() else { unreachable!("a list is sent as a list") };
        Arc::new(ListArray::new(item, offsets(&mut self.ends), Arc::new(items), None))
    }
}
