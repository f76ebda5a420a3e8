//! Statements and patterns.

use ruff_python_ast::{
    Alias, Decorator, ElifElseClause, ExceptHandler, Expr, Identifier, MatchCase, Pattern, Stmt, StmtAnnAssign,
    StmtClassDef, StmtFunctionDef, StmtTypeAlias,
};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::block::{Access, Kind, flag};
use super::build::{Builder, Visit};
use super::future;
use super::names;

impl<'a> Builder<'a> {
    pub(super) fn statement(&mut self, statement: &'a Stmt) -> Visit {
        self.nested(|builder| builder.statement_here(statement))
    }

    fn statement_here(&mut self, statement: &'a Stmt) -> Visit {
        match statement {
            Stmt::FunctionDef(def) => self.function(def),
            Stmt::ClassDef(class) => self.class(class),
            Stmt::TypeAlias(alias) => self.type_alias(alias),
            Stmt::Return(x) => self.optional(x.value.as_deref()),
            Stmt::Delete(x) => self.expressions(&x.targets),
            Stmt::Assign(x) => {
                self.expressions(&x.targets)?;
                self.expression(&x.value)
            }
            Stmt::AugAssign(x) => {
                self.expression(&x.target)?;
                self.expression(&x.value)
            }
            Stmt::AnnAssign(x) => self.annotated_assignment(x),
            Stmt::For(x) => {
                if x.is_async {
                    self.check_coroutine("'async for' outside async function", x.range)?;
                }
                self.expression(&x.target)?;
                self.expression(&x.iter)?;
                self.conditional(|builder| {
                    builder.statements(&x.body)?;
                    builder.statements(&x.orelse)
                })
            }
            Stmt::While(x) => {
                self.expression(&x.test)?;
                self.conditional(|builder| {
                    builder.statements(&x.body)?;
                    builder.statements(&x.orelse)
                })
            }
            Stmt::If(x) => {
                self.expression(&x.test)?;
                self.conditional(|builder| {
                    builder.statements(&x.body)?;
                    builder.clauses(&x.elif_else_clauses)
                })
            }
            Stmt::With(x) => {
                if x.is_async {
                    self.check_coroutine("'async with' outside async function", x.range)?;
                }
                self.conditional(|builder| {
                    for item in &x.items {
                        builder.expression(&item.context_expr)?;
                        builder.optional(item.optional_vars.as_deref())?;
                    }
                    builder.statements(&x.body)
                })
            }
            Stmt::Match(x) => {
                self.expression(&x.subject)?;
                self.conditional(|builder| x.cases.iter().try_for_each(|case| builder.case(case)))
            }
            Stmt::Raise(x) => {
                self.optional(x.exc.as_deref())?;
                self.optional(x.cause.as_deref())
            }
            Stmt::Try(x) => self.conditional(|builder| {
                builder.statements(&x.body)?;
                if builder.rules.handlers_after_else {
                    builder.statements(&x.orelse)?;
                    builder.handlers(&x.handlers)?;
                } else {
                    builder.handlers(&x.handlers)?;
                    builder.statements(&x.orelse)?;
                }
                builder.statements(&x.finalbody)
            }),
            Stmt::Assert(x) => {
                self.expression(&x.test)?;
                self.optional(x.msg.as_deref())
            }
            Stmt::Import(x) => x.names.iter().try_for_each(|alias| self.alias(alias, true)),
            Stmt::ImportFrom(x) => {
                x.names.iter().try_for_each(|alias| self.alias(alias, false))?;
                future::check_import(self, x)
            }
            Stmt::Global(x) => x.names.iter().try_for_each(|name| self.declare(name, Access::Global, x.range)),
            Stmt::Nonlocal(x) => x.names.iter().try_for_each(|name| self.declare(name, Access::Nonlocal, x.range)),
            Stmt::Expr(x) => self.expression(&x.value),
            // Only notebooks have the last of these; the parser refuses it in a module.
            Stmt::Pass(_) | Stmt::Break(_) | Stmt::Continue(_) | Stmt::IpyEscapeCommand(_) => Ok(()),
        }
    }

    /// `elif` is an `if` in the `else` of the one before.
    fn clauses(&mut self, clauses: &'a [ElifElseClause]) -> Visit {
        let Some((clause, rest)) = clauses.split_first() else { return Ok(()) };
        let Some(test) = &clause.test else { return self.statements(&clause.body) };
        self.nested(|builder| {
            builder.expression(test)?;
            builder.statements(&clause.body)?;
            builder.clauses(rest)
        })
    }

    fn handlers(&mut self, handlers: &'a [ExceptHandler]) -> Visit {
        for ExceptHandler::ExceptHandler(handler) in handlers {
            self.optional(handler.type_.as_deref())?;
            if let Some(name) = &handler.name {
                self.bind(name, Access::Store, flag::LOCAL, handler.range)?;
            }
            self.statements(&handler.body)?;
        }
        Ok(())
    }

    fn check_coroutine(&mut self, message: &str, range: TextRange) -> Visit {
        if self.rules.early_checks && !self.block().coroutine {
            return self.refuse(message, range);
        }
        Ok(())
    }

    /// The range of a definition: to CPython it starts behind its decorators.
    fn definition(&self, range: TextRange, decorators: &[Decorator]) -> TextRange {
        TextRange::new(self.module.definition_start(range, decorators), range.end())
    }

    fn decorators(&mut self, decorators: &'a [Decorator]) -> Visit {
        decorators.iter().try_for_each(|decorator| self.expression(&decorator.expression))
    }

    fn function(&mut self, def: &'a StmtFunctionDef) -> Visit {
        let range = self.definition(def.range, &def.decorator_list);
        self.bind(&def.name, Access::Definition, flag::LOCAL, range)?;
        self.defaults(&def.parameters)?;
        if self.rules.decorators_last {
            self.annotations(def, range)?;
        }
        self.decorators(&def.decorator_list)?;
        let name = self.blocks.names.intern(&def.name.id);
        if let Some(params) = &def.type_params {
            self.enter_type_params(name, range)?;
            // Even without any.
            self.define(names::DOT_DEFAULTS, flag::PARAM, range)?;
            if def.parameters.kwonlyargs.iter().any(|p| p.default.is_some()) {
                self.define(names::DOT_KWDEFAULTS, flag::PARAM, range)?;
            }
            self.type_params(params)?;
        }
        if !self.rules.decorators_last {
            self.annotations(def, range)?;
        }
        self.enter(Kind::Function, name, range)?;
        self.block_mut().coroutine = def.is_async;
        self.parameters(&def.parameters)?;
        self.statements(&def.body)?;
        self.exit();
        if def.type_params.is_some() {
            self.exit();
        }
        Ok(())
    }

    fn class(&mut self, class: &'a StmtClassDef) -> Visit {
        let range = self.definition(class.range, &class.decorator_list);
        self.bind(&class.name, Access::Definition, flag::LOCAL, range)?;
        if !self.rules.decorators_last {
            self.decorators(&class.decorator_list)?;
        }
        let name = self.blocks.names.intern(&class.name.id);
        let outer_private = self.private;
        if let Some(params) = &class.type_params {
            self.enter_type_params(name, range)?;
            self.define(names::DOT_TYPE_PARAMS, flag::LOCAL, range)?;
            self.define(names::DOT_TYPE_PARAMS, flag::USE, range)?;
            self.define(names::DOT_GENERIC_BASE, flag::LOCAL, range)?;
            self.define(names::DOT_GENERIC_BASE, flag::USE, range)?;
            self.private = Some(name);
            // Of a generic class's head only the type parameters are mangled, since 3.12.4 (gh-119311).
            self.block_mut().mangled = Some(self.mangled_sets.len());
            self.mangled_sets.push(vec![]);
            self.type_params(params)?;
        }
        self.expressions(class.bases())?;
        self.keywords(class.keywords())?;
        if self.rules.decorators_last {
            self.decorators(&class.decorator_list)?;
        }
        self.enter(Kind::Class, name, range)?;
        self.private = Some(name);
        if class.type_params.is_some() {
            self.define(names::TYPE_PARAMS, flag::LOCAL, range)?;
            self.define(names::DOT_TYPE_PARAMS, flag::USE, range)?;
        }
        self.statements(&class.body)?;
        self.exit();
        if class.type_params.is_some() {
            self.exit();
        }
        self.private = outer_private;
        Ok(())
    }

    fn type_alias(&mut self, alias: &'a StmtTypeAlias) -> Visit {
        self.expression(&alias.name)?;
        // The parser takes nothing but a name.
        let Expr::Name(target) = &*alias.name else { return Ok(()) };
        let name = self.blocks.names.intern(&target.id);
        let in_class = self.kind() == Kind::Class;
        if let Some(params) = &alias.type_params {
            self.enter_type_params(name, alias.range)?;
            self.type_params(params)?;
        }
        self.enter(Kind::TypeAlias, name, alias.range)?;
        self.see_class(in_class, alias.value.range())?;
        self.expression(&alias.value)?;
        self.exit();
        if alias.type_params.is_some() {
            self.exit();
        }
        Ok(())
    }

    fn annotated_assignment(&mut self, assignment: &'a StmtAnnAssign) -> Visit {
        if let Expr::Name(target) = &*assignment.target {
            let name = self.blocks.names.intern(&target.id);
            let declared = self.known(name) & (flag::GLOBAL | flag::NONLOCAL);
            if declared != 0 && assignment.simple && self.kind() != Kind::Module {
                let kind = if declared & flag::GLOBAL != 0 { "global" } else { "nonlocal" };
                let message = format!("annotated name '{}' can't be {kind}", target.id);
                return self.refuse(message, assignment.range);
            }
            let access = if assignment.value.is_some() { Access::Store } else { Access::Annotation };
            if assignment.simple {
                self.occurrence(name, target.range, access, flag::ANNOT | flag::LOCAL, target.range)?;
            } else if assignment.value.is_some() {
                self.occurrence(name, target.range, access, flag::LOCAL, target.range)?;
            } else {
                self.record(name, None, access, target.range);
            }
        } else {
            self.expression(&assignment.target)?;
        }
        self.annotation(&assignment.annotation)?;
        self.optional(assignment.value.as_deref())
    }

    /// A name of a `global` or `nonlocal` statement.
    fn declare(&mut self, identifier: &'a Identifier, access: Access, range: TextRange) -> Visit {
        let name = self.blocks.names.intern(&identifier.id);
        let known = self.known(name);
        let (flags, kind) = match access {
            Access::Global => (flag::GLOBAL, "global"),
            _ => (flag::NONLOCAL, "nonlocal"),
        };
        if known & (flag::PARAM | flag::LOCAL | flag::USE | flag::ANNOT) != 0 {
            let name = &identifier.id;
            let message = if known & flag::PARAM != 0 {
                format!("name '{name}' is parameter and {kind}")
            } else if known & flag::USE != 0 {
                format!("name '{name}' is used prior to {kind} declaration")
            } else if known & flag::ANNOT != 0 {
                format!("annotated name '{name}' can't be {kind}")
            } else {
                format!("name '{name}' is assigned to before {kind} declaration")
            };
            return self.refuse(message, range);
        }
        self.occurrence(name, identifier.range, access, flags, range)?;
        self.direct(name, range);
        Ok(())
    }

    /// `import a.b` binds `a`.
    fn alias(&mut self, alias: &'a Alias, dotted: bool) -> Visit {
        let bound = alias.asname.as_ref().unwrap_or(&alias.name);
        if bound.id == "*" {
            if self.kind() == Kind::Module {
                return Ok(());
            }
            let place = if self.rules.errors_at_block { self.block().range } else { alias.range };
            return self.refuse("import * only allowed at module level", place);
        }
        let (text, length) = match bound.id.find('.') {
            // What is written can have blanks around the dots.
            Some(dot) if dotted => (&bound.id[..dot], self.first_name_length(bound.range)),
            _ => (bound.id.as_str(), bound.range.len()),
        };
        let name = self.blocks.names.intern(text);
        let range = TextRange::at(bound.range.start(), length);
        self.occurrence(name, range, Access::Import, flag::IMPORT, alias.range)
    }

    fn first_name_length(&self, range: TextRange) -> TextSize {
        let written = self.module.slice(range);
        let end = written.find(|c: char| c == '.' || c.is_ascii_whitespace() || c == '\\').unwrap_or(written.len());
        TextSize::new(end as u32)
    }

    fn case(&mut self, case: &'a MatchCase) -> Visit {
        self.pattern(&case.pattern)?;
        self.optional(case.guard.as_deref())?;
        self.statements(&case.body)
    }

    fn pattern(&mut self, pattern: &'a Pattern) -> Visit {
        self.nested(|builder| builder.pattern_here(pattern))
    }

    fn patterns(&mut self, patterns: &'a [Pattern]) -> Visit {
        patterns.iter().try_for_each(|pattern| self.pattern(pattern))
    }

    fn pattern_here(&mut self, pattern: &'a Pattern) -> Visit {
        let capture = |builder: &mut Self, name: Option<&'a Identifier>| match name {
            Some(name) => builder.bind(name, Access::Store, flag::LOCAL, pattern.range()),
            None => Ok(()),
        };
        match pattern {
            Pattern::MatchValue(x) => self.expression(&x.value),
            Pattern::MatchSingleton(_) => Ok(()),
            Pattern::MatchSequence(x) => self.patterns(&x.patterns),
            Pattern::MatchStar(x) => capture(self, x.name.as_ref()),
            Pattern::MatchMapping(x) => {
                self.expressions(&x.keys)?;
                self.patterns(&x.patterns)?;
                capture(self, x.rest.as_ref())
            }
            Pattern::MatchClass(x) => {
                self.expression(&x.cls)?;
                self.patterns(&x.arguments.patterns)?;
                for keyword in &x.arguments.keywords {
                    self.check_debug_text(&keyword.attr.id, Access::Store, keyword.pattern.range())?;
                }
                x.arguments.keywords.iter().try_for_each(|keyword| self.pattern(&keyword.pattern))
            }
            Pattern::MatchAs(x) => {
                if let Some(pattern) = &x.pattern {
                    self.pattern(pattern)?;
                }
                capture(self, x.name.as_ref())
            }
            Pattern::MatchOr(x) => self.patterns(&x.patterns),
        }
    }
}
