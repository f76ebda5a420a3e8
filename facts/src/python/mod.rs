//! The Python front end: bytes to text as CPython decodes them, one parse a file, positions in the original bytes.
//!
//! ruff's parser is used here, in [`crate::ast`] and in [`crate::symtable`] alone, since its API is not stable.

mod decode;
mod lexical;
mod literal;
mod nesting;
mod position;
mod refusal;
mod tree;
mod version;

use std::cell::Cell;

use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_ast::{Decorator, Stmt};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged, TextRange, TextSize};
use thiserror::Error;

use crate::fingerprint::tool;
use crate::options::Options;

pub use decode::{Decoded, decode, source_encoding};
pub use literal::{MAX_DECIMAL_DIGITS, Quoted, push_bytes, push_float, push_imaginary, push_integer, push_string};
pub use position::{DecodedLines, Locator, OffsetMap, Span};
use refusal::Undecoded;
pub(crate) use refusal::{behind_docstring, undefined_feature};
use tree::Tree;
pub use version::{UnknownVersion, Version};

/// Deepest tree, in nodes: where CPython's own construction of the tree gives up.
pub const MAX_DEPTH: usize = 10_000;

/// The parser, as tables name it.
pub const PARSER_VERSION: &str = "ruff_python_parser 0.0.10";

thread_local! {
    /// Files that the parser was given on this thread.
    static PARSES: Cell<u64> = const { Cell::new(0) };
}

/// How many files were parsed on this thread. Lanes share the parse of a file: the number grows by one a file, however
/// many of them read it.
pub fn parses() -> u64 {
    PARSES.get()
}

/// Raised by hand whenever files are decoded, refused or parsed in another way: the rows of every lane that reads them
/// may change.
const REVISION: u32 = 7;

/// What of the front end the rows of a lane depend on.
pub(crate) fn fingerprint(options: &Options) -> String {
    let (name, version) = PARSER_VERSION.split_once(' ').unwrap_or((PARSER_VERSION, ""));
    format!("front {REVISION} {} python {}", tool(name, version), options.python_version)
}

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
    version: Version,
    undecoded: Option<PythonError>,
}

impl<'a> PythonModule<'a> {
    /// Decodes and parses a file as Python of this version.
    ///
    /// # Errors
    /// Where CPython would refuse the file, or where its encoding is not supported.
    pub fn parse(bytes: &'a [u8], version: Version) -> Result<Self, PythonError> {
        let (decoded, foreign) =
            decode::decode_tolerantly(bytes).map_err(|error| refusal::of_decoder(bytes, error, version))?;
        let undecoded = if foreign.is_empty() { None } else { decode(bytes).err() };
        if let Some(error) = undecoded.clone().filter(|_| version >= Version::Py314) {
            return Err(refusal::of_decoder(bytes, error, version));
        }
        if nesting::brackets_exhaust_the_parser(&decoded.text) {
            return Err(nesting::too_many_brackets());
        }
        let lines = position::line_starts(&decoded.text);
        PARSES.set(PARSES.get() + 1);
        let options = ParseOptions::from(Mode::Module).with_target_version(version.target());
        let parse = || parse_unchecked(&decoded.text, options);
        let parsed = nesting::with_room_for_lambdas(&decoded.text, parse).ok_or_else(nesting::too_complex)?;
        let parsed = parsed.try_into_module().expect("module mode gives a module");
        let nesting = nesting::measure(parsed.tokens());
        let module = Self { decoded, lines, tree: Tree::new(parsed, nesting.depth), version, undecoded };
        let field = || nesting.interpolated.then(|| refusal::refused_field(module.tokens(), version)).flatten();
        let parser = module.parser_error().or_else(field);
        if nesting.error.is_none() && parser.is_none() && foreign.is_empty() {
            return Ok(module);
        }
        let lexical = lexical::check(module.text(), version);
        let range = |refusal: &Option<(TextRange, PythonError)>| refusal.as_ref().map(|(range, _)| *range);
        let in_tokenizer = range(&lexical.error).filter(|_| lexical.quiet.is_none());
        let in_parser = range(&parser);
        let mut refusal = refusal::verdict(module.text(), version, module.tokens(), lexical, nesting.error, parser);
        if !foreign.is_empty() {
            let (text, tokens, locator) = (module.text(), module.tokens(), module.locator());
            let undecoded = Undecoded { bytes, text, tokens, locator, version, at: &foreign };
            refusal = undecoded.verdict(in_tokenizer, in_parser, refusal);
        }
        match refusal {
            Some((_, error)) if error.error_type == refusal::NOWHERE => Err(error),
            Some((range, error)) => Err(PythonError { span: Some(module.locator().span(range)), ..error }),
            None => Ok(module),
        }
    }

    fn parser_error(&self) -> Option<(TextRange, PythonError)> {
        if let Some(error) = self.tree.errors().first() {
            return Some(refusal::of_parser(self.text(), self.tokens(), error));
        }
        refusal::newer_syntax(self.tokens(), self.tree.unsupported_syntax_errors(), self.version)
            .or_else(|| refusal::unknown_feature(self.body(), self.version))
    }

    /// Why the file can't be decoded, although CPython before 3.14 accepts it: what is not UTF-8 is in comments, and U+FFFD
    /// stands for it.
    pub fn undecoded(&self) -> Option<&PythonError> {
        self.undecoded.as_ref()
    }

    /// The version whose rules it was parsed by.
    pub fn version(&self) -> Version {
        self.version
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

    /// A bound on the depth of the tree, in nodes.
    pub fn depth(&self) -> usize {
        self.tree.depth()
    }

    /// Where a definition starts to CPython: behind its decorators, at `def`, `async` or `class`.
    pub(crate) fn definition_start(&self, range: TextRange, decorators: &[Decorator]) -> TextSize {
        let Some(last) = decorators.last() else { return range.start() };
        let tokens = self.tokens();
        let first = tokens.partition_point(|token| token.start() < last.end());
        let keyword = tokens[first..]
            .iter()
            .find(|token| matches!(token.kind(), TokenKind::Def | TokenKind::Async | TokenKind::Class));
        keyword.map_or(range.start(), Ranged::start)
    }

    /// A cursor that turns ranges of the text into positions.
    pub fn locator(&self) -> Locator<'_> {
        Locator::new(&self.decoded.offsets, &self.lines)
    }
}
