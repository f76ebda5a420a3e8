//! Rust.

use std::borrow::Cow;

use tree_sitter::Node;

use super::DefKind::{
    Constant, Enum, Field, Function, Macro, Method, Module, Struct, Trait, Type, Union, Variable, Variant,
};
use super::{Call, Def, DocComments, Docs, Import, Rules, call, def};
use crate::ts::imports::{Entry, Importer, children};

/// Rust.
pub const RUST: Rules = Rules {
    defs: &[DEFS],
    extensions: &[("impl_item", "type")],
    closures: &["closure_expression"],
    calls: CALLS,
    imports: IMPORTS,
    comments: &["line_comment", "block_comment"],
    docs: Docs::Comments(DocComments {
        line: &["///"],
        block: &["/**"],
        inner: &["//!", "/*!"],
        adjacent: false,
        between: &["attribute_item"],
        wrappers: &[],
    }),
};

const DEFS: &[Def] = &[
    def("function_item", Function).member(Method),
    def("function_signature_item", Function).member(Method),
    def("struct_item", Struct),
    def("union_item", Union),
    def("enum_item", Enum),
    def("enum_variant", Variant),
    def("field_declaration", Field),
    def("trait_item", Trait),
    def("type_item", Type),
    def("associated_type", Type),
    def("const_item", Constant),
    def("static_item", Variable),
    def("mod_item", Module),
    def("macro_definition", Macro),
];

const CALLS: &[Call] = &[call("call_expression", "function"), call("macro_invocation", "macro")];

const IMPORTS: &[Import] = &[("use_declaration", use_declaration), ("extern_crate_declaration", extern_crate)];

fn extern_crate(importer: &mut Importer<'_>, node: &Node<'_>) {
    let text = importer.text;
    let field = |name| node.child_by_field_name(name).map(|n| text.node(&n));
    importer.push(Entry { kind: "extern_crate", module: field("name"), asname: field("alias"), ..Entry::default() });
}

/// Lists nest (`a::{b::{c, d}, e}`): the tree of the statement is unfolded into its leaves, each with its whole path.
fn use_declaration<'a>(importer: &mut Importer<'a>, node: &Node<'_>) {
    let Some(argument) = node.child_by_field_name("argument") else { return };
    let text = importer.text;
    let join = |prefix: &Option<Cow<'a, str>>, path: Option<Node<'_>>| -> Option<Cow<'a, str>> {
        match (prefix, path) {
            (prefix, None) => prefix.clone(),
            (None, Some(path)) => Some(text.node(&path)),
            (Some(prefix), Some(path)) => {
                let mut joined = format!("{prefix}::{}", text.node(&path));
                joined.truncate(joined.floor_char_boundary(text.limit()));
                Some(joined.into())
            }
        }
    };
    let mut todo = vec![(argument, None)];
    while let Some((item, prefix)) = todo.pop() {
        let field = |name| item.child_by_field_name(name);
        let entry = Entry { kind: "use", ..Entry::default() };
        match item.kind() {
            "use_list" => {
                let items: Vec<_> = children(&item).filter(|n| !n.is_extra()).collect();
                todo.extend(items.into_iter().rev().map(|n| (n, prefix.clone())));
            }
            "scoped_use_list" => todo.extend(field("list").map(|list| (list, join(&prefix, field("path"))))),
            "use_wildcard" => {
                let path = children(&item).next();
                let module = join(&prefix, path);
                importer.push(Entry { module, name: Some("*".into()), is_wildcard: true, ..entry });
            }
            "use_as_clause" => {
                let Some(path) = field("path") else { continue };
                let (module, name) = split(&path);
                let module = join(&prefix, module);
                let asname = field("alias").map(|n| text.node(&n));
                importer.push(Entry { module, name: Some(text.node(&name)), asname, ..entry });
            }
            _ => {
                let (module, name) = split(&item);
                importer.push(Entry { module: join(&prefix, module), name: Some(text.node(&name)), ..entry });
            }
        }
    }
}

/// A path without its last part, and that part.
fn split<'t>(path: &Node<'t>) -> (Option<Node<'t>>, Node<'t>) {
    (path.child_by_field_name("path"), path.child_by_field_name("name").unwrap_or(*path))
}
