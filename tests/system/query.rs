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
    assert_eq!(count(&[]), "files\n5\n");
    assert_eq!(count(&["--run", "second"]), "files\n5\n");
    assert_eq!(count(&["--run", "first"]), "files\n6\n");
    assert_eq!(count(&["--as-of", "1"]), "files\n6\n");
    for statement in ["DROP TABLE repo_files", "INSERT INTO runs SELECT * FROM runs", "COPY runs TO 'runs.parquet'"] {
        let output = lode_tests::command::Output::of(lake.command("query").arg(statement));
        assert_ne!(output.code, Some(0), "{output}");
    }
    lake.verify();
}
