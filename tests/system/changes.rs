//! The change feed turns the rows of one run into those of the next.

use std::collections::BTreeMap;

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::{Repo, python_module};
use serde_json::Value;

type Rows = BTreeMap<String, i64>;

/// Rows with how often each is there; where a row is stored is no part of it.
fn rows(objects: Vec<Value>) -> Rows {
    let mut rows = Rows::new();
    for mut object in objects {
        let fields = object.as_object_mut().unwrap();
        let kind = fields.remove("_change_type");
        fields.retain(|name, _| !name.starts_with("_commit_") && name != "shard");
        fields.sort_keys();
        *rows.entry(object.to_string()).or_default() += match kind.as_ref().and_then(Value::as_str) {
            Some("delete" | "update_preimage") => -1,
            _ => 1,
        };
    }
    rows.retain(|_, count| *count != 0);
    rows
}

#[test]
fn changes_lead_from_run_to_run() {
    let repo = Repo::sample(20);
    let lake = Lake::default();
    let first = lake.extract(&repo, &["--shards", "3"]).run_id;
    let all = |table: &str| rows(lake.query(&format!("SELECT * FROM {table}")));
    let tables = ["repo_files", "ast_defs", "ast_nodes", "file_line_index", "ts_nodes"];
    let before: Vec<Rows> = tables.iter().map(|table| all(table)).collect();

    repo.write("api/m0.py", python_module(70)).remove("core/m1.py").write("tools/new.py", python_module(3));
    lake.extract(&repo, &["--shards", "3"]);
    repo.remove("tools/new.py");
    lake.extract(&repo, &["--shards", "3"]);

    for (table, mut expected) in tables.into_iter().zip(before) {
        let changes = Output::of(lake.command("changes").args([table, "--since", &first, "--format", "jsonl"])).ok();
        let changes = rows(changes.json_lines());
        assert!(!changes.is_empty(), "{table} changed");
        for (row, count) in changes {
            *expected.entry(row).or_default() += count;
        }
        expected.retain(|_, count| *count != 0);
        assert_eq!(expected, all(table), "{table}");
    }
}
