//! Every table opens in DuckDB, Polars and the `deltalake` Python package, without flags, and has the same rows.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use lode_facts::views::{VIEWS, View};
use lode_tests::command::{Output, lode};
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;
use lode_tests::{cache, venv};

#[test]
fn other_readers_see_the_same_rows() {
    let repo = Repo::sample(30);
    let lake = Lake::of(&repo, &["--shards", "3"]);
    repo.write("core/m1.py", "changed = True\n").remove("api/m0.py");
    lake.extract(&repo, &["--shards", "3"]);

    let tables = lake.tables();
    let readers = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/readers.py");
    let output =
        Command::new(venv::python(cache())).arg(readers).arg(lake.root()).args(tables.names()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counts: BTreeMap<String, BTreeMap<String, usize>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(counts.len(), tables.names().len());
    for (table, readers) in counts {
        let expected = tables.count(&table);
        let readers: Vec<_> = readers.iter().map(|(reader, rows)| (reader.as_str(), *rows)).collect();
        let same = [("deltalake", expected), ("duckdb", expected), ("polars", expected)];
        assert_eq!(readers, same, "{table}");
    }
}

#[test]
fn other_readers_answer_the_queries_of_views() {
    let repo = Repo::sample(12);
    repo.write("tools/job.in", "#!/usr/bin/env python3\ndef job(): pass\n");
    let lake = Lake::of(&repo, &[]);
    repo.write("core/m1.py", "def changed(): return len([])\n").remove("api/m0.py");
    lake.extract(&repo, &[]);

    let describe = |view: &View| -> serde_json::Value {
        let described = Output::of(lode().args(["describe", view.name, "--output", "json"])).ok();
        serde_json::from_str(&described.stdout).unwrap()
    };
    let described: BTreeMap<&str, serde_json::Value> = VIEWS.iter().map(|view| (view.name, describe(view))).collect();
    let mut readers = Command::new(venv::python(cache()))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/readers.py"))
        .arg("--views")
        .arg(lake.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(readers.stdin.take().unwrap(), &described).unwrap();
    let output = readers.wait_with_output().unwrap();
    assert!(output.status.success());
    let rows: BTreeMap<String, BTreeMap<String, Vec<Vec<String>>>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows.len(), VIEWS.len());
    for view in VIEWS {
        let own = lake.query(&format!("SELECT * FROM {}", view.name));
        let cells = |row: &serde_json::Value| {
            view.columns.iter().map(|column| row[column.name].as_str().unwrap().to_owned()).collect::<Vec<String>>()
        };
        let mut own: Vec<Vec<String>> = own.iter().map(cells).collect();
        own.sort();
        assert!(own.len() > 3, "{}: {own:?}", view.name);
        for (reader, rows) in &rows[view.name] {
            assert_eq!(*rows, own, "{} with {reader}", view.name);
        }
    }
}

#[test]
fn tables_lie_under_their_own_names_and_hold_what_the_summary_says() {
    let repo = Repo::sample(12);
    let lake = Lake::default();
    let summary = lake.extract(&repo, &[]);
    let tables = lake.tables();
    for (table, version) in &summary.tables {
        assert!(tables.names().contains(table) && *version >= 0, "{table} at version {version}");
    }
    for (dataset, rows) in &summary.rows {
        assert_eq!(tables.count(dataset) as u64, *rows, "{dataset}");
    }
    for wanted in ["repo_files", "scope_manifest", "file_line_index", "ast_nodes", "ts_nodes", "runs", "plan_artifacts"]
    {
        assert!(tables.count(wanted) > 0, "{wanted} is empty");
    }
}
