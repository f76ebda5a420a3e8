//! What LibCST's `Module` says of a file's form, and what stands in place of it for a file that doesn't parse.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{Alias, Stmt};
use ruff_text_size::Ranged;

use super::names::ModuleName;
use super::tables::{CstParseErrors, CstParseManifest};
use super::walk::Walker;
use crate::python::{PARSER_VERSION, PythonError, PythonModule, source_encoding};

/// Version of LibCST whose rules the lane follows.
pub(super) const LIBCST_VERSION: &str = "1.9.0";

/// Adds the manifest of a file.
pub(super) fn manifest(table: &mut CstParseManifest, walker: &Walker<'_>, bytes: &[u8], name: &ModuleName) {
    let module = walker.module;
    table.encoding.push(&source_encoding(bytes));
    table.default_indent.push(default_indent(module));
    table.default_newline.push(default_newline(bytes));
    table.has_trailing_newline.push(has_trailing_newline(bytes));
    table.future_imports.push(future_imports(walker).map(|alias| alias.name.id.as_str()));
    table.module_name.push(&name.module);
    table.package_name.push(&name.package);
    table.libcst_version.push(LIBCST_VERSION);
    table.parser_backend.push(PARSER_VERSION);
    table.parsed_python_version.push(&module.version().to_string());
}

fn default_indent<'m>(module: &'m PythonModule<'_>) -> &'m str {
    let indent = module.tokens().iter().find(|token| token.kind() == TokenKind::Indent);
    indent.map_or("    ", |token| module.slice(token.range()))
}

/// The encodings of Python sources all write line ends as ASCII does.
fn default_newline(bytes: &[u8]) -> &'static str {
    match memchr::memchr2(b'\n', b'\r', bytes) {
        Some(at) if bytes[at..].starts_with(b"\r\n") => "\r\n",
        Some(at) if bytes[at] == b'\r' => "\r",
        _ => "\n",
    }
}

fn has_trailing_newline(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n") && !bytes.ends_with(b"\\\n") && !bytes.ends_with(b"\\\r\n")
}

fn future_imports<'w>(walker: &Walker<'w>) -> impl Iterator<Item = &'w Alias> {
    let imports = walker.found.imports.iter().filter_map(|statement| match statement {
        Stmt::ImportFrom(import) if import.level == 0 => Some(import),
        _ => None,
    });
    let future = imports.filter(|import| import.module.as_ref().is_some_and(|module| module.id == "__future__"));
    future.flat_map(|import| &import.names)
}

/// Adds the error of a file. `text` is its decoded text, where there is one.
pub(super) fn error(table: &mut CstParseErrors, error: &PythonError, bytes: &[u8]) {
    let parser = matches!(error.error_type, "SyntaxError" | "IndentationError" | "TabError");
    let line = error.span.and_then(|span| bytes.split(|b| *b == b'\n').nth(span.lineno as usize - 1));
    let line = line.map(|line| String::from_utf8_lossy(line).trim_end_matches('\r').to_owned());
    let column = error.span.zip(line.as_deref()).map(|(span, line)| {
        let before = line.floor_char_boundary(span.col_offset as usize);
        line[..before].chars().count()
    });
    let context = line.zip(column).map(|(line, column)| format!("{line}\n{}^", " ".repeat(column)));
    table.ordinal.push(0);
    table.error_type.push(if parser { "ParserSyntaxError" } else { error.error_type });
    table.message.push(&error.message);
    table.raw_line.push(error.span.map(|span| span.lineno));
    table.raw_column.push(column.map(|column| column as i32));
    table.editor_line.push(error.span.map(|span| span.lineno));
    table.editor_column.push(column.map(|column| column as i32 + 1));
    table.context.push(context.as_deref());
    table.bstart.push(error.span.map(|span| span.bstart));
    table.bend.push(error.span.map(|span| span.bend));
}
