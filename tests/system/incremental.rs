//! After any change, an incremental run leaves the tables of a clean rebuild, and does only what changed.

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::{Repo, python_module};

fn assert_equals_rebuild(lake: &Lake, repo: &Repo, args: &[&str]) {
    lake.verify();
    lake.assert_same_facts(&Lake::of(repo, args));
}

#[test]
fn a_run_with_nothing_to_do_writes_nothing() {
    let repo = Repo::sample(20);
    let lake = Lake::of(&repo, &[]);
    let before = lake.tables().digests().into_iter().map(|(t, d)| (t.to_owned(), d)).collect::<Vec<_>>();
    let summary = lake.extract(&repo, &[]);
    assert_eq!((summary.files.scanned, summary.files.unchanged), (20, 20), "{summary:?}");
    assert_eq!(summary.rows_written.values().sum::<u64>(), 0, "{summary:?}");
    assert_eq!(summary.bytes, 0);
    let after = lake.tables().digests().into_iter().map(|(t, d)| (t.to_owned(), d)).collect::<Vec<_>>();
    assert_eq!(after, before);
}

#[test]
fn files_change_appear_move_and_go() {
    let repo = Repo::sample(40);
    let lake = Lake::of(&repo, &["--shards", "3"]);
    type Change<'a> = &'a dyn Fn(&Repo) -> &Repo;
    let changes: [(&str, Change, [u64; 2]); 7] = [
        ("edit", &|r| r.write("api/m0.py", python_module(50)), [1, 0]),
        ("add", &|r| r.write("zz/last.py", "x = 1\n").write("a_first.py", "y = 2\n"), [2, 0]),
        ("remove", &|r| r.remove("core/m1.py").remove("api/m20.py"), [0, 2]),
        ("rename", &|r| r.rename("tools/m8.py", "tools/renamed.py"), [1, 1]),
        ("break", &|r| r.write("api/m0.py", "def (:\n"), [1, 0]),
        ("mend", &|r| r.write("api/m0.py", "def f(): pass\n"), [1, 0]),
        ("empty", &|r| r.write("api/m0.py", ""), [1, 0]),
    ];
    for (name, change, [extracted, deleted]) in changes {
        change(&repo);
        let summary = lake.extract(&repo, &["--shards", "3"]);
        assert_eq!([summary.files.extracted, summary.files.deleted], [extracted, deleted], "{name}: {summary:?}");
        assert_equals_rebuild(&lake, &repo, &["--shards", "3"]);
    }
}

#[test]
fn a_mode_is_a_fact_of_the_file() {
    let repo = Repo::sample(6);
    let lake = Lake::of(&repo, &[]);
    repo.chmod("api/m0.py", 0o755);
    let summary = lake.extract(&repo, &[]);
    assert_eq!(summary.rows_written.get("ast_nodes").copied().unwrap_or(0), 0, "content is the same: {summary:?}");
    assert_equals_rebuild(&lake, &repo, &[]);
}

#[test]
fn datasets_come_and_go_between_runs() {
    let repo = Repo::sample(24);
    let lake = Lake::of(&repo, &["--datasets", "repo_files,ast_defs"]);
    repo.write("api/m0.py", python_module(50));
    let more = ["--datasets", "repo_files,ast_defs,ast_nodes,ts_defs"];
    lake.extract(&repo, &more);
    assert_equals_rebuild(&lake, &repo, &more);

    // Left out for a run in which files change and go: their rows in it must not stay.
    repo.write("core/m2.py", python_module(51)).remove("api/m0.py");
    lake.extract(&repo, &["--datasets", "repo_files,ast_defs"]);
    lake.verify();
    assert_eq!(lake.tables().number("SELECT count(*) FROM ast_nodes WHERE path = 'api/m0.py'"), 0);

    lake.extract(&repo, &more);
    assert_equals_rebuild(&lake, &repo, &more);
}

#[test]
fn only_what_is_asked_for_is_written() {
    let repo = Repo::sample(8);
    let lake = Lake::default();
    let summary = lake.extract(&repo, &["--datasets", "ast_imports"]);
    let with_rows: Vec<&str> =
        summary.rows.iter().filter(|(_, rows)| **rows > 0).map(|(name, _)| name.as_str()).collect();
    assert!(with_rows.contains(&"ast_imports"), "{summary:?}");
    assert!(!with_rows.iter().any(|name| name.starts_with("ts_") || *name == "ast_nodes"), "{summary:?}");
}

#[test]
fn a_narrower_scope_takes_rows_along() {
    let repo = Repo::sample(20);
    let lake = Lake::of(&repo, &[]);
    let narrow = ["--exclude", "core/"];
    lake.extract(&repo, &narrow);
    assert_equals_rebuild(&lake, &repo, &narrow);
    assert_eq!(lake.tables().number("SELECT count(*) FROM ast_nodes WHERE path LIKE 'core/%'"), 0);
    lake.extract(&repo, &[]);
    assert_equals_rebuild(&lake, &repo, &[]);
}

#[test]
fn a_diff_driven_run_never_deletes_what_it_did_not_look_at() {
    let repo = Repo::sample(20);
    let first = repo.commit("first");
    let lake = Lake::of(&repo, &[]);
    repo.write("api/m0.py", python_module(60)).remove("core/m1.py");
    repo.commit("second");
    let summary = lake.extract(&repo, &["--changed-since", &first]);
    assert_eq!((summary.files.extracted, summary.files.deleted), (1, 1), "{summary:?}");
    assert_equals_rebuild(&lake, &repo, &[]);
    lake.try_extract(&repo, &["--changed-since", "no-such-ref"]).fails_with(&["no-such-ref"]);
}

#[test]
fn repositories_share_a_lake() {
    let (a, b) = (Repo::sample(10), Repo::sample(15));
    let lake = Lake::default();
    lake.extract(&a, &["--repo", "a"]);
    lake.extract(&b, &["--repo", "b"]);
    a.remove("api/m0.py");
    lake.extract(&a, &["--repo", "a"]);
    lake.verify();
    let tables = lake.tables();
    assert_eq!(tables.number("SELECT count(*) FROM repo_files WHERE repo = 'a'"), 9);
    assert_eq!(tables.number("SELECT count(*) FROM repo_files WHERE repo = 'b'"), 15);
}

#[test]
fn a_quiet_run_that_succeeds_says_nothing() {
    let repo = Repo::sample(12);
    let lake = Lake::default();
    for _ in 0..3 {
        let output = Output::of(lake.extraction(repo.root(), &["--quiet"]).env_remove("LODE_LOG")).ok();
        assert_eq!(output.stderr, "");
        repo.write("api/m0.py", format!("x = {}\n", output.stdout.len()));
    }
}
