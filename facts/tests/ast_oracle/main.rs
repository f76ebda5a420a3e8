//! The `ast_*` tables against CPython's own `ast`, row for row.
//!
//! The newest interpreter up to Lode's default version is always held against, over its own standard library. With
//! `LODE_ORACLES=all` it is every interpreter that is found ([`python::Python::all`]), mutants of the libraries
//! (`LODE_MUTANTS` a version, from `LODE_SEED` on), and the Python files below `LODE_PYTHON_CORPUS`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and says what it compared")]

mod compare;
mod mutants;
mod python;

use std::path::PathBuf;

use compare::Tally;
use lode_facts::python::Version;
use mutants::{Random, mutant};
use python::{Oracle, Python};

fn all() -> bool {
    std::env::var("LODE_ORACLES").is_ok_and(|which| which == "all")
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().map_or(default, |value| value.parse().expect("a number"))
}

/// The interpreters to hold the facts against.
fn pythons() -> Vec<Python> {
    let mut found = Python::all();
    assert!(!found.is_empty(), "no Python: set LODE_PYTHON to an interpreter of 3.8 or newer");
    if !all() {
        let usual = found.iter().rposition(|python| python.version <= Version::default()).unwrap_or(0);
        found = vec![found.swap_remove(usual)];
    }
    found
}

/// Compares files, each with its name.
fn compare(python: &Python, what: &str, files: impl Iterator<Item = (String, Vec<u8>)>) -> Tally {
    let mut oracle = Oracle::start(python);
    let mut tally = Tally::new(python.version);
    let mut pending: Option<(String, Vec<u8>)> = None;
    for file in files.map(Some).chain([None]) {
        if let Some((_, content)) = &file {
            oracle.ask(content.clone());
        }
        if let Some((name, content)) = pending.take() {
            tally.file(python.version, &name, &content, &oracle.answer());
        }
        pending = file;
    }
    println!(
        "{} {what}: {} files, {} bytes, rows compared {:?}, {:?}",
        python.release, tally.files, tally.bytes, tally.rows, tally.refusals
    );
    for difference in &tally.other_refusals {
        println!("refusal {difference}");
    }
    tally
}

fn judge(tally: &Tally) {
    let shown = tally.differences.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(tally.differences.is_empty(), "{} differences:\n{shown}", tally.differences.len());
}

fn read(paths: Vec<PathBuf>) -> impl Iterator<Item = (String, Vec<u8>)> {
    paths.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
}

#[test]
fn standard_libraries_equal_cpython() {
    for python in pythons() {
        let tally = compare(&python, "standard library", read(Python::files(&python.library)));
        assert!(tally.files > 500, "{} files are no standard library", tally.files);
        judge(&tally);
    }
}

#[test]
fn packages_equal_cpython() {
    let Some(corpus) = std::env::var_os("LODE_PYTHON_CORPUS").filter(|_| all()) else { return };
    let files = Python::files(corpus.as_ref());
    for python in pythons() {
        judge(&compare(&python, "packages", read(files.clone())));
    }
}

#[test]
fn mutants_are_judged_as_cpython_judges_them() {
    if !all() {
        return;
    }
    let (count, seed) = (number("LODE_MUTANTS", 3_000), number("LODE_SEED", 1));
    for python in pythons() {
        let paths = Python::files(&python.library);
        let of_seed = |seed: usize| {
            let mut random = Random(seed as u64);
            loop {
                let path = &paths[random.below(paths.len())];
                let content = std::fs::read(path).unwrap();
                if content.len() < 40_000 {
                    break (format!("{} seed {seed}", path.display()), mutant(&content, &mut random));
                }
            }
        };
        judge(&compare(&python, "mutants", (seed..seed + count).map(of_seed)));
    }
}
