//! What `lode resume` and run ids promise.

use std::collections::BTreeMap;
use std::path::Path;

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;

const SHARDS: &[&str] = &["--shards", "6"];

fn manifests(lake: &Lake, run: &str) -> BTreeMap<String, Vec<u8>> {
    let directory = lake.root().join("_runs").join(run).join("0/manifest");
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
}

#[test]
fn finished_shards_are_not_done_again() {
    let repo = Repo::sample(36);
    let lake = Lake::default();
    let mut command = lake.extraction(repo.root(), SHARDS);
    let output = Output::of(command.args(["--run-id", "r1"]).env("LODE_FAULT", "manifest.after:3"));
    assert_eq!(output.code, None, "{output}");
    let finished = manifests(&lake, "r1");
    assert!((3..6).contains(&finished.len()), "{} finished shards", finished.len());

    lake.resume("r1").ok();
    let all = manifests(&lake, "r1");
    assert_eq!(all.len(), 6);
    for (shard, manifest) in finished {
        assert_eq!(all[&shard], manifest, "{shard} was written twice");
    }
    lake.verify();
}

#[test]
fn a_resumed_run_keeps_to_its_scan() {
    let repo = Repo::sample(24);
    let lake = Lake::default();
    let expected = Lake::of(&repo, SHARDS).tables().texts("SELECT path FROM repo_files ORDER BY path");
    let mut command = lake.extraction(repo.root(), SHARDS);
    Output::of(command.args(["--run-id", "r1"]).env("LODE_FAULT", "manifest.before:2"));
    repo.write("api/after_the_scan.py", "x = 1\n");
    lake.resume("r1").ok();
    assert_eq!(lake.tables().texts("SELECT path FROM repo_files ORDER BY path"), expected);
}

#[test]
fn a_committed_run_is_not_run_again() {
    let repo = Repo::sample(6);
    let lake = Lake::default();
    lake.extract(&repo, &["--run-id", "r1"]);
    let before = versions(lake.root());
    for output in [lake.resume("r1"), lake.try_extract(&repo, &["--run-id", "r1"])] {
        let output = output.ok();
        assert_eq!(output.summary().state, "committed");
        assert!(output.stderr.contains("committed before"), "{output}");
    }
    assert_eq!(versions(lake.root()), before);
}

#[test]
fn a_run_id_stands_for_its_inputs() {
    let repo = Repo::sample(6);
    let lake = Lake::default();
    lake.extract(&repo, &["--run-id", "r1"]);
    lake.try_extract(&repo, &["--run-id", "r1", "--exclude", "api/"]).fails_with(&["r1"]);
    repo.write("api/new.py", "x = 1\n");
    lake.try_extract(&repo, &["--run-id", "r1"]).fails_with(&["r1"]);
}

#[test]
fn an_unknown_run_is_an_error() {
    let lake = Lake::of(&Repo::sample(3), &[]);
    lake.resume("nobody").fails_with(&["nobody"]);
}

fn versions(lake: &Path) -> usize {
    let tables = std::fs::read_dir(lake).unwrap().flatten().map(|entry| entry.path().join("_delta_log"));
    tables.filter_map(|log| std::fs::read_dir(log).ok()).map(Iterator::count).sum()
}
