//! The lane of `file_line_index`.

use crate::catalog::{Dataset, Scope};
use crate::columns::Table;
use crate::encoding::Encoding;
use crate::extract::{Diagnostic, LaneRequest, LaneStatus, Session, Severity};
use crate::fact_table;
use crate::lane::LaneId;
use crate::options::Options;
use crate::source::Source;

fact_table! {
    /// One row a line of each text file.
    ///
    /// A line ends with LF, CR LF or a lone CR, as in Python's grammar; what follows the last of them is a line if it
    /// is not empty. Lines and their ends put together are the file. Binary files have no rows.
    pub struct FileLineIndex = "file_line_index", lane: Some(LaneId::Lines), scope: Scope::File, key: ["file_id", "line_no"], default: true {
        /// Number of the line.
        line_no: Int32 { unit: "line, from 1" },
        /// First byte; that of line 1 is 0, a byte order mark included.
        line_start_byte: Int32 { unit: "byte, from 0" },
        /// Byte after the last, the line's end not included.
        line_end_byte: Int32 { unit: "byte, from 0, exclusive" },
        /// How it ends: `lf`, `crlf`, `cr` or `none`.
        newline_kind: Symbol,
        /// The line decoded, without byte order mark and end; undecodable bytes are U+FFFD.
        line_text: Utf8,
        /// Whether `line_text` was cut to `max_line_text_bytes`.
        is_truncated: Bool,
    }
}

static FILE_LINE_INDEX: Dataset = FileLineIndex::DATASET;

/// The datasets of this module.
pub const DATASETS: &[&Dataset] = &[&FILE_LINE_INDEX];

/// What the rows depend on.
pub fn fingerprint(options: &Options) -> String {
    const REVISION: u32 = 1;
    format!("{REVISION};max_line_text_bytes={}", options.max_line_text_bytes)
}

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newline {
    /// `\n`
    Lf,
    /// `\r\n`
    CrLf,
    /// `\r` alone.
    Cr,
    /// The end of the file.
    None,
}

impl Newline {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lf => "lf",
            Self::CrLf => "crlf",
            Self::Cr => "cr",
            Self::None => "none",
        }
    }

    /// Code units it takes.
    fn units(self) -> usize {
        match self {
            Self::None => 0,
            Self::Lf | Self::Cr => 1,
            Self::CrLf => 2,
        }
    }
}

/// Where a line lies: `start..end` without its newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// What follows.
    pub newline: Newline,
}

/// The lines of a text. In every encoding but UTF-16 the bytes of CR and LF stand for nothing else.
pub fn lines(bytes: &[u8], encoding: Encoding) -> impl Iterator<Item = Line> {
    let unit = if matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be) { 2 } else { 1 };
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= bytes.len() {
            return None;
        }
        let (end, newline) = next_newline(bytes, start, encoding);
        let line = Line { start, end, newline };
        start = end + newline.units() * unit;
        Some(line)
    })
}

fn next_newline(bytes: &[u8], from: usize, encoding: Encoding) -> (usize, Newline) {
    let (position, second) = match encoding {
        Encoding::Utf16Le => utf16_newline(&bytes[from..], u16::from_le_bytes),
        Encoding::Utf16Be => utf16_newline(&bytes[from..], u16::from_be_bytes),
        _ => {
            let position = memchr::memchr2(b'\n', b'\r', &bytes[from..]);
            (position, position.is_some_and(|p| bytes[from + p..].starts_with(b"\r\n")))
        }
    };
    let Some(position) = position else { return (bytes.len(), Newline::None) };
    let end = from + position;
    let is_cr = match encoding {
        Encoding::Utf16Be => bytes[end + 1] == b'\r',
        _ => bytes[end] == b'\r',
    };
    let newline = match (is_cr, second) {
        (true, true) => Newline::CrLf,
        (true, false) => Newline::Cr,
        (false, _) => Newline::Lf,
    };
    (end, newline)
}

/// Byte offset of the next CR or LF, and whether it opens a CR LF.
fn utf16_newline(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (Option<usize>, bool) {
    let (pairs, _) = bytes.as_chunks::<2>();
    let is = |index: usize, byte: u8| pairs.get(index).is_some_and(|pair| unit(*pair) == u16::from(byte));
    let position = (0..pairs.len()).find(|i| is(*i, b'\n') || is(*i, b'\r'));
    (position.map(|p| 2 * p), position.is_some_and(|p| is(p, b'\r') && is(p + 1, b'\n')))
}

/// The lane at work.
pub struct LinesSession {
    max_text: usize,
    index: FileLineIndex,
}

impl LinesSession {
    /// With these options.
    pub fn new(options: &Options) -> Self {
        Self { max_text: options.max_line_text_bytes, index: FileLineIndex::default() }
    }
}

impl Session for LinesSession {
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, diagnostics: &mut Vec<Diagnostic>) -> LaneStatus {
        let bytes = file.bytes();
        if !request.wants(&FILE_LINE_INDEX) {
            return LaneStatus::Extracted;
        }
        if let Err(status) = check_size(bytes) {
            return status;
        }
        let Some(encoding) = Encoding::detect(bytes, file.meta.language) else { return LaneStatus::Extracted };
        let mut first_fault = None;
        for (number, line) in (1..).zip(lines(bytes, encoding)) {
            let text_start = if line.start == 0 { encoding.bom_len().min(line.end) } else { line.start };
            let (text, faulty) = encoding.decode(&bytes[text_start..line.end]);
            if faulty {
                first_fault.get_or_insert((number, line.start));
            }
            let kept = &text[..text.floor_char_boundary(self.max_text)];
            self.index.line_no.push(number);
            self.index.line_start_byte.push(line.start as i32);
            self.index.line_end_byte.push(line.end as i32);
            self.index.newline_kind.push(line.newline.name());
            self.index.line_text.push(kept);
            self.index.is_truncated.push(kept.len() < text.len());
        }
        if let Some((line, start)) = first_fault {
            diagnostics.push(decode_diagnostic(LaneId::Lines, encoding, line, start));
        }
        LaneStatus::Extracted
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.index]
    }
}

/// Offsets in tables have 32 bits, and text can be three times as long as its bytes.
pub(crate) fn check_size(bytes: &[u8]) -> Result<(), LaneStatus> {
    const MAX: usize = i32::MAX as usize / 4;
    if bytes.len() <= MAX {
        return Ok(());
    }
    Err(LaneStatus::Quarantined {
        limit: "file_bytes".into(),
        message: format!("{} bytes are more than the {MAX} whose positions can be kept", bytes.len()),
    })
}

/// The one diagnostic of a file with bytes that its encoding has not.
pub(crate) fn decode_diagnostic(lane: LaneId, encoding: Encoding, line: i32, start: usize) -> Diagnostic {
    let message = match encoding {
        Encoding::Unknown8Bit => format!("neither UTF-8 nor a declared encoding, first in line {line}"),
        known => format!("not valid {}, first in line {line}", known.name()),
    };
    Diagnostic {
        lane,
        severity: Severity::Warning,
        code: "decode".into(),
        message: format!("{message}; such bytes read as U+FFFD"),
        bstart: Some(start as i32),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, RecordBatch};
    use arrow::datatypes::Int32Type;
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    fn index(bytes: &[u8], options: &Options) -> (Option<RecordBatch>, Vec<Diagnostic>) {
        let mut output = testing::extract(options, &testing::file("a.py"), LaneId::Lines, Some(bytes));
        (output.tables.pop().map(|(_, batch)| batch), output.files.remove(0).diagnostics)
    }

    fn rows(bytes: &[u8]) -> Vec<(i32, i32, String, String)> {
        let (Some(batch), _) = index(bytes, &Options::default()) else { return vec![] };
        let ints = |name| batch.column_by_name(name).unwrap().as_primitive::<Int32Type>().values().to_vec();
        let texts = |name: &str| testing::texts(&batch, name);
        let ends = texts("newline_kind").into_iter().zip(texts("line_text"));
        let spans = ints("line_start_byte").into_iter().zip(ints("line_end_byte"));
        spans.zip(ends).map(|((start, end), (kind, text))| (start, end, kind.unwrap(), text.unwrap())).collect()
    }

    fn row(start: i32, end: i32, kind: &str, text: &str) -> (i32, i32, String, String) {
        (start, end, kind.into(), text.into())
    }

    #[test]
    fn every_kind_of_newline() {
        let expected = [
            row(0, 1, "lf", "a"),
            row(2, 3, "crlf", "b"),
            row(5, 5, "cr", ""),
            row(6, 7, "cr", "c"),
            row(8, 9, "none", "d"),
        ];
        assert_eq!(rows(b"a\nb\r\n\rc\rd"), expected);
        assert_eq!(rows(b""), []);
        assert_eq!(rows(b"\n"), [row(0, 0, "lf", "")]);
        assert_eq!(rows("\u{2028}\x0b\x0c".as_bytes()).len(), 1, "other separators of Unicode end no line");
        assert_eq!(rows(b"a\0\n"), [], "binary");
    }

    #[test]
    fn encodings_keep_offsets_into_the_file() {
        assert_eq!(rows(b"\xEF\xBB\xBFa\nb"), [row(0, 4, "lf", "a"), row(5, 6, "none", "b")]);
        assert_eq!(rows(b"\xEF\xBB\xBF"), [row(0, 3, "none", "")]);
        assert_eq!(rows(b"#coding:latin1\n\xE9"), [row(0, 14, "lf", "#coding:latin1"), row(15, 16, "none", "é")]);
        // U+0A0D and U+0D0A hold the bytes of CR and LF and end no line.
        let text = "\u{feff}x\r\n\u{0A0D}\u{0D0A}\r";
        let expected = [row(0, 4, "crlf", "x"), row(8, 12, "cr", "\u{0A0D}\u{0D0A}")];
        assert_eq!(rows(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()), expected);
        assert_eq!(rows(&text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn undecodable_bytes_are_told_once() {
        let (batch, diagnostics) = index(b"a\n\xFF\n\xFE\n", &Options::default());
        assert_eq!(testing::texts(&batch.unwrap(), "line_text")[1].as_deref(), Some("\u{FFFD}"));
        assert_eq!(diagnostics.len(), 1);
        assert_eq!((diagnostics[0].code.as_str(), diagnostics[0].bstart), ("decode", Some(2)));
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        let options = Options { max_line_text_bytes: 3, ..Options::default() };
        let (batch, _) = index("abc\naéé\n".as_bytes(), &options);
        let batch = batch.unwrap();
        assert_eq!(testing::texts(&batch, "line_text"), [Some("abc".into()), Some("aé".into())]);
        let truncated = batch.column_by_name("is_truncated").unwrap().as_boolean();
        assert_eq!(truncated.iter().flatten().collect::<Vec<_>>(), [false, true]);
    }

    proptest! {
        #[test]
        fn lines_and_their_ends_are_the_file(
            units in prop::collection::vec(prop_oneof![Just(10u8), Just(13), any::<u8>()], 0..200),
            encoding in prop::sample::select(vec![Encoding::Utf8, Encoding::Latin1, Encoding::Utf16Le, Encoding::Utf16Be]),
        ) {
            let unit = if matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be) { 2 } else { 1 };
            let mut at = 0;
            for line in lines(&units, encoding) {
                prop_assert_eq!(line.start, at);
                prop_assert!(line.end >= line.start);
                at = line.end + line.newline.units() * unit;
                if unit == 1 {
                    let end: &[u8] = match line.newline {
                        Newline::Lf => b"\n", Newline::CrLf => b"\r\n", Newline::Cr => b"\r", Newline::None => b"",
                    };
                    prop_assert_eq!(&units[line.end..at], end);
                    prop_assert!(!units[line.start..line.end].iter().any(|b| matches!(b, b'\n' | b'\r')));
                }
            }
            prop_assert_eq!(at, units.len());
        }

        #[test]
        fn any_bytes_give_rows_that_cover_the_file(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let rows = rows(&bytes);
            if let Some(last) = rows.last() {
                prop_assert!(last.1 as usize <= bytes.len());
                prop_assert_eq!(rows[0].0, 0);
            }
        }
    }
}
