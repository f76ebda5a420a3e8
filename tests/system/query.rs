//! The query surface: `tests/slt/*.slt` against a small lake, through `lode query`.
//!
//! With `LODE_SLT_COMPLETE=1` the expected results are written instead of compared.

use std::fmt;
use std::io::Cursor;
use std::path::PathBuf;

use arrow::ipc::reader::StreamReader;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lode_tests::lake::Lake;
use lode_tests::repo::{Repo, python_module};
use sqllogictest::{
    DB, DBOutput, DefaultColumnType, Runner, default_column_validator, default_normalizer, default_validator,
};

/// `lode query`, started in the repository's directory.
struct Query<'a> {
    lake: &'a Lake,
    repo: &'a Repo,
}

#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl DB for Query<'_> {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let mut command = self.lake.command("query");
        let output =
            command.args(["--format", "arrow", sql]).current_dir(self.repo.root()).output().expect("lode starts");
        if !output.status.success() {
            return Err(Refused(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let batches = StreamReader::try_new(Cursor::new(output.stdout), None).expect("an Arrow stream");
        let (mut rows, mut columns) = (vec![], batches.schema().fields().len());
        let options = FormatOptions::default().with_null("NULL");
        for batch in batches.map(|batch| batch.expect("a whole batch")) {
            columns = batch.num_columns();
            let cells: Vec<_> =
                batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).expect("printable")).collect();
            let cell = |cell: &ArrayFormatter<'_>, row| match cell.value(row).to_string() {
                text if text.is_empty() => "(empty)".to_owned(),
                text => text.replace('\n', "\\n"),
            };
            rows.extend((0..batch.num_rows()).map(|row| cells.iter().map(|c| cell(c, row)).collect()));
        }
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Text; columns], rows })
    }
}

/// Files whose facts the `.slt` files spell out.
fn repo() -> Repo {
    let repo = Repo::of(&[
        ("README.md", "# Demo\n\nText.\n"),
        ("app/__init__.py", ""),
        ("app/broken.py", "def (:\n"),
        (
            "app/shape.rs",
            "//! Shapes.\nuse std::fmt;\n\npub struct Square(pub u32);\n\nimpl Square {\n    /// Its area.\n    pub fn area(&self) -> u32 { self.0.pow(2) }\n}\n",
        ),
        (
            "web/index.ts",
            "import { render } from './render';\n\nexport function main(name: string): void { render(name); }\n",
        ),
    ]);
    repo.write("app/model.py", python_module(7));
    // Python by its first line alone.
    repo.write("tools/job.in", "#!/usr/bin/env python3\ndef job(): pass\n");
    repo
}

#[test]
fn slt() {
    let repo = repo();
    let lake = Lake::of(&repo, &["--run-id", "first"]);
    repo.write("app/later.py", "x = 1\n");
    lake.extract(&repo, &["--run-id", "second"]);

    let mut files: Vec<PathBuf> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/slt"))
        .expect("the folder of .slt files")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Query { lake: &lake, repo: &repo }) });
        if std::env::var_os("LODE_SLT_COMPLETE").is_some() {
            let complete =
                runner.update_test_file(&file, " ", default_validator, default_normalizer, default_column_validator);
            lode_tests::tables::block_on(complete).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        } else {
            runner.run_file(&file).unwrap_or_else(|e| panic!("{e}"));
        }
    }
}

#[test]
fn a_query_changes_nothing_and_pins_a_run() {
    let repo = repo();
    let lake = Lake::of(&repo, &["--run-id", "first"]);
    repo.remove("app/model.py");
    lake.extract(&repo, &["--run-id", "second"]);
    let count = |args: &[&str]| {
        let mut command = lake.command("query");
        command.args(args).args(["--format", "csv", "SELECT count(*) AS files FROM repo_files"]);
        lode_tests::command::Output::of(&mut command).ok().stdout
    };
    assert_eq!(count(&[]), "files\n6\n");
    assert_eq!(count(&["--run", "second"]), "files\n6\n");
    assert_eq!(count(&["--run", "first"]), "files\n7\n");
    assert_eq!(count(&["--as-of", "1"]), "files\n7\n");
    for statement in ["DROP TABLE repo_files", "INSERT INTO runs SELECT * FROM runs", "COPY runs TO 'runs.parquet'"] {
        let output = lode_tests::command::Output::of(lake.command("query").arg(statement));
        assert_ne!(output.code, Some(0), "{output}");
    }
    lake.verify();
}

#[test]
fn views_are_those_of_the_snapshot() {
    let repo = Repo::of(&[("pkg/a.py", "def first(): return len([])\n"), ("run.in", "#!/usr/bin/python3\n")]);
    let lake = Lake::of(&repo, &["--run-id", "first"]);
    repo.write("pkg/a.py", "def second(): pass\n").remove("run.in");
    lake.extract(&repo, &["--run-id", "second"]);
    let answer = |sql: &str, args: &[&str]| {
        let mut command = lake.command("query");
        command.args(args).args(["--format", "csv", sql]);
        lode_tests::command::Output::of(&mut command).ok()
    };
    let names = "SELECT qname FROM dim_qualified_names ORDER BY qname";
    let extensions = "SELECT extension FROM python_extensions WHERE source = 'shebang'";
    assert_eq!(answer(names, &[]).stdout, "qname\npkg.a.second\n");
    assert_eq!(answer(extensions, &[]).stdout, "extension\n");
    for pin in [["--run", "first"], ["--as-of", "1"]] {
        assert_eq!(answer(names, &pin).stdout, "qname\nbuiltins.len\npkg.a.first\n");
        assert_eq!(answer(extensions, &pin).stdout, "extension\n.in\n");
    }

    // A view says when a table it reads is behind.
    repo.write("pkg/a.py", "def third(): pass\n");
    lake.extract(&repo, &["--datasets", "repo_files", "--run-id", "third"]);
    assert!(answer(names, &[]).stderr.contains("`cst_defs` is not complete"), "{}", answer(names, &[]));
    assert!(!answer(names, &["--run", "second"]).stderr.contains("not complete"));

    let listed = lode_tests::command::Output::of(lake.command("tables").args(["--output", "json"])).ok();
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).unwrap();
    let views: Vec<&serde_json::Value> = listed.iter().filter(|table| !table["view_of"].is_null()).collect();
    assert_eq!(views.len(), 2, "{listed:?}");

    // Where the tables are not, the view is not.
    let bare = Lake::of(&repo, &["--datasets", "repo_files"]);
    lode_tests::command::Output::of(bare.command("query").arg(names))
        .fails_with(&["dim_qualified_names", "lode tables"]);
    let changes = ["changes", "python_extensions", "--since", "first"];
    lode_tests::command::Output::of(lode_tests::command::lode().args(changes).arg("--lake").arg(lake.root()))
        .fails_with(&["is a view", "repo_files"]);
}

#[test]
#[allow(clippy::print_stderr, reason = "what a machine can't test is said")]
fn functions_compile_where_an_interpreter_is_named() {
    let Some(python) = lode_tests::interpreters::pythons().pop() else {
        eprintln!("skipped: the machine has no CPython, 3.8 to 3.14; LODE_PYTHONS names some");
        return;
    };
    let (repo, lake) = (repo(), Lake::default());
    lake.extract(&repo, &["--datasets", "repo_files"]);
    let answer = |sql: &str| {
        let mut command = lake.command("query");
        command.args(["--format", "csv", "--python", &python.program, sql]).current_dir(repo.root());
        lode_tests::command::Output::of(&mut command).ok().stdout
    };
    let units = "SELECT d['qualname'] AS name, d['co_filename'] AS file FROM \
                 (SELECT unnest(bytecode_code_units('def f(): pass', 'a.py')) AS d)";
    assert_eq!(answer(units), "name,file\n<module>,a.py\nf,a.py\n");
    let version = python.release.map(|part| part.to_string()).join(".");
    let units = "SELECT DISTINCT path, python_version FROM extract('bytecode_code_units', '.', 'tools/*')";
    assert_eq!(answer(units), format!("path,python_version\ntools/job.in,{version}\n"));
    lode_tests::command::Output::of(lake.command("query").args(["--python", "no-such-python", "SELECT 1"]))
        .fails_with(&["no-such-python", "--python python3.13"]);
}
