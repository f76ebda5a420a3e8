//! What CPython before 3.14 says of bytes that are not UTF-8, in a file that declares nothing else.
//!
//! It does not decode the file but a token where it needs one: a name as it reads it (`verify_identifier`), a string as
//! it makes its constant (`Parser/string_parser.c`). A comment is never decoded, so that such a file is accepted.

use ruff_python_ast::StringFlags;
use ruff_python_ast::token::{Token, TokenKind, Tokens};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::Refusal;
use crate::python::decode::{UNICODE_ERROR, fault};
use crate::python::lexical::{INVALID_CHARACTER, UNMATCHED_UNINDENT};
use crate::python::{Locator, PythonError, Version};

/// An error of the decoder that nothing gives a place to.
pub(in crate::python) const NOWHERE: &str = "UnicodeDecodeError";

/// A file with bytes that are not UTF-8.
pub(in crate::python) struct Undecoded<'m> {
    pub bytes: &'m [u8],
    pub text: &'m str,
    pub tokens: &'m Tokens,
    pub locator: Locator<'m>,
    pub version: Version,
    /// Where in the text U+FFFD stands for them.
    pub at: &'m [u32],
}

impl Undecoded<'_> {
    /// Why the file is refused, if it is. `tokenizer` and `parser` are where these have their first errors, without one of
    /// the tokenizer that counts only where the parser comes to it; `other` is what CPython would say but for these bytes.
    pub fn verdict(
        &self,
        tokenizer: Option<TextRange>,
        parser: Option<TextRange>,
        other: Option<Refusal>,
    ) -> Option<Refusal> {
        let string = self.string();
        let Some((range, error)) = other else { return string.map(|(_, refusal)| refusal) };
        if error.message.starts_with(INVALID_CHARACTER) && self.at.contains(&range.start().to_u32()) {
            let name = self.name(range.start().to_usize());
            let earlier = [string.map(|(start, _)| start), parser.map(TextRange::start)];
            let behind_another = earlier.into_iter().flatten().any(|start| start < name.start());
            return Some(self.in_name(name, behind_another));
        }
        let unindent = self.unindent(range, &error);
        let range = unindent.map_or(range, |(_, place)| place);
        let Some((start, refusal)) = string else { return Some((range, error)) };
        let prevails = if error.message.ends_with("was never closed") {
            self.text.get(range.start().to_usize()..start.to_usize()).is_none_or(|between| !between.contains('\n'))
        } else if let Some((line, _)) = unindent {
            start < line
        } else {
            // What an error spans has been read.
            tokenizer != Some(range) && (start <= range.start() || start < range.end())
        };
        Some(if prevails { refusal } else { (range, error) })
    }

    /// The name around a character.
    fn name(&self, at: usize) -> TextRange {
        let bytes = self.text.as_bytes();
        let of_name = |byte: &u8| *byte == b'_' || byte.is_ascii_alphanumeric() || *byte >= 0x80;
        let start = at - bytes[..at].iter().rev().take_while(|byte| of_name(byte)).count();
        // A number ends where a name begins.
        let start = start + bytes[start..at].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let end = at + bytes[at..].iter().take_while(|byte| of_name(byte)).count();
        TextRange::new(TextSize::new(start as u32), TextSize::new(end as u32))
    }

    /// A name that can't be decoded. Behind another error it is met while CPython looks for more errors, and takes the
    /// place of that one as it is.
    fn in_name(&self, name: TextRange, behind_another: bool) -> Refusal {
        let message = fault(self.original(name)).map(|(_, message)| message).unwrap_or_default();
        if behind_another && self.version >= Version::Py310 {
            return (name, PythonError::new(NOWHERE, message, None));
        }
        let last = self.last_byte(name.end());
        let message = match self.version >= Version::Py310 {
            true => format!("{UNICODE_ERROR}{message}"),
            false => "invalid character in identifier".to_owned(),
        };
        (TextRange::new(last, name.end().max(last)), PythonError::new("SyntaxError", message, None))
    }

    /// Where CPython sees the byte in front of a place. Of the bytes of the line as it lies in the file it makes a number
    /// of characters before 3.13, and since then of bytes of the line with U+FFFD for what is not UTF-8
    /// (`_PyPegen_byte_offset_to_character_offset`).
    fn last_byte(&self, end: TextSize) -> TextSize {
        let line = self.text[..end.to_usize()].rfind('\n').map_or(0, |newline| newline + 1);
        let before = self.original(TextRange::new(TextSize::new(line as u32), end)).len().saturating_sub(1);
        let mut characters = self.text[line..].char_indices();
        let last = match self.version >= Version::Py313 {
            true => characters.take_while(|(at, _)| *at <= before).last(),
            false => characters.nth(before),
        };
        last.map_or(end, |(at, _)| TextSize::new((line + at) as u32))
    }

    /// Of an indentation that matches none: where its line begins, and where in it CPython places the error: behind as
    /// many bytes as the line has in the file.
    fn unindent(&self, range: TextRange, error: &PythonError) -> Option<(TextSize, TextRange)> {
        if error.message != UNMATCHED_UNINDENT {
            return None;
        }
        let end = range.end().to_usize();
        let line = self.text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        let start = TextSize::new(line as u32);
        let at = (line + self.original(TextRange::new(start, range.end())).len()).min(end);
        // Before 3.13 these are not made characters.
        let is_place = self.version >= Version::Py313 || self.text.is_char_boundary(at);
        let place = TextRange::empty(TextSize::new(self.text.floor_char_boundary(at) as u32));
        Some((start, if is_place { place } else { range }))
    }

    /// The first string that can't be decoded: where its token begins, and the refusal.
    fn string(&self) -> Option<(TextSize, Refusal)> {
        let mut at = self.at.iter().copied().peekable();
        for (index, token) in self.tokens.iter().enumerate() {
            while at.next_if(|at| *at < token.start().to_u32()).is_some() {}
            if at.peek().is_none_or(|at| *at >= token.end().to_u32()) {
                continue;
            }
            let Some(message) = self.in_string(token) else { continue };
            let own = self.version >= Version::Py312;
            let refusal = match token.kind() {
                TokenKind::FStringMiddle if own => (token.range(), PythonError::new(NOWHERE, message, None)),
                _ => {
                    let range = if own { token.range() } else { self.behind_strings(index) };
                    (range, PythonError::new("SyntaxError", format!("{UNICODE_ERROR}{message}"), None))
                }
            };
            return Some((token.start(), refusal));
        }
        None
    }

    /// What the decoder says of a string.
    fn in_string(&self, token: &Token) -> Option<String> {
        let flags = token.string_flags()?;
        let (range, with_escapes) = match token.kind() {
            TokenKind::String if !flags.is_byte_string() => {
                let start = token.start() + flags.opener_len();
                let range = TextRange::new(start, (token.end() - flags.closer_len()).max(start));
                let body = self.text.get(range.start().to_usize()..range.end().to_usize()).unwrap_or_default();
                (range, body.contains('\\'))
            }
            // Before 3.12, the parts of these went through the function for escapes whether they had any or not.
            TokenKind::FStringMiddle => (token.range(), self.version < Version::Py312),
            _ => return None,
        };
        let body = newlines(self.original(range));
        let fault = match with_escapes && !flags.is_raw_string() {
            // Between escapes, what is not ASCII is decoded run by run.
            true => body.split(u8::is_ascii).find_map(fault),
            false => fault(&body),
        };
        fault.map(|(_, message)| message)
    }

    /// The token behind a string and those that it is joined with.
    fn behind_strings(&self, index: usize) -> TextRange {
        use TokenKind::{Comment, FStringEnd, FStringMiddle, FStringStart, NonLogicalNewline, String};
        let open = |depth: usize, kind: TokenKind| match kind {
            FStringStart => depth + 1,
            FStringEnd => depth.saturating_sub(1),
            _ => depth,
        };
        let mut depth = self.tokens[..index].iter().fold(0, |depth, token| open(depth, token.kind()));
        let joined =
            |kind| matches!(kind, String | FStringStart | FStringMiddle | FStringEnd | Comment | NonLogicalNewline);
        let next = self.tokens[index..].iter().find(|token| {
            let inside = depth > 0;
            depth = open(depth, token.kind());
            !inside && !joined(token.kind())
        });
        next.map_or_else(|| TextRange::empty(TextSize::of(self.text)), Ranged::range)
    }

    /// The bytes of a range of the text.
    fn original(&self, range: TextRange) -> &[u8] {
        let at = |offset: TextSize| self.locator.original(offset.to_u32()) as usize;
        self.bytes.get(at(range.start())..at(range.end())).unwrap_or_default()
    }
}

/// Lines ended by `\n`, as the tokenizer has them.
fn newlines(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bytes.len());
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => lines.push(b'\n'),
            b'\n' if index > 0 && bytes[index - 1] == b'\r' => {}
            _ => lines.push(*byte),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::PythonModule;

    #[test]
    fn a_place_that_is_counted_past_the_line_is_a_place() {
        for version in [Version::Py38, Version::Py311, Version::Py312, Version::Py313] {
            for source in [&b"\xc3\xa9 = '\xc3\xa9' + \xc3\xa9\xff"[..], b"x = '\xc3\xa9\xc3\xa9\xc3\xa9'; a\xff\xff"] {
                let error = PythonModule::parse(source, version).err().unwrap();
                assert_eq!(error.error_type, "SyntaxError", "{}", error.message);
            }
        }
    }
}
