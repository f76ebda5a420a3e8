//! The first pass: what the source does with each name in each block (`symtable_visit_*` of CPython's `symtable.c`).
//!
//! Statements and expressions have modules of their own; this one has the state of the walk.

use ruff_python_ast::{Identifier, Stmt};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::block::{Access, Block, BlockId, Blocks, Kind, Use, flag};
use super::future;
use super::names::{self, NameId, Names};
use super::rules::Rules;
use crate::python::{PythonError, PythonModule};

/// Stack that must be left before a level of the walk, checked every [`LEVELS_A_CHECK`] levels.
const RED_ZONE: usize = 256 * 1024;
/// Stack that is added when less is left.
const STACK: usize = 4 * 1024 * 1024;
const LEVELS_A_CHECK: usize = 32;

/// The walk is over: CPython refuses the file. The reason is kept by the builder.
#[derive(Debug)]
pub(super) struct Refused;

/// Outcome of a visit.
pub(super) type Visit = Result<(), Refused>;

/// The walk over one file.
pub(super) struct Builder<'a> {
    pub(super) module: &'a PythonModule<'a>,
    pub(super) rules: Rules,
    pub(super) blocks: Blocks<'a>,
    /// Blocks around the walk, the innermost last.
    pub(super) stack: Vec<BlockId>,
    /// The class whose private names are mangled.
    pub(super) private: Option<NameId>,
    /// `from __future__ import annotations`.
    pub(super) text_annotations: bool,
    /// End of the last `from __future__` import in its place.
    pub(super) future_end: Option<TextSize>,
    /// Names to mangle, of the generic classes whose other names are not.
    pub(super) mangled_sets: Vec<Vec<NameId>>,
    /// Lines between the walk and where CPython has it.
    pub(super) line_shift: i32,
    depth: usize,
    error: Option<PythonError>,
}

impl<'a> Builder<'a> {
    /// Collects the blocks of a module.
    ///
    /// # Errors
    /// Where CPython refuses it.
    pub(super) fn build(module: &'a PythonModule<'a>, rules: Rules) -> Result<Blocks<'a>, PythonError> {
        let mut builder = Self {
            module,
            rules,
            blocks: Blocks::new(Names::new()),
            stack: vec![],
            private: None,
            text_annotations: false,
            future_end: None,
            mangled_sets: vec![],
            line_shift: 0,
            depth: 0,
            error: None,
        };
        let visited = builder.module();
        match (visited, builder.error) {
            (Ok(()), None) => Ok(builder.blocks),
            (_, error) => Err(error.unwrap_or_else(|| PythonError::new("SyntaxError", "invalid syntax", None))),
        }
    }

    fn module(&mut self) -> Visit {
        let module = self.module;
        future::visit(self)?;
        let range = TextRange::up_to(TextSize::of(module.text()));
        self.enter(Kind::Module, names::TOP, range)?;
        self.statements(module.body())
    }

    /// Refuses the file.
    #[cold]
    pub(super) fn refuse<T>(&mut self, message: impl Into<String>, range: TextRange) -> Result<T, Refused> {
        self.refuse_with("SyntaxError", message, Some(range))
    }

    fn refuse_with<T>(
        &mut self,
        error_type: &'static str,
        message: impl Into<String>,
        range: Option<TextRange>,
    ) -> Result<T, Refused> {
        let span = range.map(|range| self.module.locator().span(range));
        self.error = Some(PythonError::new(error_type, message, span));
        Err(Refused)
    }

    /// Goes one level deeper, with enough stack, or gives up where CPython does.
    #[inline]
    pub(super) fn nested(&mut self, visit: impl FnOnce(&mut Self) -> Visit) -> Visit {
        if self.depth == self.rules.max_depth {
            return self.refuse_with("RecursionError", "maximum recursion depth exceeded during compilation", None);
        }
        self.depth += 1;
        if self.depth.is_multiple_of(LEVELS_A_CHECK) {
            stacker::maybe_grow(RED_ZONE, STACK, || visit(self))?;
        } else {
            visit(self)?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// The block of the walk.
    #[inline]
    pub(super) fn current(&self) -> BlockId {
        self.stack.last().copied().unwrap_or(BlockId::MODULE)
    }

    #[inline]
    pub(super) fn block(&self) -> &Block {
        &self.blocks[self.current()]
    }

    #[inline]
    pub(super) fn block_mut(&mut self) -> &mut Block {
        let current = self.current();
        &mut self.blocks[current]
    }

    pub(super) fn kind(&self) -> Kind {
        self.block().kind
    }

    /// Opens a new block in the current one.
    pub(super) fn enter(&mut self, kind: Kind, name: NameId, range: TextRange) -> Visit {
        let parent = self.stack.last().copied();
        let id = self.blocks.add(kind, name, parent, range);
        self.blocks[id].line_shift = self.line_shift;
        self.enter_existing(id);
        let detached = kind == Kind::Annotation && self.text_annotations;
        if detached {
            self.blocks[id].detached = true;
        } else if let Some(parent) = parent {
            self.blocks[parent].children.push(id);
        }
        if self.rules.deferred_annotations && matches!(kind, Kind::Annotation | Kind::TypeVariable | Kind::TypeAlias) {
            self.define(names::DOT_FORMAT, flag::PARAM, range)?;
            self.define(names::DOT_FORMAT, flag::USE, range)?;
        }
        Ok(())
    }

    /// Opens a block again.
    pub(super) fn enter_existing(&mut self, id: BlockId) {
        if let Some(outer) = self.stack.last() {
            let (iterables, mangled) = (self.blocks[*outer].iterables, self.blocks[*outer].mangled);
            let block = &mut self.blocks[id];
            block.iterables = iterables;
            if mangled.is_some() && block.kind != Kind::Class {
                block.mangled = mangled;
            }
        }
        self.stack.push(id);
    }

    pub(super) fn exit(&mut self) {
        self.stack.pop();
    }

    /// A name as the current class and block see it.
    #[inline]
    pub(super) fn mangle(&mut self, name: NameId) -> NameId {
        self.mangle_in(self.current(), name)
    }

    /// A name as the current class and some block see it (`_Py_MaybeMangle`).
    #[inline]
    pub(super) fn mangle_in(&mut self, block: BlockId, name: NameId) -> NameId {
        if self.private.is_some()
            && let Some(set) = self.blocks[block].mangled
            && !self.mangled_sets[set].contains(&name)
        {
            return name;
        }
        self.blocks.names.mangle(self.private, name)
    }

    /// What the current block knows of a name so far.
    pub(super) fn known(&mut self, name: NameId) -> u16 {
        let mangled = self.mangle(name);
        self.blocks.flags(self.current(), mangled)
    }

    /// Adds to what the current block knows of a name, and gives the name of the symbol.
    #[inline]
    pub(super) fn define(&mut self, name: NameId, flags: u16, range: TextRange) -> Result<NameId, Refused> {
        self.define_in(self.current(), name, flags, range)
    }

    /// Adds to what a block knows of a name.
    #[inline]
    pub(super) fn define_in(
        &mut self,
        block: BlockId,
        name: NameId,
        flags: u16,
        range: TextRange,
    ) -> Result<NameId, Refused> {
        let mangled = self.mangle(name);
        let in_target = self.blocks[block].in_target;
        let symbol = self.blocks.symbol_or_new(block, mangled);
        let before = symbol.flags;
        symbol.flags |= flags;
        if in_target {
            symbol.flags |= flag::COMP_ITER;
        }
        if flags & before & (flag::PARAM | flag::TYPE_PARAM) != 0
            || in_target && (before | flags) & (flag::GLOBAL | flag::NONLOCAL) != 0
        {
            return self.refuse_definition(name, flags & before, range);
        }
        if flags & flag::GLOBAL != 0 {
            self.blocks.symbol_or_new(BlockId::MODULE, mangled).flags |= flags;
        }
        Ok(mangled)
    }

    #[cold]
    fn refuse_definition(&mut self, name: NameId, twice: u16, range: TextRange) -> Result<NameId, Refused> {
        let text = self.blocks.names.text(name);
        let message = if twice & flag::PARAM != 0 {
            format!("duplicate argument '{text}' in function definition")
        } else if twice & flag::TYPE_PARAM != 0 {
            format!("duplicate type parameter '{text}'")
        } else {
            format!("comprehension inner loop cannot rebind assignment expression target '{text}'")
        };
        let range = if self.rules.errors_at_block { self.block().range } else { range };
        self.refuse(message, range)
    }

    /// Binds or uses the name that an occurrence in the source is of. `place` is where CPython reports errors.
    pub(super) fn occurrence(
        &mut self,
        name: NameId,
        range: TextRange,
        access: Access,
        flags: u16,
        place: TextRange,
    ) -> Visit {
        if name == names::DEBUG && self.rules.early_checks {
            self.check_debug(flags, access, place)?;
        }
        if flags & flag::TYPE_PARAM != 0
            && let Some(set) = self.block().mangled
        {
            self.mangled_sets[set].push(name);
        }
        let symbol = self.define(name, flags, place)?;
        self.record(name, Some(symbol), access, range);
        Ok(())
    }

    /// Binds the name of an identifier.
    pub(super) fn bind(&mut self, identifier: &'a Identifier, access: Access, flags: u16, place: TextRange) -> Visit {
        let name = self.blocks.names.intern(&identifier.id);
        self.occurrence(name, identifier.range(), access, flags, place)
    }

    /// Notes an occurrence.
    #[inline]
    pub(super) fn record(&mut self, name: NameId, symbol: Option<NameId>, access: Access, range: TextRange) {
        let block = self.current();
        self.blocks.uses.push(Use { name, symbol, block, access, range });
    }

    /// `__debug__` can be read alone.
    pub(super) fn check_debug(&mut self, flags: u16, access: Access, place: TextRange) -> Visit {
        if flags & (flag::PARAM | flag::LOCAL | flag::IMPORT) == 0 {
            return Ok(());
        }
        let verb = if access == Access::Delete { "delete" } else { "assign to" };
        self.refuse(format!("cannot {verb} __debug__"), place)
    }

    /// Refuses `__debug__` as the name of a keyword or attribute that is bound.
    pub(super) fn check_debug_text(&mut self, text: &str, access: Access, place: TextRange) -> Visit {
        if self.rules.early_checks && access != Access::Load && text == "__debug__" {
            return self.check_debug(flag::LOCAL, access, place);
        }
        Ok(())
    }

    /// Notes a `global` or `nonlocal` declaration of a name.
    pub(super) fn direct(&mut self, name: NameId, range: TextRange) {
        let mangled = self.mangle(name);
        self.block_mut().directives.push((mangled, range));
    }

    pub(super) fn statements(&mut self, statements: &'a [Stmt]) -> Visit {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    /// Visits statements that might not run.
    pub(super) fn conditional(&mut self, visit: impl FnOnce(&mut Self) -> Visit) -> Visit {
        let before = std::mem::replace(&mut self.block_mut().conditional, true);
        visit(self)?;
        self.block_mut().conditional = before;
        Ok(())
    }
}
