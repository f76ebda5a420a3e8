//! The `agreement` lane over the standard library of the interpreter at hand.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type};
use lode_facts::extract::{Extractor, FileRequest, LaneRequest};
use lode_facts::file::{FileKind, FileMeta};
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        // Tests of the parser hold what other parsers are not meant to know.
        if entry.file_type().unwrap().is_dir() {
            if !["site-packages", "__pycache__", "test"].contains(&entry.file_name().to_str().unwrap_or_default()) {
                files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "py") {
            found.push(path);
        }
    }
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let text = arrow::compute::cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
    text.as_string::<i32>().iter().map(|text| text.unwrap_or("-").to_owned()).collect()
}

#[test]
fn views_of_a_standard_library_agree() {
    let python = std::env::var("LODE_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = "import os; print(os.path.dirname(os.__file__))";
    let output = Command::new(&python).args(["-I", "-c", script]).output().expect("set LODE_PYTHON to an interpreter");
    let mut paths = vec![];
    files(String::from_utf8(output.stdout).unwrap().trim_end().as_ref(), &mut paths);
    paths.sort();
    let mut extractor = Extractor::new(&Options::default(), &Limits::default());
    let mut compared: BTreeMap<(String, String), (i32, i32)> = BTreeMap::new();
    let mut reasons: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let mut shown = vec![];
    for path in &paths {
        let content = std::fs::read(path).unwrap();
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
        let datasets = LaneId::Agreement.datasets().map(|d| d.name.to_owned()).collect();
        let lanes = vec![LaneRequest { lane: LaneId::Agreement, datasets }];
        extractor.extract(&FileRequest { meta, lanes }, Some(&content));
        for (dataset, batch) in extractor.finish().unwrap().tables {
            let (views, kinds) = (texts(&batch, "right_view"), texts(&batch, "kind"));
            for (row, key) in views.into_iter().zip(kinds).enumerate() {
                let number = |name| batch.column_by_name(name).unwrap().as_primitive::<Int32Type>().value(row);
                if dataset.name == "agreement_counts" {
                    let counts = compared.entry(key).or_default();
                    *counts = (counts.0 + number("compared"), counts.1 + number("agreed"));
                    continue;
                }
                let reason = texts(&batch, "reason")[row].clone();
                let seen = reasons.entry((key.0.clone(), key.1.clone(), reason.clone())).or_default();
                *seen += 1;
                if *seen <= 3 {
                    let line = [
                        "left_name",
                        "left_bstart",
                        "left_bend",
                        "right_name",
                        "right_bstart",
                        "right_bend",
                        "message",
                    ]
                    .map(|column| texts(&batch, column)[row].clone());
                    shown.push(format!("{key:?} {reason} {} {line:?}", path.display()));
                }
            }
        }
    }
    println!("{} files\n{compared:#?}\n{reasons:#?}\n{}", paths.len(), shown.join("\n"));
    assert!(paths.len() > 300, "{} files are no standard library", paths.len());
    let (all, agreed) = compared.values().fold((0, 0), |(all, agreed), (c, a)| (all + c, agreed + a));
    assert!(f64::from(agreed) >= 0.995 * f64::from(all), "{agreed} of {all} agree");
}
