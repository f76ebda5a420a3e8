//! Why CPython refuses a file: its exception, its place and its words.
//!
//! From 3.11 on the file is parsed by CPython's own grammar ([`peg`]). Before that, and where that parser has nothing to
//! say, it is told from the tokenizer's error and the other parser's first one; the order of precedence is that of
//! `Parser/pegen_errors.c`: an error of the tokenizer anywhere in the file, a bracket that is never closed, then what the
//! parser says.

mod arguments;
mod context;
mod fields;
mod future;
mod older;
mod peg;
mod target;
mod undecoded;
mod words;

use ruff_python_ast::token::Tokens;
use ruff_text_size::{TextRange, TextSize};

use self::context::{before_comment, forgotten_comma, furthest, key_alone, legacy_statement, past_not};
pub(super) use self::fields::refused_field;
pub(super) use self::future::unknown_feature;
pub(crate) use self::future::{behind_docstring, undefined_feature};
pub(super) use self::older::newer_syntax;
pub(super) use self::undecoded::{NOWHERE, Undecoded};
pub(super) use self::words::of_parser;
use super::decode::{NULL_BYTES, UNICODE_ERROR};
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
    if [&lexical.error, &limit, &parser].into_iter().all(Option::is_none) {
        return None;
    }
    if let Some(refusal) = peg::verdict(text, version, &lexical, limit.as_ref()) {
        return Some(refusal);
    }
    let Some((range, error)) = parser else {
        return [lexical.error, limit].into_iter().flatten().min_by_key(|(range, _)| range.start());
    };
    let range = if error.message == GENERIC { furthest(text, tokens, range) } else { range };
    // Behind an unexpected indent nothing is read any more.
    let come_to = if error.message.starts_with(MISSING_BLOCK) { next_code(text, range.end()) } else { range.end() };
    let reached = lexical.quiet.is_some_and(|at| at <= come_to);
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
    if error.message == GENERIC {
        let found = |start, message: &str| {
            Some((TextRange::new(start, range.end()), PythonError::new("SyntaxError", message, None)))
        };
        if let Some((start, name)) = legacy_statement(text, tokens, range) {
            return found(start, &format!("Missing parentheses in call to '{name}'. Did you mean {name}(...)?"));
        }
        if let Some(start) = key_alone(tokens, range) {
            return found(start, KEY_ALONE);
        }
        if let Some(start) = forgotten_comma(tokens, range) {
            return found(start, "invalid syntax. Perhaps you forgot a comma?");
        }
    }
    Some((before_comment(tokens, past_not(tokens, range)), error))
}

/// Where the next token of code begins.
fn next_code(text: &str, from: TextSize) -> TextSize {
    let mut at = from.to_usize();
    loop {
        at += text[at..].len() - text[at..].trim_start_matches([' ', '\t', '\x0c', '\n']).len();
        if !text[at..].starts_with('#') {
            return TextSize::new(at as u32);
        }
        at += text[at..].find('\n').unwrap_or(text[at..].len());
    }
}

const UNEXPECTED_INDENT: &str = "unexpected indent";

/// How it begins where a block is missing.
const MISSING_BLOCK: &str = "expected an indented block";

/// What it says of a key without a value.
const KEY_ALONE: &str = "':' expected after dictionary key";

/// What it says where no rule knows more.
const GENERIC: &str = "invalid syntax";

/// A decoder's error in the words of a version.
pub(super) fn of_decoder(bytes: &[u8], error: PythonError, version: Version) -> PythonError {
    if version < Version::Py311 && error.message == NULL_BYTES {
        return PythonError { error_type: "ValueError", ..error };
    }
    if let Some(span) = error.span.filter(|_| version >= Version::Py314 && error.message.starts_with(UNICODE_ERROR)) {
        let byte = bytes.get(span.bstart as usize).copied().unwrap_or_default();
        let message = format!(
            "Non-UTF-8 code starting with '\\x{byte:02x}' on line {}, but no encoding declared; see \
             https://peps.python.org/pep-0263/ for details",
            span.lineno
        );
        return PythonError { message, ..error };
    }
    error
}
