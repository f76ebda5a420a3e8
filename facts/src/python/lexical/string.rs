//! Strings, and the fields of f-strings and t-strings.

use super::{Bracket, Found, Kind, Scan, Scanner};
use crate::python::Version;

/// Fields of an f-string that may be open within each other's specifications (`MAX_EXPR_NESTING`).
pub(in crate::python) const MAX_FIELDS: usize = 3;

/// An f-string or t-string around the place at hand.
pub(super) struct Interpolated {
    pub(super) start: usize,
    pub(super) quote: u8,
    pub(super) triple: bool,
    pub(super) raw: bool,
    /// Whether it is a t-string.
    pub(super) template: bool,
    /// How many brackets were open before it.
    pub(super) outer: usize,
    /// How many brackets are open in each field around, its brace included, and whether its specification has begun.
    pub(super) fields: Vec<(usize, bool)>,
}

impl Scanner<'_> {
    /// Whether the place at hand is literal text of an f-string: outside its fields, or in a specification.
    pub(super) fn in_text(&self) -> bool {
        self.strings.last().is_some_and(|string| match string.fields.last() {
            None => true,
            Some((open, specification)) => *specification && self.brackets.len() == *open,
        })
    }

    /// Whether a colon ends a field's expression.
    pub(super) fn ends_expression(&self) -> bool {
        let field = self.strings.last().and_then(|string| string.fields.last());
        field.is_some_and(|(open, specification)| !specification && self.brackets.len() == *open)
    }

    /// A string whose prefix starts at `start`; its quote is at hand.
    pub(super) fn string(&mut self, start: usize) -> Scan {
        let quote = self.peek();
        let triple = self.bytes[self.at..].starts_with(&[quote; 3]);
        let prefix = self.text[start..self.at].to_ascii_lowercase();
        self.at += if triple { 3 } else { 1 };
        if self.version >= Version::Py312 && prefix.contains(['f', 't']) {
            let (outer, raw) = (self.brackets.len(), prefix.contains('r'));
            let template = prefix.contains('t');
            self.strings.push(Interpolated { start, quote, triple, raw, template, outer, fields: vec![] });
            self.push(if template { Kind::TSTRING_START } else { Kind::FSTRING_START }, start);
            return Ok(());
        }
        let mut escaped_quote = false;
        while self.at < self.bytes.len() {
            match self.peek() {
                b'\\' => {
                    escaped_quote |= self.bytes.get(self.at + 1) == Some(&quote);
                    self.at += 2;
                }
                b'\n' if !triple => break,
                byte if byte == quote && (!triple || self.bytes[self.at..].starts_with(&[quote; 3])) => {
                    self.at += if triple { 3 } else { 1 };
                    self.push(Kind::STRING, start);
                    return Ok(());
                }
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.bytes.len());
        let mut found = self.unterminated(start, triple, false);
        if escaped_quote && !triple && self.version >= Version::Py313 && found.message.starts_with("unterminated") {
            found.message.push_str("; perhaps you escaped the end quote?");
        }
        Err(found)
    }

    pub(super) fn unterminated(&self, start: usize, triple: bool, interpolated: bool) -> Found {
        if !interpolated && let Some(string) = self.strings.last() {
            let quote = self.bytes[start..].iter().find(|byte| matches!(byte, b'\'' | b'"'));
            if string.triple == triple && quote == Some(&string.quote) {
                return Found::new(start, self.at, format!("{}: expecting '}}'", self.kind_of_string()));
            }
        }
        let at_end = self.at >= self.bytes.len() && self.bytes.last() == Some(&b'\n');
        let line = self.line(self.at) - usize::from(at_end);
        let kind = match (triple, interpolated) {
            (true, true) => format!("triple-quoted {}", self.kind_of_string()),
            (true, false) => "triple-quoted string".into(),
            (false, true) => self.kind_of_string().into(),
            (false, false) => "string".into(),
        };
        let message = format!("unterminated {kind} literal (detected at line {line})");
        Found::new(start, start + 1, message)
    }

    /// What the innermost string with fields is called.
    pub(super) fn kind_of_string(&self) -> &'static str {
        if self.strings.last().is_some_and(|string| string.template) { "t-string" } else { "f-string" }
    }

    /// Ends the stretch of literal text that began last, `kept` bytes behind the place at hand.
    fn literal(&mut self, template: bool, kept: usize, even_empty: bool) {
        let start = self.literal.take().unwrap_or(self.at);
        self.named = false;
        if even_empty || self.at + kept > start {
            self.at += kept;
            self.push(if template { Kind::TSTRING_MIDDLE } else { Kind::FSTRING_MIDDLE }, start);
            self.at -= kept;
        }
    }

    /// Literal text of an f-string, up to what ends it.
    pub(super) fn interpolated_text(&mut self) -> Scan {
        let open = self.brackets.len();
        let Some(string) = self.strings.last_mut() else { return Ok(()) };
        let specification = !string.fields.is_empty();
        let (start, quote, triple, raw) = (string.start, string.quote, string.triple, string.raw);
        let template = string.template;
        let twice = self.bytes.get(self.at + 1) == self.bytes.get(self.at);
        self.literal.get_or_insert(self.at);
        match self.bytes[self.at] {
            b'\\' => {
                let named = !raw && self.bytes[self.at..].starts_with(b"\\N{");
                self.named |= named;
                self.at += match self.bytes.get(self.at + 1) {
                    _ if named => 3,
                    Some(b'{' | b'}') => 1,
                    _ => 2,
                };
            }
            b'}' if self.named => {
                self.literal(template, 1, true);
                self.at += 1;
            }
            b'{' if twice && !specification => {
                self.literal(template, 1, true);
                self.at += 2;
            }
            b'{' if string.fields.len() >= MAX_FIELDS => {
                let message = format!("{}: expressions nested too deeply", self.kind_of_string());
                let found = self.here(message);
                // The brace is put back. In front of the line's first there is nothing in that line.
                let start = if self.text[..self.at].ends_with('\n') { self.at } else { found.start };
                return Err(Found { start, ..found });
            }
            b'{' => {
                string.fields.push((open + 1, false));
                self.literal(template, 0, false);
                self.brackets.push(Bracket { kind: b'{', at: self.at });
                self.operator(1);
            }
            b'}' if specification => {
                self.literal(template, 0, true);
                self.close()?;
            }
            b'}' if twice => {
                self.literal(template, 1, true);
                self.at += 2;
            }
            b'}' => {
                self.at += 1;
                return Err(self.here(format!("{}: single '}}' is not allowed", self.kind_of_string())));
            }
            b'\n' if !triple && specification => {
                if self.version >= Version::Py314 {
                    self.at += 1;
                    let kind = self.kind_of_string();
                    return Err(self.here(format!(
                        "{kind}: newlines are not allowed in format specifiers for single quoted {kind}s"
                    )));
                }
                self.literal(template, 0, true);
                if let Some(field) = self.strings.last_mut().and_then(|string| string.fields.last_mut()) {
                    field.1 = false;
                }
            }
            b'\n' if !triple => return Err(self.unterminated(start, triple, true)),
            byte if byte == quote && (!triple || self.bytes[self.at..].starts_with(&[quote; 3])) => {
                self.literal(template, 0, false);
                // A field's brace that is open stays so.
                self.strings.pop();
                self.at += if triple { 3 } else { 1 };
                let opened = self.at - if triple { 3 } else { 1 };
                self.push(if template { Kind::TSTRING_END } else { Kind::FSTRING_END }, opened);
            }
            _ => self.at += 1,
        }
        Ok(())
    }
}

/// Whether a name in front of a quote is a prefix of strings.
pub(super) fn is_prefix(name: &str, version: Version) -> bool {
    let name = name.to_ascii_lowercase();
    let templates = version >= Version::Py314 && matches!(name.as_str(), "t" | "rt" | "tr");
    templates || matches!(name.as_str(), "r" | "b" | "u" | "f" | "rb" | "br" | "rf" | "fr")
}

/// What is wrong with a name in front of a quote: from 3.14 on CPython says which prefixes of strings exclude each other.
pub(super) fn excluding_prefixes(name: &str, version: Version) -> Option<String> {
    const EXCLUDING: [(char, char); 7] =
        [('u', 'b'), ('u', 'r'), ('u', 'f'), ('u', 't'), ('b', 'f'), ('b', 't'), ('f', 't')];
    let name = name.to_ascii_lowercase();
    let once = |(at, letter): (usize, char)| "burft".contains(letter) && !name[..at].contains(letter);
    if version < Version::Py314 || !name.is_ascii() || !name.char_indices().all(once) {
        return None;
    }
    let (first, second) =
        EXCLUDING.into_iter().find(|(first, second)| name.contains(*first) && name.contains(*second))?;
    Some(format!("'{first}' and '{second}' prefixes are incompatible"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::lexical::check;

    /// Where the first error of a text is, and what it says.
    fn error(text: &str, version: Version) -> Option<(u32, String)> {
        check(text, version).error.map(|(range, error)| (range.start().to_u32(), error.message))
    }

    #[test]
    fn fields_nest_three_deep() {
        assert_eq!(error("f'{a:{b:{c}}}'", Version::Py312), None);
        let of = |kind: &str| format!("{kind}: expressions nested too deeply");
        assert_eq!(error("f'{a:{b:{c:{d}}}}'", Version::Py312), Some((10, of("f-string"))));
        assert_eq!(error("t'{f\"{a:{b:{c:x{d}}}}\"}'", Version::Py314), Some((14, of("f-string"))));
        assert_eq!(error("t'''{a:{b:{c:\n{d}}}}'''", Version::Py314), Some((14, of("t-string"))));
    }

    #[test]
    fn the_name_of_a_character_ends_where_its_stretch_of_text_does() {
        let unterminated = |line| Some((0, format!("unterminated f-string literal (detected at line {line})")));
        assert_eq!(error("f'\\N{a b}}}'", Version::Py312), None);
        assert_eq!(error("f'\\N{a'", Version::Py312), None);
        assert_eq!(error("f'\\N{a\n}'", Version::Py312), unterminated(1));
        assert_eq!(error("f'\\N{a}}'", Version::Py312), Some((7, "f-string: single '}' is not allowed".to_owned())));
    }
}
