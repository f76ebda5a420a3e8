use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::record_batch::RecordBatch;
use deltalake::kernel::Add;

use super::*;
use crate::fixture::{Repo, TABLE};
use crate::merge::{empty_add, remove};
use crate::parquet_file::{read_all, write_file};
use crate::snapshot::Pin;
use crate::table::{Change, Known, Table as DeltaTable};

const FILES: [(&str, &str); 4] =
    [("a.py", "one\ntwo\nthree\n"), ("b/c.py", "four\nfive\n"), ("b/d.py", "six\n"), ("empty.py", "")];

async fn lake(shards: usize) -> Repo {
    let mut repo = Repo::new(shards).await;
    repo.run("r1", &FILES).await;
    repo
}

async fn findings(repo: &Repo) -> Vec<Finding> {
    let report = verify(&Snapshot::newest(&repo.lake).await.unwrap()).await.unwrap();
    assert_eq!(report.findings.len() as u64, report.findings_total);
    report.findings
}

fn told(findings: &[Finding]) -> Vec<(Kind, &str, &str)> {
    findings.iter().map(|f| (f.kind, f.table.as_str(), f.path.as_deref().unwrap_or_default())).collect()
}

/// Rewrites the first data file of a table, as another writer would.
async fn rewrite(repo: &Repo, name: &'static str, edit: impl Fn(RecordBatch) -> RecordBatch) {
    let dataset = lode_facts::catalog::dataset(name).unwrap();
    let table = DeltaTable::open(&repo.lake, name).await.unwrap().unwrap();
    let old = table.files().unwrap().remove(0);
    let store = repo.lake.table_store(name);
    let rows = read_all(store.clone(), &old.path, dataset.file_schema()).await.unwrap();
    let rows = edit(concat_batches(&dataset.file_schema(), &rows).unwrap());
    let path = format!("shard={}/tampered-{}.parquet", old.shard, table.version());
    let written = write_file(store, path.clone(), rows).await.unwrap();
    let partition_values = old.add.partition_values.clone();
    let change = Change {
        dataset,
        app_id: "somebody".into(),
        app_version: table.version() + 1,
        run_id: "else".into(),
        removes: vec![remove(&old.add, true)],
        adds: vec![Add { path, partition_values, size: written.size, ..empty_add() }],
        cdc: vec![],
    };
    change.apply(&repo.lake, Known::Nothing).await.unwrap();
}

fn without(row: usize) -> impl Fn(RecordBatch) -> RecordBatch {
    move |rows| {
        let keep: BooleanArray = (0..rows.num_rows()).map(|at| Some(at != row)).collect();
        filter_record_batch(&rows, &keep).unwrap()
    }
}

fn with_column(rows: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let mut columns = rows.columns().to_vec();
    columns[rows.schema().index_of(name).unwrap()] = column;
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

#[tokio::test]
async fn what_was_extracted_is_there() {
    for shards in [1, 3] {
        let repo = lake(shards).await;
        let report = verify(&Snapshot::newest(&repo.lake).await.unwrap()).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.entries, FILES.len() as u64);
        assert!(report.rows > 0 && report.data_files > 0);
    }
}

#[tokio::test]
async fn later_runs_and_other_repositories_change_nothing() {
    let mut repo = lake(2).await;
    let mut other = repo.other("other");
    other.run("o1", &FILES[..2]).await;
    repo.run("r2", &[("a.py", "one\n2\n"), FILES[1], ("new.py", "x\n")]).await;
    repo.run("r3", &[]).await;
    assert_eq!(findings(&repo).await, []);
    for run in ["r1", "r2", "o1"] {
        let snapshot = Snapshot::pin(&repo.lake, Pin::Run(run.into())).await.unwrap();
        assert!(verify(&snapshot).await.unwrap().is_clean(), "{run}");
    }
}

#[tokio::test]
async fn a_deleted_row_is_missed() {
    let repo = lake(1).await;
    rewrite(&repo, TABLE, without(1)).await;
    assert_eq!(told(&findings(&repo).await), [(Kind::MissingRows, TABLE, "a.py")]);
}

#[tokio::test]
async fn swapped_values_are_changed_rows() {
    let repo = lake(1).await;
    rewrite(&repo, TABLE, |rows| {
        let name = rows.schema().fields().iter().rfind(|f| f.data_type() == &arrow::datatypes::DataType::Utf8).cloned();
        let name = name.unwrap().name().clone();
        let column = rows.column_by_name(&name).unwrap().as_string::<i32>();
        let mut values: Vec<Option<&str>> = column.iter().collect();
        let other = (1..values.len()).find(|at| values[*at] != values[0]).unwrap();
        values.swap(0, other);
        with_column(&rows, &name, Arc::new(StringArray::from(values)))
    })
    .await;
    let findings = findings(&repo).await;
    assert!(findings.iter().all(|f| f.kind == Kind::ChangedRows) && !findings.is_empty(), "{findings:?}");
}

#[tokio::test]
async fn doubled_rows_are_counted() {
    let repo = lake(1).await;
    rewrite(&repo, TABLE, |rows| concat_batches(&rows.schema(), [&rows, &rows]).unwrap()).await;
    let findings = findings(&repo).await;
    assert_eq!(
        told(&findings),
        [
            (Kind::DoubledRows, TABLE, "a.py"),
            (Kind::DoubledRows, TABLE, "b/c.py"),
            (Kind::DoubledRows, TABLE, "b/d.py")
        ]
    );
}

#[tokio::test]
async fn rows_of_nothing_recorded_are_foreign() {
    let repo = lake(1).await;
    rewrite(&repo, "extract_state", without(0)).await;
    let found = findings(&repo).await;
    assert!(found.iter().any(|f| f.kind == Kind::ForeignRows && f.path.as_deref() == Some("a.py")), "{found:?}");
    // The run's own count shows that the state has lost something too.
    assert!(found.iter().any(|f| f.kind == Kind::MissingRows && f.path.is_none()), "{found:?}");

    let repo = lake(1).await;
    rewrite(&repo, TABLE, |rows| {
        let paths = rows.column_by_name("path").unwrap().as_string::<i32>();
        let mut paths: Vec<Option<&str>> = paths.iter().collect();
        paths[1] = Some("b/c.py");
        with_column(&rows, "path", Arc::new(StringArray::from(paths)))
    })
    .await;
    assert_eq!(told(&findings(&repo).await), [(Kind::ForeignRows, TABLE, "a.py")]);
}

#[tokio::test]
async fn a_lost_or_cut_data_file_is_a_finding() {
    let repo = lake(1).await;
    let table = DeltaTable::open(&repo.lake, TABLE).await.unwrap().unwrap();
    let file = table.files().unwrap().remove(0).path;
    let on_disk = repo.lake.table_url(TABLE).to_file_path().unwrap().join(&file);
    let bytes = std::fs::read(&on_disk).unwrap();

    std::fs::remove_file(&on_disk).unwrap();
    assert_eq!(told(&findings(&repo).await), [(Kind::MissingFile, TABLE, file.as_str())]);
    std::fs::write(&on_disk, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(told(&findings(&repo).await), [(Kind::UnreadableFile, TABLE, file.as_str())]);
    // A flipped bit is told, unless it falls into what no row depends on, such as statistics.
    let mut told = 0;
    for at in (4..bytes.len()).step_by(bytes.len() / 24) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x40;
        std::fs::write(&on_disk, &flipped).unwrap();
        told += usize::from(!findings(&repo).await.is_empty());
    }
    assert!(told > 4, "{told}");
    std::fs::write(&on_disk, &bytes).unwrap();
    assert_eq!(findings(&repo).await, []);
}

#[tokio::test]
async fn a_lost_log_is_a_finding() {
    let repo = lake(1).await;
    let snapshot = Snapshot::newest(&repo.lake).await.unwrap();
    let log = repo.lake.table_url(TABLE).to_file_path().unwrap().join("_delta_log");
    std::fs::remove_dir_all(log).unwrap();
    let report = verify(&snapshot).await.unwrap();
    assert!(report.findings.iter().any(|f| f.kind == Kind::UnreadableTable && f.table == TABLE), "{report:?}");
}

#[tokio::test]
async fn an_empty_lake_has_nothing_wrong() {
    let repo = Repo::new(1).await;
    assert_eq!(findings(&repo).await, []);
}

#[tokio::test]
async fn a_rebuild_agrees_or_says_where_not() {
    let (repo, again) = (lake(1).await, lake(3).await);
    async fn snapshot(repo: &Repo) -> Result<Snapshot> {
        Snapshot::newest(&repo.lake).await
    }
    let (left, right) = (snapshot(&repo).await.unwrap(), snapshot(&again).await.unwrap());
    let same = compare(&left, &right, "demo").await.unwrap();
    assert!(same.is_clean() && same.entries == FILES.len() as u64, "{same:?}");

    let mut changed = Repo::new(1).await;
    changed.run("x", &[("a.py", "other\n"), FILES[1], FILES[2], ("more.py", "y\n")]).await;
    let report = compare(&left, &snapshot(&changed).await.unwrap(), "demo").await.unwrap();
    let paths: Vec<_> = report.findings.iter().filter_map(|f| f.path.as_deref()).collect();
    assert_eq!(paths, ["a.py", "empty.py", "more.py"], "{report:?}");
}
