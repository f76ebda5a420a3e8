//! Python.

use tree_sitter::Node;

use super::DefKind::{Class, Field, Function, Method, Type, Variable};
use super::{Call, Def, Docs, Import, Name, Rules, When, call, def};
use crate::ts::imports::{Entry, Importer, children};

/// Python.
pub const PYTHON: Rules = Rules {
    defs: &[DEFS],
    extensions: &[],
    closures: &["lambda"],
    calls: CALLS,
    imports: IMPORTS,
    comments: &["comment"],
    docs: Docs::String,
};

const DEFS: &[Def] = &[
    def("class_definition", Class),
    def("function_definition", Function).member(Method),
    def("type_alias_statement", Type).named(Name::Leaf("left")),
    def("assignment", Variable).member(Field).named(Name::Pattern("left")).when(When::NotLocal),
];

const CALLS: &[Call] = &[call("call", "function")];

const IMPORTS: &[Import] =
    &[("import_statement", import), ("import_from_statement", import_from), ("future_import_statement", import_from)];

fn import(importer: &mut Importer<'_>, node: &Node<'_>) {
    for item in children(node).filter(|n| n.kind() == "dotted_name" || n.kind() == "aliased_import") {
        names(importer, &item, Entry { kind: "import", ..Entry::default() });
    }
}

fn import_from(importer: &mut Importer<'_>, node: &Node<'_>) {
    let mut entry = Entry { kind: "import_from", ..Entry::default() };
    let origin = node.child_by_field_name("module_name");
    match origin {
        Some(origin) if origin.kind() == "relative_import" => {
            for part in children(&origin) {
                match part.kind() {
                    "import_prefix" => {
                        let prefix = &importer.text.bytes[part.byte_range()];
                        entry.level = prefix.iter().filter(|b| **b == b'.').count() as i32;
                    }
                    _ => entry.module = Some(importer.text.node(&part)),
                }
            }
        }
        Some(origin) => entry.module = Some(importer.text.node(&origin)),
        None => entry.module = Some("__future__".into()),
    }
    for item in children(node).filter(|n| Some(*n) != origin) {
        match item.kind() {
            "wildcard_import" => importer.push(Entry { name: Some("*".into()), is_wildcard: true, ..entry.clone() }),
            "dotted_name" | "aliased_import" => names(importer, &item, entry.clone()),
            _ => {}
        }
    }
}

fn names<'a>(importer: &mut Importer<'a>, item: &Node<'_>, entry: Entry<'a>) {
    let name = item.child_by_field_name("name").unwrap_or(*item);
    let alias = item.child_by_field_name("alias");
    let text = importer.text;
    importer.push(Entry { name: Some(text.node(&name)), asname: alias.map(|a| text.node(&a)), ..entry });
}
