//! Statements.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{
    Alias, Decorator, ExceptHandler, Expr, Identifier, Parameter, Parameters, Stmt, StmtClassDef, StmtFunctionDef,
    TypeParam, TypeParams,
};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::expression::{LOAD, STORE};
use super::names::starts;
use super::scope::ScopeKind;
use super::walk::{Def, Owner, Ref, RefText, Resolve, TypeExpr, Walker};

impl<'w> Walker<'w> {
    pub(super) fn statements(&mut self, statements: &'w [Stmt]) {
        for statement in statements {
            self.nested(1, |walker| walker.statement(statement));
        }
    }

    fn statement(&mut self, statement: &'w Stmt) {
        match statement {
            Stmt::FunctionDef(x) => self.function(statement, x),
            Stmt::ClassDef(x) => self.class(statement, x),
            Stmt::Return(x) => self.optional("Return", x.value.as_deref()),
            Stmt::Delete(x) => match x.targets.as_slice() {
                [target] if !self.is_followed_by_comma(target, x.range.end()) => self.expression("Del", target),
                targets => self.elements(targets),
            },
            Stmt::TypeAlias(x) => {
                let name = self.scopes.name(self.slice(x.name.range()));
                self.scopes.assign(self.scope, name);
                self.unvisited("TypeAlias", x.name.range(), LOAD);
                self.scoped(ScopeKind::Annotation, None, |walker| {
                    walker.type_params(x.type_params.as_deref(), LOAD);
                    walker.expression("TypeAlias", &x.value);
                });
                self.assigned();
            }
            Stmt::Assign(x) => {
                x.targets.iter().for_each(|target| self.expression("AssignTarget", target));
                self.expression("Assign", &x.value);
                self.assigned();
            }
            Stmt::AugAssign(x) => {
                self.expression("AugAssign", &x.target);
                self.expression("AugAssign", &x.value);
                self.assigned();
            }
            Stmt::AnnAssign(x) => {
                self.expression("AnnAssign", &x.target);
                self.found.type_exprs.push(TypeExpr {
                    owner: self.owners.last().copied(),
                    role: "variable",
                    parameter: None,
                    expression: &x.annotation,
                    from: x.target.end(),
                });
                self.expression("Annotation", &x.annotation);
                self.optional("AnnAssign", x.value.as_deref());
                self.assigned();
            }
            Stmt::For(x) => {
                self.expression("For", &x.target);
                self.assigned();
                self.expression("For", &x.iter);
                self.statements(&x.body);
                self.statements(&x.orelse);
            }
            Stmt::While(x) => {
                self.expression("While", &x.test);
                self.statements(&x.body);
                self.statements(&x.orelse);
            }
            Stmt::If(x) => {
                self.expression("If", &x.test);
                self.statements(&x.body);
                for clause in &x.elif_else_clauses {
                    self.optional("If", clause.test.as_ref());
                    self.statements(&clause.body);
                }
            }
            Stmt::With(x) => {
                for item in &x.items {
                    self.expression("WithItem", &item.context_expr);
                    if let Some(target) = &item.optional_vars {
                        self.expression("AsName", target);
                        self.assigned();
                    }
                    self.assigned();
                }
                self.statements(&x.body);
            }
            Stmt::Match(x) => {
                self.expression("Match", &x.subject);
                for case in &x.cases {
                    self.pattern(&case.pattern);
                    self.optional("MatchCase", case.guard.as_deref());
                    self.statements(&case.body);
                }
            }
            Stmt::Raise(x) => {
                self.optional("Raise", x.exc.as_deref());
                self.optional("From", x.cause.as_deref());
            }
            Stmt::Try(x) => {
                self.statements(&x.body);
                let kind = if x.is_star { "ExceptStarHandler" } else { "ExceptHandler" };
                for ExceptHandler::ExceptHandler(handler) in &x.handlers {
                    self.optional(kind, handler.type_.as_deref());
                    if let Some(name) = &handler.name {
                        self.name("AsName", name.range, STORE, None);
                        self.assigned();
                    }
                    self.statements(&handler.body);
                }
                self.statements(&x.orelse);
                self.statements(&x.finalbody);
            }
            Stmt::Assert(x) => {
                self.expression("Assert", &x.test);
                self.optional("Assert", x.msg.as_deref());
            }
            Stmt::Import(x) => {
                self.found.imports.push(statement);
                self.aliases(String::new(), &x.names);
            }
            Stmt::ImportFrom(x) => {
                self.found.imports.push(statement);
                if let Some(module) = &x.module {
                    self.imported("ImportFrom", module);
                }
                let module = x.module.as_ref().map_or("", |module| module.id.as_str());
                self.aliases(".".repeat(x.level as usize) + module, &x.names);
            }
            Stmt::Global(x) => self.declared(&x.names, |walker, name| {
                walker.scopes.declare_global(walker.scope, name);
            }),
            Stmt::Nonlocal(x) => self.declared(&x.names, |walker, name| {
                walker.scopes.declare_nonlocal(walker.scope, name);
            }),
            Stmt::Expr(x) => self.expression("Expr", &x.value),
            Stmt::Pass(_) | Stmt::Break(_) | Stmt::Continue(_) | Stmt::IpyEscapeCommand(_) => {}
        }
    }

    fn is_followed_by_comma(&self, target: &Expr, end: TextSize) -> bool {
        self.slice(TextRange::new(target.end(), end)).contains(',')
    }

    fn declared(&mut self, names: &'w [Identifier], declare: impl Fn(&mut Self, u32)) {
        for name in names {
            self.unvisited("NameItem", name.range, LOAD);
            let id = self.scopes.name(self.slice(name.range));
            declare(self, id);
        }
        self.assigned();
    }

    fn aliases(&mut self, module: String, aliases: &'w [Alias]) {
        let statement = self.scopes.import(module, aliases);
        for alias in aliases {
            if alias.name.id == "*" {
                continue;
            }
            self.imported("ImportAlias", &alias.name);
            match &alias.asname {
                Some(asname) => {
                    self.unvisited("AsName", asname.range, STORE);
                    self.scopes.assign_import(self.scope, &asname.id, statement);
                }
                None => {
                    for name in starts(&alias.name.id) {
                        self.scopes.assign_import(self.scope, name, statement);
                    }
                }
            }
        }
        self.assigned();
    }

    /// Notes the nodes of a dotted name in an import: an attribute for each dot, and the name it starts with.
    fn imported(&mut self, parent: &'static str, name: &'w Identifier) {
        let mut parent = parent;
        let mut end = name.range.end();
        let dots = name.id.matches('.').count();
        if dots > 0 {
            let tokens = self.module.tokens().in_range(name.range);
            let mut names = tokens.iter().rev().filter(|t| t.kind() != TokenKind::Dot && !t.kind().is_trivia());
            for text in starts(&name.id).take(dots) {
                let Some(last) = names.next() else { return };
                end = last.end();
                self.refs.push(Ref {
                    range: TextRange::new(name.range.start(), end),
                    text: RefText::Imported(text),
                    parent,
                    ctx: LOAD,
                    scope: None,
                    resolve: Resolve::Unscoped,
                    chain: None,
                });
                parent = "Attribute";
            }
            let Some(first) = names.next() else { return };
            end = first.end();
        }
        self.unvisited(parent, TextRange::new(name.range.start(), end), LOAD);
    }

    /// The range of a definition: it starts behind its decorators.
    fn definition(&self, range: TextRange, decorators: &[Decorator]) -> TextRange {
        let Some(last) = decorators.last() else { return range };
        let tokens = self.module.tokens();
        let first = tokens.partition_point(|token| token.start() < last.end());
        let keyword = tokens[first..]
            .iter()
            .find(|token| matches!(token.kind(), TokenKind::Def | TokenKind::Async | TokenKind::Class));
        TextRange::new(keyword.map_or(range.start(), Ranged::start), range.end())
    }

    /// Records a definition and notes it; its body is what `walk` walks.
    fn defined_by(
        &mut self,
        statement: &'w Stmt,
        kind: &'static str,
        node: &'static str,
        name: &'w Identifier,
        range: TextRange,
        walk: impl FnOnce(&mut Self, Owner),
    ) {
        let id = self.scopes.name(self.slice(name.range));
        let scope = self.scopes.assign(self.scope, id);
        self.defined(node, name.range);
        let owner = Owner { ordinal: self.found.defs.len() as i32, kind, range };
        let resolve = Resolve::Assigned { scope, name: id };
        self.found.defs.push(Def { statement, owner, container: self.owners.last().copied(), resolve });
        self.owners.push(owner);
        walk(self, owner);
        self.owners.pop();
        self.assigned();
    }

    fn function(&mut self, statement: &'w Stmt, def: &'w StmtFunctionDef) {
        let kind = if def.is_async { "async_function" } else { "function" };
        let range = self.definition(def.range, &def.decorator_list);
        self.defined_by(statement, kind, "FunctionDef", &def.name, range, |walker, owner| {
            walker.in_type_params(def.type_params.as_deref(), |walker| {
                walker.scoped(ScopeKind::Function, Some(walker.slice(def.name.range)), |walker| {
                    walker.parameters(Some(&def.parameters), Some(owner));
                    walker.statements(&def.body);
                });
                walker.decorators(&def.decorator_list);
                if let Some(returns) = &def.returns {
                    walker.found.type_exprs.push(TypeExpr {
                        owner: Some(owner),
                        role: "return",
                        parameter: None,
                        expression: returns,
                        from: def.parameters.range.end(),
                    });
                    walker.expression("Annotation", returns);
                }
            });
        });
    }

    fn class(&mut self, statement: &'w Stmt, class: &'w StmtClassDef) {
        let range = self.definition(class.range, &class.decorator_list);
        self.defined_by(statement, "class", "ClassDef", &class.name, range, |walker, _| {
            walker.decorators(&class.decorator_list);
            walker.in_type_params(class.type_params.as_deref(), |walker| {
                for argument in class.arguments.iter().flat_map(|arguments| arguments.iter_source_order()) {
                    walker.argument(argument);
                }
                walker.scoped(ScopeKind::Class, Some(walker.slice(class.name.range)), |walker| {
                    walker.statements(&class.body);
                });
            });
        });
    }

    fn decorators(&mut self, decorators: &'w [Decorator]) {
        decorators.iter().for_each(|decorator| self.expression("Decorator", &decorator.expression));
    }

    /// Walks something in the scope of type parameters, if there are any.
    fn in_type_params(&mut self, params: Option<&'w TypeParams>, walk: impl FnOnce(&mut Self)) {
        if params.is_none() {
            return walk(self);
        }
        self.scoped(ScopeKind::Annotation, None, |walker| {
            walker.without_context += 1;
            walker.type_params(params, None);
            walker.without_context -= 1;
            walk(walker);
        });
    }

    fn type_params(&mut self, params: Option<&'w TypeParams>, ctx: Option<&'static str>) {
        for param in params.into_iter().flat_map(|params| params.type_params.iter()) {
            let (kind, bound) = match param {
                TypeParam::TypeVar(var) => ("TypeVar", var.bound.as_deref()),
                TypeParam::TypeVarTuple(_) => ("TypeVarTuple", None),
                TypeParam::ParamSpec(_) => ("ParamSpec", None),
            };
            let name = param.name();
            let id = self.scopes.name(self.slice(name.range));
            self.scopes.assign(self.scope, id);
            self.unvisited(kind, name.range, ctx);
            self.optional(kind, bound);
            self.assigned();
            match param.default() {
                Some(Expr::Starred(starred)) => self.expression("TypeParam", &starred.value),
                default => self.optional("TypeParam", default),
            }
        }
    }

    /// Parameters of a function or, without an owner, of a lambda.
    pub(super) fn parameters(&mut self, parameters: Option<&'w Parameters>, owner: Option<Owner>) {
        if let Some(list) = parameters {
            for parameter in list.posonlyargs.iter().chain(&list.args) {
                self.parameter(&parameter.parameter, parameter.default.as_deref(), owner);
            }
            if let Some(vararg) = &list.vararg {
                self.parameter(vararg, None, owner);
            }
            for parameter in &list.kwonlyargs {
                self.parameter(&parameter.parameter, parameter.default.as_deref(), owner);
            }
            if let Some(kwarg) = &list.kwarg {
                self.parameter(kwarg, None, owner);
            }
        }
        self.assigned();
    }

    fn parameter(&mut self, parameter: &'w Parameter, default: Option<&'w Expr>, owner: Option<Owner>) {
        let name = self.slice(parameter.name.range);
        let id = self.scopes.name(name);
        self.scopes.assign(self.scope, id);
        self.defined("Param", parameter.name.range);
        let outer = self.scopes.get(self.scope).parent;
        self.within(outer, |walker| {
            walker.optional("Param", default);
            if let Some(annotation) = &parameter.annotation {
                walker.found.type_exprs.push(TypeExpr {
                    owner,
                    role: "param",
                    parameter: Some(name),
                    expression: annotation,
                    from: parameter.name.range.end(),
                });
                walker.expression("Annotation", annotation);
            }
        });
    }
}
