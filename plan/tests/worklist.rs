//! The worklist query: what it asks for in each situation, and that it means the same in another session.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not known as tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, Int64Builder, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use datafusion::datasource::MemTable;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use futures::TryStreamExt;
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::records::EXTRACT_STATE;
use lode_plan::artifacts::{from_substrait, of_plan, substrait};
use lode_plan::session::local_context;
use lode_plan::worklist::{
    PathRange, RECORDS, RecordsWriter, STATE, WANTED, Wanted, WantedWriter, worklist, worklist_rows,
};

/// A (file, lane) as a test describes it.
#[derive(Clone)]
struct Entry {
    path: &'static str,
    content: &'static str,
    fingerprint: &'static str,
    status: &'static str,
    datasets: &'static [&'static str],
    retry: bool,
}

const E: Entry = Entry {
    path: "",
    content: "c1",
    fingerprint: "f1",
    status: "extracted",
    datasets: &["ast_nodes", "ast_defs"],
    retry: false,
};

fn id(path: &str) -> i64 {
    lode_facts::hash::file_id("r", path.as_bytes())
}

fn meta(path: &str) -> FileMeta {
    FileMeta { file_id: id(path), ..FileMeta::in_scope("r", path, 1, None) }
}

fn state(entries: &[Entry]) -> RecordBatch {
    let text =
        |value: fn(&Entry) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(entries.iter().map(value))) };
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(entries.iter().map(|e| id(e.path))));
    let schema = EXTRACT_STATE.table_schema();
    let element = |name: &str| match schema.field_with_name(name).unwrap().data_type() {
        arrow::datatypes::DataType::List(field) => Arc::clone(field),
        other => panic!("{name} is a list, not {other}"),
    };
    let mut names = ListBuilder::new(StringBuilder::new()).with_field(element("datasets"));
    let mut numbers = ListBuilder::new(Int64Builder::new()).with_field(element("dataset_rows"));
    for entry in entries {
        for name in entry.datasets {
            names.values().append_value(name);
            numbers.values().append_value(1);
        }
        names.append(true);
        numbers.append(true);
    }
    let numbers: ArrayRef = Arc::new(numbers.finish());
    let columns: BTreeMap<&str, ArrayRef> = BTreeMap::from([
        ("repo", Arc::new(StringArray::from(vec!["r"; entries.len()])) as ArrayRef),
        ("path", text(|e| e.path)),
        ("file_id", ids),
        ("lane", text(|_| "ast")),
        ("content_key", text(|e| e.content)),
        ("fingerprint", text(|e| e.fingerprint)),
        ("status", text(|e| e.status)),
        ("reason", arrow::array::new_null_array(&arrow::datatypes::DataType::Utf8, entries.len())),
        ("datasets", Arc::new(names.finish())),
        ("dataset_rows", Arc::clone(&numbers)),
        ("dataset_hashes", numbers),
        ("shard", text(|_| "s")),
    ]);
    let columns = schema.fields().iter().map(|field| Arc::clone(&columns[field.name().as_str()]));
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

async fn context(dir: &std::path::Path, wanted: &[Entry], held: &[Entry]) -> SessionContext {
    let mut records = RecordsWriter::new(Vec::new()).unwrap();
    let mut writer = WantedWriter::new(Vec::new()).unwrap();
    for entry in wanted {
        let (meta, limits) = (meta(entry.path), "l1");
        records.push(&meta, &meta.record());
        let wanted = Wanted {
            path: entry.path,
            file_id: meta.file_id,
            lane: LaneId::Ast,
            content_key: entry.content,
            fingerprint: entry.fingerprint,
            limits,
            retry: entry.retry,
            datasets: entry.datasets,
        };
        writer.push(&wanted).unwrap();
    }
    let context = local_context(None).unwrap();
    for (table, file) in [(RECORDS, records.finish().unwrap()), (WANTED, writer.finish().unwrap())] {
        let path = dir.join(format!("{table}.parquet"));
        std::fs::write(&path, file).unwrap();
        context.register_parquet(table, path.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
    }
    let state = state(held);
    context.register_table(STATE, Arc::new(MemTable::try_new(state.schema(), vec![vec![state]]).unwrap())).unwrap();
    context
}

fn actions(batches: &[RecordBatch]) -> Vec<(String, String)> {
    let mut rows = vec![];
    for batch in batches {
        let text = |column: usize| {
            let array = arrow::compute::cast(batch.column(column), &arrow::datatypes::DataType::Utf8).unwrap();
            array.as_string::<i32>().clone()
        };
        let (path, action) = (text(0), text(3));
        rows.extend((0..path.len()).map(|row| (path.value(row).to_owned(), action.value(row).to_owned())));
    }
    rows
}

async fn check(wanted: &[Entry], held: &[Entry], gone: Option<&[i64]>, expected: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path(), wanted, held).await;
    let query = worklist(&context, "r", gone).await.unwrap();
    let plan = query.logical_plan().clone();
    let rows = query.collect().await.unwrap();
    let expected: Vec<(String, String)> = expected.iter().map(|(p, a)| ((*p).into(), (*a).into())).collect();
    assert_eq!(actions(&rows), expected);

    // The same rows come out of the plan's Substrait in a session that never saw the query.
    let bytes = substrait(&context.state(), &plan).unwrap();
    let other = self::context(dir.path(), wanted, held).await;
    let again = from_substrait(&other.state(), &bytes).await.unwrap();
    let again = other.execute_logical_plan(again).await.unwrap().collect().await.unwrap();
    assert_eq!(actions(&again), expected, "by way of Substrait");
}

#[tokio::test]
async fn what_is_new_changed_or_gone() {
    let wanted = [
        Entry { path: "a_new", ..E },
        Entry { path: "b_content", content: "c2", ..E },
        Entry { path: "c_fingerprint", fingerprint: "f2", ..E },
        Entry { path: "e_same", ..E },
        Entry { path: "f_failed", ..E },
    ];
    let held = [
        Entry { path: "b_content", ..E },
        Entry { path: "c_fingerprint", ..E },
        Entry { path: "d_gone", ..E },
        Entry { path: "e_same", ..E },
        Entry { path: "f_failed", status: "failed", datasets: &[], ..E },
    ];
    let expected = [
        ("a_new", "extract"),
        ("b_content", "extract"),
        ("c_fingerprint", "extract"),
        ("d_gone", "delete"),
        ("f_failed", "extract"),
    ];
    check(&wanted, &held, None, &expected).await;
}

#[tokio::test]
async fn datasets_come_and_are_left_out() {
    let wanted = [
        Entry { path: "a_more", ..E },
        Entry { path: "b_fewer", datasets: &["ast_defs"], ..E },
        Entry { path: "c_left_out", datasets: &[], ..E },
        Entry { path: "d_left_out_and_changed", content: "c2", datasets: &[], ..E },
        Entry { path: "e_left_out_and_new", datasets: &[], ..E },
    ];
    let held = [
        Entry { path: "a_more", datasets: &["ast_defs"], ..E },
        Entry { path: "b_fewer", ..E },
        Entry { path: "c_left_out", ..E },
        Entry { path: "d_left_out_and_changed", ..E },
    ];
    check(&wanted, &held, None, &[("a_more", "add"), ("d_left_out_and_changed", "delete")]).await;
}

#[tokio::test]
async fn quarantine_sticks_until_something_changes() {
    let quarantined = Entry { status: "quarantined", fingerprint: "f1:l1", datasets: &[], ..E };
    let wanted = [
        Entry { path: "a_stays", ..E },
        Entry { path: "b_content", content: "c2", ..E },
        Entry { path: "c_fingerprint", fingerprint: "f2", ..E },
        Entry { path: "d_limits", ..E },
        Entry { path: "e_retry", retry: true, ..E },
    ];
    let held = [
        Entry { path: "a_stays", ..quarantined.clone() },
        Entry { path: "b_content", ..quarantined.clone() },
        Entry { path: "c_fingerprint", ..quarantined.clone() },
        Entry { path: "d_limits", fingerprint: "f1:l2", ..quarantined.clone() },
        Entry { path: "e_retry", ..quarantined },
    ];
    let expected =
        [("b_content", "extract"), ("c_fingerprint", "extract"), ("d_limits", "extract"), ("e_retry", "extract")];
    check(&wanted, &held, None, &expected).await;
}

#[tokio::test]
async fn a_scan_of_a_part_deletes_only_what_it_saw_deleted() {
    let wanted = [Entry { path: "b_changed", content: "c2", ..E }];
    let held = [Entry { path: "a_unseen", ..E }, Entry { path: "b_changed", ..E }, Entry { path: "c_gone", ..E }];
    check(&wanted, &held, Some(&[id("c_gone")]), &[("b_changed", "extract"), ("c_gone", "delete")]).await;
    check(&wanted, &held, Some(&[]), &[("b_changed", "extract")]).await;
}

#[tokio::test]
async fn the_query_is_kept_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path(), &[Entry { path: "a", ..E }], &[]).await;
    let query = worklist(&context, "r", None).await.unwrap();
    let artifacts = of_plan(&context.state(), "worklist", query.logical_plan()).await.unwrap();
    for kind in ["logical_plan", "optimized_plan", "physical_plan", "plan_fingerprint", "sql"] {
        let artifact = artifacts.iter().find(|a| a.kind == kind).unwrap();
        assert!(artifact.text.as_ref().is_some_and(|text| !text.is_empty()), "{kind}: {:?}", artifact.note);
    }
    let sql = artifacts.iter().find(|a| a.kind == "sql").unwrap().text.clone().unwrap();
    let by_sql = context.sql(&sql).await.unwrap().collect().await.unwrap();
    assert_eq!(actions(&by_sql), actions(&query.collect().await.unwrap()), "the canonical SQL says the same");
}

#[tokio::test]
async fn ranges_of_paths_give_the_same_rows_with_their_records() {
    let dir = tempfile::tempdir().unwrap();
    let wanted: Vec<Entry> = ["a", "b", "c", "d", "e", "f"].map(|path| Entry { path, ..E }).to_vec();
    let held = ["b", "d", "ca", "z"].map(|path| Entry { path, content: if path == "d" { "old" } else { "c1" }, ..E });
    let context = context(dir.path(), &wanted, &held).await;
    let bound = |path: &str| Some(path.to_owned());
    for cuts in [vec![], vec!["c"], vec!["a", "b", "bb", "ca", "f", "zz"]] {
        let lowers = [None].into_iter().chain(cuts.iter().map(|cut| bound(cut)));
        let uppers = cuts.iter().map(|cut| bound(cut)).chain([None]);
        let ranges = lowers.zip(uppers).map(|(lower, upper)| PathRange { lower, upper }).collect();
        for gone in [None, Some(vec![id("z")])] {
            let whole = worklist(&context, "r", gone.as_deref()).await.unwrap().collect().await.unwrap();
            let rows = worklist_rows(&context, "r", gone, Vec::clone(&ranges));
            let rows: Vec<RecordBatch> = rows.try_collect().await.unwrap();
            assert_eq!(actions(&rows), actions(&whole), "{ranges:?}");
            for (batch, row) in rows.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row))) {
                let text = |name: &str| {
                    let column = batch.column_by_name(name).unwrap().as_string::<i32>();
                    column.is_valid(row).then(|| column.value(row).to_owned())
                };
                let (path, record) = (text("path").unwrap(), text("meta"));
                let known = wanted.iter().any(|entry| entry.path == path);
                let expected = known.then(|| meta(&path).record());
                assert_eq!(record, expected, "{path} in {ranges:?}");
            }
        }
    }
}
