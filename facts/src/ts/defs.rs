//! Names of definitions: which a node defines, and where they stand.

use tree_sitter::{Node, TreeCursor};

use super::grammars::{DefRule, Grammar};
use super::rules::{Name, ScopeKind, When};

/// A defined name.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// Its bytes.
    pub name: (u32, u32),
    /// Bytes of what it belongs to, where that is not its scope.
    pub container: Option<(u32, u32)>,
    /// Whether its declarator is a function's.
    pub callable: bool,
}

impl Named {
    fn new(node: &Node<'_>) -> Self {
        Self { name: bytes(node), container: None, callable: false }
    }

    /// A name that may be written in quotes.
    fn unquoted(grammar: &Grammar, node: &Node<'_>) -> Self {
        let named = Self::new(node);
        let (start, end) = named.name;
        let quoted = grammar.kind(node.kind_id()) == "string" && end - start > 2;
        if quoted { Self { name: (start + 1, end - 1), ..named } } else { named }
    }
}

/// Bytes of a node.
pub fn bytes(node: &Node<'_>) -> (u32, u32) {
    (node.start_byte() as u32, node.end_byte() as u32)
}

/// What surrounds a node, as far as rules ask.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// Scope it stands in.
    pub scope: ScopeKind,
    /// Kind of its parent.
    pub parent: &'static str,
    /// Text from the start of its parent.
    pub parent_text: &'a [u8],
}

impl DefRule {
    /// Whether the rule holds for a node.
    pub fn holds(&self, grammar: &Grammar, node: &Node<'_>, around: &Around<'_>) -> bool {
        let local = around.scope == ScopeKind::Function;
        let value = || self.condition.and_then(|field| node.child_by_field_id(field.get()));
        match self.def.when {
            When::Always => true,
            When::NotLocal => !local,
            When::NotLocalAfter(word) => !local && around.parent_text.starts_with(word.as_bytes()),
            When::Has(_) => value().is_some(),
            When::Is(_, kinds) => value().is_some_and(|v| kinds.contains(&grammar.kind(v.kind_id()))),
            When::Below(kind) => around.parent == kind,
            When::Inside(scope) => around.scope == scope,
        }
    }

    /// The names a node defines.
    pub fn names<'t>(&self, grammar: &Grammar, node: Node<'t>, cursor: &mut TreeCursor<'t>, out: &mut Vec<Named>) {
        out.clear();
        let first = || self.name.and_then(|field| node.child_by_field_id(field.get()));
        match self.def.name {
            Name::Field(_) => each(node, cursor, |child, field| {
                if field == self.name && child.is_named() {
                    out.push(Named::unquoted(grammar, &child));
                }
            }),
            Name::Declarators(_) => each(node, cursor, |child, field| {
                if field == self.name {
                    out.extend(declared(grammar, child));
                }
            }),
            Name::Pattern(_) => out_of_pattern(grammar, first(), cursor, out),
            Name::Path(_) => out.extend(first().and_then(|path| last_of_path(grammar, path))),
            Name::Leaf(_) => out.extend(first().map(|node| Named::new(&first_leaf(node)))),
            Name::LastChild => {
                let mut last = None;
                each(node, cursor, |child, _| {
                    last = if child.is_named() && !child.is_extra() { Some(child) } else { last }
                });
                out.extend(last.map(|child| Named::new(&child)));
            }
            Name::Itself => out.push(Named::new(&node)),
        }
        if let Some(receiver) = self.receiver.and_then(|field| node.child_by_field_id(field.get())) {
            let container = bytes(&base_type(grammar, receiver));
            out.iter_mut().for_each(|named| named.container = Some(container));
        }
    }
}

fn each<'t>(
    node: Node<'t>,
    cursor: &mut TreeCursor<'t>,
    mut take: impl FnMut(Node<'t>, Option<super::grammars::FieldId>),
) {
    cursor.reset(node);
    let mut more = cursor.goto_first_child();
    while more {
        take(cursor.node(), cursor.field_id());
        more = cursor.goto_next_sibling();
    }
}

fn first_leaf(mut node: Node<'_>) -> Node<'_> {
    while let Some(child) = node.named_child(0) {
        node = child;
    }
    node
}

/// The type itself, of a pointer to it, an instance of it, or a receiver with it.
pub fn base_type<'t>(grammar: &Grammar, mut node: Node<'t>) -> Node<'t> {
    loop {
        let inner = match grammar.kind(node.kind_id()) {
            "generic_type" | "parameter_declaration" | "reference_type" => node.child_by_field_name("type"),
            "pointer_type" | "parameter_list" | "parenthesized_type" => node.named_child(0),
            _ => None,
        };
        match inner {
            Some(inner) => node = inner,
            None => return node,
        }
    }
}

/// Names bound by a pattern, in the order of the text.
fn out_of_pattern<'t>(grammar: &Grammar, pattern: Option<Node<'t>>, cursor: &mut TreeCursor<'t>, out: &mut Vec<Named>) {
    let mut todo: Vec<Node<'t>> = pattern.into_iter().collect();
    while let Some(node) = todo.pop() {
        let children = match grammar.kind(node.kind_id()) {
            "identifier" | "shorthand_property_identifier_pattern" => {
                out.push(Named::new(&node));
                continue;
            }
            "pattern_list" | "tuple_pattern" | "list_pattern" | "list_splat_pattern" | "object_pattern"
            | "array_pattern" | "rest_pattern" => None,
            "pair_pattern" => Some("value"),
            "assignment_pattern" | "object_assignment_pattern" => Some("left"),
            _ => continue,
        };
        let start = todo.len();
        match children {
            Some(field) => todo.extend(node.child_by_field_name(field)),
            None => each(node, cursor, |child, _| todo.extend(child.is_named().then_some(child))),
        }
        todo[start..].reverse();
    }
}

/// What a C declarator declares: the name inside its pointers, arrays and parameters.
fn declared(grammar: &Grammar, mut node: Node<'_>) -> Option<Named> {
    let mut callable = false;
    loop {
        match grammar.kind(node.kind_id()) {
            "function_declarator" => callable = true,
            "pointer_declarator" | "array_declarator" | "reference_declarator" | "pointer_type_declarator" => {
                callable = false;
            }
            "init_declarator" | "parenthesized_declarator" | "attributed_declarator" => {}
            // `operator bool() const`: the name goes up to the parameters.
            "operator_cast" => {
                let end = node.child_by_field_name("declarator").map_or(node.end_byte(), |d| d.start_byte());
                return Some(Named { name: (node.start_byte() as u32, end as u32), container: None, callable: true });
            }
            _ => return last_of_path(grammar, node).map(|named| Named { callable, ..named }),
        }
        node = node.child_by_field_name("declarator").or_else(|| node.named_child(0))?;
    }
}

/// The last part of a path (`a.b`, `a::b`), with what is in front of it as its container.
fn last_of_path(grammar: &Grammar, path: Node<'_>) -> Option<Named> {
    let mut node = path;
    loop {
        let field = match grammar.kind(node.kind_id()) {
            "member_expression" => "property",
            "qualified_identifier" | "template_function" => "name",
            "identifier"
            | "field_identifier"
            | "type_identifier"
            | "primitive_type"
            | "destructor_name"
            | "operator_name"
            | "property_identifier"
            | "private_property_identifier" => break,
            _ => return None,
        };
        node = node.child_by_field_name(field)?;
    }
    let front = (path.start_byte() as u32, node.start_byte() as u32);
    Some(Named { container: (front.0 < front.1).then_some(front), ..Named::new(&node) })
}
