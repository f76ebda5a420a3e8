//! From blocks to rows.

use super::block::{BlockId, Blocks, Kind, Scope, Symbol, flag};
use super::names::{self, NameId};
use super::rules::Rules;
use super::tables::{
    SymtableClassMethods, SymtableFunctionPartitions, SymtableNamespaceEdges, SymtableResolutions, SymtableScopeEdges,
    SymtableScopes, SymtableSymbols,
};
use crate::python::{Locator, PythonModule};

/// The tables that are wanted.
pub(super) struct Tables<'t> {
    pub(super) scopes: Option<&'t mut SymtableScopes>,
    pub(super) symbols: Option<&'t mut SymtableSymbols>,
    pub(super) scope_edges: Option<&'t mut SymtableScopeEdges>,
    pub(super) namespace_edges: Option<&'t mut SymtableNamespaceEdges>,
    pub(super) partitions: Option<&'t mut SymtableFunctionPartitions>,
    pub(super) methods: Option<&'t mut SymtableClassMethods>,
    pub(super) resolutions: Option<&'t mut SymtableResolutions>,
}

/// Rows of one file.
pub(super) struct Rows<'r, 'a> {
    rules: Rules,
    blocks: Blocks<'a>,
    locator: Locator<'a>,
    tables: Tables<'r>,
    symbols: i32,
    namespaces: i32,
    partitions: i32,
    methods: i32,
    /// Scopes around the one at hand, by name.
    path: String,
}

/// A scope that has to be written.
struct Pending {
    id: BlockId,
    parent: Option<(i32, i32)>,
    /// Length of the path around it.
    path: usize,
}

impl<'r, 'a> Rows<'r, 'a> {
    pub(super) fn new(module: &'a PythonModule<'a>, rules: Rules, blocks: Blocks<'a>, tables: Tables<'r>) -> Self {
        Self {
            rules,
            blocks,
            locator: module.locator(),
            tables,
            symbols: 0,
            namespaces: 0,
            partitions: 0,
            methods: 0,
            path: String::new(),
        }
    }

    pub(super) fn push(mut self) {
        let order = self.scopes();
        for id in order {
            self.symbols(id);
            match self.blocks[id].kind {
                Kind::Function => self.partitions(id),
                Kind::Class => self.methods(id),
                _ => {}
            }
        }
        self.resolutions();
    }

    /// Numbers the scopes, depth first, and gives them in that order.
    fn scopes(&mut self) -> Vec<BlockId> {
        let mut order = vec![];
        let mut pending = vec![Pending { id: BlockId::MODULE, parent: None, path: 0 }];
        while let Some(Pending { id, parent, path }) = pending.pop() {
            let ordinal = order.len() as i32;
            order.push(id);
            self.blocks[id].ordinal = ordinal;
            self.path.truncate(path);
            let inner = self.scope(id, ordinal, parent);
            let children = self.blocks[id].children.iter().enumerate().rev();
            pending.extend(children.map(|(index, child)| Pending {
                id: *child,
                parent: Some((ordinal, index as i32)),
                path: inner,
            }));
        }
        self.scope_edges(&order);
        order
    }

    fn scope_edges(&mut self, order: &[BlockId]) {
        let Some(table) = self.tables.scope_edges.as_deref_mut() else { return };
        let mut rows = 0;
        for id in order {
            for (index, child) in self.blocks[*id].children.iter().enumerate() {
                table.ordinal.push(rows);
                table.parent_ordinal.push(self.blocks[*id].ordinal);
                table.child_ordinal.push(self.blocks[*child].ordinal);
                table.child_index.push(index as i32);
                rows += 1;
            }
        }
    }

    /// Writes a scope, and gives the length of the path to what lies in it.
    fn scope(&mut self, id: BlockId, ordinal: i32, parent: Option<(i32, i32)>) -> usize {
        let block = &self.blocks[id];
        let name = self.blocks.names.text(block.name);
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        let inner = if parent.is_some() { self.path.len() } else { 0 };
        let Some(table) = self.tables.scopes.as_deref_mut() else { return inner };
        let span = self.locator.span(block.range);
        table.ordinal.push(ordinal);
        table.parent_ordinal.push(parent.map(|(parent, _)| parent));
        table.child_index.push(parent.map(|(_, index)| index));
        let (block_type, value) = type_of(block.kind, self.rules);
        table.block_type.push(block_type);
        table.scope_type_value.push(value);
        table.is_meta_scope.push(block.kind.is_meta());
        table.name.push(name);
        table.qualpath.push(&self.path);
        table.lineno.push(if id == BlockId::MODULE { 0 } else { span.lineno + block.line_shift });
        table.bstart.push(span.bstart);
        table.bend.push(span.bend);
        table.is_optimized.push(block.kind == Kind::Function);
        table.is_nested.push(block.nested);
        table.has_children.push(!block.children.is_empty());
        table.symbol_count.push(block.symbols.len() as i32);
        if parent.is_none() {
            self.path.clear();
        }
        inner
    }

    /// Writes the symbols of a scope and what is bound to them.
    fn symbols(&mut self, id: BlockId) {
        let names = &self.blocks.names;
        let block = &self.blocks[id];
        let (mut order, mut passed): (Vec<u32>, Vec<u32>) =
            (0..block.symbols.len() as u32).partition(|place| !block.symbols[*place as usize].is_passed_on());
        passed.sort_by_key(|place| names.text(block.symbols[*place as usize].name));
        order.append(&mut passed);
        let mut namespaces: Vec<(i32, BlockId)> = vec![];
        for place in &order {
            self.blocks[id].symbols[*place as usize].ordinal = self.symbols;
            self.symbols += 1;
        }
        let block = &self.blocks[id];
        for child in &block.children {
            if let Some(symbol) = self.blocks.symbol(id, self.blocks[*child].name) {
                namespaces.push((symbol.ordinal, *child));
            }
        }
        namespaces.sort_by_key(|(symbol, _)| *symbol);
        if let Some(table) = self.tables.symbols.as_deref_mut() {
            let top = block.name == names::TOP;
            let mut namespaces = namespaces.iter().peekable();
            for place in order {
                let symbol = block.symbols[place as usize];
                let mut count = 0;
                while namespaces.next_if(|(ordinal, _)| *ordinal == symbol.ordinal).is_some() {
                    count += 1;
                }
                push_symbol(table, symbol, self.blocks.names.text(symbol.name), block.ordinal, top, count);
            }
        }
        let Some(table) = self.tables.namespace_edges.as_deref_mut() else { return };
        let mut last = (-1, 0);
        for (symbol, namespace) in namespaces {
            last = if last.0 == symbol { (symbol, last.1 + 1) } else { (symbol, 0) };
            table.ordinal.push(self.namespaces);
            table.symbol_ordinal.push(symbol);
            table.scope_ordinal.push(block.ordinal);
            table.namespace_ordinal.push(self.blocks[namespace].ordinal);
            table.namespace_index.push(last.1);
            self.namespaces += 1;
        }
    }

    fn partitions(&mut self, id: BlockId) {
        let Some(table) = self.tables.partitions.as_deref_mut() else { return };
        let block = &self.blocks[id];
        let mut symbols: Vec<&Symbol> = block.symbols.iter().collect();
        symbols.sort_unstable_by_key(|symbol| symbol.ordinal);
        for (partition, holds) in PARTITIONS {
            let members = symbols.iter().filter(|symbol| holds(symbol));
            for (position, symbol) in members.enumerate() {
                table.ordinal.push(self.partitions);
                table.scope_ordinal.push(block.ordinal);
                table.partition.push(partition);
                table.symbol_ordinal.push(symbol.ordinal);
                table.name.push(self.blocks.names.text(symbol.name));
                table.position.push(position as i32);
                self.partitions += 1;
            }
        }
    }

    fn methods(&mut self, id: BlockId) {
        let Some(table) = self.tables.methods.as_deref_mut() else { return };
        let mut methods: Vec<NameId> = vec![];
        for child in &self.blocks[id].children {
            let name = self.blocks[*child].name;
            if (!self.rules.methods_are_functions || self.blocks.is_method(id, *child)) && !methods.contains(&name) {
                methods.push(name);
            }
        }
        for (position, name) in methods.into_iter().enumerate() {
            table.ordinal.push(self.methods);
            table.scope_ordinal.push(self.blocks[id].ordinal);
            table.name.push(self.blocks.names.text(name));
            table.position.push(position as i32);
            self.methods += 1;
        }
    }

    fn resolutions(&mut self) {
        let Some(table) = self.tables.resolutions.as_deref_mut() else { return };
        let mut uses = std::mem::take(&mut self.blocks.uses);
        uses.sort_by_key(|occurrence| (occurrence.range.start(), occurrence.range.end()));
        for (ordinal, occurrence) in uses.into_iter().enumerate() {
            let resolution = self.blocks.resolve(occurrence);
            let span = self.locator.span(occurrence.range);
            table.ordinal.push(ordinal as i32);
            table.name.push(self.blocks.names.text(occurrence.name));
            table.access.push(occurrence.access.name());
            table.scope_ordinal.push(self.blocks[self.blocks.shown(occurrence.block)].ordinal);
            table.symbol_ordinal.push(resolution.map(|r| r.symbol));
            table.resolution.push(resolution.map(|r| r.scope.name()));
            table.binding_scope_ordinal.push(resolution.and_then(|r| r.binder));
            table.in_comprehension.push(resolution.is_some_and(|r| r.in_comprehension));
            table.bstart.push(span.bstart);
            table.bend.push(span.bend);
            table.lineno.push(span.lineno);
            table.col_offset.push(span.col_offset);
            table.end_col_offset.push(span.end_col_offset);
        }
    }
}

type Partition = (&'static str, fn(&Symbol) -> bool);

/// What `symtable.Function` gives.
const PARTITIONS: [Partition; 5] = [
    ("parameters", |symbol| symbol.has(flag::PARAM)),
    ("locals", |symbol| matches!(symbol.scope, Scope::Local | Scope::Cell)),
    ("globals", |symbol| matches!(symbol.scope, Scope::GlobalImplicit | Scope::GlobalExplicit)),
    ("nonlocals", |symbol| symbol.has(flag::NONLOCAL)),
    ("frees", |symbol| symbol.scope == Scope::Free),
];

fn push_symbol(table: &mut SymtableSymbols, symbol: Symbol, name: &str, scope: i32, top: bool, namespaces: i32) {
    let bound_at_top = top && symbol.has(flag::BOUND);
    table.ordinal.push(symbol.ordinal);
    table.scope_ordinal.push(scope);
    table.name.push(name);
    table.scope.push(symbol.scope.name());
    table.is_referenced.push(symbol.has(flag::USE));
    table.is_imported.push(symbol.has(flag::IMPORT));
    table.is_parameter.push(symbol.has(flag::PARAM));
    table.is_type_parameter.push(symbol.has(flag::TYPE_PARAM));
    table.is_global.push(matches!(symbol.scope, Scope::GlobalImplicit | Scope::GlobalExplicit) || bound_at_top);
    table.is_nonlocal.push(symbol.has(flag::NONLOCAL));
    table.is_declared_global.push(symbol.scope == Scope::GlobalExplicit);
    table.is_local.push(matches!(symbol.scope, Scope::Local | Scope::Cell) || bound_at_top);
    table.is_annotated.push(symbol.has(flag::ANNOT));
    table.is_free.push(symbol.scope == Scope::Free);
    table.is_assigned.push(symbol.has(flag::LOCAL));
    table.is_namespace.push(namespaces > 0);
    table.is_free_class.push(symbol.has(flag::FREE_CLASS));
    table.is_comp_iter.push(symbol.has(flag::COMP_ITER));
    table.is_comp_cell.push(symbol.has(flag::COMP_CELL));
    table.namespace_count.push(namespaces);
}

/// CPython's word and number for a kind of block.
fn type_of(kind: Kind, rules: Rules) -> (&'static str, i32) {
    match (kind, rules.type_defaults) {
        (Kind::Function, _) => ("function", 0),
        (Kind::Class, _) => ("class", 1),
        (Kind::Module, _) => ("module", 2),
        (Kind::Annotation, _) => ("annotation", 3),
        (Kind::TypeVariable, false) => ("TypeVar bound", 4),
        (Kind::TypeAlias, false) => ("type alias", 5),
        (Kind::TypeParameters, false) => ("type parameter", 6),
        (Kind::TypeAlias, true) => ("type alias", 4),
        (Kind::TypeParameters, true) => ("type parameters", 5),
        (Kind::TypeVariable, true) => ("type variable", 6),
    }
}
