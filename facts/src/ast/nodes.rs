//! Nodes on their way into `ast_nodes`.

use super::tables::AstNodes;
use crate::python::Span;

/// Nodes of a block, which is to stay in the nearest cache.
const BLOCK: usize = 256;

/// A node; its texts are keys of the table's words.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) parent: Option<i32>,
    pub(super) kind: &'static str,
    pub(super) field: Option<&'static str>,
    pub(super) index: Option<i32>,
    pub(super) name: Option<u32>,
    pub(super) value: Option<u32>,
    pub(super) value_type: Option<&'static str>,
    pub(super) ctx: Option<&'static str>,
    pub(super) op: Option<&'static str>,
    pub(super) span: Option<Span>,
}

/// The table of a file's nodes, which takes a block of them at a time, one column after the other. Written node by node,
/// the values and the validities of 16 columns are more places in memory than a processor's caches follow.
pub(super) struct NodeSink<'t> {
    pub(super) table: &'t mut AstNodes,
    block: &'t mut Vec<Node>,
    /// Ordinal of the block's first node.
    first: i32,
}

impl<'t> NodeSink<'t> {
    /// For another file, with room for a block.
    pub(super) fn new(table: &'t mut AstNodes, block: &'t mut Vec<Node>) -> Self {
        block.clear();
        block.reserve(BLOCK);
        Self { table, block, first: 0 }
    }

    /// Adds a node.
    #[inline]
    pub(super) fn push(&mut self, node: Node) {
        if self.block.len() == BLOCK {
            self.flush();
        }
        self.block.push(node);
    }

    /// Gives the table what it doesn't have yet.
    #[inline(never)]
    pub(super) fn flush(&mut self) {
        let Self { table, block: nodes, first } = self;
        let next = *first + nodes.len() as i32;
        let placed: Vec<bool> = nodes.iter().map(|node| node.span.is_some()).collect();
        let span = |part: fn(&Span) -> i32| nodes.iter().map(move |node| node.span.as_ref().map_or(0, part));
        table.ordinal.extend(*first..next);
        table.parent_ordinal.extend(nodes.iter().map(|node| node.parent));
        table.kind.extend(nodes.iter().map(|node| node.kind));
        table.field.extend(nodes.iter().map(|node| node.field));
        table.field_index.extend(nodes.iter().map(|node| node.index));
        table.name.extend_keys(nodes.iter().map(|node| node.name));
        table.value.extend_keys(nodes.iter().map(|node| node.value));
        table.value_type.extend(nodes.iter().map(|node| node.value_type));
        table.ctx.extend(nodes.iter().map(|node| node.ctx));
        table.op.extend(nodes.iter().map(|node| node.op));
        table.bstart.extend_where(&placed, span(|span| span.bstart));
        table.bend.extend_where(&placed, span(|span| span.bend));
        table.lineno.extend_where(&placed, span(|span| span.lineno));
        table.col_offset.extend_where(&placed, span(|span| span.col_offset));
        table.end_lineno.extend_where(&placed, span(|span| span.end_lineno));
        table.end_col_offset.extend_where(&placed, span(|span| span.end_col_offset));
        *first = next;
        nodes.clear();
    }
}
