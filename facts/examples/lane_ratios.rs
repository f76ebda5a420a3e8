//! The Python lanes against their references, over the same files in the same run, one core each, as JSON: AST against
//! CPython's walk to rows, CST against LibCST with its providers, symtable against CPython's walk, bytecode against `dis`.
//!
//! `cargo run --release -p lode-facts --example lane_ratios -- <dir> [<python> [<python with libcst>]]`
//!
//! Speeds are megabytes of source a second of CPU time. Compared is what both make: the datasets whose rows the reference
//! has; `whole_lane_mb_per_s` is Lode with all of the lane but `cst_nodes`. LibCST does a few files a second, so it has a
//! sample, every n-th file, on both sides. Of bytecode the interpreter's time to compile and marshal counts on Lode's side, and
//! `workers` has the throughput by the clock of one worker and of two, each a thread and its interpreter on a core of their
//! own; `reference_workers` has that of one and two processes of `dis`, which share nothing, and says by how much two cores
//! of the machine do more than one.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use lode_facts::bytecode::{Compiled, Interpreter};
use lode_facts::extract::{Extractor, FileRequest, LaneRequest};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};
use lode_facts::python::Version;
use serde_json::{Value, json};

/// As in every program of Lode.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/references.py");
/// Facts that are kept before they become batches, as a worker does.
const GROUP_BYTES: usize = 32 << 20;
/// Source that LibCST is given, in bytes.
const LIBCST_BYTES: usize = 1_000_000;
/// Runs of Lode, of which the fastest counts.
const RUNS: usize = 3;

struct File {
    path: PathBuf,
    content: Vec<u8>,
}

fn files(directory: &Path, found: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "py") {
            found.push(File { content: fs::read(&path)?, path });
        }
    }
    Ok(())
}

fn bytes<'f>(files: impl IntoIterator<Item = &'f File>) -> usize {
    files.into_iter().map(|file| file.content.len()).sum()
}

/// CPU time of this thread, which a busy machine disturbs less than the clock; only Linux tells.
fn cpu_time() -> Option<Duration> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    schedstat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn meta(content: &[u8]) -> FileMeta {
    FileMeta::in_scope("ratios", "f.py", content.len(), Some(Language::Python))
}

/// Whether a dataset counts as the whole lane: all do but the nodes, which LibCST has no table of.
fn is_whole(name: &str) -> bool {
    name != "cst_nodes"
}

/// Whether the lane's reference makes the rows of a dataset too.
fn is_compared(name: &str) -> bool {
    let beyond = ["symtable_resolutions", "bytecode_blocks", "bytecode_cfg_edges", "bytecode_dfg_edges"];
    is_whole(name) && !beyond.contains(&name) && (!name.starts_with("ast_") || name == "ast_nodes")
}

fn request(lane: LaneId, content: &[u8], is_wanted: fn(&str) -> bool) -> FileRequest {
    let names = lane.datasets().map(|dataset| dataset.name);
    let datasets = names.filter(|name| is_wanted(name)).map(str::to_owned).collect();
    FileRequest { meta: meta(content), lanes: vec![LaneRequest { lane, datasets }] }
}

fn finish(extractor: &mut Extractor) -> usize {
    let output = extractor.finish().expect("every column has a row hash");
    output.tables.iter().map(|(_, batch)| batch.num_rows()).sum()
}

/// What a lane does with files, parsing and batches with their hashes counted.
struct Measured {
    /// Seconds for the rows that the reference makes too, and those.
    seconds: f64,
    rows: usize,
    /// Seconds for all rows of the lane.
    whole: f64,
}

fn measure(options: &Options, lane: LaneId, files: &[(&File, Vec<Compiled>)]) -> Measured {
    let (seconds, rows) = time(options, lane, files, is_compared);
    Measured { seconds, rows, whole: time(options, lane, files, is_whole).0 }
}

/// Seconds and rows of some datasets of a lane.
fn time(
    options: &Options,
    lane: LaneId,
    files: &[(&File, Vec<Compiled>)],
    is_wanted: fn(&str) -> bool,
) -> (f64, usize) {
    let (mut best, mut rows) = (f64::MAX, 0);
    for _ in 0..RUNS {
        let mut extractor = Extractor::new(options, &Limits::default());
        rows = 0;
        let (start, start_cpu) = (Instant::now(), cpu_time());
        for (file, compiled) in files {
            extractor.extract_compiled(&request(lane, &file.content, is_wanted), Some(&file.content), compiled);
            if extractor.bytes() > GROUP_BYTES {
                rows += finish(&mut extractor);
            }
        }
        rows += finish(&mut extractor);
        let cpu = cpu_time().zip(start_cpu).map_or(start.elapsed(), |(end, start)| end - start);
        best = best.min(cpu.as_secs_f64());
    }
    (best, rows)
}

/// What a reference does with files.
fn reference(python: &str, what: &str, root: &str, files: &[&File]) -> io::Result<Value> {
    let mut child = Command::new(python)
        .args(["-I", "-X", "utf8", SCRIPT, what, root])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let paths: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
    child.stdin.take().ok_or_else(|| io::Error::other("no input"))?.write_all(paths.join("\n").as_bytes())?;
    let output = child.wait_with_output()?;
    serde_json::from_slice(&output.stdout).map_err(|error| io::Error::other(format!("{python} {what}: {error}")))
}

fn seconds(report: &Value) -> f64 {
    report["seconds"].as_f64().unwrap_or(f64::NAN)
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn compare(what: &str, lode: &Measured, reference: &Value, bytes: usize) -> Value {
    let speed = |seconds: f64| rounded(bytes as f64 / 1e6 / seconds);
    json!({
        "lane": what,
        "bytes": bytes,
        "rows": lode.rows,
        "mb_per_s": speed(lode.seconds),
        "whole_lane_mb_per_s": speed(lode.whole),
        "reference_mb_per_s": rounded(reference["bytes"].as_f64().unwrap_or(f64::NAN) / 1e6 / seconds(reference)),
        "reference": reference,
        "ratio": rounded(seconds(reference) / lode.seconds),
    })
}

/// An interpreter that compiles.
struct Compiler {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Compiler {
    fn start(python: &str) -> io::Result<Self> {
        let mut command = Command::new(python);
        command.args(["-I", "-X", "utf8", SCRIPT, "compile"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let pipe = || io::Error::other("no pipe");
        let (input, output) = (child.stdin.take().ok_or_else(pipe)?, child.stdout.take().ok_or_else(pipe)?);
        Ok(Self { child, input, output })
    }

    fn ask(&mut self, source: &[u8]) -> io::Result<()> {
        self.input.write_all(&(source.len() as u32).to_le_bytes())?;
        self.input.write_all(source)?;
        self.input.flush()
    }

    /// The code of the file that was sent, and the seconds it took; no code if it was refused.
    fn answer(&mut self) -> io::Result<(Vec<u8>, f64)> {
        let mut head = [0; 4];
        self.output.read_exact(&mut head)?;
        let mut code = vec![0; u32::from_le_bytes(head) as usize];
        self.output.read_exact(&mut code)?;
        let mut nanos = [0; 8];
        self.output.read_exact(&mut nanos)?;
        Ok((code, u64::from_le_bytes(nanos) as f64 / 1e9))
    }

    fn stop(self) -> io::Result<()> {
        let Self { mut child, input, output } = self;
        drop((input, output));
        child.wait().map(drop)
    }
}

fn interpreter(python: &str) -> io::Result<Interpreter> {
    let script = "import sys, importlib.util as u; m = u.MAGIC_NUMBER; v = '.'.join(map(str, sys.version_info[:3])); \
                  print(v, int.from_bytes(m[:2], 'little'))";
    let output = Command::new(python).args(["-I", "-c", script]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_whitespace();
    match (words.next(), words.next().and_then(|magic| magic.parse().ok())) {
        (Some(version), Some(magic)) => Ok(Interpreter { program: python.into(), version: version.into(), magic }),
        _ => Err(io::Error::other(format!("{python} is no CPython"))),
    }
}

/// Compiles files and reads their code; the next file is compiled while the one before is read, if there is a core for it.
fn compile_and_read<'f>(
    python: &Interpreter,
    options: &Options,
    files: impl Iterator<Item = &'f File>,
) -> io::Result<()> {
    let mut compiler = Compiler::start(&python.program)?;
    let mut extractor = Extractor::new(options, &Limits::default());
    let mut sources = files.peekable();
    if let Some(first) = sources.peek() {
        compiler.ask(&first.content)?;
    }
    while let Some(file) = sources.next() {
        let (code, _) = compiler.answer()?;
        if let Some(next) = sources.peek() {
            compiler.ask(&next.content)?;
        }
        if code.is_empty() {
            continue;
        }
        let request = request(LaneId::Bytecode, &file.content, is_whole);
        extractor.extract_compiled(&request, Some(&file.content), &[Compiled::Code(code)]);
        if extractor.bytes() > GROUP_BYTES {
            finish(&mut extractor);
        }
    }
    finish(&mut extractor);
    compiler.stop()
}

/// Has the calling thread, and the processes that it starts, use one core alone.
#[cfg(target_os = "linux")]
fn stay_on(core: usize) -> io::Result<()> {
    // SAFETY: the set is a plain array of bits, and the call reads as many bytes as it has.
    let done = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Other systems place threads as they like.
#[cfg(not(target_os = "linux"))]
fn stay_on(_: usize) -> io::Result<()> {
    Ok(())
}

/// Files a second by the clock, in megabytes, of one worker and of two that share the files, each on a core of its own.
fn scaling(files: &[File], work: impl Fn(Vec<&File>) -> io::Result<()> + Sync) -> io::Result<Value> {
    let throughput = |workers: usize| -> io::Result<f64> {
        let start = Instant::now();
        std::thread::scope(|scope| {
            let work = &work;
            let run = |worker: usize| {
                scope.spawn(move || {
                    stay_on(worker)?;
                    work(files.iter().skip(worker).step_by(workers).collect())
                })
            };
            let running: Vec<_> = (0..workers).map(run).collect();
            let end = |done: std::thread::Result<_>| done.unwrap_or_else(|_| Err(io::Error::other("a panic")));
            running.into_iter().try_for_each(|worker| end(worker.join()))
        })?;
        Ok(bytes(files) as f64 / 1e6 / start.elapsed().as_secs_f64())
    };
    let (one, two) = (throughput(1)?, throughput(2)?);
    Ok(json!({ "1": rounded(one), "2": rounded(two), "ratio": rounded(two / one) }))
}

fn bytecode(python: &Interpreter, options: &Options, root: &str, files: &[File]) -> io::Result<Value> {
    let mut compiler = Compiler::start(&python.program)?;
    let (mut compiled, mut compiling) = (vec![], 0.0);
    for file in files {
        compiler.ask(&file.content)?;
        let (code, seconds) = compiler.answer()?;
        if !code.is_empty() {
            compiling += seconds;
            compiled.push((file, vec![Compiled::Code(code)]));
        }
    }
    compiler.stop()?;
    let mut measured = measure(options, LaneId::Bytecode, &compiled);
    let reading = measured.seconds;
    measured.seconds += compiling;
    measured.whole += compiling;
    let accepted: Vec<&File> = compiled.iter().map(|(file, _)| *file).collect();
    let dis = reference(&python.program, "dis", root, &accepted)?;
    let size = bytes(accepted);
    let mut report = compare("bytecode", &measured, &dis, size);
    report["compile_mb_per_s"] = rounded(size as f64 / 1e6 / compiling).into();
    report["read_mb_per_s"] = rounded(size as f64 / 1e6 / reading).into();
    report["workers"] = scaling(files, |files| compile_and_read(python, options, files.into_iter()))?;
    report["reference_workers"] = scaling(files, |files| reference(&python.program, "dis", root, &files).map(drop))?;
    Ok(report)
}

#[allow(clippy::print_stdout)]
fn report(root: &str, python: &str, libcst: Option<&str>) -> io::Result<()> {
    let mut all = vec![];
    files(Path::new(root), &mut all)?;
    all.sort_by(|a, b| a.path.cmp(&b.path));
    let python = interpreter(python)?;
    let target: Result<Version, _> = python.version.rsplit_once('.').map_or("", |(minor, _)| minor).parse();
    let options = Options {
        python_version: target.map_err(|error| io::Error::other(format!("{}: {error}", python.version)))?,
        interpreters: vec![python.clone()],
        ..Options::default()
    };
    let everything: Vec<&File> = all.iter().collect();
    for (lane, what) in [(LaneId::Ast, "ast"), (LaneId::Symtable, "symtable")] {
        let measured = measure(&options, lane, &uncompiled(&everything));
        println!("{}", compare(what, &measured, &reference(&python.program, what, root, &everything)?, bytes(&all)));
    }
    println!("{}", bytecode(&python, &options, root, &all)?);
    if let Some(libcst) = libcst {
        let every = bytes(&all).div_ceil(LIBCST_BYTES).max(1);
        let sample: Vec<&File> = all.iter().step_by(every).collect();
        let measured = measure(&options, LaneId::Cst, &uncompiled(&sample));
        let size = bytes(sample.iter().copied());
        println!("{}", compare("cst", &measured, &reference(libcst, "libcst", root, &sample)?, size));
    }
    Ok(())
}

fn uncompiled<'f>(files: &[&'f File]) -> Vec<(&'f File, Vec<Compiled>)> {
    files.iter().map(|file| (*file, vec![])).collect()
}

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(root) = arguments.first() else {
        eprintln!("usage: lane_ratios <dir> [<python> [<python with libcst>]]");
        return ExitCode::FAILURE;
    };
    let python = arguments.get(1).map_or("python3", String::as_str);
    match report(root, python, arguments.get(2).map(String::as_str)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{root}: {error}");
            ExitCode::FAILURE
        }
    }
}
