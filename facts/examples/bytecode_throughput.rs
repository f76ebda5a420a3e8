//! How fast code is read, against the interpreter's own `compile` and `dis`, over the files of a directory, as JSON.
//!
//! `cargo run --release -p lode-facts --example bytecode_throughput -- <interpreter> <dir>`

use std::io::{self, Read};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use lode_facts::bytecode::{Compiled, Interpreter};
use lode_facts::extract::{Extractor, FileRequest, LaneRequest};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

/// As in every program of Lode.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Facts that are kept before they become batches, as a worker does.
const GROUP_BYTES: usize = 32 << 20;

/// Writes for each file its source and its code, each after its length, and at the end the seconds of CPU time that
/// `compile` and `dis` took.
const SCRIPT: &str = r#"
import dis, importlib.util, marshal, os, sys, time, warnings
warnings.simplefilter("ignore")
def block(data):
    sys.stdout.buffer.write(len(data).to_bytes(4, "little") + data)
def rows(code, into):
    for i in dis.get_instructions(code):
        into.append((i.opname, i.opcode, i.arg, i.argval, i.argrepr, i.offset, i.is_jump_target, *getattr(i, "positions", ())))
    if hasattr(code, "co_lines"):
        into.extend(code.co_lines())
    if hasattr(dis, "_parse_exception_table"):
        into.extend(dis._parse_exception_table(code))
    for value in code.co_consts:
        into.append(repr(value))
        if hasattr(value, "co_code"):
            rows(value, into)
compiling = reading = 0
version = ".".join(map(str, sys.version_info[:3]))
block(version.encode())
block(importlib.util.MAGIC_NUMBER[:2])
for directory, folders, names in os.walk(sys.argv[1]):
    folders[:] = sorted(f for f in folders if f not in ("site-packages", "__pycache__"))
    for name in sorted(names):
        if not name.endswith(".py"):
            continue
        with open(os.path.join(directory, name), "rb") as file:
            source = file.read()
        try:
            start = time.process_time()
            code = compile(source, name, "exec", dont_inherit=True)
            data = marshal.dumps(code)
            compiled = time.process_time()
            rows(code, [])
        except Exception:
            continue
        compiling += compiled - start
        reading += time.process_time() - compiled
        block(source)
        block(data)
block(b"")
block(f"{compiling} {reading}".encode())
"#;

fn block(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut block = vec![0; u32::from_le_bytes(length) as usize];
    input.read_exact(&mut block)?;
    Ok(block)
}

/// CPU time of this thread, which a busy machine disturbs less than the clock; only Linux tells.
fn cpu_time() -> Option<Duration> {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    schedstat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

struct Measured {
    interpreter: Interpreter,
    files: Vec<(Vec<u8>, Compiled)>,
    code_bytes: usize,
    compile_seconds: f64,
    dis_seconds: f64,
}

fn measure_python(program: &str, directory: &str) -> io::Result<Measured> {
    let mut child = Command::new(program).args(["-I", "-c", SCRIPT, directory]).stdout(Stdio::piped()).spawn()?;
    let mut input = io::BufReader::new(child.stdout.take().ok_or_else(|| io::Error::other("no output"))?);
    let version = String::from_utf8_lossy(&block(&mut input)?).into_owned();
    let magic = block(&mut input)?;
    let magic = magic.iter().rev().fold(0, |magic, byte| magic << 8 | u32::from(*byte));
    let (mut files, mut code_bytes) = (vec![], 0);
    loop {
        let source = block(&mut input)?;
        let code = block(&mut input)?;
        if source.is_empty() && code.first() != Some(&0xe3) {
            child.wait()?;
            let text = String::from_utf8_lossy(&code).into_owned();
            let mut seconds = text.split(' ').filter_map(|seconds| seconds.parse().ok());
            let (compile_seconds, dis_seconds) = (seconds.next().unwrap_or(0.0), seconds.next().unwrap_or(0.0));
            let interpreter = Interpreter { program: program.into(), version, magic };
            return Ok(Measured { interpreter, files, code_bytes, compile_seconds, dis_seconds });
        }
        code_bytes += code.len();
        files.push((source, Compiled::Code(code)));
    }
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(program), Some(directory)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: bytecode_throughput <interpreter> <dir>");
        return ExitCode::FAILURE;
    };
    let python = match measure_python(&program, &directory) {
        Ok(python) => python,
        Err(error) => {
            eprintln!("{program}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let source_bytes: usize = python.files.iter().map(|(source, _)| source.len()).sum();
    let meta = FileMeta::in_scope("throughput", "file.py", 0, Some(Language::Python));
    let options = Options { interpreters: vec![python.interpreter.clone()], ..Options::default() };
    for chosen in ["bytecode_instructions", "bytecode_"] {
        let datasets = LaneId::Bytecode.datasets().map(|d| d.name.to_owned()).filter(|name| name.starts_with(chosen));
        let lane = LaneRequest { lane: LaneId::Bytecode, datasets: datasets.collect() };
        let request = FileRequest { meta: meta.clone(), lanes: vec![lane] };
        let (mut best, mut rows) = (f64::MAX, 0);
        for _ in 0..3 {
            let mut extractor = Extractor::new(&options, &Limits::default());
            rows = 0;
            let (start, start_cpu) = (Instant::now(), cpu_time());
            for (source, code) in &python.files {
                extractor.extract_compiled(&request, Some(source), std::slice::from_ref(code));
                if extractor.bytes() > GROUP_BYTES {
                    rows += finish(&mut extractor);
                }
            }
            rows += finish(&mut extractor);
            let cpu = cpu_time().zip(start_cpu).map_or(start.elapsed(), |(end, start)| end - start);
            best = best.min(cpu.as_secs_f64());
        }
        let megabytes = source_bytes as f64 / 1e6;
        let report = serde_json::json!({
            "python": python.interpreter.version,
            "datasets": format!("{chosen}*"),
            "files": python.files.len(),
            "source_bytes": source_bytes,
            "code_bytes": python.code_bytes,
            "rows": rows,
            "lode_seconds": best,
            "lode_source_mb_per_s": megabytes / best,
            "lode_code_mb_per_s": python.code_bytes as f64 / 1e6 / best,
            "compile_mb_per_s": megabytes / python.compile_seconds,
            "dis_mb_per_s": megabytes / python.dis_seconds,
            "compile_and_lode_mb_per_s": megabytes / (python.compile_seconds + best),
            "compile_and_dis_mb_per_s": megabytes / (python.compile_seconds + python.dis_seconds),
        });
        println!("{report}");
    }
    ExitCode::SUCCESS
}

fn finish(extractor: &mut Extractor) -> usize {
    let output = extractor.finish().expect("every column has a row hash");
    output.tables.iter().map(|(_, batch)| batch.num_rows()).sum()
}
