//! Statements.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{
    Alias, Decorator, ElifElseClause, ExceptHandler, Expr, Identifier, Parameter, ParameterWithDefault, Parameters,
    Stmt, StmtClassDef, StmtFunctionDef, StmtImport, StmtImportFrom, TypeParam, TypeParams,
};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::expression::operator_name;
use super::walk::{Labels, Place, Walker};

fn id(identifier: Option<&Identifier>) -> Option<&str> {
    identifier.map(|i| i.id.as_str())
}

/// Small numbers as text: levels of imports are rarely deeper.
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

impl Walker<'_> {
    pub(super) fn statement(&mut self, place: Place, statement: &Stmt) {
        self.nested(|walker| walker.statement_here(place, statement));
    }

    fn statement_here(&mut self, place: Place, statement: &Stmt) {
        let range = Some(statement.range());
        match statement {
            Stmt::FunctionDef(def) => self.function(place, def),
            Stmt::ClassDef(class) => self.class(place, class),
            Stmt::Return(x) => {
                let node = self.node(place, "Return", range, Labels::NONE);
                self.optional(node, "value", x.value.as_deref());
            }
            Stmt::Delete(x) => {
                let node = self.node(place, "Delete", range, Labels::NONE);
                self.expressions(node, "targets", &x.targets);
            }
            Stmt::TypeAlias(x) => {
                let node = self.node(place, "TypeAlias", range, Labels::NONE);
                self.expression(Place::field(node, "name"), &x.name);
                self.type_params(node, x.type_params.as_deref());
                self.expression(Place::field(node, "value"), &x.value);
            }
            Stmt::Assign(x) => {
                let node = self.node(place, "Assign", range, Labels::NONE);
                self.expressions(node, "targets", &x.targets);
                self.expression(Place::field(node, "value"), &x.value);
            }
            Stmt::AugAssign(x) => {
                let labels = Labels { op: Some(operator_name(x.op)), ..Labels::NONE };
                let node = self.node(place, "AugAssign", range, labels);
                self.expression(Place::field(node, "target"), &x.target);
                self.expression(Place::field(node, "value"), &x.value);
            }
            Stmt::AnnAssign(x) => {
                let node = self.node(place, "AnnAssign", range, Labels::value(Some(DIGITS[usize::from(x.simple)])));
                self.expression(Place::field(node, "target"), &x.target);
                self.expression(Place::field(node, "annotation"), &x.annotation);
                self.optional(node, "value", x.value.as_deref());
            }
            Stmt::For(x) => {
                let kind = if x.is_async { "AsyncFor" } else { "For" };
                let node = self.node(place, kind, Some(self.compound(x.range)), Labels::NONE);
                self.expression(Place::field(node, "target"), &x.target);
                self.expression(Place::field(node, "iter"), &x.iter);
                self.statements(node, "body", &x.body);
                self.statements(node, "orelse", &x.orelse);
            }
            Stmt::While(x) => {
                let node = self.node(place, "While", Some(self.compound(x.range)), Labels::NONE);
                self.expression(Place::field(node, "test"), &x.test);
                self.statements(node, "body", &x.body);
                self.statements(node, "orelse", &x.orelse);
            }
            Stmt::If(x) => {
                let range = self.compound(x.range);
                let node = self.node(place, "If", Some(range), Labels::NONE);
                self.expression(Place::field(node, "test"), &x.test);
                self.statements(node, "body", &x.body);
                self.clauses(node, &x.elif_else_clauses, range.end());
            }
            Stmt::With(x) => {
                let kind = if x.is_async { "AsyncWith" } else { "With" };
                let node = self.node(place, kind, Some(self.compound(x.range)), Labels::NONE);
                for (index, item) in x.items.iter().enumerate() {
                    let withitem = self.node(Place::item(node, "items", index), "withitem", None, Labels::NONE);
                    self.expression(Place::field(withitem, "context_expr"), &item.context_expr);
                    self.optional(withitem, "optional_vars", item.optional_vars.as_deref());
                }
                self.statements(node, "body", &x.body);
            }
            Stmt::Match(x) => {
                let node = self.node(place, "Match", Some(self.compound(x.range)), Labels::NONE);
                self.expression(Place::field(node, "subject"), &x.subject);
                for (index, case) in x.cases.iter().enumerate() {
                    let match_case = self.node(Place::item(node, "cases", index), "match_case", None, Labels::NONE);
                    self.pattern(Place::field(match_case, "pattern"), &case.pattern);
                    self.optional(match_case, "guard", case.guard.as_deref());
                    self.statements(match_case, "body", &case.body);
                }
            }
            Stmt::Raise(x) => {
                let node = self.node(place, "Raise", range, Labels::NONE);
                self.optional(node, "exc", x.exc.as_deref());
                self.optional(node, "cause", x.cause.as_deref());
            }
            Stmt::Try(x) => {
                let kind = if x.is_star { "TryStar" } else { "Try" };
                let node = self.node(place, kind, Some(self.compound(x.range)), Labels::NONE);
                self.statements(node, "body", &x.body);
                for (index, ExceptHandler::ExceptHandler(handler)) in x.handlers.iter().enumerate() {
                    let labels = Labels::name(id(handler.name.as_ref()));
                    let range = Some(self.compound(handler.range));
                    let node = self.node(Place::item(node, "handlers", index), "ExceptHandler", range, labels);
                    self.optional(node, "type", handler.type_.as_deref());
                    self.statements(node, "body", &handler.body);
                }
                self.statements(node, "orelse", &x.orelse);
                self.statements(node, "finalbody", &x.finalbody);
            }
            Stmt::Assert(x) => {
                let node = self.node(place, "Assert", range, Labels::NONE);
                self.expression(Place::field(node, "test"), &x.test);
                self.optional(node, "msg", x.msg.as_deref());
            }
            Stmt::Import(x) => self.import(place, x),
            Stmt::ImportFrom(x) => self.import_from(place, x),
            Stmt::Global(x) => self.names(place, "Global", x.range, &x.names),
            Stmt::Nonlocal(x) => self.names(place, "Nonlocal", x.range, &x.names),
            Stmt::Expr(x) => {
                let node = self.node(place, "Expr", range, Labels::NONE);
                self.expression(Place::field(node, "value"), &x.value);
            }
            Stmt::Pass(_) => {
                self.node(place, "Pass", range, Labels::NONE);
            }
            Stmt::Break(_) => {
                self.node(place, "Break", range, Labels::NONE);
            }
            Stmt::Continue(_) => {
                self.node(place, "Continue", range, Labels::NONE);
            }
            // Only notebooks have these; the parser refuses them in a module.
            Stmt::IpyEscapeCommand(_) => {}
        }
    }

    /// `elif` is an `If` in the `orelse` of the one before.
    fn clauses(&mut self, parent: i32, clauses: &[ElifElseClause], end: TextSize) {
        let Some((clause, rest)) = clauses.split_first() else { return };
        let Some(test) = &clause.test else { return self.statements(parent, "orelse", &clause.body) };
        self.nested(|walker| {
            let range = Some(TextRange::new(clause.start(), end));
            let node = walker.node(Place::item(parent, "orelse", 0), "If", range, Labels::NONE);
            walker.expression(Place::field(node, "test"), test);
            walker.statements(node, "body", &clause.body);
            walker.clauses(node, rest, end);
        });
    }

    /// The range of a compound statement: to CPython a `;` behind its last simple statement belongs to it.
    fn compound(&self, range: TextRange) -> TextRange {
        let text = self.module.text().as_bytes();
        let mut at = range.end().to_usize();
        loop {
            match text.get(at..).unwrap_or_default() {
                [b' ' | b'\t' | b'\x0c', ..] => at += 1,
                [b'\\', b'\n', ..] => at += 2,
                [b';', ..] => return TextRange::new(range.start(), TextSize::new(at as u32 + 1)),
                _ => return range,
            }
        }
    }

    /// The range of a definition: to CPython it starts behind its decorators.
    fn definition(&self, range: TextRange, decorators: &[Decorator]) -> TextRange {
        let range = self.compound(range);
        let Some(last) = decorators.last() else { return range };
        let tokens = self.module.tokens();
        let first = tokens.partition_point(|token| token.start() < last.end());
        let keyword = tokens[first..]
            .iter()
            .find(|token| matches!(token.kind(), TokenKind::Def | TokenKind::Async | TokenKind::Class));
        TextRange::new(keyword.map_or(range.start(), Ranged::start), range.end())
    }

    fn function(&mut self, place: Place, def: &StmtFunctionDef) {
        let kind = if def.is_async { "AsyncFunctionDef" } else { "FunctionDef" };
        let range = self.definition(def.range, &def.decorator_list);
        let node = self.node(place, kind, Some(range), Labels::name(Some(&def.name.id)));
        self.function_row(node, place.parent, kind, range, def);
        self.docstring(node, kind, Some(&def.name.id), &def.body);
        self.parameters(node, Some(&def.parameters));
        self.statements(node, "body", &def.body);
        self.decorators(node, &def.decorator_list);
        self.optional(node, "returns", def.returns.as_deref());
        self.type_params(node, def.type_params.as_deref());
    }

    fn class(&mut self, place: Place, class: &StmtClassDef) {
        let range = self.definition(class.range, &class.decorator_list);
        let node = self.node(place, "ClassDef", Some(range), Labels::name(Some(&class.name.id)));
        self.class_row(node, place.parent, range, class);
        self.docstring(node, "ClassDef", Some(&class.name.id), &class.body);
        self.expressions(node, "bases", class.bases());
        self.keywords(node, class.keywords());
        self.statements(node, "body", &class.body);
        self.decorators(node, &class.decorator_list);
        self.type_params(node, class.type_params.as_deref());
    }

    fn decorators(&mut self, parent: i32, decorators: &[Decorator]) {
        for (index, decorator) in decorators.iter().enumerate() {
            self.expression(Place::item(parent, "decorator_list", index), &decorator.expression);
        }
    }

    fn type_params(&mut self, parent: i32, params: Option<&TypeParams>) {
        for (index, param) in params.into_iter().flat_map(|p| p.type_params.iter()).enumerate() {
            let (kind, bound) = match param {
                TypeParam::TypeVar(var) => ("TypeVar", var.bound.as_deref()),
                TypeParam::TypeVarTuple(_) => ("TypeVarTuple", None),
                TypeParam::ParamSpec(_) => ("ParamSpec", None),
            };
            let labels = Labels::name(Some(&param.name().id));
            let node = self.node(Place::item(parent, "type_params", index), kind, Some(param.range()), labels);
            self.optional(node, "bound", bound);
            self.optional(node, "default_value", param.default());
        }
    }

    /// `arguments` of a function or lambda, which is there even without any.
    pub(super) fn parameters(&mut self, parent: i32, parameters: Option<&Parameters>) {
        let node = self.node(Place::field(parent, "args"), "arguments", None, Labels::NONE);
        let Some(parameters) = parameters else { return };
        let list = |walker: &mut Self, field, list: &[ParameterWithDefault]| {
            for (index, parameter) in list.iter().enumerate() {
                walker.parameter(Place::item(node, field, index), &parameter.parameter);
            }
        };
        list(self, "posonlyargs", &parameters.posonlyargs);
        list(self, "args", &parameters.args);
        if let Some(vararg) = &parameters.vararg {
            self.parameter(Place::field(node, "vararg"), vararg);
        }
        list(self, "kwonlyargs", &parameters.kwonlyargs);
        for (index, parameter) in parameters.kwonlyargs.iter().enumerate() {
            if let Some(default) = &parameter.default {
                self.expression(Place::item(node, "kw_defaults", index), default);
            }
        }
        if let Some(kwarg) = &parameters.kwarg {
            self.parameter(Place::field(node, "kwarg"), kwarg);
        }
        let positional = parameters.posonlyargs.iter().chain(&parameters.args);
        for (index, default) in positional.filter_map(|p| p.default.as_deref()).enumerate() {
            self.expression(Place::item(node, "defaults", index), default);
        }
    }

    /// CPython's `arg` starts at the name, behind `*` and `**`.
    fn parameter(&mut self, place: Place, parameter: &Parameter) {
        let range = TextRange::new(parameter.name.start(), parameter.range.end());
        let node = self.node(place, "arg", Some(range), Labels::name(Some(&parameter.name.id)));
        self.optional(node, "annotation", parameter.annotation.as_deref());
    }

    fn import(&mut self, place: Place, import: &StmtImport) {
        let node = self.node(place, "Import", Some(import.range), Labels::NONE);
        self.aliases(node, &import.names);
        self.import_rows(node, place.parent, "Import", None, None, &import.names);
    }

    fn import_from(&mut self, place: Place, import: &StmtImportFrom) {
        let module = id(import.module.as_ref());
        let deep;
        let level = match DIGITS.get(import.level as usize) {
            Some(digit) => *digit,
            None => {
                deep = import.level.to_string();
                &deep
            }
        };
        let labels = Labels { name: module, value: Some(level), ..Labels::NONE };
        let node = self.node(place, "ImportFrom", Some(import.range), labels);
        self.aliases(node, &import.names);
        self.import_rows(node, place.parent, "ImportFrom", module, Some(import.level as i32), &import.names);
    }

    fn aliases(&mut self, parent: i32, aliases: &[Alias]) {
        for (index, alias) in aliases.iter().enumerate() {
            let labels = Labels { name: Some(&alias.name.id), value: id(alias.asname.as_ref()), ..Labels::NONE };
            self.node(Place::item(parent, "names", index), "alias", Some(alias.range), labels);
        }
    }

    fn names(&mut self, place: Place, kind: &'static str, range: TextRange, names: &[Identifier]) {
        if let [name] = names {
            self.node(place, kind, Some(range), Labels::name(Some(&name.id)));
            return;
        }
        let names: Vec<&str> = names.iter().map(|name| name.id.as_str()).collect();
        self.node(place, kind, Some(range), Labels::name(Some(&names.join(","))));
    }
}

/// The defaults of all parameters in their order.
pub(super) fn defaults(parameters: &Parameters) -> impl Iterator<Item = &Expr> {
    parameters.iter_non_variadic_params().filter_map(|p| p.default.as_deref())
}

/// The annotations of all parameters in their order.
pub(super) fn annotations(parameters: &Parameters) -> impl Iterator<Item = &Expr> {
    parameters.iter().filter_map(|p| p.annotation())
}
