//! Every table opens in DuckDB, Polars and the `deltalake` Python package, without flags, and has the same rows.

use std::collections::BTreeMap;
use std::process::Command;

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
