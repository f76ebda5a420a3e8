//! Text encodings: how a file's is found, and its bytes decoded.

use std::borrow::Cow;

use encoding_rs::{Encoding as Codec, UTF_16BE, UTF_16LE};

use crate::language::Language;
use crate::lines::lines;

/// Git's rule: a NUL in so many first bytes makes a file binary.
const BINARY_SAMPLE: usize = 8000;

/// Encoding of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, which ASCII is part of.
    Utf8,
    /// UTF-8 that opens with a byte order mark.
    Utf8Sig,
    /// UTF-16, little endian, by its byte order mark.
    Utf16Le,
    /// UTF-16, big endian, by its byte order mark.
    Utf16Be,
    /// ISO 8859-1: every byte is the character of that number.
    Latin1,
    /// What a PEP 263 cookie names besides these.
    Declared(&'static Codec),
    /// Neither declared nor valid UTF-8 (the name is RFC 1428's).
    Unknown8Bit,
}

impl Encoding {
    /// The encoding of a file, or `None` if it is binary.
    ///
    /// A byte order mark decides, then for Python the cookie of PEP 263, then whether the bytes are UTF-8. A cookie that
    /// names no known encoding, or one that text cannot be read by its lines in, is passed over.
    pub fn detect(bytes: &[u8], language: Option<Language>) -> Option<Self> {
        let sample = &bytes[..bytes.len().min(BINARY_SAMPLE)];
        let utf16 = match bytes {
            // UTF-32's mark begins like UTF-16's; its NULs make it binary below.
            [0xFF, 0xFE, 0, 0, ..] => None,
            [0xFF, 0xFE, ..] => Some((Self::Utf16Le, UTF_16LE)),
            [0xFE, 0xFF, ..] => Some((Self::Utf16Be, UTF_16BE)),
            _ => None,
        };
        if let Some((encoding, codec)) = utf16 {
            // The sample may end between the halves of a pair, which is no fault of the file.
            let mut text = String::with_capacity(3 * sample.len());
            let (_, _, malformed) = codec.new_decoder_without_bom_handling().decode_to_string(sample, &mut text, false);
            return (!malformed).then_some(encoding);
        }
        if memchr::memchr(0, sample).is_some() {
            return None;
        }
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            return Some(Self::Utf8Sig);
        }
        if matches!(language, Some(Language::Python | Language::Cython))
            && let Some(declared) = cookie(bytes).and_then(Self::by_python_name)
        {
            return Some(declared);
        }
        Some(if str::from_utf8(bytes).is_ok() { Self::Utf8 } else { Self::Unknown8Bit })
    }

    /// The encoding Python means by a name, where it is neither UTF-8 nor part of it.
    fn by_python_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase().replace('_', "-");
        match name.as_str() {
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "iso-latin-1" | "l1" | "cp819" => {
                return Some(Self::Latin1);
            }
            "ascii" | "us-ascii" | "646" => return None,
            _ => {}
        }
        let alias = match name.as_str() {
            "cp932" | "mskanji" => "windows-31j".into(),
            "cp936" => "gbk".into(),
            "cp949" => "windows-949".into(),
            "cp950" => "big5".into(),
            "latin-9" | "latin9" => "iso-8859-15".into(),
            "mac-roman" => "macintosh".into(),
            _ => name.replace("cp125", "windows-125"),
        };
        let codec = Codec::for_label(alias.as_bytes())?;
        (codec.is_ascii_compatible() && codec != encoding_rs::UTF_8).then_some(Self::Declared(codec))
    }

    /// Name in tables, lower-case.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Utf8 => "utf-8".into(),
            Self::Utf8Sig => "utf-8-sig".into(),
            Self::Utf16Le => "utf-16-le".into(),
            Self::Utf16Be => "utf-16-be".into(),
            Self::Latin1 => "iso-8859-1".into(),
            Self::Declared(codec) => codec.name().to_ascii_lowercase().into(),
            Self::Unknown8Bit => "unknown-8bit".into(),
        }
    }

    /// Length of the byte order mark.
    pub fn bom_len(self) -> usize {
        match self {
            Self::Utf8Sig => 3,
            Self::Utf16Le | Self::Utf16Be => 2,
            Self::Utf8 | Self::Latin1 | Self::Declared(_) | Self::Unknown8Bit => 0,
        }
    }

    /// Text of bytes that begin after the mark, and whether some were replaced by U+FFFD.
    pub fn decode(self, bytes: &[u8]) -> (Cow<'_, str>, bool) {
        match self {
            Self::Utf8 | Self::Utf8Sig | Self::Unknown8Bit => match str::from_utf8(bytes) {
                Ok(text) => (text.into(), false),
                Err(_) => (String::from_utf8_lossy(bytes), true),
            },
            Self::Utf16Le => UTF_16LE.decode_without_bom_handling(bytes),
            Self::Utf16Be => UTF_16BE.decode_without_bom_handling(bytes),
            Self::Latin1 => (encoding_rs::mem::decode_latin1(bytes), false),
            Self::Declared(codec) => codec.decode_without_bom_handling(bytes),
        }
    }
}

/// The encoding that the first or second line of Python source declares, as PEP 263 says. A first line of code ends the
/// search.
pub fn cookie(bytes: &[u8]) -> Option<&str> {
    for line in lines(bytes, Encoding::Utf8).take(2) {
        let line = &bytes[line.start..line.end];
        let blanks = line.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\x0C')).count();
        match &line[blanks..] {
            [] => {}
            [b'#', comment @ ..] => {
                if let Some(name) = cookie_of_comment(comment) {
                    return Some(name);
                }
            }
            _ => return None,
        }
    }
    None
}

/// `coding[:=][ \t]*([-_.a-zA-Z0-9]+)`
fn cookie_of_comment(comment: &[u8]) -> Option<&str> {
    memchr::memmem::find_iter(comment, b"coding").find_map(|at| {
        let value = comment[at + 6..].strip_prefix(b":").or_else(|| comment[at + 6..].strip_prefix(b"="))?;
        let value = &value[value.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()..];
        let len = value.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')).count();
        str::from_utf8(&value[..len]).ok().filter(|name| !name.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> String {
        Encoding::detect(bytes, Some(Language::Python)).map_or("binary".into(), |e| e.name().into_owned())
    }

    #[test]
    fn detection() {
        let wide = |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<_>>();
        for (bytes, expected) in [
            (b"".to_vec(), "utf-8"),
            ("é".into(), "utf-8"),
            (b"\xEF\xBB\xBFx".to_vec(), "utf-8-sig"),
            (wide("\u{feff}a\u{1F600}", u16::to_le_bytes), "utf-16-le"),
            (wide("\u{feff}a\u{1F600}", u16::to_be_bytes), "utf-16-be"),
            (b"\xFF\xFE\x00\x00a\0\0\0".to_vec(), "binary"),
            (b"\xFF\xFE\x00\xD8\x00\xD8".to_vec(), "binary"),
            (b"a\0b".to_vec(), "binary"),
            (b"caf\xE9".to_vec(), "unknown-8bit"),
            (b"# -*- coding: latin-1 -*-\n\xE9".to_vec(), "iso-8859-1"),
            (b"#!/x\n# vim: set fileencoding=cp1252 :\n\x80".to_vec(), "windows-1252"),
            (b"\n#coding=EUC_JP\n".to_vec(), "euc-jp"),
            (b"\x0C# coding:  koi8-r\n".to_vec(), "koi8-r"),
            (b"# coding: utf-8\n\xE9".to_vec(), "unknown-8bit"),
            (b"# coding: ascii\n".to_vec(), "utf-8"),
            (b"# coding: utf-16\n".to_vec(), "utf-8"),
            (b"# coding: no-such\n".to_vec(), "utf-8"),
            (b"import x\n# coding: latin-1\n".to_vec(), "utf-8"),
            (b"# x\r# coding: latin-1\r".to_vec(), "iso-8859-1"),
            (b"# x\ry\r# coding: latin-1\r".to_vec(), "utf-8"),
            (b"\n\n# coding: latin-1\n".to_vec(), "utf-8"),
            (b"# coding\n# encoding: latin1\n".to_vec(), "iso-8859-1"),
        ] {
            assert_eq!(name(&bytes), expected, "{:?}", bytes.escape_ascii().to_string());
        }
        assert_eq!(Encoding::detect(b"# coding: latin-1\n\xE9", Some(Language::Ruby)), Some(Encoding::Unknown8Bit));
    }

    #[test]
    fn a_pair_across_the_samples_end_is_text() {
        let text = "a".repeat(BINARY_SAMPLE / 2 - 2) + "\u{1F600}";
        let bytes: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(bytes.len(), BINARY_SAMPLE + 2);
        assert_eq!(Encoding::detect(&bytes, None), Some(Encoding::Utf16Le));
    }

    #[test]
    fn decoding() {
        assert_eq!(Encoding::Latin1.decode(b"\x80\xE9"), ("\u{80}é".into(), false));
        assert_eq!(Encoding::Unknown8Bit.decode(b"a\xE9b"), ("a\u{FFFD}b".into(), true));
        assert_eq!(Encoding::Declared(encoding_rs::SHIFT_JIS).decode(b"\x83\x5C"), ("ソ".into(), false));
    }
}
