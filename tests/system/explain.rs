//! What is kept of a run: its plans in every form, its stages and its tasks.

use std::collections::BTreeSet;

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;

#[test]
fn a_run_explains_itself() {
    let repo = Repo::sample(12);
    let lake = Lake::of(&repo, &["--shards", "3"]);
    let said = Output::of(lake.command("explain").args(["last", "--output", "json"])).ok();
    let run: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let list = |name: &str| run[name].as_array().unwrap_or_else(|| panic!("{name} in {said}")).clone();

    let artifacts = list("artifacts");
    let of = |kind: &str, name: &str| artifacts.iter().find(|a| a["kind"] == kind && a["name"] == name);
    let text = |kind: &str, name: &str| {
        let artifact = of(kind, name).unwrap_or_else(|| panic!("no {kind} of {name}"));
        artifact["text"].as_str().unwrap_or_else(|| panic!("no text of {kind} of {name}: {artifact}")).to_owned()
    };
    for plan in ["worklist", "job"] {
        for kind in ["logical_plan", "optimized_plan", "physical_plan", "plan_fingerprint"] {
            assert!(!text(kind, plan).is_empty(), "{kind} of {plan}");
        }
    }
    assert!(text("logical_plan", "job").contains("Extract: run="));
    assert!(text("sql", "worklist").contains("FULL JOIN"));
    assert!(of("substrait", "worklist").unwrap()["bytes"].as_str().is_some_and(|bytes| !bytes.is_empty()));
    for form in ["sql", "substrait"] {
        let note = of(form, "job").unwrap()["note"].as_str().unwrap().to_owned();
        assert!(note.contains("Commit") && note.contains("Extract"), "{note}");
    }
    for kind in ["settings_hash", "durations", "delta_versions_in", "delta_versions_out", "rows", "schema_gate"] {
        assert!(!text(kind, "run").is_empty(), "{kind}");
    }
    for kind in ["profile_hash", "function_registry_hash"] {
        assert_eq!(text(kind, "session").len(), 16, "{kind}");
    }
    assert!(text("schema_gate", "run").contains("ast_nodes"), "the gate saw the tables that the run wrote");

    let stages = list("stages");
    assert_eq!(stages.len(), 2, "{said}");
    assert!(stages.iter().all(|stage| stage["state"] == "successful"), "{said}");
    assert_eq!(stages[0]["partitions"], 3, "one task a shard");
    let shards: BTreeSet<String> = list("tasks").iter().map(|task| task["shard"].to_string()).collect();
    assert_eq!(shards.len(), 3, "{said}");
}
