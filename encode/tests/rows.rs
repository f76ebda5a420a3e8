//! Encoded rows: put into a file as they are, or taken apart again; footers that lie are refused.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not known as tests")]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, RunArray, StringArray,
    UInt32Array,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use bytes::Bytes;
use lode_encode::{EncodedRows, FileWriter, GROUP_ROWS, Rows, RowsEncoder, group_range, has_columns, with_words};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataOptions, ParquetMetaDataReader};
use proptest::prelude::*;

fn facts_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("at", DataType::Int32, true),
        Field::new("word", DataType::Utf8, true),
        Field::new("bytes", DataType::Binary, true),
    ]))
}

fn file_schema() -> SchemaRef {
    let identity = [Field::new("path", DataType::Utf8, false), Field::new("file_id", DataType::Int64, false)];
    let facts = facts_schema();
    let fields = identity.into_iter().map(Arc::new).chain(facts.fields().iter().cloned());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn facts(rows: usize, seed: usize) -> RecordBatch {
    let some = |row: usize| !(row + seed).is_multiple_of(5);
    let at: Int32Array = (0..rows).map(|row| some(row).then_some((row / 3 * (seed + 1)) as i32)).collect();
    let keys: UInt32Array = (0..rows).map(|row| some(row + 1).then_some((row % 3) as u32)).collect();
    let words = StringArray::from(vec![format!("a{seed}"), "b".into(), "é".into()]);
    let bytes: BinaryArray = (0..rows).map(|row| some(row + 2).then(|| row.to_le_bytes())).collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(at), Arc::new(DictionaryArray::new(keys, Arc::new(words))), Arc::new(bytes)];
    let fields = facts_schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()))
        .collect::<Vec<_>>();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn identity(rows: usize) -> Vec<ArrayRef> {
    let path = StringArray::from_iter_values((0..rows).map(|row| format!("file {}", row / 100)));
    vec![Arc::new(path), Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row as i64 / 100)))]
}

/// [`identity`] as runs.
fn identity_runs(rows: usize) -> Vec<ArrayRef> {
    let files = rows.div_ceil(100);
    let ends = Int32Array::from_iter_values((1..=files).map(|file| (file * 100).min(rows) as i32));
    let paths = StringArray::from_iter_values((0..files).map(|file| format!("file {file}")));
    let ids = Int64Array::from_iter_values((0..files).map(|file| file as i64));
    vec![Arc::new(RunArray::try_new(&ends, &paths).unwrap()), Arc::new(RunArray::try_new(&ends, &ids).unwrap())]
}

fn stored(identity: Option<&[ArrayRef]>, facts: &RecordBatch) -> RecordBatch {
    let schema = identity.map_or_else(facts_schema, |_| file_schema());
    let columns = identity.unwrap_or_default().iter().chain(facts.columns()).zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn read(bytes: Bytes) -> RecordBatch {
    read_as(bytes, &file_schema())
}

fn read_as(bytes: Bytes, schema: &SchemaRef) -> RecordBatch {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).unwrap();
    let batches: Vec<RecordBatch> = reader.with_batch_size(777).build().unwrap().map(Result::unwrap).collect();
    let read = concat_batches(&batches[0].schema(), &batches).unwrap();
    RecordBatch::try_new(schema.clone(), read.columns().to_vec()).unwrap()
}

fn encode(batch: &RecordBatch) -> Bytes {
    RowsEncoder::new().unwrap().encode(batch, &facts_schema()).unwrap().into()
}

#[test]
fn runs_are_written_as_rows_are() {
    let write = |rows: usize, first: &[ArrayRef]| {
        let mut file = FileWriter::new(vec![], file_schema()).unwrap();
        file.append(first, &EncodedRows::open(encode(&facts(rows, 1)), &facts_schema()).unwrap()).unwrap();
        file.finish().unwrap();
        std::mem::take(file.sink())
    };
    // A group is cut where no run ends, and so are its pages.
    for rows in [1, 100, 101, GROUP_ROWS, GROUP_ROWS + 50, 3 * GROUP_ROWS - 1] {
        assert!(write(rows, &identity_runs(rows)) == write(rows, &identity(rows)), "{rows} rows");
    }
    let paths = |rows: usize| -> Vec<ArrayRef> {
        // So long that their dictionary is full before the end.
        let ends = Int32Array::from_iter_values(1..=rows as i32);
        let paths = StringArray::from_iter_values((0..rows).map(|row| format!("{row:0300}")));
        let ids = Int64Array::from_iter_values(0..rows as i64);
        vec![Arc::new(RunArray::try_new(&ends, &paths).unwrap()), Arc::new(ids)]
    };
    let by_row = |columns: &[ArrayRef]| -> Vec<ArrayRef> {
        let runs = columns[0].as_run::<Int32Type>();
        vec![runs.values().clone(), columns[1].clone()]
    };
    let columns = paths(9_000);
    let (runs, rows) = (write(9_000, &columns), write(9_000, &by_row(&columns)));
    assert_eq!(read(runs.into()), read(rows.into()));
}

/// A file of plain and encoded pieces in turn.
fn check(pieces: &[(usize, bool)]) {
    let mut file = FileWriter::new(vec![], file_schema()).unwrap();
    let mut expected = vec![];
    for (seed, (rows, encoded)) in pieces.iter().enumerate() {
        let (identity, facts) = (identity(*rows), facts(*rows, seed));
        let whole = stored(Some(&identity), &facts);
        if *encoded {
            let rows = EncodedRows::open(encode(&facts), &facts_schema()).unwrap();
            file.append(&identity, &rows).unwrap();
            let decoded = Rows::Encoded(rows).batch(&facts_schema()).unwrap();
            assert_eq!(decoded.schema().as_ref(), &with_words(&facts_schema(), &[]));
            assert_eq!(stored(None, &decoded), stored(None, &facts));
        } else {
            file.write(&whole).unwrap();
        }
        expected.push(whole);
    }
    file.finish().unwrap();
    let bytes = std::mem::take(file.sink()).into();
    assert_eq!(read(bytes), concat_batches(&file_schema(), &expected).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_was_encoded_elsewhere_is_read_back(pieces in prop::collection::vec((1..3000usize, any::<bool>()), 1..6)) {
        check(&pieces);
    }
}

#[test]
fn rows_beyond_a_row_group_are_cut_evenly() {
    check(&[(5, false), (GROUP_ROWS + 10, true), (GROUP_ROWS * 2 + 1, true), (7, false)]);
    let rows = EncodedRows::open(encode(&facts(GROUP_ROWS + 10, 1)), &facts_schema()).unwrap();
    let mut file = FileWriter::new(vec![], facts_schema()).unwrap();
    file.append(&[], &rows).unwrap();
    let (metadata, _) = file.finish().unwrap();
    let groups: Vec<i64> = metadata.row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [GROUP_ROWS as i64 / 2 + 5, GROUP_ROWS as i64 / 2 + 5]);
}

#[test]
fn an_encoder_serves_batch_after_batch() {
    let mut encoder = RowsEncoder::new().unwrap();
    for seed in 0..3 {
        let facts = facts(1000, seed);
        let bytes = encoder.encode(&facts, &facts_schema()).unwrap();
        let decoded = Rows::Encoded(EncodedRows::open(bytes.into(), &facts_schema()).unwrap()).batch(&facts_schema());
        assert_eq!(stored(None, &decoded.unwrap()), stored(None, &facts));
    }
    // Also after one that does not fit.
    let wrong = RecordBatch::try_from_iter([("at", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]).unwrap();
    assert!(encoder.encode(&wrong, &facts_schema()).is_err());
    assert!(encoder.encode(&facts(10, 0), &facts_schema()).is_ok());
}

#[test]
fn other_columns_are_refused() {
    let bytes = encode(&facts(100, 0));
    assert!(EncodedRows::open(bytes.clone(), &file_schema()).is_err());
    let rows = EncodedRows::open(bytes, &facts_schema()).unwrap();
    let mut file = FileWriter::new(vec![], file_schema()).unwrap();
    assert!(file.append(&[], &rows).is_err(), "the identity columns are missing");
    let mut file = FileWriter::new(vec![], file_schema()).unwrap();
    assert!(file.append(&identity(99), &rows).is_err(), "one row too few");
}

/// Whatever the bytes, an answer comes: rows, an error, or a panic of the reader that the caller has to expect.
#[test]
fn damaged_bytes_never_reach_beyond_themselves() {
    let good = encode(&facts(2000, 3));
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut opened = 0;
    for at in 0..good.len() {
        let mut bytes = good.to_vec();
        bytes[at] ^= 0x55;
        let attempt = std::panic::catch_unwind(|| {
            let Ok(rows) = EncodedRows::open(bytes.into(), &facts_schema()) else { return 0 };
            let mut file = FileWriter::new(vec![], facts_schema()).unwrap();
            let _ = file.append(&[], &rows).and_then(|()| file.finish());
            1
        });
        opened += attempt.unwrap_or(0);
    }
    std::panic::set_hook(quiet);
    assert!(opened > 0 && opened < good.len(), "pages are not looked at, the footer is: {opened} of {}", good.len());
    for end in 0..good.len() {
        assert!(EncodedRows::open(good.slice(..end), &facts_schema()).is_err());
    }
}

#[test]
fn words_are_texts_with_dictionaries() {
    let schema = with_words(&file_schema(), &["path"]);
    let types: Vec<&DataType> = schema.fields().iter().map(|field| field.data_type()).collect();
    let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert_eq!(types, [&DataType::Utf8, &DataType::Int64, &DataType::Int32, &words, &DataType::Binary]);
    assert!(facts(3, 0).column(1).as_any_dictionary_opt().is_some());
}

#[test]
fn row_groups_of_a_file_go_into_another() {
    let (first, second, plain) = (facts(3000, 1), facts(10_000, 2), facts(500, 3));
    let mut file = FileWriter::new(vec![], facts_schema()).unwrap();
    for facts in [&first, &second] {
        file.append(&[], &EncodedRows::open(encode(facts), &facts_schema()).unwrap()).unwrap();
    }
    file.write(&stored(None, &plain)).unwrap();
    file.finish().unwrap();
    let bytes = Bytes::from(std::mem::take(file.sink()));
    let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
    let reader = ParquetMetaDataReader::new().with_offset_index_policy(PageIndexPolicy::Required);
    let footer = reader.with_metadata_options(Some(options)).parse_and_finish(&bytes).unwrap();
    assert!(has_columns(&footer, &facts_schema()).unwrap() && !has_columns(&footer, &file_schema()).unwrap());

    let group = |index: usize| {
        let range = group_range(&footer, index).unwrap();
        EncodedRows::of_group(bytes.slice(range.start as usize..range.end as usize), &footer, index).unwrap()
    };
    assert_eq!(stored(None, &Rows::Encoded(group(2)).batch(&facts_schema()).unwrap()), stored(None, &plain));
    let mut other = FileWriter::new(vec![], facts_schema()).unwrap();
    other.append(&[], &group(1)).unwrap();
    other.write(&stored(None, &plain)).unwrap();
    other.append(&[], &group(0)).unwrap();
    other.finish().unwrap();
    let bytes = std::mem::take(other.sink()).into();
    let expected = [&second, &plain, &first].map(|facts| stored(None, facts));
    assert_eq!(read_as(bytes, &facts_schema()), concat_batches(&facts_schema(), &expected).unwrap());
    assert!(group_range(&footer, 3).is_err());
}
