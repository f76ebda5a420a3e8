//! The second pass: where each name is found (`analyze_block` and its helpers of CPython's `symtable.c`).
//!
//! CPython hands sets of names down and up. Here, what is visible is kept by name, with a trail to take it back.

use super::block::{BlockId, Blocks, Kind, Scope, flag};
use super::names::{self, NameId};
use super::rules::Rules;
use crate::python::{PythonError, PythonModule};

/// Stack that must be left before a block is analysed.
const RED_ZONE: usize = 64 * 1024;
/// Stack that is added when less is left.
const STACK: usize = 4 * 1024 * 1024;

/// What a name was before a block changed it.
struct Undo {
    name: NameId,
    binder: Option<BlockId>,
    is_type_param: bool,
}

/// The analysis of one file.
struct Analyzer<'b, 'a> {
    module: &'a PythonModule<'a>,
    rules: Rules,
    blocks: &'b mut Blocks<'a>,
    /// By name: the enclosing function that binds it.
    binders: Vec<Option<BlockId>>,
    /// By name: whether that binding is a type parameter.
    type_params: Vec<bool>,
    trail: Vec<Undo>,
    /// By name: the last set it was put into.
    stamps: Vec<u32>,
    stamp: u32,
}

/// Decides the scope of every symbol.
///
/// # Errors
/// Where CPython refuses the module.
pub(super) fn analyze<'a>(
    module: &'a PythonModule<'a>,
    rules: Rules,
    blocks: &mut Blocks<'a>,
) -> Result<(), PythonError> {
    let names = blocks.names.len();
    let mut analyzer = Analyzer {
        module,
        rules,
        blocks,
        binders: vec![None; names],
        type_params: vec![false; names],
        trail: vec![],
        stamps: vec![0; names],
        stamp: 0,
    };
    analyzer.block(BlockId::MODULE, None).map(|_| ())
}

impl Analyzer<'_, '_> {
    /// Analyses a block and all within it, and gives the names that it takes from outside.
    fn block(&mut self, id: BlockId, class: Option<BlockId>) -> Result<Vec<NameId>, PythonError> {
        let kind = self.blocks[id].kind;
        let start = self.trail.len();
        let mut free = self.names(id, class)?;
        let own = self.trail.len();
        if kind == Kind::Class {
            self.set_binder(names::CLASS, Some(id));
            if self.rules.type_scopes {
                self.set_binder(names::CLASSDICT, Some(id));
            }
            if self.rules.deferred_annotations {
                self.set_binder(names::CONDITIONAL_ANNOTATIONS, Some(id));
            }
        } else if kind.is_function_like() {
            for place in 0..self.blocks[id].symbols.len() {
                let symbol = self.blocks[id].symbols[place];
                if symbol.scope == Scope::Local {
                    self.set_binder(symbol.name, Some(id));
                }
            }
        }
        let (mut passed, inlined_cells) = self.children(id, class)?;
        self.undo(own);
        if kind.is_function_like() {
            self.cells(id, &mut passed, &inlined_cells);
        } else if kind == Kind::Class {
            passed.retain(|name| ![names::CLASS, names::CLASSDICT, names::CONDITIONAL_ANNOTATIONS].contains(name));
        }
        for name in inlined_cells {
            self.blocks.symbol_or_new(id, name).flags |= flag::COMP_CELL;
        }
        self.pass_on(id, &passed);
        self.undo(start);
        free.append(&mut passed);
        self.distinct(&mut free);
        Ok(free)
    }

    /// Decides on the block's own names, and gives those it takes from outside.
    fn names(&mut self, id: BlockId, class: Option<BlockId>) -> Result<Vec<NameId>, PythonError> {
        let mut free = vec![];
        for place in 0..self.blocks[id].symbols.len() {
            let symbol = self.blocks[id].symbols[place];
            let name = symbol.name;
            let binder = self.binders[name.index()];
            let scope = if symbol.has(flag::GLOBAL) {
                if symbol.has(flag::NONLOCAL) {
                    return Err(self.refusal(id, name, "name '{}' is nonlocal and global"));
                }
                // What a class declares, its methods don't see.
                if self.blocks[id].kind != Kind::Class {
                    self.set_binder(name, None);
                }
                Scope::GlobalExplicit
            } else if symbol.has(flag::NONLOCAL) {
                if id == BlockId::MODULE {
                    return Err(self.refusal(id, name, "nonlocal declaration not allowed at module level"));
                }
                if binder.is_none() {
                    return Err(self.refusal(id, name, "no binding for nonlocal '{}' found"));
                }
                if self.type_params[name.index()] {
                    return Err(self.refusal(id, name, "nonlocal binding not allowed for type parameter '{}'"));
                }
                Scope::Free
            } else if symbol.has(flag::BOUND) {
                self.set_type_param(name, symbol.has(flag::TYPE_PARAM));
                Scope::Local
            } else {
                let in_class = class.map_or(0, |class| self.blocks.flags(class, name));
                if in_class & flag::GLOBAL != 0 {
                    Scope::GlobalExplicit
                } else if in_class & flag::BOUND != 0 && in_class & flag::NONLOCAL == 0 || binder.is_none() {
                    Scope::GlobalImplicit
                } else {
                    Scope::Free
                }
            };
            let symbol = &mut self.blocks[id].symbols[place];
            symbol.scope = scope;
            if let (Scope::Free, Some(binder)) = (scope, binder) {
                symbol.binder = binder;
                free.push(name);
            }
        }
        Ok(free)
    }

    /// Analyses the blocks within, takes comprehensions in, and gives the names that the blocks take from outside and
    /// the cells that came with comprehensions.
    fn children(&mut self, id: BlockId, class: Option<BlockId>) -> Result<(Vec<NameId>, Vec<NameId>), PythonError> {
        let children = std::mem::take(&mut self.blocks[id].children);
        let mut shown = Vec::with_capacity(children.len());
        let (mut passed, mut cells) = (vec![], vec![]);
        for child in children {
            let sees_class = self.blocks[child].sees_class;
            let class = if self.blocks[id].kind == Kind::Class { Some(id) } else { class };
            let class = class.filter(|_| sees_class);
            let mut free = stacker::maybe_grow(RED_ZONE, STACK, || self.block(child, class))?;
            let block = &self.blocks[child];
            if self.rules.inlined_comprehensions
                && block.comprehension.is_some()
                && !block.generator
                && !self.blocks[id].sees_class
            {
                self.take_in(id, child, &mut free, &mut cells);
                let mut grandchildren = self.blocks[child].children.clone();
                shown.append(&mut grandchildren);
            } else {
                shown.push(child);
            }
            passed.append(&mut free);
        }
        self.blocks[id].children = shown;
        self.distinct(&mut passed);
        Ok((passed, cells))
    }

    /// Makes a comprehension part of the block around it (PEP 709).
    fn take_in(&mut self, id: BlockId, comprehension: BlockId, free: &mut Vec<NameId>, cells: &mut Vec<NameId>) {
        self.blocks[comprehension].host = Some(id);
        let in_class = self.blocks[id].kind == Kind::Class;
        for place in 0..self.blocks[comprehension].symbols.len() {
            let mut symbol = self.blocks[comprehension].symbols[place];
            let name = symbol.name;
            if symbol.has(flag::PARAM) {
                continue;
            }
            if symbol.scope == Scope::Cell || symbol.has(flag::COMP_CELL) {
                cells.push(name);
            }
            // What a class makes for its methods is never free through it.
            let made = name == names::CLASS
                || self.rules.deferred_annotations
                    && [names::CLASSDICT, names::CONDITIONAL_ANNOTATIONS].contains(&name);
            if symbol.scope == Scope::Free && in_class && made {
                symbol.scope = Scope::GlobalImplicit;
                free.retain(|free| *free != name);
                self.blocks[comprehension].symbols[place].scope = Scope::GlobalImplicit;
            }
            match self.blocks.symbol(id, name) {
                None => {
                    let copy = self.blocks.symbol_or_new(id, name);
                    copy.flags = symbol.flags;
                    copy.scope = symbol.scope;
                    if symbol.scope == Scope::Free {
                        copy.binder = symbol.binder;
                    }
                }
                Some(existing) if existing.has(flag::BOUND) && !in_class => {
                    let free_within = self.blocks[comprehension].children.iter().any(|child| {
                        self.blocks.symbol(*child, name).is_some_and(|symbol| symbol.scope == Scope::Free)
                    });
                    if !free_within {
                        free.retain(|free| *free != name);
                    }
                    if self.rules.uses_merged && symbol.scope == Scope::Free {
                        self.blocks.symbol_or_new(id, name).flags |= symbol.flags & flag::USE;
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// Makes cells of locals that blocks within take, and takes them off their list.
    fn cells(&mut self, id: BlockId, passed: &mut Vec<NameId>, inlined: &[NameId]) {
        if passed.is_empty() && inlined.is_empty() {
            return;
        }
        let mut bound = vec![];
        passed.retain(|name| {
            let local = self.blocks.symbol(id, *name).is_some_and(|symbol| symbol.scope == Scope::Local);
            if local {
                bound.push(*name);
            }
            !local
        });
        for name in bound.iter().chain(inlined) {
            let symbol = self.blocks.symbol_or_new(id, *name);
            if symbol.scope == Scope::Local {
                symbol.scope = Scope::Cell;
            }
        }
    }

    /// Notes names that blocks within take from outside this one.
    fn pass_on(&mut self, id: BlockId, passed: &[NameId]) {
        let like_class = self.blocks[id].kind == Kind::Class || self.blocks[id].sees_class;
        for name in passed {
            let binder = self.binders[name.index()];
            match (self.blocks.symbol(id, *name), binder) {
                (Some(symbol), _) => {
                    if like_class && (!self.rules.free_class_bound || symbol.has(flag::BOUND | flag::GLOBAL)) {
                        self.blocks.symbol_or_new(id, *name).flags |= flag::FREE_CLASS;
                    }
                }
                (None, Some(binder)) => {
                    let symbol = self.blocks.symbol_or_new(id, *name);
                    symbol.scope = Scope::Free;
                    symbol.binder = binder;
                }
                (None, None) => {}
            }
        }
    }

    fn set_binder(&mut self, name: NameId, binder: Option<BlockId>) {
        if self.binders[name.index()] != binder {
            self.remember(name);
            self.binders[name.index()] = binder;
        }
    }

    fn set_type_param(&mut self, name: NameId, is_type_param: bool) {
        if self.type_params[name.index()] != is_type_param {
            self.remember(name);
            self.type_params[name.index()] = is_type_param;
        }
    }

    fn remember(&mut self, name: NameId) {
        let (binder, is_type_param) = (self.binders[name.index()], self.type_params[name.index()]);
        self.trail.push(Undo { name, binder, is_type_param });
    }

    fn undo(&mut self, start: usize) {
        for undo in self.trail.drain(start..).rev() {
            self.binders[undo.name.index()] = undo.binder;
            self.type_params[undo.name.index()] = undo.is_type_param;
        }
    }

    /// Leaves the first of equal names.
    fn distinct(&mut self, names: &mut Vec<NameId>) {
        if names.len() < 2 {
            return;
        }
        self.stamp += 1;
        let (stamps, stamp) = (&mut self.stamps, self.stamp);
        names.retain(|name| std::mem::replace(&mut stamps[name.index()], stamp) != stamp);
    }

    /// An error at the statement that declares the name.
    #[cold]
    fn refusal(&self, id: BlockId, name: NameId, message: &str) -> PythonError {
        let message = message.replace("{}", self.blocks.names.text(name));
        let directive = self.blocks[id].directives.iter().find(|(directive, _)| *directive == name);
        let span = directive.map(|(_, range)| self.module.locator().span(*range));
        PythonError::new("SyntaxError", message, span)
    }
}
