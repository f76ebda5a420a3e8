//! Where CPython's tokenizer gives up, for files that are refused.
//!
//! CPython reads a refused file to its end and prefers what its tokenizer finds there to what the parser said. The
//! parser behind the facts goes on where CPython's tokenizer stops, so its own errors can't tell; this module walks the
//! text by the rules of `Parser/lexer/lexer.c`.

use ruff_text_size::{TextRange, TextSize};
use unicode_ident::{is_xid_continue, is_xid_start};

use super::{PythonError, Version};

/// What the tokenizer finds in a text.
pub(super) struct Lexical {
    /// Its first error.
    pub(super) error: Option<(TextRange, PythonError)>,
    /// Where the token at fault begins, if this is an error only where the parser comes to it: behind another error it
    /// ends the reading silently.
    pub(super) quiet: Option<TextSize>,
    /// The innermost bracket that is open where the reading ends.
    pub(super) unclosed: Option<(char, TextSize)>,
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
    };
    let found = scanner.run().err();
    let size = |at: usize| TextSize::new(text.floor_char_boundary(at) as u32);
    let unclosed = scanner.brackets.last().map(|bracket| (char::from(bracket.kind), size(bracket.at)));
    let quiet = found.as_ref().and_then(|found| found.quiet).map(size);
    let error = found.map(|found| {
        let range = TextRange::new(size(found.start.min(found.end)), size(found.end));
        (range, PythonError::new(found.error_type, found.message, None))
    });
    Lexical { error, quiet, unclosed }
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
    line: usize,
}

/// An f-string or t-string around the place at hand.
struct Interpolated {
    start: usize,
    quote: u8,
    triple: bool,
    raw: bool,
    /// How many brackets were open before it.
    outer: usize,
    /// How many brackets are open in each field around, its brace included, and whether its specification has begun.
    fields: Vec<(usize, bool)>,
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

    /// An error at the last character that was read.
    fn here(&self, message: impl Into<String>) -> Found {
        let read = &self.text[..self.text.floor_char_boundary(self.at)];
        let start = read.char_indices().next_back().map_or(0, |(start, _)| start);
        Found::new(start, self.at, message)
    }

    fn run(&mut self) -> Scan {
        let mut line_start = true;
        while self.at < self.bytes.len() {
            if self.in_text() {
                self.interpolated_text()?;
                continue;
            }
            if line_start && self.brackets.is_empty() && self.strings.is_empty() {
                self.indentation()?;
            }
            line_start = false;
            match self.peek() {
                b'\n' => {
                    self.at += 1;
                    line_start = true;
                }
                b' ' | b'\t' | b'\x0c' => self.at += 1,
                b'#' => self.at = self.end_of_line(),
                b'\\' => self.continuation()?,
                b'0'..=b'9' => self.number()?,
                b'.' if self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit) => {
                    self.at += 1;
                    self.fraction()?;
                }
                b'\'' | b'"' => self.string(self.at)?,
                b'(' | b'[' | b'{' => {
                    self.brackets.push(Bracket { kind: self.peek(), at: self.at, line: self.line(self.at) });
                    self.at += 1;
                }
                b')' | b']' | b'}' => self.close()?,
                b':' if self.ends_expression() => {
                    if let Some(field) = self.strings.last_mut().and_then(|string| string.fields.last_mut()) {
                        field.1 = true;
                    }
                    self.at += 1;
                }
                b'_' | b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => self.name()?,
                byte if byte.is_ascii_control() => {
                    self.at += 1;
                    return Err(self.here(format!("invalid non-printable character U+{byte:04X}")));
                }
                _ => self.at += 1,
            }
        }
        match self.strings.last() {
            Some(string) => Err(self.unterminated(string.start, string.triple, true)),
            None => Ok(()),
        }
    }

    /// Whether the place at hand is literal text of an f-string: outside its fields, or in a specification.
    fn in_text(&self) -> bool {
        self.strings.last().is_some_and(|string| match string.fields.last() {
            None => true,
            Some((open, specification)) => *specification && self.brackets.len() == *open,
        })
    }

    /// Whether a colon ends a field's expression.
    fn ends_expression(&self) -> bool {
        let field = self.strings.last().and_then(|string| string.fields.last());
        field.is_some_and(|(open, specification)| !specification && self.brackets.len() == *open)
    }

    fn indentation(&mut self) -> Scan {
        let (mut column, mut alternative) = (0, 0);
        loop {
            match self.peek() {
                b' ' => (column, alternative) = (column + 1, alternative + 1),
                b'\t' => (column, alternative) = ((column / 8 + 1) * 8, alternative + 1),
                b'\x0c' => (column, alternative) = (0, 0),
                _ => break,
            }
            self.at += 1;
        }
        if matches!(self.peek(), b'#' | b'\n' | b'\\') || self.at == self.bytes.len() {
            return Ok(());
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
            return Ok(());
        }
        while self.indents.len() > 1 && self.indents.last().is_some_and(|(open, _)| column < *open) {
            self.indents.pop();
        }
        let (top, alternative_top) = *self.indents.last().unwrap_or(&(0, 0));
        if column != top {
            let message = "unindent does not match any outer indentation level";
            let end = self.end_of_line();
            return Err(Found {
                error_type: "IndentationError",
                quiet: Some(self.at),
                ..Found::new(end, end, message)
            });
        }
        if alternative == alternative_top { Ok(()) } else { Err(tabs(self)) }
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
                return Err(self.here(format!("f-string: unmatched '{closing}'")));
            }
            let mut message = format!("closing parenthesis '{closing}' does not match opening parenthesis '{opening}'");
            if bracket.line != self.line(self.at - 1) {
                message.push_str(&format!(" on line {}", bracket.line));
            }
            return Err(self.here(message));
        }
        let open = self.brackets.len();
        if let Some(string) = self.strings.last_mut() {
            string.fields.pop_if(|(inside, _)| *inside > open);
        }
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
        for (index, c) in self.text[start..self.at].char_indices() {
            let fine = c == '_' || if index == 0 { is_xid_start(c) } else { is_xid_continue(c) };
            if !fine {
                let code = u32::from(c);
                let message = match is_printable(c) {
                    true => format!("invalid character '{c}' (U+{code:04X})"),
                    false => format!("invalid non-printable character U+{code:04X}"),
                };
                self.at = start + index + c.len_utf8();
                return Err(self.here(message));
            }
        }
        Ok(())
    }

    /// A string whose prefix starts at `start`; its quote is at hand.
    fn string(&mut self, start: usize) -> Scan {
        let quote = self.peek();
        let triple = self.bytes[self.at..].starts_with(&[quote; 3]);
        let prefix = self.text[start..self.at].to_ascii_lowercase();
        self.at += if triple { 3 } else { 1 };
        if self.version >= Version::Py312 && prefix.contains(['f', 't']) {
            let (outer, raw) = (self.brackets.len(), prefix.contains('r'));
            self.strings.push(Interpolated { start, quote, triple, raw, outer, fields: vec![] });
            return Ok(());
        }
        while self.at < self.bytes.len() {
            match self.peek() {
                b'\\' => self.at += 2,
                b'\n' if !triple => return Err(self.unterminated(start, triple, false)),
                byte if byte == quote && (!triple || self.bytes[self.at..].starts_with(&[quote; 3])) => {
                    self.at += if triple { 3 } else { 1 };
                    return Ok(());
                }
                _ => self.at += 1,
            }
        }
        self.at = self.bytes.len();
        Err(self.unterminated(start, triple, false))
    }

    fn unterminated(&self, start: usize, triple: bool, interpolated: bool) -> Found {
        if !interpolated && let Some(string) = self.strings.last() {
            let quote = self.bytes[start..].iter().find(|byte| matches!(byte, b'\'' | b'"'));
            if string.triple == triple && quote == Some(&string.quote) {
                return Found::new(start, self.at, "f-string: expecting '}'");
            }
        }
        let at_end = self.at >= self.bytes.len() && self.bytes.last() == Some(&b'\n');
        let line = self.line(self.at) - usize::from(at_end);
        let kind = match (triple, interpolated) {
            (true, true) => "triple-quoted f-string",
            (true, false) => "triple-quoted string",
            (false, true) => "f-string",
            (false, false) => "string",
        };
        let message = format!("unterminated {kind} literal (detected at line {line})");
        Found::new(start, start + 1, message)
    }

    /// Literal text of an f-string, up to what ends it.
    fn interpolated_text(&mut self) -> Scan {
        let open = self.brackets.len();
        let Some(string) = self.strings.last_mut() else { return Ok(()) };
        let specification = !string.fields.is_empty();
        let (start, quote, triple, raw) = (string.start, string.quote, string.triple, string.raw);
        let twice = self.bytes.get(self.at + 1) == self.bytes.get(self.at);
        match self.bytes[self.at] {
            b'\\' => {
                let next = self.bytes.get(self.at + 1).copied();
                let name = !raw && next == Some(b'N') && self.bytes.get(self.at + 2) == Some(&b'{');
                let close = memchr::memchr(b'}', &self.bytes[self.at..]).filter(|_| name);
                self.at += match (next, close) {
                    (_, Some(length)) => length + 1,
                    (Some(b'{' | b'}'), None) => 1,
                    _ => 2,
                };
            }
            b'{' if twice && !specification => self.at += 2,
            b'{' => {
                string.fields.push((open + 1, false));
                self.brackets.push(Bracket { kind: b'{', at: self.at, line: self.line(self.at) });
                self.at += 1;
            }
            b'}' if specification => self.close()?,
            b'}' if twice => self.at += 2,
            b'}' => {
                self.at += 1;
                return Err(self.here("f-string: single '}' is not allowed"));
            }
            b'\n' if !triple => return Err(self.unterminated(start, triple, true)),
            byte if byte == quote && (!triple || self.bytes[self.at..].starts_with(&[quote; 3])) => {
                let outer = string.outer;
                self.brackets.truncate(outer);
                self.strings.pop();
                self.at += if triple { 3 } else { 1 };
            }
            _ => self.at += 1,
        }
        Ok(())
    }

    fn digits(&mut self, valid: fn(&u8) -> bool) {
        while valid(&self.peek()) {
            self.at += 1;
        }
    }

    /// Digits with single underscores between them.
    fn decimal_tail(&mut self) -> Scan {
        loop {
            self.digits(u8::is_ascii_digit);
            if self.peek() != b'_' {
                return Ok(());
            }
            self.at += 1;
            if !self.peek().is_ascii_digit() {
                return Err(self.here("invalid decimal literal"));
            }
        }
    }

    fn number(&mut self) -> Scan {
        if self.peek() != b'0' {
            self.decimal_tail()?;
            return self.after_integer();
        }
        let start = self.at;
        self.at += 1;
        let radix = match self.peek() {
            b'x' | b'X' => Some(("hexadecimal", u8::is_ascii_hexdigit as fn(&u8) -> bool)),
            b'o' | b'O' => Some(("octal", (|byte| matches!(byte, b'0'..=b'7')) as fn(&u8) -> bool)),
            b'b' | b'B' => Some(("binary", (|byte| matches!(byte, b'0' | b'1')) as fn(&u8) -> bool)),
            _ => None,
        };
        let Some((kind, valid)) = radix else {
            // Zeros may lead, and be followed by other digits if it is no integer.
            loop {
                if self.peek() == b'_' {
                    self.at += 1;
                    if !self.peek().is_ascii_digit() {
                        return Err(self.here("invalid decimal literal"));
                    }
                }
                if self.peek() != b'0' {
                    break;
                }
                self.at += 1;
            }
            let zeros_end = self.at;
            let nonzero = self.peek().is_ascii_digit();
            if nonzero {
                self.decimal_tail()?;
            }
            if nonzero && !matches!(self.peek(), b'.' | b'e' | b'E' | b'j' | b'J') {
                let message = "leading zeros in decimal integer literals are not permitted; use an 0o prefix for octal \
                               integers";
                return Err(Found::new(start, zeros_end, message));
            }
            return self.after_integer();
        };
        self.at += 1;
        loop {
            if self.peek() == b'_' {
                self.at += 1;
            }
            if !valid(&self.peek()) {
                return Err(self.no_digit(kind));
            }
            self.digits(valid);
            if self.peek() != b'_' {
                break;
            }
        }
        if self.peek().is_ascii_digit() {
            return Err(self.no_digit(kind));
        }
        self.end_of_number(kind)
    }

    fn no_digit(&mut self, kind: &str) -> Found {
        let digit = char::from(self.peek());
        if digit.is_ascii_digit() {
            self.at += 1;
            return self.here(format!("invalid digit '{digit}' in {kind} literal"));
        }
        self.here(format!("invalid {kind} literal"))
    }

    fn after_integer(&mut self) -> Scan {
        if self.peek() == b'.' {
            self.at += 1;
            return self.fraction();
        }
        self.exponent()
    }

    /// What follows the point.
    fn fraction(&mut self) -> Scan {
        if self.peek().is_ascii_digit() {
            self.decimal_tail()?;
        }
        self.exponent()
    }

    fn exponent(&mut self) -> Scan {
        if matches!(self.peek(), b'e' | b'E') {
            let signed = matches!(self.bytes.get(self.at + 1), Some(b'+' | b'-'));
            let digit = self.bytes.get(self.at + 1 + usize::from(signed)).is_some_and(u8::is_ascii_digit);
            match (signed, digit) {
                (_, true) => {
                    self.at += 1 + usize::from(signed);
                    self.decimal_tail()?;
                }
                (true, false) => {
                    self.at += 2;
                    return Err(self.here("invalid decimal literal"));
                }
                (false, false) => return self.end_of_number("decimal"),
            }
        }
        if matches!(self.peek(), b'j' | b'J') {
            self.at += 1;
            return self.end_of_number("imaginary");
        }
        self.end_of_number("decimal")
    }

    /// A number may touch a keyword, and no other name.
    fn end_of_number(&mut self, kind: &str) -> Scan {
        const KEYWORDS: [&str; 8] = ["and", "else", "for", "if", "in", "is", "or", "not"];
        let rest = &self.text[self.at..];
        let touches = self.peek() == b'_' || self.peek().is_ascii_alphanumeric() || self.peek() >= 0x80;
        if !touches || KEYWORDS.iter().any(|keyword| rest.starts_with(keyword)) {
            return Ok(());
        }
        Err(self.here(format!("invalid {kind} literal")))
    }
}

/// Whether a name in front of a quote is a prefix of strings.
fn is_prefix(name: &str, version: Version) -> bool {
    let name = name.to_ascii_lowercase();
    let templates = version >= Version::Py314 && matches!(name.as_str(), "t" | "rt" | "tr");
    templates || matches!(name.as_str(), "r" | "b" | "u" | "f" | "rb" | "br" | "rf" | "fr")
}

/// `str.isprintable`, for what can't be in a name.
fn is_printable(c: char) -> bool {
    let format = matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}')
        || matches!(c, '\u{e0001}'..='\u{e007f}' | '\u{f0000}'..);
    !c.is_control() && !c.is_whitespace() && !format
}
