//! `ts_nodes` against py-tree-sitter with the same grammars, row for row: a whole Python standard library, and the
//! sources of other languages that lie in cargo's registry.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use lode_facts::extract::{Extractor, FileRequest, LaneRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

#[path = "../../tests/oracles/venv.rs"]
mod venv;

/// `LODE_ORACLE_PYTHON`, an interpreter that has the packages, else the environment of the oracles.
fn interpreter() -> PathBuf {
    std::env::var_os("LODE_ORACLE_PYTHON").map_or_else(|| venv::python(env!("CARGO_TARGET_TMPDIR")), PathBuf::from)
}

/// Files below a directory with one of these extensions, in order, up to `budget` bytes in all.
fn sources(root: &Path, extensions: &[&str], budget: u64) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() && entry.file_name() != "site-packages" {
                todo.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
                found.push((path, entry.metadata().unwrap().len()));
            }
        }
    }
    found.sort();
    let mut total = 0;
    let within = |(_, size): &(PathBuf, u64)| {
        total += size;
        total <= budget
    };
    found.into_iter().filter(|(_, size)| *size < 1 << 20).take_while(within).map(|(path, _)| path).collect()
}

struct Column(ArrayRef);

impl Column {
    fn int(&self, row: usize) -> String {
        let array = self.0.as_primitive::<Int32Type>();
        if array.is_null(row) { String::new() } else { array.value(row).to_string() }
    }

    fn text(&self, row: usize) -> String {
        let array = self.0.as_string::<i32>();
        let text = if array.is_null(row) { "" } else { array.value(row) };
        text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
    }
}

/// The rows of a file, in the words of the oracle.
fn rows(extractor: &mut Extractor, language: Language, content: &[u8]) -> Vec<String> {
    let meta = FileMeta::in_scope("oracle", "file", content.len(), Some(language));
    let lanes = vec![LaneRequest { lane: LaneId::Ts, datasets: vec!["ts_nodes".into()] }];
    extractor.extract(&FileRequest { meta, lanes }, Some(content));
    let output = extractor.finish().unwrap();
    assert_eq!(output.files[0].lanes[0].status, LaneStatus::Extracted);
    let Some((_, batch)) = output.tables.into_iter().next() else { return vec![] };
    let int = |name| Column(batch.column_by_name(name).unwrap().clone());
    let text = |name| Column(cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap());
    let flags = ["is_named", "is_error", "is_missing", "is_extra", "has_error"]
        .map(|name| batch.column_by_name(name).unwrap().as_boolean().clone());
    let positions = ["bstart", "bend", "start_line", "start_col", "end_line", "end_col"].map(int);
    let [ordinal, parent, kind_id, grammar_id, index] =
        ["ordinal", "parent_ordinal", "kind_id", "grammar_id", "child_index"].map(int);
    let [kind, grammar_name, field] = ["kind", "grammar_name", "field_name"].map(text);
    let or = |own: String, other: String| if own.is_empty() { other } else { own };
    (0..batch.num_rows())
        .map(|row| {
            assert_eq!(ordinal.int(row), row.to_string());
            let mut line = [
                parent.int(row),
                kind.text(row),
                kind_id.int(row),
                or(grammar_name.text(row), kind.text(row)),
                or(grammar_id.int(row), kind_id.int(row)),
                field.text(row),
                index.int(row),
            ]
            .join("\t");
            for flag in &flags {
                write!(line, "\t{}", u8::from(flag.value(row))).unwrap();
            }
            for position in &positions {
                write!(line, "\t{}", position.int(row)).unwrap();
            }
            line
        })
        .collect()
}

/// Holds every file against the oracle; gives how many files and nodes were equal.
fn compare(python: &Path, language: Language, files: &[PathBuf]) -> (usize, usize) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ts_oracle.py");
    let mut oracle =
        Command::new(python).args(["-I", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut asked = oracle.stdin.take().unwrap();
    let mut lines = BufReader::new(oracle.stdout.take().unwrap()).lines();
    let mut extractor = Extractor::new(&Options::default(), &Limits::default());
    let mut nodes = 0;
    for path in files {
        writeln!(asked, "{}\t{}", language.name(), path.display()).unwrap();
        asked.flush().unwrap();
        let own = rows(&mut extractor, language, &std::fs::read(path).unwrap());
        for (ordinal, row) in own.iter().enumerate() {
            let theirs = lines.next().expect("the oracle goes on").unwrap();
            assert_eq!(*row, theirs, "node {ordinal} of {}", path.display());
        }
        assert_eq!(lines.next().unwrap().unwrap(), "", "{} has more nodes than were found", path.display());
        nodes += own.len();
    }
    drop(asked);
    assert!(oracle.wait().unwrap().success());
    (files.len(), nodes)
}

#[test]
fn python_standard_library() {
    let python = interpreter();
    let script = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    let output = Command::new(&python).args(["-I", "-c", script]).output().unwrap();
    let library = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    let files = sources(&library, &["py"], u64::MAX);
    let (files, nodes) = compare(&python, Language::Python, &files);
    println!("python: {files} files, {nodes} nodes equal");
    assert!(files > 500 && nodes > 1_000_000, "a whole standard library: {files} files, {nodes} nodes");
}

/// Cargo's registry holds Rust, C, C++, JavaScript and some Go; no Java, no TypeScript.
#[test]
fn sources_in_the_registry() {
    let python = interpreter();
    let home = std::env::home_dir().unwrap().join(".cargo");
    let registry = std::env::var_os("CARGO_HOME").map_or(home, PathBuf::from).join("registry/src");
    let corpora: [(Language, &[&str]); 5] = [
        (Language::Rust, &["rs"]),
        (Language::C, &["c", "h"]),
        (Language::Cpp, &["cc", "cpp", "hpp"]),
        (Language::JavaScript, &["js", "mjs"]),
        (Language::Go, &["go"]),
    ];
    for (language, extensions) in corpora {
        let files = sources(&registry, extensions, 3 << 20);
        if files.is_empty() {
            println!("{}: no sources in the registry, not compared", language.name());
            continue;
        }
        let (files, nodes) = compare(&python, language, &files);
        println!("{}: {files} files, {nodes} nodes equal", language.name());
    }
}

/// One text with idioms, errors, missing tokens, bytes that are no UTF-8 and NUL, in every grammar: each reads it as
/// best it can, and both sides must come to the same tree.
#[test]
fn any_text_in_every_grammar() {
    let python = interpreter();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ts_oracle");
    std::fs::create_dir_all(&directory).unwrap();
    let texts: [&[u8]; 6] = [
        b"",
        b"\xef\xbb\xbfclass A<T> extends B { int f(int x) { return g(x, 1); } }\r\n",
        b"interface I { a: string; m(): void }\nenum E { A, B = 2 }\nexport const f = async (x) => <div a={1}>{x}</div>;\n",
        b"func (r *T) M() { if x := f(); x != nil { go func() {}() } }\n/** doc */ package a.b; @A class C {}\n",
        b"def f(:\n  return \xff\xfe 'caf\xc3\xa9' \x00 { ( [ \n#define X(a) a\nint a[3] = {1, 2;\n",
        b"fn main() { let x = |y| y + 1; println!(\"{}\", x(2)) \ntemplate <class T> struct S { T t; }; import x.y.*;\n",
    ];
    let files: Vec<PathBuf> = (0..texts.len()).map(|n| directory.join(format!("{n}.txt"))).collect();
    for (path, text) in files.iter().zip(texts) {
        std::fs::write(path, text).unwrap();
    }
    for language in [
        Language::Python,
        Language::Rust,
        Language::JavaScript,
        Language::TypeScript,
        Language::Tsx,
        Language::Go,
        Language::Java,
        Language::C,
        Language::Cpp,
    ] {
        let (files, nodes) = compare(&python, language, &files);
        println!("{}: {files} texts, {nodes} nodes equal", language.name());
    }
}
