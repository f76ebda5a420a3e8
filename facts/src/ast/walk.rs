//! The walk over a tree: nodes in CPython's shape and order, and the state that every part of the walk shares.

use ruff_python_ast::{Expr, Stmt};
use ruff_text_size::{Ranged, TextRange};

use super::nodes::{Node, NodeSink};
use super::tables::{AstCalls, AstDefs, AstDocstrings, AstImports};
use crate::python::{Locator, MAX_DEPTH, PythonError, PythonModule};

/// Stack that must be left before a level of the walk, checked every [`LEVELS_A_CHECK`] levels.
const RED_ZONE: usize = 256 * 1024;
/// Stack that is added when less is left.
const STACK: usize = 4 * 1024 * 1024;
const LEVELS_A_CHECK: usize = 32;

/// Pushes the six columns of a span that is always there.
macro_rules! push_span {
    ($table:expr, $span:expr) => {{
        let span = $span;
        $table.bstart.push(span.bstart);
        $table.bend.push(span.bend);
        $table.lineno.push(span.lineno);
        $table.col_offset.push(span.col_offset);
        $table.end_lineno.push(span.end_lineno);
        $table.end_col_offset.push(span.end_col_offset);
    }};
}

/// Pushes the six columns of a span that can be missing.
macro_rules! push_optional_span {
    ($table:expr, $span:expr) => {{
        let span = $span;
        $table.bstart.push(span.map(|s| s.bstart));
        $table.bend.push(span.map(|s| s.bend));
        $table.lineno.push(span.map(|s| s.lineno));
        $table.col_offset.push(span.map(|s| s.col_offset));
        $table.end_lineno.push(span.map(|s| s.end_lineno));
        $table.end_col_offset.push(span.map(|s| s.end_col_offset));
    }};
}

pub(super) use {push_optional_span, push_span};

/// A table, if it is wanted, and the rows it has of this file.
pub(super) struct Sink<'t, T> {
    table: Option<&'t mut T>,
    rows: i32,
}

impl<'t, T> Sink<'t, T> {
    pub(super) fn new(table: Option<&'t mut T>) -> Self {
        Self { table, rows: 0 }
    }

    pub(super) fn wanted(&self) -> bool {
        self.table.is_some()
    }

    /// The table and the ordinal of the row that comes next.
    #[inline]
    pub(super) fn row(&mut self) -> Option<(&mut T, i32)> {
        let table = self.table.as_deref_mut()?;
        let ordinal = self.rows;
        self.rows += 1;
        Some((table, ordinal))
    }
}

/// Where a node hangs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) parent: i32,
    pub(super) field: &'static str,
    pub(super) index: Option<i32>,
}

impl Place {
    /// In a field that holds one node.
    pub(super) fn field(parent: i32, field: &'static str) -> Self {
        Self { parent, field, index: None }
    }

    /// In a field that holds a list.
    pub(super) fn item(parent: i32, field: &'static str, index: usize) -> Self {
        Self { parent, field, index: Some(index as i32) }
    }
}

/// What a node carries besides its children.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Labels<'l> {
    pub(super) name: Option<&'l str>,
    pub(super) value: Option<&'l str>,
    pub(super) value_type: Option<&'static str>,
    pub(super) ctx: Option<&'static str>,
    pub(super) op: Option<&'static str>,
}

impl<'l> Labels<'l> {
    pub(super) const NONE: Labels<'static> = Labels { name: None, value: None, value_type: None, ctx: None, op: None };

    pub(super) fn name(name: Option<&'l str>) -> Self {
        Self { name, ..Self::default() }
    }

    pub(super) fn value(value: Option<&'l str>) -> Self {
        Self { value, ..Self::default() }
    }
}

/// The walk over one file.
pub(super) struct Walker<'w> {
    pub(super) module: &'w PythonModule<'w>,
    pub(super) locator: Locator<'w>,
    nodes: Option<NodeSink<'w>>,
    pub(super) docstrings: Sink<'w, AstDocstrings>,
    pub(super) imports: Sink<'w, AstImports>,
    pub(super) defs: Sink<'w, AstDefs>,
    pub(super) calls: Sink<'w, AstCalls>,
    pub(super) max_docstring_bytes: usize,
    /// Docstrings that were cut.
    pub(super) cut_docstrings: usize,
    /// Scratch for text that is put together.
    pub(super) text: String,
    next_ordinal: i32,
    depth: usize,
    failure: Option<PythonError>,
}

impl<'w> Walker<'w> {
    pub(super) fn new(
        module: &'w PythonModule<'w>,
        nodes: Option<NodeSink<'w>>,
        docstrings: Option<&'w mut AstDocstrings>,
        imports: Option<&'w mut AstImports>,
        defs: Option<&'w mut AstDefs>,
        calls: Option<&'w mut AstCalls>,
        max_docstring_bytes: usize,
    ) -> Self {
        Self {
            module,
            locator: module.locator(),
            nodes,
            docstrings: Sink::new(docstrings),
            imports: Sink::new(imports),
            defs: Sink::new(defs),
            calls: Sink::new(calls),
            max_docstring_bytes,
            cut_docstrings: 0,
            text: String::new(),
            next_ordinal: 0,
            depth: 0,
            failure: None,
        }
    }

    /// Walks the whole file and tells how many docstrings were cut.
    ///
    /// # Errors
    /// Where CPython would refuse the tree; the rows of the file are then to be taken back.
    pub(super) fn walk(mut self) -> Result<usize, PythonError> {
        let body = self.module.body();
        let module = self.next_ordinal;
        self.next_ordinal += 1;
        if let Some(nodes) = &mut self.nodes {
            nodes.push(Node { kind: "Module", ..Node::default() });
        }
        self.docstring(module, "Module", None, body);
        self.statements(module, "body", body);
        if let Some(mut nodes) = self.nodes {
            nodes.flush();
        }
        self.failure.map_or(Ok(self.cut_docstrings), Err)
    }

    /// Adds a node and gives its ordinal.
    #[inline]
    pub(super) fn node(
        &mut self,
        place: Place,
        kind: &'static str,
        range: Option<TextRange>,
        labels: Labels<'_>,
    ) -> i32 {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        let Some(nodes) = &mut self.nodes else { return ordinal };
        let node = Node {
            parent: Some(place.parent),
            kind,
            field: Some(place.field),
            index: place.index,
            name: labels.name.map(|name| nodes.table.name.key(name)),
            value: labels.value.map(|value| nodes.table.value.key(value)),
            value_type: labels.value_type,
            ctx: labels.ctx,
            op: labels.op,
            span: range.map(|range| self.locator.span(range)),
        };
        nodes.push(node);
        ordinal
    }

    /// Adds a node whose value is put together in the scratch text.
    pub(super) fn node_with_text(
        &mut self,
        place: Place,
        kind: &'static str,
        range: Option<TextRange>,
        labels: Labels<'_>,
        build: impl FnOnce(&mut String),
    ) -> i32 {
        if self.nodes.is_none() {
            return self.node(place, kind, range, labels);
        }
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        build(&mut text);
        let ordinal = self.node(place, kind, range, Labels { value: Some(&text), ..labels });
        self.text = text;
        ordinal
    }

    /// Goes one level deeper, with enough stack, or gives up where CPython does.
    #[inline]
    pub(super) fn nested(&mut self, walk: impl FnOnce(&mut Self)) {
        if self.failure.is_some() {
            return;
        }
        if self.depth == MAX_DEPTH {
            return self.fail("RecursionError", "maximum recursion depth exceeded during ast construction", None);
        }
        self.depth += 1;
        if self.depth.is_multiple_of(LEVELS_A_CHECK) {
            stacker::maybe_grow(RED_ZONE, STACK, || walk(self));
        } else {
            walk(self);
        }
        self.depth -= 1;
    }

    /// Ends the walk with an error of CPython's.
    #[cold]
    pub(super) fn fail(&mut self, error_type: &'static str, message: &str, range: Option<TextRange>) {
        let span = range.map(|range| self.locator.span(range));
        self.failure.get_or_insert_with(|| PythonError::new(error_type, message, span));
    }

    pub(super) fn statements(&mut self, parent: i32, field: &'static str, statements: &[Stmt]) {
        for (index, statement) in statements.iter().enumerate() {
            self.statement(Place::item(parent, field, index), statement);
        }
    }

    pub(super) fn expressions(&mut self, parent: i32, field: &'static str, expressions: &[Expr]) {
        for (index, expression) in expressions.iter().enumerate() {
            self.expression(Place::item(parent, field, index), expression);
        }
    }

    pub(super) fn optional(&mut self, parent: i32, field: &'static str, expression: Option<&Expr>) {
        if let Some(expression) = expression {
            self.expression(Place::field(parent, field), expression);
        }
    }

    /// The source of expressions as a JSON list; none for none.
    pub(super) fn sources<'e>(&self, expressions: impl Iterator<Item = &'e Expr>) -> Option<String> {
        let sources: Vec<&str> = expressions.map(|e| self.module.slice(e.range())).collect();
        (!sources.is_empty()).then(|| serde_json::to_string(&sources).expect("a list of text serializes"))
    }
}
