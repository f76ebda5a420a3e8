//! Where CPython sees that arguments of a call are in a wrong order.

use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_text_size::{Ranged, TextRange};

/// The token CPython comes to behind a positional argument that should not be there: it takes the rest for the arguments
/// of a call, to where these are in a wrong order again, or end.
pub(super) fn past_arguments(tokens: &Tokens, argument: TextRange) -> TextRange {
    use TokenKind as T;
    let (mut depth, mut in_lambda) = (0usize, false);
    let (mut begins, mut names, mut misplaced) = (true, false, false);
    let first = tokens.partition_point(|token| token.start() < argument.start());
    for (index, token) in tokens.iter().enumerate().skip(first) {
        let kind = token.kind();
        if kind.is_trivia() || kind == T::NonLogicalNewline {
            continue;
        }
        let ends_call = depth == 0 && matches!(kind, T::Rpar | T::Newline);
        let ends_argument = depth == 0 && kind == T::Comma && !in_lambda;
        if ends_call || (ends_argument && misplaced) {
            return token.range();
        }
        if begins {
            let is_named = tokens.get(index + 1).is_some_and(|next| next.kind() == T::Equal);
            misplaced = names && !is_named && !matches!(kind, T::Star | T::DoubleStar);
            names |= is_named || kind == T::DoubleStar;
        }
        begins = ends_argument;
        match kind {
            T::Lpar | T::Lsqb | T::Lbrace => depth += 1,
            T::Rpar | T::Rsqb | T::Rbrace => depth = depth.saturating_sub(1),
            T::Lambda if depth == 0 => in_lambda = true,
            T::Colon if depth == 0 => in_lambda = false,
            _ => {}
        }
    }
    argument
}

/// The comma in front of an argument.
pub(super) fn comma_before(tokens: &Tokens, argument: TextRange) -> TextRange {
    let at = tokens.partition_point(|token| token.start() < argument.start());
    let comma = tokens[..at].iter().rev().find(|token| token.kind() == TokenKind::Comma);
    comma.map_or(argument, |comma| TextRange::new(comma.start(), argument.end()))
}
