//! What the tables of lanes say, as sightings.

use std::collections::BTreeSet;

use arrow::array::Array;

use super::align::{Kind, Sighting};
use super::rows::{Rows, import};

/// First byte and first byte after something.
pub(super) type Span = (i32, i32);

const BYTES: [&str; 2] = ["bstart", "bend"];

/// What the `ast_*` tables say: nodes, definitions, calls, imports, docstrings.
pub(super) struct Ast(pub(super) [Rows; 5]);

impl Ast {
    /// Everything, with the spans of statements for imports.
    pub(super) fn sightings(&self) -> Vec<Sighting> {
        let [nodes, defs, calls, _, docstrings] = &self.0;
        let mut found = nodes.only("kind", &["Name"]).sightings(Kind::Name, BYTES, Some("name"));
        found.extend(defs.sightings(Kind::Definition, BYTES, Some("name")));
        found.extend(calls.sightings(Kind::Call, BYTES, None));
        found.extend(docstrings.sightings(Kind::Docstring, BYTES, None));
        found.extend(self.imports(true));
        found
    }

    /// Imported names at their statements; without the names that `as` gives them, if they can't be told.
    pub(super) fn imports(&self, with_asnames: bool) -> Vec<Sighting> {
        let [nodes, _, _, imports, _] = &self.0;
        let spans = nodes.spans(BYTES);
        let statements = imports.numbers("node_ordinal").map(|node| spans[node.unwrap_or(0) as usize]);
        let names = imports.import_names("level", with_asnames);
        let seen = statements.zip(names).filter_map(|(span, name)| {
            let (bstart, bend) = span?;
            Some(Sighting { kind: Kind::Import, bstart, bend, name })
        });
        seen.collect()
    }

    /// Imports at the names they bind, behind `as` or at the start.
    pub(super) fn bound_imports(&self) -> Vec<Sighting> {
        let imports = &self.0[3];
        let [kinds, names, asnames] = ["kind", "name", "asname"].map(|column| imports.texts(column));
        let aliases = imports.sightings(Kind::Import, BYTES, None).into_iter().enumerate();
        let bound = aliases.map(|(row, alias)| {
            let name = names.value(row);
            if !asnames.is_null(row) {
                let name = asnames.value(row);
                return Sighting { bstart: alias.bend - name.len() as i32, name: name.to_owned(), ..alias };
            }
            let first = if kinds.value(row) == "Import" { name.split('.').next().unwrap_or(name) } else { name };
            Sighting { bend: alias.bstart + first.len() as i32, name: first.to_owned(), ..alias }
        });
        bound.filter(|bound| bound.name != "*").collect()
    }

    /// Where names are bound that are no `Name` nodes: patterns, and handlers up to their bodies; apart and sorted.
    pub(super) fn heads(&self) -> Vec<Span> {
        let nodes = &self.0[0];
        let [kinds, fields] = ["kind", "field"].map(|column| nodes.texts(column));
        let (spans, parents) = (nodes.spans(BYTES), nodes.numbers("parent_ordinal").collect::<Vec<_>>());
        let indices: Vec<_> = nodes.numbers("field_index").collect();
        let head = |row: usize| {
            if kinds.value(row).starts_with("Match") && kinds.value(row) != "Match" {
                return spans[row];
            }
            let parent = parents[row]? as usize;
            let is_first = indices[row] == Some(0) && !fields.is_null(row) && fields.value(row) == "body";
            let of_handler = is_first && kinds.value(parent) == "ExceptHandler";
            of_handler.then_some((spans[parent]?.0, spans[row]?.0))
        };
        let mut heads: Vec<Span> = (0..spans.len()).filter_map(head).collect();
        heads.sort_unstable_by_key(|head| (head.0, -head.1));
        // Patterns within a pattern add nothing.
        let mut end = 0;
        heads.retain(|head| {
            let is_outer = head.1 > end;
            end = end.max(head.1);
            is_outer
        });
        heads
    }

    /// Docstrings of modules and classes.
    pub(super) fn stored_docstrings(&self) -> Vec<Sighting> {
        self.0[4].only("owner_kind", &["Module", "ClassDef"]).sightings(Kind::Docstring, BYTES, None)
    }

    /// Calls and the names of what is called.
    pub(super) fn named_calls(&self) -> Vec<Sighting> {
        self.0[2].sightings(Kind::Call, BYTES, Some("func_name"))
    }

    /// Where nodes of a class are, or of the classes that begin like it.
    pub(super) fn spans_of(&self, kinds: &[&str]) -> BTreeSet<Span> {
        self.0[0].only("kind", kinds).spans(BYTES).into_iter().flatten().collect()
    }

    /// Names behind `as` of a `with` statement.
    pub(super) fn names_of_with(&self) -> BTreeSet<Span> {
        self.0[0].only("field", &["optional_vars"]).spans(BYTES).into_iter().flatten().collect()
    }
}

/// Nodes that bind a name without a `Name` node: the name's place is that of the whole node.
pub(super) const BINDERS: &[&str] =
    &["ExceptHandler", "MatchAs", "MatchStar", "MatchMapping", "TypeVar", "ParamSpec", "TypeVarTuple"];

/// What the `ts_*` tables say: definitions, calls, imports, docstrings.
pub(super) fn of_ts([defs, calls, imports, docstrings]: &[Rows; 4]) -> Vec<Sighting> {
    let definitions = defs.only("kind", &["function_definition", "class_definition"]);
    let mut found = definitions.sightings(Kind::Definition, BYTES, Some("name"));
    found.extend(calls.sightings(Kind::Call, BYTES, None));
    found.extend(docstrings.sightings(Kind::Docstring, BYTES, None));
    let statements = imports.sightings(Kind::Import, BYTES, None).into_iter().zip(imports.import_names("level", true));
    found.extend(statements.map(|(statement, name)| Sighting { name, ..statement }));
    found
}

/// What the `cst_*` tables say: definitions, calls, imports, docstrings, references. Names behind `as` are left out:
/// a reference doesn't say whether it is in a `with` statement, whose names `ast` has as `Name` nodes.
pub(super) fn of_cst([defs, calls, imports, docstrings, refs]: &[Rows; 5]) -> Vec<Sighting> {
    let mut found = defs.sightings(Kind::Definition, ["def_bstart", "def_bend"], Some("name"));
    found.extend(calls.sightings(Kind::Call, ["call_bstart", "call_bend"], None));
    found.extend(docstrings.sightings(Kind::Docstring, BYTES, None));
    let statements = imports.sightings(Kind::Import, ["stmt_bstart", "stmt_bend"], None);
    let imported = statements.into_iter().zip(imports.import_names("relative_level", true));
    found.extend(imported.map(|(statement, name)| Sighting { name, ..statement }));
    let [kinds, contexts, scopes, parents] =
        ["ref_kind", "expr_ctx", "scope_type", "parent_kind"].map(|column| refs.texts(column));
    // LibCST has a `Name` for every identifier; what `ast` has as a text of another node is left out.
    let is_name = |row: usize| {
        let parent = parents.value(row);
        let bound =
            ["FunctionDef", "ClassDef", "Param"].contains(&parent) && contexts.iter().nth(row) == Some(Some("STORE"));
        let text_of_another =
            ["AsName", "MatchAs", "MatchStar", "MatchMapping", "MatchKeywordElement"].contains(&parent);
        kinds.value(row) == "name" && !scopes.is_null(row) && !bound && !text_of_another
    };
    let names = refs.sightings(Kind::Name, BYTES, Some("ref_text")).into_iter().enumerate();
    let names = names.filter(|(row, name)| is_name(*row) && !["None", "True", "False"].contains(&name.name.as_str()));
    found.extend(names.map(|(_, name)| name));
    found
}

/// What the `symtable_*` tables say: scopes, resolutions. Names that are stored in one of the heads are no `Name` nodes.
pub(super) fn of_symtable([scopes, resolutions]: &[Rows; 2], source: &[u8], heads: &[Span]) -> Vec<Sighting> {
    let mut found = scopes.only("block_type", &["function", "class"]).sightings(Kind::Definition, BYTES, Some("name"));
    // Lambdas and comprehensions are functions, too.
    found.retain(|scope| begins_definition(source, scope.bstart));
    let names = resolutions.only("access", &["load", "delete", "annotation"]);
    found.extend(names.sightings(Kind::Name, BYTES, Some("name")));
    let stored = resolutions.only("access", &["store"]).sightings(Kind::Name, BYTES, Some("name"));
    let in_head = |name: &Sighting| {
        let before = heads.partition_point(|head| head.0 <= name.bstart);
        before.checked_sub(1).is_some_and(|last| name.bend <= heads[last].1)
    };
    found.extend(stored.into_iter().filter(|name| !in_head(name)));
    found.extend(resolutions.only("access", &["import"]).sightings(Kind::Import, BYTES, Some("name")));
    found
}

/// Whether `def`, `async` or `class` is there.
pub(super) fn begins_definition(source: &[u8], bstart: i32) -> bool {
    let rest = source.get(bstart as usize..).unwrap_or_default();
    let keyword =
        |word: &&str| rest.strip_prefix(word.as_bytes()).is_some_and(|rest| !rest.first().is_some_and(is_word));
    ["def", "async", "class"].iter().any(keyword)
}

/// Whether a byte can be part of an identifier.
pub(super) fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii()
}

/// An import as bytecode tells it: level, module, names.
pub(super) fn imports_of(level: &str, module: &str, names: &str) -> Vec<String> {
    if names == "None" {
        return vec![import(0, None, module, None)];
    }
    let level = level.parse().unwrap_or(0);
    let module = Some(module).filter(|module| !module.is_empty());
    let names = names.trim_matches(['(', ')']).split(',').map(|name| name.trim().trim_matches('\''));
    names.filter(|name| !name.is_empty()).map(|name| import(level, module, name, None)).collect()
}
