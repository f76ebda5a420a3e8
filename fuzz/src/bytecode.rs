//! What must hold of the readers of compiled Python for any bytes: an answer or an error, soon and in little memory.

use arrow::array::RecordBatch;
use lode_facts::bytecode::{Compiled, Interpreter, Locations, Opcodes, exception_table as entries};
use lode_facts::extract::{Extractor, FileRequest, GroupOutput, LaneRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

/// Marshalled code, of each version: the same rows each time, or one row that says what is wrong with it.
pub fn marshal(bytes: &[u8]) {
    for table in Opcodes::all() {
        let first = extract(table, bytes);
        let second = extract(table, bytes);
        assert_eq!(first.files, second.files, "equal bytes give equal facts");
        assert!(first.files[0].lanes.iter().all(|lane| lane.status == LaneStatus::Extracted));
        let rows = |name: &str| {
            let found = first.tables.iter().find(|(dataset, _)| dataset.name == name);
            found.map_or(0, |(_, batch): &(_, RecordBatch)| batch.num_rows())
        };
        let (units, errors) = (rows("bytecode_code_units"), rows("bytecode_errors"));
        assert!((units > 0) != (errors > 0) && errors <= 1, "{units} code objects and {errors} errors");
    }
}

fn extract(table: &Opcodes, bytes: &[u8]) -> GroupOutput {
    let version = format!("{}.0", table.python);
    let interpreter = Interpreter { program: "python".into(), version, magic: table.magic };
    let options = Options { interpreters: vec![interpreter], ..Options::default() };
    let meta = FileMeta::in_scope("fuzz", "input.py", 0, Some(Language::Python));
    let datasets = LaneId::Bytecode.datasets().map(|dataset| dataset.name.to_owned()).collect();
    let request = FileRequest { meta, lanes: vec![LaneRequest { lane: LaneId::Bytecode, datasets }] };
    let mut extractor = Extractor::new(&options, &Limits::default());
    extractor.extract_compiled(&request, Some(b"a = 1\n"), &[Compiled::Code(bytes.to_vec())]);
    extractor.finish().expect("every column has a row hash")
}

/// Line tables of each format: ranges without gap, in order.
pub fn line_table(bytes: &[u8]) {
    let (head, table) = bytes.split_at(bytes.len().min(6));
    let byte = |index: usize| head.get(index).copied().unwrap_or_default();
    let first_line = i32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]);
    let code_len = 2 * u32::from(u16::from_le_bytes([byte(4), byte(5)]));
    for minor in 8..=14 {
        let Ok(found) = Locations::read(minor, table, first_line, code_len) else { continue };
        for pair in found.lines.windows(2) {
            assert!(pair[0].start <= pair[1].start && pair[0].end <= pair[1].start, "{pair:?}");
        }
        assert!(found.positions.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}

/// Exception tables.
pub fn exception_table(bytes: &[u8]) {
    if let Ok(found) = entries(bytes) {
        assert!(found.len() <= bytes.len() / 4, "an entry takes four bytes at least");
        assert!(found.iter().all(|entry| entry.start <= entry.end));
    }
}
