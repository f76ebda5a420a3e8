//! Stable hashes: of files' identities and of rows.
//!
//! A row's hash is a sum over its columns, each mixed with its column's name; nulls add nothing, so a nullable column
//! that a later version adds leaves the hashes of older rows as they were. The hash of a (file, dataset) is the sum of
//! its rows' hashes: it does not depend on batches, shards or encodings, and a lost, doubled or changed row moves it.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
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

/// All ones where a row has a value, zero where it has none.
fn masks(nulls: &NullBuffer) -> impl Iterator<Item = u64> {
    nulls.iter().map(|valid| u64::from(valid).wrapping_neg())
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
    // Which rows are null can't be foreseen: these loops have no branch for it.
    macro_rules! integers {
        ($ty:ty) => {{
            let array = column.as_primitive::<$ty>();
            let rows = hashes.iter_mut().zip(array.values());
            match array.nulls() {
                None => rows.for_each(|(hash, value)| *hash = hash.wrapping_add(mix(*value as u64, salt))),
                Some(nulls) => rows.zip(masks(nulls)).for_each(|((hash, value), mask)| {
                    *hash = hash.wrapping_add(mix(*value as u64, salt) & mask);
                }),
            }
        }};
    }
    let bytes = |value: &[u8]| xxh3_64_with_seed(value, salt);
    match column.data_type() {
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => integers!(TimestampMicrosecondType),
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
                    let rows = hashes.iter_mut().zip(array.keys().values());
                    match array.keys().nulls() {
                        None => rows.for_each(|(hash, key)| *hash = hash.wrapping_add(of_value[*key as usize])),
                        // A null's key may be any.
                        Some(nulls) => rows.zip(masks(nulls)).for_each(|((hash, key), mask)| {
                            let of_value = of_value.get(*key as usize).copied().unwrap_or_default();
                            *hash = hash.wrapping_add(of_value & mask);
                        }),
                    }
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

    use arrow::array::{DictionaryArray, Int32Array, StringArray, StringViewArray};

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
    }
}
