//! What must hold of the extractors for any bytes.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use lode_facts::encoding::{Encoding, cookie};
use lode_facts::extract::{Extractor, FileRequest, GroupOutput, LaneRequest};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::{HEAD_BYTES, Language};
use lode_facts::lines::lines;
use lode_facts::options::{Limits, Options};

/// A lane gives one report, the same rows each time, and spans inside the file.
pub fn lane(lane: LaneId, language: Language, bytes: &[u8]) {
    let first = extract(lane, language, bytes);
    let second = extract(lane, language, bytes);
    assert_eq!(first.files.len(), 1, "one file, one report");
    assert_eq!(first.files, second.files, "equal bytes give equal facts");
    for (dataset, rows) in &first.tables {
        for (start, end) in spans(rows) {
            let inside = 0 <= start && start <= end && end as usize <= bytes.len();
            assert!(inside, "{}: span {start}..{end} in {} bytes", dataset.name, bytes.len());
        }
    }
}

fn extract(lane: LaneId, language: Language, bytes: &[u8]) -> GroupOutput {
    let meta = FileMeta::in_scope("fuzz", "input", bytes.len(), Some(language));
    let datasets = lane.datasets().map(|dataset| dataset.name.to_owned()).collect();
    let request = FileRequest { meta, lanes: vec![LaneRequest { lane, datasets }] };
    let mut extractor = Extractor::new(&Options::default(), &Limits::default());
    extractor.extract(&request, Some(bytes));
    extractor.finish().expect("every column has a row hash")
}

/// Every pair of columns `…bstart` and `…bend`.
fn spans(rows: &RecordBatch) -> Vec<(i32, i32)> {
    let column = |name: &str| rows.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int32Type>());
    let mut found = vec![];
    for field in rows.schema().fields() {
        let Some(prefix) = field.name().strip_suffix("bstart") else { continue };
        let (Some(starts), Some(ends)) = (column(field.name()), column(&format!("{prefix}bend"))) else { continue };
        let located = (0..rows.num_rows()).filter(|row| starts.is_valid(*row) && ends.is_valid(*row));
        found.extend(located.map(|row| (starts.value(row), ends.value(row))));
    }
    found
}

/// Lines cover the text without gap or overlap, and decoding never fails.
pub fn text(bytes: &[u8]) {
    let _ = cookie(bytes);
    for language in [None, Some(Language::Python)] {
        let Some(encoding) = Encoding::detect(bytes, language) else { continue };
        let body = &bytes[encoding.bom_len()..];
        let (text, replaced) = encoding.decode(body);
        if encoding == Encoding::Utf8 && !replaced {
            assert_eq!(text.as_bytes(), body);
        }
        let mut next = 0;
        for line in lines(body, encoding) {
            assert!(line.start == next && line.start <= line.end && line.end <= body.len(), "{line:?} after {next}");
            next = match line.newline.name() {
                "none" => line.end,
                "crlf" => line.end + 2 * unit(encoding),
                _ => line.end + unit(encoding),
            };
        }
        assert_eq!(next, body.len(), "the last line ends the text");
    }
}

fn unit(encoding: Encoding) -> usize {
    if matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be) { 2 } else { 1 }
}

/// A language depends on the name and the head of the content alone, and is found again by its name.
pub fn language(path: &str, content: &[u8]) {
    let found = Language::detect(path, content);
    assert_eq!(found, Language::detect(path, &content[..content.len().min(HEAD_BYTES)]));
    if let Some(language) = found {
        assert_eq!(Language::by_name(language.name()), Some(language));
    }
}
