//! Where the instructions of a code object stand in the source.

use super::lines::{LineRange, Locations, Position};
use super::opcodes::Opcodes;
use crate::python::DecodedLines;

/// A cursor over the locations of a code object.
pub(super) struct Places<'l> {
    locations: &'l Locations,
    line: usize,
    position: usize,
    /// The line that started last, where `dis` passes over instructions without one.
    last_line: Option<i32>,
}

impl<'l> Places<'l> {
    pub(super) fn new(locations: &'l Locations) -> Self {
        Self { locations, line: 0, position: 0, last_line: None }
    }

    /// The range of lines and the position of an offset; offsets only grow.
    pub(super) fn at(&mut self, offset: u32) -> (Option<&'l LineRange>, Position) {
        let Locations { lines, positions } = self.locations;
        while lines.get(self.line).is_some_and(|range| range.end <= offset) {
            self.line += 1;
        }
        while positions.get(self.position).is_some_and(|(end, _)| *end <= offset) {
            self.position += 1;
        }
        let position = positions.get(self.position).map_or_else(Position::default, |(_, position)| *position);
        (lines.get(self.line).filter(|range| range.start <= offset), position)
    }

    /// Whether `dis.findlinestarts` names the offset that was asked for last.
    pub(super) fn starts_line(&mut self, offset: u32, table: &Opcodes) -> bool {
        let Some(range) = self.locations.lines.get(self.line).filter(|range| range.start == offset) else {
            return false;
        };
        if table.has_labels() {
            return true;
        }
        // Up to 3.12 a line counts when it differs from the last one there was.
        let starts = range.line.is_some() && range.line != self.last_line;
        if range.line.is_some() {
            self.last_line = range.line;
        }
        starts
    }
}

/// Bytes of the original file that a position covers.
pub(super) fn byte_span(lines: &DecodedLines<'_>, position: &Position) -> Option<(i32, i32)> {
    let start = lines.byte(position.line?, position.column?)?;
    let end = lines.byte(position.end_line?, position.end_column?)?;
    (start <= end).then_some((start, end))
}
