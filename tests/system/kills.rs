//! A run that dies anywhere is completed by `lode resume`, and nothing is lost or doubled.

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lode_lake::fault;
use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::{Repo, python_module};

const SHARDS: &[&str] = &["--shards", "4"];

/// A repository, its lake after a first run, and the change that a second run has to bring in.
fn changed() -> (Repo, Lake) {
    let repo = Repo::sample(24);
    let lake = Lake::of(&repo, SHARDS);
    repo.write("api/m0.py", python_module(99)).remove("core/m1.py").write("tools/new.py", python_module(7));
    (repo, lake)
}

fn die_at(point: &str, lake: &Lake, repo: &Repo) {
    let mut command = lake.extraction(repo.root(), SHARDS);
    let output = Output::of(command.args(["--run-id", "victim"]).env("LODE_FAULT", point));
    assert_eq!(output.code, None, "the process outlives fault `{point}`\n{output}");
}

#[test]
fn the_first_run_survives_every_fault() {
    let repo = Repo::sample(24);
    let undisturbed = Lake::of(&repo, SHARDS);
    for point in fault::POINTS {
        let lake = Lake::default();
        die_at(point, &lake, &repo);
        let output = lake.resume("victim").ok();
        assert_eq!(output.summary().state, "committed", "{point}: {output}");
        lake.verify();
        lake.assert_same_facts(&undisturbed);
    }
}

#[test]
fn a_later_run_survives_every_fault() {
    let (repo, base) = changed();
    let undisturbed = base.duplicate();
    undisturbed.extract(&repo, SHARDS);
    // The second of a kind: a table or a shard is through, the next is not.
    for point in fault::POINTS.iter().flat_map(|point| [(*point).to_owned(), format!("{point}:2")]) {
        if point.ends_with(":2") && !["data", "manifest", "table"].iter().any(|step| point.starts_with(step)) {
            continue;
        }
        let lake = base.duplicate();
        die_at(&point, &lake, &repo);
        lake.resume("victim").ok();
        lake.verify();
        lake.assert_same_facts(&undisturbed);
        assert_eq!(lake.tables().count("runs"), 2, "{point}: one row a committed run");
    }
}

#[test]
fn the_next_run_completes_what_a_dead_one_committed() {
    let (repo, lake) = changed();
    die_at("table.after", &lake, &repo);
    repo.write("tools/newer.py", "x = 1\n");
    lake.extract(&repo, SHARDS);
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, SHARDS));
    assert_eq!(lake.tables().count("runs"), 3);
}

#[test]
fn sigkill_at_any_moment() {
    let (repo, base) = changed();
    let undisturbed = base.duplicate();
    let start = Instant::now();
    undisturbed.extract(&repo, SHARDS);
    let whole = start.elapsed();
    let moments = 8;
    for moment in 0..moments {
        let lake = base.duplicate();
        let mut command = lake.extraction(repo.root(), SHARDS);
        let mut child =
            command.args(["--run-id", "victim"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(whole * moment / moments);
        let workers = children(&child);
        child.kill().unwrap();
        child.wait().unwrap();
        wait_for_death(&workers);
        // The caller may not know how far it came: asking for the same run again is always right.
        Output::of(lake.extraction(repo.root(), SHARDS).args(["--run-id", "victim"])).ok();
        lake.verify();
        lake.assert_same_facts(&undisturbed);
    }
}

fn children(child: &Child) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Workers die with their parent.
fn wait_for_death(processes: &[String]) {
    let alive = |pid: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while processes.iter().any(alive) {
        assert!(Instant::now() < deadline, "workers outlive their parent: {processes:?}");
        sleep(Duration::from_millis(20));
    }
}
