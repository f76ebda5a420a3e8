//! Java.

use tree_sitter::Node;

use super::DefKind::{Class, Constant, Constructor, Enum, Field, Interface, Method, Module, Variable, Variant};
use super::{Call, Def, DocComments, Docs, Import, Name, Rules, ScopeKind, When, call, def};
use crate::ts::imports::{Entry, Importer, children};

/// Java.
pub const JAVA: Rules = Rules {
    defs: &[DEFS],
    extensions: &[],
    closures: &["lambda_expression", "static_initializer"],
    calls: CALLS,
    imports: &[IMPORT],
    comments: &["line_comment", "block_comment"],
    docs: Docs::Comments(DocComments {
        line: &["///"],
        block: &["/**"],
        inner: &[],
        adjacent: false,
        between: &[],
        wrappers: &["field_declaration", "constant_declaration"],
    }),
};

const DEFS: &[Def] = &[
    def("package_declaration", Module).named(Name::LastChild),
    def("module_declaration", Module),
    def("class_declaration", Class),
    def("record_declaration", Class),
    def("interface_declaration", Interface),
    def("annotation_type_declaration", Interface),
    def("enum_declaration", Enum),
    def("enum_constant", Variant),
    def("method_declaration", Method),
    def("annotation_type_element_declaration", Method),
    def("constructor_declaration", Constructor),
    def("compact_constructor_declaration", Constructor),
    // The components of a record; the parameters of methods are local.
    def("formal_parameter", Field).when(When::Inside(ScopeKind::Type)),
    def("variable_declarator", Constant).when(When::Below("constant_declaration")),
    def("variable_declarator", Variable).member(Field).when(When::NotLocal),
];

const CALLS: &[Call] = &[
    call("method_invocation", "name").object("object"),
    call("object_creation_expression", "type"),
    call("explicit_constructor_invocation", "constructor").object("object"),
];

const IMPORT: Import = ("import_declaration", import);

fn import(importer: &mut Importer<'_>, node: &Node<'_>) {
    let text = importer.text;
    let is_static = node.child(1).is_some_and(|n| n.kind() == "static");
    let kind = if is_static { "import_static" } else { "import" };
    let is_wildcard = children(node).any(|n| n.kind() == "asterisk");
    let Some(path) = children(node).find(|n| matches!(n.kind(), "identifier" | "scoped_identifier")) else { return };
    if is_wildcard {
        let (module, name) = (Some(text.node(&path)), Some("*".into()));
        return importer.push(Entry { kind, module, name, is_wildcard, ..Entry::default() });
    }
    let module = path.child_by_field_name("scope").map(|n| text.node(&n));
    let name = path.child_by_field_name("name").unwrap_or(path);
    importer.push(Entry { kind, module, name: Some(text.node(&name)), ..Entry::default() });
}
