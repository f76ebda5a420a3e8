//! `from __future__ import …`: which features there are, as CPython's `future.c` has them.

use ruff_python_ast::{Expr, Stmt, StmtImportFrom};

use super::Refusal;
use crate::python::{PythonError, Version};

const FEATURES: [&str; 10] = [
    "nested_scopes",
    "generators",
    "division",
    "absolute_import",
    "with_statement",
    "print_function",
    "unicode_literals",
    "barry_as_FLUFL",
    "generator_stop",
    "annotations",
];

/// What CPython says of a feature that it doesn't have.
pub(crate) fn undefined_feature(name: &str) -> Option<String> {
    match name {
        "braces" => Some("not a chance".into()),
        name => (!FEATURES.contains(&name)).then(|| format!("future feature {name} is not defined")),
    }
}

/// The first feature that there isn't: from 3.14 on it is refused with the tree and not only with the symbol table.
pub(in crate::python) fn unknown_feature(body: &[Stmt], version: Version) -> Option<Refusal> {
    if version < Version::Py314 {
        return None;
    }
    let imports = behind_docstring(body).iter().map_while(|statement| match statement {
        Stmt::ImportFrom(import) if is_future(import) => Some(import),
        _ => None,
    });
    imports.flat_map(|import| &import.names).find_map(|alias| {
        let message = undefined_feature(alias.name.id.as_str())?;
        Some((alias.range, PythonError::new("SyntaxError", message, None)))
    })
}

/// A module's statements behind its docstring: where future imports can begin.
pub(crate) fn behind_docstring(body: &[Stmt]) -> &[Stmt] {
    match body {
        [Stmt::Expr(first), rest @ ..] if matches!(*first.value, Expr::StringLiteral(_)) => rest,
        _ => body,
    }
}

fn is_future(import: &StmtImportFrom) -> bool {
    import.level == 0 && import.module.as_ref().is_some_and(|module| module.id == "__future__")
}
