//! The walk over a tree: one pass with a cursor, which never recurses, fills every table that is wanted.

use tree_sitter::{Node, Tree, TreeCursor};

use super::defs::{Around, Named, base_type, bytes};
use super::docs::{Owner, Pending, Run};
use super::grammars::{ERROR, FieldId, Grammar, Role};
use super::imports::Importer;
use super::rules::{DocComments, Docs, ScopeKind};
use super::tables::{Calls, Defs, Docstrings, Errors, Imports, Missing, Nodes, Span, Stats};
use super::text::Text;
use crate::columns::{Builder, Table};
use crate::extract::LaneRequest;

/// The tables of the lane.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Tables {
    pub nodes: Nodes,
    pub errors: Errors,
    pub missing: Missing,
    pub defs: Defs,
    pub calls: Calls,
    pub imports: Imports,
    pub docstrings: Docstrings,
    pub stats: Stats,
}

impl Tables {
    /// In catalog order.
    pub fn all(&mut self) -> [&mut dyn Table; 8] {
        let Self { nodes, errors, missing, defs, calls, imports, docstrings, stats } = self;
        [nodes, errors, missing, defs, calls, imports, docstrings, stats]
    }
}

/// What is wanted of a file.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Wants {
    pub nodes: bool,
    pub errors: bool,
    pub missing: bool,
    pub defs: bool,
    pub calls: bool,
    pub imports: bool,
    pub docstrings: bool,
    pub stats: bool,
}

impl Wants {
    /// What a request wants.
    pub fn of(request: &LaneRequest) -> Self {
        Self {
            nodes: request.wants(&Nodes::DATASET),
            errors: request.wants(&Errors::DATASET),
            missing: request.wants(&Missing::DATASET),
            defs: request.wants(&Defs::DATASET),
            calls: request.wants(&Calls::DATASET),
            imports: request.wants(&Imports::DATASET),
            docstrings: request.wants(&Docstrings::DATASET),
            stats: request.wants(&Stats::DATASET),
        }
    }
}

/// A node's place in the file.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its ordinal.
    pub ordinal: i32,
    /// Its parent's.
    pub parent: Option<i32>,
    /// Where it lies.
    pub span: Span,
}

/// What the parser says of a node.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Flags {
    pub named: bool,
    pub error: bool,
    pub missing: bool,
    pub extra: bool,
    pub holds_error: bool,
}

impl Flags {
    /// Every question to the parser is a call, and there are very many nodes: in a tree without errors three need none.
    #[inline]
    fn of(node: &Node<'_>, kind: u16, grammar: &Grammar, clean: bool) -> Self {
        Self {
            named: grammar.is_named(kind),
            error: kind == ERROR,
            missing: !clean && node.is_missing(),
            extra: node.is_extra(),
            holds_error: !clean && node.has_error(),
        }
    }
}

/// What surrounds a node.
#[derive(Debug, Clone, Copy)]
struct Scope {
    kind: ScopeKind,
    owner: Owner,
}

/// A node whose children are being visited.
pub(super) struct Frame {
    ordinal: i32,
    pub(super) kind: u16,
    start: u32,
    pub(super) children: i32,
    scope: Scope,
    docs: Pending,
}

/// Rows of the tables before this file: ordinals count from there.
pub(super) struct Base {
    pub(super) errors: usize,
    pub(super) missing: usize,
    pub(super) defs: usize,
    pub(super) calls: usize,
    pub(super) imports: usize,
    pub(super) docstrings: usize,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) nodes: i32,
    pub(super) named: i32,
    pub(super) errors: i32,
    pub(super) missing: i32,
    pub(super) extra: i32,
    pub(super) depth: usize,
}

/// A walk over one file.
pub struct Walk<'s, 't> {
    pub(super) grammar: &'s Grammar,
    pub(super) text: Text<'s>,
    pub(super) max_docstring_bytes: usize,
    wants: Wants,
    pub(super) tables: &'s mut Tables,
    pub(super) base: Base,
    /// For looks below the node that is visited.
    pub(super) scratch: TreeCursor<'t>,
    names: Vec<Named>,
    pub(super) frames: Vec<Frame>,
    /// Documentation comments, where they are wanted and the language has them.
    pub(super) comments: Option<&'static DocComments>,
    /// Documentation that the node just visited hands on to its children.
    handed: Option<Run>,
    /// Whether there is no error in the tree.
    clean: bool,
    pub(super) counts: Counts,
}

impl<'s, 't> Walk<'s, 't> {
    /// Fills the wanted tables from a tree.
    pub fn run(
        grammar: &'s Grammar,
        tree: &'t Tree,
        text: Text<'s>,
        max_docstring_bytes: usize,
        wants: Wants,
        tables: &'s mut Tables,
    ) {
        let base = Base {
            errors: tables.errors.ordinal.len(),
            missing: tables.missing.ordinal.len(),
            defs: tables.defs.ordinal.len(),
            calls: tables.calls.ordinal.len(),
            imports: tables.imports.ordinal.len(),
            docstrings: tables.docstrings.ordinal.len(),
        };
        let comments = match grammar.docs {
            Docs::Comments(docs) if wants.docstrings => Some(docs),
            _ => None,
        };
        let mut walk = Self {
            grammar,
            text,
            max_docstring_bytes,
            wants,
            tables,
            base,
            scratch: tree.walk(),
            names: vec![],
            frames: vec![],
            comments,
            handed: None,
            clean: !tree.root_node().has_error(),
            counts: Counts::default(),
        };
        walk.visit_all(tree);
        if wants.stats {
            walk.push_stats();
        }
    }

    fn visit_all(&mut self, tree: &'t Tree) {
        let mut cursor = tree.walk();
        let root = cursor.node();
        let owner = Owner { ordinal: 0, kind: self.grammar.kind(root.kind_id()), name: None };
        let mut scope = Scope { kind: ScopeKind::Module, owner };
        if self.wants.docstrings && matches!(self.grammar.docs, Docs::String) {
            self.document_with_string(root, owner);
        }
        loop {
            let node = cursor.node();
            let field = if self.wants.nodes { cursor.field_id() } else { None };
            let (ordinal, kind) = (self.counts.nodes, node.kind_id());
            // Where the cursor can't go down there are no children: to be told costs nothing then.
            let has_children = cursor.goto_first_child();
            let inside = self.visit(node, kind, field, scope, !has_children);
            self.counts.nodes += 1;
            let docs = Pending::new(self.handed.take());
            if has_children {
                let start = node.start_byte() as u32;
                self.frames.push(Frame { ordinal, kind, start, children: 0, scope: inside, docs });
                self.counts.depth = self.counts.depth.max(self.frames.len());
                scope = inside;
                continue;
            }
            while !cursor.goto_next_sibling() {
                if let Some(frame) = self.frames.pop()
                    && let Some(run) = frame.docs.rest()
                {
                    self.document_with_comments(frame.scope.owner, run);
                }
                if !cursor.goto_parent() {
                    return;
                }
            }
            if let Some(frame) = self.frames.last() {
                scope = frame.scope;
            }
        }
    }

    /// Visits a node, before its children; gives the scope of its inside.
    fn visit(&mut self, node: Node<'t>, kind: u16, field: Option<FieldId>, scope: Scope, is_leaf: bool) -> Scope {
        let parent = self.frames.last().map(|f| f.ordinal);
        let place = Place { ordinal: self.counts.nodes, parent, span: Span::of(&node) };
        let flags = Flags::of(&node, kind, self.grammar, self.clean);
        self.counts.named += i32::from(flags.named);
        self.counts.errors += i32::from(flags.error);
        self.counts.missing += i32::from(flags.missing);
        self.counts.extra += i32::from(flags.extra);
        if self.wants.nodes {
            self.push_node(&node, kind, flags, field, &place, is_leaf);
        }
        if flags.error && self.wants.errors {
            self.push_error(&place);
        }
        if flags.missing && self.wants.missing {
            self.push_missing(kind, &place);
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.children += 1;
        }
        let role = if flags.named { self.grammar.role(kind) } else { Role::default() };
        let doc = self.pending_comment(&node, role, flags.named, scope, &place);
        if role.any { self.understand(node, role, scope, place, doc) } else { scope }
    }

    /// The documentation comments in front of a node.
    fn pending_comment(
        &mut self,
        node: &Node<'t>,
        role: Role,
        named: bool,
        scope: Scope,
        place: &Place,
    ) -> Option<Run> {
        let style = self.comments?;
        let docs = &mut self.frames.last_mut()?.docs;
        if role.comment {
            let done = docs.comment(style, &self.text.bytes[node.byte_range()], place);
            if let Some(inner) = done {
                self.document_with_comments(scope.owner, inner);
            }
            return None;
        }
        if role.between {
            return None;
        }
        let run = docs.take(&place.span);
        if !named {
            // A group, `const ( … )`: what is in front of it documents none of its members.
            docs.inherited = docs.inherited.filter(|_| self.text.bytes.get(node.start_byte()) != Some(&b'('));
        }
        match run {
            Some(run) if run.inner => {
                self.document_with_comments(scope.owner, run);
                None
            }
            Some(run) if style.adjacent && run.last_row() + 1 < place.span.start.0 => None,
            run => run,
        }
    }

    /// Reads what a node means: definition, call, import.
    fn understand(&mut self, node: Node<'t>, role: Role, scope: Scope, place: Place, doc: Option<Run>) -> Scope {
        if role.wrapper {
            let inherited = self.frames.last_mut().and_then(|f| f.docs.inherited.take());
            self.handed = doc.or(inherited);
        }
        if let Some(index) = role.call
            && self.wants.calls
        {
            self.push_call(node, index, &place);
        }
        if let Some(index) = role.import
            && self.wants.imports
        {
            let (text, base) = (self.text, self.base.imports);
            let (_, read) = self.grammar.import(index);
            read(&mut Importer { text, table: &mut self.tables.imports, place, base, alias_index: 0 }, &node);
        }
        if !self.wants.defs && !self.wants.docstrings {
            return scope;
        }
        if let Some(field) = role.extension
            && let Some(extended) = node.child_by_field_id(field.get())
        {
            let name = Some(bytes(&base_type(self.grammar, extended)));
            return Scope {
                kind: ScopeKind::Type,
                owner: Owner { ordinal: place.ordinal, kind: self.grammar.kind(node.kind_id()), name },
            };
        }
        if role.defs.0 < role.defs.1
            && let Some(inside) = self.define(node, role, scope, &place, doc)
        {
            return inside;
        }
        if role.closure { Scope { kind: ScopeKind::Function, ..scope } } else { scope }
    }

    /// Reads a definition; gives the scope of its inside if it opens one.
    fn define(&mut self, node: Node<'t>, role: Role, scope: Scope, place: &Place, doc: Option<Run>) -> Option<Scope> {
        let grammar = self.grammar;
        let parent = self.frames.last();
        let around = Around {
            scope: scope.kind,
            parent: parent.map_or("", |f| grammar.kind(f.kind)),
            parent_text: parent.map_or(&[][..], |f| &self.text.bytes[f.start as usize..]),
        };
        let rule = grammar.defs(role).iter().find(|rule| rule.holds(grammar, &node, &around))?;
        let mut names = std::mem::take(&mut self.names);
        rule.names(grammar, node, &mut self.scratch, &mut names);
        let kind_of = |named: &Named| match (rule.def.callable, named.container) {
            (Some((_, member)), _) if named.callable && scope.kind == ScopeKind::Type => member,
            (Some((outside, _)), _) if named.callable => outside,
            // `Type::name`, outside of the type.
            (_, Some(_)) => rule.def.member,
            _ if scope.kind == ScopeKind::Type => rule.def.member,
            _ => rule.def.kind,
        };
        if self.wants.defs {
            for named in &names {
                self.push_def(grammar.kind(node.kind_id()), kind_of(named).name(), named, scope.owner.name, place);
            }
        }
        let first = names.first().copied();
        self.names = names;
        let first = first?;
        let owner = Owner { ordinal: place.ordinal, kind: grammar.kind(node.kind_id()), name: Some(first.name) };
        if self.wants.docstrings {
            match grammar.docs {
                Docs::String => self.document_with_string(node, owner),
                Docs::Comments(_) => {
                    let inherited = self.frames.last_mut().and_then(|f| f.docs.inherited.take());
                    if let Some(run) = doc.or(inherited) {
                        self.document_with_comments(owner, run);
                    }
                }
            }
        }
        kind_of(&first).scope().map(|kind| Scope { kind, owner })
    }
}
