//! Docstrings, as LibCST's `get_docstring` gives them.

use ruff_python_ast::{Expr, ExprStringLiteral, Stmt, StringFlags};

use crate::python::{PythonModule, Quoted, push_string};

/// The literal that documents a body.
pub(super) fn literal(body: &[Stmt]) -> Option<&ExprStringLiteral> {
    match body.first() {
        Some(Stmt::Expr(first)) => match first.value.as_ref() {
            Expr::StringLiteral(literal) => Some(literal),
            _ => None,
        },
        _ => None,
    }
}

/// Its value, cleaned.
pub(super) fn cleaned(module: &PythonModule<'_>, literal: &ExprStringLiteral) -> String {
    let mut value = String::new();
    for part in &literal.value {
        let quoted = Quoted {
            source: module.slice(part.content_range()),
            raw: part.flags.as_any_string_flags().is_raw_string(),
            interpolated: false,
        };
        push_string(&mut value, part, quoted);
    }
    clean(&value)
}

/// Indentation and blank lines at both ends taken away, by the rule of `inspect.cleandoc` since Python 3.13.
fn clean(text: &str) -> String {
    let text = expand_tabs(text);
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let lines = || text.split('\n');
    let margin = lines().skip(1).filter(|line| indent(line) < line.len()).map(indent).min();
    let margin = margin.unwrap_or_default();
    let first = lines().take(1).map(|line| line.trim_start_matches(' '));
    let rest = lines().skip(1).map(|line| line.get(margin..).unwrap_or_default());
    let lines: Vec<&str> = first.chain(rest).collect();
    let start = lines.iter().take_while(|line| line.is_empty()).count();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(start, |at| at + 1);
    lines[start..end].join("\n")
}

fn expand_tabs(text: &str) -> String {
    const TAB: usize = 8;
    if !text.contains('\t') {
        return text.to_owned();
    }
    let (mut out, mut column) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        match c {
            '\t' => {
                let blanks = TAB - column % TAB;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            c => {
                out.push(c);
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docstrings_are_cleaned() {
        assert_eq!(clean("  A.\n\n    B\n      c\n    "), "A.\n\nB\n  c");
        assert_eq!(clean("\n\n\tA\n\t\tB\n"), "A\n        B");
        assert_eq!(clean("A\n  \n   B"), "A\n\nB");
        assert_eq!(clean(""), "");
        assert_eq!(clean(" \n "), " ");
    }
}
