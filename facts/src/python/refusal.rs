//! Why CPython refuses a file: its exception, its place and its words, from the parser's first error and the
//! tokenizer's.
//!
//! The order of precedence is that of `Parser/pegen_errors.c`: an error of the tokenizer anywhere in the file, a bracket
//! that is never closed, then what the parser says.

use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_parser::{LexicalErrorType, ParseError, ParseErrorType};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::decode::NULL_BYTES;
use super::lexical::Lexical;
use super::{PythonError, Version};

/// An error and where it is.
pub(super) type Refusal = (TextRange, PythonError);

/// The error that CPython reports. `limit` is one of its limits that is broken, `parser` the parser's first error.
pub(super) fn verdict(
    text: &str,
    version: Version,
    tokens: &Tokens,
    lexical: Lexical,
    limit: Option<Refusal>,
    parser: Option<Refusal>,
) -> Option<Refusal> {
    let Some((range, error)) = parser else {
        return [lexical.error, limit].into_iter().flatten().min_by_key(|(range, _)| range.start());
    };
    let range = if error.message == GENERIC { furthest(text, tokens, range) } else { range };
    // Behind an unexpected indent nothing is read any more.
    let reached = lexical.quiet.is_some_and(|at| at <= range.end());
    let reads_on = error.message != UNEXPECTED_INDENT;
    let tokenizer = lexical.error.filter(|_| reached || (reads_on && lexical.quiet.is_none()));
    let tokenizer = [tokenizer, limit].into_iter().flatten().min_by_key(|(range, _)| range.start());
    if tokenizer.is_some() {
        return tokenizer;
    }
    if let Some((bracket, at)) = lexical.unclosed.filter(|(_, at)| reads_on && *at <= range.start()) {
        let between = &text[at.to_usize()..range.start().to_usize()];
        let at_end = text[range.start().to_usize()..].trim_end_matches(['\n', ' ', '\t', '\x0c']).is_empty();
        if at_end || between.contains('\n') {
            let message = format!("'{bracket}' was never closed");
            return Some((TextRange::at(at, TextSize::new(1)), PythonError::new("SyntaxError", message, None)));
        }
    }
    match forgotten_comma(tokens, range) {
        Some(start) if error.message == GENERIC => {
            let message = "invalid syntax. Perhaps you forgot a comma?";
            Some((TextRange::new(start, range.end()), PythonError::new("SyntaxError", message, None)))
        }
        _ => Some((past_not(tokens, range), named_by_version(error, version))),
    }
}

/// The token CPython comes to before it gives up. The parser behind the facts ends a line inside brackets when it meets
/// an error there.
fn furthest(text: &str, tokens: &Tokens, range: TextRange) -> TextRange {
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
fn past_not(tokens: &Tokens, range: TextRange) -> TextRange {
    let at = tokens.partition_point(|token| token.start() < range.start());
    match &tokens[at..] {
        [not, next, ..] if not.kind() == TokenKind::Not && at > 0 && not.start() == range.start() => next.range(),
        _ => range,
    }
}

const UNEXPECTED_INDENT: &str = "unexpected indent";

/// What CPython says where no rule knows more.
const GENERIC: &str = "invalid syntax";

/// A parser's error in CPython's words where it is the same rule.
pub(super) fn of_parser(text: &str, error: &ParseError) -> Refusal {
    let syntax = |message: &str| (error.range(), PythonError::new("SyntaxError", message, None));
    match &error.error {
        ParseErrorType::UnexpectedIndentation => {
            let indent = error.range();
            let line = text[..indent.end().to_usize()].rfind('\n').map_or(0, |newline| newline + 1);
            let width = text[line..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\x0c')).count();
            // The token has no column of its own; the one of the cursor counts from 1.
            let at = TextSize::new((line + width.saturating_sub(1)) as u32);
            (TextRange::new(at, indent.end().max(at)), PythonError::new("IndentationError", UNEXPECTED_INDENT, None))
        }
        ParseErrorType::Lexical(LexicalErrorType::IndentationError) => {
            let message = "unindent does not match any outer indentation level";
            (error.range(), PythonError::new("IndentationError", message, None))
        }
        ParseErrorType::OtherError(message) if message.starts_with("Expected an indented block") => {
            missing_block(text, error.range(), message)
        }
        ParseErrorType::ExpectedToken { expected: TokenKind::Colon, found: TokenKind::Newline } => {
            syntax("expected ':'")
        }
        ParseErrorType::ExpectedToken { expected: TokenKind::Lpar, .. } => syntax("expected '('"),
        ParseErrorType::EmptyImportNames if !text[error.range().start().to_usize()..].starts_with(['\n', ';']) => {
            syntax(GENERIC)
        }
        ParseErrorType::EmptyImportNames => syntax("Expected one or more names after 'import'"),
        ParseErrorType::ParamAfterVarKeywordParam => syntax("arguments cannot follow var-keyword argument"),
        ParseErrorType::NonDefaultParamAfterDefaultParam => {
            syntax("parameter without a default follows parameter with a default")
        }
        ParseErrorType::ExpectedKeywordParam => syntax("named arguments must follow bare *"),
        ParseErrorType::PositionalAfterKeywordArgument => syntax("positional argument follows keyword argument"),
        ParseErrorType::PositionalAfterKeywordUnpacking => {
            syntax("positional argument follows keyword argument unpacking")
        }
        ParseErrorType::InvalidArgumentUnpackingOrder => {
            syntax("iterable argument unpacking follows keyword argument unpacking")
        }
        ParseErrorType::UnparenthesizedGeneratorExpression => syntax("Generator expression must be parenthesized"),
        ParseErrorType::ExpectedToken { .. }
        | ParseErrorType::ExpectedExpression
        | ParseErrorType::EmptySlice
        | ParseErrorType::EmptyGlobalNames
        | ParseErrorType::EmptyNonlocalNames
        | ParseErrorType::EmptyDeleteTargets
        | ParseErrorType::InvalidYieldExpressionUsage
        | ParseErrorType::InvalidLambdaExpressionUsage
        | ParseErrorType::InvalidStarredExpressionUsage
        | ParseErrorType::UnparenthesizedNamedExpression
        | ParseErrorType::UnparenthesizedTupleExpression
        | ParseErrorType::SimpleStatementsOnSameLine
        | ParseErrorType::SimpleAndCompoundStatementOnSameLine
        | ParseErrorType::UnexpectedTokenAfterAsync(_)
        | ParseErrorType::UnexpectedExpressionToken
        | ParseErrorType::Lexical(LexicalErrorType::UnrecognizedToken { .. }) => syntax(GENERIC),
        ParseErrorType::OtherError(message) => match message.as_str() {
            "Expected `except` or `finally` after `try` block" => syntax("expected 'except' or 'finally' block"),
            message if message.starts_with("Expected") => syntax(GENERIC),
            message => syntax(message),
        },
        other => syntax(&other.to_string()),
    }
}

/// A decoder's error in the words of a version.
pub(super) fn of_decoder(error: PythonError, version: Version) -> PythonError {
    let value_error = version < Version::Py312 && error.message == NULL_BYTES;
    if value_error { PythonError { error_type: "ValueError", ..error } } else { error }
}

/// `if x:` without a block: the error lies at the token where the block should begin.
fn missing_block(text: &str, range: TextRange, message: &str) -> Refusal {
    let mut at = range.start().to_usize();
    // The parser's error lies behind the colon or at what follows.
    let header_end = text[..at].trim_end_matches([' ', '\t', '\x0c', '\n']).len();
    let header_line = text[..header_end].rfind('\n').map_or(0, |newline| newline + 1);
    at = header_end;
    let next = loop {
        let rest = &text[at..];
        match rest.bytes().next() {
            None => break None,
            Some(b' ' | b'\t' | b'\x0c' | b'\n') => at += 1,
            Some(b'#') => at += rest.find('\n').unwrap_or(rest.len()),
            Some(_) => break Some(at),
        }
    };
    let width = |line: usize| text[line..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let place = match next {
        None => text.trim_end_matches('\n').len(),
        Some(at) => {
            let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let dedent = line > header_line && at - line < width(header_line);
            // A dedent has no column of its own; the one of the cursor counts from 1.
            at - usize::from(dedent && at > line)
        }
    };
    let of = message.strip_prefix("Expected an indented block after ").unwrap_or_default();
    let of = match of.split_once("` ") {
        Some((keyword, "definition")) => format!("{} definition", keyword.trim_start_matches('`')),
        Some((keyword, _)) => format!("'{}' statement", keyword.trim_start_matches('`')),
        None => of.to_owned(),
    };
    let line = memchr::memchr_iter(b'\n', &text.as_bytes()[..header_end]).count() + 1;
    let message = format!("expected an indented block after {of} on line {line}");
    (TextRange::empty(TextSize::new(place as u32)), PythonError::new("IndentationError", message, None))
}

/// Words that older versions had.
fn named_by_version(error: PythonError, version: Version) -> PythonError {
    let message = match error.message.as_str() {
        "parameter without a default follows parameter with a default" if version < Version::Py312 => {
            "non-default argument follows default argument"
        }
        "Expected one or more names after 'import'" if version < Version::Py313 => GENERIC,
        _ => return error,
    };
    PythonError { message: message.into(), ..error }
}

/// Where the expression in front of an error starts, if both stand in brackets with nothing between: two expressions
/// that a comma could part.
fn forgotten_comma(tokens: &Tokens, error: TextRange) -> Option<TextSize> {
    use TokenKind as T;
    let at = tokens.partition_point(|token| token.start() < error.start());
    let next = tokens.get(at)?;
    let starts_expression = matches!(
        next.kind(),
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
    ) || next.kind().is_soft_keyword();
    let before =
        tokens[..at].iter().rev().find(|token| !token.kind().is_trivia() && token.kind() != T::NonLogicalNewline)?;
    let ends_expression = matches!(
        before.kind(),
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
    ) || before.kind().is_soft_keyword();
    let open = enclosing_bracket(tokens, error.start())?;
    // Parameters and imported names are no expressions.
    let of_names = match &tokens[..open] {
        [.., import] if import.kind() == T::Import => true,
        [.., def, _] => def.kind() == T::Def,
        _ => false,
    };
    if !starts_expression || !ends_expression || of_names {
        return None;
    }
    // Back to what opens the bracket, or parts its items.
    let mut depth = 0usize;
    let mut item: Vec<(TokenKind, TextSize)> = vec![];
    for token in tokens[..at].iter().rev() {
        let kind = token.kind();
        match kind {
            T::NonLogicalNewline | T::Comment => continue,
            T::Rpar | T::Rsqb | T::Rbrace | T::FStringEnd => depth += 1,
            T::Lpar | T::Lsqb | T::Lbrace | T::FStringStart if depth > 0 => depth -= 1,
            T::Lpar | T::Lsqb | T::Lbrace => break,
            T::Comma | T::Colon if depth == 0 => break,
            T::Newline | T::FStringStart | T::Semi => return None,
            T::If | T::Else | T::For | T::Equal | T::ColonEqual | T::Lambda | T::Yield | T::From if depth == 0 => {
                return None;
            }
            _ => {}
        }
        item.push((kind, token.start()));
    }
    item.pop_if(|(kind, _)| matches!(kind, T::Star | T::DoubleStar));
    // `name "text"` is taken for a prefix that doesn't exist.
    let prefix = matches!(item[..], [(T::Name, _)]) && matches!(next.kind(), T::String | T::FStringStart);
    let soft = matches!(item[..], [(kind, _)] if kind.is_soft_keyword());
    item.last().filter(|_| !prefix && !soft).map(|(_, start)| *start)
}

/// Index of the innermost bracket that is open at a place.
fn enclosing_bracket(tokens: &Tokens, at: TextSize) -> Option<usize> {
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
