//! Lakes in a bucket: the same tables as in a directory, whatever the store does on the way, and no secret in them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::thread;

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;
use lode_tests::s3::{S3, SECRET, TOKEN};
use lode_tests::tables::Tables;
use lode_tests::{cache, venv};

#[track_caller]
fn extract(s3: &S3, repo: &Repo, args: &[&str]) {
    let output = Output::of(&mut s3.extraction("a", repo.root(), args)).ok();
    assert_eq!(output.summary().state, "committed", "{output}");
}

/// A clean `lode verify`, and the facts of a lake in a directory that was not disturbed.
#[track_caller]
fn assert_whole(s3: &S3, undisturbed: &Lake) {
    Output::of(&mut s3.command("verify", "a")).ok();
    let (_home, root) = s3.download("a");
    Tables::open(&root).assert_same_facts(&undisturbed.tables());
}

#[test]
fn a_bucket_holds_a_lake_like_a_directory() {
    let (s3, local) = (S3::default(), Lake::default());
    let repo = Repo::sample(30);
    let both = |args: &[&str]| {
        extract(&s3, &repo, args);
        local.extract(&repo, args);
    };
    both(&["--shards", "3", "--run-id", "first"]);
    repo.write("core/m1.py", "changed = True\n").remove("api/m0.py");
    both(&["--shards", "3", "--run-id", "second"]);
    assert_whole(&s3, &local);

    for command in ["tables", "runs", "maintain", "quarantine list"] {
        let words: Vec<&str> = command.split(' ').collect();
        let mut lode = lode_tests::command::lode();
        lode.envs(s3.environment()).args(&words).arg("--lake").arg(s3.url("a"));
        Output::of(&mut lode).ok();
    }
    let sql = "SELECT count(*) AS n FROM repo_files";
    let asked = Output::of(s3.command("query", "a").args(["--format", "jsonl", sql])).ok().json_lines();
    assert_eq!(asked, local.query(sql));
    let changes = Output::of(s3.command("changes", "a").args(["ast_defs", "--since", "first"])).ok();
    let mut there = local.command("changes");
    let there = Output::of(there.args(["ast_defs", "--since", "first"])).ok();
    assert_eq!(changes.stdout.lines().count(), there.stdout.lines().count(), "{changes}\n{there}");
    Output::of(s3.command("explain", "a").arg("second")).ok();
    Output::of(s3.command("verify", "a").arg("--rebuild").arg(repo.root())).ok();
}

#[test]
fn a_killed_run_is_resumed_from_the_bucket() {
    let s3 = S3::default();
    let repo = Repo::sample(24);
    for point in ["manifest.after", "commit.after"] {
        let mut killed = s3.extraction("a", repo.root(), &["--shards", "3", "--run-id", point]);
        let output = Output::of(killed.env("LODE_FAULT", point));
        assert_eq!(output.code, None, "{output}");
        let resumed = Output::of(s3.command("resume", "a").arg(point).args(["--output", "json"])).ok();
        assert_eq!(resumed.summary().state, "committed", "{resumed}");
        repo.write("core/m1.py", format!("at = '{point}'\n"));
    }
    extract(&s3, &repo, &[]);
    assert_whole(&s3, &Lake::of(&repo, &["--shards", "3"]));
}

#[test]
fn a_store_that_fails_by_chance_costs_time_and_nothing_else() {
    let mut kinds = BTreeSet::new();
    for seed in [1, 2, 3] {
        let s3 = S3::default();
        let repo = Repo::sample(24);
        s3.disturb(seed, 80);
        extract(&s3, &repo, &["--shards", "3"]);
        repo.write("core/m1.py", "changed = True\n").remove("api/m0.py");
        extract(&s3, &repo, &["--shards", "3"]);
        kinds.extend(s3.calm().into_keys());
        assert_whole(&s3, &Lake::of(&repo, &["--shards", "3"]));
    }
    assert_eq!(kinds.len(), 5, "every kind of fault occurs: {kinds:?}");
}

#[test]
fn writers_of_several_processes_all_commit() {
    let s3 = S3::default();
    let (a, b) = (Repo::sample(15), Repo::sample(18));
    s3.disturb(7, 60);
    let run = |repo: &Repo, name: &str| extract(&s3, repo, &["--repo", name, "--shards", "2"]);
    thread::scope(|scope| {
        scope.spawn(|| run(&a, "a"));
        scope.spawn(|| run(&b, "b"));
        scope.spawn(|| run(&a, "a"));
    });
    s3.calm();
    let one_by_one = Lake::default();
    one_by_one.extract(&a, &["--repo", "a", "--shards", "2"]);
    one_by_one.extract(&b, &["--repo", "b", "--shards", "2"]);
    assert_whole(&s3, &one_by_one);
    let (_home, root) = s3.download("a");
    let sequences = Tables::open(&root).texts("SELECT sequence FROM runs ORDER BY repo, sequence");
    assert_eq!(sequences, ["1", "2", "1"], "each run is one commit");
}

#[test]
fn other_readers_open_tables_in_the_bucket() {
    let s3 = S3::default();
    let repo = Repo::sample(12);
    extract(&s3, &repo, &[]);
    let (_home, root) = s3.download("a");
    let tables = Tables::open(&root);
    let readers = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/readers.py");
    let mut command = Command::new(venv::python(cache()));
    command.arg(readers).arg(s3.url("a")).args(tables.names()).envs(s3.environment());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for table in tables.names() {
        let expected = tables.count(table);
        for reader in ["deltalake", "duckdb", "polars"] {
            assert_eq!(counts[table][reader], expected, "{table} in {reader}");
        }
    }
}

#[test]
fn secrets_are_in_no_lake_log_or_message() {
    let s3 = S3::default();
    let repo = Repo::sample(10);
    let quiet = |text: &[u8], what: &str| {
        for secret in [SECRET, TOKEN] {
            let found = text.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {what}");
        }
    };
    s3.disturb(11, 60);
    let output = Output::of(&mut s3.extraction("a", repo.root(), &["--log-level", "debug", "--run-id", "r"])).ok();
    s3.calm();
    quiet(output.stderr.as_bytes(), "the log");
    quiet(output.stdout.as_bytes(), "the summary");
    let (_home, root) = s3.download("a");
    each_file(&root, &mut |path, bytes| quiet(bytes, &path.display().to_string()));
    // Parquet is compressed: its rows are read.
    for table in ["plan_artifacts", "runs", "run_stages", "run_tasks"] {
        let sql = format!("SELECT * FROM {table}");
        let rows = Output::of(s3.command("query", "a").args(["--format", "jsonl", &sql])).ok();
        assert!(!rows.stdout.is_empty(), "{table} has rows");
        quiet(rows.stdout.as_bytes(), table);
    }
    // The server repeats the token in its refusal, as S3 does.
    s3.lock();
    let refused = Output::of(&mut s3.command("verify", "a")).fails_with(&["InvalidToken", "permissions"]);
    quiet(refused.stderr.as_bytes(), "the error");
    quiet(refused.stdout.as_bytes(), "what is printed with it");
    let refused = Output::of(&mut s3.extraction("a", repo.root(), &["--log-level", "debug"]));
    assert_eq!(refused.code, Some(1), "{refused}");
    quiet(refused.stderr.as_bytes(), "the log of a refused run");
    quiet(refused.stdout.as_bytes(), "the summary of a refused run");
}

fn each_file(directory: &Path, visit: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, visit);
        } else {
            visit(&path, &std::fs::read(&path).unwrap());
        }
    }
}
