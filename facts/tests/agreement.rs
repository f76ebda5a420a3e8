//! The `agreement` lane over files of the standard library of the interpreter at hand, which also compiles them; with
//! `LODE_ORACLES=all` over the whole library and five packages.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and tell what it compared")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type};
use lode_facts::bytecode::{Compiled, Interpreter, Refusal};
use lode_facts::extract::{Extractor, FileRequest, LaneRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

mod packages;
#[path = "../../tests/oracles/venv.rs"]
mod venv;

/// Of how many files of the library one is taken where not all are.
const ONE_OF: usize = 8;
/// Share of what was compared that must agree.
const REQUIRED: f64 = 0.995;

/// Tells its version, magic number and library; then compiles each file it is told, and writes `C` and the code or `E`
/// and the exception, each after its length.
const COMPILE: &str = r#"
import importlib.util, marshal, os, sys, warnings
warnings.simplefilter("ignore")
def send(kind, data):
    sys.stdout.buffer.write(kind + len(data).to_bytes(4, "little") + data)
version = ".".join(map(str, sys.version_info[:3]))
magic = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
send(b"V", "\n".join([version, str(magic), os.path.dirname(os.__file__)]).encode())
sys.stdout.flush()
for path in sys.stdin:
    with open(path.rstrip("\n"), "rb") as file:
        source = file.read()
    try:
        send(b"C", marshal.dumps(compile(source, "f.py", "exec", dont_inherit=True)))
    except Exception as error:
        send(b"E", f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
"#;

struct Python {
    interpreter: Interpreter,
    library: PathBuf,
    child: std::process::Child,
}

impl Python {
    fn start() -> Self {
        let program = std::env::var("LODE_PYTHON").unwrap_or_else(|_| "python3".into());
        let mut command = Command::new(&program);
        command.args(["-I", "-X", "utf8", "-c", COMPILE]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().expect("set LODE_PYTHON to an interpreter");
        let interpreter = Interpreter { program, version: String::new(), magic: 0 };
        let mut python = Self { interpreter, library: PathBuf::new(), child };
        let (_, greeting) = python.receive();
        let greeting = String::from_utf8(greeting).unwrap();
        let [version, magic, library] = greeting.split('\n').collect::<Vec<_>>().try_into().unwrap();
        python.interpreter.version = version.into();
        python.interpreter.magic = magic.parse().unwrap();
        python.library = library.into();
        python
    }

    fn receive(&mut self) -> (u8, Vec<u8>) {
        let output = self.child.stdout.as_mut().unwrap();
        let mut head = [0; 5];
        output.read_exact(&mut head).unwrap();
        let mut content = vec![0; u32::from_le_bytes(head[1..].try_into().unwrap()) as usize];
        output.read_exact(&mut content).unwrap();
        (head[0], content)
    }

    fn compile(&mut self, path: &Path) -> Compiled {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{}", path.display()).unwrap();
        match self.receive() {
            (b'C', code) => Compiled::Code(code),
            (_, error) => {
                let message = String::from_utf8(error).unwrap();
                Compiled::Refused(Refusal { error_type: "SyntaxError".into(), message, ..Refusal::default() })
            }
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn files(directory: &Path, passed_over: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            if !passed_over.contains(&entry.file_name().to_str().unwrap_or_default()) {
                files(&path, passed_over, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "py") {
            found.push(path);
        }
    }
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let text = arrow::compute::cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
    text.as_string::<i32>().iter().map(|text| text.unwrap_or("-").to_owned()).collect()
}

#[derive(Default)]
struct Tally {
    files: usize,
    /// By view and kind: how much was compared, and how much of it agreed.
    compared: BTreeMap<(String, String), (i64, i64)>,
    reasons: BTreeMap<[String; 3], usize>,
    shown: Vec<String>,
}

impl Tally {
    fn rate(&self) -> f64 {
        let (all, agreed) = self.compared.values().fold((0, 0), |(all, agreed), (c, a)| (all + c, agreed + a));
        agreed as f64 / all as f64
    }

    fn file(&mut self, extractor: &mut Extractor, path: &Path, python: &mut Python) {
        self.files += 1;
        let content = std::fs::read(path).unwrap();
        let meta = FileMeta::in_scope("r", "f.py", content.len(), Some(Language::Python));
        let datasets = LaneId::Agreement.datasets().map(|d| d.name.to_owned()).collect();
        let lanes = vec![LaneRequest { lane: LaneId::Agreement, datasets }];
        let compiled = [python.compile(path)];
        extractor.extract_compiled(&FileRequest { meta, lanes }, Some(&content), &compiled);
        let output = extractor.finish().unwrap();
        assert_eq!(output.files[0].lanes[0].status, LaneStatus::Extracted, "{}", path.display());
        for (dataset, batch) in output.tables {
            self.rows(dataset.name, &batch, path);
        }
    }

    fn rows(&mut self, dataset: &str, batch: &RecordBatch, path: &Path) {
        const COLUMNS: [&str; 7] =
            ["left_name", "left_bstart", "left_bend", "right_name", "right_bstart", "right_bend", "message"];
        let (views, kinds) = (texts(batch, "right_view"), texts(batch, "kind"));
        for (row, key) in views.into_iter().zip(kinds).enumerate() {
            if dataset == "agreement_counts" {
                let number = |name| batch.column_by_name(name).unwrap().as_primitive::<Int32Type>().value(row);
                let counts = self.compared.entry(key).or_default();
                *counts = (counts.0 + i64::from(number("compared")), counts.1 + i64::from(number("agreed")));
                continue;
            }
            let reason = texts(batch, "reason")[row].clone();
            let seen = self.reasons.entry([key.0.clone(), key.1.clone(), reason.clone()]).or_default();
            *seen += 1;
            if *seen <= 4 {
                let line = COLUMNS.map(|column| texts(batch, column)[row].clone());
                self.shown.push(format!("{key:?} {reason} {} {line:?}", path.display()));
            }
        }
    }

    fn finish(mut self, name: &str) {
        self.shown.sort();
        println!("== {name}: {} files, {:.4}%\n{}", self.files, 100.0 * self.rate(), self.shown.join("\n"));
        for ((view, kind), (all, agreed)) in &self.compared {
            println!("{view:<12} {kind:<12} {agreed:>9} of {all:>9}  {:.3}%", 100.0 * *agreed as f64 / *all as f64);
        }
        println!("{:#?}", self.reasons);
        assert!(self.rate() >= REQUIRED, "{name}: {:.4}% agree", 100.0 * self.rate());
        for view in ["rustpython", "ts", "cst", "symtable", "bytecode"] {
            let calls_or_names = self.compared.iter().filter(|((v, _), _)| v == view).map(|(_, (all, _))| all);
            assert!(calls_or_names.sum::<i64>() > 1000, "{name}: {view} was hardly compared");
        }
    }
}

#[test]
fn views_of_real_files_agree() {
    let mut python = Python::start();
    let minor = python.interpreter.version.split('.').nth(1).unwrap().to_owned();
    let options = Options {
        python_version: format!("3.{minor}").parse().unwrap(),
        interpreters: vec![python.interpreter.clone()],
        ..Options::default()
    };
    let mut extractor = Extractor::new(&options, &Limits::default());
    let all = std::env::var("LODE_ORACLES").as_deref() == Ok("all");
    // Tests of the parser, which are in the library, hold what other parsers are not meant to know.
    let passed_over: &[&str] = &["site-packages", "__pycache__", "test"];
    let mut roots = vec![(python.library.clone(), passed_over, if all { 1 } else { ONE_OF })];
    if all {
        let pip = venv::python(env!("CARGO_TARGET_TMPDIR"));
        roots.extend(packages::folders(&pip).into_iter().map(|folder| (folder, &[][..], 1)));
    }
    for (root, passed_over, one_of) in roots {
        let mut paths = vec![];
        files(&root, passed_over, &mut paths);
        paths.sort();
        let mut tally = Tally::default();
        paths.iter().step_by(one_of).for_each(|path| tally.file(&mut extractor, path, &mut python));
        assert!(tally.files > 40, "{}: {} files", root.display(), tally.files);
        tally.finish(&root.file_name().unwrap().to_string_lossy());
    }
}
