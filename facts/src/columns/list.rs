//! Columns of lists.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};

use super::{Builder, Typed, Varlen};
use crate::catalog::ColumnType;

/// Non-null lists of non-null text.
#[derive(Debug, Default)]
pub struct TextList {
    items: Varlen,
    /// Items up to the end of each list.
    ends: Vec<i32>,
}

impl TextList {
    /// Appends a list.
    pub fn push<'v>(&mut self, items: impl IntoIterator<Item = &'v str>) {
        items.into_iter().for_each(|item| self.items.push(item.as_bytes()));
        self.ends.push(i32::try_from(self.items.ends.len()).expect("a group of files holds less than 2^31 texts"));
    }
}

impl Typed for TextList {
    const TYPE: ColumnType = ColumnType::Utf8List;
    const NULLABLE: bool = false;
}

impl Builder for TextList {
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
        let ends = std::mem::take(&mut self.ends);
        let offsets = OffsetBuffer::new(ScalarBuffer::from([vec![0], ends].concat()));
        Arc::new(ListArray::new(Arc::new(Field::new("element", DataType::Utf8, true)), offsets, Arc::new(items), None))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    #[test]
    fn truncation_takes_lists_back() {
        let mut lists = TextList::default();
        lists.push(["a", "bc"]);
        lists.push([]);
        lists.push(["d"]);
        lists.truncate(2);
        lists.push(["é", "f"]);
        let array = lists.finish();
        let lists_found = array.as_list::<i32>();
        let texts = |row: usize| {
            let list = lists_found.value(row);
            list.as_string::<i32>().iter().map(|v| v.unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            (array.len(), texts(0), texts(1), texts(2)),
            (3, vec!["a".into(), "bc".into()], vec![], vec!["é".into(), "f".into()])
        );
        assert_eq!((lists.len(), lists.bytes()), (0, 0));
    }
}
