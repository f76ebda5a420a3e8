//! `from __future__ import …`, as CPython's `future.c` reads it before the symbol table is built.

use ruff_python_ast::{Stmt, StmtImportFrom};
use ruff_text_size::Ranged;

use super::build::{Builder, Visit};
use crate::python::{behind_docstring, undefined_feature};

/// Notes the features that are asked for where they can be: at the start of the file, behind its docstring.
pub(super) fn visit(builder: &mut Builder<'_>) -> Visit {
    if !builder.rules.future_checked {
        return Ok(());
    }
    let module = builder.module;
    // Line of the first statement that ends the start of the file, where its rest still counts.
    let mut over = None;
    for statement in behind_docstring(module.body()) {
        let line = || module.locator().span(statement.range()).lineno;
        if over.is_some_and(|over| line() > over) {
            break;
        }
        match statement {
            Stmt::ImportFrom(import) if is_future(builder, import) => {
                if over.is_some() {
                    return late(builder, import);
                }
                features(builder, import)?;
                builder.future_end = Some(import.range.end());
            }
            _ if !builder.rules.future_by_line => break,
            _ => over = over.or_else(|| Some(line())),
        }
    }
    Ok(())
}

/// Refuses a future import that comes too late, since 3.14 here and not by the code generator.
pub(super) fn check_import(builder: &mut Builder<'_>, import: &StmtImportFrom) -> Visit {
    let in_place = builder.future_end.is_some_and(|end| import.range.start() < end);
    if builder.rules.early_checks && is_future(builder, import) && !in_place {
        return late(builder, import);
    }
    Ok(())
}

fn late(builder: &mut Builder<'_>, import: &StmtImportFrom) -> Visit {
    builder.refuse("from __future__ imports must occur at the beginning of the file", import.range)
}

fn is_future(builder: &Builder<'_>, import: &StmtImportFrom) -> bool {
    import.module.as_ref().is_some_and(|module| module.id == "__future__")
        && (import.level == 0 || builder.rules.future_relative)
}

fn features(builder: &mut Builder<'_>, import: &StmtImportFrom) -> Visit {
    for alias in &import.names {
        let name = alias.name.id.as_str();
        builder.text_annotations |= name == "annotations";
        if let Some(message) = undefined_feature(name) {
            return builder.refuse(message, import.range);
        }
    }
    Ok(())
}
