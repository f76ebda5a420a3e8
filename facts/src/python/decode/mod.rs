//! From a file's bytes to its text, by the rules of CPython's tokenizer.

mod cookie;
mod iso2022;
mod table;
mod text;

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2_iter, memrchr2_iter};

use self::cookie::{Cookie, cookie, normal_name};
use self::iso2022::{HZ, Iso2022, decode_hz};
use self::table::Table;
use self::text::Builder;
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
/// CPython before 3.14 does not look at bytes of UTF-8 before a token needs them: see [`decode_tolerantly`].
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
    let start = body_start(bytes);
    let Some(Cookie { name, line }) = cookie(&bytes[start..]) else { return undeclared(bytes, start) };
    let name = normal_name(name);
    if name == "utf-8" {
        return undeclared(bytes, start);
    }
    if start > 0 {
        let message = format!("encoding problem: {name} with BOM");
        return Err(error(&message, bytes, start + line.start, line.len()));
    }
    Codec::by_name(&name)?.decode(bytes, start)
}

/// Decodes a file as [`decode`] does, with U+FFFD where bytes are not UTF-8 although nothing else is declared. Where in
/// the text these stand comes with it.
///
/// # Errors
/// Whatever else [`decode`] refuses.
pub(super) fn decode_tolerantly(bytes: &[u8]) -> Result<(Decoded<'_>, Vec<u32>), PythonError> {
    match decode(bytes) {
        Err(error) if error.message.starts_with(UNICODE_ERROR) => {
            let mut at = body_start(bytes);
            let mut builder = Builder::new(at, bytes.len());
            let mut foreign = vec![];
            for chunk in bytes[at..].utf8_chunks() {
                for c in chunk.valid().chars() {
                    at += c.len_utf8();
                    builder.push(c, at);
                }
                if !chunk.invalid().is_empty() {
                    foreign.push(builder.len() as u32);
                    at += chunk.invalid().len();
                    builder.push(char::REPLACEMENT_CHARACTER, at);
                }
            }
            Ok((builder.finish(), foreign))
        }
        decoded => Ok((decoded?, vec![])),
    }
}

/// How the message begins that the tokenizer or the parser gives where a token is not UTF-8.
pub(super) const UNICODE_ERROR: &str = "(unicode error) ";

/// What CPython's decoder of UTF-8 says of the first bytes it can't decode, and where these are.
pub(super) fn fault(bytes: &[u8]) -> Option<(Range<usize>, String)> {
    let refused = std::str::from_utf8(bytes).err()?;
    let at = refused.valid_up_to();
    let end = refused.error_len().map_or(bytes.len(), |length| at + length);
    let why = match (refused.error_len(), bytes[at]) {
        (None, _) => "unexpected end of data",
        (_, 0x80..=0xc1 | 0xf5..) => "invalid start byte",
        _ => "invalid continuation byte",
    };
    let what = match end - at {
        1 => format!("byte 0x{:02x} in position {at}", bytes[at]),
        _ => format!("bytes in position {at}-{}", end - 1),
    };
    Some((at..end, format!("'utf-8' codec can't decode {what}: {why}")))
}

/// Where the text begins: behind the byte order mark, if there is one.
fn body_start(bytes: &[u8]) -> usize {
    if bytes.starts_with(BOM) { BOM.len() } else { 0 }
}

/// The name of a file's encoding, as `tokenize.detect_encoding` gives it.
pub fn source_encoding(bytes: &[u8]) -> String {
    match bytes.strip_prefix(BOM) {
        Some(_) => "utf-8-sig".into(),
        None => cookie(bytes).map_or_else(|| "utf-8".into(), |cookie| normal_name(cookie.name)),
    }
}

/// A codec that Python's `encodings` has.
#[derive(Debug, Clone, Copy)]
enum Codec {
    Utf8,
    Ascii,
    Latin1,
    Table(&'static Table),
    Iso2022(Iso2022),
    Hz,
}

/// Codecs that need no table, by the names that Python's `encodings` knows them by.
const CODECS: &[(&[&str], Codec)] = &[
    (&["utf_8", "u8", "utf", "utf8", "utf8_ucs2", "utf8_ucs4", "cp65001", "utf_8_sig"], Codec::Utf8),
    (
        &[
            "ascii",
            "646",
            "ansi_x3.4_1968",
            "ansi_x3_4_1968",
            "ansi_x3.4_1986",
            "cp367",
            "csascii",
            "ibm367",
            "iso646_us",
            "iso_646.irv_1991",
            "iso_ir_6",
            "us",
            "us_ascii",
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
    (HZ, Codec::Hz),
];

/// Encodings of CPython's that no file of code is written in: it could not hold its own cookie, means other text than it
/// shows, or is there on one system only.
const UNSUPPORTED: &[&str] = &[
    "charmap",
    "idna",
    "mbcs",
    "ansi",
    "dbcs",
    "oem",
    "punycode",
    "raw_unicode_escape",
    "undefined",
    "unicode_escape",
    "utf_16",
    "u16",
    "utf16",
    "utf_16_be",
    "unicodebigunmarked",
    "utf_16be",
    "utf_16_le",
    "unicodelittleunmarked",
    "utf_16le",
    "utf_32",
    "u32",
    "utf32",
    "utf_32_be",
    "utf_32be",
    "utf_32_le",
    "utf_32le",
    "utf_7",
    "u7",
    "utf7",
    "unicode_1_1_utf_7",
];

/// What `encodings` makes of a name: words of letters, digits and points, with one `_` between them.
fn key(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("_")
}

impl Codec {
    fn by_name(name: &str) -> Result<Self, PythonError> {
        let key = key(name);
        // As an alias, then with `_` for its points, then as a module, whose name has no points.
        for key in [key.clone(), key.replace('.', "_")] {
            let plain = CODECS.iter().find(|(names, _)| names.contains(&key.as_str())).map(|(_, codec)| *codec);
            let stateless = || Table::named(&key).map(Self::Table);
            if let Some(codec) = plain.or_else(stateless).or_else(|| Iso2022::named(&key).map(Self::Iso2022)) {
                return Ok(codec);
            }
        }
        let unsupported = UNSUPPORTED.contains(&key.as_str());
        let what = if unsupported { "the encoding is not supported" } else { "unknown encoding" };
        Err(PythonError { unsupported, ..PythonError::new("SyntaxError", format!("{what}: {name}"), None) })
    }

    fn decode(self, bytes: &[u8], start: usize) -> Result<Decoded<'_>, PythonError> {
        let body = &bytes[start..];
        let of_ascii = match self {
            Self::Utf8 | Self::Ascii | Self::Latin1 => true,
            Self::Table(table) => table.ascii,
            Self::Iso2022(_) | Self::Hz => false,
        };
        if matches!(self, Self::Ascii)
            && let Some(at) = body.iter().position(|byte| !byte.is_ascii())
        {
            return Err(cant_decode("ascii", "ordinal not in range(128)", bytes, start + at));
        }
        if matches!(self, Self::Utf8) && std::str::from_utf8(body).is_err() {
            // To the decoder, the last line is ended like the others.
            let (place, message) = fault(&[body, b"\n"].concat()).unwrap_or_default();
            return Err(error(&message, bytes, start + place.start, place.len()));
        }
        if matches!(self, Self::Utf8) || (of_ascii && body.is_ascii()) {
            return undeclared(bytes, start);
        }
        let mut builder = Builder::new(start, body.len());
        let refused = match self {
            Self::Utf8 | Self::Ascii | Self::Latin1 => {
                body.iter().zip(start + 1..).for_each(|(byte, end)| builder.push(char::from(*byte), end));
                Ok(())
            }
            Self::Table(table) => table.decode(bytes, start, &mut builder).map_err(|at| (at, table.python_name())),
            Self::Iso2022(codec) => codec.decode(bytes, start, &mut builder).map_err(|at| (at, codec.name())),
            Self::Hz => decode_hz(bytes, start, &mut builder).map_err(|at| (at, "hz")),
        };
        match refused {
            Ok(()) => Ok(builder.finish()),
            Err((at, name)) => {
                let why =
                    if name == "charmap" { "character maps to <undefined>" } else { "illegal multibyte sequence" };
                Err(cant_decode(name, why, bytes, at))
            }
        }
    }
}

/// CPython's `UnicodeDecodeError` at a byte.
fn cant_decode(codec: &str, why: &str, bytes: &[u8], at: usize) -> PythonError {
    let byte = bytes.get(at).copied().unwrap_or_default();
    error(&format!("'{codec}' codec can't decode byte 0x{byte:02x} in position {at}: {why}"), bytes, at, 1)
}

/// Decodes a file that says nothing of its encoding, or that it is UTF-8.
fn undeclared(bytes: &[u8], start: usize) -> Result<Decoded<'_>, PythonError> {
    let body = &bytes[start..];
    let Ok(text) = std::str::from_utf8(body) else {
        let (place, message) = fault(body).unwrap_or_default();
        return Err(error(&format!("{UNICODE_ERROR}{message}"), bytes, start + place.start, place.len()));
    };
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

fn error(message: &str, bytes: &[u8], at: usize, length: usize) -> PythonError {
    // The first line begins behind the byte order mark.
    let first = if bytes[..at].starts_with(BOM) { BOM.len() } else { 0 };
    // A line ends where it does in the text: the newline of a pair ends it.
    let ends = |end: &usize| bytes[*end] == b'\n' || bytes.get(end + 1) != Some(&b'\n');
    let line_start = memrchr2_iter(b'\n', b'\r', &bytes[..at]).find(ends).map_or(first, |end| end + 1);
    let lineno = memchr2_iter(b'\n', b'\r', &bytes[..at]).filter(ends).count() as i32 + 1;
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
        let other = decode(b"\xef\xbb\xbf\n# coding: latin-1\n").unwrap_err();
        assert_eq!(other.message, "encoding problem: iso-8859-1 with BOM");
        assert_eq!(other.span.map(|span| (span.lineno, span.col_offset, span.end_col_offset)), Some((2, 0, 17)));
        assert!(text(b"\xef\xbb\xbf# coding: utf8\n").unwrap_err().contains("with BOM"), "only utf-8 goes with a BOM");
        let undecodable = decode(b"\xef\xbb\xbfx = '\xff'\n").unwrap_err();
        assert_eq!(undecodable.span.unwrap().col_offset, 5, "columns count from behind the BOM");
        assert_eq!(text(b"\xef\xbb\xbf# coding: UTF_8\n").unwrap(), "# coding: UTF_8\n");
        assert!(text(b"# coding: cp1252\n'\x81'").is_err(), "the WHATWG's C1 controls are not Python's");
        assert_eq!(text(b"# coding: sjis\n'\x81\x60'").unwrap(), "# coding: sjis\n'\u{301c}'");
        assert_eq!(text(b"# coding: iso8859-9\n'\x80\xd0'").unwrap(), "# coding: iso8859-9\n'\u{80}\u{11e}'");
    }

    #[test]
    fn codecs_are_pythons() {
        for (file, expected) in [
            (b"# coding: big5\n'\xa4\xa4\xa4\xe5'".as_slice(), "# coding: big5\n'中文'"),
            (b"# coding: CP950\n'\xa4\xa4'", "# coding: CP950\n'中'"),
            (b"# coding: big5-hkscs\n'\x88\x62'", "# coding: big5-hkscs\n'\u{ca}\u{304}'"),
            (b"# coding: iso2022_jp\n'\x1b$BF|K\\\x1b(B'", "# coding: iso2022_jp\n'日本'"),
            (b"# coding: iso-2022-kr\n\x1b$)C'\x0e0!\x0f'", "# coding: iso-2022-kr\n'가'"),
            (b"# coding: hz\n'~{VPND~}'", "# coding: hz\n'中文'"),
            (b"# coding: euc_jis_2004\n'\xa6\xee'", "# coding: euc_jis_2004\n'ㇰ'"),
            (b"# coding: johab\n'\x88\x61'", "# coding: johab\n'가'"),
            (b"# coding: gb18030\n'\x81\x30\x81\x30'", "# coding: gb18030\n'\u{80}'"),
            (b"# coding: cp437\n'\x80'", "# coding: cp437\n'Ç'"),
            (b"# coding: shift_jis_2004\n\x5c", "# coding: shift_jis_2004\n¥"),
        ] {
            assert_eq!(text(file).as_deref(), Ok(expected));
        }
        let error = |file: &[u8]| decode(file).map(|_| ()).map_err(|e| (e.unsupported, e.message));
        let words = |unsupported, message: &str| Err((unsupported, message.to_owned()));
        let big5 = "'big5' codec can't decode byte 0xff in position 16: illegal multibyte sequence";
        assert_eq!(error(b"# coding: big5\n'\xff'"), words(false, big5));
        let cp1252 = "'charmap' codec can't decode byte 0x81 in position 18: character maps to <undefined>";
        assert_eq!(error(b"# coding: cp1252\n'\x81'"), words(false, cp1252));
        assert_eq!(error(b"# coding: utf-16-le\n"), words(true, "the encoding is not supported: utf-16-le"));
        assert_eq!(error(b"# coding: nope\n"), words(false, "unknown encoding: nope"));
    }

    #[test]
    fn refusals_say_where() {
        let at = |bytes: &[u8]| decode(bytes).unwrap_err().span.map(|s| (s.bstart, s.lineno, s.col_offset));
        assert_eq!(at(b"x\ny\0"), Some((3, 2, 1)));
        assert_eq!(at(b"x\n'\xff'"), Some((3, 2, 1)));
        assert_eq!(at(b"x\r\r'\xff'"), Some((4, 3, 1)));
        assert_eq!(at(b"x\n\r\n\r\n'\xff'"), Some((7, 4, 1)));
        assert_eq!(at(b"\xef\xbb\xbf\xef\xbb\xbfx"), Some((3, 1, 0)));
        assert_eq!(at(b"# coding: ascii\n\xc3\xa9"), Some((16, 2, 0)));
    }

    #[test]
    fn line_ends_are_unified_and_mapped() {
        assert_eq!(text(b"a\r\nb\rc\n\rd\r\n").unwrap(), "a\nb\nc\n\nd\n");
        assert_eq!(originals(b"a\r\nb\rc"), [0, 1, 3, 4, 5]);
        assert_eq!(originals(b"\xef\xbb\xbfa\r\n\xc3\xa9b"), [3, 4, 6, 8]);
        assert_eq!(originals(b"#coding:l1\n\xe9\xe9x")[10..], [10, 11, 12, 13]);
        assert_eq!(originals(b"#coding:big5\n\xa4\xa4x\xa4\xe5")[12..], [12, 13, 15, 16]);
        assert_eq!(originals(b"#coding:hz\na~{VPND~}b")[11..], [11, 12, 16, 18], "an escape is before what follows it");
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
