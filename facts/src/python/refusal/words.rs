//! The parser's errors in CPython's words.

use ruff_python_ast::token::{Token, TokenKind, Tokens};
use ruff_python_parser::{LexicalErrorType, ParseError, ParseErrorType};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::arguments::past_arguments;
use super::context::{enclosing_bracket, starts_expression};
use super::{GENERIC, KEY_ALONE, Refusal, UNEXPECTED_INDENT, target};
use crate::python::PythonError;
use crate::python::lexical::UNMATCHED_UNINDENT;

/// A parser's error in CPython's words where it is the same rule.
pub(in crate::python) fn of_parser(text: &str, tokens: &Tokens, error: &ParseError) -> Refusal {
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
            (error.range(), PythonError::new("IndentationError", UNMATCHED_UNINDENT, None))
        }
        ParseErrorType::Lexical(LexicalErrorType::InvalidByteLiteral) => {
            let token = tokens.iter().find(|token| token.range().contains_range(error.range()));
            (token.map_or(error.range(), Ranged::range), PythonError::new("SyntaxError", error.error.to_string(), None))
        }
        ParseErrorType::OtherError(message) if message.starts_with("Expected an indented block") => {
            missing_block(text, error.range(), message)
        }
        ParseErrorType::ExpectedToken { expected: TokenKind::Colon, found: TokenKind::Newline } => {
            syntax("expected ':'")
        }
        ParseErrorType::ExpectedToken { expected: TokenKind::Colon, .. } if needs_colon(tokens, error.range()) => {
            syntax("expected ':'")
        }
        ParseErrorType::ExpectedToken { expected: TokenKind::Lpar, .. } => syntax("expected '('"),
        ParseErrorType::ExpectedToken { expected: TokenKind::Colon, found } if !starts_expression(*found) => {
            missing_value(tokens, error.range()).unwrap_or_else(|| syntax(GENERIC))
        }
        ParseErrorType::InvalidAssignmentTarget => syntax(&target::assigned(text, tokens, error.range())),
        ParseErrorType::InvalidNamedAssignmentTarget => {
            syntax(&format!("cannot use assignment expressions with {}", target::name(text, error.range())))
        }
        ParseErrorType::InvalidAugmentedAssignmentTarget => {
            let name = target::name(text, error.range());
            syntax(&format!("'{name}' is an illegal expression for augmented assignment"))
        }
        ParseErrorType::InvalidDeleteTarget => syntax(&format!("cannot delete {}", target::name(text, error.range()))),
        ParseErrorType::InvalidAnnotatedAssignmentTarget => {
            unannotated(tokens, error.range()).unwrap_or_else(|| syntax("illegal target for annotation"))
        }
        ParseErrorType::ParamAfterVarKeywordParam => syntax("arguments cannot follow var-keyword argument"),
        ParseErrorType::NonDefaultParamAfterDefaultParam => syntax("non-default argument follows default argument"),
        ParseErrorType::ExpectedKeywordParam => syntax("named arguments must follow bare *"),
        ParseErrorType::PositionalAfterKeywordArgument => {
            let message = "positional argument follows keyword argument";
            (past_arguments(tokens, error.range()), PythonError::new("SyntaxError", message, None))
        }
        ParseErrorType::PositionalAfterKeywordUnpacking => {
            let message = "positional argument follows keyword argument unpacking";
            (past_arguments(tokens, error.range()), PythonError::new("SyntaxError", message, None))
        }
        ParseErrorType::InvalidArgumentUnpackingOrder => {
            syntax("iterable argument unpacking follows keyword argument unpacking")
        }
        ParseErrorType::UnparenthesizedGeneratorExpression => syntax("Generator expression must be parenthesized"),
        ParseErrorType::ExpectedToken { .. }
        | ParseErrorType::ExpectedExpression
        | ParseErrorType::EmptySlice
        | ParseErrorType::EmptyImportNames
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
            "Expected `except` or `finally` after `try` block" => {
                let range = behind_dedent(text, tokens, error.range());
                (range, PythonError::new("SyntaxError", "expected 'except' or 'finally' block", None))
            }
            "Expected a parameter name" => match &text[error.range()] {
                constant @ ("True" | "False" | "None") => syntax(&format!("cannot assign to {constant}")),
                _ => syntax("expression cannot contain assignment, perhaps you meant \"==\"?"),
            },
            "Only single target (not list) can be annotated" => unannotated(tokens, error.range())
                .unwrap_or_else(|| syntax("only single target (not list) can be annotated")),
            "Only single target (not tuple) can be annotated" => unannotated(tokens, error.range())
                .unwrap_or_else(|| syntax("only single target (not tuple) can be annotated")),
            message if message.starts_with("Expected") => syntax(GENERIC),
            message => syntax(message),
        },
        other => syntax(&other.to_string()),
    }
}

/// Whether an error is in the header of a definition or of a clause that has nothing but a colon: CPython's grammar insists
/// on that one (`&&':'`).
fn needs_colon(tokens: &Tokens, error: TextRange) -> bool {
    use TokenKind as T;
    let at = tokens.partition_point(|token| token.start() < error.start());
    let starts = |kind| matches!(kind, T::Newline | T::Indent | T::Dedent);
    let line = tokens[..at].iter().rposition(|token| starts(token.kind())).map_or(0, |before| before + 1);
    let mut header = tokens[line..at].iter().map(Token::kind).filter(|kind| !kind.is_trivia());
    let insists = match header.next() {
        Some(T::Def) => true,
        Some(T::Async) => header.next() == Some(T::Def),
        Some(T::Else | T::Try | T::Finally) => header.next().is_none(),
        _ => false,
    };
    insists && enclosing_bracket(tokens, error.start()).is_none()
}

/// The colon behind what can't be annotated, where no annotation follows: CPython comes no further then.
fn unannotated(tokens: &Tokens, target: TextRange) -> Option<Refusal> {
    use TokenKind as T;
    let behind = &tokens[tokens.partition_point(|token| token.start() < target.end())..];
    let mut behind = behind.iter().filter(|token| !token.kind().is_trivia());
    let colon = behind.find(|token| token.kind() == T::Colon)?;
    let next = behind.next().map_or(T::EndOfFile, Token::kind);
    let annotates = starts_expression(next)
        || matches!(next, T::Lpar | T::Lsqb | T::Lbrace | T::Minus | T::Plus | T::Await | T::TStringStart);
    (!annotates).then(|| (colon.range(), PythonError::new("SyntaxError", GENERIC, None)))
}

/// A dictionary's key without a value: CPython points at the key's last byte.
fn missing_value(tokens: &Tokens, error: TextRange) -> Option<Refusal> {
    let bracket = enclosing_bracket(tokens, error.start())?;
    let before = tokens.partition_point(|token| token.start() < error.start());
    let key = tokens[..before].iter().rev().find(|token| !token.kind().is_trivia())?;
    let range = TextRange::new(key.end() - TextSize::new(1), error.end());
    (tokens[bracket].kind() == TokenKind::Lbrace).then(|| (range, PythonError::new("SyntaxError", KEY_ALONE, None)))
}

/// A dedent has no column of its own; the one of the cursor counts from 1.
fn behind_dedent(text: &str, tokens: &Tokens, error: TextRange) -> TextRange {
    let at = tokens.partition_point(|token| token.start() < error.start());
    let dedent = tokens[at..].iter().take_while(|token| token.start() == error.start());
    let dedent = dedent.chain(tokens[..at].last()).any(|token| token.kind() == TokenKind::Dedent);
    let indented = text[..error.start().to_usize()].ends_with([' ', '\t']);
    if dedent && indented { TextRange::new(error.start() - TextSize::new(1), error.end()) } else { error }
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
