//! Lode's rows of a file against an oracle's.

use std::collections::BTreeMap;

use lode_facts::extract::Extractor;
use lode_facts::lane::LaneId;
use lode_facts::options::{Limits, Options};
use lode_facts::python::Version;

use crate::printed::{Table, Tables, extract, lines, tables};

const SPAN: [&str; 4] = ["lineno", "col_offset", "end_lineno", "end_col_offset"];

/// The tables the oracle prints: letter, name, columns before the span.
const TABLES: [Table<'_>; 5] = [
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

/// A table's rows; it has no lists.
fn rows(tables: &Tables, table: Table<'_>) -> Vec<String> {
    lines(tables, table, "")
}

/// What was compared, and what differs.
pub struct Tally {
    extractor: Extractor,
    pub files: usize,
    pub bytes: usize,
    pub rows: BTreeMap<&'static str, usize>,
    pub differences: Vec<String>,
    /// Files that both refuse, and for how many of them the exception, the line, its column and the message agree.
    pub refusals: Refusals,
    /// Refusals that differ, each with its file.
    pub other_refusals: Vec<String>,
}

/// Refused files: all of them, and those where more and more is the same.
#[derive(Debug, Default, Clone, Copy)]
pub struct Refusals {
    pub files: usize,
    pub same_type: usize,
    pub same_line: usize,
    pub same_column: usize,
    pub same_message: usize,
}

impl Tally {
    pub fn new(version: Version) -> Self {
        let options = Options { python_version: version, max_docstring_bytes: usize::MAX, ..Options::default() };
        Self {
            extractor: Extractor::new(&options, &Limits::default()),
            files: 0,
            bytes: 0,
            rows: BTreeMap::new(),
            differences: vec![],
            refusals: Refusals::default(),
            other_refusals: vec![],
        }
    }

    fn differ(&mut self, name: &str, expected: &str, found: &str) {
        self.differences.push(format!("{name}\n  CPython: {expected}\n  Lode:    {found}"));
    }

    /// Compares one file. Before 3.11 only whether it is accepted: positions of that time are not Lode's.
    pub fn file(&mut self, version: Version, name: &str, content: &[u8], oracle: &[String]) {
        self.files += 1;
        self.bytes += content.len();
        let tables = tables(extract(&mut self.extractor, LaneId::Ast, "f.py", content, &[]));
        let error = rows(&tables, ("E", "ast_errors", &["error_type", "lineno", "col_offset", "message"])).pop();
        let refused = oracle.first().filter(|line| line.starts_with("E\t"));
        match (refused, error) {
            (Some(expected), Some(found)) => self.refusal(name, content, expected, &found),
            (Some(expected), None) => self.differ(name, expected, "accepted"),
            (None, Some(found)) => self.differ(name, "accepted", &found),
            (None, None) if version >= Version::Py311 => self.accepted(name, &tables, oracle),
            (None, None) => {}
        }
    }

    fn refusal(&mut self, name: &str, content: &[u8], expected: &str, found: &str) {
        self.refusals.files += 1;
        // CPython gives no place to what it refuses before it reads.
        let placeless = matches!(expected.split('\t').nth(2), Some("None" | "0"));
        // The oracle's other reading of the column.
        let in_bytes = expected.split('\t').nth(5);
        let fields = expected.split('\t').zip(found.split('\t')).enumerate().skip(1);
        let same = fields
            .take_while(|(at, (e, f))| {
                e == f || (placeless && (2..4).contains(at)) || (*at == 3 && in_bytes == Some(f))
            })
            .count();
        self.refusals.same_type += usize::from(same >= 1);
        self.refusals.same_line += usize::from(same >= 2);
        self.refusals.same_column += usize::from(same >= 3);
        self.refusals.same_message += usize::from(same >= 4);
        if same < 4 {
            let line = expected.split('\t').nth(2).and_then(|line| line.parse::<usize>().ok()?.checked_sub(1));
            let line = line.and_then(|line| content.split(|byte| *byte == b'\n').nth(line)).unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            self.other_refusals.push(format!("{same}\t{name}\n  CPython: {expected}\n  Lode:    {found}\n  {line}"));
        }
    }

    fn accepted(&mut self, name: &str, tables: &Tables, oracle: &[String]) {
        for (letter, table, columns) in TABLES {
            let expected = oracle.iter().filter(|line| line.split('\t').next() == Some(letter));
            let expected: Vec<&String> = expected.collect();
            let columns: Vec<&str> = columns.iter().copied().chain(SPAN).collect();
            let found = rows(tables, (letter, table, &columns));
            *self.rows.entry(table).or_default() += expected.len();
            if expected.len() != found.len() {
                let message = |n: usize| format!("{n} rows of {table}");
                self.differ(name, &message(expected.len()), &message(found.len()));
            }
            for (expected, found) in expected.iter().zip(&found).filter(|(e, f)| **e != *f).take(5) {
                self.differ(name, expected, found);
            }
        }
        let expected: Vec<&String> = oracle.iter().filter(|line| line.starts_with("T\t")).collect();
        let found = rows(tables, ("T", "ast_type_ignores", &["lineno", "tag"]));
        // With type comments on, CPython refuses files that have one in the wrong place.
        if expected.first().is_none_or(|line| *line != "T\t?") {
            *self.rows.entry("ast_type_ignores").or_default() += expected.len();
            if expected.iter().map(|line| line.as_str()).ne(found.iter().map(String::as_str)) {
                self.differ(name, &format!("{expected:?}"), &format!("{found:?}"));
            }
        }
    }
}
