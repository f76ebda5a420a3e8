//! From offsets in the decoded text to lines, columns and bytes of the original file.

use memchr::memchr_iter;
use ruff_text_size::TextRange;

use super::Decoded;
use super::decode::decode_tolerantly;

/// Where something lies: bytes of the original file, and lines and columns as CPython counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub bstart: i32,
    /// First byte after it.
    pub bend: i32,
    /// Line of the first byte, from 1.
    pub lineno: i32,
    /// Column of the first byte in its line as UTF-8, from 0.
    pub col_offset: i32,
    /// Line of the end.
    pub end_lineno: i32,
    /// Column of the end.
    pub end_col_offset: i32,
}

/// Map from offsets of the decoded text to offsets of the original bytes: stretches in which both advance alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetMap(Vec<(u32, u32)>);

impl OffsetMap {
    /// The map of a text that is the file from `start` on.
    pub fn shifted(start: u32) -> Self {
        Self(vec![(0, start)])
    }

    /// From here on, `decoded` lies at `original`.
    pub(super) fn push(&mut self, decoded: u32, original: u32) {
        let last = self.0.last_mut().expect("a map has a first stretch");
        if last.0 == decoded {
            last.1 = original;
        } else if original.wrapping_sub(last.1) != decoded - last.0 {
            self.0.push((decoded, original));
        }
    }
}

/// Offsets at which lines start.
pub(super) fn line_starts(text: &str) -> Vec<u32> {
    std::iter::once(0).chain(memchr_iter(b'\n', text.as_bytes()).map(|at| at as u32 + 1)).collect()
}

/// A cursor over a file's lines: the next position is nearly always close to the last one.
#[derive(Debug, Clone)]
pub struct Locator<'m> {
    offsets: &'m [(u32, u32)],
    lines: &'m [u32],
    /// Index of the line of the last start.
    line: usize,
}

impl<'m> Locator<'m> {
    pub(super) fn new(offsets: &'m OffsetMap, lines: &'m [u32]) -> Self {
        Self { offsets: &offsets.0, lines, line: 0 }
    }

    /// Position of a range of the text.
    #[inline]
    pub fn span(&mut self, range: TextRange) -> Span {
        let (start, end) = (range.start().to_u32(), range.end().to_u32());
        let line = self.line_of(start, self.line);
        let end_line = self.line_of(end, line);
        self.line = line;
        Span {
            bstart: self.original(start) as i32,
            bend: self.original(end) as i32,
            lineno: line as i32 + 1,
            col_offset: (start - self.lines[line]) as i32,
            end_lineno: end_line as i32 + 1,
            end_col_offset: (end - self.lines[end_line]) as i32,
        }
    }

    /// Offset in the original bytes.
    #[inline]
    pub fn original(&self, offset: u32) -> u32 {
        let (decoded, original) = match self.offsets {
            [only] => *only,
            stretches => stretches[stretches.partition_point(|(decoded, _)| *decoded <= offset) - 1],
        };
        original + (offset - decoded)
    }

    /// Index of the line an offset lies in, searched from `near` on.
    #[inline]
    fn line_of(&self, offset: u32, near: usize) -> usize {
        const STEPS: usize = 4;
        if self.lines[near] <= offset {
            let ahead = &self.lines[near + 1..];
            let steps = ahead.iter().take(STEPS).take_while(|start| **start <= offset).count();
            if steps < STEPS {
                return near + steps;
            }
            return near + ahead.partition_point(|start| *start <= offset);
        }
        self.lines[..near].partition_point(|start| *start <= offset) - 1
    }
}

/// Lines of a decoded file, for positions that come as line and column.
#[derive(Debug)]
pub struct DecodedLines<'a> {
    decoded: Decoded<'a>,
    starts: Vec<u32>,
}

impl<'a> DecodedLines<'a> {
    /// Decodes a file; `None` where it can't be.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (decoded, _) = decode_tolerantly(bytes).ok()?;
        let starts = line_starts(&decoded.text);
        Some(Self { decoded, starts })
    }

    /// Byte of the original file at a line (from 1) and a column (UTF-8 bytes of the decoded line, from 0); `None` where
    /// the file has no such place.
    pub fn byte(&self, line: i32, column: i32) -> Option<i32> {
        let line = usize::try_from(line).ok()?.checked_sub(1)?;
        let offset = self.starts.get(line)?.checked_add(u32::try_from(column).ok()?)?;
        let end = self.starts.get(line + 1).copied().unwrap_or(self.decoded.text.len() as u32);
        (offset <= end).then(|| Locator::new(&self.decoded.offsets, &self.starts).original(offset) as i32)
    }
}

#[cfg(test)]
mod tests {
    use ruff_text_size::TextSize;

    use super::*;

    #[test]
    fn every_offset_is_found_from_every_line() {
        let text = "a\n\nbc\n".repeat(20);
        let lines = line_starts(&text);
        let offsets = OffsetMap::shifted(3);
        for from in 0..lines.len() {
            for offset in 0..=text.len() {
                let mut locator = Locator::new(&offsets, &lines);
                locator.line = from;
                let at = TextSize::new(offset as u32);
                let span = locator.span(TextRange::empty(at));
                let before = &text[..offset];
                assert_eq!(span.lineno as usize, before.matches('\n').count() + 1);
                assert_eq!(span.col_offset as usize, before.len() - before.rfind('\n').map_or(0, |at| at + 1));
                assert_eq!(span.bstart as usize, offset + 3);
            }
        }
    }
}
