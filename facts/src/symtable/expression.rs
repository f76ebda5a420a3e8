//! Expressions.

use ruff_python_ast::{
    Comprehension, Expr, ExprContext, ExprLambda, ExprName, ExprNamed, InterpolatedStringElement,
    InterpolatedStringElements, Keyword,
};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::block::{self, Access, Kind, flag};
use super::build::{Builder, Visit};
use super::names::{self, NameId};

impl<'a> Builder<'a> {
    #[inline]
    pub(super) fn expression(&mut self, expression: &'a Expr) -> Visit {
        match expression {
            Expr::Name(x) => self.name(x),
            Expr::StringLiteral(_)
            | Expr::BytesLiteral(_)
            | Expr::NumberLiteral(_)
            | Expr::BooleanLiteral(_)
            | Expr::NoneLiteral(_)
            | Expr::EllipsisLiteral(_)
            | Expr::IpyEscapeCommand(_) => Ok(()),
            _ => self.nested(|builder| builder.expression_here(expression)),
        }
    }

    pub(super) fn expressions(&mut self, expressions: &'a [Expr]) -> Visit {
        expressions.iter().try_for_each(|expression| self.expression(expression))
    }

    pub(super) fn optional(&mut self, expression: Option<&'a Expr>) -> Visit {
        expression.map_or(Ok(()), |expression| self.expression(expression))
    }

    fn expression_here(&mut self, expression: &'a Expr) -> Visit {
        match expression {
            Expr::Attribute(x) => {
                self.check_debug_text(&x.attr.id, access(x.ctx), x.range)?;
                self.expression(&x.value)
            }
            Expr::Call(x) => {
                self.expression(&x.func)?;
                for argument in &x.arguments.args {
                    match argument {
                        // To CPython a sole generator without parentheses of its own takes those of the call.
                        Expr::Generator(generator) if !generator.parenthesized => {
                            let range = x.arguments.range;
                            self.nested(|builder| builder.generator(range, &generator.generators, &generator.elt))?;
                        }
                        argument => self.expression(argument)?,
                    }
                }
                self.keywords(&x.arguments.keywords)
            }
            Expr::Subscript(x) => {
                self.expression(&x.value)?;
                self.expression(&x.slice)
            }
            Expr::BoolOp(x) => self.expressions(&x.values),
            Expr::Named(x) => self.named(x),
            Expr::BinOp(x) => {
                self.expression(&x.left)?;
                self.expression(&x.right)
            }
            Expr::UnaryOp(x) => self.expression(&x.operand),
            Expr::Lambda(x) => self.lambda(x),
            Expr::If(x) => {
                self.expression(&x.test)?;
                self.expression(&x.body)?;
                self.expression(&x.orelse)
            }
            Expr::Dict(x) => {
                x.iter_keys().flatten().try_for_each(|key| self.expression(key))?;
                x.iter_values().try_for_each(|value| self.expression(value))
            }
            Expr::Set(x) => self.expressions(&x.elts),
            Expr::ListComp(x) => self.comprehension(block::Comprehension::List, x.range, &x.generators, &x.elt, None),
            Expr::SetComp(x) => self.comprehension(block::Comprehension::Set, x.range, &x.generators, &x.elt, None),
            Expr::DictComp(x) => {
                let (element, value) = match &x.key {
                    Some(key) => (&**key, Some(&*x.value)),
                    None => (&*x.value, None),
                };
                self.comprehension(block::Comprehension::Dict, x.range, &x.generators, element, value)
            }
            Expr::Generator(x) => self.generator(x.range, &x.generators, &x.elt),
            Expr::Await(x) => {
                self.check_annotation("await expression", x.range)?;
                if self.rules.early_checks {
                    self.check_await(x.range)?;
                }
                self.expression(&x.value)?;
                self.block_mut().coroutine = true;
                Ok(())
            }
            Expr::Yield(x) => self.yields(x.value.as_deref(), x.range),
            Expr::YieldFrom(x) => self.yields(Some(&x.value), x.range),
            Expr::Compare(x) => {
                self.expression(&x.left)?;
                self.expressions(&x.comparators)
            }
            Expr::FString(x) if self.rules.lines_of_first_string => {
                let Some(first) = x.value.iter().next() else { return Ok(()) };
                x.value.elements().try_for_each(|element| self.interpolated_by(element, first.range()))
            }
            Expr::FString(x) => x.value.elements().try_for_each(|element| self.interpolated(element)),
            Expr::TString(x) => x.value.elements().try_for_each(|element| self.interpolated(element)),
            Expr::Starred(x) => self.expression(&x.value),
            Expr::List(x) => self.expressions(&x.elts),
            Expr::Tuple(x) => self.expressions(&x.elts),
            Expr::Slice(x) => {
                self.optional(x.lower.as_deref())?;
                self.optional(x.upper.as_deref())?;
                self.optional(x.step.as_deref())
            }
            Expr::Name(_)
            | Expr::StringLiteral(_)
            | Expr::BytesLiteral(_)
            | Expr::NumberLiteral(_)
            | Expr::BooleanLiteral(_)
            | Expr::NoneLiteral(_)
            | Expr::EllipsisLiteral(_)
            | Expr::IpyEscapeCommand(_) => Ok(()),
        }
    }

    #[inline]
    fn name(&mut self, x: &'a ExprName) -> Visit {
        let name = self.blocks.names.intern(&x.id);
        let access = access(x.ctx);
        if self.block().unevaluated {
            self.record(name, None, access, x.range);
            return Ok(());
        }
        let flags = if access == Access::Load { flag::USE } else { flag::LOCAL };
        self.occurrence(name, x.range, access, flags, x.range)?;
        // `super` is a use of `__class__` too.
        if name == names::SUPER && access == Access::Load && self.kind().is_function_like() {
            self.define(names::CLASS, flag::USE, x.range)?;
        }
        Ok(())
    }

    fn interpolated(&mut self, element: &'a InterpolatedStringElement) -> Visit {
        let InterpolatedStringElement::Interpolation(x) = element else { return Ok(()) };
        self.expression(&x.expression)?;
        match &x.format_spec {
            Some(spec) => self.nested(|builder| builder.format_spec(&spec.elements)),
            None => Ok(()),
        }
    }

    /// Visits an element whose lines CPython takes from the first string that is written with it.
    fn interpolated_by(&mut self, element: &'a InterpolatedStringElement, first: TextRange) -> Visit {
        let InterpolatedStringElement::Interpolation(x) = element else { return Ok(()) };
        let module = self.module;
        let before = self.line_shift;
        let found = module.slice(first).find(module.slice(x.range)).unwrap_or_default();
        let line_at = |at| module.locator().span(TextRange::empty(at)).lineno;
        let place = first.start() + TextSize::new(found as u32);
        self.line_shift += line_at(place) - line_at(x.range.start());
        self.interpolated(element)?;
        self.line_shift = before;
        Ok(())
    }

    fn format_spec(&mut self, elements: &'a InterpolatedStringElements) -> Visit {
        elements.iter().try_for_each(|element| self.interpolated(element))
    }

    pub(super) fn keywords(&mut self, keywords: &'a [Keyword]) -> Visit {
        for keyword in keywords {
            if let Some(name) = &keyword.arg {
                self.check_debug_text(&name.id, Access::Store, keyword.range)?;
            }
        }
        keywords.iter().try_for_each(|keyword| self.expression(&keyword.value))
    }

    fn lambda(&mut self, lambda: &'a ExprLambda) -> Visit {
        if self.rules.plain_class_annotations && self.block().sees_class {
            return self.refuse("Cannot use lambda in annotation scope within class scope", lambda.range);
        }
        if let Some(parameters) = &lambda.parameters {
            self.defaults(parameters)?;
        }
        self.enter(Kind::Function, names::LAMBDA, lambda.range)?;
        if let Some(parameters) = &lambda.parameters {
            self.parameters(parameters)?;
        }
        self.expression(&lambda.body)?;
        self.exit();
        Ok(())
    }

    fn check_await(&mut self, range: TextRange) -> Visit {
        let block = self.block();
        if !block.kind.is_function_like() {
            return self.refuse("'await' outside function", range);
        }
        if !self.in_async_function() && block.comprehension.is_none() {
            return self.refuse("'await' outside async function", range);
        }
        Ok(())
    }

    fn in_async_function(&self) -> bool {
        self.block().kind == Kind::Function && self.block().coroutine
    }

    fn yields(&mut self, value: Option<&'a Expr>, range: TextRange) -> Visit {
        self.check_annotation("yield expression", range)?;
        self.optional(value)?;
        self.block_mut().generator = true;
        match self.block().comprehension {
            // Noticed at the end of the comprehension.
            Some(_) if self.rules.errors_at_block => Ok(()),
            Some(kind) => self.refuse_yield(kind, range),
            None => Ok(()),
        }
    }

    fn refuse_yield(&mut self, comprehension: block::Comprehension, range: TextRange) -> Visit {
        let place = match comprehension {
            block::Comprehension::List => "list comprehension",
            block::Comprehension::Set => "set comprehension",
            block::Comprehension::Dict => "dict comprehension",
            block::Comprehension::Generator => "generator expression",
        };
        self.refuse(format!("'yield' inside {place}"), range)
    }

    fn generator(&mut self, range: TextRange, generators: &'a [Comprehension], element: &'a Expr) -> Visit {
        self.comprehension(block::Comprehension::Generator, range, generators, element, None)
    }

    fn comprehension(
        &mut self,
        kind: block::Comprehension,
        range: TextRange,
        generators: &'a [Comprehension],
        element: &'a Expr,
        value: Option<&'a Expr>,
    ) -> Visit {
        if self.rules.plain_class_annotations && self.block().sees_class {
            return self.refuse("Cannot use comprehension in annotation scope within class scope", range);
        }
        let Some((outermost, rest)) = generators.split_first() else { return Ok(()) };
        // The first iterable is evaluated outside.
        self.iterable(&outermost.iter)?;
        let name = match kind {
            block::Comprehension::List => names::LISTCOMP,
            block::Comprehension::Set => names::SETCOMP,
            block::Comprehension::Dict => names::DICTCOMP,
            block::Comprehension::Generator => names::GENEXPR,
        };
        self.enter(Kind::Function, name, range)?;
        self.block_mut().comprehension = Some(kind);
        self.block_mut().coroutine = outermost.is_async;
        self.define(names::ITERATOR, flag::PARAM, range)?;
        self.target(&outermost.target)?;
        self.expressions(&outermost.ifs)?;
        for generator in rest {
            self.target(&generator.target)?;
            self.iterable(&generator.iter)?;
            self.expressions(&generator.ifs)?;
            self.block_mut().coroutine |= generator.is_async;
        }
        self.optional(value)?;
        self.expression(element)?;
        if self.block().generator && self.rules.errors_at_block {
            return self.refuse_yield(kind, range);
        }
        let is_generator = kind == block::Comprehension::Generator;
        self.block_mut().generator = is_generator;
        let is_async = self.block().coroutine && !is_generator;
        self.exit();
        if is_async && self.rules.early_checks && !self.in_async_function() && self.block().comprehension.is_none() {
            return self.refuse("asynchronous comprehension outside of an asynchronous function", range);
        }
        self.block_mut().coroutine |= is_async;
        Ok(())
    }

    fn target(&mut self, target: &'a Expr) -> Visit {
        self.block_mut().in_target = true;
        self.expression(target)?;
        self.block_mut().in_target = false;
        Ok(())
    }

    fn iterable(&mut self, iterable: &'a Expr) -> Visit {
        self.block_mut().iterables += 1;
        self.expression(iterable)?;
        self.block_mut().iterables -= 1;
        Ok(())
    }

    fn named(&mut self, named: &'a ExprNamed) -> Visit {
        self.check_annotation("named expression", named.range)?;
        if self.block().iterables > 0 {
            let message = "assignment expression cannot be used in a comprehension iterable expression";
            return self.refuse(message, named.range);
        }
        if self.block().comprehension.is_some()
            && let Expr::Name(target) = &*named.target
        {
            let name = self.blocks.names.intern(&target.id);
            self.bind_outside(name, target.range)?;
        }
        self.expression(&named.value)?;
        self.expression(&named.target)
    }

    /// Binds the target of `:=` in a comprehension: in the block around all comprehensions (PEP 572).
    fn bind_outside(&mut self, name: NameId, range: TextRange) -> Visit {
        for depth in (0..self.stack.len()).rev() {
            let id = self.stack[depth];
            // Before 3.13, CPython looks for the name as it is written, and binds the mangled one.
            let known = if self.rules.type_defaults {
                let mangled = self.mangle_in(id, name);
                self.blocks.flags(id, mangled)
            } else {
                self.blocks.flags(id, name)
            };
            let block = &self.blocks[id];
            if block.comprehension.is_some() {
                if known & flag::COMP_ITER != 0 && known & flag::LOCAL != 0 {
                    let text = self.blocks.names.text(name);
                    let message =
                        format!("assignment expression cannot rebind comprehension iteration variable '{text}'");
                    return self.refuse(message, range);
                }
                continue;
            }
            let place = match block.kind {
                Kind::Function => {
                    let flags = if known & flag::GLOBAL != 0 { flag::GLOBAL } else { flag::NONLOCAL };
                    self.define(name, flags, range)?;
                    self.direct(name, range);
                    return self.define_in(id, name, flag::LOCAL, range).map(|_| ());
                }
                Kind::Module => {
                    self.define(name, flag::GLOBAL, range)?;
                    self.direct(name, range);
                    return self.define_in(id, name, flag::GLOBAL, range).map(|_| ());
                }
                Kind::Annotation => continue,
                Kind::Class => "used in a class body",
                Kind::TypeParameters => "used within the definition of a generic",
                Kind::TypeAlias => "used in a type alias",
                Kind::TypeVariable => "used in a TypeVar bound",
            };
            return self.refuse(format!("assignment expression within a comprehension cannot be {place}"), range);
        }
        Ok(())
    }
}

fn access(context: ExprContext) -> Access {
    match context {
        ExprContext::Store => Access::Store,
        ExprContext::Del => Access::Delete,
        ExprContext::Load | ExprContext::Invalid => Access::Load,
    }
}
