//! Faults of workers: each costs one worker and one quarantined file, and everything else is as if nothing happened.
//!
//! The test program is its own worker, which is why it has a `main`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test without libtest is not known as one")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use bytes::Bytes;
use libtest_mimic::{Arguments, Trial};
use lode_encode::Rows;
use lode_executor::worker::{ARGUMENT, Content, Fault, FaultKind, GroupResult, PoolConfig, WorkerPool, worker_main};
use lode_facts::extract::{Extractor, FileReport, FileRequest, GroupOutput, LaneRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};
use lode_plan::host::GroupFacts;

/// First argument of a program that only keeps a busy pool, until it is killed.
const BUSY_PARENT: &str = "__busy_parent";

fn main() {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        Some(ARGUMENT) => worker_main(),
        Some(BUSY_PARENT) => busy_parent(),
        _ => {}
    }
    let mut trials = vec![
        Trial::test("healthy_groups_equal_extraction_in_place", on_runtime(healthy)),
        Trial::test("many_rows_come_encoded", on_runtime(many_rows_come_encoded)),
        Trial::test("parallel_groups", on_runtime(parallel_groups)),
        Trial::test("faults_in_company", on_runtime(faults_in_company)),
        Trial::test("limits_of_content", on_runtime(limits_of_content)),
        Trial::test("dropping_the_future_kills_the_worker", on_runtime(cancellation)),
        Trial::test("workers_die_with_their_pool", on_runtime(pool_drop)),
        Trial::test("workers_die_with_their_parent", || {
            parent_death();
            Ok(())
        }),
        Trial::test("deep_nesting", on_runtime(deep_nesting)),
        Trial::test("one_large_file", on_runtime(large_file)),
        Trial::test("a_program_that_is_no_worker", on_runtime(not_a_worker)),
    ];
    for (kind, limit) in [
        (FaultKind::Spin, "cpu"),
        (FaultKind::Sleep, "wall"),
        (FaultKind::Abort, "crash"),
        (FaultKind::Segfault, "crash"),
        (FaultKind::Overflow, "stack"),
        (FaultKind::Allocate, "memory"),
        (FaultKind::Panic, "crash"),
        (FaultKind::Killed, "memory"),
        (FaultKind::HalfReply, "crash"),
        (FaultKind::Garbage, "crash"),
        (FaultKind::WrongFacts, "crash"),
    ] {
        trials.push(Trial::test(format!("fault_{kind:?}").to_lowercase(), on_runtime(move || one_fault(kind, limit))));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn on_runtime<F: Future<Output = ()>>(
    test: impl FnOnce() -> F + Send + 'static,
) -> impl FnOnce() -> Result<(), libtest_mimic::Failed> + Send + 'static {
    move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(test());
        Ok(())
    }
}

fn limits() -> Limits {
    Limits { cpu_ms: 500, memory_bytes: 512 << 20, ..Limits::default() }
}

fn config(faults: &[(&str, FaultKind)]) -> PoolConfig {
    // Much time, for machines that are slow or busy otherwise; little where it is what is tested.
    let has = |fault: FaultKind| faults.iter().any(|(_, kind)| *kind == fault);
    let wall_factor = if has(FaultKind::Sleep) { 2 } else { 60 };
    let cpu_ms = if has(FaultKind::Spin) || has(FaultKind::Sleep) { 1_000 } else { 10_000 };
    let faults = faults.iter().map(|(path, kind)| Fault { path: (*path).into(), kind: *kind }).collect();
    PoolConfig { wall_factor, faults, ..PoolConfig::new(2, Options::default(), Limits { cpu_ms, ..limits() }) }
}

/// A file with every lane and dataset that has something to say about it and needs no interpreter.
fn file(path: &str, content: impl Into<Bytes>) -> (FileRequest, Option<Content>) {
    let content = content.into();
    let language = path.ends_with(".py").then_some(Language::Python);
    let meta = FileMeta::in_scope("r", path, content.len(), language);
    let lanes = LaneId::ALL.into_iter().filter(|lane| *lane != LaneId::Bytecode && lane.accepts(&meta));
    let lanes = lanes.map(|lane| LaneRequest { lane, datasets: lane.datasets().map(|d| d.name.into()).collect() });
    (FileRequest { lanes: lanes.collect(), meta }, Some(Content::Bytes(content)))
}

fn group(files: usize) -> Vec<(FileRequest, Option<Content>)> {
    let text = |i: usize| {
        format!("import os\n\nclass C{i}:\n    \"\"\"Doc {i}.\"\"\"\n    x = f({i}, 'é')\n").repeat(i % 7 + 1)
    };
    (0..files).map(|i| file(&format!("f{i:03}.{}", if i % 5 == 4 { "txt" } else { "py" }), text(i))).collect()
}

fn copy(files: &[(FileRequest, Option<Content>)]) -> Vec<(FileRequest, Option<Content>)> {
    let content = |content: &Content| match content {
        Content::Bytes(bytes) => Content::Bytes(bytes.clone()),
        Content::File(file) => Content::File(file.try_clone().unwrap()),
        Content::Part(file, range) => Content::Part(file.clone(), range.clone()),
    };
    files.iter().map(|(request, c)| (request.clone(), c.as_ref().map(content))).collect()
}

fn in_place(files: &[(FileRequest, Option<Content>)]) -> GroupOutput {
    let mut extractor = Extractor::new(&Options::default(), &limits());
    for (request, content) in files {
        let Some(Content::Bytes(bytes)) = content else { panic!("content is in memory here") };
        extractor.extract(request, Some(bytes));
    }
    extractor.finish().unwrap()
}

/// What a worker's output must be when some files were stopped.
fn expected(files: &[(FileRequest, Option<Content>)], without: &[&str]) -> GroupOutput {
    let healthy = copy(files).into_iter().filter(|(request, _)| !without.contains(&request.meta.path.as_str()));
    in_place(&healthy.collect::<Vec<_>>())
}

fn quarantined(report: &FileReport) -> Option<(&str, &str)> {
    assert!(!report.lanes.is_empty());
    let mut all = report.lanes.iter().map(|lane| match &lane.status {
        LaneStatus::Quarantined { limit, message } => Some((limit.as_str(), message.as_str())),
        _ => None,
    });
    let first = all.next().flatten();
    assert!(all.all(|other| other == first), "{report:?}");
    first
}

/// Checks order, reports and facts; files of `stopped` must be quarantined by that limit.
fn check(files: &[(FileRequest, Option<Content>)], result: &GroupResult, stopped: &BTreeMap<&str, &str>) {
    let reports = &result.output.files;
    assert_eq!(
        reports.iter().map(|r| r.file_id).collect::<Vec<_>>(),
        files.iter().map(|(r, _)| r.meta.file_id).collect::<Vec<_>>()
    );
    let mut healthy = vec![];
    for (report, (request, _)) in reports.iter().zip(files) {
        let found = quarantined(report);
        assert_eq!(found.map(|(limit, _)| limit), stopped.get(request.meta.path.as_str()).copied(), "{report:?}");
        match found {
            Some((_, message)) => {
                assert!(message.len() < 1000 && !message.contains("/home") && !message.contains("0x7"), "{message}");
            }
            None => healthy.push(report.clone()),
        }
    }
    let expected = expected(files, &stopped.keys().copied().collect::<Vec<_>>());
    assert_eq!(healthy, expected.files);
    same_tables(&result.output, &expected);
}

fn same_tables(found: &GroupFacts, expected: &GroupOutput) {
    let names = found.tables.iter().map(|(d, _)| d.name);
    assert!(names.eq(expected.tables.iter().map(|(d, _)| d.name)));
    for ((dataset, found), (_, expected)) in found.tables.iter().zip(&expected.tables) {
        let found = found.batch(&dataset.facts_schema()).unwrap();
        let names = |batch: &RecordBatch| batch.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
        assert_eq!(names(&found), names(expected));
        // Dictionaries of merged batches may be ordered otherwise: values count.
        for (a, b) in found.columns().iter().zip(expected.columns()) {
            assert_eq!(&flat(a), &flat(b), "{}", dataset.name);
        }
    }
}

fn flat(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Dictionary(_, values) => arrow::compute::cast(array, values).unwrap(),
        _ => array.clone(),
    }
}

async fn healthy() {
    let files = group(60);
    let pool = WorkerPool::new(config(&[]));
    for _ in 0..3 {
        let result = pool.extract(copy(&files)).await.unwrap();
        check(&files, &result, &BTreeMap::new());
        assert!(!result.output.tables.is_empty() && result.attempts.is_empty());
        assert!(result.cpu > Duration::ZERO && result.peak_rss > 0 && result.slowest.is_some());
    }
    let nothing = pool.extract(vec![]).await.unwrap();
    assert!(nothing.output.files.is_empty() && nothing.output.tables.is_empty());
}

async fn many_rows_come_encoded() {
    let files = vec![file("small.py", "x = 1\n"), file("large.py", "x = f('é', [1, 2])\n".repeat(3000))];
    let result = WorkerPool::new(config(&[])).extract(copy(&files)).await.unwrap();
    check(&files, &result, &BTreeMap::new());
    let form = |name: &str| result.output.tables.iter().find(|(d, _)| d.name == name).map(|(_, rows)| rows);
    assert!(matches!(form("ast_nodes"), Some(Rows::Encoded(_))) && matches!(form("repo_files"), Some(Rows::Plain(_))));
}

async fn one_fault(kind: FaultKind, limit: &'static str) {
    let files = group(20);
    for path in ["f000.py", "f013.py", "f019.txt"] {
        let pool = WorkerPool::new(config(&[(path, kind)]));
        let result = pool.extract(copy(&files)).await.unwrap();
        check(&files, &result, &BTreeMap::from([(path, limit)]));
        let index = files.iter().position(|(r, _)| r.meta.path == path).unwrap();
        let attempts = result.attempts.get(&index).copied().unwrap();
        let retried = ["wall", "memory", "crash"].contains(&limit);
        // Whose replies are bad is found out by halving the group, until the file is alone.
        let halved = [FaultKind::HalfReply, FaultKind::Garbage, FaultKind::WrongFacts].contains(&kind);
        assert!(attempts == if retried { 2 } else { 1 } || halved && attempts == 1, "{attempts}");
        assert_eq!(result.attempts.len(), 1);
        let again = group(7);
        check(
            &again,
            &pool.extract(copy(&again)).await.unwrap(),
            &match path {
                "f000.py" => BTreeMap::from([(path, limit)]),
                _ => BTreeMap::new(),
            },
        );
    }
}

async fn faults_in_company() {
    use FaultKind::{Abort, Garbage, Overflow, Panic, Segfault, Spin};
    let faults = [
        ("f003.py", Abort),
        ("f004.txt", Spin),
        ("f005.py", Garbage),
        ("f011.py", Overflow),
        ("f012.py", Panic),
        ("f029.txt", Segfault),
    ];
    let files = group(30);
    let result = WorkerPool::new(config(&faults)).extract(copy(&files)).await.unwrap();
    let limits = ["crash", "cpu", "crash", "stack", "crash", "crash"];
    check(&files, &result, &faults.iter().zip(limits).map(|((path, _), limit)| (*path, limit)).collect());
}

async fn parallel_groups() {
    let pool = WorkerPool::new(config(&[("f001.py", FaultKind::Abort)]));
    let mut tasks = vec![];
    for files in (0..24).map(|i| group(2 + i)) {
        let pool = pool.clone();
        tasks.push(tokio::spawn(async move {
            let result = pool.extract(copy(&files)).await.unwrap();
            check(&files, &result, &BTreeMap::from([("f001.py", "crash")]));
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

async fn limits_of_content() {
    let mut files = group(3);
    let path = std::env::temp_dir().join(format!("lode-worker-{}", std::process::id()));
    std::fs::write(&path, "a = 1\n").unwrap();
    let on_disk = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    files.push((file("disk.py", "a = 1\n").0, Some(Content::File(on_disk))));
    files.push((file("directory", "").0, Some(Content::File(std::fs::File::open("/").unwrap()))));
    files.push(file("large.py", vec![b'#'; 3000]));
    files.push((file("link", "").0, None));
    let mut pack = tempfile::tempfile().unwrap();
    pack.write_all(format!("#####a = 1\n{}", "#".repeat(3000)).as_bytes()).unwrap();
    let pack = Arc::new(pack);
    files.push((file("packed.py", "").0, Some(Content::Part(pack.clone(), 5..11))));
    files.push((file("large_packed.py", "").0, Some(Content::Part(pack.clone(), 11..2012))));
    let mut config = config(&[]);
    config.limits.file_bytes = 2000;
    let pool = WorkerPool::new(config);
    let result = pool.extract(files).await.unwrap();
    let reports = &result.output.files;
    let status = |i: usize| reports[i].lanes.iter().map(|l| &l.status).max().unwrap();
    assert_eq!(reports.len(), 9);
    assert!((0..4).all(|i| *status(i) == LaneStatus::Extracted));
    assert_eq!(reports[3].size, 6);
    assert!(matches!(status(4), LaneStatus::Failed { reason, .. } if reason == "unreadable"));
    assert!(matches!(status(5), LaneStatus::Quarantined { limit, .. } if limit == "file_bytes"));
    assert_eq!(reports[6].sha256, None);
    assert_eq!((reports[7].size, &reports[7].sha256), (6, &reports[3].sha256));
    assert!(matches!(status(8), LaneStatus::Quarantined { limit, .. } if limit == "file_bytes"));

    // A pack that was cut is no file's fault.
    let beyond = Content::Part(pack, 3000..3100);
    let error = pool.extract(vec![(file("cut.py", "").0, Some(beyond))]).await.unwrap_err();
    assert!(error.to_string().contains("pack files for a worker"), "{error}");
}

async fn cancellation() {
    let mut patient = config(&[("f002.py", FaultKind::Sleep)]);
    patient.limits.cpu_ms = 60_000;
    patient.workers = 1;
    let pool = WorkerPool::new(patient);
    let files = group(4);
    let endless = pool.extract(copy(&files));
    assert!(tokio::time::timeout(Duration::from_millis(300), endless).await.is_err());
    let start = Instant::now();
    let files = group(2);
    check(&files, &pool.extract(copy(&files)).await.unwrap(), &BTreeMap::new());
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// Workers among the children of a process.
fn workers_of(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> =
        children.flat_map(|c| c.split(' ').filter_map(|p| p.trim().parse().ok()).collect::<Vec<_>>()).collect();
    let alive = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c.contains(ARGUMENT));
    children.into_iter().filter(alive).collect()
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a process of its own, because other tests of this one have workers as well.
fn with_busy_parent(test: impl FnOnce(&mut std::process::Child, &[u32])) {
    let mut command = Command::new("/proc/self/exe");
    let mut parent = command.arg(BUSY_PARENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let workers = workers_of(parent.id());
    assert_eq!((line.as_str(), workers.len()), ("busy\n", 2));
    test(&mut parent, &workers);
    let gone = |pid: &u32| !std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c.contains(ARGUMENT));
    eventually("workers outlived their parent or pool", || workers.iter().all(gone));
    let _ = parent.kill();
    parent.wait().unwrap();
}

/// One worker that is idle and one that is not; the pool goes when the standard input ends.
fn busy_parent() -> ! {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut patient = config(&[("f002.py", FaultKind::Sleep)]);
    patient.limits.cpu_ms = 600_000;
    let pool = WorkerPool::new(patient);
    let busy = pool.clone();
    let task = runtime.spawn(async move { busy.extract(group(4)).await });
    runtime.block_on(async {
        while workers_of(std::process::id()).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        pool.extract(group(2)).await.unwrap();
    });
    println!("busy");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_line(&mut String::new());
    drop(pool);
    task.abort();
    loop {
        std::thread::park();
    }
}

fn parent_death() {
    with_busy_parent(|parent, _| parent.kill().unwrap());
}

async fn pool_drop() {
    with_busy_parent(|parent, _| drop(parent.stdin.take()));
}

async fn deep_nesting() {
    let deep = |open: &str, close: &str| format!("x = {}{}\n", open.repeat(10_000), close.repeat(10_000));
    let mut files = group(3);
    files.push(file("parentheses.py", deep("(", ")")));
    files.push(file("lists.py", deep("[", "]")));
    files.push(file("calls.py", deep("f(", ")")));
    files.push(file("minus.py", deep("-", "1")));
    files.push(file("blocks.py", (0..100).map(|i| format!("{}if x:\n", " ".repeat(i))).collect::<String>()));
    files.push(file("last.py", "import os\n"));
    let mut generous = config(&[]);
    generous.limits = Limits::default();
    let result = WorkerPool::new(generous).extract(copy(&files)).await.unwrap();
    assert_eq!(result.output.files.len(), files.len());
    for (report, (request, _)) in result.output.files.iter().zip(&files) {
        let found = quarantined(report).map(|(limit, _)| limit);
        let deep = ["parentheses.py", "lists.py", "calls.py", "minus.py"].contains(&request.meta.path.as_str());
        assert!(found.is_none() || deep && found == Some("stack"), "{}: {report:?}", request.meta.path);
    }
}

async fn large_file() {
    let line = "value = [1, 2, 3, 'four', five(6)]  # seven\n";
    let files = vec![file("large.txt", line.repeat((40 << 20) / line.len())), file("small.py", "import os\n")];
    let mut generous = config(&[]);
    generous.limits = Limits::default();
    let result = WorkerPool::new(generous).extract(copy(&files)).await.unwrap();
    check(&files, &result, &BTreeMap::new());
}

async fn not_a_worker() {
    let program = |path: &str| Some(path.into());
    let missing = PoolConfig { program: program("/nowhere/lode"), ..config(&[]) };
    let error = WorkerPool::new(missing).extract(group(1)).await.unwrap_err().to_string();
    assert!(error.contains("can't start a worker process from /nowhere/lode"), "{error}");
    let other = PoolConfig { program: program("/bin/true"), ..config(&[]) };
    let error = WorkerPool::new(other).extract(group(1)).await.unwrap_err().to_string();
    assert!(error.contains("ended before it was ready"), "{error}");
}
