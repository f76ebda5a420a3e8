//! Strings, parameters and type parameters.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{
    Expr, FStringPart, InterpolatedStringElement, InterpolatedStringElements, Parameter, Parameters, TypeParam,
    TypeParams,
};

use super::{Printer, Slot};

/// One of the strings that are written side by side.
enum Part<'w> {
    Simple,
    Formatted(&'w InterpolatedStringElements),
    Templated(&'w InterpolatedStringElements),
}

impl<'w> Printer<'w> {
    /// What the marked part of a string holds.
    pub(super) fn strings(&mut self, expression: &'w Expr) {
        let parts: Vec<Part<'w>> = match expression {
            Expr::StringLiteral(x) => x.value.iter().map(|_| Part::Simple).collect(),
            Expr::BytesLiteral(x) => x.value.iter().map(|_| Part::Simple).collect(),
            Expr::FString(x) => {
                let part = |part: &'w FStringPart| match part {
                    FStringPart::Literal(_) => Part::Simple,
                    FStringPart::FString(string) => Part::Formatted(&string.elements),
                };
                x.value.iter().map(part).collect()
            }
            Expr::TString(x) => x.value.iter().map(|string| Part::Templated(&string.elements)).collect(),
            _ => vec![],
        };
        let Some((last, before)) = parts.split_last() else { return };
        if before.is_empty() {
            return self.string_inner(last);
        }
        // The one on the right holds all that follow: all but the outermost are opened here, and closed together.
        let mut starts = vec![];
        for (index, part) in before.iter().enumerate() {
            if index > 0 {
                let id = self.open("ConcatenatedString", Some(("right", None)));
                starts.push((id, self.at));
            }
            self.string(("left", None), part);
            self.blank();
        }
        self.string(("right", None), last);
        for (id, start) in starts.into_iter().rev() {
            self.nodes[id as usize].span = (start, self.at);
            self.close();
        }
    }

    fn string(&mut self, slot: Slot, part: &Part<'w>) {
        let kind = match part {
            Part::Simple => "SimpleString",
            Part::Formatted(_) => "FormattedString",
            Part::Templated(_) => "TemplatedString",
        };
        self.whole(kind, slot, |printer| printer.string_inner(part));
    }

    fn string_inner(&mut self, part: &Part<'w>) {
        match part {
            Part::Simple => self.token(TokenKind::String),
            Part::Formatted(elements) => {
                self.token(TokenKind::FStringStart);
                self.interpolated("parts", elements, ["FormattedStringText", "FormattedStringExpression"]);
                self.token(TokenKind::FStringEnd);
            }
            Part::Templated(elements) => {
                self.token(TokenKind::TStringStart);
                self.interpolated("parts", elements, ["TemplatedStringText", "TemplatedStringExpression"]);
                self.token(TokenKind::TStringEnd);
            }
        }
    }

    fn interpolated(&mut self, slot: &'static str, elements: &'w InterpolatedStringElements, kinds: [&'static str; 2]) {
        let [text, expression] = kinds;
        for (index, element) in elements.iter().enumerate() {
            let slot = (slot, Some(index as i32));
            let InterpolatedStringElement::Interpolation(element) = element else {
                self.whole(text, slot, |printer| {
                    if !matches!(printer.kind_of_next(), Some(TokenKind::FStringMiddle | TokenKind::TStringMiddle)) {
                        printer.lost = true;
                    }
                    printer.any();
                });
                continue;
            };
            self.nested(|printer| {
                printer.plain(expression, slot, |printer| {
                    printer.token(TokenKind::Lbrace);
                    printer.blank();
                    printer.expression(("expression", None), &element.expression);
                    if printer.is_next(TokenKind::Equal) {
                        printer.equal();
                    }
                    printer.blank();
                    if printer.is_next(TokenKind::Exclamation) {
                        printer.any();
                        printer.any();
                    }
                    if let Some(spec) = &element.format_spec {
                        printer.token(TokenKind::Colon);
                        printer.interpolated("format_spec", &spec.elements, kinds);
                    }
                    printer.token(TokenKind::Rbrace);
                });
            });
        }
    }

    /// Parameters of a function or lambda; the last owns the whitespace behind it.
    pub(super) fn parameters(&mut self, parameters: Option<&'w Parameters>) {
        self.plain("Parameters", ("params", None), |printer| {
            let Some(list) = parameters else { return };
            for (index, parameter) in list.posonlyargs.iter().enumerate() {
                let slot = ("posonly_params", Some(index as i32));
                printer.parameter(slot, &parameter.parameter, parameter.default.as_deref(), false);
            }
            if !list.posonlyargs.is_empty() {
                printer.plain("ParamSlash", ("posonly_ind", None), |printer| {
                    printer.token(TokenKind::Slash);
                    printer.blank();
                    printer.comma(false);
                });
            }
            for (index, parameter) in list.args.iter().enumerate() {
                let slot = ("params", Some(index as i32));
                let is_last = list.vararg.is_none()
                    && list.kwonlyargs.is_empty()
                    && list.kwarg.is_none()
                    && index + 1 == list.args.len();
                printer.parameter(slot, &parameter.parameter, parameter.default.as_deref(), is_last);
            }
            if let Some(vararg) = &list.vararg {
                let is_last = list.kwonlyargs.is_empty() && list.kwarg.is_none();
                printer.parameter(("star_arg", None), vararg, None, is_last);
            } else if !list.kwonlyargs.is_empty() {
                printer.plain("ParamStar", ("star_arg", None), |printer| {
                    printer.token(TokenKind::Star);
                    printer.comma(false);
                });
            }
            for (index, parameter) in list.kwonlyargs.iter().enumerate() {
                let slot = ("kwonly_params", Some(index as i32));
                let is_last = list.kwarg.is_none() && index + 1 == list.kwonlyargs.len();
                printer.parameter(slot, &parameter.parameter, parameter.default.as_deref(), is_last);
            }
            if let Some(kwarg) = &list.kwarg {
                printer.parameter(("star_kwarg", None), kwarg, None, true);
            }
        });
    }

    fn parameter(&mut self, slot: Slot, parameter: &'w Parameter, default: Option<&'w Expr>, is_last: bool) {
        self.node("Param", slot, |printer| {
            printer.marked(|printer| {
                if matches!(printer.kind_of_next(), Some(TokenKind::Star | TokenKind::DoubleStar)) {
                    printer.any();
                    printer.blank();
                }
                printer.name(("name", None));
            });
            if let Some(annotation) = &parameter.annotation {
                printer.annotation(("annotation", None), TokenKind::Colon, annotation);
            }
            if let Some(default) = default {
                printer.equal();
                printer.expression(("default", None), default);
            }
            let has_comma = printer.is_next(TokenKind::Comma);
            printer.comma(false);
            if is_last && !has_comma {
                printer.blank();
            }
        });
    }

    /// An annotation behind `:` or `->`.
    pub(super) fn annotation(&mut self, slot: Slot, indicator: TokenKind, annotation: &'w Expr) {
        self.node("Annotation", slot, |printer| {
            printer.keyword(indicator);
            printer.marked(|printer| printer.expression(("annotation", None), annotation));
        });
    }

    pub(super) fn type_params(&mut self, params: &'w TypeParams) {
        self.plain("TypeParameters", ("type_parameters", None), |printer| {
            printer.opening("LeftSquareBracket", ("lbracket", None));
            for (index, param) in params.type_params.iter().enumerate() {
                printer.plain("TypeParam", ("params", Some(index as i32)), |printer| printer.type_param(param));
            }
            printer.closing("RightSquareBracket", ("rbracket", None));
        });
    }

    fn type_param(&mut self, param: &'w TypeParam) {
        let slot = ("param", None);
        match param {
            TypeParam::TypeVar(var) => self.whole("TypeVar", slot, |printer| {
                printer.name(("name", None));
                if let Some(bound) = &var.bound {
                    printer.operator("Colon", ("colon", None));
                    printer.expression(("bound", None), bound);
                }
            }),
            TypeParam::TypeVarTuple(_) | TypeParam::ParamSpec(_) => {
                let kind = if matches!(param, TypeParam::ParamSpec(_)) { "ParamSpec" } else { "TypeVarTuple" };
                self.whole(kind, slot, |printer| {
                    printer.any();
                    printer.blank();
                    printer.name(("name", None));
                });
            }
        }
        if let Some(default) = param.default() {
            self.equal();
            match default {
                Expr::Starred(starred) => {
                    self.token(TokenKind::Star);
                    self.blank();
                    self.expression(("default", None), &starred.value);
                }
                default => self.expression(("default", None), default),
            }
        }
        self.comma(false);
    }
}
