//! JavaScript, TypeScript and their JSX forms.

use tree_sitter::Node;

use super::DefKind::{Class, Constant, Enum, Field, Function, Interface, Method, Module, Type, Variable, Variant};
use super::{Call, Def, DocComments, Docs, Import, Name, Rules, ScopeKind, When, call, def};
use crate::ts::imports::{Entry, Importer, children, unquoted};

/// JavaScript with JSX.
pub const JAVASCRIPT: Rules = Rules {
    defs: &[DEFS, &[def("field_definition", Method).named(PROPERTY).when(FUNCTION), FIELD]],
    extensions: &[],
    closures: CLOSURES,
    calls: CALLS,
    imports: IMPORTS,
    comments: &["comment"],
    docs: Docs::Comments(DOCS),
};

/// TypeScript, with or without JSX.
pub const TYPESCRIPT: Rules = Rules {
    defs: &[DEFS, TS_DEFS],
    docs: Docs::Comments(DocComments {
        wrappers: &[
            "export_statement",
            "lexical_declaration",
            "variable_declaration",
            "expression_statement",
            "ambient_declaration",
        ],
        ..DOCS
    }),
    ..JAVASCRIPT
};

const DOCS: DocComments = DocComments {
    line: &[],
    block: &["/**"],
    inner: &[],
    adjacent: false,
    between: &["decorator"],
    wrappers: &["export_statement", "lexical_declaration", "variable_declaration", "expression_statement"],
};

const CLOSURES: &[&str] = &["arrow_function", "function_expression", "generator_function", "class_static_block"];

const FUNCTION: When = When::Is("value", &["arrow_function", "function_expression", "generator_function"]);
const ASSIGNED: When = When::Is("right", &["arrow_function", "function_expression", "generator_function"]);
const PROPERTY: Name = Name::Field("property");
const FIELD: Def = def("field_definition", Field).named(PROPERTY);

const DEFS: &[Def] = &[
    def("function_declaration", Function),
    def("generator_function_declaration", Function),
    def("function_expression", Function),
    def("generator_function", Function),
    def("class_declaration", Class),
    def("class", Class),
    def("method_definition", Method),
    def("variable_declarator", Function).when(FUNCTION),
    def("variable_declarator", Class).when(When::Is("value", &["class"])),
    def("variable_declarator", Constant).named(Name::Pattern("name")).when(When::NotLocalAfter("const")),
    def("variable_declarator", Variable).named(Name::Pattern("name")).when(When::NotLocal),
    def("assignment_expression", Function).named(Name::Path("left")).when(ASSIGNED),
    def("pair", Method).named(Name::Field("key")).when(FUNCTION),
];

const TS_DEFS: &[Def] = &[
    def("abstract_class_declaration", Class),
    def("abstract_method_signature", Method),
    def("method_signature", Method),
    def("function_signature", Function),
    def("public_field_definition", Method).when(FUNCTION),
    def("public_field_definition", Field),
    def("property_signature", Field).when(When::Inside(ScopeKind::Type)),
    def("interface_declaration", Interface),
    def("enum_declaration", Enum),
    def("enum_assignment", Variant),
    def("property_identifier", Variant).named(Name::Itself).when(When::Below("enum_body")),
    def("type_alias_declaration", Type),
    def("internal_module", Module),
    def("module", Module),
];

const CALLS: &[Call] = &[call("call_expression", "function"), call("new_expression", "constructor")];

const IMPORTS: &[Import] =
    &[("import_statement", import), ("export_statement", export_from), ("call_expression", import_call)];

fn import(importer: &mut Importer<'_>, node: &Node<'_>) {
    let text = importer.text;
    let source = |node: &Node<'_>| node.child_by_field_name("source").map(|n| unquoted(text, &n));
    let entry = Entry { kind: "import", module: source(node), ..Entry::default() };
    let Some(clause) = children(node).find(|n| matches!(n.kind(), "import_clause" | "import_require_clause")) else {
        return importer.push(entry);
    };
    for item in children(&clause) {
        match item.kind() {
            "identifier" if clause.kind() == "import_require_clause" => {
                let (module, asname) = (source(&clause), Some(text.node(&item)));
                importer.push(Entry { kind: "require", module, asname, ..Entry::default() });
            }
            "identifier" => {
                let asname = Some(text.node(&item));
                importer.push(Entry { name: Some("default".into()), asname, ..entry.clone() });
            }
            "namespace_import" => everything(importer, &item, entry.clone()),
            "named_imports" => specifiers(importer, &item, &entry),
            _ => {}
        }
    }
}

fn export_from(importer: &mut Importer<'_>, node: &Node<'_>) {
    let Some(source) = node.child_by_field_name("source") else { return };
    let module = Some(unquoted(importer.text, &source));
    let entry = Entry { kind: "export_from", module, ..Entry::default() };
    match children(node).find(|n| matches!(n.kind(), "export_clause" | "namespace_export")) {
        Some(clause) if clause.kind() == "export_clause" => specifiers(importer, &clause, &entry),
        Some(clause) => everything(importer, &clause, entry),
        None => importer.push(Entry { name: Some("*".into()), is_wildcard: true, ..entry }),
    }
}

/// `require("…")` and `import("…")` with a plain string: anything else is known only when it runs.
fn import_call(importer: &mut Importer<'_>, node: &Node<'_>) {
    let text = importer.text;
    let Some(callee) = node.child(0) else { return };
    let kind = match &text.bytes[callee.byte_range()] {
        b"require" => "require",
        b"import" => "dynamic_import",
        _ => return,
    };
    let Some(arguments) = node.child_by_field_name("arguments") else { return };
    if let Some(source) = children(&arguments).find(|n| !n.is_extra()).filter(|n| n.kind() == "string") {
        importer.push(Entry { kind, module: Some(unquoted(text, &source)), ..Entry::default() });
    }
}

/// `* as name`.
fn everything<'a>(importer: &mut Importer<'a>, clause: &Node<'_>, entry: Entry<'a>) {
    let asname = children(clause).find(|n| !n.is_extra()).map(|n| importer.text.node(&n));
    importer.push(Entry { name: Some("*".into()), asname, is_wildcard: true, ..entry });
}

/// `{ a, b as c }`.
fn specifiers<'a>(importer: &mut Importer<'a>, clause: &Node<'_>, entry: &Entry<'a>) {
    let text = importer.text;
    for item in children(clause).filter(|n| n.kind().ends_with("_specifier")) {
        let field = |name| item.child_by_field_name(name).map(|n| text.node(&n));
        importer.push(Entry { name: field("name"), asname: field("alias"), ..entry.clone() });
    }
}
