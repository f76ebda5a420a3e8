//! Interpreters that compile: what they do to a file is the file's, and only its lane's.
//!
//! The test program is its own worker, which is why it has a `main`.
#![allow(clippy::unwrap_used, reason = "a test without libtest is not known as one")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::DataType;
use bytes::Bytes;
use libtest_mimic::{Arguments, Trial};
use lode_executor::interpreter::resolve;
use lode_executor::worker::{ARGUMENT, Content, Fault, FaultKind, GroupResult, PoolConfig, WorkerPool, worker_main};
use lode_facts::bytecode::Interpreter;
use lode_facts::extract::{FileRequest, LaneRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

fn main() {
    if std::env::args().nth(1).as_deref() == Some(ARGUMENT) {
        worker_main();
    }
    let trials = vec![
        Trial::test("files_are_compiled_and_refused", on_runtime(compiled_and_refused)),
        Trial::test("nothing_is_run", on_runtime(nothing_is_run)),
        Trial::test("versions_lie_side_by_side", on_runtime(side_by_side)),
        Trial::test("what_breaks_an_interpreter_costs_one_lane_of_one_file", on_runtime(broken)),
        Trial::test("one_that_hangs_costs_one_lane_of_one_file", on_runtime(hangs)),
        Trial::test("an_interpreter_that_is_not_there_fails_its_lane", on_runtime(missing)),
        Trial::test("interpreters_die_with_their_pool", on_runtime(pool_drop)),
        Trial::test("an_interpreter_that_holds_much_memory_is_replaced", on_runtime(much_memory)),
        Trial::test("what_an_interpreter_took_is_known_when_its_worker_is_killed", on_runtime(cost_of_the_dead)),
    ];
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

/// An interpreter of this machine: `LODE_PYTHON`, else a usual name.
fn python() -> Interpreter {
    let named = std::env::var("LODE_PYTHON").ok();
    let names = named.map_or_else(|| vec!["python3.13".into(), "python3".into()], |name| vec![name]);
    names.iter().find_map(|name| resolve(name).ok()).unwrap_or_else(|| panic!("no Python among {names:?}"))
}

fn file(path: &str, content: &str) -> (FileRequest, Option<Content>) {
    let content = Bytes::from(content.to_owned());
    let meta = FileMeta::in_scope("r", path, content.len(), path.ends_with(".py").then_some(Language::Python));
    let lanes = LaneId::ALL.into_iter().filter(|lane| lane.accepts(&meta));
    let lanes = lanes.map(|lane| LaneRequest { lane, datasets: lane.datasets().map(|d| d.name.into()).collect() });
    (FileRequest { lanes: lanes.collect(), meta }, Some(Content::Bytes(content)))
}

fn pool(interpreters: Vec<Interpreter>) -> WorkerPool {
    // Much wall time, for machines that are busy otherwise.
    patient_pool(interpreters, 400)
}

fn patient_pool(interpreters: Vec<Interpreter>, wall_factor: u32) -> WorkerPool {
    let limits = Limits { cpu_ms: 500, memory_bytes: 256 << 20, ..Limits::default() };
    let options = Options { interpreters, ..Options::default() };
    WorkerPool::new(PoolConfig { wall_factor, ..PoolConfig::new(1, options, limits) })
}

fn table(result: &GroupResult, name: &str) -> RecordBatch {
    let (dataset, rows) = result.output.tables.iter().find(|(dataset, _)| dataset.name == name).unwrap();
    rows.batch(&dataset.facts_schema()).unwrap()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let array = arrow::compute::cast(batch.column_by_name(column).unwrap(), &DataType::Utf8).unwrap();
    array.as_string::<i32>().iter().map(|value| value.unwrap_or("-").to_owned()).collect()
}

fn status(result: &GroupResult, file: usize, lane: LaneId) -> &LaneStatus {
    &result.output.files[file].lanes.iter().find(|report| report.lane == lane).unwrap().status
}

async fn compiled_and_refused() {
    let files = vec![
        file("a/good.py", "def f(x):\n    return x + 1\n"),
        file("notes.txt", "no program"),
        file("bad.py", "def f(:\n"),
        file("nul.py", "a = 1\0"),
        file("empty.py", ""),
        file("latin.py", "# coding: latin-1\nname = 'x'\n"),
    ];
    let result = pool(vec![python()]).extract(files).await.unwrap();
    assert!(result.output.files.iter().flat_map(|f| &f.lanes).all(|lane| lane.status == LaneStatus::Extracted));
    let units = table(&result, "bytecode_code_units");
    assert_eq!(texts(&units, "qualname"), ["<module>", "f", "<module>", "<module>"]);
    assert_eq!(texts(&units, "co_filename"), ["a/good.py", "a/good.py", "empty.py", "latin.py"]);
    let errors = table(&result, "bytecode_errors");
    assert_eq!((errors.num_rows(), texts(&errors, "stage")), (2, vec!["compile".to_owned(); 2]));
    assert_eq!(texts(&errors, "error_type")[0], "SyntaxError");
    assert_eq!(texts(&errors, "lineno")[0], "1");
    let argreprs = texts(&table(&result, "bytecode_instructions"), "argrepr");
    assert!(argreprs.iter().any(|text| text == "<code object f, file \"a/good.py\", line 1>"), "{argreprs:?}");
    assert!(result.attempts.is_empty());
}

/// Compiling imports and runs nothing, not even what lies beside the file or in the environment.
async fn nothing_is_run() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let source = format!("open({:?}, 'w').write('run')\nimport marshal_shadow\n", trace.display().to_string());
    fs::write(directory.path().join("marshal.py"), &source).unwrap();
    let files = vec![file("marshal.py", &source), file("sitecustomize.py", &source)];
    let result = pool(vec![python()]).extract(files).await.unwrap();
    assert_eq!(table(&result, "bytecode_code_units").num_rows(), 2);
    assert!(!trace.exists(), "a file of the repository was run");
}

async fn side_by_side() {
    let one = python();
    // The same bytecode under another name, as another patch of the version would be.
    let two = wrapper(&one, "sys.version_info = type('V', (tuple,), {})((3, 99, 1, 'final', 0))\n");
    let other = Interpreter { version: "3.99.1".into(), ..two.interpreter.clone() };
    let result = pool(vec![one.clone(), other]).extract(vec![file("a.py", "x = 1\n")]).await.unwrap();
    let units = table(&result, "bytecode_code_units");
    assert_eq!(texts(&units, "python_version"), [one.version, "3.99.1".to_owned()]);
    assert_eq!(texts(&units, "ordinal"), ["0", "1"]);
}

struct Wrapper {
    interpreter: Interpreter,
    _directory: tempfile::TempDir,
}

/// An interpreter that does something else first.
fn wrapper(python: &Interpreter, first: &str) -> Wrapper {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("python");
    let script = format!(
        "#!{} -ISB\nimport builtins, os, sys, time\n{first}\nscript = sys.argv[-2]\nsys.argv = ['-c', sys.argv[-1]]\n\
         exec(script, {{'__name__': '__main__'}})\n",
        python.program
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let program = path.display().to_string();
    Wrapper { interpreter: Interpreter { program, ..python.clone() }, _directory: directory }
}

/// An interpreter that misbehaves at files of certain names.
fn moody(python: &Interpreter) -> Wrapper {
    wrapper(
        python,
        "real = compile
def moody(source, name, *args, **kwargs):
    match = os.path.basename(name)
    if match == 'spin.py':
        while True:
            pass
    if match == 'sleep.py':
        time.sleep(1000)
    if match == 'abort.py':
        os.abort()
    if match == 'exit.py':
        os._exit(3)
    if match == 'garbage.py':
        os.write(1, b'nonsense' * 10)
    if match == 'memory.py':
        held = []
        while True:
            held.append(bytearray(8 << 20))
    return real(source, name, *args, **kwargs)
builtins.compile = moody",
    )
}

async fn broken() {
    let moody = moody(&python());
    let faults = [("spin", "cpu"), ("abort", "crash"), ("exit", "crash"), ("garbage", "crash"), ("memory", "memory")];
    let mut files = vec![];
    for (name, _) in faults {
        files.push(file(&format!("before_{name}_.py"), "a = 1\n"));
        files.push(file(&format!("{name}.py"), "b = 2\n"));
    }
    files.push(file("last.py", "c = 3\n"));
    let result = pool(vec![moody.interpreter.clone()]).extract(files).await.unwrap();
    for (index, (name, expected)) in faults.iter().enumerate() {
        assert_eq!(status(&result, 2 * index, LaneId::Bytecode), &LaneStatus::Extracted, "before {name}");
        let LaneStatus::Quarantined { limit, message } = status(&result, 2 * index + 1, LaneId::Bytecode) else {
            panic!("{name}: {:?}", status(&result, 2 * index + 1, LaneId::Bytecode));
        };
        assert_eq!(limit, expected, "{name}: {message}");
        assert_eq!(status(&result, 2 * index + 1, LaneId::Ast), &LaneStatus::Extracted, "{name}");
    }
    assert_eq!(status(&result, 2 * faults.len(), LaneId::Bytecode), &LaneStatus::Extracted);
    assert!(result.attempts.is_empty(), "no worker died: {:?}", result.attempts);
}

/// One that waits for ever is found out by the clock, and tried once more before the file is to blame.
async fn hangs() {
    let moody = moody(&python());
    let files = vec![file("before.py", "a = 1\n"), file("sleep.py", "b = 2\n"), file("after.py", "c = 3\n")];
    let result = patient_pool(vec![moody.interpreter.clone()], 32).extract(files).await.unwrap();
    let LaneStatus::Quarantined { limit, .. } = status(&result, 1, LaneId::Bytecode) else {
        panic!("{:?}", status(&result, 1, LaneId::Bytecode));
    };
    assert_eq!(limit, "wall");
    assert_eq!(status(&result, 1, LaneId::Ast), &LaneStatus::Extracted);
    assert_eq!(status(&result, 2, LaneId::Bytecode), &LaneStatus::Extracted);
    assert!(result.attempts.is_empty(), "no worker died: {:?}", result.attempts);
}

async fn missing() {
    let there = python();
    let nowhere = Interpreter { program: "/nowhere/python3".into(), ..there.clone() };
    let older = Interpreter { version: "3.8.0".into(), ..there };
    for (interpreter, what) in [(nowhere, "does not start"), (older, "here")] {
        let files = vec![file("a.py", "a = 1\n"), file("b.py", "b = 1\n")];
        let result = pool(vec![interpreter]).extract(files).await.unwrap();
        for index in 0..2 {
            let LaneStatus::Failed { reason, message } = status(&result, index, LaneId::Bytecode) else {
                panic!("{:?}", status(&result, index, LaneId::Bytecode));
            };
            assert!(reason == "interpreter" && message.contains(what), "{message}");
            assert_eq!(status(&result, index, LaneId::Ts), &LaneStatus::Extracted);
        }
    }
}

/// Processes that run a program.
fn running(program: &Path) -> Vec<PathBuf> {
    let name = program.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let runs = |path: &PathBuf| fs::read_to_string(path.join("cmdline")).is_ok_and(|line| line.contains(&name));
    processes.filter(runs).collect()
}

async fn pool_drop() {
    let moody = moody(&python());
    let program = PathBuf::from(&moody.interpreter.program);
    let pool = pool(vec![moody.interpreter.clone()]);
    let result = pool.extract(vec![file("a.py", "a = 1\n")]).await.unwrap();
    assert_eq!(status(&result, 0, LaneId::Bytecode), &LaneStatus::Extracted);
    assert_eq!(running(&program).len(), 1);
    pool.close();
    assert!(running(&program).is_empty(), "the interpreter outlived its pool");
}

/// What an interpreter keeps of a large file would be in the way of all that follow.
async fn much_memory() {
    let hoarder = wrapper(&python(), "held = bytearray(b'x') * (100 << 20)");
    let program = PathBuf::from(&hoarder.interpreter.program);
    let pool = pool(vec![hoarder.interpreter.clone()]);
    let compiled = async |source: &str| {
        let result = pool.extract(vec![file("a.py", source)]).await.unwrap();
        assert_eq!(status(&result, 0, LaneId::Bytecode), &LaneStatus::Extracted);
        running(&program)
    };
    let first = compiled("a = 1\n").await;
    assert_eq!(first.len(), 1);
    assert_eq!(compiled("b = 2\n").await, first, "it is kept for small files");
    assert!(compiled(&format!("c = '{}'\n", "x".repeat(200_000))).await.is_empty(), "it is not kept for ever");
    assert_eq!(compiled("d = 4\n").await.len(), 1);
}

/// A worker that is killed had no time to say what its interpreter took.
async fn cost_of_the_dead() {
    let python = wrapper(&python(), "while time.process_time() < 1: pass");
    let faults = vec![Fault { path: "dies.py".into(), kind: FaultKind::Killed }];
    let options = Options { interpreters: vec![python.interpreter.clone()], ..Options::default() };
    let pool = WorkerPool::new(PoolConfig { faults, ..PoolConfig::new(1, options, Limits::default()) });
    let result = pool.extract(vec![file("fine.py", "a = 1\n"), file("dies.py", "b = 2\n")]).await.unwrap();
    assert_eq!(status(&result, 0, LaneId::Bytecode), &LaneStatus::Extracted);
    assert!(result.attempts.contains_key(&1), "no worker died");
    // One interpreter went with the first worker, which had compiled the first file; another worker did that again.
    assert!(result.cpu >= Duration::from_secs(2), "{:?}", result.cpu);
}
