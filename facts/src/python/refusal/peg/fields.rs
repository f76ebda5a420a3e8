//! F-strings of 3.11, which are tokens like other strings: what is in their fields is found and parsed by itself, in
//! parentheses (`fstring_find_expr` in `Parser/string_parser.c`).

use super::machine::{Machine, Outcome};
use super::strings::escape_error;
use super::{Start, says};

/// Brackets that may be open in a field.
const MAX_BRACKETS: usize = 200;

/// An f-string's text that is being read.
#[derive(Clone, Copy)]
struct Text<'t> {
    /// The token's text, quotes and prefix included.
    token: &'t str,
    /// Where the text ends in it.
    end: usize,
    raw: bool,
    /// The number of the line in which the token begins.
    line: usize,
}

impl Text<'_> {
    fn byte(self, at: usize) -> u8 {
        if at < self.end { self.token.as_bytes()[at] } else { 0 }
    }
}

impl Machine<'_> {
    /// Reads the f-string that is a token; its body lies at `body`.
    pub(super) fn fields(&mut self, token: usize, body: std::ops::Range<usize>, raw: bool) -> Outcome<()> {
        let text = Text { token: self.text_of(token), end: body.end, raw, line: self.line(token) };
        self.stretches(text, body.start, 0).map(drop)
    }

    /// Literal text and fields, up to the end or, within a specification, to a brace. Returns where that is.
    fn stretches(&mut self, text: Text<'_>, mut at: usize, level: usize) -> Outcome<usize> {
        loop {
            let (literal_end, next, goes_on) = self.literal_text(text, at, level)?;
            let literal = text.token.get(at..literal_end).unwrap_or_default();
            if let Some(message) = escape_error(literal).filter(|_| !text.raw) {
                self.fail(format!("(unicode error) {message}"))?;
            }
            at = next;
            if goes_on {
                continue;
            }
            if at >= text.end || text.byte(at) == b'}' {
                break;
            }
            at = self.field(text, at, level)?;
        }
        if level > 0 && text.byte(at) != b'}' {
            self.fail("f-string: expecting '}'")?;
        }
        Ok(at)
    }

    /// Where literal text ends, where reading goes on, and whether that is behind a brace that stands for itself.
    fn literal_text(&mut self, text: Text<'_>, mut at: usize, level: usize) -> Outcome<(usize, usize, bool)> {
        while at < text.end {
            let mut byte = text.byte(at);
            at += 1;
            if !text.raw && byte == b'\\' && at < text.end {
                byte = text.byte(at);
                at += 1;
                if byte == b'N' {
                    let named = at < text.end && text.byte(at) == b'{';
                    at += usize::from(at < text.end);
                    while named && at < text.end {
                        at += 1;
                        if text.byte(at - 1) == b'}' {
                            break;
                        }
                    }
                    continue;
                }
            }
            if matches!(byte, b'{' | b'}') {
                if level == 0 {
                    if at < text.end && text.byte(at) == byte {
                        return Ok((at, at + 1, true));
                    }
                    if byte == b'}' {
                        self.fail("f-string: single '}' is not allowed")?;
                    }
                }
                return Ok((at - 1, at - 1, false));
            }
        }
        Ok((text.end, text.end, false))
    }

    /// A field, whose brace is at hand. Returns where it ends.
    fn field(&mut self, text: Text<'_>, open: usize, level: usize) -> Outcome<usize> {
        const EXPECTING: &str = "f-string: expecting '}'";
        if level >= 2 {
            self.fail("f-string: expressions nested too deeply")?;
        }
        let start = open + 1;
        let mut at = self.expression_end(text, start)?;
        if at >= text.end {
            self.fail(EXPECTING)?;
        }
        self.expression(text, start, at)?;
        if text.byte(at) == b'=' {
            at += 1;
            while text.byte(at).is_ascii_whitespace() || text.byte(at) == b'\x0b' {
                at += 1;
            }
        }
        if text.byte(at) == b'!' {
            at += 1;
            if at >= text.end {
                self.fail(EXPECTING)?;
            }
            if !matches!(text.byte(at), b's' | b'r' | b'a') {
                self.fail("f-string: invalid conversion character: expected 's', 'r', or 'a'")?;
            }
            at += 1;
        }
        if text.byte(at) == b':' {
            at += 1;
            if at >= text.end {
                self.fail(EXPECTING)?;
            }
            at = self.stretches(text, at, level + 1)?;
        }
        if text.byte(at) != b'}' {
            self.fail(EXPECTING)?;
        }
        Ok(at + 1)
    }

    /// Where a field's expression ends.
    fn expression_end(&mut self, text: Text<'_>, start: usize) -> Outcome<usize> {
        let mut at = start;
        let mut brackets: Vec<u8> = vec![];
        // The quote of the string within that is open, and whether there are three.
        let mut quote: Option<(u8, bool)> = None;
        while at < text.end {
            let byte = text.byte(at);
            let three = text.byte(at + 1) == byte && text.byte(at + 2) == byte;
            if byte == b'\\' {
                self.fail("f-string expression part cannot include a backslash")?;
            }
            match (quote, byte) {
                (Some((open, triple)), _) if byte == open && (!triple || three) => {
                    at += if triple { 2 } else { 0 };
                    quote = None;
                }
                (Some(_), _) => {}
                (None, b'\'' | b'"') => {
                    at += if three { 2 } else { 0 };
                    quote = Some((byte, three));
                }
                (None, b'[' | b'{' | b'(') => {
                    if brackets.len() >= MAX_BRACKETS {
                        self.fail("f-string: too many nested parenthesis")?;
                    }
                    brackets.push(byte);
                }
                (None, b'#') => {
                    self.fail("f-string expression part cannot include '#'")?;
                }
                (None, b'!' | b':' | b'}' | b'=' | b'>' | b'<') if brackets.is_empty() => {
                    if matches!(byte, b'!' | b'=' | b'<' | b'>') && text.byte(at + 1) == b'=' {
                        at += 1;
                    } else if !matches!(byte, b'<' | b'>') {
                        break;
                    }
                }
                (None, b']' | b'}' | b')') => {
                    let closing = char::from(byte);
                    match brackets.pop() {
                        Some(b'(') if byte == b')' => {}
                        Some(b'[') if byte == b']' => {}
                        Some(b'{') if byte == b'}' => {}
                        None => {
                            self.fail(format!("f-string: unmatched '{closing}'"))?;
                        }
                        Some(opening) => {
                            let opening = char::from(opening);
                            self.fail(format!(
                                "f-string: closing parenthesis '{closing}' does not match opening parenthesis '{opening}'"
                            ))?;
                        }
                    }
                }
                _ => {}
            }
            at += 1;
        }
        if quote.is_some() {
            self.fail("f-string: unterminated string")?;
        }
        if let Some(opening) = brackets.pop() {
            self.fail(format!("f-string: unmatched '{}'", char::from(opening)))?;
        }
        Ok(at)
    }

    /// Parses an expression, in parentheses. Its columns are those in this text of its own.
    fn expression(&mut self, text: Text<'_>, start: usize, end: usize) -> Outcome<()> {
        let expression = text.token.get(start..end).unwrap_or_default();
        if expression.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\x0c')) {
            let behind = text.byte(end);
            self.fail(match behind {
                b'!' | b':' | b'=' => format!("f-string: expression required before '{}'", char::from(behind)),
                _ => "f-string: empty expression not allowed".to_owned(),
            })?;
        }
        let own = format!("({expression})");
        let lexical = crate::python::lexical::check(&own, self.version);
        let Some((range, error)) = says(&own, self.version, &lexical, None, Start::Field) else { return Ok(()) };
        let before = &own[..usize::from(range.start()).min(own.len())];
        let newlines = |text: &str| memchr::memchr_iter(b'\n', text.as_bytes()).count();
        let line = text.line + newlines(&text.token[..start - 1]) + newlines(before);
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        self.fail_in_line(line, column, error)
    }
}
