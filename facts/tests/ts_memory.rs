//! Trees and parsers leave nothing behind, though they are not freed piece by piece.

use lode_facts::extract::{Extractor, FileRequest, LaneRequest};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

/// The most resident memory that this process had, in bytes.
fn peak() -> usize {
    let (mut peak, mut other) = (0, [0usize; 7]);
    let [a, b, c, d, e, f, g] = &mut other;
    // SAFETY: each pointer is that of a number of its own.
    unsafe { libmimalloc_sys::mi_process_info(a, b, c, d, &raw mut peak, e, f, g) };
    peak
}

#[test]
fn a_thousand_files_need_what_ten_need() {
    // Text in triple quotes and deep indentation, for which the grammar's scanner keeps a stack of its own.
    let block: String = (0..40).map(|depth| format!("{}if a{depth}:\n", " ".repeat(depth))).collect();
    let text = format!("{block}{}f(\"\"\"{{x}}\"\"\", [1, 2, 3])\n", " ".repeat(40)).repeat(20);
    let mut extractor = Extractor::new(&Options::default(), &Limits::default());
    let lane = LaneRequest { lane: LaneId::Ts, datasets: vec!["ts_nodes".to_owned()] };
    let mut after = |files: usize| {
        for _ in 0..files {
            let meta = FileMeta::in_scope("memory", "a.py", text.len(), Some(Language::Python));
            extractor.extract(&FileRequest { meta, lanes: vec![lane.clone()] }, Some(text.as_bytes()));
            extractor.finish().unwrap();
        }
        peak()
    };
    let (few, many) = (after(10), after(1000));
    // A tree that stays behind is most of a megabyte.
    assert!(many < few + (32 << 20), "{few} bytes after 10 files, {many} after 1,000 more");
}
