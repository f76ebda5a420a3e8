//! Lakes in a bucket: the same tables as in a directory, whatever the store does on the way, and no secret in them.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;
use lode_tests::s3::{Fault, S3};
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
    let changes = |mut command: Command| {
        let output = Output::of(command.args(["ast_defs", "--since", "first", "--format", "jsonl"])).ok();
        let mut rows = output.json_lines();
        // Versions of equal lakes are equal; the times of their commits are not.
        rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("_commit_timestamp")));
        let mut rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
        rows.sort();
        rows
    };
    let (there, here) = (changes(s3.command("changes", "a")), changes(local.command("changes")));
    assert!(there.iter().any(|row| row.contains("\"delete\"")), "{there:?}");
    assert_eq!(there, here);
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
fn creations_that_meet_are_decided() {
    let s3 = S3::default();
    let repo = Repo::sample(12);
    // Each creation is told twice that another one is under way: it was not done, then it was.
    s3.break_requests(
        |request| request.creates && request.seen <= 2,
        |request| match request.seen {
            1 => Fault::Conflict,
            _ => Fault::ConflictAfterwards,
        },
    );
    extract(&s3, &repo, &["--shards", "2", "--run-id", "first"]);
    repo.write("core/m1.py", "changed = True\n");
    extract(&s3, &repo, &["--shards", "2"]);
    let broken = s3.calm();
    assert!(broken[&Fault::Conflict] > 20 && broken[&Fault::ConflictAfterwards] > 20, "{broken:?}");
    assert_whole(&s3, &Lake::of(&repo, &["--shards", "2"]));
}

/// A repository with one shard whose tables are uploaded in parts.
fn in_parts() -> Repo {
    let repo = Repo::sample(4);
    for file in 0..4u64 {
        let mut text = String::new();
        for n in 0..60_000u64 {
            // Numbers that don't compress well: a part has five megabytes.
            let odd = (file << 32 | (n + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            text.push_str(&format!("v{odd:x} = f{:x}({odd})\n", odd.rotate_left(29)));
        }
        repo.write(format!("core/large{file}.py"), text);
    }
    repo
}

#[test]
fn an_upload_in_parts_survives_faults() {
    let s3 = S3::default();
    let repo = in_parts();
    let limits = ["--shards", "1", "--datasets", "ast_nodes", "--max-file-bytes", "20000000"];
    s3.break_requests(
        |request| request.part.is_some() && request.seen <= 2,
        |request| match request.seen {
            1 => Fault::Failed,
            _ => Fault::Hidden,
        },
    );
    extract(&s3, &repo, &limits);
    let broken = s3.calm();
    assert!(broken[&Fault::Failed] >= 2 && broken[&Fault::Hidden] >= 2, "there are several parts: {broken:?}");
    assert_whole(&s3, &Lake::of(&repo, &limits));
}

#[test]
fn an_upload_in_parts_that_fails_leaves_none() {
    let s3 = S3::default();
    // The first part arrives, the others never do.
    s3.break_requests(|request| request.part.is_some_and(|part| part > 1), |_| Fault::Failed);
    let args = ["--shards", "1", "--datasets", "ast_nodes", "--max-file-bytes", "20000000"];
    let output = Output::of(s3.extraction("a", in_parts().root(), &args).env("AWS_RETRY_TIMEOUT", "2s"));
    assert_ne!(output.code, Some(0), "{output}");
    assert!(s3.calm().contains_key(&Fault::Failed), "there are several parts: {output}");
    assert_eq!(s3.open_uploads(), 0, "{output}");
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
