//! Rows of instructions.

use std::fmt::Write as _;

use super::error::BytecodeError;
use super::instructions::{self, Context, Instruction};
use super::lines::Position;
use super::places::{Places, byte_span};
use super::repr::MAX_TEXT_BYTES;
use super::rows::{BLOCK, FileRows, Parts, Scratch};
use crate::python::DecodedLines;

/// What is found out about an instruction on its way into the table; texts are keys of the table's words.
#[derive(Debug)]
pub(super) struct Resolved {
    argval_kind: Option<&'static str>,
    argval_int: Option<i64>,
    argval_str: Option<u32>,
    argrepr: u32,
    line: Option<i32>,
    starts_line: bool,
    label: Option<i32>,
    position: Position,
    span: Option<(i32, i32)>,
}

impl FileRows<'_, '_> {
    /// Adds the instructions of a code object.
    pub(super) fn instruction_rows(&mut self, parts: &Parts<'_>) -> Result<(), BytecodeError> {
        if !self.instructions.wanted() {
            return Ok(());
        }
        let lines = match parts.table.minor {
            11.. => self.lines.get_or_insert_with(|| DecodedLines::new(self.file.bytes())).as_ref(),
            _ => None,
        };
        let Scratch { reprs, repr_ends, labels, argrepr, joined, resolved } = &mut *self.scratch;
        instructions::labels(parts.instructions, labels);
        let context = Context { table: parts.table, code: parts.code, reprs, repr_ends, labels };
        let mut places = Places::new(parts.locations);
        // Neighbours often come from the same place.
        let mut last: (Position, Option<(i32, i32)>) = (Position::default(), None);
        for (number, block) in parts.instructions.chunks(BLOCK).enumerate() {
            let Some((table, ordinal)) = self.instructions.block(block.len()) else { return Ok(()) };
            resolved.clear();
            for instruction in block {
                let value = context.resolve(instruction, argrepr, joined)?;
                let left = self.text_left.checked_sub(argrepr.len());
                self.text_left = left.ok_or(BytecodeError::TooLarge { what: "texts", limit: MAX_TEXT_BYTES })?;
                let offset = instruction.offset;
                let (line, position) = places.at(offset);
                if position != last.0 {
                    last = (position, lines.and_then(|lines| byte_span(lines, &position)));
                }
                resolved.push(Resolved {
                    argval_kind: value.kind,
                    argval_int: value.int,
                    argval_str: value.text.map(|text| table.argval_str.key(text)),
                    argrepr: table.argrepr.key(argrepr),
                    line: line.and_then(|line| line.line),
                    starts_line: places.starts_line(offset, parts.table),
                    label: instructions::label(labels, i64::from(offset)),
                    position,
                    span: last.1,
                });
            }
            let first = (number * BLOCK) as i32;
            let count = block.len() as i32;
            table.ordinal.extend(ordinal..ordinal + count);
            table.python_version.extend(block.iter().map(|_| parts.version));
            table.code_ordinal.extend(block.iter().map(|_| parts.ordinal));
            table.instr_index.extend(first..first + count);
            table.offset.extend(block.iter().map(|i| i.offset as i32));
            table.start_offset.extend(block.iter().map(|i| i.start as i32));
            table.end_offset.extend(block.iter().map(|i| i.end() as i32));
            table.opname.extend(block.iter().map(|i| i.op.name));
            table.opcode.extend(block.iter().map(|i| i32::from(i.code)));
            table.arg.extend(block.iter().map(|i| i.arg));
            table.argval_kind.extend(resolved.iter().map(|r| r.argval_kind));
            table.argval_int.extend(resolved.iter().map(|r| r.argval_int));
            table.argval_str.extend_keys(resolved.iter().map(|r| r.argval_str));
            table.argrepr.extend_keys(resolved.iter().map(|r| r.argrepr));
            table.line_number.extend(resolved.iter().map(|r| r.line));
            table.starts_line.extend(resolved.iter().map(|r| r.starts_line));
            table.label.extend(resolved.iter().map(|r| r.label));
            table.is_jump_target.extend(resolved.iter().map(|r| r.label.is_some()));
            table.jump_target.extend(block.iter().map(|i| i32::try_from(i.target?).ok()));
            table.cache_info.extend(block.iter().map(|i| Some(i.op.cache_format).filter(|format| !format.is_empty())));
            for instruction in block {
                table.cache_hex.push(cache_hex(parts.code.code, instruction).as_deref());
            }
            table.bstart.extend(resolved.iter().map(|r| Some(r.span?.0)));
            table.bend.extend(resolved.iter().map(|r| Some(r.span?.1)));
            table.lineno.extend(resolved.iter().map(|r| r.position.line));
            table.col_offset.extend(resolved.iter().map(|r| r.position.column));
            table.end_lineno.extend(resolved.iter().map(|r| r.position.end_line));
            table.end_col_offset.extend(resolved.iter().map(|r| r.position.end_column));
        }
        Ok(())
    }
}

/// Content of an instruction's caches, unless it is zero.
fn cache_hex(code: &[u8], instruction: &Instruction<'_>) -> Option<String> {
    let cache = code.get(instruction.offset as usize + 2..instruction.end() as usize)?;
    cache.iter().any(|byte| *byte != 0).then(|| {
        cache.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    })
}
