//! How deep a file nests, from its tokens: CPython's limits, and a bound on the depth of the tree.

use memchr::{memchr2_iter, memmem};
use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_parser::{Mode, lexer};
use ruff_text_size::{Ranged, TextRange};

use super::{MAX_DEPTH, PythonError};

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
    /// Whether there are f-strings or t-strings.
    pub(super) interpolated: bool,
}

/// One bracket, or the outermost level.
#[derive(Default)]
struct Level {
    /// Tokens since the last comma that ends everything before it.
    tokens: usize,
    /// A comma inside a lambda's parameters ends nothing.
    lambda: bool,
}

/// Other brackets of a kind at which the parser is not asked: it would say the same at length.
const FAR_TOO_MANY_BRACKETS: usize = 2_500;

/// Whether brackets nest so deep that the parser must not run: it follows format specifications within each other, and
/// lists that are assigned to, without growing its stack.
pub(super) fn brackets_exhaust_the_parser(text: &str) -> bool {
    let exceed = |brackets: &(u8, u8, usize)| looks_deeper(text, *brackets) && is_deeper(text, *brackets);
    [(b'{', b'}', MAX_BRACKETS), (b'[', b']', FAR_TOO_MANY_BRACKETS), (b'(', b')', FAR_TOO_MANY_BRACKETS)]
        .iter()
        .any(exceed)
}

/// Whether bytes that look like brackets of a kind nest deeper than this.
fn looks_deeper(text: &str, (open, close, limit): (u8, u8, usize)) -> bool {
    let mut depth = 0usize;
    memchr2_iter(open, close, text.as_bytes()).any(|at| {
        depth = if text.as_bytes()[at] == open { depth + 1 } else { depth.saturating_sub(1) };
        depth > limit
    })
}

/// Whether brackets of a kind nest deeper than this. Most of what looks like it is text: only tokens count.
fn is_deeper(text: &str, (open, _, limit): (u8, u8, usize)) -> bool {
    let kinds = match open {
        b'{' => (TokenKind::Lbrace, TokenKind::Rbrace),
        b'[' => (TokenKind::Lsqb, TokenKind::Rsqb),
        _ => (TokenKind::Lpar, TokenKind::Rpar),
    };
    let mut lexer = lexer::lex(text, Mode::Module);
    let mut depth = 0usize;
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return false,
            kind if kind == kinds.0 => depth += 1,
            kind if kind == kinds.1 => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
}

/// Stack that the parser may take for a lambda in the parameters of another, generously.
const STACK_A_LAMBDA: usize = 8 * 1024;
/// So many fit onto any stack.
const FEW_LAMBDAS: usize = 16;

/// Parses a file whose lambdas may nest in each other's parameters: the parser follows them without growing its stack.
/// Nothing, where they nest deeper than any tree.
pub(super) fn with_room_for_lambdas<T>(text: &str, parse: impl FnOnce() -> T) -> Option<T> {
    match depth_of_lambdas(text) {
        0..=FEW_LAMBDAS => Some(parse()),
        depth if depth <= MAX_DEPTH => Some(stacker::grow(depth * STACK_A_LAMBDA, parse)),
        _ => None,
    }
}

/// How many lambdas are open at most whose parameters have not ended, or no fewer.
fn depth_of_lambdas(text: &str) -> usize {
    if memmem::find_iter(text.as_bytes(), b"lambda").nth(FEW_LAMBDAS).is_none() {
        return 0;
    }
    let mut lexer = lexer::lex(text, Mode::Module);
    // Open lambdas by the number of brackets around them.
    let (mut open, mut brackets, mut deepest) = (vec![], 0usize, 0);
    loop {
        match lexer.next_token() {
            TokenKind::Lambda => {
                open.push(brackets);
                deepest = deepest.max(open.len());
            }
            TokenKind::Colon if open.last() == Some(&brackets) => drop(open.pop()),
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => brackets += 1,
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => {
                brackets = brackets.saturating_sub(1);
                open.truncate(open.partition_point(|around| *around <= brackets));
            }
            TokenKind::Newline => open.clear(),
            TokenKind::EndOfFile => return deepest,
            _ => {}
        }
    }
}

/// The error of a file that is too much for CPython's parser.
pub(super) fn too_complex() -> PythonError {
    PythonError::new("MemoryError", "Parser stack overflowed - Python source too complex to parse", None)
}

/// The error of brackets beyond the limit.
pub(super) fn too_many_brackets() -> PythonError {
    PythonError::new("SyntaxError", "too many nested parentheses", None)
}

/// Measures a file.
pub(super) fn measure(tokens: &Tokens) -> Nesting {
    let mut levels = vec![Level::default()];
    let (mut outer, mut depth, mut indents, mut blocks, mut fstrings) = (0, 0, 0usize, 0, 0usize);
    let mut interpolated = false;
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
                interpolated = true;
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
    Nesting { depth: depth.max(open) + 2 * blocks, error, interpolated }
}
