//! What is wrong with strings: with their escapes, and with those that stand side by side (`Parser/string_parser.c`,
//! `Parser/action_helpers.c`).

use ruff_python_parser::parse_expression;

use super::grammar::{Helper, Label};
use super::machine::{Halt, Machine, Outcome, Raised, Value};
use crate::python::Version;
use crate::python::lexical::Kind;

/// A string's token in parts.
struct Literal<'t> {
    bytes: bool,
    raw: bool,
    interpolated: bool,
    /// Where the body begins.
    start: usize,
    body: &'t str,
}

fn literal(text: &str) -> Literal<'_> {
    let quote = text.find(['\'', '"']).unwrap_or(text.len());
    let (prefix, quoted) = text.split_at(quote);
    let has = |letter: char| prefix.contains([letter, letter.to_ascii_uppercase()]);
    let width = if quoted.len() >= 6 && (quoted.starts_with("'''") || quoted.starts_with("\"\"\"")) { 3 } else { 1 };
    let body = quoted.get(width..quoted.len().saturating_sub(width)).unwrap_or_default();
    Literal { bytes: has('b'), raw: has('r'), interpolated: has('f'), start: quote + width, body }
}

impl Machine<'_> {
    pub(super) fn strings(&mut self, helper: Helper, first: Value, second: Value, start: usize) -> Outcome {
        match helper {
            Helper::String => self.string(first),
            Helper::Literals => self.literals(first, start),
            Helper::Concatenated => {
                let found = self.children(first).to_vec();
                self.mixed(&found)?;
                let joined = found.iter().any(|string| self.label(*string) == Some(Label::JoinedStr));
                Ok(Some(self.node(if joined { Label::JoinedStr } else { Label::Literal }, start, &[])))
            }
            Helper::Joined | Helper::Template => {
                let raw = self.begins_raw(self.span(first).0);
                for middle in self.children(second).to_vec() {
                    let Some(token) = middle.as_token().filter(|_| !raw) else { continue };
                    if let Some(message) = escape_error(self.text_of(token)) {
                        return self.undecodable(token, &message);
                    }
                }
                let label = if helper == Helper::Joined { Label::JoinedStr } else { Label::TemplateStr };
                Ok(Some(self.node(label, start, &[])))
            }
            Helper::Specification => match escape_error(self.text_of(self.span(first).0)) {
                // Since 3.14 escapes count unless the string is raw that the tokenizer has come to.
                Some(message) if self.version < Version::Py314 || !self.reads_raw() => {
                    let (start, end) = self.known(self.span(first).0, self.span(first).0);
                    let error_type = crate::python::refusal::NOWHERE;
                    self.stop(Halt::Raised(Raised { error_type, start, end, message }))
                }
                _ => Ok(Some(first)),
            },
            Helper::Conversion => {
                let (sign, name) = (self.known(self.span(first).0, self.span(first).0), self.span(second).0);
                if sign.1 != self.known(name, name).0 {
                    let word = if self.version >= Version::Py314 { "exclamation" } else { "exclamanation" };
                    let kind = self.kind_around(name);
                    let message = format!("{kind}: conversion type must come right after the {word} mark");
                    return self.fail_at(first, second, message);
                }
                // From 3.14 on, the letter is looked at as it is read.
                if self.version >= Version::Py314 { self.conversion(second) } else { Ok(Some(second)) }
            }
            _ => {
                self.conversion(first)?;
                Ok(Some(self.node(Label::JoinedStr, start, &[])))
            }
        }
    }

    /// The letter of a conversion.
    fn conversion(&mut self, letter: Value) -> Outcome {
        let Some(token) = letter.as_token() else { return Ok(Some(letter)) };
        let name = self.text_of(token);
        if matches!(name, "s" | "r" | "a") {
            return Ok(Some(letter));
        }
        let kind = self.kind_around(token);
        let message = format!("{kind}: invalid conversion character '{name}': expected 's', 'r', or 'a'");
        self.fail_at(letter, letter, message)
    }

    /// What the innermost string with fields around a token is called.
    fn kind_around(&self, token: usize) -> &'static str {
        let start = self.string_around(token).map(|start| self.tokens[start].kind);
        if start == Some(Kind::TSTRING_START) { "t-string" } else { "f-string" }
    }

    /// Whether a token begins a raw string.
    fn begins_raw(&self, token: usize) -> bool {
        self.text_of(token).contains(['r', 'R'])
    }

    /// Whether the tokenizer is in a raw string.
    fn reads_raw(&self) -> bool {
        self.string_around(self.fill).is_some_and(|start| self.begins_raw(start))
    }

    /// A string that can't be decoded.
    fn undecodable(&mut self, token: usize, message: &str) -> Outcome {
        let message = format!("(unicode error) {message}");
        match self.points_at_strings() {
            true => self.fail_at(Value::token(token), Value::token(token), message),
            false => self.fail(message),
        }
    }

    fn string(&mut self, value: Value) -> Outcome {
        let token = self.span(value).0;
        let literal = literal(self.text_of(token));
        if literal.bytes {
            if !literal.body.is_ascii() {
                return self.fail_at(value, value, "bytes can only contain ASCII literal characters");
            }
            if let Some(at) = bytes_error(literal.body).filter(|_| !literal.raw) {
                let message = format!("(value error) invalid \\x escape at position {at}");
                return if self.points_at_strings() { self.fail_at(value, value, message) } else { self.fail(message) };
            }
        } else if let Some(message) = escape_error(literal.body).filter(|_| !literal.raw) {
            return self.undecodable(token, &message);
        }
        Ok(Some(value))
    }

    /// Strings side by side, before 3.12.
    fn literals(&mut self, strings: Value, start: usize) -> Outcome {
        let found = self.children(strings).to_vec();
        let (mut joined, mut bytes) = (false, None);
        for string in found {
            let token = self.span(string).0;
            let literal = literal(self.text_of(token));
            // An f-string is read when it is joined with what is in front of it.
            if !literal.interpolated {
                self.string(string)?;
            }
            if bytes.is_some_and(|bytes| bytes != literal.bytes) {
                return self.fail("cannot mix bytes and nonbytes literals");
            }
            bytes = Some(literal.bytes);
            if literal.interpolated {
                let body = literal.start..literal.start + literal.body.len();
                self.fields(token, body, literal.raw)?;
                joined = true;
            }
        }
        Ok(Some(self.node(if joined { Label::JoinedStr } else { Label::Literal }, start, &[])))
    }

    fn mixed(&mut self, strings: &[Value]) -> Outcome<()> {
        let bytes = |machine: &Self, value: &Value| {
            let token = value.as_token().filter(|token| machine.tokens[*token].kind == Kind::STRING);
            token.is_some_and(|token| literal(machine.text_of(token)).bytes)
        };
        let count = strings.iter().filter(|string| bytes(self, string)).count();
        if count > 0 && count < strings.len() {
            self.fail("cannot mix bytes and nonbytes literals")?;
        }
        Ok(())
    }
}

/// Where the first `\x` without two digits is.
fn bytes_error(body: &str) -> Option<usize> {
    let bytes = body.as_bytes();
    let mut at = 0;
    while let Some(length) = memchr::memchr(b'\\', bytes.get(at..)?) {
        at += length;
        let digits = bytes.get(at + 2..).unwrap_or_default().iter().take(2).take_while(|byte| byte.is_ascii_hexdigit());
        if bytes.get(at + 1) == Some(&b'x') && digits.count() < 2 {
            return Some(at);
        }
        at += 2;
    }
    None
}

/// What the decoder says of the first escape that is none (`_PyUnicode_DecodeUnicodeEscapeInternal`). It counts in a text
/// in which every character that is not ASCII is an escape of ten characters.
pub(super) fn escape_error(body: &str) -> Option<String> {
    let mut position = 0;
    let mut rest = body;
    let width = |text: &str| text.chars().map(|c| if c.is_ascii() { 1 } else { 10 }).sum::<usize>();
    while let Some(at) = rest.find('\\') {
        position += width(&rest[..at]);
        let escape = &rest[at + 1..];
        let first = escape.chars().next()?;
        let digits = |count: usize| {
            let valid = escape[1..].bytes().take(count).take_while(u8::is_ascii_hexdigit).count();
            (valid, valid == count)
        };
        // How much of it is read, and what is wrong with that.
        let (read, wrong) = match first {
            'x' | 'u' | 'U' => {
                let count = match first {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let (valid, complete) = digits(count);
                let code = escape.get(1..=valid).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let wrong = if !complete {
                    Some(match first {
                        'x' => "truncated \\xXX escape",
                        'u' => "truncated \\uXXXX escape",
                        _ => "truncated \\UXXXXXXXX escape",
                    })
                } else if code.is_some_and(|code| code > 0x0010_ffff) {
                    Some("illegal Unicode character")
                } else {
                    None
                };
                (1 + valid, wrong)
            }
            'N' => {
                const MALFORMED: Option<&str> = Some("malformed \\N character escape");
                match escape[1..].strip_prefix('{').map(|name| (name, name.find('}'))) {
                    None => (1, MALFORMED),
                    Some((name, None)) => (2 + name.len(), MALFORMED),
                    Some((_, Some(0))) => (2, MALFORMED),
                    Some((_, Some(length))) => {
                        let name = &escape[..length + 3];
                        let known = parse_expression(&format!("'\\{name}'")).is_ok();
                        (length + 3, (!known).then_some("unknown Unicode character name"))
                    }
                }
            }
            // The backslash itself becomes an escape in front of what is not ASCII.
            c if !c.is_ascii() => {
                position += 6;
                rest = escape;
                continue;
            }
            _ => (1, None),
        };
        let end = position + width(&escape[..read]);
        if let Some(wrong) = wrong {
            return Some(format!("'unicodeescape' codec can't decode bytes in position {position}-{end}: {wrong}"));
        }
        position = end + 1;
        rest = &escape[read..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_counted_as_the_decoder_counts_them() {
        let error =
            |body: &str| escape_error(body).map(|error| error.replace("'unicodeescape' codec can't decode ", ""));
        assert_eq!(error(r"\n\x41\u00e9\N{DIGIT ONE}\é\\x"), None);
        assert_eq!(error(r"\x").as_deref(), Some("bytes in position 0-1: truncated \\xXX escape"));
        assert_eq!(error(r"a\x4Z").as_deref(), Some("bytes in position 1-3: truncated \\xXX escape"));
        assert_eq!(error(r"é\u12").as_deref(), Some("bytes in position 10-13: truncated \\uXXXX escape"));
        assert_eq!(error(r"\U12345678").as_deref(), Some("bytes in position 0-9: illegal Unicode character"));
        assert_eq!(error(r"\N{foo}").as_deref(), Some("bytes in position 0-6: unknown Unicode character name"));
        assert_eq!(error(r"\N").as_deref(), Some("bytes in position 0-1: malformed \\N character escape"));
        assert_eq!(bytes_error(r"\\x\x4"), Some(3));
        assert_eq!(bytes_error(r"\\x\x41"), None);
    }
}
