//! The same job in one process and on several, and what happens when parts of the cluster fail.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod nodes;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use ballista_core::serde::protobuf::executor_grpc_client::ExecutorGrpcClient;
use ballista_core::serde::protobuf::{
    CancelTasksParams, LaunchMultiTaskParams, RemoveJobDataParams, StopExecutorParams,
};
use ballista_core::{ConfigProducer, RuntimeProducer};
use datafusion::datasource::provider_as_source;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::prelude::SessionContext;
use lode_executor::cluster::{self, ExecutorError, ExecutorHandle, ExecutorOptions};
use lode_executor::wire::{Token, Wire};
use lode_scheduler::job::JobState;
use lode_scheduler::server::{self, SchedulerHandle, SchedulerOptions};
use lode_scheduler::submit::{self, SubmitError, SubmitOptions};

use nodes::{Shards, Visit, VisitNode, codecs, config, session, visits, write_shards};

const PATIENCE: Duration = Duration::from_secs(60);

fn executor_options(url: &str, wire: &Wire) -> ExecutorOptions {
    let runtime = Arc::new(RuntimeEnv::default());
    let runtime: RuntimeProducer = Arc::new(move |_| Ok(runtime.clone()));
    let config: ConfigProducer = Arc::new(config);
    ExecutorOptions {
        vcores: NonZeroUsize::new(2).unwrap(),
        heartbeat: Duration::from_secs(1),
        wire: wire.clone(),
        ..ExecutorOptions::new(url, codecs(), config, runtime)
    }
}

async fn scheduler(wire: &Wire) -> SchedulerHandle {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = SchedulerOptions {
        wire: wire.clone(),
        executor_timeout: Duration::from_secs(3),
        ..SchedulerOptions::new(Arc::new(session), Arc::new(config), codecs())
    };
    server::start(listener, options).await.unwrap()
}

async fn embedded(wire: &Wire) -> (SchedulerHandle, ExecutorHandle) {
    let scheduler = scheduler(wire).await;
    let executor = cluster::start(executor_options(&scheduler.url(), wire)).await.unwrap();
    (scheduler, executor)
}

fn plan(dir: &Path, ledger: &Path, mode: &str) -> LogicalPlan {
    let shards = provider_as_source(Arc::new(Shards { dir: dir.to_owned() }));
    let input = LogicalPlanBuilder::scan("shards", shards, None).unwrap().build().unwrap();
    let visit = Visit { ledger: ledger.display().to_string(), mode: mode.to_owned() };
    let node = LogicalPlan::Extension(Extension { node: Arc::new(VisitNode { input, visit }) });
    LogicalPlanBuilder::from(node)
        .aggregate(Vec::<datafusion::logical_expr::Expr>::new(), [count(lit(1)), sum(col("shard"))])
        .unwrap()
        .build()
        .unwrap()
}

fn submit_options(scheduler: &SchedulerHandle, wire: &Wire, name: &str) -> SubmitOptions {
    SubmitOptions {
        scheduler: scheduler.url(),
        job_name: name.to_owned(),
        codecs: codecs(),
        wire: wire.clone(),
        settings: Vec::new(),
    }
}

fn client() -> SessionContext {
    SessionContext::new_with_state(session(config()).unwrap())
}

fn totals(batches: &[RecordBatch]) -> (i64, i64) {
    let batch = batches.iter().find(|b| b.num_rows() == 1).unwrap();
    (batch.column(0).as_primitive::<Int64Type>().value(0), batch.column(1).as_primitive::<Int64Type>().value(0))
}

fn count_by_shard(ledger: &Path) -> BTreeMap<i64, usize> {
    visits(ledger).into_iter().fold(BTreeMap::new(), |mut counts, (shard, _)| {
        *counts.entry(shard).or_default() += 1;
        counts
    })
}

/// An executor in another process: this very binary, running only the test below.
struct Process {
    child: Child,
    /// Where its work directory is: a killed process cleans nothing up.
    _temp: tempfile::TempDir,
}

impl Process {
    fn start(url: &str, wire: &Wire) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env("TMPDIR", temp.path())
            .args(["executor_process", "--exact", "--ignored", "--nocapture"])
            .env("LODE_TEST_SCHEDULER", url)
            .env("LODE_TEST_TOKEN", wire.token.as_ref().unwrap().expose())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        assert!(out.lines().any(|line| line.unwrap().contains("executor is ready")), "the executor did not start");
        Self { child, _temp: temp }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the body of a second process, started by other tests"]
#[allow(clippy::print_stdout)]
async fn executor_process() {
    let Ok(url) = std::env::var("LODE_TEST_SCHEDULER") else { return };
    let token = Token::parse(&std::env::var("LODE_TEST_TOKEN").unwrap()).unwrap();
    let wire = Wire { token: Some(token), ..Wire::default() };
    let mut executor = cluster::start(executor_options(&url, &wire)).await.unwrap();
    println!("\nexecutor is ready");
    executor.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shard_is_visited_once_in_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let wire = Wire::private();
    let (scheduler, executor) = embedded(&wire).await;
    for shards in [1, 2, 17, 200] {
        let (input, ledger) = (dir.path().join(shards.to_string()), dir.path().join(format!("ledger-{shards}")));
        write_shards(&input, shards, |_| 3);
        let name = format!("run-{shards}");
        let rows =
            submit::submit_logical(&plan(&input, &ledger, "ok"), &client(), submit_options(&scheduler, &wire, &name))
                .await
                .unwrap();
        let n = shards as i64;
        assert_eq!(totals(&rows), (3 * n, 3 * n * (n - 1) / 2));
        assert_eq!(count_by_shard(&ledger), (0..n).map(|shard| (shard, 1)).collect());

        let record = scheduler.finished(&name, PATIENCE).await.unwrap();
        assert_eq!(record.state, JobState::Successful);
        assert!(record.physical_plan.as_deref().unwrap().contains("VisitExec"));
        let visiting = record.stages.iter().find(|s| s.metrics.contains_key("VisitExec.visits")).unwrap();
        assert_eq!((visiting.partitions, visiting.tasks_done), (Some(shards), shards), "one task a shard");
        assert_eq!(visiting.metrics["VisitExec.visits"], shards as u64);
        assert!(visiting.plan.contains("visits="), "{}", visiting.plan);
        assert!(serde_json::to_string(&record).unwrap().contains("VisitExec.visits"));
    }
    executor.shutdown().await;
    scheduler.shutdown();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_file_stays_one_partition() {
    let dir = tempfile::tempdir().unwrap();
    let (input, ledger) = (dir.path().join("input"), dir.path().join("ledger"));
    write_shards(&input, 3, |shard| if shard == 1 { 2_600_000 } else { 10 });
    assert!(std::fs::metadata(input.join("shard-0001.parquet")).unwrap().len() > 40_000_000);
    let wire = Wire::private();
    let (scheduler, executor) = embedded(&wire).await;
    let rows =
        submit::submit_logical(&plan(&input, &ledger, "ok"), &client(), submit_options(&scheduler, &wire, "big"))
            .await
            .unwrap();
    assert_eq!(totals(&rows), (2_600_020, 2_600_020));
    assert_eq!(count_by_shard(&ledger), [(0, 1), (1, 1), (2, 1)].into());
    executor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shard_is_visited_once_by_other_processes() {
    let dir = tempfile::tempdir().unwrap();
    let wire = Wire::private();
    let scheduler = scheduler(&wire).await;
    let _processes = [Process::start(&scheduler.url(), &wire), Process::start(&scheduler.url(), &wire)];
    for shards in [1, 2, 17, 200] {
        let (input, ledger) = (dir.path().join(shards.to_string()), dir.path().join(format!("ledger-{shards}")));
        write_shards(&input, shards, |_| 3);
        let options = submit_options(&scheduler, &wire, &format!("run-{shards}"));
        let rows = submit::submit_logical(&plan(&input, &ledger, "ok"), &client(), options).await.unwrap();
        let n = shards as i64;
        assert_eq!(totals(&rows), (3 * n, 3 * n * (n - 1) / 2));
        assert_eq!(count_by_shard(&ledger), (0..n).map(|shard| (shard, 1)).collect());
        let pids: BTreeSet<u32> = visits(&ledger).into_iter().map(|(_, pid)| pid).collect();
        assert!(!pids.contains(&std::process::id()));
        assert!(shards < 17 || pids.len() == 2, "both processes work: {pids:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_survives_the_death_of_an_executor() {
    let dir = tempfile::tempdir().unwrap();
    let (input, ledger) = (dir.path().join("input"), dir.path().join("ledger"));
    write_shards(&input, 24, |_| 3);
    let wire = Wire::private();
    let scheduler = scheduler(&wire).await;
    let mut processes = [Process::start(&scheduler.url(), &wire), Process::start(&scheduler.url(), &wire)];
    let job = submit::prepare(&plan(&input, &ledger, "slow:200"), &client(), submit_options(&scheduler, &wire, "kill"))
        .unwrap();
    let job = tokio::spawn(async move { job.collect().await });
    let killed = processes[0].child.id();
    let begun = Instant::now();
    while !visits(&ledger).iter().any(|(_, pid)| *pid == killed) {
        assert!(begun.elapsed() < PATIENCE, "the first executor got no task");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let progress = scheduler.progress("kill").await;
    assert!(progress.iter().any(|stage| stage.total == 24 && stage.done < 24), "{progress:?}");
    processes[0].kill();
    let rows = tokio::time::timeout(PATIENCE, job).await.unwrap().unwrap().unwrap();
    assert_eq!(totals(&rows), (72, 3 * 24 * 23 / 2), "no row is lost and none is there twice");
    assert_eq!(count_by_shard(&ledger).len(), 24);
    assert_eq!(scheduler.job("kill").unwrap().error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_tasks() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("input");
    write_shards(&input, 3, |_| 3);
    let wire = Wire::private();
    let (scheduler, executor) = embedded(&wire).await;

    let ledger = dir.path().join("io");
    let options = submit_options(&scheduler, &wire, "io");
    let rows = submit::submit_logical(&plan(&input, &ledger, "io_once"), &client(), options).await.unwrap();
    assert_eq!(totals(&rows), (9, 9));
    assert!(visits(&ledger).len() > 3, "an IO error is tried again");

    let ledger = dir.path().join("fail");
    let options = submit_options(&scheduler, &wire, "fail");
    let error = submit::submit_logical(&plan(&input, &ledger, "fail"), &client(), options).await.unwrap_err();
    let SubmitError::Job { source, .. } = &error else { panic!("{error}") };
    assert!(
        source.to_string().contains("is broken: because") && source.to_string().len() > 16_000,
        "the whole message"
    );
    let record = scheduler.finished("fail", PATIENCE).await.unwrap();
    assert_eq!(record.state, JobState::Failed);
    assert!(record.error.unwrap().contains("is broken"));
    assert!(count_by_shard(&ledger).values().all(|n| *n == 1), "any other error is final");

    // Planning fails as well when the input is not there.
    let options = submit_options(&scheduler, &wire, "plan");
    let missing = submit::prepare(&plan(&dir.path().join("none"), &ledger, "ok"), &client(), options).unwrap();
    let error = tokio::time::timeout(PATIENCE, missing.collect()).await.unwrap().unwrap_err();
    assert!(format!("{error}").contains("No such file"), "{error}");
    assert_eq!(scheduler.finished("plan", PATIENCE).await.unwrap().state, JobState::Failed);
    executor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_without_its_client_and_ends_when_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("input");
    write_shards(&input, 6, |_| 3);
    let wire = Wire::private();
    let (scheduler, executor) = embedded(&wire).await;

    let ledger = dir.path().join("left");
    let job = submit::prepare(&plan(&input, &ledger, "slow:100"), &client(), submit_options(&scheduler, &wire, "left"))
        .unwrap();
    let job = tokio::spawn(async move { job.collect().await });
    while visits(&ledger).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    job.abort();
    assert_eq!(scheduler.finished("left", PATIENCE).await.unwrap().state, JobState::Successful);
    assert_eq!(count_by_shard(&ledger).len(), 6);

    let ledger = dir.path().join("cancelled");
    let plan = plan(&input, &ledger, "slow:500");
    let job = Arc::new(submit::prepare(&plan, &client(), submit_options(&scheduler, &wire, "cancelled")).unwrap());
    assert!(matches!(job.cancel().await, Err(SubmitError::NotAccepted(_))));
    let running = tokio::spawn({
        let job = job.clone();
        async move { job.collect().await }
    });
    while visits(&ledger).is_empty() || job.job_id().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        scheduler.job("cancelled").unwrap().state == JobState::Running,
        "the id is known while the first stage runs"
    );
    job.cancel().await.unwrap();
    assert!(running.await.unwrap().is_err());
    assert_eq!(scheduler.finished("cancelled", PATIENCE).await.unwrap().state, JobState::Failed);
    assert!(!scheduler.cancel("cancelled").await.unwrap(), "there is nothing left to cancel");
    executor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_job_does_not_wait_for_a_large_one() {
    let dir = tempfile::tempdir().unwrap();
    let (many, few) = (dir.path().join("many"), dir.path().join("few"));
    write_shards(&many, 60, |_| 3);
    write_shards(&few, 2, |_| 3);
    let (large, small) = (dir.path().join("large"), dir.path().join("small"));
    let wire = Wire::private();
    let (scheduler, executor) = embedded(&wire).await;
    let options = submit_options(&scheduler, &wire, "large");
    let job = submit::prepare(&plan(&many, &large, "slow:100"), &client(), options).unwrap();
    let job = tokio::spawn(async move { job.collect().await });
    while visits(&large).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let options = submit_options(&scheduler, &wire, "small");
    submit::submit_logical(&plan(&few, &small, "slow:100"), &client(), options).await.unwrap();
    let begun = count_by_shard(&large).len();
    assert!(begun < 30, "the small job ended when {begun} of 60 shards of the large one had begun");
    job.await.unwrap().unwrap();
    assert_eq!(count_by_shard(&large).len(), 60);
    executor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_takes_no_more_slots_than_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let (input, ledger) = (dir.path().join("input"), dir.path().join("ledger"));
    write_shards(&input, 8, |_| 3);
    let wire = Wire::private();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = SchedulerOptions {
        wire: wire.clone(),
        tasks_per_job: Some(1),
        ..SchedulerOptions::new(Arc::new(session), Arc::new(config), codecs())
    };
    let scheduler = server::start(listener, options).await.unwrap();
    let executor = cluster::start(executor_options(&scheduler.url(), &wire)).await.unwrap();
    let options = submit_options(&scheduler, &wire, "bounded");
    let job = submit::prepare(&plan(&input, &ledger, "slow:50"), &client(), options).unwrap();
    let job = tokio::spawn(async move { job.collect().await });
    let mut most = 0;
    while !job.is_finished() {
        let load = scheduler.parts().load().await;
        assert_eq!(load.slots, 2);
        most = most.max(load.running_tasks);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    job.await.unwrap().unwrap();
    assert_eq!((most, count_by_shard(&ledger).len()), (1, 8));
    executor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (input, ledger) = (dir.path().join("input"), dir.path().join("ledger"));
    write_shards(&input, 1, |_| 3);
    let wire = Wire::private();
    let (scheduler, executor) = embedded(&wire).await;
    for stranger in [Wire::default(), Wire::private()] {
        let refused = cluster::start(executor_options(&scheduler.url(), &stranger)).await;
        assert!(matches!(refused, Err(ExecutorError::Refused { .. })), "{refused:?}");
        let options = submit_options(&scheduler, &stranger, "stranger");
        let error = submit::submit_logical(&plan(&input, &ledger, "ok"), &client(), options).await.unwrap_err();
        assert!(error.to_string().contains("token"), "{error}");
    }
    assert!(visits(&ledger).is_empty());
    assert!(scheduler.captures().jobs().is_empty());
    for (wire, passes) in [(Wire::default(), false), (Wire::private(), false), (wire, true)] {
        let channel = wire.connect(&executor.addr().to_string()).await.unwrap();
        let mut client = ExecutorGrpcClient::new(channel);
        let answers = [
            client.cancel_tasks(CancelTasksParams::default()).await.map(drop),
            client
                .remove_job_data(RemoveJobDataParams { job_id: "no-job".into(), ..Default::default() })
                .await
                .map(drop),
            client.launch_multi_task(LaunchMultiTaskParams::default()).await.map(drop),
            client.stop_executor(StopExecutorParams::default()).await.map(drop),
        ];
        for answer in answers {
            assert_eq!(answer.is_ok(), passes, "{answer:?}");
        }
    }
    executor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout)]
async fn start_run_and_stop_are_quick_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (input, ledger) = (dir.path().join("input"), dir.path().join("ledger"));
    write_shards(&input, 2, |_| 1);
    let wire = Wire::private();
    let begun = Instant::now();
    let scheduler = scheduler(&wire).await;
    let scheduler_up = begun.elapsed();
    let work = dir.path().join("work");
    let options = ExecutorOptions { work_dir: Some(work), ..executor_options(&scheduler.url(), &wire) };
    let executor = cluster::start(options).await.unwrap();
    let up = begun.elapsed();
    let mut jobs = Vec::new();
    for i in 0..6 {
        let begun = Instant::now();
        let options = submit_options(&scheduler, &wire, &format!("job-{i}"));
        submit::submit_logical(&plan(&input, &ledger, "ok"), &client(), options).await.unwrap();
        jobs.push(begun.elapsed());
    }
    let begun = Instant::now();
    let flight = executor.addr();
    executor.shutdown().await;
    let executor_down = begun.elapsed();
    scheduler.shutdown();
    let down = begun.elapsed();
    println!(
        "scheduler up {scheduler_up:?}, both up {up:?}, jobs {jobs:?}, executor down {executor_down:?}, down {down:?}"
    );
    assert!(std::net::TcpStream::connect(flight).is_err(), "the sockets are closed");
    assert!(down < Duration::from_secs(2));
}
