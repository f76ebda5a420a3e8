//! Codecs without state, as tables: what every byte and every sequence of bytes stands for.
//!
//! The tables are those of CPython's codecs, in `codecs.txt`. That file names what a codec has in common with an encoding
//! of the WHATWG and spells out the rest; `examples/codec_tables.rs` makes it from an interpreter. A codec is
//!
//! ```text
//! @name alias…           as Python's `encodings` knows it
//! base label             an encoding of the WHATWG, or `codec:` and a codec of this file
//! = a1a1-a1fe b0a1-…     sequences that are as the base has them
//! + 87a1 characters      sequences from this one on, a character each
//! * 8862 characters      a sequence of several characters
//! ! 84318236             a byte below 80, or four bytes that the base has, that stand for nothing
//! ```
//!
//! Single bytes below 80 are ASCII where nothing else is said, other sequences are refused. In characters, `\x0a` and
//! `\u00a0` are what can't be seen.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use encoding_rs::Encoding;

use super::text::Builder;

/// The codecs as text.
const CODECS: &str = include_str!("codecs.txt");

/// Nothing.
const REFUSED: u32 = u32::MAX;

/// Numbers from here on are places in [`Table::strings`].
const STRINGS: u32 = 0x11_0000;

/// Where three bytes begin, in encodings that have them.
const SINGLE_SHIFT: u8 = 0x8f;

/// A codec's table.
#[derive(Debug)]
pub(super) struct Table {
    name: &'static str,
    singles: [u32; 0x100],
    /// By both bytes; empty for codecs of single bytes.
    pairs: Vec<u32>,
    /// By the two bytes behind [`SINGLE_SHIFT`]; empty for codecs that have none.
    triples: Vec<u32>,
    /// Four bytes that differ from the base's; none in codecs that have no four bytes.
    fours: Option<BTreeMap<[u8; 4], u32>>,
    strings: Vec<String>,
    /// Whether bytes below 80 are ASCII.
    pub(super) ascii: bool,
}

struct Entry {
    names: &'static str,
    body: &'static str,
    table: OnceLock<Table>,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let entries = CODECS.split("\n@").skip(1).filter_map(|entry| entry.split_once('\n'));
    entries.map(|(names, body)| Entry { names, body, table: OnceLock::new() }).collect()
});

impl Table {
    /// The table of a codec, by any of its names.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        let entry = ENTRIES.iter().find(|entry| entry.names.split(' ').any(|known| known == name))?;
        let name = entry.names.split(' ').next().unwrap_or_default();
        Some(entry.table.get_or_init(|| Self::parse(name, entry.body)))
    }

    /// What Python's errors call it.
    pub(super) fn python_name(&self) -> &'static str {
        if self.pairs.is_empty() { "charmap" } else { self.name }
    }

    fn parse(name: &'static str, body: &str) -> Self {
        let mut table = Self {
            name,
            singles: std::array::from_fn(|byte| if byte < 0x80 { byte as u32 } else { REFUSED }),
            pairs: vec![],
            triples: vec![],
            fours: None,
            strings: vec![],
            ascii: true,
        };
        let mut base = Base::None;
        for line in body.lines() {
            let Some((kind, rest)) = line.split_once(' ') else { continue };
            let (first, characters) = rest.split_once(' ').unwrap_or((rest, ""));
            match kind {
                "base" => {
                    base = Base::named(rest);
                    table.fours = (rest == "gb18030").then(BTreeMap::new);
                }
                "=" => rest.split(' ').for_each(|run| {
                    let (from, to) = run.split_once('-').unwrap_or((run, run));
                    let width = from.len() / 2;
                    for sequence in number(from)..=number(to) {
                        let bytes = &sequence.to_be_bytes()[4 - width..];
                        let text = base.decode(bytes);
                        table.put(width, sequence, &text);
                    }
                }),
                "+" => (number(first)..)
                    .zip(unescaped(characters).chars())
                    .for_each(|(sequence, c)| table.put(first.len() / 2, sequence, c.encode_utf8(&mut [0; 4]))),
                "*" => table.put(first.len() / 2, number(first), &unescaped(characters)),
                _ => table.put(first.len() / 2, number(first), ""),
            }
        }
        table.ascii = table.singles[..0x80].iter().zip(0..).all(|(c, byte)| *c == byte);
        table
    }

    fn put(&mut self, width: usize, sequence: u32, text: &str) {
        let mut characters = text.chars();
        let value = match (characters.next(), characters.next()) {
            (None, _) => REFUSED,
            (Some(c), None) => u32::from(c),
            (Some(_), Some(_)) => {
                self.strings.push(text.to_owned());
                STRINGS + self.strings.len() as u32 - 1
            }
        };
        let place = (sequence & 0xffff) as usize;
        match width {
            1 => self.singles[place & 0xff] = value,
            2 | 3 => {
                let places = if width == 2 { &mut self.pairs } else { &mut self.triples };
                if places.is_empty() {
                    places.resize(0x1_0000, REFUSED);
                }
                places[place] = value;
            }
            _ => {
                if let Some(fours) = &mut self.fours {
                    fours.insert(sequence.to_be_bytes(), value);
                }
            }
        }
    }

    /// What stands at the start of some bytes, and how many of them are it.
    fn first(&self, bytes: &[u8]) -> Option<(u32, usize)> {
        let known = |value: &u32, length| (*value != REFUSED).then_some((*value, length));
        let single = known(self.singles.get(usize::from(*bytes.first()?))?, 1);
        if single.is_some() {
            return single;
        }
        let pair = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
        if bytes[0] == SINGLE_SHIFT && !self.triples.is_empty() {
            return known(self.triples.get(pair(bytes.get(1..3)?))?, 3);
        }
        if let (Some(fours), Some([_, b'0'..=b'9', _, _])) = (&self.fours, bytes.get(..4)) {
            let four: [u8; 4] = bytes[..4].try_into().ok()?;
            return match fours.get(&four) {
                Some(value) => known(value, 4),
                None => Base::named("gb18030").decode(&four).chars().next().map(|c| (u32::from(c), 4)),
            };
        }
        known(self.pairs.get(pair(bytes.get(..2)?))?, 2)
    }

    /// The characters of a pair of bytes.
    pub(super) fn pair(&self, first: u8, second: u8) -> Option<Characters<'_>> {
        self.characters(*self.pairs.get(usize::from(first) << 8 | usize::from(second))?)
    }

    /// The characters of a pair of bytes behind a single shift.
    pub(super) fn shifted_pair(&self, first: u8, second: u8) -> Option<Characters<'_>> {
        self.characters(*self.triples.get(usize::from(first) << 8 | usize::from(second))?)
    }

    /// The characters of a byte.
    pub(super) fn single(&self, byte: u8) -> Option<Characters<'_>> {
        self.characters(self.singles[usize::from(byte)])
    }

    fn characters(&self, value: u32) -> Option<Characters<'_>> {
        match value {
            REFUSED => None,
            STRINGS.. => self.strings.get((value - STRINGS) as usize).map(|text| Characters::Several(text)),
            _ => char::from_u32(value).map(Characters::One),
        }
    }

    /// Decodes bytes from `start` on.
    ///
    /// # Errors
    /// Where bytes stand for nothing.
    pub(super) fn decode(&self, bytes: &[u8], start: usize, builder: &mut Builder) -> Result<(), usize> {
        let mut at = start;
        while at < bytes.len() {
            let (value, length) = self.first(&bytes[at..]).ok_or(at)?;
            at += length;
            self.characters(value).ok_or(at - length)?.push(builder, at);
        }
        Ok(())
    }
}

/// What bytes stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Characters<'t> {
    One(char),
    Several(&'t str),
}

impl Characters<'_> {
    /// Appends them; their bytes end before `end`.
    pub(super) fn push(self, builder: &mut Builder, end: usize) {
        match self {
            Self::One(c) => builder.push(c, end),
            Self::Several(text) => text.chars().for_each(|c| builder.push(c, end)),
        }
    }
}

/// What a table is told apart from.
#[derive(Clone, Copy)]
enum Base {
    None,
    Whatwg(&'static Encoding),
    Codec(&'static Table),
}

impl Base {
    fn named(name: &str) -> Self {
        match name.strip_prefix("codec:") {
            Some(codec) => Table::named(codec).map_or(Self::None, Self::Codec),
            None => Encoding::for_label(name.as_bytes()).map_or(Self::None, Self::Whatwg),
        }
    }

    /// What a sequence stands for; nothing if it stands for nothing.
    fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::None => String::new(),
            Self::Whatwg(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(bytes)
                .map(std::borrow::Cow::into_owned)
                .unwrap_or_default(),
            Self::Codec(table) => match table.first(bytes).and_then(|(value, _)| table.characters(value)) {
                None => String::new(),
                Some(Characters::One(c)) => c.into(),
                Some(Characters::Several(text)) => text.into(),
            },
        }
    }
}

fn number(hex: &str) -> u32 {
    u32::from_str_radix(hex, 16).unwrap_or_default()
}

/// Characters with `\x0a` and `\u00a0` for what can't be seen.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let length = if escape.starts_with('x') { 3 } else { 5 };
        let (digits, tail) = escape.split_at_checked(length).unwrap_or((escape, ""));
        out.extend(digits.get(1..).and_then(|digits| char::from_u32(number(digits))));
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_of_the_file_can_be_read() {
        let mut names: Vec<&str> = ENTRIES.iter().flat_map(|entry| entry.names.split(' ')).collect();
        assert!(ENTRIES.len() > 70, "{} codecs", ENTRIES.len());
        for name in &names {
            let table = Table::named(name).unwrap();
            let known = table.singles.iter().chain(&table.pairs).filter(|value| **value != REFUSED).count();
            assert!(known > 0x80, "{name}");
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "a name is one codec's");
    }

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        assert_eq!(unescaped(r"a\x0ab\u00a0\x5c"), "a\nb\u{a0}\\");
    }
}
