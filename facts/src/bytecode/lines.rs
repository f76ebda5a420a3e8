//! Which line, and from 3.11 on which columns, each instruction comes from.
//!
//! Three formats: `lnotab` up to 3.9 (CPython's `Objects/lnotab_notes.txt` of that time), line ranges in 3.10 (PEP 626),
//! locations from 3.11 on (PEP 657 and CPython's `Objects/locations.md`).

use super::error::BytecodeError;

/// Instructions of one line, as `co_lines` tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRange {
    /// First offset, in bytes.
    pub start: u32,
    /// First offset after it.
    pub end: u32,
    /// The line, from 1; none for what has no place in the source.
    pub line: Option<i32>,
}

/// Where instructions come from, as `co_positions` tells it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// First line.
    pub line: Option<i32>,
    /// Last line.
    pub end_line: Option<i32>,
    /// Column of the first byte, in UTF-8.
    pub column: Option<i32>,
    /// Column after the last byte.
    pub end_column: Option<i32>,
}

/// Lines and positions of a code object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locations {
    /// Ranges of lines, without gap.
    pub lines: Vec<LineRange>,
    /// Positions, each up to an offset; none before 3.11.
    pub positions: Vec<(u32, Position)>,
}

impl Locations {
    /// Reads the table of a version.
    ///
    /// # Errors
    /// If the table ends inside an entry or counts beyond what a file can have.
    pub fn read(minor: u32, table: &[u8], first_line: i32, code_len: u32) -> Result<Self, BytecodeError> {
        match minor {
            ..10 => Ok(Self { lines: lnotab(table, first_line, code_len)?, positions: vec![] }),
            10 => Ok(Self { lines: line_ranges(table, first_line, code_len)?, positions: vec![] }),
            // 3.11 tells every entry of its table; later versions join those of one line.
            _ => locations(table, first_line, code_len, minor > 11),
        }
    }
}

fn add(line: i32, delta: i32) -> Result<i32, BytecodeError> {
    line.checked_add(delta).ok_or(BytecodeError::LineTable)
}

/// Pairs of a distance in bytes and a signed distance in lines, as `dis.findlinestarts` reads them.
fn lnotab(table: &[u8], first_line: i32, code_len: u32) -> Result<Vec<LineRange>, BytecodeError> {
    let mut starts: Vec<(u32, i32)> = vec![];
    let (mut address, mut line) = (0u32, first_line);
    let mut put = |address, line| {
        if starts.last().is_none_or(|(_, last)| *last != line) {
            starts.push((address, line));
        }
    };
    let mut ended = false;
    for pair in table.chunks_exact(2) {
        if pair[0] > 0 {
            put(address, line);
            address = address.checked_add(u32::from(pair[0])).ok_or(BytecodeError::LineTable)?;
            if address >= code_len {
                ended = true;
                break;
            }
        }
        line = add(line, i32::from(pair[1] as i8))?;
    }
    if !ended {
        put(address, line);
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([code_len]);
    Ok(starts
        .iter()
        .zip(ends)
        .map(|((start, line), end)| LineRange { start: *start, end, line: Some(*line) })
        .collect())
}

/// Pairs of a length in bytes and a signed distance in lines, of which -128 means no line.
fn line_ranges(table: &[u8], first_line: i32, code_len: u32) -> Result<Vec<LineRange>, BytecodeError> {
    let mut ranges = vec![];
    let (mut start, mut line) = (0u32, first_line);
    for pair in table.chunks_exact(2) {
        let end = start.checked_add(u32::from(pair[0])).ok_or(BytecodeError::LineTable)?;
        let delta = pair[1] as i8;
        if delta != i8::MIN {
            line = add(line, i32::from(delta))?;
        }
        if end > start {
            ranges.push(LineRange { start, end, line: (delta != i8::MIN).then_some(line) });
        }
        start = end;
        if start >= code_len {
            break;
        }
    }
    Ok(ranges)
}

/// Entries of up to eight code units: a byte with kind and length, then what the kind asks for.
fn locations(table: &[u8], first_line: i32, code_len: u32, join: bool) -> Result<Locations, BytecodeError> {
    let mut found = Locations::default();
    let mut bytes = table.iter();
    let (mut start, mut line) = (0u32, first_line);
    while let Some(first) = bytes.next() {
        let end = start.checked_add(2 * (u32::from(first & 7) + 1)).ok_or(BytecodeError::LineTable)?;
        let kind = first >> 3 & 15;
        let mut byte = || bytes.next().map(|byte| i32::from(*byte)).ok_or(BytecodeError::LineTable);
        let position = match kind {
            15 => Position::default(),
            14 => {
                line = add(line, signed(&mut byte)?)?;
                let end_line = add(line, varint(&mut byte)?)?;
                let column = |number: i32| (number > 0).then(|| number - 1);
                Position {
                    line: Some(line),
                    end_line: Some(end_line),
                    column: column(varint(&mut byte)?),
                    end_column: column(varint(&mut byte)?),
                }
            }
            13 => {
                line = add(line, signed(&mut byte)?)?;
                Position { line: Some(line), end_line: Some(line), ..Position::default() }
            }
            10..=12 => {
                line = add(line, i32::from(kind) - 10)?;
                let (column, end_column) = (Some(byte()?), Some(byte()?));
                Position { line: Some(line), end_line: Some(line), column, end_column }
            }
            _ => {
                let columns = byte()?;
                let column = i32::from(kind) << 3 | columns >> 4;
                let end_column = Some(column + (columns & 15));
                Position { line: Some(line), end_line: Some(line), column: Some(column), end_column }
            }
        };
        found.positions.push((end, position));
        match found.lines.last_mut() {
            Some(last) if join && last.line == position.line => last.end = end,
            _ => found.lines.push(LineRange { start, end, line: position.line }),
        }
        start = end;
        if start >= code_len {
            break;
        }
    }
    Ok(found)
}

/// Six bits a byte, the least significant first.
fn varint(byte: &mut impl FnMut() -> Result<i32, BytecodeError>) -> Result<i32, BytecodeError> {
    let (mut value, mut shift) = (0i64, 0);
    loop {
        let part = byte()?;
        value |= i64::from(part & 0x3f) << shift;
        if part & 0x40 == 0 {
            return i32::try_from(value).map_err(|_| BytecodeError::LineTable);
        }
        shift += 6;
        if shift > 30 {
            return Err(BytecodeError::LineTable);
        }
    }
}

/// A [`varint`] whose lowest bit is the sign.
fn signed(byte: &mut impl FnMut() -> Result<i32, BytecodeError>) -> Result<i32, BytecodeError> {
    let value = varint(byte)?;
    Ok(if value & 1 != 0 { -(value >> 1) } else { value >> 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u32, end: u32, line: i32) -> LineRange {
        LineRange { start, end, line: Some(line) }
    }

    #[test]
    fn lnotab_has_starts_of_lines() {
        // Two steps of lines at one place count once; a line after the end counts not at all.
        let lines = Locations::read(8, &[4, 1, 0, 100, 2, 0xff, 50, 1], 10, 8).unwrap().lines;
        assert_eq!(lines, [range(0, 4, 10), range(4, 6, 111), range(6, 8, 110)]);
        assert_eq!(Locations::read(9, &[], 3, 4).unwrap().lines, [range(0, 4, 3)]);
    }

    #[test]
    fn ranges_may_have_no_line() {
        let lines = Locations::read(10, &[2, 0, 0, 5, 4, 0x80, 2, 0xff], 10, 8).unwrap().lines;
        assert_eq!(lines, [range(0, 2, 10), LineRange { start: 2, end: 6, line: None }, range(6, 8, 14)]);
    }

    #[test]
    fn locations_are_cut_off_nowhere() {
        // One unit on line 1, columns 4 to 6; two units one line on, columns 0 to 9; nothing for the last.
        let table = [0x80, 0x42, 0xd9, 0, 9, 0xf8];
        let found = Locations::read(13, &table, 1, 8).unwrap();
        assert_eq!(found.lines, [range(0, 2, 1), range(2, 6, 2), LineRange { start: 6, end: 8, line: None }]);
        let position = |line, column, end_column| Position {
            line: Some(line),
            end_line: Some(line),
            column: Some(column),
            end_column: Some(end_column),
        };
        assert_eq!(found.positions, [(2, position(1, 4, 6)), (6, position(2, 0, 9)), (8, Position::default())]);
        assert_eq!(Locations::read(13, &table[..4], 1, 8), Err(BytecodeError::LineTable));
        assert_eq!(
            Locations::read(13, &[0xf0, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0], 1, 8),
            Err(BytecodeError::LineTable)
        );
    }
}
