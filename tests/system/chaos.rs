//! Whatever dies on a cluster, the run ends committed, with the tables of a run that nothing happened to.
//!
//! Faults are tied to what a process is about to do (`lode_lake::fault`), never to the clock: an executor is killed, or
//! stops, at a point of the protocol, and what is done to the others is done while it stands there. `LODE_SOAK=200` runs
//! as many random cases; each names its seed, and `LODE_SEED=<seed>` runs that one again.

use std::process::{Command, Stdio};

use lode_lake::fault;
use lode_tests::cluster::{Cluster, Node, end_of, until};
use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;

const RUN: &str = "victim";
const SHARDS: &str = "5";

/// What happens while an executor reaches a point of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It is killed; another one is there.
    Kill,
    /// All are killed; others come.
    KillAll,
    /// It stands still until it is given up, and comes back when the run is over.
    Zombie,
    /// The scheduler is killed; another one comes.
    KillScheduler,
    /// The scheduler is asked to end; another one comes.
    EndScheduler,
    /// The client is killed.
    KillClient,
    /// The run is cancelled.
    Cancel,
    /// It is asked to end; another one comes.
    ScaleDown,
    /// Others come.
    ScaleUp,
    /// The run is submitted once more.
    SubmitAgain,
    /// The network between it and everybody else is cut until the run is over; another one comes.
    CutOff,
    /// The network between it and everybody else is cut until the scheduler has given it up.
    CutForAWhile,
}

const FAULTS: [Fault; 12] = [
    Fault::Kill,
    Fault::KillAll,
    Fault::Zombie,
    Fault::KillScheduler,
    Fault::EndScheduler,
    Fault::KillClient,
    Fault::Cancel,
    Fault::ScaleDown,
    Fault::ScaleUp,
    Fault::SubmitAgain,
    Fault::CutOff,
    Fault::CutForAWhile,
];

/// A repository, a lake that holds an earlier state of it, and one after an undisturbed run.
struct World {
    repo: Repo,
    base: Lake,
    undisturbed: Lake,
}

impl World {
    fn new() -> Self {
        let repo = Repo::sample(30);
        let base = Lake::of(&repo, &["--shards", SHARDS]);
        repo.remove("core/m1.py").write("tools/new.py", "def new(): pass\n").write("api/m0.py", "x = 1\n");
        // Every shard has something to do.
        for n in 10..30 {
            repo.write(format!("core/more{n}.py"), format!("def f{n}(): return {n}\n"));
            repo.write(format!("vendor-ish/more{n}.py"), format!("def f{n}(): return {n}\n"));
            repo.write(format!("tools/more{n}.py"), format!("def f{n}(): return {n}\n"));
        }
        let undisturbed = base.duplicate();
        undisturbed.extract(&repo, &["--shards", SHARDS]);
        Self { repo, base, undisturbed }
    }

    fn run(&self, fault: Fault, point: &str) {
        let what = format!("{fault:?} at {point}");
        let lake = self.base.duplicate();
        let stops = !matches!(fault, Fault::Kill | Fault::KillAll);
        let at = if stops { format!("{point}!") } else { point.to_owned() };
        // Where it stands still, nobody else does its work; but somebody must be there if it is given up.
        let faults: Vec<&str> = match fault {
            Fault::Kill => vec![&at, ""],
            Fault::KillAll => vec![&at, &at],
            Fault::CutOff | Fault::CutForAWhile => vec![],
            _ => vec![&at],
        };
        let mut cluster = Cluster::start(&faults);
        let network = faults.is_empty().then(|| cluster.add_distant_executor(&[("LODE_FAULT", &at)]));
        let mut submission = cluster.submission(self.repo.root(), &lake, RUN, &["--shards", SHARDS]);
        let mut client = submission.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("lode is built");
        if stops {
            until(&format!("{what}: the executor stops\n{}", cluster.logs()), || cluster.executors[0].is_stopped());
        }
        let mut cancelled = false;
        match fault {
            Fault::Kill => {}
            Fault::KillAll => {
                // One may find the rest of the work done, so that it never comes to the point.
                until(&format!("{what}: all die\n{}", cluster.logs()), || {
                    cluster.executors.iter_mut().all(Node::has_ended) || ended(&cluster)
                });
                cluster.add_executor(&[]);
            }
            Fault::Zombie => {
                cluster.add_executor(&[]);
                until(&format!("{what}: the run ends\n{}", cluster.logs()), || ended(&cluster));
                cluster.executors[0].signal(libc::SIGCONT);
            }
            Fault::KillScheduler => {
                cluster.scheduler.kill();
                cluster.restart_scheduler();
                cluster.executors[0].signal(libc::SIGCONT);
            }
            Fault::EndScheduler => {
                cluster.scheduler.signal(libc::SIGTERM);
                assert!(cluster.scheduler.wait().success(), "{what}");
                cluster.restart_scheduler();
                cluster.executors[0].signal(libc::SIGCONT);
            }
            Fault::KillClient => {
                client.kill().expect("it is a child");
                cluster.executors[0].signal(libc::SIGCONT);
            }
            Fault::Cancel => {
                let output = Output::of(&mut cluster.lode(&["cancel", RUN]));
                cancelled = output.code == Some(0);
                assert_eq!(cancelled, !decided(point), "{what}: {output}");
                cluster.executors[0].signal(libc::SIGCONT);
            }
            Fault::ScaleDown => {
                // Of one task: when the loss is noticed while the next stage runs, that stage is rolled back, and its task's
                // slot must be free again.
                cluster.add_executor(&[]);
                cluster.executors[0].signal(libc::SIGTERM);
                cluster.executors[0].signal(libc::SIGCONT);
                assert!(cluster.executors[0].wait().success(), "{what}: {}", cluster.executors[0].log());
            }
            Fault::ScaleUp => {
                cluster.add_executor(&[]);
                cluster.add_executor(&[]);
                cluster.executors[0].signal(libc::SIGCONT);
            }
            Fault::SubmitAgain => {
                let args = ["--shards", SHARDS, "--no-wait"];
                let again = Output::of(&mut cluster.submission(self.repo.root(), &lake, RUN, &args));
                assert_eq!(again.code, Some(0), "{what}: {again}");
                cluster.executors[0].signal(libc::SIGCONT);
            }
            Fault::CutOff | Fault::CutForAWhile => {
                let network = network.as_ref().expect("it is a distant one");
                network.cut();
                cluster.executors[0].signal(libc::SIGCONT);
                cluster.scheduler.says("heartbeat timed out");
                if fault == Fault::CutOff {
                    cluster.add_executor(&[]);
                    until(&format!("{what}: the run ends\n{}", cluster.logs()), || ended(&cluster));
                }
                network.mend();
                until(&format!("{what}: it comes back\n{}", cluster.logs()), || {
                    cluster.known_executors() == cluster.executors.len()
                });
            }
        }
        let status = end_of(&mut client, || format!("{what}: the client ends\n{}", cluster.logs()));
        // Where nothing was taken away that a client needs, it has waited for a committed run.
        let harmful = [Fault::KillScheduler, Fault::EndScheduler, Fault::KillClient, Fault::Cancel, Fault::SubmitAgain];
        let unharmed = !harmful.contains(&fault);
        assert!(status.success() || !unharmed, "{what}: the client fails\n{}", cluster.logs());
        if cancelled {
            let output = Output::of(cluster.lode(&["resume", RUN]).arg("--lake").arg(lake.root()));
            output.fails_with(&["cancelled"]);
            lake.assert_same_facts(&self.base);
            finish(&mut cluster, &what, |cluster| {
                let mut retry = cluster.lode(&["retry", RUN, "--run-id", "second"]);
                retry.arg("--lake").arg(lake.root());
                retry
            });
        } else {
            finish(&mut cluster, &what, |cluster| {
                let mut resume = cluster.lode(&["resume", RUN]);
                resume.arg("--lake").arg(lake.root());
                resume
            });
        }
        lake.verify();
        lake.assert_same_facts(&self.undisturbed);
        assert_eq!(lake.tables().count("runs"), 2, "{what}: one row a committed run");
        let open = Output::of(lake.command("runs").args(["--output", "json"])).ok();
        assert!(!open.stdout.contains("\"resumable\""), "{what}: {open}");
        // What revived may still write, but not into what is committed.
        if fault == Fault::Zombie {
            cluster.executors[0].signal(libc::SIGTERM);
            cluster.executors[0].wait();
            lake.verify();
            lake.assert_same_facts(&self.undisturbed);
        }
    }
}

/// Whether the run is over, as the scheduler sees it.
fn ended(cluster: &Cluster) -> bool {
    // Before it is accepted, nobody knows of it.
    let output = Output::of(&mut cluster.lode(&["status", RUN]));
    assert!(!output.stdout.contains("\"state\":\"failed\""), "{output}\n{}", cluster.logs());
    output.stdout.contains("\"state\":\"successful\"")
}

/// Whether a run can't be cancelled any more at a point.
fn decided(point: &str) -> bool {
    let name = point.split(':').next().unwrap_or_default();
    fault::POINTS.iter().position(|p| *p == name) >= fault::POINTS.iter().position(|p| *p == "decision.after")
}

/// Completes the run on whatever is left of the cluster.
fn finish(cluster: &mut Cluster, what: &str, command: impl Fn(&Cluster) -> Command) {
    if cluster.executors.iter_mut().all(Node::has_ended) {
        cluster.add_executor(&[]);
    }
    let output = Output::of(&mut command(cluster));
    assert_eq!(output.code, Some(0), "{what}: {output}\n{}", cluster.logs());
    assert_eq!(output.summary().state, "committed", "{what}: {output}");
}

#[test]
fn executors_die() {
    let world = World::new();
    for point in ["data.before:2", "data.after", "manifest.after"] {
        world.run(Fault::Kill, point);
    }
    world.run(Fault::KillAll, "commit.before");
    world.run(Fault::Zombie, "data.after:2");
}

#[test]
fn schedulers_die() {
    let world = World::new();
    for point in ["data.after:2", "commit.before"] {
        world.run(Fault::KillScheduler, point);
    }
    world.run(Fault::EndScheduler, "manifest.after");
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
    until("the scheduler has written down what it saw", || explain()["stages"][0]["plan"].is_string());
    cluster.scheduler.kill();

    let said = explain();
    let stages = said["stages"].as_array().expect("a list");
    assert_eq!(stages.len(), 2, "{said}");
    // Ballista tells of a stage when the job is planned and when a stage ends.
    let plan = std::fs::read(lake.root().join(format!("_runs/{RUN}/0/plan.json"))).expect("the epoch is planned");
    let plan: serde_json::Value = serde_json::from_slice(&plan).expect("JSON");
    let tasks = plan["tasks"].as_array().expect("a list").len();
    assert!(tasks > 2, "{plan}");
    assert_eq!((&stages[0]["state"], &stages[0]["partitions"]), (&"resolved".into(), &tasks.into()), "{said}");
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
    let world = World::new();
    world.run(Fault::KillClient, "manifest.before");
    world.run(Fault::SubmitAgain, "data.after");
    world.run(Fault::Cancel, "data.after:2");
    world.run(Fault::Cancel, "commit.before");
}

#[test]
fn executors_come_and_go() {
    let world = World::new();
    world.run(Fault::ScaleDown, "data.before:2");
    world.run(Fault::ScaleUp, "manifest.after");
}

#[test]
fn networks_break() {
    let world = World::new();
    world.run(Fault::CutOff, "data.after:2");
    world.run(Fault::CutForAWhile, "manifest.before");
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

/// Random cases, as many as `LODE_SOAK` says; two without it.
#[test]
#[allow(clippy::print_stdout, reason = "a case that hangs must be known")]
fn soak() {
    let seed = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds: Vec<u64> = match (seed("LODE_SEED"), seed("LODE_SOAK")) {
        (Some(seed), _) => vec![seed],
        (None, Some(cases)) => (0..cases).collect(),
        (None, None) => vec![0, 1],
    };
    let world = World::new();
    for seed in seeds {
        let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut pick = |below: usize| {
            state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            state ^= state >> 31;
            (state % below as u64) as usize
        };
        let fault = FAULTS[pick(FAULTS.len())];
        let point = fault::POINTS[pick(fault::POINTS.len())];
        // A shard's points are passed once a shard, or a table of it; the commit's once a run.
        let times =
            if ["data", "manifest", "table"].iter().any(|step| point.starts_with(step)) { 1 + pick(3) } else { 1 };
        let point = format!("{point}:{times}");
        let start = std::time::Instant::now();
        world.run(fault, &point);
        println!("seed {seed}: {fault:?} at {point}: {:.1} s", start.elapsed().as_secs_f64());
    }
}
