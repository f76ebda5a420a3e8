//! `lode verify` sees what was done to a lake behind Lode's back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Two shards, so that what is not touched stays whole.
fn lake() -> (Repo, Lake) {
    let repo = Repo::sample(20);
    let lake = Lake::of(&repo, &["--shards", "2"]);
    lake.verify();
    (repo, lake)
}

/// A data file of a table.
fn data_file(lake: &Lake, table: &str) -> PathBuf {
    let shards = fs::read_dir(lake.root().join(table)).unwrap().flatten().map(|e| e.path());
    let mut files: Vec<PathBuf> = shards
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("shard=")))
        .flat_map(|path| fs::read_dir(path).unwrap().flatten().map(|e| e.path()).collect::<Vec<_>>())
        .collect();
    files.sort();
    files.remove(0)
}

/// Rewrites a data file, and its size in the log, so that only the rows tell.
fn tamper(lake: &Lake, table: &str, change: impl Fn(RecordBatch) -> RecordBatch) {
    let file = data_file(lake, table);
    let size = fs::metadata(&file).unwrap().len();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file).unwrap()).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    let changed = change(concat_batches(&schema, &batches).unwrap());
    let mut writer = ArrowWriter::try_new(File::create(&file).unwrap(), schema, None).unwrap();
    writer.write(&changed).unwrap();
    writer.close().unwrap();
    let new_size = fs::metadata(&file).unwrap().len();
    let name = file.file_name().unwrap().to_str().unwrap();
    for entry in fs::read_dir(lake.root().join(table).join("_delta_log")).unwrap().flatten() {
        rewrite_lines(&entry.path(), |line| match line.contains(name) {
            true => line.replace(&format!("\"size\":{size}"), &format!("\"size\":{new_size}")),
            false => line.to_owned(),
        });
    }
}

fn rewrite_lines(path: &Path, change: impl Fn(&str) -> String) {
    if path.extension().is_some_and(|e| e == "json") {
        let text: Vec<String> = fs::read_to_string(path).unwrap().lines().map(change).collect();
        fs::write(path, text.join("\n")).unwrap();
    }
}

fn rows(batch: &RecordBatch, indices: impl IntoIterator<Item = usize>) -> RecordBatch {
    let indices: UInt32Array = indices.into_iter().map(|i| Some(i as u32)).collect();
    take_record_batch(batch, &indices).unwrap()
}

#[test]
fn a_deleted_row_is_found() {
    let (_repo, lake) = lake();
    tamper(&lake, "ast_nodes", |batch| rows(&batch, 1..batch.num_rows()));
    lake.try_verify().fails_with(&["ast_nodes"]);
}

#[test]
fn a_doubled_row_is_found() {
    let (_repo, lake) = lake();
    tamper(&lake, "ast_defs", |batch| rows(&batch, [0].into_iter().chain(0..batch.num_rows())));
    lake.try_verify().fails_with(&["ast_defs"]);
}

#[test]
fn two_swapped_values_are_found() {
    let (_repo, lake) = lake();
    tamper(&lake, "ast_nodes", |batch| {
        let (at, column) = batch
            .columns()
            .iter()
            .enumerate()
            .filter_map(|(i, c)| Some((i, c.as_any().downcast_ref::<Int32Array>()?)))
            .find(|(_, c)| c.null_count() == 0 && c.value(0) != c.value(1))
            .expect("a column of numbers");
        let mut values: Vec<i32> = column.values().to_vec();
        values.swap(0, 1);
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns[at] = Arc::new(Int32Array::from(values));
        RecordBatch::try_new(batch.schema(), columns).unwrap()
    });
    lake.try_verify().fails_with(&["ast_nodes"]);
}

#[test]
fn a_lost_file_is_found() {
    let (_repo, lake) = lake();
    let file = data_file(&lake, "ts_nodes");
    fs::remove_file(&file).unwrap();
    lake.try_verify().fails_with(&["ts_nodes", file.file_name().unwrap().to_str().unwrap()]);
}

#[test]
fn rebuilding_compares_with_the_repository() {
    let (repo, lake) = lake();
    let rebuild =
        |lake: &Lake| lode_tests::command::Output::of(lake.command("verify").arg("--rebuild").arg(repo.root()));
    rebuild(&lake).ok();
    repo.write("api/m0.py", "changed = 1\n");
    rebuild(&lake).fails_with(&["api/m0.py"]);
}
