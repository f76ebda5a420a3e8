//! F-strings and t-strings, whose parts CPython merges and positions in its own way.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{
    ConversionFlag, Expr, ExprFString, ExprTString, FStringPart, InterpolatedElement, InterpolatedStringElement,
    StringFlags,
};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::walk::{Labels, Place, Walker};
use crate::python::{Quoted, Version, push_string};

/// What a field is to CPython.
#[derive(Debug, Clone, Copy)]
enum Field {
    FormattedValue,
    Interpolation,
}

/// The parts of a string so far: literal text is merged until a field comes.
struct Parts {
    parent: i32,
    field: Field,
    /// The whole string, whose position all its parts have before Python 3.12.
    whole: Option<TextRange>,
    /// The literal at hand, whose position format specifications in it have before Python 3.12.
    literal: TextRange,
    /// Whether these are the parts of a format specification.
    specification: bool,
    count: usize,
    text: String,
    range: Option<TextRange>,
}

impl Parts {
    fn new(parent: i32, field: Field, whole: Option<TextRange>) -> Self {
        let literal = TextRange::default();
        Self { parent, field, whole, literal, specification: false, count: 0, text: String::new(), range: None }
    }

    fn place(&mut self) -> Place {
        self.count += 1;
        Place::item(self.parent, "values", self.count - 1)
    }

    fn literal(&mut self, range: TextRange, push: impl FnOnce(&mut String)) {
        let before = self.text.len();
        push(&mut self.text);
        if self.text.len() > before {
            self.range = Some(self.range.map_or(range, |first| first.cover(range)));
        }
    }
}

impl Walker<'_> {
    pub(super) fn f_string(&mut self, place: Place, string: &ExprFString) {
        let node = self.node(place, "JoinedStr", Some(string.range), Labels::NONE);
        let mut parts = Parts::new(node, Field::FormattedValue, self.whole(string.range));
        for part in &string.value {
            match part {
                FStringPart::Literal(literal) => {
                    let source = self.module.slice(literal.content_range());
                    let quoted = Quoted {
                        source,
                        raw: literal.flags.as_any_string_flags().is_raw_string(),
                        interpolated: false,
                    };
                    parts.literal(literal.range, |text| push_string(text, literal, quoted));
                }
                FStringPart::FString(f) => {
                    parts.literal = f.range;
                    self.elements(&mut parts, f.elements.iter(), f.flags.prefix().is_raw());
                }
            }
        }
        self.flush(&mut parts);
    }

    pub(super) fn t_string(&mut self, place: Place, string: &ExprTString) {
        let node = self.node(place, "TemplateStr", Some(string.range), Labels::NONE);
        let mut parts = Parts::new(node, Field::Interpolation, None);
        for t in &string.value {
            self.elements(&mut parts, t.elements.iter(), t.flags.prefix().is_raw());
        }
        self.flush(&mut parts);
    }

    fn elements<'e>(
        &mut self,
        parts: &mut Parts,
        elements: impl Iterator<Item = &'e InterpolatedStringElement>,
        raw: bool,
    ) {
        for element in elements {
            match element {
                InterpolatedStringElement::Literal(literal) => {
                    let quoted = Quoted { source: self.module.slice(literal.range), raw, interpolated: true };
                    parts.literal(literal.range, |text| push_string(text, &literal.value, quoted));
                }
                InterpolatedStringElement::Interpolation(field) => {
                    // `{x=}` is the text `x=`, then the field.
                    if let Some(debug) = &field.debug_text {
                        let start = field.start() + TextSize::new(1);
                        let range = TextRange::at(start, TextSize::of(debug.as_str()));
                        parts.literal(range, |text| self.push_without_comments(text, range));
                    }
                    // The tokenizer of 3.12 takes `{{` in a specification for text at first, of which nothing is left.
                    let doubled = parts.specification && self.module.slice(field.range).starts_with("{{");
                    if doubled && parts.range.is_none() {
                        self.nothing(parts, field.start());
                    }
                    self.flush(parts);
                    let place = parts.place();
                    self.field(place, parts, field, raw);
                }
            }
        }
    }

    /// Appends source without its comments, which CPython leaves out of the text of `{x=}`.
    fn push_without_comments(&self, out: &mut String, range: TextRange) {
        let mut from = range.start();
        if self.module.slice(range).contains('#') {
            let tokens = self.module.tokens();
            let first = tokens.partition_point(|token| token.start() < range.start());
            let tokens = tokens[first..].iter().take_while(|token| token.end() <= range.end());
            for comment in tokens.filter(|token| token.kind() == TokenKind::Comment) {
                out.push_str(self.module.slice(TextRange::new(from, comment.start())));
                from = comment.end();
            }
        }
        out.push_str(self.module.slice(TextRange::new(from, range.end())));
    }

    /// The range of all parts of a string, where the target version makes no difference between them.
    fn whole(&self, string: TextRange) -> Option<TextRange> {
        (self.module.version() < Version::Py312).then_some(string)
    }

    /// Ends a stretch of literal text.
    fn flush(&mut self, parts: &mut Parts) {
        if let Some(range) = parts.range.take() {
            let place = parts.place();
            self.constant(place, parts.whole.unwrap_or(range), "str", &parts.text);
            parts.text.clear();
        }
    }

    /// An empty piece of a specification's text, as 3.12 has them.
    fn nothing(&mut self, parts: &mut Parts, at: TextSize) {
        if self.module.version() == Version::Py312 {
            self.constant(parts.place(), TextRange::empty(at), "str", "");
        }
    }

    fn field(&mut self, place: Place, parts: &Parts, element: &InterpolatedElement, raw: bool) {
        let conversion = match element.conversion {
            ConversionFlag::None if element.debug_text.is_some() && element.format_spec.is_none() => "114",
            ConversionFlag::None => "-1",
            ConversionFlag::Str => "115",
            ConversionFlag::Ascii => "97",
            ConversionFlag::Repr => "114",
        };
        let range = Some(parts.whole.unwrap_or(element.range));
        let node = match parts.field {
            Field::FormattedValue => self.node(place, "FormattedValue", range, Labels::value(Some(conversion))),
            Field::Interpolation => {
                let mut source = String::new();
                let start = element.start() + TextSize::new(1);
                self.push_without_comments(&mut source, TextRange::new(start, self.end_of_expression(element)));
                let labels = Labels { value: Some(&source), op: Some(conversion), ..Labels::NONE };
                self.node(place, "Interpolation", range, labels)
            }
        };
        let place = Place::field(node, "value");
        match element.expression.as_ref() {
            Expr::Tuple(tuple) if parts.whole.is_some() && !tuple.parenthesized => {
                let range = self.in_braces(element);
                self.nested(|walker| walker.tuple(place, tuple, range));
            }
            expression => self.expression(place, expression),
        }
        if let Some(spec) = &element.format_spec {
            self.nested(|walker| {
                // CPython's specification starts at the colon.
                let range = TextRange::new(spec.start() - TextSize::new(1), spec.end());
                let range = Some(parts.whole.map_or(range, |_| parts.literal));
                let node = walker.node(Place::field(node, "format_spec"), "JoinedStr", range, Labels::NONE);
                let fresh = Parts::new(node, Field::FormattedValue, parts.whole);
                let mut parts = Parts { literal: parts.literal, specification: true, ..fresh };
                walker.elements(&mut parts, spec.elements.iter(), raw);
                // Text at the end is placed like the specification itself.
                parts.whole = parts.whole.map(|_| parts.literal);
                walker.flush(&mut parts);
                // Behind a field that ends a specification there is a piece of text in 3.12, an empty one.
                if matches!(spec.elements.last(), Some(InterpolatedStringElement::Interpolation(_))) {
                    walker.nothing(&mut parts, spec.end());
                }
            });
        }
    }

    /// Where the text of a field's expression ends: at `=`, `!`, `:` or `}`.
    fn end_of_expression(&self, element: &InterpolatedElement) -> TextSize {
        let tokens = self.module.tokens();
        let first = tokens.partition_point(|token| token.start() < element.expression.end());
        let inside = |kind| {
            use TokenKind::{Comma, Comment, NonLogicalNewline, Rpar};
            matches!(kind, Comma | Comment | NonLogicalNewline | Rpar)
        };
        tokens[first..].iter().find(|token| !inside(token.kind())).map_or(element.end(), Ranged::start)
    }

    /// The range of a tuple without parentheses before Python 3.12, which parsed a field's text in parentheses that
    /// stand where its braces do.
    fn in_braces(&self, element: &InterpolatedElement) -> TextRange {
        let text = self.module.text();
        let brace = element.start();
        let ahead = text[brace.to_usize() + 1..].trim_start_matches([' ', '\t', '\x0c']);
        let start = match ahead.starts_with('\n') {
            false => brace,
            // The column is then counted from the start of the string, or of the line if that is another one.
            true => {
                let tokens = self.module.tokens();
                let before = &tokens[..tokens.partition_point(|token| token.start() < brace)];
                let mut inner = 0;
                let string = before.iter().rev().find(|token| {
                    let (start, end) = (token.kind() == TokenKind::FStringStart, token.kind() == TokenKind::FStringEnd);
                    inner += usize::from(end);
                    let found = start && inner == 0;
                    inner -= usize::from(start && !found);
                    found
                });
                let line = text[..brace.to_usize()].rfind('\n').map_or(0, |newline| newline + 1);
                string.map_or(brace, |string| string.start().max(TextSize::new(line as u32)))
            }
        };
        TextRange::new(start, self.end_of_expression(element) + TextSize::new(1))
    }
}
