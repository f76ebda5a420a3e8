//! Several runs on one lake at once.

use std::thread;

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;

#[test]
fn two_runs_of_one_repository_both_commit() {
    let repo = Repo::sample(30);
    let lake = Lake::of(&repo, &["--shards", "3"]);
    repo.write("api/m0.py", "x = 1\n");
    let run = || lake.extract(&repo, &["--shards", "3"]).run_id;
    let (first, second) = thread::scope(|scope| {
        let other = scope.spawn(run);
        (run(), other.join().unwrap())
    });
    assert_ne!(first, second);
    let sequences = lake.tables().texts("SELECT sequence FROM runs ORDER BY sequence");
    assert_eq!(sequences, ["1", "2", "3"]);
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &["--shards", "3"]));
}

#[test]
fn first_runs_of_two_repositories_share_a_new_lake() {
    let (a, b) = (Repo::sample(20), Repo::sample(25));
    let lake = Lake::default();
    thread::scope(|scope| {
        scope.spawn(|| lake.extract(&a, &["--repo", "a"]));
        scope.spawn(|| lake.extract(&b, &["--repo", "b"]));
    });
    lake.verify();
    let one_by_one = Lake::default();
    one_by_one.extract(&a, &["--repo", "a"]);
    one_by_one.extract(&b, &["--repo", "b"]);
    lake.assert_same_facts(&one_by_one);
}

#[test]
fn a_run_that_plans_again_keeps_the_facts_of_lanes_it_was_not_asked_for() {
    let repo = Repo::sample(24);
    let [syntax, lines] = ["ast_nodes", "file_line_index"].map(|dataset| ["--shards", "6", "--datasets", dataset]);
    let lake = Lake::of(&repo, &syntax);
    repo.write("api/m0.py", "x = 1\n");
    let mut stopped = lake.extraction(repo.root(), &syntax);
    let output = Output::of(stopped.args(["--run-id", "r1"]).env("LODE_FAULT", "commit.before"));
    assert_eq!(output.code, None, "{output}");
    // When the first run was planned, nothing was known of lines.
    lake.extract(&repo, &lines);
    lake.resume("r1").ok();
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &["--shards", "6", "--datasets", "ast_nodes,file_line_index"]));
}
