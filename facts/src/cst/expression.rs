//! Expressions.

use ruff_python_ast::{
    ArgOrKeyword, Comprehension, Expr, ExprCall, ExprContext, FStringPart, InterpolatedStringElement,
    InterpolatedStringElements,
};
use ruff_text_size::Ranged;

use super::names::QualifiedNames;
use super::scope::ScopeKind;
use super::walk::{Call, Ref, RefText, Resolve, Walker};

pub(super) const LOAD: Option<&str> = Some("LOAD");
pub(super) const STORE: Option<&str> = Some("STORE");

impl<'w> Walker<'w> {
    fn context(&self, context: ExprContext) -> Option<&'static str> {
        match context {
            _ if self.without_context > 0 => None,
            ExprContext::Store => STORE,
            ExprContext::Del => Some("DEL"),
            ExprContext::Load | ExprContext::Invalid => LOAD,
        }
    }

    /// Visits an expression below a node of LibCST's class `parent`.
    pub(super) fn expression(&mut self, parent: &'static str, expression: &'w Expr) {
        match expression {
            Expr::Name(name) => self.name(parent, name.range, self.context(name.ctx), None),
            Expr::BooleanLiteral(_) | Expr::NoneLiteral(_) => {
                self.name(parent, expression.range(), self.context(ExprContext::Load), None);
            }
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::BytesLiteral(_) | Expr::EllipsisLiteral(_) => {}
            Expr::Attribute(_) => self.attribute(parent, expression),
            expression => self.nested(1, |walker| walker.compound(expression)),
        }
    }

    pub(super) fn optional(&mut self, parent: &'static str, expression: Option<&'w Expr>) {
        if let Some(expression) = expression {
            self.expression(parent, expression);
        }
    }

    fn expressions(&mut self, parent: &'static str, expressions: impl IntoIterator<Item = &'w Expr>) {
        for expression in expressions {
            self.expression(parent, expression);
        }
    }

    /// Elements of a tuple, list or set.
    pub(super) fn elements(&mut self, elements: &'w [Expr]) {
        self.expressions("Element", elements);
    }

    fn compound(&mut self, expression: &'w Expr) {
        match expression {
            Expr::Call(call) => self.call(call),
            Expr::Subscript(x) => {
                self.expression("Subscript", &x.value);
                match x.slice.as_ref() {
                    Expr::Tuple(tuple) if !tuple.parenthesized => tuple.elts.iter().for_each(|e| self.index(e)),
                    slice => self.index(slice),
                }
            }
            Expr::Tuple(x) => self.elements(&x.elts),
            Expr::List(x) => self.elements(&x.elts),
            Expr::Set(x) => self.elements(&x.elts),
            Expr::Starred(x) => self.expression("StarredElement", &x.value),
            Expr::Dict(x) => {
                for item in &x.items {
                    match &item.key {
                        Some(key) => {
                            self.expression("DictElement", key);
                            self.expression("DictElement", &item.value);
                        }
                        None => self.expression("StarredDictElement", &item.value),
                    }
                }
            }
            Expr::BinOp(x) => self.expressions("BinaryOperation", [x.left.as_ref(), &x.right]),
            Expr::BoolOp(x) => self.expressions("BooleanOperation", &x.values),
            Expr::UnaryOp(x) => self.expression("UnaryOperation", &x.operand),
            Expr::Compare(x) => {
                self.expression("Comparison", &x.left);
                self.expressions("ComparisonTarget", x.comparators.iter());
            }
            Expr::If(x) => self.expressions("IfExp", [x.body.as_ref(), &x.test, &x.orelse]),
            Expr::Named(x) => {
                self.expressions("NamedExpr", [x.target.as_ref(), &x.value]);
                self.assigned();
            }
            Expr::Lambda(x) => self.scoped(ScopeKind::Function, None, |walker| {
                walker.parameters(x.parameters.as_deref(), None);
                walker.expression("Lambda", &x.body);
            }),
            Expr::ListComp(x) => self.comprehension("ListComp", &x.generators, None, &x.elt),
            Expr::SetComp(x) => self.comprehension("SetComp", &x.generators, None, &x.elt),
            Expr::Generator(x) => self.comprehension("GeneratorExp", &x.generators, None, &x.elt),
            Expr::DictComp(x) => self.comprehension("DictComp", &x.generators, x.key.as_deref(), &x.value),
            Expr::Await(x) => self.expression("Await", &x.value),
            Expr::Yield(x) => self.optional("Yield", x.value.as_deref()),
            Expr::YieldFrom(x) => self.expression("From", &x.value),
            Expr::FString(x) => {
                for part in x.value.iter() {
                    if let FStringPart::FString(string) = part {
                        self.interpolations("FormattedStringExpression", &string.elements);
                    }
                }
            }
            Expr::TString(x) => {
                for string in x.value.iter() {
                    self.interpolations("TemplatedStringExpression", &string.elements);
                }
            }
            Expr::Slice(x) => {
                self.expressions("Slice", [&x.lower, &x.upper, &x.step].into_iter().filter_map(|e| e.as_deref()));
            }
            // The others are no compound expressions; only notebooks have escapes.
            _ => {}
        }
    }

    fn index(&mut self, index: &'w Expr) {
        match index {
            Expr::Slice(_) => self.expression("Slice", index),
            Expr::Starred(starred) => self.expression("Index", &starred.value),
            index => self.expression("Index", index),
        }
    }

    /// A chain of attributes, from the longest down to what it starts with.
    fn attribute(&mut self, parent: &'static str, longest: &'w Expr) {
        let (mut parent, mut at, mut levels) = (parent, longest, 0);
        while let Expr::Attribute(attribute) = at {
            let scope = (self.skipping == 0).then_some(self.scope);
            self.refs.push(Ref {
                range: attribute.range,
                text: RefText::Attribute(at),
                parent,
                ctx: self.context(attribute.ctx),
                scope,
                resolve: scope.map_or(Resolve::Unscoped, |scope| Resolve::Dotted { scope, expression: at }),
                chain: None,
            });
            parent = "Attribute";
            at = &attribute.value;
            levels += 1;
        }
        self.nested(levels, |walker| match at {
            Expr::Name(_) | Expr::BooleanLiteral(_) | Expr::NoneLiteral(_) => {
                let ctx = walker.context(ExprContext::Load);
                walker.name(parent, at.range(), ctx, Some(longest));
            }
            at => walker.expression(parent, at),
        });
    }

    fn call(&mut self, call: &'w ExprCall) {
        let scope = self.scope;
        let resolve = match call.func.as_ref() {
            _ if self.skipping > 0 => Resolve::Unscoped,
            Expr::Name(_) | Expr::NoneLiteral(_) | Expr::BooleanLiteral(_) => {
                let name = self.scopes.name(self.slice(call.func.range()));
                Resolve::Access { scope, name, index: self.scopes.get(scope).count }
            }
            func => Resolve::Dotted { scope, expression: func },
        };
        self.calls.push(Call { call, scope, resolve });
        let skipped = usize::from(self.leaves_out_first_argument(call));
        self.expression("Call", &call.func);
        for (index, argument) in call.arguments.iter_source_order().enumerate() {
            let skipping = usize::from(index < skipped);
            self.skipping += skipping;
            self.argument(argument);
            self.skipping -= skipping;
        }
    }

    /// LibCST's scope analysis leaves out what `typing.TypeVar` and `typing.NewType` get first: a name in a string.
    fn leaves_out_first_argument(&self, call: &'w ExprCall) -> bool {
        let first = call.arguments.iter_source_order().next();
        if !self.typing || first.is_none_or(|argument| argument.value().is_literal_expr()) {
            return false;
        }
        let mut names = QualifiedNames::default();
        self.resolve(Resolve::Dotted { scope: self.scope, expression: &call.func }, &mut names);
        names.iter().any(|(name, _)| matches!(name, "typing.TypeVar" | "typing.NewType"))
    }

    /// An argument of a call or class.
    pub(super) fn argument(&mut self, argument: ArgOrKeyword<'w>) {
        match argument {
            ArgOrKeyword::Arg(Expr::Starred(starred)) => self.expression("Arg", &starred.value),
            ArgOrKeyword::Arg(value) => self.expression("Arg", value),
            ArgOrKeyword::Keyword(keyword) => {
                if let Some(arg) = &keyword.arg {
                    self.unvisited("Arg", arg.range, self.context(ExprContext::Load));
                }
                self.expression("Arg", &keyword.value);
            }
        }
    }

    fn comprehension(
        &mut self,
        kind: &'static str,
        generators: &'w [Comprehension],
        key: Option<&'w Expr>,
        element: &'w Expr,
    ) {
        let Some((first, inner)) = generators.split_first() else { return };
        self.expression("CompFor", &first.iter);
        self.scoped(ScopeKind::Comprehension, None, |walker| {
            walker.expression("CompFor", &first.target);
            walker.assigned();
            walker.expressions("CompIf", &first.ifs);
            for generator in inner {
                walker.expressions("CompFor", [&generator.target, &generator.iter]);
                walker.expressions("CompIf", &generator.ifs);
            }
            // Each of the inner ones is complete when those within it are.
            inner.iter().for_each(|_| walker.assigned());
            walker.optional(kind, key);
            walker.expression(kind, element);
        });
    }

    fn interpolations(&mut self, kind: &'static str, elements: &'w InterpolatedStringElements) {
        for element in elements {
            if let InterpolatedStringElement::Interpolation(interpolation) = element {
                self.expression(kind, &interpolation.expression);
                if let Some(spec) = &interpolation.format_spec {
                    self.nested(1, |walker| walker.interpolations(kind, &spec.elements));
                }
            }
        }
    }
}
