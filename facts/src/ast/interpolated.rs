//! F-strings and t-strings, whose parts CPython merges and positions in its own way.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{
    ConversionFlag, ExprFString, ExprTString, FStringPart, InterpolatedElement, InterpolatedStringElement, StringFlags,
};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::walk::{Labels, Place, Walker};
use crate::python::{Quoted, push_string};

/// Levels of format specifications within each other at which CPython gives up (`MAX_EXPR_NESTING`).
const MAX_FORMAT_SPECS: usize = 2;

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
    count: usize,
    text: String,
    range: Option<TextRange>,
}

impl Parts {
    fn new(parent: i32, field: Field) -> Self {
        Self { parent, field, count: 0, text: String::new(), range: None }
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
        let specs = std::mem::take(&mut self.format_specs);
        let mut parts = Parts::new(node, Field::FormattedValue);
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
                FStringPart::FString(f) => self.elements(&mut parts, f.elements.iter(), f.flags.prefix().is_raw()),
            }
        }
        self.flush(&mut parts);
        self.format_specs = specs;
    }

    pub(super) fn t_string(&mut self, place: Place, string: &ExprTString) {
        let node = self.node(place, "TemplateStr", Some(string.range), Labels::NONE);
        let specs = std::mem::take(&mut self.format_specs);
        let mut parts = Parts::new(node, Field::Interpolation);
        for t in &string.value {
            self.elements(&mut parts, t.elements.iter(), t.flags.prefix().is_raw());
        }
        self.flush(&mut parts);
        self.format_specs = specs;
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
                    self.flush(parts);
                    let place = parts.place();
                    self.field(place, parts.field, field, raw);
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

    /// Ends a stretch of literal text.
    fn flush(&mut self, parts: &mut Parts) {
        if let Some(range) = parts.range.take() {
            let place = parts.place();
            self.constant(place, range, "str", &parts.text);
            parts.text.clear();
        }
    }

    fn field(&mut self, place: Place, field: Field, element: &InterpolatedElement, raw: bool) {
        if self.format_specs > MAX_FORMAT_SPECS {
            return self.fail("SyntaxError", "f-string: expressions nested too deeply", Some(element.range));
        }
        let conversion = match element.conversion {
            ConversionFlag::None if element.debug_text.is_some() && element.format_spec.is_none() => "114",
            ConversionFlag::None => "-1",
            ConversionFlag::Str => "115",
            ConversionFlag::Ascii => "97",
            ConversionFlag::Repr => "114",
        };
        let node = match field {
            Field::FormattedValue => {
                self.node(place, "FormattedValue", Some(element.range), Labels::value(Some(conversion)))
            }
            Field::Interpolation => {
                let source = self.module.slice(element.expression.range());
                let labels = Labels { value: Some(source), ..Labels::NONE };
                self.node(place, "Interpolation", Some(element.range), labels)
            }
        };
        self.expression(Place::field(node, "value"), &element.expression);
        if let Some(spec) = &element.format_spec {
            self.nested(|walker| {
                // CPython's specification starts at the colon.
                let range = TextRange::new(spec.start() - TextSize::new(1), spec.end());
                let place = Place::field(node, "format_spec");
                let node = walker.node(place, "JoinedStr", Some(range), Labels::NONE);
                walker.format_specs += 1;
                let mut parts = Parts::new(node, Field::FormattedValue);
                walker.elements(&mut parts, spec.elements.iter(), raw);
                walker.flush(&mut parts);
                walker.format_specs -= 1;
            });
        }
    }
}
