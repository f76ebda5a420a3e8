//! Rows of `ts_imports`: what the readers of [`super::rules`] share.

use std::borrow::Cow;

use tree_sitter::Node;

use super::tables::{Imports, push_span};
use super::text::Text;
use super::walk::Place;
use crate::columns::Builder;

/// One imported name.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Entry<'a> {
    pub kind: &'static str,
    pub module: Option<Cow<'a, str>>,
    pub name: Option<Cow<'a, str>>,
    pub asname: Option<Cow<'a, str>>,
    pub level: i32,
    pub is_wildcard: bool,
}

/// Takes the names of one importing node.
pub struct Importer<'a> {
    /// Text of the file.
    pub text: Text<'a>,
    pub(super) table: &'a mut Imports,
    pub(super) place: Place,
    pub(super) base: usize,
    pub(super) alias_index: i32,
}

impl<'a> Importer<'a> {
    /// Appends a name.
    pub fn push(&mut self, entry: Entry<'a>) {
        let table = &mut *self.table;
        table.ordinal.push((table.ordinal.len() - self.base) as i32);
        table.node_ordinal.push(self.place.ordinal);
        table.parent_ordinal.push(self.place.parent);
        table.kind.push(entry.kind);
        table.module.push(entry.module.as_deref());
        table.name.push(entry.name.as_deref());
        table.asname.push(entry.asname.as_deref());
        table.alias_index.push(self.alias_index);
        table.level.push(entry.level);
        table.is_wildcard.push(entry.is_wildcard);
        push_span!(table, self.place.span);
        self.alias_index += 1;
    }
}

/// The named children of a node.
pub fn children<'t>(node: &Node<'t>) -> impl Iterator<Item = Node<'t>> + use<'t> {
    let mut cursor = node.walk();
    let mut more = cursor.goto_first_child();
    std::iter::from_fn(move || {
        while more {
            let child = cursor.node();
            more = cursor.goto_next_sibling();
            if child.is_named() {
                return Some(child);
            }
        }
        None
    })
}

/// Text between the quotes of a node.
pub fn unquoted<'a>(text: Text<'a>, node: &Node<'_>) -> Cow<'a, str> {
    let (start, end) = (node.start_byte() as u32, node.end_byte() as u32);
    if end - start < 2 { text.slice((start, end)) } else { text.slice((start + 1, end - 1)) }
}
