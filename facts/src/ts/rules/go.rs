//! Go.

use tree_sitter::Node;

use super::DefKind::{Constant, Field, Function, Interface, Method, Module, Struct, Type, Variable};
use super::{Call, Def, DocComments, Docs, Import, Name, Rules, When, call, def};
use crate::ts::imports::{Entry, Importer, unquoted};

/// Go.
pub const GO: Rules = Rules {
    defs: &[DEFS],
    extensions: &[],
    closures: &["func_literal"],
    calls: CALLS,
    imports: &[IMPORT],
    comments: &["comment"],
    docs: Docs::Comments(DocComments {
        line: &["//"],
        block: &["/*"],
        inner: &[],
        adjacent: true,
        between: &[],
        wrappers: &["type_declaration", "const_declaration", "var_declaration"],
    }),
};

const DEFS: &[Def] = &[
    def("package_clause", Module).named(Name::LastChild),
    def("function_declaration", Function),
    def("method_declaration", Method).receiver("receiver"),
    def("method_elem", Method),
    def("type_spec", Struct).when(When::Is("type", &["struct_type"])),
    def("type_spec", Interface).when(When::Is("type", &["interface_type"])),
    def("type_spec", Type),
    def("type_alias", Type),
    def("field_declaration", Field),
    def("const_spec", Constant).when(When::NotLocal),
    def("var_spec", Variable).when(When::NotLocal),
];

const CALLS: &[Call] = &[call("call_expression", "function")];

const IMPORT: Import = ("import_spec", import);

fn import(importer: &mut Importer<'_>, node: &Node<'_>) {
    let text = importer.text;
    let Some(path) = node.child_by_field_name("path") else { return };
    let entry = Entry { kind: "import", module: Some(unquoted(text, &path)), ..Entry::default() };
    importer.push(match node.child_by_field_name("name") {
        Some(name) if name.kind() == "dot" => Entry { name: Some("*".into()), is_wildcard: true, ..entry },
        Some(name) => Entry { asname: Some(text.node(&name)), ..entry },
        None => entry,
    });
}
