//! The rows a walk appends.

use tree_sitter::Node;

use super::defs::Named;
use super::docs::{DocText, Owner, Run, head_string, of_comments};
use super::grammars::FieldId;
use super::tables::push_span;
use super::walk::{Flags, Place, Walk};
use crate::columns::Builder;

impl<'t> Walk<'_, 't> {
    #[inline]
    pub(super) fn push_node(
        &mut self,
        node: &Node<'t>,
        kind: u16,
        flags: Flags,
        field: Option<FieldId>,
        place: &Place,
        is_leaf: bool,
    ) {
        let grammar = self.grammar;
        let own = node.grammar_id();
        let aliased = own != kind;
        let index = self.frames.last().map_or(0, |f| f.children);
        let table = &mut self.tables.nodes;
        table.ordinal.push(place.ordinal);
        table.parent_ordinal.push(place.parent);
        table.kind.push(grammar.kind(kind));
        table.kind_id.push(i32::from(kind));
        table.grammar_name.push(aliased.then(|| grammar.kind(own)).filter(|name| *name != grammar.kind(kind)));
        table.grammar_id.push(aliased.then_some(i32::from(own)));
        table.field_name.push(field.map(|id| grammar.field_name(id)));
        table.child_index.push(index);
        table.is_named.push(flags.named);
        table.is_error.push(flags.error);
        table.is_missing.push(flags.missing);
        table.is_extra.push(flags.extra);
        table.has_error.push(flags.holds_error);
        if flags.named && is_leaf {
            table.text.push(Some(&self.text.slice(place.span.bytes)));
        } else {
            table.text.push(None);
        }
        push_span!(table, place.span);
    }

    pub(super) fn push_error(&mut self, place: &Place) {
        let parent_kind = self.frames.last().map(|f| self.grammar.kind(f.kind));
        let table = &mut self.tables.errors;
        table.ordinal.push((table.ordinal.len() - self.base.errors) as i32);
        table.node_ordinal.push(place.ordinal);
        table.parent_ordinal.push(place.parent);
        table.parent_kind.push(parent_kind);
        table.text.push(&self.text.slice(place.span.bytes));
        push_span!(table, place.span);
    }

    pub(super) fn push_missing(&mut self, kind: u16, place: &Place) {
        let parent_kind = self.frames.last().map(|f| self.grammar.kind(f.kind));
        let table = &mut self.tables.missing;
        table.ordinal.push((table.ordinal.len() - self.base.missing) as i32);
        table.node_ordinal.push(place.ordinal);
        table.kind.push(self.grammar.kind(kind));
        table.parent_ordinal.push(place.parent);
        table.parent_kind.push(parent_kind);
        push_span!(table, place.span);
    }

    pub(super) fn push_def(
        &mut self,
        kind: &'static str,
        def_kind: &'static str,
        named: &Named,
        scope: Option<(u32, u32)>,
        place: &Place,
    ) {
        let container = named.container.or(scope).map(|range| self.text.slice(range));
        let container = container.as_deref().map(|text| text.trim_end_matches([':', '.', '?', ' ', '\n']));
        let table = &mut self.tables.defs;
        table.ordinal.push((table.ordinal.len() - self.base.defs) as i32);
        table.node_ordinal.push(place.ordinal);
        table.parent_ordinal.push(place.parent);
        table.kind.push(kind);
        table.def_kind.push(def_kind);
        table.name.push(&self.text.slice(named.name));
        table.container.push(container);
        table.name_bstart.push(named.name.0 as i32);
        table.name_bend.push(named.name.1 as i32);
        push_span!(table, place.span);
    }

    /// The ordinal of a child is its parent's, one, and the nodes of the siblings before it.
    pub(super) fn push_call(&mut self, node: Node<'t>, rule: u16, place: &Place) {
        let rule = self.grammar.call(rule);
        let (mut callee, mut object, mut arguments) = (None, None, None);
        let mut ordinal = place.ordinal + 1;
        self.scratch.reset(node);
        let mut more = self.scratch.goto_first_child();
        while more {
            let (child, field) = (self.scratch.node(), self.scratch.field_id());
            if field.is_some() {
                if field == rule.callee && callee.is_none() {
                    callee = Some((child, ordinal));
                } else if field == rule.object && object.is_none() {
                    object = Some(child);
                } else if field == rule.arguments {
                    arguments = Some(child);
                    break;
                }
            }
            ordinal += child.descendant_count() as i32;
            more = self.scratch.goto_next_sibling();
        }
        // A call that lost its callee to a syntax error is none.
        let Some((callee, ordinal)) = callee else { return };
        let start = object.map_or(callee.start_byte(), |o| o.start_byte());
        let arg_count = arguments.and_then(|node| self.count_arguments(node));
        let table = &mut self.tables.calls;
        table.ordinal.push((table.ordinal.len() - self.base.calls) as i32);
        table.node_ordinal.push(place.ordinal);
        table.parent_ordinal.push(place.parent);
        table.kind.push(self.grammar.kind(node.kind_id()));
        table.callee_kind.push(self.grammar.kind(callee.kind_id()));
        table.callee_text.push(&self.text.slice((start as u32, callee.end_byte() as u32)));
        table.callee_node_ordinal.push(ordinal);
        table.arg_count.push(arg_count);
        push_span!(table, place.span);
    }

    fn count_arguments(&mut self, arguments: Node<'t>) -> Option<i32> {
        match self.grammar.kind(arguments.kind_id()) {
            "generator_expression" => Some(1),
            "template_string" => None,
            _ => {
                let mut count = 0;
                self.scratch.reset(arguments);
                let mut more = self.scratch.goto_first_child();
                while more {
                    let child = self.scratch.node();
                    count += i32::from(child.is_named() && !child.is_extra());
                    more = self.scratch.goto_next_sibling();
                }
                Some(count)
            }
        }
    }

    pub(super) fn document_with_string(&mut self, node: Node<'t>, owner: Owner) {
        if let Some(doc) = head_string(self.grammar, self.text, node, owner, self.max_docstring_bytes) {
            self.push_doc(owner, doc);
        }
    }

    pub(super) fn document_with_comments(&mut self, owner: Owner, run: Run) {
        if let Some(style) = self.comments {
            let doc = of_comments(style, self.text, run, self.max_docstring_bytes);
            self.push_doc(owner, doc);
        }
    }

    fn push_doc(&mut self, owner: Owner, doc: DocText) {
        let name = owner.name.map(|range| self.text.slice(range));
        let table = &mut self.tables.docstrings;
        table.ordinal.push((table.ordinal.len() - self.base.docstrings) as i32);
        table.owner_node_ordinal.push(owner.ordinal);
        table.owner_kind.push(owner.kind);
        table.owner_name.push(name.as_deref());
        table.doc_node_ordinal.push(doc.ordinal);
        table.docstring.push(&doc.text);
        table.source.push(doc.source);
        push_span!(table, doc.span);
    }

    pub(super) fn push_stats(&mut self) {
        let (spec, counts) = (self.grammar.spec, &self.counts);
        let table = &mut self.tables.stats;
        table.ordinal.push(0);
        table.language.push(spec.language.name());
        table.grammar.push(spec.name);
        table.grammar_version.push(spec.version);
        table.abi_version.push(self.grammar.language.abi_version() as i32);
        table.node_count.push(counts.nodes);
        table.named_count.push(counts.named);
        table.error_count.push(counts.errors);
        table.missing_count.push(counts.missing);
        table.extra_count.push(counts.extra);
        table.max_depth.push(counts.depth as i32);
    }
}
