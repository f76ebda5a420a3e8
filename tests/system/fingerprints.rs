//! A change of anything a fingerprint is made of redoes exactly the files and lanes concerned, and leaves the tables of a
//! clean rebuild.

use std::collections::{BTreeMap, BTreeSet};

use lode_facts::catalog::dataset;
use lode_facts::lane::LaneId;
use lode_tests::command::Output;
use lode_tests::interpreters::{Python, pythons};
use lode_tests::lake::Lake;
use lode_tests::repo::{Repo, python_module};

/// Lanes that read Python through the common front end.
const FRONT: &[&str] = &["agreement", "ast", "cst", "symtable"];
/// All datasets that need no interpreter.
const ALL: &[&str] = &["--datasets", "repo_*,scope_*,file_*,ast_*,cst_*,callsite_*,symtable_*,ts_*,agreement*"];

/// Two package roots, files outside of them, and other languages.
fn repo() -> Repo {
    let repo = Repo::of(&[
        ("lib/fast.rs", "pub fn f(x: u32) -> u32 { x }\n"),
        ("web/main.js", "export function f(x) { return x; }\n"),
        ("notes.txt", "nothing to parse\n"),
        ("broken.py", "def (:\n"),
        ("tool", "#!/usr/bin/env python3\nassert True, 'a tool'\n"),
    ]);
    for (n, path) in
        ["setup.py", "src/pkg/a.py", "src/pkg/b.py", "src/gen/pkg/c.py", "tests/test_a.py"].iter().enumerate()
    {
        repo.write(path, python_module(n));
    }
    repo
}

const PYTHON: &[&str] =
    &["broken.py", "setup.py", "src/gen/pkg/c.py", "src/pkg/a.py", "src/pkg/b.py", "tests/test_a.py", "tool"];

/// One run, by a Lode whose tools have these versions.
struct Run<'a> {
    args: Vec<&'a str>,
    tools: &'a str,
}

impl Run<'_> {
    fn extract(&self, repo: &Repo, lake: &Lake) -> lode_tests::command::Summary {
        let mut command = lake.extraction(repo.root(), &self.args);
        command.args(ALL).env("LODE_PRETEND", self.tools);
        let output = Output::of(&mut command).ok();
        let summary = output.summary();
        assert_eq!(summary.state, "committed", "{output}");
        summary
    }
}

/// What a lake holds of each (path, lane): its fingerprint, and its rows by dataset.
type State = BTreeMap<(String, String), (String, BTreeMap<String, u64>)>;

fn state(lake: &Lake) -> State {
    let sql = "SELECT path, lane, fingerprint, datasets, dataset_rows FROM extract_state";
    let rows = lake.query(sql).into_iter().map(|row| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let names = row["datasets"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
        let counts = row["dataset_rows"].as_array().unwrap().iter().map(|rows| rows.as_u64().unwrap());
        ((text("path"), text("lane")), (text("fingerprint"), names.zip(counts).collect()))
    });
    rows.collect()
}

/// What has another fingerprint than before.
fn redone(before: &State, after: &State) -> BTreeSet<(String, String)> {
    let is_new = |(at, (fingerprint, _)): &(&(String, String), &(String, _))| {
        before.get(*at).is_none_or(|(old, _)| old != fingerprint)
    };
    after.iter().filter(is_new).map(|(at, _)| at.clone()).collect()
}

/// Runs twice over one repository: the second time, the lanes `lanes` of the files `paths` are done again, and nothing
/// else is; afterwards the lake is that of a rebuild, and there is nothing left to do.
fn redoes(first: &Run<'_>, second: &Run<'_>, lanes: &[&str], paths: &[&str]) {
    let repo = repo();
    let lake = Lake::default();
    first.extract(&repo, &lake);
    let before = state(&lake);
    let summary = second.extract(&repo, &lake);
    let after = state(&lake);

    let pairs = paths.iter().flat_map(|path| lanes.iter().map(|lane| ((*path).to_owned(), (*lane).to_owned())));
    let expected: BTreeSet<(String, String)> = pairs.collect();
    let redone = redone(&before, &after);
    assert_eq!(redone, expected);
    assert_eq!(summary.files.extracted as usize, paths.len(), "{summary:?}");
    let mut written: BTreeMap<String, u64> = BTreeMap::new();
    for (dataset, rows) in redone.iter().flat_map(|at| after[at].1.iter()).filter(|(_, rows)| **rows > 0) {
        *written.entry(dataset.clone()).or_default() += rows;
    }
    let of_lanes = |(name, rows): &(String, u64)| *rows > 0 && dataset(name).is_some_and(|d| d.lane.is_some());
    // Rows that came out as they were are not written again.
    for (dataset, rows) in summary.rows_written.into_iter().filter(of_lanes) {
        let most = written.get(&dataset).copied().unwrap_or(0);
        assert!(rows <= most, "{rows} rows of {dataset} were written, and the files concerned have {most}");
    }

    lake.verify();
    let rebuild = Lake::default();
    second.extract(&repo, &rebuild);
    lake.assert_same_facts(&rebuild);
    let again = second.extract(&repo, &lake);
    assert_eq!((again.files.extracted, again.bytes), (0, 0), "{again:?}");
}

fn run<'a>(args: &[&'a str]) -> Run<'a> {
    Run { args: args.to_vec(), tools: "" }
}

#[test]
fn another_grammar_concerns_the_files_of_its_language() {
    let newer = |tools| Run { args: vec![], tools };
    redoes(&run(&[]), &newer("tree-sitter-rust=9.9.9"), &["ts"], &["lib/fast.rs"]);
    redoes(&run(&[]), &newer("tree-sitter-python=9.9.9"), &["agreement", "ts"], PYTHON);
}

#[test]
fn another_parser_concerns_the_lanes_that_use_it() {
    let newer = |tools| Run { args: vec![], tools };
    redoes(&run(&[]), &newer("ruff_python_parser=9.9.9"), FRONT, PYTHON);
    redoes(&run(&[]), &newer("rustpython_parser=9.9.9"), &["agreement"], PYTHON);
    redoes(&run(&[]), &newer("libcst=9.9.9"), &["agreement", "cst"], PYTHON);
    // What is newer can also be taken back.
    redoes(&newer("libcst=9.9.9"), &run(&[]), &["agreement", "cst"], PYTHON);
}

#[test]
fn another_version_of_python_concerns_the_lanes_that_follow_it() {
    redoes(&run(&["--python-version", "3.13"]), &run(&["--python-version", "3.8"]), FRONT, PYTHON);
}

#[test]
fn another_package_root_concerns_the_files_below_it() {
    let all: &[&str] = &["src/gen/pkg/c.py", "src/pkg/a.py", "src/pkg/b.py"];
    // No other lane reads it: what `agreement` compares has no qualified names.
    redoes(&run(&[]), &run(&["--package-root", "src"]), &["cst"], all);
    let both = run(&["--package-root", "src", "--package-root", "src/gen"]);
    redoes(&run(&["--package-root", "src"]), &both, &["cst"], &all[..1]);
    redoes(&both, &run(&["--package-root", "src/gen/"]), &["cst"], &all[1..]);
}

#[test]
fn another_form_of_blobs_concerns_every_file() {
    let all: Vec<&str> = PYTHON.iter().copied().chain(["lib/fast.rs", "notes.txt", "web/main.js"]).collect();
    redoes(&run(&["--blobs", "text"]), &run(&["--blobs", "bytes"]), &["blobs"], &all);
}

/// Two interpreters, the older one first.
fn two_pythons() -> Option<[Python; 2]> {
    let mut found = pythons();
    let (first, second) = match found.len() {
        0 | 1 => return None,
        // The two of which most is said, where they are there.
        _ => (found.iter().position(|p| p.release == [3, 11, 7]), found.iter().position(|p| p.release == [3, 12, 1])),
    };
    match (first, second) {
        (Some(first), Some(second)) => Some([found[first].clone(), found[second].clone()]),
        _ => found.pop().map(|newest| [found[0].clone(), newest]),
    }
}

#[test]
fn another_interpreter_concerns_its_bytecode() {
    let Some([older, newer]) = two_pythons() else {
        return skipped("two CPythons, 3.8 to 3.14");
    };
    let python = |python: &'static str| run(&["--python", python]);
    let [older, newer] = [older.program.leak() as &str, newer.program.leak()];
    // What code shows is one of the views that are held against each other.
    let lanes: &[&str] = &["agreement", "bytecode"];
    redoes(&python(older), &python(newer), lanes, PYTHON);
    redoes(&python(older), &run(&["--python", older, "--python", newer]), lanes, PYTHON);
    redoes(&python(older), &run(&["--python", older, "--python-optimize", "2"]), lanes, PYTHON);
    // The same interpreter under another name is the same.
    let home = tempfile::TempDir::new().unwrap();
    let link = home.path().join("python-by-another-name");
    std::os::unix::fs::symlink(older, &link).unwrap();
    let (repo, lake) = (repo(), Lake::default());
    python(older).extract(&repo, &lake);
    let summary = run(&["--python", link.to_str().unwrap()]).extract(&repo, &lake);
    assert_eq!((summary.files.extracted, summary.bytes), (0, 0), "{summary:?}");
}

#[test]
fn a_run_without_an_interpreter_leaves_bytecode_as_it_is() {
    let Some(python) = pythons().pop() else {
        return skipped("a CPython, 3.8 to 3.14");
    };
    let (repo, lake) = (repo(), Lake::default());
    run(&["--python", &python.program]).extract(&repo, &lake);
    let digest = lake.tables().digest("bytecode_instructions");
    let before = state(&lake);
    run(&[]).extract(&repo, &lake);
    // A view is gone from `agreement`, and nothing else is done again.
    let expected = PYTHON.iter().map(|path| ((*path).to_owned(), "agreement".to_owned()));
    assert_eq!(redone(&before, &state(&lake)), expected.collect());
    assert_eq!(lake.tables().digest("bytecode_instructions"), digest);
    lake.verify();
}

#[allow(clippy::print_stderr, reason = "what a machine can't test is said")]
fn skipped(what: &str) {
    eprintln!("skipped: the machine has not {what}; LODE_PYTHONS names some");
}

#[test]
fn every_lane_is_in_some_test_here() {
    let named: BTreeSet<&str> = FRONT.iter().copied().chain(["ts", "bytecode", "blobs"]).collect();
    let independent = ["files", "lines"];
    let all: BTreeSet<&str> = LaneId::ALL.into_iter().map(LaneId::name).collect();
    assert_eq!(named.into_iter().chain(independent).collect::<BTreeSet<_>>(), all);
}
