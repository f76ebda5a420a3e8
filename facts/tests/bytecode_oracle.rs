//! The `bytecode_*` tables against CPython's own `dis`, row for row, over whole standard libraries.
//!
//! One interpreter is always held against, 3.13 where there is one; every other with `LODE_ORACLES=all`.
//! `LODE_ORACLE_ROOT` names a directory to compare instead of the standard libraries. What interpreters said of a few
//! sources is kept in `golden/` and always held against.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and tell what it compared")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;
use lode_facts::bytecode::{Compiled, Interpreter, Opcodes};
use lode_facts::extract::Extractor;
use lode_facts::lane::LaneId;
use lode_facts::options::{Limits, Options};
use printed::{Table, Tables, extract, lines, tables};

mod golden;
mod printed;

/// Interpreters that run, newest first: those of `LODE_PYTHONS` (programs, separated by colons), else `python3.14` to
/// `python3.8` of the search path and of pyenv.
fn interpreters() -> Vec<Interpreter> {
    let programs: Vec<PathBuf> = match std::env::var_os("LODE_PYTHONS") {
        Some(named) => std::env::split_paths(&named).collect(),
        None => {
            let of_pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
            let of_pyenv = of_pyenv.or_else(|| Some(std::env::home_dir()?.join(".pyenv")));
            let versions = of_pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
            let mut installed: Vec<PathBuf> =
                versions.into_iter().flatten().flatten().map(|entry| entry.path().join("bin/python3")).collect();
            installed.sort();
            (8..=14).rev().map(|minor| format!("python3.{minor}").into()).chain(installed).collect()
        }
    };
    let script = "import sys, importlib.util as u; m = u.MAGIC_NUMBER; v = '.'.join(map(str, sys.version_info[:3])); \
                  print(v, int.from_bytes(m[:2], 'little'))";
    let mut found: BTreeMap<u32, Interpreter> = BTreeMap::new();
    for program in programs {
        let Ok(output) = Command::new(&program).args(["-I", "-c", script]).output() else { continue };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = text.split_whitespace();
        let (Some(version), Some(magic)) = (words.next(), words.next().and_then(|n| n.parse().ok())) else { continue };
        let python = Interpreter { program: program.display().to_string(), version: version.into(), magic };
        if let Some(table) = python.opcodes() {
            found.entry(table.minor).or_insert(python);
        }
    }
    found.into_values().rev().collect()
}

/// The tables the oracle prints: letter, name, columns.
const TABLES: [Table<'_>; 5] = [
    (
        "U",
        "bytecode_code_units",
        &[
            "ordinal",
            "parent_ordinal",
            "parent_const_index",
            "qualname",
            "co_qualname",
            "co_filename",
            "name",
            "firstlineno",
            "argcount",
            "posonlyargcount",
            "kwonlyargcount",
            "nlocals",
            "stacksize",
            "flags",
            "code_len",
            "names",
            "varnames",
            "freevars",
            "cellvars",
        ],
    ),
    (
        "I",
        "bytecode_instructions",
        &[
            "code_ordinal",
            "instr_index",
            "offset",
            "start_offset",
            "end_offset",
            "opname",
            "opcode",
            "arg",
            "argval_kind",
            "argval_int",
            "argval_str",
            "argrepr",
            "line_number",
            "starts_line",
            "label",
            "is_jump_target",
            "jump_target",
            "cache_info",
            "cache_hex",
            "lineno",
            "end_lineno",
            "col_offset",
            "end_col_offset",
        ],
    ),
    ("L", "bytecode_line_table", &["code_ordinal", "start_offset", "end_offset", "line_number"]),
    (
        "X",
        "bytecode_exception_table",
        &["code_ordinal", "exc_index", "start_offset", "end_offset", "target_offset", "depth", "lasti"],
    ),
    ("C", "bytecode_consts", &["code_ordinal", "const_index", "const_type", "const_repr", "child_ordinal"]),
];

#[derive(Default)]
struct Tally {
    files: usize,
    bytes: usize,
    code_bytes: usize,
    located: usize,
    rows: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

impl Tally {
    fn file(&mut self, extractor: &mut Extractor, path: &str, code: Vec<u8>, oracle: &str) {
        let content = std::fs::read(path).unwrap();
        self.files += 1;
        self.bytes += content.len();
        self.code_bytes += code.len();
        let output = extract(extractor, LaneId::Bytecode, "dir/file.py", &content, &[Compiled::Code(code)]);
        for diagnostic in &output.files[0].diagnostics {
            self.differences.push(format!("{path}\n  {diagnostic:?}"));
        }
        let tables = tables(output);
        let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in oracle.split('\n') {
            expected.entry(line.split('\t').next().unwrap()).or_default().push(line);
        }
        for table @ (letter, name, _) in TABLES {
            let found = lines(&tables, table, ",");
            let mut expected = expected.remove(letter).unwrap_or_default();
            // The oracle goes into inner code objects where it meets them.
            expected.sort_by_key(|line| line.split('\t').nth(1).unwrap().parse::<usize>().unwrap());
            *self.rows.entry(name).or_default() += expected.len();
            if expected.len() != found.len() {
                self.differences.push(format!("{path}\n  {name}: {} rows, dis has {}", found.len(), expected.len()));
            }
            for (expected, found) in expected.iter().zip(&found).filter(|(e, f)| *e != f) {
                self.differences.push(format!("{path}\n  dis:  {expected}\n  Lode: {found}"));
            }
        }
        self.spans(path, &content, &tables);
        self.differences.truncate(1000);
    }

    /// Where there are columns there are bytes, and the bytes are those of the line and column.
    fn spans(&mut self, path: &str, content: &[u8], tables: &Tables) {
        let Some(rows) = tables.get("bytecode_instructions") else { return };
        let column = |name| rows.column_by_name(name).unwrap().as_primitive::<Int32Type>();
        let (lines, columns, starts) = (column("lineno"), column("col_offset"), column("bstart"));
        let is_plain = content.is_ascii() && !content.contains(&b'\r');
        let line_starts: Vec<usize> = std::iter::once(0)
            .chain(content.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1))
            .collect();
        // What starts a module lies before the first line.
        for row in (0..rows.num_rows()).filter(|row| columns.is_valid(*row) && lines.value(*row) > 0) {
            if starts.is_null(row) {
                self.differences.push(format!("{path}\n  row {row} has a column and no byte"));
                continue;
            }
            self.located += 1;
            let byte = line_starts.get(lines.value(row) as usize - 1).map(|s| s + columns.value(row) as usize);
            if is_plain && byte != Some(starts.value(row) as usize) {
                self.differences.push(format!("{path}\n  row {row} starts at {:?}, not {}", byte, starts.value(row)));
            }
        }
    }
}

fn block(input: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
        other => other.unwrap(),
    }
    let mut block = vec![0; u32::from_le_bytes(length) as usize];
    input.read_exact(&mut block).unwrap();
    Some(block)
}

/// Runs the oracle, in a folder where one is given.
fn oracle(program: &str, root: Option<&OsStr>, folder: Option<&Path>) -> Child {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bytecode_oracle.py");
    let mut command = Command::new(program);
    command.args(["-I", "-S", "-X", "utf8", script]).args(root).stdout(Stdio::piped());
    folder.map(|folder| command.current_dir(folder));
    command.spawn().expect("an interpreter that answered before runs again")
}

/// Holds Lode against what an interpreter printed of files below a folder.
fn compare_printed(python: &Interpreter, mut input: impl Read, folder: &Path) -> Tally {
    let options = Options { interpreters: vec![python.clone()], ..Options::default() };
    let mut extractor = Extractor::new(&options, &Limits::default());
    let mut tally = Tally::default();
    while let Some(path) = block(&mut input) {
        let (code, rows) = (block(&mut input).unwrap(), block(&mut input).unwrap());
        let (path, rows) = (String::from_utf8(path).unwrap(), String::from_utf8(rows).unwrap());
        tally.file(&mut extractor, folder.join(path).to_str().unwrap(), code, &rows);
    }
    println!(
        "Python {}: {} files, {} bytes, {} bytes of code, rows compared {:?}, {} instructions located",
        python.version, tally.files, tally.bytes, tally.code_bytes, tally.rows, tally.located,
    );
    let shown = tally.differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(tally.differences.is_empty(), "{} differences or more:\n{shown}", tally.differences.len());
    tally
}

fn compare(python: &Interpreter) {
    let root = std::env::var_os("LODE_ORACLE_ROOT");
    let mut child = oracle(&python.program, root.as_deref(), None);
    let tally = compare_printed(python, BufReader::new(child.stdout.take().unwrap()), Path::new(""));
    assert!(child.wait().unwrap().success(), "the oracle failed");
    assert!(tally.files > 500 || root.is_some(), "{} files are no standard library", tally.files);
}

#[test]
fn golden_files_equal_dis() {
    if golden::is_written() {
        for python in interpreters() {
            let root = OsStr::new(".");
            let output = oracle(&python.program, Some(root), Some(&golden::sources())).wait_with_output().unwrap();
            assert!(output.status.success(), "the oracle failed");
            golden::write("dis", &python.version, &output.stdout);
        }
    }
    for (version, printed) in golden::read("dis") {
        let minor = version.split('.').nth(1).unwrap().parse().unwrap();
        let magic = Opcodes::of(minor).expect("a version that is known").magic;
        let python = Interpreter { program: "dis".into(), version, magic };
        let tally = compare_printed(&python, &*printed, &golden::sources());
        assert!(tally.files >= 2 && tally.rows["bytecode_instructions"] > 1000, "{}: too few rows", python.version);
    }
}

#[test]
fn the_standard_library_equals_dis() {
    let found = interpreters();
    let all = std::env::var("LODE_ORACLES").is_ok_and(|which| which == "all");
    let preferred = found.iter().find(|python| python.version.starts_with("3.13.")).or(found.first());
    let newest = preferred.expect("there is no Python 3.8 to 3.14: name some in LODE_PYTHONS");
    for python in found.iter().filter(|python| all || *python == newest) {
        compare(python);
    }
}
