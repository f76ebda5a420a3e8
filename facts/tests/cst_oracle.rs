//! The `cst_*` tables against LibCST's own metadata providers, row for row, over files drawn by a seed from a standard
//! library and two packages; with `LODE_ORACLES=all` over five whole packages.
//!
//! LibCST does a few files a second, so what it says of a file is kept below the target directory, keyed by its version
//! and the file.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lode_facts::extract::Extractor;
use lode_facts::hash::stable_hash;
use lode_facts::lane::LaneId;
use lode_facts::options::{Limits, Options};
use printed::{Table, Tables};

mod golden;
mod packages;
mod printed;
#[path = "../../tests/oracles/venv.rs"]
mod venv;

const SCRIPT: &str = include_str!("cst_oracle.py");
const SEED: u64 = 4;
/// Share of rows that must be equal over whole packages; what differs is explained in `docs/CST.md`. In the sample all
/// are equal.
const REQUIRED: f64 = 0.999;

/// Tests of the standard library that use the language up, on top of the sample.
const SYNTAX: [&str; 10] = [
    "test_coroutines.py",
    "test_decorators.py",
    "test_genexps.py",
    "test_grammar.py",
    "test_named_expressions.py",
    "test_patma.py",
    "test_positional_only_arg.py",
    "test_scope.py",
    "test_type_params.py",
    "test_with.py",
];

/// `LODE_ORACLE_PYTHON`, an interpreter that has the packages, else the environment of the oracles.
fn interpreter() -> PathBuf {
    std::env::var_os("LODE_ORACLE_PYTHON").map_or_else(|| venv::python(env!("CARGO_TARGET_TMPDIR")), PathBuf::from)
}

fn output(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?} failed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// One file of the comparison.
struct File {
    path: PathBuf,
    /// Path below the root from which modules are named.
    relative: String,
    content: Vec<u8>,
}

/// All Python files below a directory, in an order that the seed decides.
fn files(root: &Path) -> Vec<File> {
    let mut found = vec![];
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                if entry.file_name() != "site-packages" {
                    todo.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "py") {
                let relative = path.strip_prefix(root.parent().unwrap()).unwrap().to_str().unwrap().to_owned();
                found.push(File { content: std::fs::read(&path).unwrap(), relative, path });
            }
        }
    }
    found.sort_by_key(|file| stable_hash(format!("{SEED} {}", file.relative).as_bytes()));
    found
}

/// Files up to a size, until there are `budget` bytes.
fn sample(root: &Path, budget: usize) -> Vec<File> {
    const LARGEST: usize = 80_000;
    let mut total = 0;
    let files = files(root).into_iter().filter(|file| file.content.len() < LARGEST);
    let within = |file: &File| {
        total += file.content.len();
        total <= budget
    };
    files.take_while(within).collect()
}

/// Sources that put brackets, comments, whitespace and scopes where few programs do.
fn shapes() -> Vec<File> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cst-shapes");
    std::fs::create_dir_all(&directory).unwrap();
    let shapes = include_str!("cst_shapes.txt").split("#### ").skip(1).map(|shape| shape.split_once('\n').unwrap());
    let crlf = shapes.clone().map(|(name, text)| (format!("{name}_crlf"), text.replace('\n', "\r\n")));
    let all = shapes.map(|(name, text)| (name.to_owned(), text.to_owned())).chain(crlf);
    let file = |(name, text): (String, String)| {
        let path = directory.join(&name).with_extension("py");
        std::fs::write(&path, &text).unwrap();
        File { path, relative: format!("deep/er/{name}.py"), content: text.into_bytes() }
    };
    all.map(file).collect()
}

/// Whether five whole packages are compared.
fn whole() -> bool {
    std::env::var("LODE_ORACLES").as_deref() == Ok("all")
}

fn corpus(python: &Path) -> Vec<File> {
    let directory = |code: &str| PathBuf::from(output(Command::new(python).args(["-I", "-c", code])));
    if !whole() {
        let packages = directory("import sysconfig; print(sysconfig.get_path('purelib'))");
        let library = directory("import os; print(os.path.dirname(os.__file__))");
        let mut corpus = sample(&library, 700_000);
        let drawn: Vec<PathBuf> = corpus.iter().map(|file| file.path.clone()).collect();
        let of_syntax = |file: &File| SYNTAX.iter().any(|name| file.path == library.join("test").join(name));
        corpus.extend(files(&library).into_iter().filter(|file| of_syntax(file) && !drawn.contains(&file.path)));
        corpus.extend(shapes());
        corpus.extend(sample(&packages.join("polars"), 450_000));
        corpus.extend(sample(&packages.join("libcst"), 250_000));
        return corpus;
    }
    packages::folders(python).iter().flat_map(|folder| files(folder)).collect()
}

/// Version of LibCST, and of the Python that runs it.
fn version(python: &Path) -> String {
    let script =
        "import sys; from importlib.metadata import version; print(version('libcst'), *sys.version_info[:2], sep='-')";
    output(Command::new(python).args(["-I", "-c", script]))
}

/// What LibCST says of each of some files: rows after a line `@path`.
fn ask(python: &Path, files: &[&File]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cst_oracle.py");
    let mut child = Command::new(python)
        .args(["-I", "-X", "utf8", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for file in files {
        writeln!(input, "{}\t{}", file.path.display(), file.relative).unwrap();
    }
    drop(input);
    let answer = child.wait_with_output().unwrap();
    assert!(answer.status.success(), "the oracle failed");
    String::from_utf8(answer.stdout).unwrap()
}

/// What LibCST says of files, by path; asked only for those it has not been asked for. With `LODE_ORACLE_CACHED` it is
/// not asked at all, and the other files are left out: what a run that was stopped came to.
fn oracle(python: &Path, files: &[File]) -> HashMap<PathBuf, Vec<String>> {
    let key = format!("{}-{:x}", version(python), stable_hash(SCRIPT.as_bytes()));
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cst-oracle").join(key);
    std::fs::create_dir_all(&cache).unwrap();
    let place = |file: &File| {
        let content = stable_hash(&file.content);
        cache.join(format!("{content:016x}-{:016x}", stable_hash(file.relative.as_bytes())))
    };
    let missing: Vec<&File> = files.iter().filter(|file| !place(file).exists()).collect();
    let only_cached = std::env::var_os("LODE_ORACLE_CACHED").is_some();
    for chunk in missing.chunks(20).take_while(|_| !only_cached) {
        let answer = format!("\n{}", ask(python, chunk));
        let mut answers = answer.split("\n@/").skip(1);
        for file in chunk {
            let answer = answers.next().unwrap_or_else(|| panic!("no answer for {}", file.path.display()));
            let (path, rows) = answer.split_once('\n').unwrap();
            assert_eq!(Path::new("/").join(path), file.path);
            std::fs::write(place(file), rows).unwrap();
        }
    }
    let rows = |file: &File| Some(std::fs::read_to_string(place(file)).ok()?.lines().map(str::to_owned).collect());
    files.iter().filter_map(|file| Some((file.path.clone(), rows(file)?))).collect()
}

fn extract(extractor: &mut Extractor, file: &File) -> Tables {
    printed::tables(printed::extract(extractor, LaneId::Cst, &file.relative, &file.content, &[]))
}

fn rows(tables: &Tables, table: Table<'_>) -> Vec<String> {
    printed::lines(tables, table, "|")
}

/// The tables the oracle prints: letter, name, columns.
const TABLES: [Table<'_>; 11] = [
    (
        "N",
        "cst_nodes",
        &["parent_ordinal", "kind", "slot", "slot_index", "bstart", "bend", "owned_bstart", "owned_bend"],
    ),
    (
        "M",
        "cst_parse_manifest",
        &[
            "encoding",
            "default_indent",
            "default_newline",
            "has_trailing_newline",
            "future_imports",
            "module_name",
            "package_name",
        ],
    ),
    (
        "R",
        "cst_refs",
        &[
            "ref_kind",
            "ref_text",
            "expr_ctx",
            "scope_type",
            "scope_name",
            "parent_kind",
            "qnames",
            "qname_sources",
            "bstart",
            "bend",
        ],
    ),
    (
        "I",
        "cst_imports",
        &[
            "kind",
            "module",
            "relative_level",
            "name",
            "asname",
            "is_star",
            "stmt_bstart",
            "stmt_bend",
            "alias_bstart",
            "alias_bend",
        ],
    ),
    (
        "C",
        "cst_callsites",
        &[
            "call_bstart",
            "call_bend",
            "callee_bstart",
            "callee_bend",
            "callee_shape",
            "callee_text",
            "arg_count",
            "callee_dotted",
            "callee_qnames",
            "callee_qname_sources",
            "callee_fqns",
        ],
    ),
    (
        "F",
        "cst_defs",
        &[
            "container_def_kind",
            "container_def_bstart",
            "container_def_bend",
            "kind",
            "name",
            "def_bstart",
            "def_bend",
            "name_bstart",
            "name_bend",
            "qnames",
            "qname_sources",
            "def_fqns",
            "docstring",
            "decorator_count",
        ],
    ),
    (
        "T",
        "cst_type_exprs",
        &[
            "owner_def_kind",
            "owner_def_bstart",
            "owner_def_bend",
            "param_name",
            "expr_role",
            "bstart",
            "bend",
            "expr_text",
        ],
    ),
    ("D", "cst_docstrings", &["owner_kind", "owner_def_bstart", "owner_def_bend", "docstring", "bstart", "bend"]),
    (
        "G",
        "cst_decorators",
        &["owner_kind", "owner_def_bstart", "owner_def_bend", "decorator_text", "decorator_index", "bstart", "bend"],
    ),
    ("A", "cst_call_args", &["call_bstart", "call_bend", "arg_index", "keyword", "star", "arg_text", "bstart", "bend"]),
    (
        "Q",
        "callsite_qname_candidates",
        &[
            "qname",
            "qname_source",
            "call_bstart",
            "call_bend",
            "arg_count",
            "keyword_count",
            "star_arg_count",
            "star_kwarg_count",
            "positional_count",
        ],
    ),
];

#[derive(Default)]
struct Tally {
    files: usize,
    refused: usize,
    bytes: usize,
    rows: BTreeMap<&'static str, usize>,
    different_rows: usize,
    /// Files that LibCST reads and Lode does not.
    refused_alone: Vec<PathBuf>,
    differences: Vec<String>,
}

impl Tally {
    fn differ(&mut self, path: &Path, expected: &str, found: &str) {
        self.differences.push(format!("{}\n  LibCST: {expected}\n  Lode:   {found}", path.display()));
    }

    fn file(&mut self, extractor: &mut Extractor, file: &File, oracle: &[String]) {
        self.files += 1;
        self.bytes += file.content.len();
        let tables = extract(extractor, file);
        let refused = oracle.first().is_some_and(|line| line.starts_with("E\t") || line.starts_with("X\t"));
        let errors = rows(&tables, ("E", "cst_parse_errors", &["error_type", "raw_line", "message"]));
        if refused || !errors.is_empty() {
            self.refused += 1;
            if !refused {
                self.refused_alone.push(file.path.clone());
            }
            if !refused || errors.is_empty() {
                let rows = oracle.len();
                let or = |line: Option<&String>, other: String| line.cloned().unwrap_or(other);
                let expected = or(oracle.first().filter(|_| refused), format!("accepted, {rows} rows"));
                self.differ(&file.path, &expected, &or(errors.first(), "accepted".into()));
            }
            return;
        }
        for table @ (letter, name, _) in TABLES {
            let is_of_table = |line: &&String| line.split('\t').next() == Some(letter);
            let expected: Vec<String> = oracle.iter().filter(is_of_table).cloned().collect();
            let found = rows(&tables, table);
            *self.rows.entry(name).or_default() += expected.len();
            self.compare(&file.path, &expected, &found);
        }
    }

    /// Rows that only one side has count once, rows in which the sides differ too.
    fn compare(&mut self, path: &Path, expected: &[String], found: &[String]) {
        let mut missing: HashMap<&str, i64> = HashMap::new();
        expected.iter().for_each(|line| *missing.entry(line).or_default() += 1);
        found.iter().for_each(|line| *missing.entry(line).or_default() -= 1);
        let of = |lines: &[String], sign: i64| -> Vec<String> {
            lines.iter().filter(|line| missing[line.as_str()] * sign > 0).cloned().collect()
        };
        let (lost, new) = (of(expected, 1), of(found, -1));
        self.different_rows += lost.len().max(new.len());
        for at in 0..lost.len().max(new.len()) {
            let side = |lines: &[String]| lines.get(at).map_or("-".into(), Clone::clone);
            self.differ(path, &side(&lost), &side(&new));
        }
        if lost.is_empty() && new.is_empty() && expected != found {
            self.differ(path, "rows in this order", "the same rows in another order");
        }
    }
}

#[test]
fn files_of_a_sample_equal_libcst() {
    let python = interpreter();
    let corpus = corpus(&python);
    let answers = oracle(&python, &corpus);
    let mut extractor = Extractor::new(&Options::default(), &Limits::default());
    let mut tally = Tally::default();
    for file in &corpus {
        let Some(answer) = answers.get(&file.path) else { continue };
        tally.file(&mut extractor, file, answer);
    }
    println!("{} of {} files", tally.files, corpus.len());
    let rows: usize = tally.rows.values().sum();
    let equal = 1.0 - tally.different_rows as f64 / rows as f64;
    println!(
        "{} files ({} refused by one or both), {} bytes, {rows} rows compared, {} differ ({:.4}% equal): {:?}",
        tally.files,
        tally.refused,
        tally.bytes,
        tally.different_rows,
        100.0 * equal,
        tally.rows,
    );
    let shown = tally.differences.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
    println!("{} differences:\n{shown}", tally.differences.len());
    assert!(tally.files > 80, "{} files are no sample", tally.files);
    assert!(equal >= if whole() { REQUIRED } else { 1.0 }, "only {:.4}% of the rows are equal", 100.0 * equal);
    assert!(tally.refused_alone.is_empty(), "LibCST reads {:?}", tally.refused_alone);
}

/// The sources of the golden file: those at the top of the folder, and the shapes.
fn golden_sources() -> Vec<File> {
    let root = golden::sources();
    let entries = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<File> = entries
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            File { relative: format!("deep/er/{name}"), content: std::fs::read(&path).unwrap(), path }
        })
        .collect();
    found.extend(shapes());
    found.sort_by(|a, b| a.relative.cmp(&b.relative));
    found
}

#[test]
fn golden_files_equal_libcst() {
    let sources = golden_sources();
    if golden::is_written() {
        let python = interpreter();
        let answer = format!("\n{}", ask(&python, &sources.iter().collect::<Vec<_>>()));
        let answers = answer.split("\n@/").skip(1).map(|answer| answer.split_once('\n').unwrap().1);
        let named: Vec<String> =
            sources.iter().zip(answers).map(|(file, rows)| format!("@{}\n{rows}", file.relative)).collect();
        assert_eq!(named.len(), sources.len());
        golden::write("libcst", &version(&python), named.join("\n").as_bytes());
    }
    for (version, printed) in golden::read("libcst") {
        let printed = format!("\n{}", String::from_utf8(printed).unwrap());
        let answers: HashMap<&str, Vec<String>> = printed
            .split("\n@")
            .skip(1)
            .map(|answer| answer.split_once('\n').unwrap_or((answer, "")))
            .map(|(name, rows)| (name, rows.lines().map(str::to_owned).collect()))
            .collect();
        let mut extractor = Extractor::new(&Options::default(), &Limits::default());
        let mut tally = Tally::default();
        for file in &sources {
            tally.file(&mut extractor, file, &answers[file.relative.as_str()]);
        }
        let rows: usize = tally.rows.values().sum();
        println!("golden file of LibCST {version}: {} files, {rows} rows, {} refused", tally.files, tally.refused);
        assert!(rows > 5_000, "{rows} rows are too few");
        assert!(tally.differences.is_empty(), "{version}:\n{}", tally.differences.join("\n"));
    }
}

#[test]
fn every_file_that_parses_has_nodes() {
    let code = "import os; print(os.path.dirname(os.__file__))";
    let library = output(Command::new(interpreter()).args(["-I", "-c", code]));
    let mut extractor = Extractor::new(&Options::default(), &Limits::default());
    let (mut with_nodes, mut unknown) = (0, vec![]);
    for file in files(Path::new(&library)) {
        let tables = extract(&mut extractor, &file);
        with_nodes += usize::from(tables.contains_key("cst_nodes"));
        if tables.contains_key("cst_parse_manifest") && !tables.contains_key("cst_nodes") {
            unknown.push(file.relative);
        }
    }
    assert!(with_nodes > 500, "{with_nodes} files are no standard library");
    assert!(unknown.is_empty(), "a tree of unknown shape: {unknown:?}");
}
