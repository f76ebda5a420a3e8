//! A run to which something happens, and what must come of it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use lode_lake::fault;
use lode_tests::cluster::{Cluster, Node, end_of, until};
use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;
use lode_tests::tables::block_on;
use tokio::sync::Semaphore;

pub(crate) const RUN: &str = "victim";
pub(crate) const SHARDS: &str = "5";

/// Cases under way, of all tests: each waits for processes now and then. With too many of them, executors seem lost that
/// only get no time.
const SIDE_BY_SIDE: usize = 3;

static UNDER_WAY: Semaphore = Semaphore::const_new(SIDE_BY_SIDE);

/// What happens while an executor reaches a point of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is killed; another one is there.
    Kill,
    /// Its workers are killed.
    KillWorkers,
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
    /// Another run of the same repository begins, and ends before it goes on.
    AnotherRun,
    /// The network between it and everybody else is cut until the run is over; another one comes.
    CutOff,
    /// The network between it and everybody else is cut until the scheduler has given it up.
    CutForAWhile,
}

impl Fault {
    pub(crate) const ALL: [Self; 14] = [
        Self::Kill,
        Self::KillWorkers,
        Self::KillAll,
        Self::Zombie,
        Self::KillScheduler,
        Self::EndScheduler,
        Self::KillClient,
        Self::Cancel,
        Self::ScaleDown,
        Self::ScaleUp,
        Self::SubmitAgain,
        Self::AnotherRun,
        Self::CutOff,
        Self::CutForAWhile,
    ];
}

/// A fault, and the point at which it happens.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) fault: Fault,
    /// As in `LODE_FAULT`: with `:n`, the n-th time.
    pub(crate) point: String,
    /// What it was drawn with.
    pub(crate) seed: Option<u64>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.fault, self.point)?;
        self.seed.map_or(Ok(()), |seed| write!(f, " (seed {seed})"))
    }
}

impl Case {
    pub(crate) fn new(fault: Fault, point: &str) -> Self {
        Self { fault, point: point.to_owned(), seed: None }
    }

    /// The fault at every point of the protocol, from the first shard's data to the run's row.
    pub(crate) fn everywhere(fault: Fault) -> Vec<Self> {
        fault::POINTS.iter().map(|point| Self::new(fault, point)).collect()
    }

    /// The case of a seed.
    pub(crate) fn random(seed: u64) -> Self {
        let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut pick = |below: usize| {
            state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            state ^= state >> 31;
            (state % below as u64) as usize
        };
        let fault = Fault::ALL[pick(Fault::ALL.len())];
        let point = fault::POINTS[pick(fault::POINTS.len())];
        // A shard's points are passed once a shard, or a table of it; the commit's once a run.
        let many = ["data", "manifest", "table"].iter().any(|step| point.starts_with(step));
        let times = if many { 1 + pick(3) } else { 1 };
        Self { fault, point: format!("{point}:{times}"), seed: Some(seed) }
    }
}

/// A repository, a lake that holds an earlier state of it, and one after an undisturbed run.
pub(crate) struct World {
    pub(crate) repo: Repo,
    pub(crate) base: Lake,
    pub(crate) undisturbed: Lake,
}

impl World {
    pub(crate) fn new() -> Self {
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

    /// Runs cases side by side, and says which ones failed.
    #[allow(clippy::print_stdout, reason = "a case that hangs must be known")]
    pub(crate) fn run_all(&self, cases: impl IntoIterator<Item = Case>) {
        let cases: Vec<Case> = cases.into_iter().collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut failed = vec![];
            while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                let start = Instant::now();
                let passed = catch_unwind(AssertUnwindSafe(|| self.run(case))).is_ok();
                let end = if passed { "well" } else { "FAILED" };
                println!("{case}: {end} in {:.1} s", start.elapsed().as_secs_f64());
                if !passed {
                    failed.push(case.to_string());
                }
            }
            failed
        };
        let failed: Vec<String> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..SIDE_BY_SIDE.min(cases.len())).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("cases are caught")).collect()
        });
        assert!(failed.is_empty(), "{} of {} cases failed: {failed:?}", failed.len(), cases.len());
    }

    fn run(&self, case: &Case) {
        let _under_way = block_on(UNDER_WAY.acquire()).expect("it is not closed");
        let Case { fault, point, .. } = case;
        let fault = *fault;
        let what = case.to_string();
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
            Fault::KillWorkers => {
                assert!(cluster.executors[0].kill_children() > 0, "{what}: it has workers");
                cluster.executors[0].signal(libc::SIGCONT);
            }
            Fault::KillAll => {
                // One may find the rest of the work done, so that it never comes to the point.
                until(&format!("{what}: all die\n{}", cluster.logs()), || {
                    cluster.executors.iter_mut().all(Node::has_ended) || cluster.has_succeeded(RUN)
                });
                cluster.add_executor(&[]);
            }
            Fault::Zombie => {
                cluster.add_executor(&[]);
                until(&format!("{what}: the run ends\n{}", cluster.logs()), || cluster.has_succeeded(RUN));
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
            Fault::AnotherRun => {
                cluster.add_executor(&[]);
                let args = ["--shards", SHARDS];
                let other = Output::of(&mut cluster.submission(self.repo.root(), &lake, "other", &args));
                assert_eq!(other.code, Some(0), "{what}: {other}\n{}", cluster.logs());
                cluster.executors[0].signal(libc::SIGCONT);
            }
            Fault::CutOff | Fault::CutForAWhile => {
                let network = network.as_ref().expect("it is a distant one");
                network.cut();
                cluster.executors[0].signal(libc::SIGCONT);
                cluster.scheduler.says("heartbeat timed out");
                if fault == Fault::CutOff {
                    cluster.add_executor(&[]);
                    until(&format!("{what}: the run ends\n{}", cluster.logs()), || cluster.has_succeeded(RUN));
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
        let runs = if fault == Fault::AnotherRun { 3 } else { 2 };
        assert_eq!(lake.tables().count("runs"), runs, "{what}: one row a committed run");
        assert_eq!(lake.tables().count("quarantine"), 0, "{what}: no file is to blame");
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

/// Whether a run can't be cancelled any more at a point.
fn decided(point: &str) -> bool {
    let name = point.split(':').next().unwrap_or_default();
    fault::POINTS.iter().position(|p| *p == name) >= fault::POINTS.iter().position(|p| *p == "decision.after")
}

/// Completes the run on whatever is left of the cluster.
pub(crate) fn finish(cluster: &mut Cluster, what: &str, command: impl Fn(&Cluster) -> Command) {
    if cluster.executors.iter_mut().all(Node::has_ended) {
        cluster.add_executor(&[]);
    }
    let output = Output::of(&mut command(cluster));
    assert_eq!(output.code, Some(0), "{what}: {output}\n{}", cluster.logs());
    assert_eq!(output.summary().state, "committed", "{what}: {output}");
}
