//! C and C++.

use tree_sitter::Node;

use super::DefKind::{
    Class, Enum, Field, Function, Interface, Macro, Method, Module, Prototype, Struct, Type, Union, Variable, Variant,
};
use super::{Call, Def, DocComments, Docs, Import, Name, Rules, When, call, def};
use crate::ts::imports::{Entry, Importer, children, unquoted};

/// C.
pub const C: Rules = Rules {
    defs: &[DEFS],
    extensions: &[],
    closures: &[],
    calls: &[CALL],
    imports: &[INCLUDE],
    comments: &["comment"],
    docs: Docs::Comments(DOCS),
};

/// C++.
pub const CPP: Rules = Rules {
    defs: &[DEFS, CPP_DEFS],
    extensions: &[],
    closures: &["lambda_expression"],
    calls: &[CALL, call("new_expression", "type")],
    imports: &[INCLUDE, ("using_declaration", using)],
    comments: &["comment"],
    docs: Docs::Comments(DocComments { wrappers: &["template_declaration", "linkage_specification"], ..DOCS }),
};

const DOCS: DocComments = DocComments {
    line: &["///", "//!"],
    block: &["/**", "/*!"],
    inner: &[],
    adjacent: false,
    between: &[],
    wrappers: &["linkage_specification"],
};

const DECLARATOR: Name = Name::Declarators("declarator");

const DEFS: &[Def] = &[
    def("function_definition", Function).member(Method).named(DECLARATOR),
    def("declaration", Variable).member(Field).callable(Prototype, Method).named(DECLARATOR).when(When::NotLocal),
    def("field_declaration", Field).callable(Method, Method).named(DECLARATOR),
    def("type_definition", Type).named(DECLARATOR),
    def("struct_specifier", Struct).when(When::Has("body")),
    def("union_specifier", Union).when(When::Has("body")),
    def("enum_specifier", Enum).when(When::Has("body")),
    def("enumerator", Variant),
    def("preproc_def", Macro),
    def("preproc_function_def", Macro),
];

const CPP_DEFS: &[Def] = &[
    def("class_specifier", Class).when(When::Has("body")),
    def("namespace_definition", Module),
    def("namespace_alias_definition", Module),
    def("alias_declaration", Type),
    def("concept_definition", Interface),
];

const CALL: Call = call("call_expression", "function");

const INCLUDE: Import = ("preproc_include", include);

fn include(importer: &mut Importer<'_>, node: &Node<'_>) {
    let text = importer.text;
    let Some(path) = node.child_by_field_name("path") else { return };
    let (kind, module) = match path.kind() {
        "system_lib_string" => ("include_system", unquoted(text, &path)),
        "string_literal" => ("include", unquoted(text, &path)),
        _ => ("include", text.node(&path)),
    };
    importer.push(Entry { kind, module: Some(module), ..Entry::default() });
}

fn using(importer: &mut Importer<'_>, node: &Node<'_>) {
    let text = importer.text;
    let Some(path) = children(node).find(|n| matches!(n.kind(), "identifier" | "qualified_identifier")) else { return };
    if node.child(1).is_some_and(|n| n.kind() == "namespace") {
        let (module, name) = (Some(text.node(&path)), Some("*".into()));
        return importer.push(Entry { kind: "using_namespace", module, name, is_wildcard: true, ..Entry::default() });
    }
    let mut name = path;
    while let Some(inner) = name.child_by_field_name("name") {
        name = inner;
    }
    // The `::` in front of the last name belongs to neither part.
    let end = (name.start_byte() as u32).saturating_sub(2).max(path.start_byte() as u32);
    let module = text.slice((path.start_byte() as u32, end));
    let module = (!module.is_empty()).then_some(module);
    importer.push(Entry { kind: "using", module, name: Some(text.node(&name)), ..Entry::default() });
}
