//! How deep a file nests, from its tokens: CPython's limits, and a bound on the depth of the tree.

use memchr::memchr2_iter;
use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_parser::{Mode, lexer};
use ruff_text_size::{Ranged, TextRange};

use super::PythonError;

/// Open brackets at which CPython's tokenizer gives up (`MAXLEVEL`).
const MAX_BRACKETS: usize = 200;
/// Levels of indentation at which it gives up (`MAXINDENT`, the outermost level included).
const MAX_INDENTS: usize = 100;
/// F-strings within f-strings at which it gives up (`MAXFSTRINGLEVEL`).
const MAX_FSTRINGS: usize = 150;

/// What the tokens say.
pub(super) struct Nesting {
    /// No tree of these tokens is deeper, in nodes.
    pub(super) depth: usize,
    /// The first limit that is broken.
    pub(super) error: Option<(TextRange, PythonError)>,
}

/// One bracket, or the outermost level.
#[derive(Default)]
struct Level {
    /// Tokens since the last comma that ends everything before it.
    tokens: usize,
    /// A comma inside a lambda's parameters ends nothing.
    lambda: bool,
}

/// Whether braces nest beyond the limit, which has to be known before the parser runs: it follows format
/// specifications within each other without growing its stack.
pub(super) fn braces_exceed_limit(text: &str) -> bool {
    let open = |depth: usize, brace| if brace == b'{' { depth + 1 } else { depth.saturating_sub(1) };
    let mut depth = 0;
    let suspicious = memchr2_iter(b'{', b'}', text.as_bytes()).any(|at| {
        depth = open(depth, text.as_bytes()[at]);
        depth > MAX_BRACKETS
    });
    if !suspicious {
        return false;
    }
    // Most of what looks like it is text: only tokens count.
    let mut lexer = lexer::lex(text, Mode::Module);
    let mut depth = 0;
    loop {
        match lexer.next_token() {
            TokenKind::Lbrace => depth = open(depth, b'{'),
            TokenKind::Rbrace => depth = open(depth, b'}'),
            TokenKind::EndOfFile => return false,
            _ => {}
        }
        if depth > MAX_BRACKETS {
            return true;
        }
    }
}

/// The error of brackets beyond the limit.
pub(super) fn too_many_brackets() -> PythonError {
    PythonError::new("SyntaxError", "too many nested parentheses", None)
}

/// Measures a file.
pub(super) fn measure(tokens: &Tokens) -> Nesting {
    let mut levels = vec![Level::default()];
    let (mut outer, mut depth, mut indents, mut blocks, mut fstrings) = (0, 0, 0usize, 0, 0usize);
    let mut error = None;
    let mut refuse = |range, reason: PythonError| {
        error.get_or_insert((range, reason));
    };
    for token in tokens {
        let outermost = levels.len() == 1;
        let level = levels.last_mut().expect("the outermost level stays");
        level.tokens += 1;
        match token.kind() {
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => {
                outer += level.tokens;
                levels.push(Level::default());
                if levels.len() > MAX_BRACKETS + 1 {
                    refuse(token.range(), too_many_brackets());
                }
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace if !outermost => {
                depth = depth.max(outer + level.tokens);
                levels.pop();
                outer -= levels.last().map_or(0, |level| level.tokens);
            }
            TokenKind::Comma if !level.lambda => {
                depth = depth.max(outer + level.tokens);
                level.tokens = 1;
            }
            TokenKind::Lambda => level.lambda = true,
            TokenKind::FStringStart | TokenKind::TStringStart => {
                fstrings += 1;
                if fstrings > MAX_FSTRINGS {
                    refuse(token.range(), PythonError::new("SyntaxError", "too many nested f-strings", None));
                }
            }
            TokenKind::FStringEnd | TokenKind::TStringEnd => fstrings = fstrings.saturating_sub(1),
            TokenKind::Indent => {
                indents += 1;
                blocks = blocks.max(indents);
                if indents >= MAX_INDENTS {
                    let message = "too many levels of indentation";
                    refuse(token.range(), PythonError::new("IndentationError", message, None));
                }
            }
            TokenKind::Dedent => indents = indents.saturating_sub(1),
            TokenKind::Newline => {
                depth = depth.max(outer + level.tokens);
                // A line that leaves brackets open is a syntax error, whose recovered tree goes on behind it.
                if outermost {
                    *level = Level::default();
                }
            }
            _ => {}
        }
    }
    let open: usize = levels.iter().map(|level| level.tokens).sum();
    // A level of indentation is at most a statement and its clause.
    Nesting { depth: depth.max(open) + 2 * blocks, error }
}
