//! The `symtable_*` tables against CPython's own `symtable`, row for row, over a whole standard library and over sources
//! with errors; and the scopes that names resolve to against the compiled code.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod cpython;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cpython::{Python, all, corpus};
use lode_facts::extract::Extractor;
use lode_facts::lane::LaneId;
use lode_facts::options::{Limits, Options};
use lode_facts::python::Version;
use printed::{Table, Tables};

mod golden;
mod printed;

fn options(version: Version) -> Options {
    Options { python_version: version, ..Options::default() }
}

/// Rows of a table as the oracle prints them, without letter.
fn rows(tables: &Tables, name: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let lines = printed::lines(tables, ("", name, columns), "");
    lines.iter().map(|line| line.split('\t').skip(1).map(str::to_owned).collect()).collect()
}

/// The tables the oracle prints: letter, name, columns.
const TABLES: [Table<'_>; 5] = [
    (
        "S",
        "symtable_scopes",
        &[
            "parent_ordinal",
            "child_index",
            "block_type",
            "scope_type_value",
            "name",
            "lineno",
            "is_optimized",
            "is_nested",
            "has_children",
            "symbol_count",
        ],
    ),
    (
        "Y",
        "symtable_symbols",
        &[
            "scope_ordinal",
            "name",
            "scope",
            "is_referenced",
            "is_imported",
            "is_parameter",
            "is_global",
            "is_nonlocal",
            "is_declared_global",
            "is_local",
            "is_annotated",
            "is_free",
            "is_assigned",
            "is_namespace",
            "is_type_parameter",
            "is_free_class",
            "is_comp_iter",
            "is_comp_cell",
            "namespace_count",
        ],
    ),
    ("N", "symtable_namespace_edges", &["symbol_ordinal", "scope_ordinal", "namespace_ordinal", "namespace_index"]),
    ("P", "symtable_function_partitions", &["scope_ordinal", "partition", "symbol_ordinal", "name", "position"]),
    ("M", "symtable_class_methods", &["scope_ordinal", "name", "position"]),
];

#[derive(Default)]
struct Tally {
    files: usize,
    bytes: usize,
    refused: BTreeMap<String, usize>,
    rows: BTreeMap<String, usize>,
    /// Files that differ where the interpreter has a bug that later patches of its version have not.
    left_out: Vec<String>,
    differences: Vec<String>,
}

impl Tally {
    fn differ(&mut self, path: &str, expected: impl Into<String>, found: impl Into<String>) {
        let (expected, found) = (expected.into(), found.into());
        self.differences.push(format!("{path}\n  CPython: {expected}\n  Lode:    {found}"));
    }

    fn file(&mut self, extractor: &mut Extractor, path: &str, oracle: &[String], version: Version) {
        let content = std::fs::read(path).unwrap();
        self.files += 1;
        self.bytes += content.len();
        let tables = printed::tables(printed::extract(extractor, LaneId::Symtable, "f.py", &content, &[]));
        let columns = ["stage", "error_type", "lineno", "col_offset", "end_lineno", "end_col_offset", "message"];
        let found = rows(&tables, "symtable_errors", &columns).pop();
        if let Some(error) = oracle.first().filter(|line| line.starts_with("E\t")) {
            let expected: Vec<&str> = error.split('\t').skip(1).collect();
            self.error(path, &expected, found, version);
            return;
        }
        if let Some(found) = found {
            self.differ(path, "accepted", found.join("\t"));
            return;
        }
        let before = self.differences.len();
        for (letter, name, columns) in TABLES {
            let expected: Vec<&str> =
                oracle.iter().filter_map(|line| line.strip_prefix(letter)?.strip_prefix('\t')).collect();
            let found: Vec<String> = rows(&tables, name, columns).iter().map(|row| row.join("\t")).collect();
            *self.rows.entry(name.into()).or_default() += expected.len();
            let mut pairs = expected.iter().zip(&found).enumerate();
            if let Some((row, (expected, found))) = pairs.find(|(_, (expected, found))| expected != found) {
                self.differ(path, format!("{letter} {row} {expected}"), found);
            }
            if expected.len() != found.len() {
                self.differ(path, format!("{} rows of {name}", expected.len()), format!("{} rows", found.len()));
            }
        }
        let compiled = oracle.iter().filter_map(|line| line.strip_prefix("B\t"));
        self.resolutions(path, &tables, compiled.map(|line| line.split('\t').collect()).collect());
        if oracle.iter().any(|line| line == "X") && self.differences.len() > before {
            self.differences.truncate(before);
            self.left_out.push(path.into());
        }
    }

    /// The stage is the same; of an error of the symbol table, so are type, message and place.
    fn error(&mut self, path: &str, expected: &[&str], found: Option<Vec<String>>, version: Version) {
        *self.refused.entry(expected[0].into()).or_default() += 1;
        let Some(found) = found else {
            // Which files parse is for the `ast_*` tables to hold.
            if expected[0] == "symtable" {
                self.differ(path, expected.join("\t"), "accepted");
            }
            return;
        };
        if expected[0] == "parse" || found[0] == "parse" {
            return;
        }
        let number = |text: &str| text.parse::<i32>().ok();
        // Columns count from 1. Before 3.10 some are one too small, and no end is told.
        let column = number(&found[3]).map(|column| column + 1);
        let same_column = number(expected[3]) == column
            || version < Version::Py310 && number(expected[3]) == column.map(|c| c - 1)
            || expected[6].contains("future");
        let same_end = expected[5] == "\\N"
            || expected[4] == found[4] && number(expected[5]) == number(&found[5]).map(|column| column + 1);
        if expected[1] != found[1] || expected[2] != found[2] || expected[6] != found[6] || !same_column || !same_end {
            self.differ(path, expected.join("\t"), found.join("\t"));
        }
    }

    /// Instructions say how a name is found, and which code holds its cell.
    fn resolutions(&mut self, path: &str, tables: &Tables, compiled: Vec<Vec<&str>>) {
        let columns = [
            "lineno",
            "col_offset",
            "end_col_offset",
            "access",
            "scope_ordinal",
            "symbol_ordinal",
            "resolution",
            "binding_scope_ordinal",
            "in_comprehension",
        ];
        let resolutions = rows(tables, "symtable_resolutions", &columns);
        let symbols = rows(tables, "symtable_symbols", &["name", "is_comp_iter"]);
        let scopes = rows(tables, "symtable_scopes", &["name", "block_type"]);
        let by_place: HashMap<[&str; 3], &Vec<String>> =
            resolutions.iter().map(|row| ([&row[0], &row[1], &row[2]].map(String::as_str), row)).collect();
        for instruction in compiled {
            let [lineno, column, end_lineno, end_column, verb, name, kind, binder] = instruction[..] else {
                panic!("{instruction:?}")
            };
            let Some(row) = by_place.get(&[lineno, column, end_column]).filter(|_| lineno == end_lineno) else {
                continue;
            };
            // An `except` clause deletes its name where it ends.
            if row[3] != verb || row[5] == "\\N" || symbols[row[5].parse::<usize>().unwrap()][0] != name {
                continue;
            }
            *self.rows.entry("symtable_resolutions".into()).or_default() += 1;
            let scope_of = |row: &str| &scopes[row.parse::<usize>().unwrap()];
            let function = !matches!(scope_of(&row[4])[1].as_str(), "module" | "class");
            let same = match (kind, row[6].as_str()) {
                ("FAST", "LOCAL") => function || row[8] == "true",
                ("NAME", "LOCAL") => !function,
                ("NAME", "GLOBAL_IMPLICIT") => !function,
                ("GLOBAL", "GLOBAL_IMPLICIT" | "GLOBAL_EXPLICIT") => true,
                ("DEREF", "CELL" | "FREE") => {
                    row[7] != "\\N" && {
                        let holder = scope_of(&row[7]);
                        let holder = match holder[1].as_str() {
                            "module" => "<module>".into(),
                            "type parameter" | "type parameters" => format!("<generic parameters of {}>", holder[0]),
                            _ if matches!(
                                holder[0].as_str(),
                                "lambda" | "genexpr" | "listcomp" | "setcomp" | "dictcomp"
                            ) =>
                            {
                                format!("<{}>", holder[0])
                            }
                            _ => holder[0].clone(),
                        };
                        holder == binder
                    }
                }
                _ => false,
            };
            // Where an inlined comprehension brings a variable into a function that has the name from elsewhere too,
            // CPython's code can take the one for the other.
            let iterates = |symbol: &Vec<String>| symbol[0] == name && symbol[1] == "true";
            if !same && symbols.iter().any(iterates) && matches!(kind, "DEREF" | "FAST") {
                *self.rows.entry("resolutions that CPython confuses".into()).or_default() += 1;
            } else if !same {
                let holder = if row[7] == "\\N" { "" } else { &scope_of(&row[7])[0] };
                self.differ(path, format!("B {}", instruction.join(" ")), format!("{row:?} {holder}"));
            }
        }
    }

    /// What was compared, for people.
    fn report(&self, python: &Python) -> String {
        let mut text = String::new();
        write!(text, "{} {}: {} files", python.program.display(), python.release, self.files).unwrap();
        write!(text, ", {} bytes, refused {:?}", self.bytes, self.refused).unwrap();
        write!(text, ", rows compared {:?}, left out {:?}", self.rows, self.left_out).unwrap();
        text
    }

    fn judge(&self) {
        let shown = self.differences.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
        assert!(self.differences.is_empty(), "{} differences:\n{shown}", self.differences.len());
        // The bug is rare: what is common is none.
        assert!(self.left_out.len() * 1000 <= self.files, "left out {:?}", self.left_out);
    }
}

/// Runs the oracle, in a folder where one is given.
fn oracle(python: &Path, arguments: &[&str], folder: Option<&Path>) -> Child {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/symtable_oracle.py");
    let mut command = Command::new(python);
    command.args(["-I", "-X", "utf8", script]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    folder.map(|folder| command.current_dir(folder));
    command.spawn().expect("an interpreter that answered before runs again")
}

/// Holds Lode against what an interpreter prints with these arguments.
fn compare(python: &Python, arguments: &[&str]) -> Tally {
    let mut child = oracle(&python.program, arguments, None);
    let tally = compare_printed(BufReader::new(child.stdout.take().unwrap()), python.version, Path::new(""));
    assert!(child.wait().unwrap().success(), "the oracle failed");
    tally
}

/// Holds Lode against what an interpreter printed of files below a folder.
fn compare_printed(mut lines: impl BufRead, version: Version, root: &Path) -> Tally {
    let mut extractor = Extractor::new(&options(version), &Limits::default());
    let mut tally = Tally::default();
    let mut oracle: Vec<String> = vec![];
    let mut path: Option<String> = None;
    let mut line = vec![];
    let place = |path: &str| root.join(path).to_str().unwrap().to_owned();
    while lines.read_until(b'\n', &mut line).unwrap() > 0 {
        let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
        line.clear();
        if let Some(next) = text.strip_prefix('@') {
            if let Some(path) = path.replace(next.to_owned()) {
                tally.file(&mut extractor, &place(&path), &oracle, version);
            }
            oracle.clear();
        } else if !text.starts_with('!') {
            oracle.push(text);
        }
    }
    tally.file(&mut extractor, &place(&path.expect("there are files")), &oracle, version);
    tally
}

#[test]
fn golden_files_equal_cpython() {
    if golden::is_written() {
        for python in Python::chosen() {
            let output = oracle(&python.program, &["."], Some(&golden::sources())).wait_with_output().unwrap();
            assert!(output.status.success(), "the oracle failed");
            golden::write("symtable", &python.release, &output.stdout);
        }
    }
    for (version, printed) in golden::read("symtable") {
        let minor = version.rsplit_once('.').unwrap().0.parse().unwrap();
        let tally = compare_printed(&*printed, minor, &golden::sources());
        println!("golden file of {version}: {} files, rows compared {:?}", tally.files, tally.rows);
        tally.judge();
        assert!(tally.files > 10 && tally.refused["symtable"] > 5, "{version}: {} files", tally.files);
    }
}

#[test]
fn the_standard_library_equals_cpython() {
    for python in Python::chosen() {
        let tally = compare(&python, &[]);
        println!("standard library: {}", tally.report(&python));
        tally.judge();
        assert!(tally.files > 500, "{} files are no standard library", tally.files);
    }
}

#[test]
fn packages_equal_cpython() {
    let Some(corpus) = corpus::named() else { return };
    for python in Python::chosen() {
        let tally = compare(&python, &[corpus.to_str().unwrap()]);
        println!("packages: {}", tally.report(&python));
        tally.judge();
        assert!(tally.files >= corpus::least(), "{} files are too few", tally.files);
    }
}

#[test]
fn sources_with_errors_equal_cpython() {
    for python in Python::chosen() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("symtable-{}", python.version));
        std::fs::create_dir_all(&folder).unwrap();
        let count = std::env::var("LODE_MUTANTS").unwrap_or_else(|_| if all() { "3000" } else { "500" }.into());
        let seed = std::env::var("LODE_SEED").unwrap_or_else(|_| "1".into());
        let tally = compare(&python, &["mutants", &count, &seed, folder.to_str().unwrap()]);
        println!("sources with errors: {}", tally.report(&python));
        tally.judge();
        let refused = tally.refused.get("symtable").copied().unwrap_or_default();
        assert!(refused * 5 > tally.files, "{refused} of {} files are refused for their names", tally.files);
    }
}
