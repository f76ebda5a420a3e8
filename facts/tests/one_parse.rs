//! The Python lanes share one parse of a file: a counter shows it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use lode_facts::extract::{Extractor, FileRequest, LaneRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};
use lode_facts::python::parses;

/// How often a file is parsed for these lanes.
fn parses_for(extractor: &mut Extractor, lanes: &[LaneId], content: &[u8]) -> u64 {
    let meta = FileMeta::in_scope("r", "f.py", content.len(), Some(Language::Python));
    let request = |lane: &LaneId| LaneRequest {
        lane: *lane,
        datasets: lane.datasets().map(|dataset| dataset.name.to_owned()).collect(),
    };
    let before = parses();
    extractor.extract(&FileRequest { meta, lanes: lanes.iter().map(request).collect() }, Some(content));
    let parsed = parses() - before;
    let output = extractor.finish().unwrap();
    let ended: Vec<_> = output.files[0].lanes.iter().map(|lane| &lane.status).collect();
    assert!(ended.iter().all(|status| **status == LaneStatus::Extracted), "{ended:?}");
    let rows: usize = output.tables.iter().map(|(_, batch)| batch.num_rows()).sum();
    assert!(rows >= lanes.len(), "{rows} rows of {lanes:?}");
    parsed
}

#[test]
fn lanes_share_the_parse_of_a_file() {
    use LaneId::{Agreement, Ast, Blobs, Cst, Files, Lines, Symtable, Ts};
    let mut extractor = Extractor::new(&Options::default(), &Limits::default());
    let source = b"import os\n\ndef f(x):\n    'doc'\n    return [os.getcwd() for _ in x]\n";
    for lane in [Ast, Cst, Symtable] {
        assert_eq!(parses_for(&mut extractor, &[lane], source), 1, "{lane:?} alone");
    }
    assert_eq!(parses_for(&mut extractor, &[Ast, Cst, Symtable], source), 1);
    assert_eq!(parses_for(&mut extractor, &[Ast, Cst, Symtable, Agreement], source), 1);
    // A file that does not parse is not tried again for the next lane.
    assert_eq!(parses_for(&mut extractor, &[Ast, Cst, Symtable], b"def f(:\n"), 1);
    assert_eq!(parses_for(&mut extractor, &[Files, Lines, Blobs, Ts], source), 0);
}
