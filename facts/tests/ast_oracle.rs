//! The `ast_*` tables against CPython's own `ast`, row for row, over a whole standard library.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type};
use lode_facts::extract::{Extractor, FileRequest, LaneRequest};
use lode_facts::file::{FileKind, FileMeta};
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

/// The interpreter to hold the facts against: `LODE_PYTHON`, else the first of the usual names that runs.
fn interpreter() -> (String, (u32, u32)) {
    let named = std::env::var("LODE_PYTHON").ok();
    let names = named.map_or_else(|| vec!["python3.13".into(), "python3".into()], |name| vec![name]);
    for name in &names {
        let script = "import sys; print(*sys.version_info[:2])";
        let Ok(output) = Command::new(name).args(["-I", "-c", script]).output() else { continue };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut numbers = text.split_whitespace().filter_map(|n| n.parse().ok());
        if let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) {
            return (name.clone(), (major, minor));
        }
    }
    panic!("no Python among {names:?}: set LODE_PYTHON to an interpreter, 3.13 for the whole comparison");
}

fn extract(extractor: &mut Extractor, content: &[u8]) -> BTreeMap<&'static str, RecordBatch> {
    let meta = FileMeta {
        repo: "r".into(),
        path: "f.py".into(),
        path_bytes: None,
        file_id: 1,
        kind: FileKind::File,
        size: content.len() as i64,
        sha256: None,
        mode: 0o100_644,
        git_blob: None,
        tracked: None,
        language: Some(Language::Python),
        included: true,
        rule: "default".into(),
    };
    let datasets = LaneId::Ast.datasets().map(|d| d.name.to_owned()).collect();
    extractor.extract(&FileRequest { meta, lanes: vec![LaneRequest { lane: LaneId::Ast, datasets }] }, Some(content));
    let output = extractor.finish().unwrap();
    output.tables.into_iter().map(|(dataset, batch)| (dataset.name, batch)).collect()
}

fn push_value(line: &mut String, array: &ArrayRef, row: usize) {
    line.push('\t');
    if array.is_null(row) {
        line.push_str("\\N");
        return;
    }
    match array.data_type() {
        DataType::Int32 => write!(line, "{}", array.as_primitive::<Int32Type>().value(row)).unwrap(),
        DataType::Boolean => write!(line, "{}", array.as_boolean().value(row)).unwrap(),
        _ => {
            for c in array.as_string::<i32>().value(row).chars() {
                match c {
                    '\\' => line.push_str("\\\\"),
                    '\t' => line.push_str("\\t"),
                    '\n' => line.push_str("\\n"),
                    '\r' => line.push_str("\\r"),
                    c => line.push(c),
                }
            }
        }
    }
}

fn lines(tables: &BTreeMap<&str, RecordBatch>, name: &str, letter: &str, columns: &[&str]) -> Vec<String> {
    let Some(batch) = tables.get(name) else { return vec![] };
    let arrays: Vec<ArrayRef> = columns
        .iter()
        .map(|column| {
            let array = batch.column_by_name(column).unwrap();
            match array.data_type() {
                DataType::Dictionary(..) => arrow::compute::cast(array, &DataType::Utf8).unwrap(),
                _ => array.clone(),
            }
        })
        .collect();
    let line = |row| {
        let mut line = letter.to_owned();
        arrays.iter().for_each(|array| push_value(&mut line, array, row));
        line
    };
    (0..batch.num_rows()).map(line).collect()
}

const SPAN: [&str; 4] = ["lineno", "col_offset", "end_lineno", "end_col_offset"];

/// The tables the oracle prints: letter, name, columns before the span.
const TABLES: [(&str, &str, &[&str]); 5] = [
    ("N", "ast_nodes", &["parent_ordinal", "kind", "field", "field_index", "name", "value", "value_type", "ctx", "op"]),
    ("D", "ast_docstrings", &["owner_ordinal", "owner_kind", "owner_name", "docstring"]),
    (
        "I",
        "ast_imports",
        &["node_ordinal", "parent_ordinal", "kind", "module", "name", "asname", "alias_index", "level"],
    ),
    (
        "F",
        "ast_defs",
        &[
            "node_ordinal",
            "parent_ordinal",
            "kind",
            "name",
            "decorator_count",
            "arg_count",
            "posonly_count",
            "kwonly_count",
            "has_vararg",
            "has_kwarg",
            "base_count",
            "keyword_count",
            "type_params_count",
        ],
    ),
    (
        "C",
        "ast_calls",
        &[
            "node_ordinal",
            "parent_ordinal",
            "func_kind",
            "func_name",
            "arg_count",
            "keyword_count",
            "starred_count",
            "kw_star_count",
        ],
    ),
];

/// The nodes outside f-strings by ordinal, each with its rank among them. What lies in f-strings changed with 3.12
/// (positions) and 3.13 (empty constants of format specifications).
fn ranks_outside_f_strings(nodes: &[String]) -> Vec<Option<usize>> {
    let mut ranks: Vec<Option<usize>> = vec![];
    let mut outside = 0;
    for line in nodes {
        let mut fields = line.split('\t').skip(1);
        let parent = fields.next().and_then(|parent| parent.parse::<usize>().ok());
        let inside = fields.next() == Some("JoinedStr") || parent.is_some_and(|parent| ranks[parent].is_none());
        ranks.push((!inside).then_some(outside));
        outside += usize::from(!inside);
    }
    ranks
}

/// Leaves out the rows of nodes in f-strings and renumbers the others.
fn outside_f_strings(rows: Vec<String>, letter: &str, ranks: &[Option<usize>]) -> Vec<String> {
    let ordinals = if matches!(letter, "N" | "D") { 1 } else { 2 };
    let renumbered = |(index, line): (usize, String)| {
        let mut fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
        if letter == "N" {
            ranks[index]?;
        }
        for field in &mut fields[1..=ordinals] {
            if let Ok(ordinal) = field.parse::<usize>() {
                *field = ranks[ordinal]?.to_string();
            }
        }
        Some(fields.join("\t"))
    };
    rows.into_iter().enumerate().filter_map(renumbered).collect()
}

#[derive(Default)]
struct Tally {
    files: usize,
    refused: usize,
    bytes: usize,
    rows: BTreeMap<String, usize>,
    differences: Vec<String>,
}

impl Tally {
    fn differ(&mut self, path: &str, expected: &str, found: &str) {
        self.differences.push(format!("{path}\n  CPython: {expected}\n  Lode:    {found}"));
    }

    fn file(&mut self, extractor: &mut Extractor, path: &str, oracle: &[String], whole: bool) {
        let content = std::fs::read(path).unwrap();
        self.files += 1;
        self.bytes += content.len();
        let tables = extract(extractor, &content);
        if oracle.first().is_some_and(|line| line.starts_with("E\t")) {
            self.refused += 1;
            if !tables.contains_key("ast_errors") || tables.len() > 1 {
                self.differ(path, &oracle[0], "accepted");
            }
            return;
        }
        if tables.contains_key("ast_errors") {
            let columns = ["error_type", "message", "lineno"];
            self.differ(path, "accepted", &lines(&tables, "ast_errors", "E", &columns)[0]);
            return;
        }
        let (mut expected_ranks, mut found_ranks) = (vec![], vec![]);
        for (letter, name, columns) in TABLES {
            let is_of_table = |line: &&String| line.split('\t').next() == Some(letter);
            let mut expected: Vec<String> = oracle.iter().filter(is_of_table).cloned().collect();
            let columns: Vec<&str> = columns.iter().copied().chain(SPAN).collect();
            let mut found = lines(&tables, name, letter, &columns);
            if !whole {
                if letter == "N" {
                    (expected_ranks, found_ranks) =
                        (ranks_outside_f_strings(&expected), ranks_outside_f_strings(&found));
                }
                expected = outside_f_strings(expected, letter, &expected_ranks);
                found = outside_f_strings(found, letter, &found_ranks);
            }
            *self.rows.entry(name.into()).or_default() += expected.len();
            if expected.len() != found.len() {
                let message = |n: usize| format!("{n} rows of {name}");
                self.differ(path, &message(expected.len()), &message(found.len()));
                continue;
            }
            for (expected, found) in expected.iter().zip(&found).filter(|(e, f)| e != f) {
                self.differ(path, expected, found);
            }
        }
        let expected: Vec<&String> = oracle.iter().filter(|line| line.starts_with("T\t")).collect();
        let found = lines(&tables, "ast_type_ignores", "T", &["lineno", "tag"]);
        // With type comments on, CPython refuses files that have one in the wrong place.
        if expected.first().is_none_or(|line| *line != "T\t?") {
            *self.rows.entry("ast_type_ignores".into()).or_default() += expected.len();
            if expected.iter().map(|line| line.as_str()).ne(found.iter().map(String::as_str)) {
                self.differ(path, &format!("{expected:?}"), &format!("{found:?}"));
            }
        }
    }
}

#[test]
fn the_standard_library_equals_cpython() {
    let (python, version) = interpreter();
    let whole = version >= (3, 13);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ast_oracle.py");
    let mut child = Command::new(&python)
        .args(["-I", "-X", "utf8", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("an interpreter that answered before runs again");
    let mut extractor = Extractor::new(&Options::default(), &Limits::default());
    let mut tally = Tally::default();
    let mut oracle: Vec<String> = vec![];
    let mut path: Option<String> = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if let Some(next) = line.strip_prefix('@') {
            if let Some(path) = path.replace(next.to_owned()) {
                tally.file(&mut extractor, &path, &oracle, whole);
            }
            oracle.clear();
        } else if !line.starts_with('!') {
            oracle.push(line);
        }
    }
    assert!(child.wait().unwrap().success(), "the oracle failed");
    tally.file(&mut extractor, &path.expect("a standard library has files"), &oracle, whole);
    println!(
        "{python} {}.{}{}: {} files ({} refused by both), {} bytes, rows compared {:?}",
        version.0,
        version.1,
        if whole { "" } else { " (f-strings left out: their nodes are those of 3.13)" },
        tally.files,
        tally.refused,
        tally.bytes,
        tally.rows,
    );
    assert!(tally.files > 500, "{} files are no standard library", tally.files);
    let shown = tally.differences.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(tally.differences.is_empty(), "{} differences:\n{shown}", tally.differences.len());
}
