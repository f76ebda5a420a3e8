//! The `ast_*` tables against CPython's own `ast`, row for row.
//!
//! The newest interpreter up to Lode's default version is always held against, over its own standard library. With
//! `LODE_ORACLES=all` it is every interpreter that is found, and mutants of the libraries (`LODE_MUTANTS` a version, from
//! `LODE_SEED` on). `LODE_PYTHON_CORPUS` names a folder of more files, or is `pypi`: the packages of
//! `tests/oracles/corpus.txt`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and says what it compared")]

mod compare;
#[path = "../cpython/mod.rs"]
mod cpython;
mod mutants;
mod oracle;
#[path = "../printed/mod.rs"]
mod printed;

use std::collections::HashSet;
use std::path::PathBuf;

use compare::Tally;
use cpython::{Python, all, corpus, files};
use lode_facts::python::Version;
use mutants::{Random, mutant};
use oracle::Oracle;

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().map_or(default, |value| value.parse().expect("a number"))
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
    for python in Python::chosen() {
        let tally = compare(&python, "standard library", read(files(&python.library)));
        assert!(tally.files > 500, "{} files are no standard library", tally.files);
        judge(&tally);
    }
}

/// Sources, one a line, with `\\n` for ends of lines: what people get wrong, and what older versions place in their own way.
const ERRORS: &str = include_str!("errors.txt");

/// Sources with bytes that are not UTF-8; `<ff>` is such a byte.
const UNDECODED: &str = include_str!("undecoded.txt");

/// A line of these files: `\n` and `\r` are line ends.
fn source(line: &str) -> Vec<u8> {
    let text = line.replace("\\n", "\n").replace("\\r", "\r");
    let mut parts = text.split('<');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.split_once('>').map(|(digits, rest)| (u8::from_str_radix(digits, 16), rest)) {
            Some((Ok(byte), rest)) => bytes.extend(std::iter::once(byte).chain(rest.bytes())),
            _ => bytes.extend(b"<".iter().copied().chain(part.bytes())),
        }
    }
    bytes
}

#[test]
fn errors_are_told_in_cpythons_words() {
    for python in Python::chosen().into_iter().filter(|python| python.version >= Version::Py311) {
        let undecoded = compare(&python, "undecoded", UNDECODED.lines().map(|line| (line.to_owned(), source(line))));
        judge(&undecoded);
        let errors = compare(&python, "errors", ERRORS.lines().map(|line| (line.to_owned(), source(line))));
        judge(&errors);
        // Before 3.12 a string is decoded when the token behind it is read: the place of the error is that of this token,
        // in a line whose bytes are counted in more than one way.
        for tally in [Some(errors), Some(undecoded).filter(|_| python.version >= Version::Py312)].into_iter().flatten()
        {
            let (others, told) = (tally.other_refusals.len(), tally.other_refusals.join("\n"));
            assert_eq!(others, 0, "of {} these are told otherwise:\n{told}", tally.files);
        }
    }
}

#[test]
fn packages_equal_cpython() {
    let Some(corpus) = corpus::named() else { return };
    for python in Python::chosen() {
        let mut known = HashSet::new();
        let distinct = read(files(&corpus)).filter(|(_, content)| known.insert(content.clone()));
        let tally = compare(&python, "packages", distinct);
        assert!(tally.files >= corpus::least(), "{} different files are too few", tally.files);
        judge(&tally);
    }
}

/// Whether a statement may start with a line of nothing but `\`: 3.8 takes the column of the `\` for the statement's, 3.9
/// that of the statement before, where from 3.10 on the next line has a say.
fn starts_on_the_next_line(content: &[u8]) -> bool {
    content.split(|byte| matches!(byte, b'\n' | b'\r')).any(|line| line.trim_ascii() == b"\\")
}

#[test]
fn mutants_are_judged_as_cpython_judges_them() {
    if !all() {
        return;
    }
    let (count, seed) = (number("LODE_MUTANTS", 3_000), number("LODE_SEED", 1));
    let mut tallies = vec![];
    for python in Python::chosen() {
        let paths = files(&python.library);
        let of_seed = |seed: usize| {
            let mut random = Random(seed as u64);
            loop {
                let path = &paths[random.below(paths.len())];
                let content = std::fs::read(path).unwrap();
                if content.len() < 40_000 {
                    break (
                        format!("{} {} seed {seed}", python.release, path.display()),
                        mutant(&content, &mut random),
                    );
                }
            }
        };
        let (left_out, mutants): (Vec<_>, Vec<_>) = (seed..seed + count)
            .map(of_seed)
            .partition(|(_, content)| python.version < Version::Py310 && starts_on_the_next_line(content));
        println!("{} mutants left out: {}", python.release, left_out.len());
        tallies.push(compare(&python, "mutants", mutants.into_iter()));
    }
    tallies.iter().for_each(judge);
}
