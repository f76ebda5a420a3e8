//! The commit protocol: races, crashes at every step, zombies, repositories side by side.

mod common;

use common::*;
use lode_lake::base::Base;
use lode_lake::commit::{CommitOutcome, Decision, commit, decide, entry, roll_forward};
use lode_lake::{Lake, LakeError, layout};

fn some_files() -> Files {
    files(&[("a.py", 1), ("b.py", 2), ("c/d.py", 3), ("c/e.py", 5), ("f.py", 7), ("g.py", 10)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_lake_gets_all_tables_even_empty_ones() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open_or_create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let run = Run::new("one");
    let (outcome, _) = ingest(&lake, &run, &Files::new(), &State::default()).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { sequence: 1 });
    let base = Base::load(&lake, run.repo).await.unwrap();
    let tables = base.tables.keys().map(String::as_str).collect::<Vec<_>>();
    for table in file_tables().chain(["shards", "repos", "runs"]) {
        assert!(tables.contains(&table), "{table} is missing");
        assert_eq!(base.tables[table].version(), 0, "{table} is created in one commit");
    }
    assert!(!tables.contains(&"ts_nodes"), "what wasn't asked for isn't there");
    assert_eq!(base.last.unwrap().run_id, "one");
    assert_eq!(base.origin, Some(Some("https://example.org/repo".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_planners_one_commits_and_the_other_plans_again() {
    let lake = memory_lake().await;
    let (first, mut second) = (Run::new("first"), Run::new("second"));
    let files = some_files();
    let (base1, plan1, work1) = plan(&lake, &first, &files, &State::default()).await.unwrap();
    let (base2, plan2, work2) = plan(&lake, &second, &files, &State::default()).await.unwrap();
    execute_all(&lake, &first, &files, &base1, &plan1, &work1).await.unwrap();
    execute_all(&lake, &second, &files, &base2, &plan2, &work2).await.unwrap();
    let (one, two) = tokio::join!(commit(&lake, &plan1), commit(&lake, &plan2));
    let outcomes = [one.unwrap(), two.unwrap()];
    assert_eq!(outcomes.iter().filter(|o| **o == CommitOutcome::Committed { sequence: 1 }).count(), 1, "{outcomes:?}");
    let superseded = outcomes.iter().filter(|o| matches!(o, CommitOutcome::Superseded { .. })).count();
    assert_eq!(superseded, 1, "{outcomes:?}");
    second.run_id = if outcomes[0] == (CommitOutcome::Committed { sequence: 1 }) { "second" } else { "first" }.into();
    second.epoch = 1;
    let (outcome, _) = ingest(&lake, &second, &files, &after(&State::default(), &work1)).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { sequence: 2 });
    assert_equals_rebuild(&lake, &first, &files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn committing_again_and_rolling_forward_again_changes_nothing() {
    let lake = memory_lake().await;
    let run = Run::new("one");
    let files = some_files();
    let (base, plan, work) = plan(&lake, &run, &files, &State::default()).await.unwrap();
    execute_all(&lake, &run, &files, &base, &plan, &work).await.unwrap();
    for _ in 0..3 {
        assert_eq!(commit(&lake, &plan).await.unwrap(), CommitOutcome::Committed { sequence: 1 });
        assert!(roll_forward(&lake, &plan.repo_key).await.unwrap().is_empty());
    }
    let base = Base::load(&lake, run.repo).await.unwrap();
    assert!(base.tables.values().all(|table| table.version() == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_roll_forward_at_once() {
    let lake = memory_lake().await;
    let run = Run::new("one");
    let mut files = some_files();
    let (_, state) = ingest(&lake, &run, &files, &State::default()).await.unwrap();
    files.insert("b.py".into(), 22);
    files.remove("g.py");
    let run = Run::new("two");
    let (base, plan, work) = plan(&lake, &run, &files, &state).await.unwrap();
    execute_all(&lake, &run, &files, &base, &plan, &work).await.unwrap();
    let all = futures::future::join_all((0..6).map(|_| commit(&lake, &plan))).await;
    assert!(all.into_iter().all(|o| o.unwrap() == CommitOutcome::Committed { sequence: 2 }));
    let base = Base::load(&lake, run.repo).await.unwrap();
    assert!(base.tables.values().all(|table| table.version() <= 1), "each table advanced at most once");
    assert_equals_rebuild(&lake, &run, &files).await;
}

/// A crash leaves the commit object and any number of tables that were rolled forward: deleting log entries of the others
/// puts a lake into each of those states.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_table_is_rolled_forward_by_the_next() {
    let tables = file_tables().chain(["shards", "repos", "runs"]).collect::<Vec<_>>();
    for crashed_before in 0..tables.len() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lake");
        let lake = Lake::open_or_create(path.to_str().unwrap()).await.unwrap();
        let files = some_files();
        let (_, state) = ingest(&lake, &Run::new("one"), &files, &State::default()).await.unwrap();
        let mut changed = files.clone();
        changed.insert("a.py".into(), 8);
        changed.insert("new.py".into(), 9);
        changed.remove("f.py");
        let run = Run::new("two");
        ingest(&lake, &run, &changed, &state).await.unwrap();
        for table in tables[crashed_before..].iter() {
            let log = path.join(table).join("_delta_log/00000000000000000001.json");
            if log.exists() {
                std::fs::remove_file(log).unwrap();
            }
        }
        let base = Base::load(&lake, run.repo).await.unwrap();
        assert_eq!(base.sequence, 2);
        assert_equals_rebuild(&lake, &run, &changed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_cannot_commit_a_cancelled_run() {
    let lake = memory_lake().await;
    let run = Run::new("one");
    let files = some_files();
    let (base, plan, work) = plan(&lake, &run, &files, &State::default()).await.unwrap();
    execute_all(&lake, &run, &files, &base, &plan, &work).await.unwrap();
    assert_eq!(decide(&lake, "one", Decision::Cancelled).await.unwrap(), Decision::Cancelled);
    assert!(matches!(commit(&lake, &plan).await, Err(LakeError::Cancelled { .. })));
    assert_eq!(entry(&lake, &plan.repo_key, 1).await.unwrap(), None);
    assert_eq!(decide(&lake, "one", Decision::Commit).await.unwrap(), Decision::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_an_unfinished_shard_is_not_committed() {
    let lake = memory_lake().await;
    let run = Run::new("one");
    let files = some_files();
    let (base, plan, work) = plan(&lake, &run, &files, &State::default()).await.unwrap();
    let (last, rest) = work.iter().next_back().zip(Some(work.iter().rev().skip(1))).unwrap();
    for (shard, changes) in rest {
        execute(&lake, &run, &files, &base, &plan, shard, changes).await.unwrap();
    }
    assert!(matches!(commit(&lake, &plan).await, Err(LakeError::MissingManifest { shard, .. }) if shard == *last.0));
    let manifest = execute(&lake, &run, &files, &base, &plan, last.0, last.1).await.unwrap();
    let again = execute(&lake, &run, &files, &base, &plan, last.0, last.1).await.unwrap();
    assert_eq!(manifest, again, "the loser takes the winner's manifest");
    commit(&lake, &plan).await.unwrap();
    assert_equals_rebuild(&lake, &run, &files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_commit_to_the_same_tables_at_once() {
    let lake = memory_lake().await;
    let files = some_files();
    let repos = ["r/one", "r/two", "r/three", "r/four"];
    let ingest_two = |repo: &'static str| {
        let (lake, files) = (lake.clone(), files.clone());
        async move {
            let mut run = Run { repo, ..Run::new(format!("{repo} 1").replace('/', "-")) };
            let (outcome, state) = ingest(&lake, &run, &files, &State::default()).await.unwrap();
            assert_eq!(outcome, CommitOutcome::Committed { sequence: 1 });
            let mut files = files.clone();
            files.insert("c/d.py".into(), 33);
            run.run_id = format!("{repo} 2").replace('/', "-");
            let (outcome, _) = ingest(&lake, &run, &files, &state).await.unwrap();
            assert_eq!(outcome, CommitOutcome::Committed { sequence: 2 });
            (run, files)
        }
    };
    let done = futures::future::join_all(repos.map(|repo| tokio::spawn(ingest_two(repo)))).await;
    for result in done {
        let (run, files) = result.unwrap();
        assert_equals_rebuild(&lake, &run, &files).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_tables_get_no_commit() {
    let lake = memory_lake().await;
    let files = some_files();
    let (_, state) = ingest(&lake, &Run::new("one"), &files, &State::default()).await.unwrap();
    ingest(&lake, &Run::new("two"), &files, &state).await.unwrap();
    let base = Base::load(&lake, "example/repo").await.unwrap();
    assert_eq!(base.sequence, 2);
    for (name, table) in &base.tables {
        assert_eq!(table.version(), i64::from(name == "runs"), "{name}");
    }
}

#[tokio::test]
async fn a_damaged_commit_object_is_said_to_be_damaged() {
    let lake = memory_lake().await;
    let key = lode_lake::shard::repo_key("example/repo");
    lake.put_new(&layout::commit(&key, 1), bytes::Bytes::from_static(b"{")).await.unwrap();
    let error = Base::load(&lake, "example/repo").await.unwrap_err();
    assert!(matches!(error, LakeError::Damaged { .. }), "{error}");
}
