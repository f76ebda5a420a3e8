//! Rows of a file's code objects.

use std::borrow::Cow;

use super::code::Code;
use super::control_flow::ControlFlow;
use super::data_flow::DataFlow;
use super::error::BytecodeError;
use super::exceptions::{ExceptionEntry, exception_table};
use super::instruction_rows::Resolved;
use super::instructions::{self, Instruction};
use super::lines::Locations;
use super::marshal::{Object, Objects};
use super::opcodes::Opcodes;
use super::repr::{MAX_TEXT_BYTES, push_repr, type_name};
use super::sink::Sink;
use super::tables::{
    BytecodeBlocks, BytecodeCfgEdges, BytecodeCodeUnits, BytecodeConsts, BytecodeDfgEdges, BytecodeErrors,
    BytecodeExceptionTable, BytecodeInstructions, BytecodeLineTable,
};
use super::{Refusal, Tables};
use crate::extract::LaneRequest;
use crate::python::DecodedLines;
use crate::source::Source;

/// Rows that reach a table at a time, one column after the other: written row by row, the values and the validities of its
/// columns are more places in memory than a processor's caches follow.
pub(super) const BLOCK: usize = 256;

/// Most code of a file, in bytes: more comes up only where references name the same code object again and again.
const MAX_CODE_BYTES: usize = 256 << 20;

/// What was left out of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Code objects without edges of data flow.
    pub(super) data_flow: usize,
    /// Code objects whose stack does not come out even, or is deeper than they say.
    pub(super) stack: usize,
}

/// Room that is used again from code object to code object.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) reprs: String,
    pub(super) repr_ends: Vec<usize>,
    pub(super) labels: Vec<i64>,
    pub(super) argrepr: String,
    pub(super) joined: String,
    pub(super) resolved: Vec<Resolved>,
}

/// The tables at work on one file.
pub(super) struct FileRows<'t, 's> {
    code_units: Sink<'t, BytecodeCodeUnits>,
    pub(super) instructions: Sink<'t, BytecodeInstructions>,
    consts: Sink<'t, BytecodeConsts>,
    line_table: Sink<'t, BytecodeLineTable>,
    exception_table: Sink<'t, BytecodeExceptionTable>,
    blocks: Sink<'t, BytecodeBlocks>,
    cfg_edges: Sink<'t, BytecodeCfgEdges>,
    dfg_edges: Sink<'t, BytecodeDfgEdges>,
    errors: Sink<'t, BytecodeErrors>,
    pub(super) scratch: &'t mut Scratch,
    pub(super) file: &'t Source<'s>,
    /// The file's lines, once they are asked for; `None` if it has none that CPython would see.
    pub(super) lines: Option<Option<DecodedLines<'s>>>,
    /// The next code object, counted whether or not there is a row for it.
    next_unit: i32,
    /// Text that may still be written.
    pub(super) text_left: usize,
}

/// Rows of a file at some time.
pub(super) struct Mark([i32; 8], i32);

/// A code object and its place.
struct Unit<'o> {
    number: u32,
    ordinal: i32,
    parent: Option<(i32, i32)>,
    qualname: Cow<'o, str>,
    /// Constants that are code objects, and their ordinals.
    children: Vec<(usize, i32)>,
}

/// What the rows of a code object are made from.
pub(super) struct Parts<'p> {
    pub(super) version: &'static str,
    pub(super) ordinal: i32,
    pub(super) table: &'static Opcodes,
    pub(super) objects: &'p Objects<'p>,
    pub(super) code: &'p Code<'p>,
    pub(super) instructions: &'p [Instruction<'static>],
    pub(super) exceptions: &'p [ExceptionEntry],
    pub(super) locations: &'p Locations,
}

impl<'t, 's> FileRows<'t, 's> {
    pub(super) fn new(
        tables: &'t mut Tables,
        scratch: &'t mut Scratch,
        request: &LaneRequest,
        file: &'t Source<'s>,
    ) -> Self {
        Self {
            code_units: Sink::new(&mut tables.code_units, request),
            instructions: Sink::new(&mut tables.instructions, request),
            consts: Sink::new(&mut tables.consts, request),
            line_table: Sink::new(&mut tables.line_table, request),
            exception_table: Sink::new(&mut tables.exception_table, request),
            blocks: Sink::new(&mut tables.blocks, request),
            cfg_edges: Sink::new(&mut tables.cfg_edges, request),
            dfg_edges: Sink::new(&mut tables.dfg_edges, request),
            errors: Sink::new(&mut tables.errors, request),
            scratch,
            file,
            lines: None,
            next_unit: 0,
            text_left: MAX_TEXT_BYTES,
        }
    }

    pub(super) fn mark(&self) -> Mark {
        let rows = [
            self.code_units.rows(),
            self.instructions.rows(),
            self.consts.rows(),
            self.line_table.rows(),
            self.exception_table.rows(),
            self.blocks.rows(),
            self.cfg_edges.rows(),
            self.dfg_edges.rows(),
        ];
        Mark(rows, self.next_unit)
    }

    /// Takes back all rows since the mark.
    pub(super) fn back_to(&mut self, mark: &Mark) {
        let Mark([code_units, instructions, consts, line_table, exception_table, blocks, cfg_edges, dfg_edges], unit) =
            *mark;
        self.code_units.back_to(code_units);
        self.instructions.back_to(instructions);
        self.consts.back_to(consts);
        self.line_table.back_to(line_table);
        self.exception_table.back_to(exception_table);
        self.blocks.back_to(blocks);
        self.cfg_edges.back_to(cfg_edges);
        self.dfg_edges.back_to(dfg_edges);
        self.next_unit = unit;
    }

    /// The row of a file that was not compiled.
    pub(super) fn refused(&mut self, version: &'static str, stage: &'static str, refusal: &Refusal) {
        let Some((table, ordinal)) = self.errors.row() else { return };
        let column = |offset: Option<i32>| offset.filter(|offset| *offset > 0).map(|offset| offset - 1);
        table.ordinal.push(ordinal);
        table.python_version.push(version);
        table.stage.push(stage);
        table.error_type.push(&refusal.error_type);
        table.message.push(&refusal.message);
        table.lineno.push(refusal.lineno);
        table.col_offset.push(column(refusal.offset));
        table.end_lineno.push(refusal.end_lineno.filter(|line| *line > 0));
        table.end_col_offset.push(column(refusal.end_offset));
    }

    /// The rows of a module's code.
    pub(super) fn code(
        &mut self,
        version: &'static str,
        table: &'static Opcodes,
        bytes: &[u8],
    ) -> Result<Cut, BytecodeError> {
        let objects = Objects::read(bytes, table.layout())?;
        let mut cut = Cut::default();
        let mut decoded = vec![];
        let units = self.units(&objects, table)?;
        for unit in &units {
            let code = Code::new(&objects, unit.number, table.layout())?;
            instructions::decode(code.code, table, &mut decoded)?;
            let code_len = 2 * (code.code.len() / 2) as u32;
            let locations = Locations::read(table.minor, code.line_table, code.raw.firstlineno, code_len)?;
            let exceptions = exception_table(code.exception_table)?;
            let parts = Parts {
                version,
                ordinal: unit.ordinal,
                table,
                objects: &objects,
                code: &code,
                instructions: &decoded,
                exceptions: &exceptions,
                locations: &locations,
            };
            self.unit_row(&parts, unit)?;
            self.const_rows(&parts, unit)?;
            self.instruction_rows(&parts)?;
            self.line_rows(&parts);
            self.exception_rows(&parts);
            self.flow_rows(&parts, &mut cut);
        }
        Ok(cut)
    }

    /// All code objects, outer before inner, with their names.
    fn units<'o>(&mut self, objects: &'o Objects<'_>, table: &Opcodes) -> Result<Vec<Unit<'o>>, BytecodeError> {
        let &Object::Code(root) = objects.get(objects.root()) else { return Err(BytecodeError::Part("code")) };
        let mut units: Vec<Unit<'o>> = vec![];
        let mut code_left = MAX_CODE_BYTES;
        let mut pending: Vec<(u32, Option<(usize, usize)>)> = vec![(root, None)];
        while let Some((number, parent)) = pending.pop() {
            let (name, code_len, consts) = Code::outline(objects, number, table.layout())?;
            let ordinal = self.next_unit;
            self.next_unit += 1;
            let qualname = match parent {
                Some((index, const_index)) => {
                    let outer: &mut Unit<'o> = &mut units[index];
                    outer.children.push((const_index, ordinal));
                    if outer.parent.is_some() { Cow::Owned(format!("{}.{name}", outer.qualname)) } else { name }
                }
                None => name,
            };
            let parent_place = parent.map(|(index, const_index)| (units[index].ordinal, const_index as i32));
            // An empty code object costs something, too.
            let cost = code_len + qualname.len() + 64;
            code_left = code_left
                .checked_sub(cost)
                .ok_or(BytecodeError::TooLarge { what: "code objects", limit: MAX_CODE_BYTES })?;
            let here = units.len();
            let inner = consts.iter().enumerate().rev().filter_map(|(index, id)| match objects.get(*id) {
                Object::Code(number) => Some((*number, Some((here, index)))),
                _ => None,
            });
            pending.extend(inner);
            units.push(Unit { number, ordinal, parent: parent_place, qualname, children: vec![] });
        }
        Ok(units)
    }

    /// Takes note of text that is written.
    fn spend(&mut self, bytes: usize) -> Result<(), BytecodeError> {
        let left = self.text_left.checked_sub(bytes);
        self.text_left = left.ok_or(BytecodeError::TooLarge { what: "texts", limit: MAX_TEXT_BYTES })?;
        Ok(())
    }

    fn unit_row(&mut self, parts: &Parts<'_>, unit: &Unit<'_>) -> Result<(), BytecodeError> {
        if !self.code_units.wanted() {
            return Ok(());
        }
        let Parts { code, .. } = parts;
        let lists = [&code.names, &code.varnames, &code.freevars, &code.cellvars];
        let listed: usize = lists.iter().flat_map(|list| list.iter()).map(|name| name.len() + 4).sum();
        self.spend(listed + code.filename.len() + code.name.len() + unit.qualname.len())?;
        let Some((table, _)) = self.code_units.row() else { return Ok(()) };
        let has = |flag: i32| code.raw.flags & flag != 0;
        table.ordinal.push(unit.ordinal);
        table.python_version.push(parts.version);
        table.parent_ordinal.push(unit.parent.map(|(ordinal, _)| ordinal));
        table.parent_const_index.push(unit.parent.map(|(_, index)| index));
        table.qualname.push(&unit.qualname);
        table.co_qualname.push(code.qualname.as_deref());
        table.co_filename.push(&code.filename);
        table.name.push(&code.name);
        table.firstlineno.push(code.raw.firstlineno);
        table.argcount.push(code.raw.argcount);
        table.posonlyargcount.push(code.raw.posonlyargcount);
        table.kwonlyargcount.push(code.raw.kwonlyargcount);
        table.nlocals.push(code.nlocals());
        table.stacksize.push(code.raw.stacksize);
        table.flags.push(code.raw.flags);
        table.is_optimized.push(has(0x1));
        table.is_newlocals.push(has(0x2));
        table.has_varargs.push(has(0x4));
        table.has_varkeywords.push(has(0x8));
        table.is_nested.push(has(0x10));
        table.is_generator.push(has(0x20));
        table.is_nofree.push(has(0x40));
        table.is_coroutine.push(has(0x80));
        table.is_iterable_coroutine.push(has(0x100));
        table.is_async_generator.push(has(0x200));
        table.code_len.push(code.code.len() as i32);
        table.names.push(code.names.iter().map(Cow::as_ref));
        table.varnames.push(code.varnames.iter().map(Cow::as_ref));
        table.freevars.push(code.freevars.iter().map(Cow::as_ref));
        table.cellvars.push(code.cellvars.iter().map(Cow::as_ref));
        Ok(())
    }

    fn const_rows(&mut self, parts: &Parts<'_>, unit: &Unit<'_>) -> Result<(), BytecodeError> {
        self.scratch.reprs.clear();
        self.scratch.repr_ends.clear();
        if !self.consts.wanted() && !self.instructions.wanted() {
            return Ok(());
        }
        for id in parts.code.consts {
            let limit = self.text_left;
            push_repr(&mut self.scratch.reprs, parts.objects, parts.table, *id, limit)?;
            self.scratch.repr_ends.push(self.scratch.reprs.len());
        }
        if !self.consts.wanted() {
            return Ok(());
        }
        self.spend(self.scratch.reprs.len())?;
        let mut children = unit.children.iter().peekable();
        let mut start = 0;
        for (index, id) in parts.code.consts.iter().enumerate() {
            let Some((table, ordinal)) = self.consts.row() else { return Ok(()) };
            let end = self.scratch.repr_ends[index];
            table.ordinal.push(ordinal);
            table.python_version.push(parts.version);
            table.code_ordinal.push(parts.ordinal);
            table.const_index.push(index as i32);
            table.const_type.push(type_name(parts.objects, *id));
            table.const_repr.push(&self.scratch.reprs[start..end]);
            table.child_ordinal.push(children.next_if(|(at, _)| *at == index).map(|(_, ordinal)| *ordinal));
            start = end;
        }
        Ok(())
    }

    fn line_rows(&mut self, parts: &Parts<'_>) {
        for range in &parts.locations.lines {
            let Some((table, ordinal)) = self.line_table.row() else { return };
            table.ordinal.push(ordinal);
            table.python_version.push(parts.version);
            table.code_ordinal.push(parts.ordinal);
            table.start_offset.push(range.start as i32);
            table.end_offset.push(range.end as i32);
            table.line_number.push(range.line);
        }
    }

    fn exception_rows(&mut self, parts: &Parts<'_>) {
        for (index, entry) in parts.exceptions.iter().enumerate() {
            let Some((table, ordinal)) = self.exception_table.row() else { return };
            table.ordinal.push(ordinal);
            table.python_version.push(parts.version);
            table.code_ordinal.push(parts.ordinal);
            table.exc_index.push(index as i32);
            table.start_offset.push(entry.start as i32);
            table.end_offset.push(entry.end as i32);
            table.target_offset.push(entry.target as i32);
            table.depth.push(entry.depth as i32);
            table.lasti.push(entry.lasti);
        }
    }

    fn flow_rows(&mut self, parts: &Parts<'_>, cut: &mut Cut) {
        if !self.blocks.wanted() && !self.cfg_edges.wanted() && !self.dfg_edges.wanted() {
            return;
        }
        let flow = ControlFlow::new(parts.instructions, parts.exceptions);
        self.edge_rows(parts, &flow);
        if !self.blocks.wanted() && !self.dfg_edges.wanted() {
            return;
        }
        let data = DataFlow::new(parts.instructions, &flow, parts.exceptions);
        for (index, (block, depth)) in flow.blocks.iter().zip(&data.depths).enumerate() {
            let Some((table, ordinal)) = self.blocks.row() else { break };
            table.ordinal.push(ordinal);
            table.python_version.push(parts.version);
            table.code_ordinal.push(parts.ordinal);
            table.block_index.push(index as i32);
            table.start_offset.push(parts.instructions[block.first].offset as i32);
            table.end_offset.push(parts.instructions[block.last()].end() as i32);
            table.kind.push(block.kind());
            table.is_reachable.push(depth.is_some());
            table.stack_depth.push(depth.map(|depth| depth as i32));
        }
        cut.stack += usize::from(data.is_uneven || i64::from(data.max_depth) > i64::from(parts.code.raw.stacksize));
        let Some(uses) = &data.uses else {
            cut.data_flow += usize::from(self.dfg_edges.wanted());
            return;
        };
        for block in uses.chunks(BLOCK) {
            let Some((table, ordinal)) = self.dfg_edges.block(block.len()) else { return };
            let locals = block.iter().map(|using| using.local);
            table.ordinal.extend(ordinal..ordinal + block.len() as i32);
            table.python_version.extend(block.iter().map(|_| parts.version));
            table.code_ordinal.extend(block.iter().map(|_| parts.ordinal));
            table.src_instr_index.extend(block.iter().map(|using| using.maker as i32));
            table.dst_instr_index.extend(block.iter().map(|using| using.user as i32));
            table.kind.extend(locals.clone().map(|local| if local.is_some() { "local" } else { "stack" }));
            table.variable.extend(locals.map(|local| parts.code.local(local? as usize)));
        }
    }

    fn edge_rows(&mut self, parts: &Parts<'_>, flow: &ControlFlow) {
        for edge in &flow.edges {
            let Some((table, ordinal)) = self.cfg_edges.row() else { return };
            let last = flow.blocks[edge.from].last();
            table.ordinal.push(ordinal);
            table.python_version.push(parts.version);
            table.code_ordinal.push(parts.ordinal);
            table.src_block_index.push(edge.from as i32);
            table.dst_block_index.push(edge.to as i32);
            table.kind.push(edge.kind.name());
            table.cond_instr_index.push(edge.conditional.then_some(last as i32));
            table.cond_instr_offset.push(edge.conditional.then(|| parts.instructions[last].offset as i32));
            table.exc_index.push(edge.exception.map(|index| index as i32));
        }
    }
}
