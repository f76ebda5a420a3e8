//! Sources that nest 100,000 deep end in a row of every lane of Python, and take no more stack than a thread has.
//!
//! `bytecode_*` needs interpreters and is tried with the whole system, in `tests/system/deep.rs`.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not known as tests")]

mod kinds;

use kinds::{KINDS, blocks};
use lode_facts::extract::{Extractor, FileRequest, GroupOutput, LaneRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};
use lode_facts::python::Version;

const LANES: [LaneId; 5] = [LaneId::Ast, LaneId::Cst, LaneId::Symtable, LaneId::Ts, LaneId::Agreement];
/// What a refused file has a row of, and what any other file has rows of.
const ENDS: [(&str, &str); 3] =
    [("ast_errors", "ast_nodes"), ("cst_parse_errors", "cst_parse_manifest"), ("symtable_errors", "symtable_scopes")];

/// Extracts with all datasets of all lanes, on a thread as small as a runtime's; an overflow names it.
fn extract(name: &str, version: Version, source: String) -> GroupOutput {
    let work = move || {
        let meta = FileMeta::in_scope("r", "deep.py", source.len(), Some(Language::Python));
        let datasets = |lane: LaneId| lane.datasets().map(|dataset| dataset.name.to_owned()).collect();
        let lanes = LANES.into_iter().map(|lane| LaneRequest { lane, datasets: datasets(lane) }).collect();
        let options = Options { python_version: version, ..Options::default() };
        let mut extractor = Extractor::new(&options, &Limits::default());
        extractor.extract(&FileRequest { meta, lanes }, Some(source.as_bytes()));
        extractor.finish().unwrap()
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(512 * 1024);
    thread.spawn(work).unwrap().join().unwrap()
}

fn rows(output: &GroupOutput, dataset: &str) -> usize {
    output.tables.iter().filter(|(known, _)| known.name == dataset).map(|(_, batch)| batch.num_rows()).sum()
}

/// Every lane has come to its end, and has a row that says how: an error, or what there is. Tells whether all refuse.
fn ends_in_rows(name: &str, version: Version, output: &GroupOutput) -> bool {
    for lane in &output.files[0].lanes {
        assert_eq!(lane.status, LaneStatus::Extracted, "{name} as {version}: {:?}", lane.lane);
    }
    for (error, facts) in ENDS {
        let (errors, facts) = (rows(output, error), rows(output, facts));
        assert!(errors <= 1 && (errors == 1) != (facts > 0), "{name} as {version}: {errors} {error}, {facts} rows");
    }
    assert_eq!(rows(output, "ts_stats"), 1, "{name} as {version}");
    ENDS.iter().all(|(error, _)| rows(output, error) == 1)
}

#[test]
fn depth_ends_in_a_row_of_every_lane() {
    for kind in KINDS {
        let source = kind.source(100_000);
        for version in [Version::Py38, Version::default()] {
            let refused = ends_in_rows(kind.name, version, &extract(kind.name, version, source.clone()));
            // LibCST's names see `elif` as a list.
            assert_eq!(refused, kind.name != "elif", "{} as {version}", kind.name);
        }
    }
}

#[test]
fn blocks_end_in_a_row_of_every_lane() {
    for depth in [100, 4_000] {
        assert!(ends_in_rows("blocks", Version::default(), &extract("blocks", Version::default(), blocks(depth))));
    }
    let output = extract("blocks", Version::default(), blocks(99));
    assert!(ENDS.iter().all(|(error, facts)| rows(&output, error) == 0 && rows(&output, facts) > 0));
}

#[test]
fn depth_within_cpythons_limit_has_rows_of_every_lane() {
    let walked = ["attribute", "sum", "call", "subscript", "lambda", "not"];
    for kind in KINDS.iter().filter(|kind| walked.contains(&kind.name)) {
        let depth = 900;
        let output = extract(kind.name, Version::default(), kind.source(depth));
        for dataset in ["ast_nodes", "cst_nodes", "symtable_scopes", "ts_nodes", "agreement_counts"] {
            let deep = ["ast_nodes", "cst_nodes", "ts_nodes"].contains(&dataset);
            let least = if deep { depth } else { 1 };
            assert!(rows(&output, dataset) >= least, "{}: {} rows of {dataset}", kind.name, rows(&output, dataset));
        }
    }
}
