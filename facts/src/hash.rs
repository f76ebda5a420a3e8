//! Stable hashes: of files' identities and of rows.
//!
//! A row's hash is a sum over its columns, each mixed with its column's name; nulls add nothing, so a nullable column
//! that a later version adds leaves the hashes of older rows as they were. The hash of a (file, dataset) is the sum of
//! its rows' hashes: it does not depend on batches, shards or encodings, and a lost, doubled or changed row moves it.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Identity of a file: xxh3-64 over repository, NUL, path bytes.
pub fn file_id(repo: &str, path: &[u8]) -> i64 {
    let mut key = Vec::with_capacity(repo.len() + 1 + path.len());
    key.extend_from_slice(repo.as_bytes());
    key.push(0);
    key.extend_from_slice(path);
    xxh3_64(&key) as i64
}

/// A 64-bit stable hash of bytes, for fingerprints and digests that need not resist an adversary.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Folded multiplication (as in wyhash): both halves of the product carry every input bit.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xd6e8_feb8_6659_fd93;

/// Rows whose bits one word holds.
const BITS: usize = u64::BITS as usize;

#[inline]
fn mix(value: u64, salt: u64) -> u64 {
    fold(value ^ salt, K0 ^ salt.rotate_left(32))
}

/// Hashes of the rows of a batch; the columns count by name, their order and encoding do not.
///
/// # Errors
/// If a column has a type that no dataset uses.
pub fn row_hashes(batch: &RecordBatch) -> Result<Vec<u64>, ArrowError> {
    let mut hashes = vec![0u64; batch.num_rows()];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        add_column(&mut hashes, column, xxh3_64(field.name().as_bytes()))?;
    }
    for hash in &mut hashes {
        *hash = fold(*hash ^ K1, K0);
    }
    Ok(hashes)
}

/// The hash of a set of rows: their sum.
pub fn rows_hash(hashes: &[u64]) -> i64 {
    hashes.iter().fold(0u64, |sum, hash| sum.wrapping_add(*hash)) as i64
}

/// Adds what rows with a value have for it. Values come and go in runs, so 64 rows that all have one, or all none, are
/// told at once; which of the others are null can't be foreseen, so there is no branch for it.
#[inline]
fn add_valid<T: Copy>(hashes: &mut [u64], values: &[T], nulls: Option<&NullBuffer>, of: impl Fn(T) -> u64) {
    let add = |rows: std::iter::Zip<std::slice::IterMut<'_, u64>, std::slice::Iter<'_, T>>| {
        rows.for_each(|(hash, value)| *hash = hash.wrapping_add(of(*value)));
    };
    let Some(nulls) = nulls else { return add(hashes.iter_mut().zip(values)) };
    let valid = nulls.inner().bit_chunks();
    for ((hashes, values), valid) in hashes.chunks_mut(BITS).zip(values.chunks(BITS)).zip(valid.iter_padded()) {
        let rows = hashes.iter_mut().zip(values);
        match valid {
            0 => {}
            u64::MAX => add(rows),
            _ => rows.enumerate().for_each(|(bit, (hash, value))| {
                let mask = (valid >> bit & 1).wrapping_neg();
                *hash = hash.wrapping_add(of(*value) & mask);
            }),
        }
    }
}

/// Adds what `false` and `true` stand for, without nulls.
fn add_booleans(hashes: &mut [u64], values: &BooleanBuffer, of: [u64; 2]) {
    for (hashes, bits) in hashes.chunks_mut(BITS).zip(values.bit_chunks().iter_padded()) {
        match bits {
            0 => hashes.iter_mut().for_each(|hash| *hash = hash.wrapping_add(of[0])),
            u64::MAX => hashes.iter_mut().for_each(|hash| *hash = hash.wrapping_add(of[1])),
            _ => hashes.iter_mut().enumerate().for_each(|(bit, hash)| {
                *hash = hash.wrapping_add(of[(bits >> bit & 1) as usize]);
            }),
        }
    }
}

fn add_column(hashes: &mut [u64], column: &ArrayRef, salt: u64) -> Result<(), ArrowError> {
    if column.null_count() == column.len() {
        return Ok(());
    }
    macro_rules! values {
        ($array:expr, $value:expr) => {{
            let array = $array;
            for (row, hash) in hashes.iter_mut().enumerate() {
                if array.is_valid(row) {
                    *hash = hash.wrapping_add(mix($value(array.value(row)), salt));
                }
            }
        }};
    }
    macro_rules! integers {
        ($ty:ty) => {{
            let array = column.as_primitive::<$ty>();
            add_valid(hashes, array.values(), array.nulls(), |value| mix(value as u64, salt));
        }};
    }
    let bytes = |value: &[u8]| xxh3_64_with_seed(value, salt);
    match column.data_type() {
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => integers!(TimestampMicrosecondType),
        DataType::Boolean if column.null_count() == 0 => {
            add_booleans(hashes, column.as_boolean().values(), [1, 2].map(|value| mix(value, salt)));
        }
        DataType::Boolean => values!(column.as_boolean(), |value: bool| u64::from(value) + 1),
        DataType::Utf8 => values!(column.as_string::<i32>(), |value: &str| bytes(value.as_bytes())),
        DataType::LargeUtf8 => values!(column.as_string::<i64>(), |value: &str| bytes(value.as_bytes())),
        DataType::Utf8View => values!(column.as_string_view(), |value: &str| bytes(value.as_bytes())),
        DataType::Binary => values!(column.as_binary::<i32>(), bytes),
        DataType::LargeBinary => values!(column.as_binary::<i64>(), bytes),
        DataType::BinaryView => values!(column.as_binary_view(), bytes),
        DataType::Dictionary(key, _) => {
            macro_rules! dictionary {
                ($ty:ty) => {{
                    let array = column.as_dictionary::<$ty>();
                    let mut of_value = vec![0u64; array.values().len()];
                    add_column(&mut of_value, array.values(), salt)?;
                    let keys = array.keys();
                    // A null's key may be any.
                    let of_key = |key| of_value.get(key as usize).copied().unwrap_or_default();
                    add_valid(hashes, keys.values(), keys.nulls(), of_key);
                }};
            }
            match key.as_ref() {
                DataType::UInt8 => dictionary!(UInt8Type),
                DataType::UInt16 => dictionary!(UInt16Type),
                DataType::UInt32 => dictionary!(UInt32Type),
                DataType::Int32 => dictionary!(Int32Type),
                other => return Err(unsupported(other)),
            }
        }
        DataType::List(_) => {
            let array = column.as_list::<i32>();
            let mut of_item = vec![0u64; array.values().len()];
            add_column(&mut of_item, array.values(), salt)?;
            for (row, hash) in hashes.iter_mut().enumerate() {
                if array.is_valid(row) {
                    let offsets = array.value_offsets();
                    let items = &of_item[offsets[row] as usize..offsets[row + 1] as usize];
                    let list = items.iter().fold(K1 ^ items.len() as u64, |sum, item| fold(sum ^ item, K0));
                    *hash = hash.wrapping_add(mix(list, salt));
                }
            }
        }
        DataType::Null => {}
        other => return Err(unsupported(other)),
    }
    Ok(())
}

fn unsupported(ty: &DataType) -> ArrowError {
    ArrowError::NotYetImplemented(format!("row hash of a column of type {ty}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, DictionaryArray, Int32Array, StringArray, StringViewArray};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
    }

    #[test]
    fn encodings_and_column_order_do_not_matter() {
        let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
        let dictionary: ArrayRef =
            Arc::new(vec![Some("a"), None, Some("b")].into_iter().collect::<DictionaryArray<UInt16Type>>());
        let view: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), None, Some("b")]));
        let number: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let expected = row_hashes(&batch(vec![("t", plain), ("n", number.clone())])).unwrap();
        assert_eq!(row_hashes(&batch(vec![("n", number.clone()), ("t", dictionary)])).unwrap(), expected);
        assert_eq!(row_hashes(&batch(vec![("t", view), ("n", number)])).unwrap(), expected);
    }

    /// Rows are read 64 at a time; what a row has must not depend on its neighbours.
    #[test]
    fn a_row_has_the_same_hash_wherever_it_lies() {
        let rows = 400;
        // Stretches of all, of none and of some.
        let valid = |row: usize| row < 130 || row > 270 && row % 3 == 1;
        let number: Int32Array = (0..rows).map(|row| valid(row).then_some(row as i32)).collect();
        let word = ["a", "b", ""];
        let words: DictionaryArray<UInt16Type> = (0..rows).map(|row| valid(row + 9).then_some(word[row % 3])).collect();
        let known: BooleanArray = (0..rows).map(|row| Some(row > 70 && (row < 200 || row % 5 == 0))).collect();
        let flags: BooleanArray = (0..rows).map(|row| valid(row).then_some(row % 7 == 0)).collect();
        let batch = batch(vec![
            ("number", Arc::new(number)),
            ("words", Arc::new(words)),
            ("known", Arc::new(known)),
            ("flags", Arc::new(flags)),
        ]);
        let alone: Vec<u64> = (0..rows).flat_map(|row| row_hashes(&batch.slice(row, 1)).unwrap()).collect();
        assert_eq!(row_hashes(&batch).unwrap(), alone);
        assert_eq!(row_hashes(&batch.slice(37, 300)).unwrap(), alone[37..337]);
    }

    #[test]
    fn swapped_and_doubled_values_are_seen() {
        let one = |a: [i32; 2], b: [i32; 2]| {
            let columns: Vec<(&str, ArrayRef)> =
                vec![("a", Arc::new(Int32Array::from(a.to_vec()))), ("b", Arc::new(Int32Array::from(b.to_vec())))];
            rows_hash(&row_hashes(&batch(columns)).unwrap())
        };
        assert_ne!(one([1, 2], [3, 4]), one([2, 1], [3, 4]));
        assert_ne!(one([1, 2], [3, 4]), one([3, 4], [1, 2]));
        assert_ne!(one([1, 1], [3, 3]), one([1, 2], [3, 4]));
        assert_eq!(one([1, 2], [3, 4]), one([2, 1], [4, 3]), "a set of rows has no order");
    }

    #[test]
    fn a_new_nullable_column_keeps_old_hashes() {
        let n: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let nulls: ArrayRef = Arc::new(Int32Array::from(vec![None, None]));
        assert_eq!(
            row_hashes(&batch(vec![("n", n.clone())])).unwrap(),
            row_hashes(&batch(vec![("n", n), ("later", nulls)])).unwrap()
        );
    }

    #[test]
    fn the_definition_is_stable() {
        let n: ArrayRef = Arc::new(Int32Array::from(vec![1, -2]));
        let t: ArrayRef = Arc::new(StringArray::from(vec!["x", ""]));
        let hashes = row_hashes(&batch(vec![("n", n), ("t", t)])).unwrap();
        // Stored hashes must stay comparable across versions: a change here needs a new lake format.
        assert_eq!(file_id("r", b"a/b.py"), -8_855_639_777_703_706_601);
        assert_eq!(hashes, [17_570_126_027_464_944_363, 10_271_956_114_875_970_482]);
        let flags = row_hashes(&batch(vec![("f", Arc::new(BooleanArray::from(vec![false, true])))])).unwrap();
        assert_eq!(flags, [18_177_506_922_723_427_916, 9_566_812_332_233_067_524]);
        let with_null: BooleanArray = [Some(false), Some(true), None].into_iter().collect();
        assert_eq!(row_hashes(&batch(vec![("f", Arc::new(with_null))])).unwrap()[..2], flags);
    }
}
