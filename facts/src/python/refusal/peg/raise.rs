//! What actions say: where an error is and in which words (`Parser/pegen_errors.c`, `Parser/action_helpers.c`).

use super::grammar::{Gap, Helper, Label, Place, Template};
use super::machine::{Halt, Machine, Outcome, Raised, Value};
use crate::python::lexical::Kind;
use crate::python::{PythonError, Version};

impl Machine<'_> {
    /// Offsets of the line that a token is in, and of the cursor behind the last one of a file.
    fn line_of(&self, token: usize) -> (usize, usize) {
        let at = self.tokens.get(token).map_or(self.text.len(), |token| token.start as usize);
        // At the end there is no other line, and every line has an end.
        let cursor = if at < self.text.len() || at == 0 { at } else { at + usize::from(!self.text.ends_with('\n')) };
        let within = if at < self.text.len() { at } else { cursor.saturating_sub(1) };
        let start = self.text.get(..within.min(self.text.len())).and_then(|before| before.rfind('\n'));
        (start.map_or(0, |newline| newline + 1), cursor)
    }

    /// The number of the line of a token.
    pub(super) fn line(&self, token: usize) -> usize {
        let start = self.line_of(token).0;
        memchr::memchr_iter(b'\n', &self.text.as_bytes()[..start]).count() + 1
    }

    /// The place of tokens that are known. What has no column is at the start of its line.
    pub(super) fn known(&self, first: usize, last: usize) -> (usize, usize) {
        let end = self.tokens.get(last).map_or(self.text.len(), |token| token.end as usize);
        let start = match self.tokens.get(first) {
            Some(token) if !token.kind.is_placeless() => token.start as usize,
            _ => self.line_of(first).0,
        };
        (start, end.max(start))
    }

    /// The place of a token that was read last. For what has no column it is that of the cursor, which counts from 1.
    fn read(&self, token: usize) -> (usize, usize) {
        match self.tokens.get(token) {
            Some(found) if !found.kind.is_placeless() => (found.start as usize, found.end as usize),
            _ => {
                let (line, cursor) = self.line_of(token);
                let start = cursor.saturating_sub(1).max(line);
                (start, start)
            }
        }
    }

    /// The last token that was read.
    fn last(&self) -> usize {
        self.fill.saturating_sub(1)
    }

    pub(super) fn raise(&mut self, place: Place, template: &Template, slots: &[Value]) -> Outcome {
        let span = |slot: u8| self.span(slots[usize::from(slot)]);
        let mut error_type = "SyntaxError";
        let (start, end) = match place {
            Place::At(slot) => self.known(span(slot).0, span(slot).1),
            Place::From(slot) => self.known(span(slot).0, self.last()),
            Place::Range(first, last) => self.known(span(first).0, span(last).1),
            Place::LastOf(first, last) => {
                let element = self.children(slots[usize::from(first)]).last();
                let element = element.map_or(span(first), |element| self.span(*element));
                self.known(element.0, span(last).1)
            }
            Place::EndOf(slot) => self.end_of(span(slot)),
            Place::Last => self.read(self.last()),
            Place::Next => {
                self.peek()?;
                self.read(self.mark)
            }
            Place::Indentation => {
                error_type = "IndentationError";
                self.read(self.last())
            }
        };
        let mut message = String::new();
        for (before, gap) in &template.gaps {
            message.push_str(before);
            match gap {
                Gap::Name(slot) => message.push_str(self.name(slots[usize::from(*slot)])),
                Gap::Line(slot) => message.push_str(&self.line(self.span(slots[usize::from(*slot)]).0).to_string()),
                Gap::Text(slot) => message.push_str(self.text_of(self.span(slots[usize::from(*slot)]).0)),
            }
        }
        message.push_str(&template.rest);
        self.stop(Halt::Raised(Raised { error_type, start, end, message }))
    }

    /// The last column of an expression, in its first line.
    fn end_of(&self, (first, last): (usize, usize)) -> (usize, usize) {
        let end = self.known(first, last).1;
        let column = end - self.text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.line_of(first).0;
        let line_end = self.text[line..].find('\n').map_or(self.text.len(), |length| line + length);
        let start = self.text.floor_char_boundary((line + column).saturating_sub(1).min(line_end));
        (start, end.max(start))
    }

    /// An error of indentation at the last token that was read.
    pub(super) fn misplaced(&self, message: String) -> Raised {
        let (start, end) = self.read(self.last());
        Raised { error_type: "IndentationError", start, end, message }
    }

    /// An error at the last token that was read.
    pub(super) fn fail(&mut self, message: impl Into<String>) -> Outcome {
        let (start, end) = self.read(self.last());
        self.stop(Halt::Raised(Raised { error_type: "SyntaxError", start, end, message: message.into() }))
    }

    /// An error at values.
    pub(super) fn fail_at(&mut self, first: Value, last: Value, message: impl Into<String>) -> Outcome {
        let (start, end) = self.known(self.span(first).0, self.span(last).1);
        self.stop(Halt::Raised(Raised { error_type: "SyntaxError", start, end, message: message.into() }))
    }

    /// An error of a text of its own, at a column of a line here.
    pub(super) fn fail_in_line(&mut self, line: usize, column: usize, error: PythonError) -> Outcome<()> {
        let mut newlines = memchr::memchr_iter(b'\n', self.text.as_bytes());
        let start = line.checked_sub(2).map_or(0, |before| newlines.nth(before).map_or(self.text.len(), |at| at + 1));
        let end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        let start = self.text.floor_char_boundary((start + column).min(end));
        let (error_type, message) = (error.error_type, error.message);
        self.stop(Halt::Inner(Raised { error_type, start, end: start, message }))
    }

    pub(super) fn ask(&mut self, helper: Helper, given: &[Value], template: &Template, start: usize) -> Outcome {
        let first = given.first().copied().unwrap_or(Value::NONE);
        let second = given.get(1).copied().unwrap_or(Value::NONE);
        match helper {
            Helper::Arguments => self.arguments(first),
            Helper::Bound => {
                let is_tuple = self.label(second) == Some(Label::Tuple);
                let kind = if is_tuple { "constraints" } else { "bound" };
                self.fail_at(first, second, format!("cannot use {kind} with {}", template.rest))
            }
            Helper::Comma => self.comma(first, second),
            Helper::Legacy => match self.legacy(first) {
                Some(name) => {
                    let message = format!("Missing parentheses in call to '{name}'. Did you mean {name}(...)?");
                    self.fail_at(first, second, message)
                }
                None => Ok(None),
            },
            Helper::Generator => self.generator(first, second),
            Helper::Assigned | Helper::Iterated | Helper::Deleted => self.target(helper, first),
            Helper::Real | Helper::Imaginary => {
                let imaginary = self.text_of(self.span(first).0).ends_with(['j', 'J']);
                match (helper, imaginary) {
                    (Helper::Real, true) => self.fail_at(first, first, "real number required in complex literal"),
                    (Helper::Imaginary, false) => {
                        self.fail_at(first, first, "imaginary number required in complex literal")
                    }
                    _ => Ok(Some(first)),
                }
            }
            Helper::Conversion
            | Helper::Field
            | Helper::Specification
            | Helper::String
            | Helper::Joined
            | Helper::Template
            | Helper::Concatenated
            | Helper::Literals => self.strings(helper, first, second, start),
        }
    }

    /// The name of a statement of Python 2 that a value is.
    fn legacy(&self, value: Value) -> Option<&'static str> {
        let token = value.as_token().filter(|token| self.tokens[*token].kind == Kind::NAME)?;
        ["print", "exec"].into_iter().find(|name| *name == self.text_of(token))
    }

    fn comma(&mut self, first: Value, second: Value) -> Outcome {
        let outside = self.mark.checked_sub(1).is_none_or(|token| self.tokens[token].level == 0);
        if outside || self.legacy(first).is_some() {
            return Ok(None);
        }
        self.fail_at(first, second, "invalid syntax. Perhaps you forgot a comma?")
    }

    /// The elements of a value, those of sequences in it among them.
    fn flat(&self, value: Value, found: &mut Vec<Value>) {
        for child in self.children(value) {
            match self.label(*child) {
                Some(Label::Seq | Label::Args) => self.flat(*child, found),
                _ => found.push(*child),
            }
        }
    }

    fn arguments(&mut self, arguments: Value) -> Outcome {
        let mut found = vec![];
        self.flat(arguments, &mut found);
        let unpacks = found.iter().any(|argument| self.label(*argument) == Some(Label::Unpacking));
        self.fail(match unpacks {
            true => "positional argument follows keyword argument unpacking",
            false => "positional argument follows keyword argument",
        })
    }

    fn generator(&mut self, arguments: Value, comprehensions: Value) -> Outcome {
        let mut found = vec![];
        self.flat(arguments, &mut found);
        found.retain(|argument| !matches!(self.label(*argument), Some(Label::Keyword | Label::Unpacking)));
        match found[..] {
            [_, .., last] => self.fail_at(last, comprehensions, "Generator expression must be parenthesized"),
            _ => Ok(None),
        }
    }

    fn target(&mut self, helper: Helper, target: Value) -> Outcome {
        let Some(wrong) = self.wrong_target(helper, target) else { return Ok(None) };
        let verb = if helper == Helper::Deleted { "delete" } else { "assign to" };
        let message = format!("cannot {verb} {}", self.name(wrong));
        self.fail_at(wrong, wrong, message)
    }

    /// `_PyPegen_get_invalid_target`.
    fn wrong_target(&self, helper: Helper, value: Value) -> Option<Value> {
        let first = self.children(value).first().copied();
        match self.label(value) {
            Some(Label::List | Label::Tuple) => {
                let mut found = vec![];
                self.flat(value, &mut found);
                stacker::maybe_grow(64 * 1024, 1024 * 1024, || {
                    found.into_iter().find_map(|element| self.wrong_target(helper, element))
                })
            }
            Some(Label::Starred) if helper != Helper::Deleted => self.wrong_target(helper, first?),
            Some(Label::Compare) if helper == Helper::Iterated => {
                let operator = self.children(value).get(1).and_then(|pairs| self.children(*pairs).first());
                let is_in = operator.is_some_and(|pair| self.label(*pair) == Some(Label::In));
                first.filter(|_| is_in).and_then(|left| self.wrong_target(helper, left))
            }
            Some(Label::Attribute | Label::Subscript) => None,
            Some(_) => Some(value),
            None => {
                let is_name = value.as_token().is_none_or(|token| self.tokens[token].kind == Kind::NAME);
                (!is_name).then_some(value)
            }
        }
    }

    /// `_PyPegen_get_expr_name`.
    fn name(&self, value: Value) -> &'static str {
        match self.label(value) {
            Some(Label::Attribute) => "attribute",
            Some(Label::Subscript) => "subscript",
            Some(Label::Starred) => "starred",
            Some(Label::List) => "list",
            Some(Label::Tuple) => "tuple",
            Some(Label::Lambda) => "lambda",
            Some(Label::Call) => "function call",
            Some(Label::BoolOp | Label::BinOp | Label::UnaryOp) => "expression",
            Some(Label::GeneratorExp) => "generator expression",
            Some(Label::Yield) => "yield expression",
            Some(Label::Await) => "await expression",
            Some(Label::ListComp) => "list comprehension",
            Some(Label::SetComp) => "set comprehension",
            Some(Label::DictComp) => "dict comprehension",
            Some(Label::Dict) => "dict literal",
            Some(Label::Set) => "set display",
            Some(Label::JoinedStr) => "f-string expression",
            Some(Label::TemplateStr) => "t-string expression",
            Some(Label::Compare) => "comparison",
            Some(Label::IfExp) => "conditional expression",
            Some(Label::NamedExpr) => "named expression",
            Some(_) => "literal",
            None => match value.as_token().map(|token| self.tokens[token].kind) {
                Some(Kind::NAME) => "name",
                Some(kind) => match kind.spelling() {
                    Some("...") => "ellipsis",
                    Some(constant @ ("True" | "False" | "None")) => constant,
                    _ => "literal",
                },
                None => "literal",
            },
        }
    }

    /// Whether what is wrong with a string is placed at it, and not at the last token that was read.
    pub(super) fn points_at_strings(&self) -> bool {
        self.version >= Version::Py314
    }
}
