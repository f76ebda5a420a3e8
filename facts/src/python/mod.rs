//! The Python front end: bytes to text as CPython decodes them, one parse a file, positions in the original bytes.
//!
//! ruff's parser is used here and in [`crate::ast`] alone, since its API is not stable.

mod decode;
mod literal;
mod nesting;
mod position;
mod tree;

use ruff_python_ast::token::Tokens;
use ruff_python_ast::{PythonVersion, Stmt};
use ruff_python_parser::{LexicalErrorType, Mode, ParseError, ParseErrorType, ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged, TextRange};
use thiserror::Error;

pub use decode::{Decoded, decode};
pub use literal::{MAX_DECIMAL_DIGITS, Quoted, push_bytes, push_float, push_imaginary, push_integer, push_string};
pub use position::{DecodedLines, Locator, OffsetMap, Span};
use tree::Tree;

/// The Python whose grammar, positions and limits the facts follow.
pub const TARGET_VERSION: PythonVersion = PythonVersion::PY313;

/// Deepest tree, in nodes: where CPython's own construction of the tree gives up.
pub const MAX_DEPTH: usize = 10_000;

/// Version of the parser, for fingerprints.
pub const PARSER_VERSION: &str = "ruff_python_parser 0.0.10";

/// Why a file has no tree, in the terms of the exception CPython raises.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{error_type}: {message}")]
pub struct PythonError {
    /// CPython's exception: `SyntaxError`, `IndentationError`, `RecursionError`, ….
    pub error_type: &'static str,
    /// For people.
    pub message: String,
    /// Where, as far as it is known.
    pub span: Option<Span>,
    /// The encoding is not among those this front end knows; CPython might know it.
    pub unsupported: bool,
}

impl PythonError {
    pub(crate) fn new(error_type: &'static str, message: impl Into<String>, span: Option<Span>) -> Self {
        Self { error_type, message: message.into(), span, unsupported: false }
    }
}

/// A file that parses.
#[derive(Debug)]
pub struct PythonModule<'a> {
    decoded: Decoded<'a>,
    /// Offset of the first byte of each line of the text.
    lines: Vec<u32>,
    tree: Tree,
}

impl<'a> PythonModule<'a> {
    /// Decodes and parses a file.
    ///
    /// # Errors
    /// Where CPython would refuse the file, or where its encoding is not supported.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PythonError> {
        let decoded = decode(bytes)?;
        if nesting::braces_exceed_limit(&decoded.text) {
            return Err(nesting::too_many_brackets());
        }
        let lines = position::line_starts(&decoded.text);
        let options = ParseOptions::from(Mode::Module).with_target_version(TARGET_VERSION);
        let parsed = parse_unchecked(&decoded.text, options).try_into_module().expect("module mode gives a module");
        let nesting = nesting::measure(parsed.tokens());
        let module = Self { decoded, lines, tree: Tree::new(parsed, nesting.depth) };
        // Of a broken limit and a syntax error, CPython stops at what comes first.
        let error = [nesting.error, module.syntax_error()].into_iter().flatten().min_by_key(|(range, _)| range.start());
        match error {
            Some((range, error)) => Err(PythonError { span: Some(module.locator().span(range)), ..error }),
            None => Ok(module),
        }
    }

    fn syntax_error(&self) -> Option<(TextRange, PythonError)> {
        if let Some(error) = self.tree.errors().first() {
            return Some((error.range(), PythonError::new(error_type(error), error.error.to_string(), None)));
        }
        let error = self.tree.unsupported_syntax_errors().first()?;
        Some((error.range(), PythonError::new("SyntaxError", error.to_string(), None)))
    }

    /// The text: UTF-8, without byte order mark, lines ended by `\n`.
    pub fn text(&self) -> &str {
        &self.decoded.text
    }

    /// The text of a range.
    pub fn slice(&self, range: TextRange) -> &str {
        &self.decoded.text[range]
    }

    /// The module's statements.
    pub fn body(&self) -> &[Stmt] {
        &self.tree.syntax().body
    }

    /// All tokens, comments included.
    pub fn tokens(&self) -> &Tokens {
        self.tree.tokens()
    }

    /// A cursor that turns ranges of the text into positions.
    pub fn locator(&self) -> Locator<'_> {
        Locator::new(&self.decoded.offsets, &self.lines)
    }
}

fn error_type(error: &ParseError) -> &'static str {
    match &error.error {
        ParseErrorType::Lexical(LexicalErrorType::IndentationError) | ParseErrorType::UnexpectedIndentation => {
            "IndentationError"
        }
        ParseErrorType::OtherError(message) if message.starts_with("Expected an indented block") => "IndentationError",
        _ => "SyntaxError",
    }
}
