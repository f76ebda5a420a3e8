//! Where CPython sees that arguments of a call are in a wrong order.

use ruff_python_ast::token::{Token, TokenKind, Tokens};
use ruff_text_size::{Ranged, TextRange};

/// The last token CPython has read when it says that a positional argument should not be there.
///
/// From that argument on, it takes the rest for the arguments of a call, to where these are in a wrong order again, or
/// end (`invalid_arguments` of `Grammar/python.gram`). Wherever it reads an expression, it has further looked for what a
/// statement of Python 2 could print, which is all that is left of a call's positional arguments.
pub(super) fn past_arguments(tokens: &Tokens, argument: TextRange) -> TextRange {
    use TokenKind as T;
    let is_code = |token: &&Token| !token.kind().is_trivia() && token.kind() != T::NonLogicalNewline;
    let inside = tokens.partition_point(|token| token.start() < argument.start());
    // The parser leaves out the parentheses around it. There is a comma in front, as there is another argument.
    let parentheses =
        tokens[..inside].iter().rev().take_while(|token| !is_code(token) || token.kind() == T::Lpar).count();
    let line: Vec<&Token> = tokens[inside - parentheses..].iter().filter(is_code).collect();
    let (mut depth, mut in_lambda) = (0usize, false);
    let (mut begins, mut begins_expression) = (true, true);
    let (mut names, mut mappings, mut misplaced, mut is_printed) = (false, false, false, false);
    for (index, token) in line.iter().enumerate() {
        let kind = token.kind();
        let ends_call = depth == 0 && matches!(kind, T::Rpar | T::Newline);
        let ends_argument = depth == 0 && kind == T::Comma && !in_lambda;
        if ends_call || (ends_argument && misplaced && !is_printed) {
            return token.range();
        }
        let is_unpacked = begins && matches!(kind, T::Star | T::DoubleStar);
        if begins {
            let next = line.get(index + 1).filter(|next| matches!(next.kind(), T::Equal | T::ColonEqual));
            let is_named = next.is_some_and(|next| next.kind() == T::Equal);
            let is_keyword = is_named || kind == T::DoubleStar;
            misplaced |= names && !is_keyword && kind != T::Star;
            match next {
                Some(next) if misplaced => return next.range(),
                _ if misplaced && is_keyword => return token.range(),
                // Behind `**`, nothing is unpacked by `*`.
                _ if mappings && kind == T::Star && !is_printed => return token.range(),
                _ => {}
            }
            names |= is_keyword;
            mappings |= kind == T::DoubleStar;
            is_printed &= !is_keyword;
        }
        is_printed |= begins_expression && depth == 0 && !in_lambda && could_print(&line[index..]);
        begins = ends_argument;
        begins_expression = begins || is_unpacked || matches!(kind, T::Equal | T::Else | T::Colon);
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

/// Whether an expression begins with a name and something to print: `a + b`, or `a[b]`, which could be `print + b` and
/// `print [b]` (`invalid_legacy_expression`).
fn could_print(expression: &[&Token]) -> bool {
    use TokenKind as T;
    let [name, printed, rest @ ..] = expression else { return false };
    let is_name = name.kind() == T::Name || name.kind().is_soft_keyword();
    let mut rest = outside_brackets(rest);
    is_name
        && match printed.kind() {
            T::Plus | T::Minus => true,
            // A list has no slices.
            T::Lsqb => rest.all(|kind| kind != T::Colon),
            // Only operands can be unpacked.
            T::Star => rest.take_while(|kind| *kind != T::Comma).all(|kind| !joins_operands(kind)),
            _ => false,
        }
}

/// The tokens up to a closing bracket, without those inside of brackets.
fn outside_brackets(tokens: &[&Token]) -> impl Iterator<Item = TokenKind> {
    use TokenKind as T;
    let mut depth = 0usize;
    let mut kinds = tokens.iter().map(|token| token.kind());
    std::iter::from_fn(move || {
        loop {
            let kind = kinds.next()?;
            match kind {
                T::Rpar | T::Rsqb | T::Rbrace if depth == 0 => return None,
                T::Rpar | T::Rsqb | T::Rbrace => depth -= 1,
                T::Lpar | T::Lsqb | T::Lbrace => depth += 1,
                _ if depth == 0 => return Some(kind),
                _ => {}
            }
        }
    })
}

/// Whether a token stands between operands that are compared, or chosen from.
fn joins_operands(kind: TokenKind) -> bool {
    use TokenKind as T;
    matches!(
        kind,
        T::And
            | T::Or
            | T::Not
            | T::In
            | T::Is
            | T::If
            | T::Else
            | T::Less
            | T::Greater
            | T::LessEqual
            | T::GreaterEqual
            | T::EqEqual
            | T::NotEqual
    )
}
