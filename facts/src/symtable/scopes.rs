//! Parameters, annotations and type parameters: what surrounds the body of a definition.

use ruff_python_ast::{Expr, Parameter, Parameters, StmtFunctionDef, TypeParam, TypeParams};
use ruff_text_size::{Ranged, TextRange};

use super::block::{Access, BlockId, Kind, flag};
use super::build::{Builder, Visit};
use super::names::{self, NameId};

impl<'a> Builder<'a> {
    /// Defaults are evaluated outside.
    pub(super) fn defaults(&mut self, parameters: &'a Parameters) -> Visit {
        let positional = parameters.posonlyargs.iter().chain(&parameters.args);
        positional.chain(&parameters.kwonlyargs).try_for_each(|parameter| self.optional(parameter.default.as_deref()))
    }

    /// Names of parameters, in CPython's order: `*args` and `**kwargs` come last.
    pub(super) fn parameters(&mut self, parameters: &'a Parameters) -> Visit {
        let plain = parameters.posonlyargs.iter().chain(&parameters.args).chain(&parameters.kwonlyargs);
        plain.map(|parameter| &parameter.parameter).try_for_each(|parameter| self.parameter(parameter))?;
        parameters.vararg.iter().chain(&parameters.kwarg).try_for_each(|parameter| self.parameter(parameter))
    }

    /// CPython's `arg` starts at the name, behind `*` and `**`.
    fn parameter(&mut self, parameter: &'a Parameter) -> Visit {
        let place = TextRange::new(parameter.name.start(), parameter.range.end());
        self.bind(&parameter.name, Access::Parameter, flag::PARAM, place)
    }

    /// Annotations of a function, its return annotation among them.
    pub(super) fn annotations(&mut self, def: &'a StmtFunctionDef, range: TextRange) -> Visit {
        let returns = def.returns.as_deref();
        if self.rules.deferred_annotations {
            let in_class = self.block().sees_class || self.kind() == Kind::Class;
            self.enter(Kind::Annotation, names::ANNOTATE, range)?;
            self.see_class(in_class, range)?;
            self.parameter_annotations(&def.parameters)?;
            self.optional(returns)?;
            self.exit();
            return Ok(());
        }
        self.maybe_detached(range, |builder| builder.parameter_annotations(&def.parameters))?;
        match returns {
            Some(returns) => self.maybe_detached(returns.range(), |builder| builder.expression(returns)),
            None => Ok(()),
        }
    }

    fn parameter_annotations(&mut self, parameters: &'a Parameters) -> Visit {
        let positional = parameters.posonlyargs.iter().chain(&parameters.args).map(|parameter| &parameter.parameter);
        let variadic = parameters.vararg.iter().chain(&parameters.kwarg).map(|parameter| &**parameter);
        let keyword = parameters.kwonlyargs.iter().map(|parameter| &parameter.parameter);
        let mut all = positional.chain(variadic).chain(keyword);
        all.try_for_each(|parameter| self.optional(parameter.annotation.as_deref()))
    }

    /// The annotation of a variable.
    pub(super) fn annotation(&mut self, annotation: &'a Expr) -> Visit {
        if self.rules.deferred_annotations {
            return self.deferred_annotation(annotation);
        }
        self.maybe_detached(annotation.range(), |builder| builder.expression(annotation))
    }

    /// Annotations that are kept as text leave no trace in the table, but must be well-formed.
    fn maybe_detached(&mut self, range: TextRange, visit: impl FnOnce(&mut Self) -> Visit) -> Visit {
        if !self.rules.annotations_detached || !self.text_annotations {
            return visit(self);
        }
        self.enter(Kind::Annotation, names::ANNOTATION, range)?;
        visit(self)?;
        self.exit();
        Ok(())
    }

    /// All variables of a block have their annotations in one block (PEP 649).
    fn deferred_annotation(&mut self, annotation: &'a Expr) -> Visit {
        let range = annotation.range();
        let (outer, kind) = (self.current(), self.kind());
        // In a function they are not evaluated. In a module, which can stop half-way, each might not be.
        let conditional = kind == Kind::Module || kind == Kind::Class && self.block().conditional;
        if conditional && !self.block().conditional_annotations {
            self.block_mut().conditional_annotations = true;
            self.define(names::CONDITIONAL_ANNOTATIONS, flag::USE, range)?;
        }
        match self.block().annotations {
            Some(block) => self.enter_existing(block),
            None => {
                self.enter(Kind::Annotation, names::ANNOTATE, range)?;
                self.blocks[outer].annotations = Some(self.current());
                self.see_class(kind == Kind::Class && !self.text_annotations, range)?;
            }
        }
        let block: BlockId = self.current();
        self.blocks[block].unevaluated = kind == Kind::Function;
        self.expression(annotation)?;
        self.blocks[block].unevaluated = false;
        self.exit();
        Ok(())
    }

    /// Lets the current annotation scope see the names of the class around it, which takes a use of `__classdict__`.
    pub(super) fn see_class(&mut self, in_class: bool, range: TextRange) -> Visit {
        self.block_mut().sees_class = in_class;
        if in_class {
            self.define(names::CLASSDICT, flag::USE, range)?;
        }
        Ok(())
    }

    /// Opens the scope of a generic definition's type parameters (PEP 695).
    pub(super) fn enter_type_params(&mut self, name: NameId, range: TextRange) -> Visit {
        let in_class = self.kind() == Kind::Class;
        self.enter(Kind::TypeParameters, name, range)?;
        self.see_class(in_class, range)
    }

    pub(super) fn type_params(&mut self, params: &'a TypeParams) -> Visit {
        for param in params.iter() {
            let (bound, default_of) = match param {
                TypeParam::TypeVar(x) => (x.bound.as_deref(), "a TypeVar default"),
                TypeParam::TypeVarTuple(_) => (None, "a TypeVarTuple default"),
                TypeParam::ParamSpec(_) => (None, "a ParamSpec default"),
            };
            self.nested(|builder| {
                let identifier = param.name();
                let flags = flag::TYPE_PARAM | flag::LOCAL;
                builder.bind(identifier, Access::TypeParameter, flags, param.range())?;
                let name = builder.blocks.names.intern(&identifier.id);
                if name == names::CLASSDICT && builder.rules.early_checks {
                    let message = "reserved name '__classdict__' cannot be used for type parameter";
                    return builder.refuse(message, param.range());
                }
                if let Some(bound) = bound {
                    let is_tuple = builder.rules.type_defaults && bound.is_tuple_expr();
                    let purpose = if is_tuple { "a TypeVar constraint" } else { "a TypeVar bound" };
                    builder.type_variable(name, bound, purpose, param.range())?;
                }
                match param.default() {
                    Some(default) => builder.type_variable(name, default, default_of, param.range()),
                    None => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    /// A bound or default, which is evaluated lazily.
    fn type_variable(&mut self, name: NameId, value: &'a Expr, purpose: &'static str, param: TextRange) -> Visit {
        let in_class = self.block().sees_class;
        let range = if self.rules.type_defaults { value.range() } else { param };
        self.enter(Kind::TypeVariable, name, range)?;
        self.see_class(in_class, value.range())?;
        self.block_mut().purpose = purpose;
        self.expression(value)?;
        self.exit();
        Ok(())
    }

    /// Refuses what can't be evaluated lazily.
    pub(super) fn check_annotation(&mut self, what: &str, range: TextRange) -> Visit {
        let place = match self.kind() {
            Kind::Annotation => "an annotation",
            Kind::TypeVariable => self.block().purpose,
            Kind::TypeAlias => "a type alias",
            Kind::TypeParameters => "the definition of a generic",
            Kind::Module | Kind::Class | Kind::Function => return Ok(()),
        };
        let message = if self.rules.type_scopes {
            format!("{what} cannot be used within {place}")
        } else {
            format!("'{what}' can not be used within {place}")
        };
        self.refuse(message, range)
    }
}
