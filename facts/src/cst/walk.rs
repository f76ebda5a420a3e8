//! The walk over a tree in the order of LibCST's scope analysis: it opens scopes, records assignments, and notes each
//! node that becomes a row, to be resolved when all assignments are known.

use memchr::memmem;
use ruff_python_ast::{Expr, ExprAttribute, ExprCall, Stmt};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::scope::{GLOBAL, NameId, ScopeId, ScopeKind, Scopes};
use crate::python::{MAX_DEPTH, PythonError, PythonModule};

/// Stack that must be left before a level of the walk, checked every [`LEVELS_A_CHECK`] levels.
const RED_ZONE: usize = 256 * 1024;
/// Stack that is added when less is left.
const STACK: usize = 4 * 1024 * 1024;
const LEVELS_A_CHECK: usize = 32;

/// Walks something with enough stack for some more levels.
pub(super) fn with_stack(walk: impl FnOnce()) {
    stacker::maybe_grow(RED_ZONE, STACK, walk);
}

/// Scopes within each other: far more than LibCST stands, and few enough for names that grow with each.
const MAX_SCOPES: usize = 1_000;

/// How the qualified names of a node are found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resolve<'w> {
    /// LibCST gives the node no scope.
    Unscoped,
    /// An access, made when `index` assignments of its scope were complete.
    Access { scope: ScopeId, name: NameId, index: u32 },
    /// An assignment, in this scope.
    Assigned { scope: ScopeId, name: NameId },
    /// By its name alone, whatever that stands for in the scope.
    Named { scope: ScopeId, name: NameId },
    /// By its dotted name, as above.
    Dotted { scope: ScopeId, expression: &'w Expr },
}

/// What a row of `cst_refs` shows as its text.
#[derive(Debug, Clone, Copy)]
pub(super) enum RefText<'w> {
    Name(&'w str),
    /// A dotted name of an import.
    Imported(&'w str),
    Attribute(&'w Expr),
}

/// A `Name` or `Attribute` node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ref<'w> {
    pub(super) range: TextRange,
    pub(super) text: RefText<'w>,
    pub(super) parent: &'static str,
    pub(super) ctx: Option<&'static str>,
    pub(super) scope: Option<ScopeId>,
    pub(super) resolve: Resolve<'w>,
    /// For a name that starts a chain of attributes: the longest.
    pub(super) chain: Option<&'w Expr>,
}

/// A `Call` node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'w> {
    pub(super) call: &'w ExprCall,
    pub(super) scope: ScopeId,
    /// Of what is called.
    pub(super) resolve: Resolve<'w>,
}

/// A definition around the node at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) ordinal: i32,
    pub(super) kind: &'static str,
    pub(super) range: TextRange,
}

/// The walk over one file, and what it notes.
pub(super) struct Walker<'w> {
    pub(super) module: &'w PythonModule<'w>,
    pub(super) scopes: Scopes<'w>,
    pub(super) scope: ScopeId,
    pub(super) refs: Vec<Ref<'w>>,
    pub(super) calls: Vec<Call<'w>>,
    pub(super) found: Found<'w>,
    /// Definitions around the node at hand, innermost last.
    pub(super) owners: Vec<Owner>,
    /// In type parameters of a definition, whose names have no context.
    pub(super) without_context: usize,
    /// In an argument that the scope analysis leaves out.
    pub(super) skipping: usize,
    /// Whether the file can know anything of `typing`.
    pub(super) typing: bool,
    pub(super) failure: Option<PythonError>,
    depth: usize,
    scope_depth: usize,
}

/// Definitions and what belongs to statements, in the order of the source.
#[derive(Debug, Default)]
pub(super) struct Found<'w> {
    pub(super) defs: Vec<Def<'w>>,
    pub(super) imports: Vec<&'w Stmt>,
    pub(super) type_exprs: Vec<TypeExpr<'w>>,
}

/// A function or class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Def<'w> {
    pub(super) statement: &'w Stmt,
    pub(super) owner: Owner,
    pub(super) container: Option<Owner>,
    pub(super) resolve: Resolve<'w>,
}

/// An annotation.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypeExpr<'w> {
    pub(super) owner: Option<Owner>,
    pub(super) role: &'static str,
    pub(super) parameter: Option<&'w str>,
    pub(super) expression: &'w Expr,
    /// Where parentheses of the expression can start.
    pub(super) from: TextSize,
}

impl<'w> Walker<'w> {
    pub(super) fn new(module: &'w PythonModule<'w>) -> Self {
        let mut scopes = Scopes::new(module.version().minor());
        // What LibCST calls an expression that has no name.
        scopes.name("None");
        Self {
            module,
            scopes,
            scope: GLOBAL,
            refs: vec![],
            calls: vec![],
            found: Found::default(),
            owners: vec![],
            without_context: 0,
            skipping: 0,
            typing: memmem::find(module.text().as_bytes(), b"typing").is_some(),
            failure: None,
            depth: 0,
            scope_depth: 0,
        }
    }

    /// Walks the whole file.
    ///
    /// # Errors
    /// Where it nests too deep.
    pub(super) fn walk(mut self) -> Result<Self, PythonError> {
        self.statements(self.module.body());
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.place_dotted_accesses();
        self.refs.sort_by_key(|r| (r.range.start(), std::cmp::Reverse(r.range.end())));
        self.calls.sort_by_key(|c| (c.call.range().start(), std::cmp::Reverse(c.call.range().end())));
        self.found.type_exprs.sort_by_key(|t| t.expression.start());
        Ok(self)
    }

    /// Goes one level deeper, with enough stack, or gives up.
    #[inline]
    pub(super) fn nested(&mut self, levels: usize, walk: impl FnOnce(&mut Self)) {
        if self.failure.is_some() {
            return;
        }
        if self.depth + levels > MAX_DEPTH {
            return self.fail("the tree is too deep");
        }
        let before = self.depth;
        self.depth += levels;
        if before / LEVELS_A_CHECK != self.depth / LEVELS_A_CHECK {
            with_stack(|| walk(self));
        } else {
            walk(self);
        }
        self.depth = before;
    }

    #[cold]
    fn fail(&mut self, message: &str) {
        self.failure.get_or_insert_with(|| PythonError::new("RecursionError", message, None));
    }

    /// Walks something in a scope of its own.
    pub(super) fn scoped(&mut self, kind: ScopeKind, name: Option<&'w str>, walk: impl FnOnce(&mut Self)) {
        if self.scope_depth == MAX_SCOPES {
            return self.fail("scopes nest too deep");
        }
        let outer = self.scope;
        self.scope = self.scopes.open(kind, outer, name);
        self.scope_depth += 1;
        walk(self);
        self.scope_depth -= 1;
        self.scope = outer;
    }

    /// Walks something in another scope.
    pub(super) fn within(&mut self, scope: ScopeId, walk: impl FnOnce(&mut Self)) {
        let scope = std::mem::replace(&mut self.scope, scope);
        walk(self);
        self.scope = scope;
    }

    /// One more node that counts as an assignment is complete.
    pub(super) fn assigned(&mut self) {
        if self.skipping == 0 {
            self.scopes.count(self.scope);
        }
    }

    pub(super) fn slice(&self, range: TextRange) -> &'w str {
        let module: &'w PythonModule<'w> = self.module;
        module.slice(range)
    }

    /// Notes a name that the scope analysis does not visit.
    pub(super) fn unvisited(&mut self, parent: &'static str, range: TextRange, ctx: Option<&'static str>) {
        let text = RefText::Name(self.slice(range));
        self.refs.push(Ref { range, text, parent, ctx, scope: None, resolve: Resolve::Unscoped, chain: None });
    }

    /// Notes a name whose definition or parameter is the assignment.
    pub(super) fn defined(&mut self, parent: &'static str, range: TextRange) {
        let ctx = (self.without_context == 0).then_some("STORE");
        if self.skipping > 0 {
            return self.unvisited(parent, range, ctx);
        }
        let name = self.slice(range);
        let (scope, id) = (self.scope, self.scopes.name(name));
        self.refs.push(Ref {
            range,
            text: RefText::Name(name),
            parent,
            ctx,
            scope: Some(scope),
            resolve: Resolve::Named { scope, name: id },
            chain: None,
        });
    }

    /// Visits a name: an assignment where it is stored, else an access.
    #[inline]
    pub(super) fn name(
        &mut self,
        parent: &'static str,
        range: TextRange,
        ctx: Option<&'static str>,
        chain: Option<&'w Expr>,
    ) {
        if self.skipping > 0 {
            return self.unvisited(parent, range, ctx);
        }
        let text = self.slice(range);
        let (scope, name) = (self.scope, self.scopes.name(text));
        let resolve = if ctx == Some("STORE") {
            Resolve::Assigned { scope: self.scopes.assign(scope, name), name }
        } else {
            Resolve::Access { scope, name, index: self.scopes.get(scope).count }
        };
        let text = RefText::Name(text);
        self.refs.push(Ref { range, text, parent, ctx, scope: Some(scope), resolve, chain });
    }

    /// An access of `a` in `a.b.c` is one of `a.b` where a dotted import made that known: LibCST moves it there.
    fn place_dotted_accesses(&mut self) {
        let mut moved: Vec<(TextSize, Resolve<'w>)> = vec![];
        for at in 0..self.refs.len() {
            let Ref { resolve: Resolve::Access { scope, name, index }, chain: Some(chain), .. } = self.refs[at] else {
                continue;
            };
            if !self.scopes.is_dotted_root(name) {
                continue;
            }
            let mut full_name = String::new();
            if !self.full_name(chain, &mut full_name) {
                continue;
            }
            let mut node = chain;
            while let Expr::Attribute(attribute) = node {
                let known = self.scopes.known(&full_name).filter(|id| self.scopes.contains(scope, *id));
                if let Some(name) = known {
                    moved.push((attribute.attr.start(), Resolve::Access { scope, name, index }));
                    self.refs[at].resolve = Resolve::Named { scope, name: self.scopes.name(self.text_of(at)) };
                    break;
                }
                full_name.truncate(full_name.rfind('.').unwrap_or(0));
                node = &attribute.value;
            }
        }
        moved.sort_by_key(|(at, _)| *at);
        let place = |attribute: &ExprAttribute, resolve: &mut Resolve<'w>| {
            if let Ok(at) = moved.binary_search_by_key(&attribute.attr.start(), |(at, _)| *at) {
                *resolve = moved[at].1;
            }
        };
        if moved.is_empty() {
            return;
        }
        for reference in &mut self.refs {
            if let RefText::Attribute(Expr::Attribute(attribute)) = reference.text {
                place(attribute, &mut reference.resolve);
            }
        }
        for call in &mut self.calls {
            if let Expr::Attribute(attribute) = call.call.func.as_ref() {
                place(attribute, &mut call.resolve);
            }
        }
    }

    fn text_of(&self, at: usize) -> &'w str {
        match self.refs[at].text {
            RefText::Name(text) | RefText::Imported(text) => text,
            RefText::Attribute(_) => "",
        }
    }

    /// Writes the dotted name of a node as LibCST's `get_full_name_for_node` does: calls and subscripts count as what
    /// they are of, and what has no name below an attribute is `None`. False for what has no name at all.
    pub(super) fn full_name(&self, expression: &'w Expr, out: &mut String) -> bool {
        out.clear();
        let mut attributes: Vec<&str> = vec![];
        let mut at = expression;
        loop {
            at = match at {
                Expr::Attribute(attribute) => {
                    attributes.push(self.slice(attribute.attr.range));
                    &attribute.value
                }
                Expr::Call(call) => &call.func,
                Expr::Subscript(subscript) => &subscript.value,
                Expr::Name(_) | Expr::NoneLiteral(_) | Expr::BooleanLiteral(_) => {
                    out.push_str(self.slice(at.range()));
                    break;
                }
                _ if attributes.is_empty() => return false,
                _ => {
                    out.push_str("None");
                    break;
                }
            };
        }
        for attribute in attributes.iter().rev() {
            out.push('.');
            out.push_str(attribute);
        }
        true
    }
}
