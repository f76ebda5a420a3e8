//! Where LibCST says a node lies, and the text that belongs to it.

use ruff_python_ast::Expr;
use ruff_python_ast::token::{Token, TokenKind};
use ruff_text_size::{Ranged, TextRange, TextSize};

use crate::python::PythonModule;

fn is_significant(token: &&Token) -> bool {
    !token.kind().is_trivia()
}

/// The span of an expression. To LibCST parentheses are never part of it, also not those of a tuple or generator.
pub(super) fn expression_range(module: &PythonModule<'_>, expression: &Expr) -> TextRange {
    match expression {
        Expr::Tuple(tuple) if tuple.parenthesized => within_parentheses(module, tuple.range),
        Expr::Generator(generator) if generator.parenthesized => within_parentheses(module, generator.range),
        expression => expression.range(),
    }
}

fn within_parentheses(module: &PythonModule<'_>, range: TextRange) -> TextRange {
    let one = TextSize::new(1);
    let inner = TextRange::new(range.start() + one, range.end() - one);
    let text = module.slice(inner).as_bytes();
    let plain = |byte: Option<&u8>| byte.is_some_and(|b| !b.is_ascii_whitespace() && !matches!(b, b'#' | b'\\'));
    if plain(text.first()) && plain(text.last()) {
        return inner;
    }
    let tokens = module.tokens().in_range(inner);
    let first = tokens.iter().find(is_significant);
    let last = tokens.iter().rev().find(is_significant);
    match (first, last) {
        (Some(first), Some(last)) => TextRange::new(first.start(), last.end()),
        _ => TextRange::empty(inner.end()),
    }
}

/// A node's range with the parentheses around it, which can start at `from`.
pub(super) fn parenthesized(module: &PythonModule<'_>, range: TextRange, from: TextSize) -> TextRange {
    let before = TextRange::new(from, range.start());
    if !module.slice(before).contains('(') {
        return range;
    }
    let tokens = module.tokens();
    let opening = tokens.in_range(before).iter().rev().filter(is_significant);
    let opening = opening.take_while(|token| token.kind() == TokenKind::Lpar);
    let closing = tokens.after(range.end()).iter().filter(is_significant);
    let closing = closing.take_while(|token| token.kind() == TokenKind::Rpar);
    opening.zip(closing).last().map_or(range, |(open, close)| TextRange::new(open.start(), close.end()))
}
