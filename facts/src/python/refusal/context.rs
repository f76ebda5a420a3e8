//! What stands around an error.

use ruff_python_ast::token::{Token, TokenKind, Tokens};
use ruff_text_size::{Ranged, TextRange, TextSize};

/// The token CPython comes to before it gives up. The parser behind the facts ends a line inside brackets when it meets
/// an error there.
pub(super) fn furthest(text: &str, tokens: &Tokens, range: TextRange) -> TextRange {
    let rest = &text[range.start().to_usize()..];
    if !rest.starts_with('\n') || enclosing_bracket(tokens, range.start()).is_none() {
        return range;
    }
    let mut at = 0;
    loop {
        let blank = rest[at..].len() - rest[at..].trim_start_matches(['\n', ' ', '\t', '\x0c']).len();
        at += blank;
        if !rest[at..].starts_with('#') {
            return TextRange::empty(range.start() + TextSize::new(at as u32));
        }
        at += rest[at..].find('\n').unwrap_or(rest[at..].len());
    }
}

/// Behind an operand, `not` is read in the hope of `not in`.
pub(super) fn past_not(tokens: &Tokens, range: TextRange) -> TextRange {
    let at = tokens.partition_point(|token| token.start() < range.start());
    match &tokens[at..] {
        [not, next, ..] if not.kind() == TokenKind::Not && at > 0 && not.start() == range.start() => next.range(),
        _ => range,
    }
}

/// The end of a line begins where its comment does.
pub(super) fn before_comment(tokens: &Tokens, range: TextRange) -> TextRange {
    let at = tokens.partition_point(|token| token.start() < range.start());
    match (tokens[..at].last(), tokens.get(at)) {
        (Some(comment), Some(end)) if comment.kind() == TokenKind::Comment && end.kind() == TokenKind::Newline => {
            TextRange::new(comment.start(), range.end())
        }
        _ => range,
    }
}

/// Whether an expression can begin with a token.
pub(super) fn starts_expression(kind: TokenKind) -> bool {
    use TokenKind as T;
    let token = matches!(
        kind,
        T::Name
            | T::Int
            | T::Float
            | T::Complex
            | T::String
            | T::FStringStart
            | T::True
            | T::False
            | T::None
            | T::Ellipsis
            | T::Not
            | T::Tilde
            | T::Lambda
    );
    token || kind.is_soft_keyword()
}

/// A statement of Python 2 in front of an error, and which: `print` or `exec` with what it would print or execute behind
/// it.
pub(super) fn legacy_statement(text: &str, tokens: &Tokens, error: TextRange) -> Option<(TextSize, &'static str)> {
    use TokenKind as T;
    let at = tokens.partition_point(|token| token.start() < error.start());
    let (name, before) = tokens[..at].split_last()?;
    let legacy = ["print", "exec"].into_iter().find(|legacy| text[name.range()] == **legacy)?;
    // Where no expression can stand.
    let names = [T::Dot, T::Def, T::Class, T::Import, T::From, T::As, T::Global, T::Nonlocal];
    let named = before.last().is_some_and(|token| names.contains(&token.kind()));
    (starts_expression(tokens.get(at)?.kind()) && !named).then_some((name.start(), legacy))
}

/// Whether an expression can end with a token.
fn ends_expression(kind: TokenKind) -> bool {
    use TokenKind as T;
    let token = matches!(
        kind,
        T::Name
            | T::Int
            | T::Float
            | T::Complex
            | T::String
            | T::FStringEnd
            | T::True
            | T::False
            | T::None
            | T::Ellipsis
            | T::Rpar
            | T::Rsqb
            | T::Rbrace
    );
    token || kind.is_soft_keyword()
}

/// What stands in a bracket in front of an error, if two expressions meet there.
struct Adjoining<'t> {
    /// Up to and with the bracket that is open.
    open: &'t [Token],
    /// Between the bracket and the error.
    inside: &'t [Token],
    last: &'t Token,
    next: &'t Token,
}

impl<'t> Adjoining<'t> {
    fn at(tokens: &'t Tokens, error: TextRange) -> Option<Self> {
        let at = tokens.partition_point(|token| token.start() < error.start());
        let next = tokens.get(at).filter(|next| starts_expression(next.kind()))?;
        let last = tokens[..at].iter().rev().find(|token| !token.kind().is_trivia())?;
        let open = enclosing_bracket(tokens, error.start()).filter(|_| ends_expression(last.kind()))?;
        Some(Self { open: &tokens[..=open], inside: &tokens[open + 1..at], last, next })
    }

    /// The tokens inside that are in no bracket of their own, from the error back.
    fn outermost(&self) -> impl Iterator<Item = &'t Token> {
        use TokenKind as T;
        let mut depth = 0usize;
        self.inside.iter().rev().filter(move |token| {
            let (kind, outer) = (token.kind(), depth);
            match kind {
                T::Rpar | T::Rsqb | T::Rbrace | T::FStringEnd => depth += 1,
                T::Lpar | T::Lsqb | T::Lbrace | T::FStringStart => depth = depth.saturating_sub(1),
                _ => {}
            }
            !kind.is_trivia() && (outer == 0 || depth == 0)
        })
    }
}

/// Where the expression in front of an error starts, if both stand in brackets with nothing between: two expressions
/// that a comma could part.
pub(super) fn forgotten_comma(tokens: &Tokens, error: TextRange) -> Option<TextSize> {
    use TokenKind as T;
    let adjoining = Adjoining::at(tokens, error)?;
    // Parameters and imported names are no expressions.
    let (of_names, of_call) = match adjoining.open {
        [.., import, _] if import.kind() == T::Import => (true, false),
        [.., def, _, _] if def.kind() == T::Def => (true, false),
        [.., callee, bracket] => (false, bracket.kind() == T::Lpar && ends_expression(callee.kind())),
        _ => (false, false),
    };
    if of_names {
        return None;
    }
    // Back to what opens the bracket, or parts its items.
    let mut item: Vec<(TokenKind, TextSize)> = vec![];
    for token in adjoining.outermost() {
        match token.kind() {
            T::Comma | T::Colon | T::ColonEqual => break,
            T::Equal if of_call => break,
            T::Newline | T::Semi | T::If | T::Else | T::For | T::Equal | T::Lambda | T::Yield | T::From => return None,
            _ => {}
        }
        item.push((token.kind(), token.start()));
    }
    item.pop_if(|(kind, _)| matches!(kind, T::Star | T::DoubleStar));
    // `name "text"` is taken for a prefix that doesn't exist.
    let prefix = matches!(item[..], [(T::Name, _)]) && matches!(adjoining.next.kind(), T::String | T::FStringStart);
    let soft = matches!(item[..], [(kind, _)] if kind.is_soft_keyword());
    item.last().filter(|_| !prefix && !soft).map(|(_, start)| *start)
}

/// The last byte of what stands where a dictionary's next key should, if something else than a colon is behind it.
pub(super) fn key_alone(tokens: &Tokens, error: TextRange) -> Option<TextSize> {
    use TokenKind as T;
    let adjoining = Adjoining::at(tokens, error)?;
    let in_braces = adjoining.open.last().is_some_and(|bracket| bracket.kind() == T::Lbrace);
    let mut parts = adjoining.outermost().map(Token::kind).filter(|kind| matches!(kind, T::Comma | T::Colon));
    let is_next = parts.next() == Some(T::Comma);
    let of_dictionary = parts.any(|kind| kind == T::Colon)
        || adjoining.inside.iter().map(Token::kind).find(|kind| !kind.is_trivia()) == Some(T::DoubleStar);
    (in_braces && is_next && of_dictionary).then(|| adjoining.last.end() - TextSize::new(1))
}

/// Index of the innermost bracket that is open at a place.
pub(super) fn enclosing_bracket(tokens: &Tokens, at: TextSize) -> Option<usize> {
    use TokenKind as T;
    let mut depth = 0usize;
    for (index, token) in tokens[..tokens.partition_point(|token| token.start() < at)].iter().enumerate().rev() {
        match token.kind() {
            T::Rpar | T::Rsqb | T::Rbrace => depth += 1,
            T::Lpar | T::Lsqb | T::Lbrace if depth > 0 => depth -= 1,
            T::Lpar | T::Lsqb | T::Lbrace => return Some(index),
            T::Newline => return None,
            _ => {}
        }
    }
    None
}
