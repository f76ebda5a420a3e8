//! Symbol tables of the files of a directory, by Lode and by CPython in the same run, on one thread each, as JSON.
//!
//! `cargo run --release -p lode-facts --example symtable_speed -- <dir> [<python>]`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use lode_facts::columns::Table;
use lode_facts::extract::{LaneRequest, Session};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::Options;
use lode_facts::source::Source;
use lode_facts::symtable::SymtableSession;

/// As in every program of Lode.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 3;
/// Facts that are kept before they become batches, as a worker does.
const GROUP_BYTES: usize = 32 << 20;

/// What CPython takes to build the tables, and to build them and read every symbol off them; in CPU seconds.
const PEER: &str = r#"
import _symtable, symtable, sys, time, warnings
warnings.simplefilter("ignore")
files = [open(path, "rb").read() for path in sys.stdin.read().split("\n") if path]
METHODS = [name for name in dir(symtable.Symbol) if name.startswith("is_")]
def build(content):
    _symtable.symtable(content, "f", "exec")
def walk(content):
    rows, pending = 0, [symtable.symtable(content, "f", "exec")]
    while pending:
        table = pending.pop()
        pending.extend(table.get_children())
        table.get_type(), table.get_name(), table.get_lineno(), table.is_nested()
        for symbol in table.get_symbols():
            [getattr(symbol, name)() for name in METHODS], symbol.get_namespaces()
            rows += 1
        if isinstance(table, symtable.Function):
            table.get_parameters(), table.get_locals(), table.get_globals(), table.get_nonlocals(), table.get_frees()
        if isinstance(table, symtable.Class):
            table.get_methods()
    return rows
for what in build, walk:
    best = None
    for _ in range(int(sys.argv[1])):
        start = time.process_time()
        for content in files:
            try:
                what(content)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                pass
        seconds = time.process_time() - start
        best = seconds if best is None else min(best, seconds)
    print(best)
"#;

fn files(directory: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => files(&entry.path(), found)?,
            kind if kind.is_file() && entry.path().extension().is_some_and(|e| e == "py") => found.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

/// CPU time of this thread, which a busy machine disturbs less than the clock; elsewhere than on Linux, the clock.
fn cpu_time(origin: Instant) -> Duration {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let cpu = schedstat.and_then(|text| text.split(' ').next()?.parse().ok().map(Duration::from_nanos));
    cpu.unwrap_or_else(|| origin.elapsed())
}

fn meta(size: usize) -> FileMeta {
    FileMeta::in_scope("speed", "f.py", size, Some(Language::Python))
}

fn peer(python: &str, paths: &[PathBuf]) -> Option<(f64, f64)> {
    let list = std::env::temp_dir().join(format!("symtable-speed-{}", std::process::id()));
    let names: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    fs::write(&list, names.join("\n")).ok()?;
    let input = fs::File::open(&list).ok()?;
    let output = Command::new(python).args(["-I", "-c", PEER, &RUNS.to_string()]).stdin(input).output().ok();
    fs::remove_file(&list).ok();
    let text = String::from_utf8(output?.stdout).ok()?;
    let mut seconds = text.lines().filter_map(|line| line.parse().ok());
    Some((seconds.next()?, seconds.next()?))
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(directory) = arguments.next() else {
        eprintln!("usage: symtable_speed <dir> [<python>]");
        return ExitCode::FAILURE;
    };
    let mut paths = vec![];
    if let Err(error) = files(Path::new(&directory), &mut paths) {
        eprintln!("{directory}: {error}");
        return ExitCode::FAILURE;
    }
    paths.sort();
    let loaded: Vec<Vec<u8>> = paths.iter().filter_map(|path| fs::read(path).ok()).collect();
    let bytes: usize = loaded.iter().map(Vec::len).sum();
    let datasets = LaneId::Symtable.datasets().map(|d| d.name.to_owned()).collect();
    let request = LaneRequest { lane: LaneId::Symtable, datasets };
    let options = Options::default();
    let (mut best_parse, mut best_walk, mut rows) = (Duration::MAX, Duration::MAX, 0);
    let origin = Instant::now();
    for _ in 0..RUNS {
        let mut session = SymtableSession::new(&options);
        let (mut parse, mut walk) = (Duration::ZERO, Duration::ZERO);
        rows = 0;
        for content in &loaded {
            let meta = meta(content.len());
            let source = Source::new(&meta, Some(content), &options);
            let start = cpu_time(origin);
            let _ = source.python();
            let parsed = cpu_time(origin);
            session.extract(&source, &request, &mut vec![]);
            if session.tables().iter().map(|table| table.bytes()).sum::<usize>() > GROUP_BYTES {
                rows += finish(&mut session);
            }
            parse += parsed - start;
            walk += cpu_time(origin) - parsed;
        }
        let start = cpu_time(origin);
        rows += finish(&mut session);
        walk += cpu_time(origin) - start;
        best_parse = best_parse.min(parse);
        best_walk = best_walk.min(walk);
    }
    let speed = |seconds: f64| (bytes as f64 / 1e5 / seconds).round() / 10.0;
    let (parse, walk) = (best_parse.as_secs_f64(), best_walk.as_secs_f64());
    let python = arguments.next().unwrap_or_else(|| "python3".into());
    let peer = peer(&python, &paths);
    let report = serde_json::json!({
        "files": loaded.len(),
        "bytes": bytes,
        "rows": rows,
        "walk_mb_per_cpu_s": speed(walk),
        "parse_mb_per_cpu_s": speed(parse),
        "lode_mb_per_cpu_s": speed(parse + walk),
        "cpython_build_mb_per_cpu_s": peer.map(|(build, _)| speed(build)),
        "cpython_walk_mb_per_cpu_s": peer.map(|(_, walk)| speed(walk)),
        "times_cpython_build": peer.map(|(build, _)| (build / (parse + walk) * 10.0).round() / 10.0),
        "times_cpython_walk": peer.map(|(_, peer_walk)| (peer_walk / (parse + walk) * 10.0).round() / 10.0),
    });
    println!("{report}");
    ExitCode::SUCCESS
}

fn finish(session: &mut SymtableSession) -> usize {
    session.tables().into_iter().map(|table: &mut dyn Table| table.finish().num_rows()).sum()
}
