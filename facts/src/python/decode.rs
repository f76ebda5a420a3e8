//! From a file's bytes to its text, by the rules of CPython's tokenizer.

use std::borrow::Cow;

use encoding_rs::{self as rs, DecoderResult, Encoding};
use memchr::{memchr, memchr_iter, memmem};

use super::{OffsetMap, PythonError, Span};

/// What CPython says of NUL bytes.
pub(super) const NULL_BYTES: &str = "source code string cannot contain null bytes";
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A decoded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text: no byte order mark, every line ended by `\n`.
    pub text: Cow<'a, str>,
    /// Where its bytes came from.
    pub offsets: OffsetMap,
}

/// Decodes a file: byte order mark, PEP 263 cookie, else UTF-8; then `\r\n` and `\r` become `\n`.
///
/// # Errors
/// What CPython refuses: NUL bytes, an unknown encoding, a byte order mark with a cookie for something other than
/// UTF-8, and bytes that the encoding does not know. And encodings that CPython knows and this function does not.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, PythonError> {
    if i32::try_from(bytes.len()).is_err() {
        return Err(PythonError::new("OverflowError", "a source of 2 GiB or more is not parsed", None));
    }
    if let Some(at) = memchr(0, bytes) {
        return Err(error(NULL_BYTES, bytes, at, 1));
    }
    let start = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
    let codec = match cookie(&bytes[start..]) {
        None => Codec::Utf8,
        Some(name) => {
            let name = normal_name(name);
            if start > 0 && name != "utf-8" {
                return Err(PythonError::new("SyntaxError", format!("encoding problem: {name} with BOM"), None));
            }
            Codec::by_name(&name)?
        }
    };
    codec.decode(bytes, start)
}

/// The name of a file's encoding, as `tokenize.detect_encoding` gives it.
pub fn source_encoding(bytes: &[u8]) -> String {
    match bytes.strip_prefix(BOM) {
        Some(_) => "utf-8-sig".into(),
        None => cookie(bytes).map_or_else(|| "utf-8".into(), normal_name),
    }
}

/// The encoding named by a comment in one of the first two lines.
fn cookie(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    for _ in 0..2 {
        let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        let blank = line.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\x0c')).count();
        match line.get(blank) {
            None => {}
            Some(b'#') => {
                if let Some(name) = cookie_of_comment(&line[blank..]) {
                    return Some(name);
                }
            }
            Some(_) => return None,
        }
        rest = tail.strip_prefix(b"\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
    }
    None
}

fn cookie_of_comment(comment: &[u8]) -> Option<&[u8]> {
    memmem::find_iter(comment, b"coding").find_map(|at| {
        let value = comment[at + 6..].strip_prefix(b":").or_else(|| comment[at + 6..].strip_prefix(b"="))?;
        let blank = value.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let value = &value[blank..];
        let length = value.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b)).count();
        (length > 0).then_some(&value[..length])
    })
}

/// The tokenizer's own reading of a name (`get_normal_name`).
fn normal_name(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name).into_owned();
    let start = name.chars().take(12).map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect::<String>();
    let is = |known: &str| start == known || start.strip_prefix(known).is_some_and(|rest| rest.starts_with('-'));
    if is("utf-8") {
        "utf-8".into()
    } else if ["latin-1", "iso-8859-1", "iso-latin-1"].into_iter().any(is) {
        "iso-8859-1".into()
    } else {
        name
    }
}

/// Characters that a codec of Python's maps elsewhere than its namesake of the WHATWG.
type Differences = &'static [(char, char)];

/// Bytes that a codec of Python's reads unlike its namesake of the WHATWG: what they are; nothing for what it refuses.
type Exceptions = &'static [(&'static [u8], &'static str)];

#[derive(Debug, Clone, Copy)]
enum Codec {
    Utf8,
    Ascii,
    Latin1,
    /// Latin-1 below U+00A0, a table above.
    Latin(&'static Encoding),
    Table(&'static Encoding, Differences),
    /// A table but for some bytes.
    Except(&'static Encoding, Exceptions),
}

const JIS: Differences = &[
    ('\u{ff5e}', '\u{301c}'),
    ('\u{2225}', '\u{2016}'),
    ('\u{ff0d}', '\u{2212}'),
    ('\u{ffe0}', '\u{a2}'),
    ('\u{ffe1}', '\u{a3}'),
    ('\u{ffe2}', '\u{ac}'),
];
const GB2312: Differences = &[('\u{b7}', '\u{30fb}'), ('\u{2014}', '\u{2015}')];

const GB18030: Exceptions = &[
    (b"\x80", ""),
    (b"\xa3\xa0", "\u{e5e5}"),
    (b"\xa6\xd9", "\u{e78d}"),
    (b"\xa6\xda", "\u{e78e}"),
    (b"\xa6\xdb", "\u{e78f}"),
    (b"\xa6\xdc", "\u{e790}"),
    (b"\xa6\xdd", "\u{e791}"),
    (b"\xa6\xde", "\u{e792}"),
    (b"\xa6\xdf", "\u{e793}"),
    (b"\xa6\xec", "\u{e794}"),
    (b"\xa6\xed", "\u{e795}"),
    (b"\xa6\xf3", "\u{e796}"),
    (b"\xa8\xbc", "\u{e7c7}"),
    (b"\xfe\x59", "\u{e81e}"),
    (b"\xfe\x61", "\u{e826}"),
    (b"\xfe\x66", "\u{e82b}"),
    (b"\xfe\x67", "\u{e82c}"),
    (b"\xfe\x6d", "\u{e832}"),
    (b"\xfe\x7e", "\u{e843}"),
    (b"\xfe\x90", "\u{e854}"),
    (b"\xfe\xa0", "\u{e864}"),
    (b"\x81\x35\xf4\x37", "\u{1e3f}"),
];
const CP932: Exceptions =
    &[(b"\x80", "\u{80}"), (b"\xa0", "\u{f8f0}"), (b"\xfd", "\u{f8f1}"), (b"\xfe", "\u{f8f2}"), (b"\xff", "\u{f8f3}")];
const KOI8_U: Exceptions = &[(b"\xae", "\u{255d}"), (b"\xbe", "\u{256c}")];
const CP1255: Exceptions = &[(b"\xca", "")];
const BIG5HKSCS: Exceptions = &[
    (b"\xa1\x45", "\u{2022}"),
    (b"\xa1\x4e", "\u{ff64}"),
    (b"\xa1\xc2", "\u{203e}"),
    (b"\xa1\xe3", "\u{223c}"),
    (b"\xa1\xf2", "\u{2641}"),
    (b"\xa1\xf3", "\u{2609}"),
    (b"\xa2\x41", "\u{ff0f}"),
    (b"\xa2\x42", "\u{ff3c}"),
    (b"\xa2\x44", "\u{a5}"),
    (b"\xa2\x46", "\u{a2}"),
    (b"\xa2\x47", "\u{a3}"),
];

/// Codecs by the names that Python's `encodings` knows them by, and whose tables agree with Python's on all that
/// Python decodes.
const CODECS: &[(&[&str], Codec)] = &[
    (&["utf_8", "u8", "utf", "utf8", "utf8_ucs2", "utf8_ucs4", "cp65001", "utf_8_sig"], Codec::Utf8),
    (
        &[
            "ascii",
            "646",
            "ansi_x3_4_1968",
            "ansi_x3_4_1986",
            "iso_646_irv_1991",
            "us_ascii",
            "us",
            "iso646_us",
            "cp367",
            "ibm367",
            "csascii",
            "iso_ir_6",
        ],
        Codec::Ascii,
    ),
    (
        &[
            "latin_1",
            "8859",
            "cp819",
            "csisolatin1",
            "ibm819",
            "iso8859",
            "iso8859_1",
            "iso_8859_1",
            "iso_8859_1_1987",
            "iso_ir_100",
            "l1",
            "latin",
            "latin1",
        ],
        Codec::Latin1,
    ),
    (
        &["iso8859_2", "iso_8859_2", "iso_8859_2_1987", "iso_ir_101", "csisolatin2", "latin2", "l2"],
        Codec::Table(rs::ISO_8859_2, &[]),
    ),
    (
        &["iso8859_3", "iso_8859_3", "iso_8859_3_1988", "iso_ir_109", "csisolatin3", "latin3", "l3"],
        Codec::Table(rs::ISO_8859_3, &[]),
    ),
    (
        &["iso8859_4", "iso_8859_4", "iso_8859_4_1988", "iso_ir_110", "csisolatin4", "latin4", "l4"],
        Codec::Table(rs::ISO_8859_4, &[]),
    ),
    (
        &["iso8859_5", "iso_8859_5", "iso_8859_5_1988", "iso_ir_144", "csisolatincyrillic", "cyrillic"],
        Codec::Table(rs::ISO_8859_5, &[]),
    ),
    (
        &[
            "iso8859_6",
            "iso_8859_6",
            "iso_8859_6_1987",
            "iso_ir_127",
            "csisolatinarabic",
            "asmo_708",
            "ecma_114",
            "arabic",
        ],
        Codec::Table(rs::ISO_8859_6, &[]),
    ),
    (
        &[
            "iso8859_7",
            "iso_8859_7",
            "iso_8859_7_1987",
            "iso_ir_126",
            "csisolatingreek",
            "ecma_118",
            "elot_928",
            "greek",
            "greek8",
        ],
        Codec::Table(rs::ISO_8859_7, &[]),
    ),
    (
        &["iso8859_8", "iso_8859_8", "iso_8859_8_1988", "iso_ir_138", "csisolatinhebrew", "hebrew"],
        Codec::Table(rs::ISO_8859_8, &[]),
    ),
    (
        &["iso8859_9", "iso_8859_9", "iso_8859_9_1989", "iso_ir_148", "csisolatin5", "latin5", "l5"],
        Codec::Latin(rs::WINDOWS_1254),
    ),
    (
        &["iso8859_10", "iso_8859_10", "iso_8859_10_1992", "iso_ir_157", "csisolatin6", "latin6", "l6"],
        Codec::Table(rs::ISO_8859_10, &[]),
    ),
    (&["iso8859_13", "iso_8859_13", "latin7", "l7"], Codec::Table(rs::ISO_8859_13, &[])),
    (
        &["iso8859_14", "iso_8859_14", "iso_8859_14_1998", "iso_celtic", "iso_ir_199", "latin8", "l8"],
        Codec::Table(rs::ISO_8859_14, &[]),
    ),
    (&["iso8859_15", "iso_8859_15", "latin9", "l9"], Codec::Table(rs::ISO_8859_15, &[])),
    (
        &["iso8859_16", "iso_8859_16", "iso_8859_16_2001", "iso_ir_226", "latin10", "l10"],
        Codec::Table(rs::ISO_8859_16, &[]),
    ),
    (&["cp1250", "1250", "windows_1250"], Codec::Table(rs::WINDOWS_1250, &[])),
    (&["cp1251", "1251", "windows_1251"], Codec::Table(rs::WINDOWS_1251, &[])),
    (&["cp1252", "1252", "windows_1252"], Codec::Table(rs::WINDOWS_1252, &[])),
    (&["cp1253", "1253", "windows_1253"], Codec::Table(rs::WINDOWS_1253, &[])),
    (&["cp1254", "1254", "windows_1254"], Codec::Table(rs::WINDOWS_1254, &[])),
    (&["cp1256", "1256", "windows_1256"], Codec::Table(rs::WINDOWS_1256, &[])),
    (&["cp1257", "1257", "windows_1257"], Codec::Table(rs::WINDOWS_1257, &[])),
    (&["cp1258", "1258", "windows_1258"], Codec::Table(rs::WINDOWS_1258, &[])),
    (&["cp866", "866", "ibm866", "csibm866"], Codec::Table(rs::IBM866, &[])),
    (&["koi8_r", "cskoi8r"], Codec::Table(rs::KOI8_R, &[])),
    (&["mac_roman", "macintosh", "macroman"], Codec::Table(rs::MACINTOSH, &[])),
    (&["mac_cyrillic", "maccyrillic"], Codec::Table(rs::X_MAC_CYRILLIC, &[])),
    (
        &[
            "euc_kr",
            "euckr",
            "korean",
            "ksc5601",
            "ks_c_5601",
            "ks_c_5601_1987",
            "ksx1001",
            "ks_x_1001",
            "x_mac_korean",
            "cp949",
            "949",
            "ms949",
            "uhc",
        ],
        Codec::Table(rs::EUC_KR, &[]),
    ),
    (&["gbk", "936", "cp936", "ms936"], Codec::Table(rs::GBK, &[])),
    (
        &[
            "gb2312",
            "chinese",
            "euc_cn",
            "euccn",
            "gb2312_80",
            "csiso58gb231280",
            "eucgb2312_cn",
            "gb2312_1980",
            "iso_ir_58",
            "x_mac_simp_chinese",
        ],
        Codec::Table(rs::GBK, GB2312),
    ),
    (&["euc_jp", "eucjp", "ujis", "u_jis"], Codec::Table(rs::EUC_JP, JIS)),
    (&["shift_jis", "shiftjis", "sjis", "s_jis", "csshiftjis", "x_mac_japanese"], Codec::Table(rs::SHIFT_JIS, JIS)),
    (&["gb18030", "gb18030_2000"], Codec::Except(rs::GB18030, GB18030)),
    (&["big5hkscs", "big5_hkscs", "hkscs"], Codec::Except(rs::BIG5, BIG5HKSCS)),
    (&["cp932", "932", "ms932", "mskanji", "ms_kanji", "windows_31j"], Codec::Except(rs::SHIFT_JIS, CP932)),
    (&["koi8_u"], Codec::Except(rs::KOI8_U, KOI8_U)),
    (&["cp1255", "1255", "windows_1255"], Codec::Except(rs::WINDOWS_1255, CP1255)),
    (&["cp874"], Codec::Table(rs::WINDOWS_874, &[])),
    (&["iso8859_11", "thai", "iso_8859_11", "iso_8859_11_2001"], Codec::Latin(rs::WINDOWS_874)),
];

impl Codec {
    fn by_name(name: &str) -> Result<Self, PythonError> {
        let key = name.to_ascii_lowercase().replace(['-', ' ', '.'], "_");
        let known = CODECS.iter().find(|(names, _)| names.contains(&key.as_str()));
        known.map(|(_, codec)| *codec).ok_or_else(|| PythonError {
            unsupported: true,
            ..PythonError::new("SyntaxError", format!("unknown encoding: {name}"), None)
        })
    }

    fn decode(self, bytes: &[u8], start: usize) -> Result<Decoded<'_>, PythonError> {
        let body = &bytes[start..];
        if matches!(self, Self::Utf8 | Self::Ascii) || body.is_ascii() {
            return decode_utf8(bytes, start, matches!(self, Self::Ascii));
        }
        let mut builder = Builder::new(start, body.len());
        match self {
            Self::Utf8 | Self::Ascii | Self::Latin1 => {
                body.iter().zip(start + 1..).for_each(|(byte, end)| builder.push(char::from(*byte), end));
            }
            Self::Latin(encoding) => {
                for (at, byte) in (start..).zip(body) {
                    match *byte {
                        byte @ ..0xa0 => builder.push(char::from(byte), at + 1),
                        _ => decode_table(encoding, &[], &[], bytes, at..at + 1, &mut builder)?,
                    }
                }
            }
            Self::Table(encoding, differences) => {
                decode_table(encoding, differences, &[], bytes, start..bytes.len(), &mut builder)?;
            }
            Self::Except(encoding, exceptions) => {
                decode_table(encoding, &[], exceptions, bytes, start..bytes.len(), &mut builder)?;
            }
        }
        Ok(builder.finish())
    }
}

fn decode_utf8(bytes: &[u8], start: usize, ascii: bool) -> Result<Decoded<'_>, PythonError> {
    let body = &bytes[start..];
    if ascii && let Some(at) = body.iter().position(|byte| !byte.is_ascii()) {
        return Err(error("'ascii' codec can't decode byte", bytes, start + at, 1));
    }
    let text = std::str::from_utf8(body).map_err(|e| {
        let length = e.error_len().unwrap_or(body.len() - e.valid_up_to());
        error("(unicode error) 'utf-8' codec can't decode byte", bytes, start + e.valid_up_to(), length)
    })?;
    if text.starts_with('\u{feff}') {
        return Err(error("invalid non-printable character U+FEFF", bytes, start, BOM.len()));
    }
    if memchr(b'\r', body).is_none() {
        return Ok(Decoded { text: Cow::Borrowed(text), offsets: OffsetMap::shifted(start as u32) });
    }
    let mut builder = Builder::new(start, body.len());
    text.char_indices().for_each(|(at, c)| builder.push(c, start + at + c.len_utf8()));
    Ok(builder.finish())
}

/// Decodes a byte at a time, which tells the bytes that make up each character.
fn decode_table(
    encoding: &'static Encoding,
    differences: Differences,
    exceptions: Exceptions,
    bytes: &[u8],
    range: std::ops::Range<usize>,
    builder: &mut Builder,
) -> Result<(), PythonError> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut characters = String::with_capacity(16);
    let (mut first, mut at) = (range.start, range.start);
    let refused = |first: usize, end: usize| {
        let codec = encoding.name().to_ascii_lowercase();
        error(&format!("'{codec}' codec can't decode byte"), bytes, first, end - first)
    };
    // Python's tables leave out what the WHATWG fills up with C1 controls.
    let knows_controls = encoding.name().starts_with("ISO") || encoding == rs::GB18030;
    while at < range.end {
        let exception = exceptions.iter().filter(|_| first == at).find(|(special, _)| bytes[at..].starts_with(special));
        if let Some((special, text)) = exception {
            at += special.len();
            if text.is_empty() {
                return Err(refused(first, at));
            }
            text.chars().for_each(|c| builder.push(c, at));
            first = at;
            continue;
        }
        characters.clear();
        let last = at + 1 == range.end;
        let (result, _) = decoder.decode_to_string_without_replacement(&bytes[at..=at], &mut characters, last);
        at += 1;
        let control = !knows_controls && characters.chars().any(|c| ('\u{80}'..'\u{a0}').contains(&c));
        if matches!(result, DecoderResult::Malformed(..)) || control {
            return Err(refused(first, at));
        }
        for c in characters.chars() {
            let c = differences.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to);
            builder.push(c, at);
            first = at;
        }
    }
    Ok(())
}

/// Collects decoded characters, unifies line ends, and notes where bytes and text advance differently.
struct Builder {
    text: String,
    offsets: OffsetMap,
    /// Decoded minus original, of the stretch at hand.
    drift: i64,
    after_cr: bool,
}

impl Builder {
    fn new(start: usize, capacity: usize) -> Self {
        Self {
            text: String::with_capacity(capacity),
            offsets: OffsetMap::shifted(start as u32),
            drift: -(start as i64),
            after_cr: false,
        }
    }

    /// Appends a character whose original bytes end before `end`.
    #[inline]
    fn push(&mut self, c: char, end: usize) {
        let completes_crlf = c == '\n' && self.after_cr;
        self.after_cr = c == '\r';
        if !completes_crlf {
            self.text.push(if c == '\r' { '\n' } else { c });
        }
        let drift = self.text.len() as i64 - end as i64;
        if drift != self.drift {
            self.drift = drift;
            self.offsets.push(self.text.len() as u32, end as u32);
        }
    }

    fn finish(self) -> Decoded<'static> {
        Decoded { text: Cow::Owned(self.text), offsets: self.offsets }
    }
}

fn error(message: &str, bytes: &[u8], at: usize, length: usize) -> PythonError {
    let line_start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |newline| newline + 1);
    let lineno = memchr_iter(b'\n', &bytes[..at]).count() as i32 + 1;
    let span = Span {
        bstart: at as i32,
        bend: (at + length) as i32,
        lineno,
        col_offset: (at - line_start) as i32,
        end_lineno: lineno,
        end_col_offset: (at + length - line_start) as i32,
    };
    PythonError::new("SyntaxError", message, Some(span))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8]) -> Result<String, String> {
        decode(bytes).map(|d| d.text.into_owned()).map_err(|e| e.message)
    }

    fn originals(bytes: &[u8]) -> Vec<u32> {
        let decoded = decode(bytes).unwrap();
        let locator = super::super::Locator::new(&decoded.offsets, &[0]);
        decoded.text.char_indices().map(|(at, _)| locator.original(at as u32)).collect()
    }

    #[test]
    fn the_cookie_is_read_as_cpython_reads_it() {
        assert_eq!(text(b"# -*- coding: latin-1 -*-\nx='\xe9'").unwrap(), "# -*- coding: latin-1 -*-\nx='é'");
        assert_eq!(text(b"#!/bin/sh\n# vim: set fileencoding=koi8-r :\n'\xc1'").unwrap().chars().last(), Some('\''));
        assert!(text(b"x = 1\n# coding: latin-1\n'\xe9'").is_err(), "a statement ends the search");
        assert!(text(b"\n\n# coding: latin-1\n'\xe9'").is_err(), "the third line is too late");
        assert!(text(b"# coding: no-such-codec\n").unwrap_err().contains("unknown encoding"));
        assert!(text(b"\xef\xbb\xbf# coding: latin-1\n").unwrap_err().contains("with BOM"));
        assert!(text(b"\xef\xbb\xbf# coding: utf8\n").unwrap_err().contains("with BOM"), "only utf-8 goes with a BOM");
        assert_eq!(text(b"\xef\xbb\xbf# coding: UTF_8\n").unwrap(), "# coding: UTF_8\n");
        assert!(text(b"# coding: cp1252\n'\x81'").is_err(), "the WHATWG's C1 controls are not Python's");
        assert_eq!(text(b"# coding: sjis\n'\x81\x60'").unwrap(), "# coding: sjis\n'\u{301c}'");
        assert_eq!(text(b"# coding: iso8859-9\n'\x80\xd0'").unwrap(), "# coding: iso8859-9\n'\u{80}\u{11e}'");
    }

    #[test]
    fn refusals_say_where() {
        let at = |bytes: &[u8]| decode(bytes).unwrap_err().span.map(|s| (s.bstart, s.lineno, s.col_offset));
        assert_eq!(at(b"x\ny\0"), Some((3, 2, 1)));
        assert_eq!(at(b"x\n'\xff'"), Some((3, 2, 1)));
        assert_eq!(at(b"\xef\xbb\xbf\xef\xbb\xbfx"), Some((3, 1, 3)));
        assert_eq!(at(b"# coding: ascii\n\xc3\xa9"), Some((16, 2, 0)));
    }

    #[test]
    fn line_ends_are_unified_and_mapped() {
        assert_eq!(text(b"a\r\nb\rc\n\rd\r\n").unwrap(), "a\nb\nc\n\nd\n");
        assert_eq!(originals(b"a\r\nb\rc"), [0, 1, 3, 4, 5]);
        assert_eq!(originals(b"\xef\xbb\xbfa\r\n\xc3\xa9b"), [3, 4, 6, 8]);
        assert_eq!(originals(b"#coding:l1\n\xe9\xe9x")[10..], [10, 11, 12, 13]);
    }

    proptest! {
        #[test]
        fn utf8_text_maps_onto_itself(text in "[a-zé\u{1f600}\r\n]{0,60}") {
            let bytes = text.as_bytes();
            let decoded = decode(bytes).unwrap();
            let locator = super::super::Locator::new(&decoded.offsets, &[0]);
            for (at, c) in decoded.text.char_indices() {
                let original = locator.original(at as u32) as usize;
                let there = text[original..].chars().next().unwrap();
                prop_assert!(there == c || (c == '\n' && there == '\r'));
            }
            prop_assert_eq!(locator.original(decoded.text.len() as u32) as usize, bytes.len());
        }
    }
}
