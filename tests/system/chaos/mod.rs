//! Whatever dies on a cluster, the run ends committed, with the tables of a run that nothing happened to.
//!
//! Faults are tied to what a process is about to do (`lode_lake::fault`), never to the clock: an executor is killed, or
//! stops, at a point of the protocol, and what is done to the others is done while it stands there. `LODE_SOAK=200` runs
//! as many random cases, the seeds from 0 on; `LODE_SEED=<seed>` runs one of them.

mod world;

use std::process::Stdio;

use lode_tests::cluster::{Cluster, end_of, until};
use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;

use self::world::{Case, Fault, RUN, SHARDS, World, finish};

/// Random cases without `LODE_SOAK`.
const SOAK: u64 = 20;

#[test]
fn executors_die() {
    let kills = ["data.before:2", "data.after", "manifest.after"].map(|point| Case::new(Fault::Kill, point));
    let others = [
        Case::new(Fault::KillAll, "commit.before"),
        Case::new(Fault::Zombie, "data.after:2"),
        Case::new(Fault::KillWorkers, "data.before"),
        Case::new(Fault::KillWorkers, "manifest.after:2"),
    ];
    World::new().run_all(kills.into_iter().chain(others));
}

#[test]
fn schedulers_die_at_every_step() {
    let killed = Case::everywhere(Fault::KillScheduler);
    World::new().run_all(killed.into_iter().chain([Case::new(Fault::EndScheduler, "manifest.after")]));
}

#[test]
fn runs_are_cancelled_at_every_step() {
    World::new().run_all(Case::everywhere(Fault::Cancel));
}

#[test]
fn two_runs_meet_at_every_step() {
    World::new().run_all(Case::everywhere(Fault::AnotherRun));
}

#[test]
fn what_a_killed_scheduler_saw_is_known() {
    let world = World::new();
    let lake = world.base.duplicate();
    let mut cluster = Cluster::start(&["manifest.after:2!"]);
    let args = ["--shards", SHARDS, "--no-wait"];
    Output::of(&mut cluster.submission(world.repo.root(), &lake, RUN, &args)).ok();
    until("the executor stops", || cluster.executors[0].is_stopped());
    let explain = || -> serde_json::Value {
        let said = Output::of(lake.command("explain").args([RUN, "--output", "json"])).ok().stdout;
        serde_json::from_str(&said).expect("JSON")
    };
    until("the scheduler has written down what it saw", || explain()["stages"][0]["state"] == "running");
    cluster.scheduler.kill();

    let said = explain();
    let stages = said["stages"].as_array().expect("a list");
    assert_eq!(stages.len(), 2, "{said}");
    let plan = std::fs::read(lake.root().join(format!("_runs/{RUN}/0/plan.json"))).expect("the epoch is planned");
    let plan: serde_json::Value = serde_json::from_slice(&plan).expect("JSON");
    let tasks = plan["tasks"].as_array().expect("a list").len();
    assert!(tasks > 2, "{plan}");
    assert_eq!((&stages[0]["state"], &stages[0]["partitions"]), (&"running".into(), &tasks.into()), "{said}");
    assert_eq!(stages[1]["state"], "unresolved", "{said}");
    assert!(stages[0]["plan"].as_str().is_some_and(|plan| plan.contains("ExtractExec")), "{said}");
    let of = |kind: &str| said["artifacts"].as_array().expect("a list").iter().any(|artifact| artifact["kind"] == kind);
    assert!(of("physical_plan") && of("events"), "{said}");
    let runs = Output::of(lake.command("runs").args(["--output", "json"])).ok();
    let runs: serde_json::Value = serde_json::from_str(&runs.stdout).expect("JSON");
    assert_eq!((&runs[1]["state"], &runs[1]["tasks"]["all"]), (&"resumable".into(), &tasks.into()), "{runs}");

    cluster.restart_scheduler();
    cluster.executors[0].signal(libc::SIGCONT);
    finish(&mut cluster, "a killed scheduler", |cluster| cluster.resumption(lake.root().to_str().expect("plain"), RUN));
    lake.verify();
    lake.assert_same_facts(&world.undisturbed);
    // Both jobs are in the tables now, and nowhere else.
    let jobs = format!("SELECT count(DISTINCT job_id) FROM run_stages WHERE run_id = '{RUN}'");
    assert_eq!(lake.tables().number(&jobs), 2);
    let left = std::fs::read_dir(lake.root().join("_runs").join(RUN).join("0/captured")).into_iter().flatten();
    assert_eq!(left.count(), 0);
}

#[test]
fn clients_come_and_go() {
    let cases = [Case::new(Fault::KillClient, "manifest.before"), Case::new(Fault::SubmitAgain, "data.after")];
    World::new().run_all(cases);
}

#[test]
fn executors_come_and_go() {
    let cases = [Case::new(Fault::ScaleDown, "data.before:2"), Case::new(Fault::ScaleUp, "manifest.after")];
    World::new().run_all(cases);
}

#[test]
fn networks_break() {
    let cases = [Case::new(Fault::CutOff, "data.after:2"), Case::new(Fault::CutForAWhile, "manifest.before")];
    World::new().run_all(cases);
}

#[test]
fn a_file_that_kills_executors_is_isolated() {
    let repo = Repo::sample(20);
    let lake = Lake::default();
    let poison = [("LODE_POISON", "core/m1.py")];
    let mut cluster = Cluster::start(&[]);
    cluster.add_executor(&poison);
    let mut submission = cluster.submission(repo.root(), &lake, RUN, &["--shards", "3"]);
    let mut client = submission.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("lode is built");
    let mut lost = 0;
    until("the run survives its file", || {
        let last = cluster.executors.last_mut().expect("there is one");
        if last.has_ended() {
            lost += 1;
            assert!(lost < 10, "executors die for ever\n{}", cluster.logs());
            cluster.add_executor(&poison);
        }
        client.try_wait().expect("it is a child").is_some()
    });
    let status = end_of(&mut client, || format!("the client ends\n{}", cluster.logs()));
    assert!(status.success(), "{}", cluster.logs());
    assert_eq!(lost, 4, "two attempts to notice, two to find the file");
    let held = lake.tables().texts("SELECT DISTINCT path || ' ' || limit_name AS held FROM quarantine");
    assert_eq!(held, ["core/m1.py crash"]);
    lake.verify();
    // The others are there.
    assert_eq!(lake.tables().number("SELECT count(DISTINCT path) FROM file_line_index"), 19);
}

/// Random cases, as many as `LODE_SOAK` says.
#[test]
fn soak() {
    let seed = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match (seed("LODE_SEED"), seed("LODE_SOAK")) {
        (Some(seed), _) => seed..seed + 1,
        (None, cases) => 0..cases.unwrap_or(SOAK),
    };
    World::new().run_all(seeds.map(Case::random));
}
