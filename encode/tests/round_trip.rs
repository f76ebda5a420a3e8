//! Whatever is written is read back, by the reader of another library than the encoders.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not known as tests")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt16Type};
use bytes::Bytes;
use lode_encode::FileWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::statistics::Statistics;
use proptest::prelude::*;

fn written(schema: &SchemaRef, batches: &[RecordBatch]) -> (Bytes, ParquetMetaData) {
    let mut file = FileWriter::new(vec![], schema.clone()).unwrap();
    batches.iter().for_each(|batch| file.write(batch).unwrap());
    let (metadata, size) = file.finish().unwrap();
    let bytes = std::mem::take(file.sink());
    assert_eq!(bytes.len(), size);
    (bytes.into(), metadata)
}

fn read(bytes: Bytes, schema: &SchemaRef) -> RecordBatch {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).unwrap();
    let batches: Vec<RecordBatch> = reader.with_batch_size(1000).build().unwrap().map(Result::unwrap).collect();
    let read = concat_batches(&batches.first().map_or(schema.clone(), |batch| batch.schema()), &batches).unwrap();
    RecordBatch::try_new(schema.clone(), read.columns().to_vec()).unwrap()
}

fn one(column: ArrayRef, nullable: bool) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("column", column.data_type().clone(), nullable)]);
    RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
}

/// Writes a column in pieces and compares.
fn check(column: ArrayRef, nullable: bool, piece: usize) {
    let whole = one(column, nullable);
    let pieces: Vec<RecordBatch> = (0..whole.num_rows())
        .step_by(piece)
        .map(|start| whole.slice(start, piece.min(whole.num_rows() - start)))
        .collect();
    let (bytes, _) = written(&whole.schema(), &pieces);
    assert_eq!(read(bytes, &whole.schema()), whole);
}

fn integers() -> impl Strategy<Value = Vec<i32>> {
    let step = prop_oneof![4 => Just(1), 4 => -3..100i32, 1 => any::<i32>()];
    prop::collection::vec(step, 0..700).prop_map(|steps| {
        steps.into_iter().scan(0i32, |sum, step| (*sum = sum.wrapping_add(step), Some(*sum)).1).collect()
    })
}

/// Runs and single values in turn.
fn words() -> impl Strategy<Value = Vec<Option<String>>> {
    let word = prop_oneof![2 => Just(None), 5 => "[a-e]{0,2}".prop_map(Some), 1 => "\\PC{0,9}".prop_map(Some)];
    prop::collection::vec((word, prop_oneof![3 => 1..3usize, 1 => 1..60usize]), 0..80)
        .prop_map(|runs| runs.into_iter().flat_map(|(word, count)| vec![word; count]).collect())
}

proptest! {
    #[test]
    fn integers_come_back(values in integers(), piece in 1..800usize) {
        check(Arc::new(Int32Array::from(values)), false, piece);
    }

    #[test]
    fn integers_with_nulls_come_back(values in integers(), nulls in prop::collection::vec(any::<bool>(), 700), piece in 1..800usize) {
        let values: Int32Array = values.into_iter().zip(nulls).map(|(value, null)| (!null).then_some(value)).collect();
        check(Arc::new(values), true, piece);
    }

    #[test]
    fn codes_come_back(values in prop::collection::vec(prop_oneof![8 => (0..40i32).prop_map(Some), 1 => any::<Option<i32>>()], 0..700), piece in 1..800usize) {
        let values = Int32Array::from(values);
        let schema = Arc::new(Schema::new(vec![Field::new("kind_id", DataType::Int32, true)]));
        let whole = RecordBatch::try_new(schema.clone(), vec![Arc::new(values)]).unwrap();
        let pieces: Vec<RecordBatch> = (0..whole.num_rows()).step_by(piece)
            .map(|start| whole.slice(start, piece.min(whole.num_rows() - start))).collect();
        let (bytes, _) = written(&schema, &pieces);
        prop_assert_eq!(read(bytes, &schema), whole);
    }

    #[test]
    fn booleans_come_back(runs in prop::collection::vec((prop::option::of(any::<bool>()), 1..90usize), 0..40), piece in 1..800usize) {
        let values: Vec<Option<bool>> = runs.into_iter().flat_map(|(value, rows)| vec![value; rows]).collect();
        let known: BooleanArray = values.iter().map(|value| Some(value.unwrap_or_default())).collect();
        check(Arc::new(known), false, piece);
        check(Arc::new(BooleanArray::from(values)), true, piece);
    }

    #[test]
    fn words_come_back(words in words(), piece in 1..300usize) {
        check(Arc::new(StringArray::from(words)), true, piece);
    }

    #[test]
    fn dictionaries_come_back_as_their_words(words in words(), piece in 1..300usize) {
        let dictionary: DictionaryArray<UInt16Type> = words.iter().map(Option::as_deref).collect();
        let plain = one(Arc::new(StringArray::from(words)), true);
        let batch = one(Arc::new(dictionary), true);
        let pieces: Vec<RecordBatch> = (0..batch.num_rows()).step_by(piece)
            .map(|start| batch.slice(start, piece.min(batch.num_rows() - start))).collect();
        let (bytes, _) = written(&plain.schema(), &pieces);
        prop_assert_eq!(read(bytes, &plain.schema()), plain);
    }
}

#[test]
fn other_types_and_ids_go_along() {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)]), None, Some(vec![])]);
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("file_id", Arc::new(Int64Array::from(vec![7, 7, -9])), false),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])), true),
        ("list", Arc::new(list), true),
        ("at", Arc::new(Int32Array::from(vec![1, 2, 3])), false),
    ];
    let fields = columns.iter().map(|(name, column, null)| Field::new(*name, column.data_type().clone(), *null));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|c| c.1).collect()).unwrap();
    let (bytes, metadata) = written(&schema, std::slice::from_ref(&batch));
    assert_eq!(read(bytes, &schema), batch);
    let statistics = |column: usize| metadata.row_group(0).column(column).statistics().cloned();
    assert_eq!(statistics(0), Some(Statistics::int64(Some(-9), Some(7), None, Some(0), false)));
    assert_eq!(statistics(1), Some(Statistics::boolean(Some(false), Some(true), None, Some(1), false)));
}

#[test]
fn many_pages_and_row_groups_are_one_table() {
    let rows = 300_000;
    let position = Int32Array::from_iter_values((0..rows).map(|i| i / 3));
    let text: StringArray =
        (0..rows).map(|i| (i % 7 != 0).then(|| format!("text {} of many", i * 37 % 90_000))).collect();
    let schema = Arc::new(Schema::new(vec![
        Field::new("position", DataType::Int32, false),
        Field::new("text", DataType::Utf8, true),
        Field::new("path", DataType::Utf8, false),
        Field::new("file_id", DataType::Int64, false),
        Field::new("ordinal", DataType::Int32, true),
        Field::new("flag", DataType::Boolean, true),
        Field::new("kind_id", DataType::Int32, false),
        Field::new("noise", DataType::Int32, false),
    ]));
    let path = StringArray::from_iter_values((0..rows).map(|i| format!("{:04}/{}", i / 5000, "x".repeat(70))));
    let id = Int64Array::from_iter_values((0..rows).map(|i| i64::from(i / 999)));
    let ordinal: Int32Array = (0..rows).map(|i| (i % 1000 > 300).then_some(i - 90_000)).collect();
    let flag: BooleanArray = (0..rows).map(|i| (i % 500 > 200).then_some(i < 90_000)).collect();
    let code = Int32Array::from_iter_values((0..rows).map(|i| if i < 200_000 { i % 11 - 1 } else { 65_535 + i % 3 }));
    // Marsaglia's xorshift.
    let noise = Int32Array::from_iter_values((0..rows).scan(1u32, |state, _| {
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        Some(*state as i32)
    }));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(position),
        Arc::new(text),
        Arc::new(path),
        Arc::new(id),
        Arc::new(ordinal),
        Arc::new(flag),
        Arc::new(code),
        Arc::new(noise),
    ];
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let pieces: Vec<_> =
        (0..rows as usize).step_by(77_777).map(|at| batch.slice(at, 77_777.min(rows as usize - at))).collect();
    let (bytes, metadata) = written(&schema, &pieces);
    assert_eq!(metadata.num_row_groups(), 5);
    assert_eq!(read(bytes, &schema), batch);
    let pages = &metadata.offset_index().unwrap()[1];
    assert!(pages.iter().all(|pages| pages.page_locations.len() > 1));
    let flags = |group: usize| metadata.row_group(group).column(5).statistics().cloned();
    let of = |low, high, nulls| Some(Statistics::boolean(Some(low), Some(high), None, Some(nulls), false));
    assert_eq!(flags(0), of(true, true, 26_367));
    assert_eq!(flags(1), of(false, true, 26_367));
    let codes = |group: usize| metadata.row_group(group).column(6).statistics().cloned();
    assert_eq!(codes(0), Some(Statistics::int32(Some(-1), Some(9), None, Some(0), false)));
    assert_eq!(codes(4), Some(Statistics::int32(Some(65_535), Some(65_537), None, Some(0), false)));
    let compressions: Vec<bool> = metadata.row_groups()[0]
        .columns()
        .iter()
        .map(|column| column.compression() != parquet::basic::Compression::UNCOMPRESSED)
        .collect();
    assert_eq!(compressions, [true, true, true, true, true, true, true, false], "noise is not worth compressing");
    let group = metadata.row_group(0);
    assert_eq!(group.column(1).statistics(), None);
    let Some(Statistics::ByteArray(path)) = group.column(2).statistics() else { panic!("a path has bounds") };
    let (least, greatest) = (path.min_bytes_opt().unwrap(), path.max_bytes_opt().unwrap());
    assert!(least <= batch.column(2).as_string::<i32>().value(0).as_bytes() && least.starts_with(b"0000/x"));
    assert!(greatest > batch.column(2).as_string::<i32>().value(65_535).as_bytes() && greatest.starts_with(b"0013/"));
    assert!(!path.max_is_exact() && greatest.len() == 64);
}

#[test]
fn what_the_schema_rules_out_is_refused() {
    let schema = Arc::new(Schema::new(vec![Field::new("column", DataType::Int32, false)]));
    let mut file = FileWriter::new(vec![], schema).unwrap();
    let nulls = one(Arc::new(Int32Array::from(vec![None])), true);
    assert!(file.write(&nulls).unwrap_err().to_string().contains("takes no nulls"));
    let text = one(cast(nulls.column(0), &DataType::Utf8).unwrap(), true);
    assert!(file.write(&text.slice(0, 1)).is_err());
    let text = one(Arc::new(StringArray::from(vec!["1"])), false);
    assert!(file.write(&text).unwrap_err().to_string().contains("is Int32"));
}
