//! Codecs with state: ISO 2022 and HZ, whose escape sequences say which set of characters follows.
//!
//! The sets are parts of the tables of EUC codecs. The rules are those of CPython's decoders, which differ from the
//! standards in what they let pass.

use super::table::{Characters, Table};
use super::text::Builder;

const ESCAPE: u8 = 0x1b;

/// A codec.
#[derive(Debug, Clone, Copy)]
pub(super) struct Iso2022 {
    sets: &'static [Set],
    /// Whether SO and SI choose between two sets.
    shifts: bool,
    /// Whether a third set can be chosen for one character.
    third: bool,
}

/// The codecs by name.
const CODECS: &[(&[&str], Iso2022)] = {
    use Set::{Gb2312, Greek, Jisx0201Kana, Jisx0201Roman, Jisx0208, Jisx0208Old, Jisx0212, Ksx1001, Latin1};
    const fn of(sets: &'static [Set], third: bool) -> Iso2022 {
        Iso2022 { sets, shifts: false, third }
    }
    &[
        (&["iso2022_kr", "csiso2022kr", "iso2022kr", "iso_2022_kr"], Iso2022 { shifts: true, ..of(&[Ksx1001], false) }),
        (
            &["iso2022_jp", "csiso2022jp", "iso2022jp", "iso_2022_jp"],
            of(&[Jisx0208, Jisx0201Roman, Jisx0208Old], false),
        ),
        (
            &["iso2022_jp_1", "iso2022jp_1", "iso_2022_jp_1"],
            of(&[Jisx0208, Jisx0212, Jisx0201Roman, Jisx0208Old], false),
        ),
        (
            &["iso2022_jp_2", "iso2022jp_2", "iso_2022_jp_2"],
            of(&[Jisx0208, Jisx0212, Ksx1001, Gb2312, Jisx0201Roman, Jisx0208Old, Latin1, Greek], true),
        ),
        (
            &["iso2022_jp_2004", "iso_2022_jp_2004", "iso2022jp_2004"],
            of(&[Jisx0208, Set::Jisx0213Of2004, Set::Jisx0213Second], false),
        ),
        (
            &["iso2022_jp_3", "iso2022jp_3", "iso_2022_jp_3"],
            of(&[Jisx0208, Set::Jisx0213Of2000, Set::Jisx0213Second], false),
        ),
        (
            &["iso2022_jp_ext", "iso2022jp_ext", "iso_2022_jp_ext"],
            of(&[Jisx0208, Jisx0212, Jisx0201Roman, Jisx0201Kana, Jisx0208Old], false),
        ),
    ]
};

/// Names of HZ.
pub(super) const HZ: &[&str] = &["hz", "hzgb", "hz_gb", "hz_gb_2312"];

/// A set of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Ascii,
    Jisx0201Roman,
    Jisx0201Kana,
    Jisx0208,
    Jisx0208Old,
    Jisx0212,
    Jisx0213Of2000,
    Jisx0213Of2004,
    Jisx0213Second,
    Gb2312,
    Ksx1001,
    Latin1,
    Greek,
}

impl Set {
    /// The set that an escape sequence ends in the name of; `wide` are those of two bytes.
    fn by_mark(mark: u8, wide: bool) -> Option<Self> {
        Some(match (mark, wide) {
            (b'B', false) => Self::Ascii,
            (b'J', false) => Self::Jisx0201Roman,
            (b'I', false) => Self::Jisx0201Kana,
            (b'A', false) => Self::Latin1,
            (b'F', false) => Self::Greek,
            (b'B', true) => Self::Jisx0208,
            (b'@', true) => Self::Jisx0208Old,
            (b'D', true) => Self::Jisx0212,
            (b'A', true) => Self::Gb2312,
            (b'C', true) => Self::Ksx1001,
            (b'O', true) => Self::Jisx0213Of2000,
            (b'Q', true) => Self::Jisx0213Of2004,
            (b'P', true) => Self::Jisx0213Second,
            _ => return None,
        })
    }

    /// The codec whose table has the set in its upper half.
    fn table(self) -> Option<&'static Table> {
        Table::named(match self {
            Self::Ascii | Self::Jisx0201Roman | Self::Jisx0201Kana | Self::Latin1 => return None,
            Self::Jisx0208 | Self::Jisx0208Old | Self::Jisx0212 => "euc_jp",
            Self::Jisx0213Of2000 => "euc_jisx0213",
            Self::Jisx0213Of2004 | Self::Jisx0213Second => "euc_jis_2004",
            Self::Gb2312 => "gb2312",
            Self::Ksx1001 => "euc_kr",
            Self::Greek => "iso8859_7",
        })
    }

    /// What some bytes of 21 to 7E begin with, and of how many bytes it is.
    fn first(self, bytes: &[u8]) -> Option<(Characters<'static>, usize)> {
        let upper = |at: usize| bytes.get(at).map(|byte| byte ^ 0x80);
        let first = *bytes.first()?;
        let one = |c| Some((Characters::One(c), 1));
        match self {
            Self::Ascii => one(char::from(first)),
            Self::Jisx0201Roman => one(match first {
                b'\\' => '\u{a5}',
                b'~' => '\u{203e}',
                _ => char::from(first),
            }),
            Self::Jisx0201Kana => match first {
                0x21..=0x5f => one(char::from_u32(0xff40 + u32::from(first))?),
                _ => None,
            },
            Self::Latin1 => one(char::from(upper(0)?)),
            Self::Greek => Some((self.table()?.single(upper(0)?)?, 1)),
            Self::Jisx0213Of2000 | Self::Jisx0213Of2004 if bytes.starts_with(&[0x22, 0x32]) => {
                Some((Characters::One('~'), 2))
            }
            // EUC has JIS X 0212 in the rows that the second plane leaves free.
            Self::Jisx0213Second if !matches!(first - 0x20, 1 | 3..=5 | 8 | 12..=15 | 78..=94) => None,
            // In EUC the filler begins a syllable of eight bytes.
            Self::Ksx1001 if bytes.starts_with(&[0x24, 0x54]) => Some((Characters::One('\u{3164}'), 2)),
            Self::Jisx0212 | Self::Jisx0213Second => Some((self.table()?.shifted_pair(upper(0)?, upper(1)?)?, 2)),
            _ => Some((self.table()?.pair(upper(0)?, upper(1)?)?, 2)),
        }
    }
}

/// The sets at hand.
struct State {
    sets: [Set; 3],
    shifted: bool,
}

impl Iso2022 {
    pub(super) fn named(name: &str) -> Option<Self> {
        CODECS.iter().find(|(names, _)| names.contains(&name)).map(|(_, codec)| *codec)
    }

    /// Python's name of it.
    pub(super) fn name(self) -> &'static str {
        CODECS.iter().find(|(_, codec)| codec.sets == self.sets).map_or("iso2022", |(names, _)| names[0])
    }

    /// Decodes bytes from `start` on.
    ///
    /// # Errors
    /// Where bytes stand for nothing.
    pub(super) fn decode(self, bytes: &[u8], start: usize, builder: &mut Builder) -> Result<(), usize> {
        let mut state = State { sets: [Set::Ascii; 3], shifted: false };
        let mut at = start;
        // An escape sequence of no meaning here is text.
        let mut literal_escape = false;
        while at < bytes.len() {
            let byte = bytes[at];
            let plain = |builder: &mut Builder| builder.push(char::from(byte), at + 1);
            if literal_escape {
                plain(builder);
                literal_escape = !ends_escape(byte);
                at += 1;
                continue;
            }
            match byte {
                ESCAPE => match bytes.get(at + 1).ok_or(at)? {
                    b'(' | b')' | b'$' | b'.' | b'&' => at += self.designate(&bytes[at..], &mut state).ok_or(at)?,
                    b'N' if self.third => {
                        let byte = *bytes.get(at + 2).ok_or(at)?;
                        let set = state.sets[2];
                        if byte >= 0x80 && set != Set::Greek {
                            return Err(at);
                        }
                        let (characters, _) = set.first(&[byte]).ok_or(at)?;
                        at += 3;
                        characters.push(builder, at);
                    }
                    _ => {
                        plain(builder);
                        literal_escape = true;
                        at += 1;
                    }
                },
                0x0e | 0x0f if self.shifts => {
                    state.shifted = byte == 0x0e;
                    at += 1;
                }
                b'\n' => {
                    state.shifted = false;
                    plain(builder);
                    at += 1;
                }
                0x80.. => return Err(at),
                _ => {
                    let set = if byte < 0x20 { Set::Ascii } else { state.sets[usize::from(state.shifted)] };
                    let (characters, length) = set.first(&bytes[at..]).ok_or(at)?;
                    at += length;
                    characters.push(builder, at);
                }
            }
        }
        Ok(())
    }

    /// Reads an escape sequence that chooses a set; its length.
    fn designate(self, bytes: &[u8], state: &mut State) -> Option<usize> {
        /// Longest sequence that is looked at.
        const LONGEST: usize = 16;
        // `&@` names a revision and ends nothing.
        let from = if !self.shifts && bytes.starts_with(b"\x1b&@") { 3 } else { 1 };
        let length = (from..LONGEST).find(|at| bytes.get(*at).is_some_and(|byte| ends_escape(*byte)))? + 1;
        let (mark, place, wide) = match &bytes[1..length] {
            [b'$', mark] => (*mark, b'(', true),
            [place, mark] => (*mark, *place, false),
            [b'$', place, mark] => (*mark, *place, true),
            [_, _, ESCAPE, b'$', b'B'] if !self.shifts => (b'B', b'(', true),
            _ => return None,
        };
        let place = match place {
            b'(' => 0,
            b')' => 1,
            b'.' if self.third && !wide => 2,
            _ => return None,
        };
        state.sets[place] = Set::by_mark(mark, wide).filter(|set| *set == Set::Ascii || self.sets.contains(set))?;
        Some(length)
    }
}

fn ends_escape(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'@'
}

/// Decodes HZ from `start` on.
///
/// # Errors
/// Where bytes stand for nothing.
pub(super) fn decode_hz(bytes: &[u8], start: usize, builder: &mut Builder) -> Result<(), usize> {
    let mut chinese = false;
    let mut at = start;
    while at < bytes.len() {
        match (bytes[at], chinese) {
            (b'~', _) => {
                match (bytes.get(at + 1).ok_or(at)?, chinese) {
                    (b'~', false) => builder.push('~', at + 2),
                    (b'{', false) => chinese = true,
                    (b'}', true) => chinese = false,
                    (b'\n', false) => {}
                    _ => return Err(at),
                }
                at += 2;
            }
            (0x80.., _) => return Err(at),
            (byte, false) => {
                builder.push(char::from(byte), at + 1);
                at += 1;
            }
            (_, true) => {
                let (characters, length) = Set::Gb2312.first(&bytes[at..]).ok_or(at)?;
                at += length;
                characters.push(builder, at);
            }
        }
    }
    Ok(())
}
