//! What can't be assigned to.

use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_ast::{Expr, Mod, UnaryOp};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged, TextRange};

use crate::python::{nesting, tree};

/// What CPython says of a target: `cannot assign to function call`.
pub(super) fn assigned(text: &str, tokens: &Tokens, target: TextRange) -> String {
    let meant =
        if could_be_compared(text, tokens, target) { " here. Maybe you meant '==' instead of '='?" } else { "" };
    format!("cannot assign to {}{meant}", name(text, target))
}

/// CPython's name for a kind of expression.
pub(super) fn name(text: &str, range: TextRange) -> &'static str {
    let Some(expression) = expression(text, range) else { return "yield expression" };
    match expression {
        Expr::Attribute(_) => "attribute",
        Expr::Subscript(_) => "subscript",
        Expr::Starred(_) => "starred",
        Expr::Name(_) => "name",
        Expr::List(_) => "list",
        Expr::Tuple(_) => "tuple",
        Expr::Lambda(_) => "lambda",
        Expr::Call(_) => "function call",
        Expr::BoolOp(_) | Expr::BinOp(_) | Expr::UnaryOp(_) => "expression",
        Expr::Generator(_) => "generator expression",
        Expr::Yield(_) | Expr::YieldFrom(_) => "yield expression",
        Expr::Await(_) => "await expression",
        Expr::ListComp(_) => "list comprehension",
        Expr::SetComp(_) => "set comprehension",
        Expr::DictComp(_) => "dict comprehension",
        Expr::Dict(_) => "dict literal",
        Expr::Set(_) => "set display",
        Expr::FString(_) => "f-string expression",
        Expr::TString(_) => "t-string expression",
        Expr::BooleanLiteral(literal) if literal.value => "True",
        Expr::BooleanLiteral(_) => "False",
        Expr::NoneLiteral(_) => "None",
        Expr::EllipsisLiteral(_) => "ellipsis",
        Expr::Compare(_) => "comparison",
        Expr::If(_) => "conditional expression",
        Expr::Named(_) => "named expression",
        _ => "literal",
    }
}

/// The expression of a range, without what is below it; none where it is only one inside parentheses.
fn expression(text: &str, range: TextRange) -> Option<Expr> {
    let text = &text[range];
    let parse = || parse_unchecked(text, ParseOptions::from(Mode::ParenthesizedExpression));
    let parsed = nesting::with_room_for_lambdas(text, parse)?;
    let is_yield = parsed.tokens().first().is_some_and(|token| token.kind() == TokenKind::Yield);
    match parsed.into_syntax() {
        Mod::Expression(mut module) => {
            tree::hollow(&mut module.body);
            (!is_yield).then_some(*module.body)
        }
        Mod::Module(_) => None,
    }
}

/// Whether `==` in the place of `=` would make sense to CPython: between two operands of a comparison, the only `=`.
fn could_be_compared(text: &str, tokens: &Tokens, target: TextRange) -> bool {
    use TokenKind as T;
    let mut first = tokens.partition_point(|token| token.start() < target.start());
    let mut last = tokens.partition_point(|token| token.start() < target.end());
    let mut in_parentheses = false;
    let kind = |index: Option<usize>| index.and_then(|index| tokens.get(index)).map(|token| token.kind());
    while kind(first.checked_sub(1)) == Some(T::Lpar) && kind(Some(last)) == Some(T::Rpar) {
        (first, last, in_parentheses) = (first - 1, last + 1, true);
    }
    let operand = match expression(text, target) {
        Some(Expr::List(_) | Expr::Tuple(_) | Expr::Generator(_) | Expr::BooleanLiteral(_) | Expr::NoneLiteral(_)) => {
            false
        }
        Some(Expr::Compare(_) | Expr::BoolOp(_) | Expr::Lambda(_) | Expr::If(_) | Expr::Named(_)) => in_parentheses,
        Some(Expr::UnaryOp(unary)) if unary.op == UnaryOp::Not => in_parentheses,
        Some(_) => true,
        None => in_parentheses,
    };
    let assigned_before = kind(first.checked_sub(1)) == Some(T::Equal);
    let value = kind(Some(last + 1));
    let no_operand = matches!(value, Some(T::Not | T::Lambda | T::Yield | T::Star));
    operand
        && !assigned_before
        && kind(Some(last)) == Some(T::Equal)
        && !no_operand
        && !assigned_again(tokens, last + 1)
}

/// Whether the operand that begins here is a target itself.
fn assigned_again(tokens: &Tokens, first: usize) -> bool {
    use TokenKind as T;
    let mut depth = 0usize;
    for token in &tokens[first.min(tokens.len())..] {
        match token.kind() {
            T::Lpar | T::Lsqb | T::Lbrace => depth += 1,
            T::Rpar | T::Rsqb | T::Rbrace if depth > 0 => depth -= 1,
            T::Equal | T::ColonEqual if depth == 0 => return true,
            T::Newline | T::Semi | T::Comma | T::If | T::And | T::Or | T::Not | T::In | T::Is | T::For
                if depth == 0 =>
            {
                return false;
            }
            T::EqEqual | T::NotEqual | T::Less | T::Greater | T::LessEqual | T::GreaterEqual if depth == 0 => {
                return false;
            }
            _ => {}
        }
    }
    false
}
