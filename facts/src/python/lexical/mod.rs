//! The tokens of CPython's tokenizer and where it gives up, for files that are refused.
//!
//! CPython reads a refused file to its end and prefers what its tokenizer finds there to what the parser said. The
//! parser behind the facts goes on where CPython's tokenizer stops, so its own errors can't tell; this module walks the
//! text by the rules of `Parser/lexer/lexer.c`.

mod number;
mod string;
mod token;

use ruff_text_size::{TextRange, TextSize};
use unicode_ident::{is_xid_continue, is_xid_start};

pub(super) use self::string::MAX_FIELDS;
use self::string::{Interpolated, excluding_prefixes, is_prefix};
pub(super) use self::token::{Kind, Token};
use super::{PythonError, Version};

/// How the tokenizer begins about a character that no name has.
pub(super) const INVALID_CHARACTER: &str = "invalid character";

/// What it says of an indentation that none of the lines around has.
pub(super) const UNMATCHED_UNINDENT: &str = "unindent does not match any outer indentation level";

/// What the tokenizer finds in a text.
pub(super) struct Lexical {
    /// Its first error.
    pub(super) error: Option<(TextRange, PythonError)>,
    /// Where the token at fault begins, if this is an error only where the parser comes to it: behind another error it
    /// ends the reading silently.
    pub(super) quiet: Option<TextSize>,
    /// The innermost bracket that is open where the reading ends.
    pub(super) unclosed: Option<(char, TextSize)>,
    /// Whether the reading ends inside an f-string.
    pub(super) in_string: bool,
    /// The tokens in front of the error, or all of them.
    pub(super) tokens: Vec<Token>,
}

/// Walks a text.
pub(super) fn check(text: &str, version: Version) -> Lexical {
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        text,
        version,
        at: 0,
        brackets: vec![],
        strings: vec![],
        indents: vec![(0, 0)],
        tokens: vec![],
        literal: None,
        named: false,
    };
    let found = scanner.run().err();
    let size = |at: usize| TextSize::new(text.floor_char_boundary(at) as u32);
    let unclosed = scanner.brackets.last().map(|bracket| (char::from(bracket.kind), size(bracket.at)));
    let quiet = found.as_ref().and_then(|found| found.quiet).map(size);
    let error = found.map(|found| {
        let range = TextRange::new(size(found.start.min(found.end)), size(found.end));
        (range, PythonError::new(found.error_type, found.message, None))
    });
    Lexical { error, quiet, unclosed, in_string: !scanner.strings.is_empty(), tokens: scanner.tokens }
}

struct Found {
    start: usize,
    end: usize,
    error_type: &'static str,
    message: String,
    /// Where the token at fault begins, if the error is quiet.
    quiet: Option<usize>,
}

impl Found {
    fn new(start: usize, end: usize, message: impl Into<String>) -> Self {
        Self { start, end, error_type: "SyntaxError", message: message.into(), quiet: None }
    }
}

type Scan = Result<(), Found>;

struct Bracket {
    kind: u8,
    at: usize,
}

struct Scanner<'t> {
    bytes: &'t [u8],
    text: &'t str,
    version: Version,
    at: usize,
    brackets: Vec<Bracket>,
    strings: Vec<Interpolated>,
    /// Columns of the open levels, with tabs to eight and with tabs as one.
    indents: Vec<(usize, usize)>,
    tokens: Vec<Token>,
    /// Where the stretch of an f-string's literal text begins that is being read.
    literal: Option<usize>,
    /// Whether the name of a character has begun in it (`\N{`), which takes the next closing brace.
    named: bool,
}

impl Scanner<'_> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn line(&self, at: usize) -> usize {
        memchr::memchr_iter(b'\n', &self.bytes[..at.min(self.bytes.len())]).count() + 1
    }

    fn end_of_line(&self) -> usize {
        memchr::memchr(b'\n', &self.bytes[self.at..]).map_or(self.bytes.len(), |length| self.at + length)
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let level = self.brackets.len() as u32;
        self.tokens.push(Token { kind, start: start as u32, end: self.at as u32, level });
    }

    /// Whether a logical line has begun that has not ended.
    fn in_line(&self) -> bool {
        let last = self.tokens.last().map(|token| token.kind);
        last.is_some_and(|kind| !matches!(kind, Kind::NEWLINE | Kind::INDENT | Kind::DEDENT))
    }

    /// An error at the last character that was read.
    fn here(&self, message: impl Into<String>) -> Found {
        let read = &self.text[..self.text.floor_char_boundary(self.at)];
        let start = read.char_indices().next_back().map_or(0, |(start, _)| start);
        Found::new(start, self.at, message)
    }

    fn run(&mut self) -> Scan {
        let mut line_start = true;
        // Where the comment begins that ends the line: the end of the line begins there too.
        let mut comment = None;
        while self.at < self.bytes.len() {
            if self.in_text() {
                self.interpolated_text()?;
                continue;
            }
            if line_start && self.brackets.is_empty() && self.strings.is_empty() {
                self.indentation()?;
            }
            line_start = false;
            if self.at >= self.bytes.len() {
                break;
            }
            match self.peek() {
                b'\n' => {
                    self.at += 1;
                    line_start = true;
                    if self.brackets.is_empty() && self.strings.is_empty() && self.in_line() {
                        self.push(Kind::NEWLINE, comment.unwrap_or(self.at - 1));
                    }
                    comment = None;
                }
                b' ' | b'\t' | b'\x0c' => self.at += 1,
                b'#' => {
                    comment = Some(self.at);
                    self.at = self.end_of_line();
                }
                b'\\' => self.continuation()?,
                b'0'..=b'9' => {
                    let start = self.at;
                    self.number()?;
                    self.push(Kind::NUMBER, start);
                }
                b'.' if self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit) => {
                    let start = self.at;
                    self.at += 1;
                    self.fraction()?;
                    self.push(Kind::NUMBER, start);
                }
                b'\'' | b'"' => self.string(self.at)?,
                b'(' | b'[' | b'{' => {
                    self.brackets.push(Bracket { kind: self.peek(), at: self.at });
                    self.operator(1);
                }
                b')' | b']' | b'}' => self.close()?,
                b':' if self.ends_expression() => {
                    if let Some(field) = self.strings.last_mut().and_then(|string| string.fields.last_mut()) {
                        field.1 = true;
                    }
                    self.operator(1);
                }
                b'_' | b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => self.name()?,
                byte if byte.is_ascii_control() => {
                    self.at += 1;
                    return Err(self.here(format!("invalid non-printable character U+{byte:04X}")));
                }
                _ => self.operator(3),
            }
        }
        // In a field it is the brace that is not closed.
        if let Some(string) = self.strings.last().filter(|_| self.in_text()) {
            return Err(self.unterminated(string.start, string.triple, true));
        }
        if self.brackets.is_empty() {
            if self.in_line() {
                self.push(Kind::NEWLINE, comment.unwrap_or(self.at));
            }
            for _ in 1..self.indents.len() {
                self.push(Kind::DEDENT, self.at);
            }
            self.push(Kind::END, self.at);
        }
        Ok(())
    }

    /// An operator of no more than so many characters.
    fn operator(&mut self, length: usize) {
        let rest = &self.bytes[self.at..];
        let (kind, length) = token::operator(&rest[..length.min(rest.len())]);
        self.at += length;
        self.push(kind, self.at - length);
    }

    fn indentation(&mut self) -> Scan {
        let (mut column, mut alternative, mut continued) = (0, 0, 0);
        loop {
            match self.peek() {
                // The first line that goes on has the indentation, unless that is none.
                b'\\' => {
                    continued = if continued == 0 { column } else { continued };
                    self.continuation()?;
                    continue;
                }
                b' ' => (column, alternative) = (column + 1, alternative + 1),
                b'\t' => (column, alternative) = ((column / 8 + 1) * 8, alternative + 1),
                b'\x0c' => (column, alternative) = (0, 0),
                _ => break,
            }
            self.at += 1;
        }
        if matches!(self.peek(), b'#' | b'\n') || self.at == self.bytes.len() {
            return Ok(());
        }
        if continued > 0 {
            (column, alternative) = (continued, continued);
        }
        let tabs = |scanner: &Self| {
            let start = scanner.text[..scanner.at].rfind('\n').map_or(0, |newline| newline + 1);
            let message = "inconsistent use of tabs and spaces in indentation";
            Found { error_type: "TabError", quiet: Some(scanner.at), ..Found::new(start, scanner.at, message) }
        };
        let (top, alternative_top) = *self.indents.last().unwrap_or(&(0, 0));
        if column > top {
            if alternative <= alternative_top {
                return Err(tabs(self));
            }
            self.indents.push((column, alternative));
            self.push(Kind::INDENT, self.at);
            return Ok(());
        }
        let before = self.indents.len();
        while self.indents.len() > 1 && self.indents.last().is_some_and(|(open, _)| column < *open) {
            self.indents.pop();
        }
        let (top, alternative_top) = *self.indents.last().unwrap_or(&(0, 0));
        if column != top {
            let end = self.end_of_line();
            return Err(Found {
                error_type: "IndentationError",
                quiet: Some(self.at),
                ..Found::new(end, end, UNMATCHED_UNINDENT)
            });
        }
        if alternative != alternative_top {
            return Err(tabs(self));
        }
        for _ in self.indents.len()..before {
            self.push(Kind::DEDENT, self.at);
        }
        Ok(())
    }

    fn continuation(&mut self) -> Scan {
        let quiet = Some(self.at);
        self.at += 1;
        if self.at == self.bytes.len() || (self.peek() == b'\n' && self.at + 1 == self.bytes.len()) {
            return Err(Found { quiet, ..Found::new(self.at, self.at, "unexpected EOF while parsing") });
        }
        let newline = self.peek() == b'\n';
        self.at += self.text[self.at..].chars().next().map_or(0, char::len_utf8);
        let error = self.here("unexpected character after line continuation character");
        if newline { Ok(()) } else { Err(Found { quiet, ..error }) }
    }

    fn close(&mut self) -> Scan {
        let closing = self.peek();
        self.at += 1;
        let floor = self.strings.last().map_or(0, |string| string.outer);
        let Some(bracket) = self.brackets.pop_if(|_| true).filter(|_| self.brackets.len() >= floor) else {
            return Err(self.here(format!("unmatched '{}'", char::from(closing))));
        };
        if !matches!((bracket.kind, closing), (b'(', b')') | (b'[', b']') | (b'{', b'}')) {
            let (opening, closing) = (char::from(bracket.kind), char::from(closing));
            let field = self.strings.last().and_then(|string| string.fields.last());
            if field.is_some_and(|(open, _)| *open == self.brackets.len() + 1) {
                let kind = self.kind_of_string();
                return Err(self.here(format!("{kind}: unmatched '{closing}'")));
            }
            let mut message = format!("closing parenthesis '{closing}' does not match opening parenthesis '{opening}'");
            let opened = self.line(bracket.at);
            if opened != self.line(self.at - 1) {
                message.push_str(&format!(" on line {opened}"));
            }
            return Err(self.here(message));
        }
        let open = self.brackets.len();
        if let Some(string) = self.strings.last_mut() {
            string.fields.pop_if(|(inside, _)| *inside > open);
        }
        self.at -= 1;
        self.operator(1);
        Ok(())
    }

    fn name(&mut self) -> Scan {
        let start = self.at;
        while self.peek() == b'_' || self.peek().is_ascii_alphanumeric() || self.peek() >= 0x80 {
            self.at += 1;
        }
        if matches!(self.peek(), b'\'' | b'"') && is_prefix(&self.text[start..self.at], self.version) {
            return self.string(start);
        }
        if matches!(self.peek(), b'\'' | b'"')
            && let Some(message) = excluding_prefixes(&self.text[start..self.at], self.version)
        {
            return Err(Found::new(start, self.at, message));
        }
        for (index, c) in self.text[start..self.at].char_indices() {
            let fine = c == '_' || if index == 0 { is_xid_start(c) } else { is_xid_continue(c) };
            if !fine {
                let code = u32::from(c);
                let message = match is_printable(c) {
                    true => format!("{INVALID_CHARACTER} '{c}' (U+{code:04X})"),
                    false => format!("invalid non-printable character U+{code:04X}"),
                };
                self.at = start + index + c.len_utf8();
                return Err(self.here(message));
            }
        }
        self.push(Kind::of_name(&self.text[start..self.at]), start);
        Ok(())
    }
}

/// `str.isprintable`, for what can't be in a name.
fn is_printable(c: char) -> bool {
    let format = matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}')
        || matches!(c, '\u{e0001}'..='\u{e007f}' | '\u{f0000}'..);
    !c.is_control() && !c.is_whitespace() && !format
}
