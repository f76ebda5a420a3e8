//! From what the walk noted to rows.

use ruff_python_ast::{Alias, ArgOrKeyword, Arguments, Decorator, Expr, Stmt};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::docstring;
use super::names::{ModuleName, NameSource, QualifiedNames};
use super::nodes::Node;
use super::span;
use super::tables::{
    CallsiteQnameCandidates, CstCallArgs, CstCallsites, CstDecorators, CstDefs, CstDocstrings, CstImports, CstNodes,
    CstRefs, CstTypeExprs,
};
use super::walk::{Call, Owner, RefText, Resolve, Walker};
use crate::python::{Locator, PythonModule};

/// Longest texts that are kept, and how many were cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) expression: usize,
    pub(super) docstring: usize,
    pub(super) cut_docstrings: usize,
    pub(super) cut_expressions: usize,
}

/// Makes the rows of one file.
pub(super) struct Rows<'w, 'r> {
    pub(super) walker: &'r Walker<'w>,
    pub(super) module: &'w PythonModule<'w>,
    pub(super) locator: Locator<'w>,
    pub(super) name: &'r ModuleName,
    pub(super) limits: Limits,
    pub(super) names: QualifiedNames,
    pub(super) text: String,
}

impl<'w> Rows<'w, '_> {
    fn span(&self, range: TextRange) -> (i32, i32) {
        let at = |offset: TextSize| self.locator.original(offset.to_u32()) as i32;
        (at(range.start()), at(range.end()))
    }

    /// The source of an expression with its parentheses, which can start at `from`.
    fn source(&mut self, expression: &Expr, from: TextSize) -> &'w str {
        let text = self.module.slice(span::parenthesized(self.module, expression.range(), from));
        let kept = &text[..text.floor_char_boundary(self.limits.expression)];
        self.limits.cut_expressions += usize::from(kept.len() < text.len());
        kept
    }

    /// The fully qualified names of [`Self::names`] with their sources, in order, each once.
    fn fully_qualified(&mut self) -> Vec<(String, NameSource)> {
        let mut names: Vec<(String, NameSource)> = vec![];
        for (name, source) in self.names.iter() {
            if self.name.qualify(name, source, &mut self.text) {
                names.push((self.text.clone(), source));
            }
        }
        names.sort();
        names.dedup();
        names
    }

    pub(super) fn refs(&mut self, table: &mut CstRefs) {
        let walker = self.walker;
        for (ordinal, reference) in walker.refs.iter().enumerate() {
            table.ordinal.push(ordinal as i32);
            match reference.text {
                RefText::Name(name) => {
                    table.ref_kind.push("name");
                    table.ref_text.push(name);
                }
                RefText::Imported(name) => {
                    table.ref_kind.push("attribute");
                    table.ref_text.push(name);
                }
                RefText::Attribute(attribute) => {
                    table.ref_kind.push("attribute");
                    walker.full_name(attribute, &mut self.text);
                    table.ref_text.push(&self.text[..self.text.floor_char_boundary(self.limits.expression)]);
                }
            }
            let scope = reference.scope.map(|scope| walker.scopes.get(scope));
            table.expr_ctx.push(reference.ctx);
            table.scope_type.push(scope.map(|scope| scope.kind.name()));
            table.scope_name.push(scope.and_then(|scope| scope.name));
            table.parent_kind.push(reference.parent);
            walker.resolve(reference.resolve, &mut self.names);
            table.qnames.push(self.names.iter().map(|(name, _)| name));
            table.qname_sources.push(self.names.iter().map(|(_, source)| source.name()));
            let (bstart, bend) = self.span(reference.range);
            table.bstart.push(bstart);
            table.bend.push(bend);
        }
    }

    pub(super) fn imports(&mut self, table: &mut CstImports) {
        let mut ordinal = 0;
        for statement in &self.walker.found.imports {
            let (kind, module, level, aliases): (_, _, _, &[Alias]) = match statement {
                Stmt::Import(import) => ("import", None, 0, &import.names),
                Stmt::ImportFrom(import) => {
                    let module = import.module.as_ref().map(|module| module.id.as_str());
                    ("importfrom", module, import.level as i32, &import.names)
                }
                _ => continue,
            };
            let (stmt_bstart, stmt_bend) = self.span(statement.range());
            for alias in aliases {
                let (alias_bstart, alias_bend) = self.span(alias.range);
                table.ordinal.push(ordinal);
                table.kind.push(kind);
                table.module.push(module);
                table.relative_level.push(level);
                table.name.push(&alias.name.id);
                table.asname.push(alias.asname.as_ref().map(|asname| asname.id.as_str()));
                table.is_star.push(alias.name.id == "*");
                table.stmt_bstart.push(stmt_bstart);
                table.stmt_bend.push(stmt_bend);
                table.alias_bstart.push(alias_bstart);
                table.alias_bend.push(alias_bend);
                ordinal += 1;
            }
        }
    }

    /// The rows of calls, and of the tables that hang on them.
    pub(super) fn calls(
        &mut self,
        mut calls: Option<&mut CstCallsites>,
        mut args: Option<&mut CstCallArgs>,
        mut candidates: Option<&mut CallsiteQnameCandidates>,
    ) {
        let (mut next_arg, mut next_candidate) = (0, 0);
        for (ordinal, call) in self.walker.calls.iter().enumerate() {
            let ordinal = ordinal as i32;
            let span = self.span(call.call.range());
            if calls.is_some() || candidates.is_some() {
                self.callee_names(call);
                let qualified = self.fully_qualified();
                if let Some(table) = calls.as_deref_mut() {
                    self.call(table, ordinal, span, call, &qualified);
                }
                if let Some(table) = candidates.as_deref_mut() {
                    for (name, source) in &qualified {
                        candidate(table, next_candidate, ordinal, span, &call.call.arguments, name, *source);
                        next_candidate += 1;
                    }
                }
            }
            if let Some(table) = args.as_deref_mut() {
                next_arg = self.arguments(table, next_arg, ordinal, span, &call.call.arguments);
            }
        }
    }

    fn callee_names(&mut self, call: &Call<'w>) {
        self.walker.resolve(call.resolve, &mut self.names);
        if self.names.is_empty() && !matches!(call.resolve, Resolve::Unscoped) {
            let resolve = Resolve::Dotted { scope: call.scope, expression: &call.call.func };
            self.walker.resolve(resolve, &mut self.names);
        }
    }

    fn call(
        &mut self,
        table: &mut CstCallsites,
        ordinal: i32,
        (call_bstart, call_bend): (i32, i32),
        call: &Call<'w>,
        qualified: &[(String, NameSource)],
    ) {
        let func = &call.call.func;
        let (callee_bstart, callee_bend) = self.span(span::expression_range(self.module, func));
        table.ordinal.push(ordinal);
        table.call_bstart.push(call_bstart);
        table.call_bend.push(call_bend);
        table.callee_bstart.push(callee_bstart);
        table.callee_bend.push(callee_bend);
        table.callee_shape.push(match func.as_ref() {
            Expr::Name(_) | Expr::NoneLiteral(_) | Expr::BooleanLiteral(_) => "NAME",
            Expr::Attribute(_) => "ATTRIBUTE",
            Expr::Subscript(_) => "SUBSCRIPT",
            _ => "OTHER",
        });
        table.callee_text.push(self.source(func, call.call.start()));
        table.arg_count.push((call.call.arguments.args.len() + call.call.arguments.keywords.len()) as i32);
        let dotted = self.walker.full_name(func, &mut self.text);
        table.callee_dotted.push(dotted.then(|| &self.text[..self.text.floor_char_boundary(self.limits.expression)]));
        table.callee_qnames.push(self.names.iter().map(|(name, _)| name));
        table.callee_qname_sources.push(self.names.iter().map(|(_, source)| source.name()));
        table.callee_fqns.push(qualified.iter().map(|(name, _)| name.as_str()));
    }

    fn arguments(
        &mut self,
        table: &mut CstCallArgs,
        mut ordinal: i32,
        call_ordinal: i32,
        (call_bstart, call_bend): (i32, i32),
        arguments: &'w Arguments,
    ) -> i32 {
        let mut from = arguments.inner_range().start();
        for (index, argument) in arguments.iter_source_order().enumerate() {
            let (keyword, star, value) = match argument {
                ArgOrKeyword::Arg(Expr::Starred(starred)) => (None, "*", starred.value.as_ref()),
                ArgOrKeyword::Arg(value) => (None, "", value),
                ArgOrKeyword::Keyword(keyword) => match &keyword.arg {
                    Some(arg) => (Some(self.walker.slice(arg.range)), "", &keyword.value),
                    None => (None, "**", &keyword.value),
                },
            };
            let (bstart, bend) = self.span(span::expression_range(self.module, value));
            table.ordinal.push(ordinal);
            table.call_ordinal.push(call_ordinal);
            table.call_bstart.push(call_bstart);
            table.call_bend.push(call_bend);
            table.arg_index.push(index as i32);
            table.keyword.push(keyword);
            table.star.push(star);
            table.arg_text.push(self.source(value, from));
            table.bstart.push(bstart);
            table.bend.push(bend);
            from = value.end();
            ordinal += 1;
        }
        ordinal
    }

    pub(super) fn defs(&mut self, table: &mut CstDefs) {
        let walker = self.walker;
        for def in &walker.found.defs {
            let Some(parts) = Parts::of(def.statement) else { continue };
            let (def_bstart, def_bend) = self.span(def.owner.range);
            let (name_bstart, name_bend) = self.span(parts.name);
            let container = def.container.map(|container| self.span(container.range));
            table.ordinal.push(def.owner.ordinal);
            table.container_def_ordinal.push(def.container.map(|container| container.ordinal));
            table.container_def_kind.push(def.container.map(|container| container.kind));
            table.container_def_bstart.push(container.map(|(bstart, _)| bstart));
            table.container_def_bend.push(container.map(|(_, bend)| bend));
            table.kind.push(def.owner.kind);
            table.name.push(walker.slice(parts.name));
            table.def_bstart.push(def_bstart);
            table.def_bend.push(def_bend);
            table.name_bstart.push(name_bstart);
            table.name_bend.push(name_bend);
            walker.resolve(def.resolve, &mut self.names);
            let qualified = self.fully_qualified();
            table.qnames.push(self.names.iter().map(|(name, _)| name));
            table.qname_sources.push(self.names.iter().map(|(_, source)| source.name()));
            table.def_fqns.push(qualified.iter().map(|(name, _)| name.as_str()));
            let docstring = docstring::literal(parts.body).map(|literal| docstring::cleaned(self.module, literal));
            table.docstring.push(docstring.as_deref().map(|text| self.cut_docstring(text)));
            table.decorator_count.push(parts.decorators.len() as i32);
        }
    }

    pub(super) fn nodes(&mut self, table: &mut CstNodes, nodes: &[Node]) {
        let at = |offset: u32| self.locator.original(offset) as i32;
        for (ordinal, node) in nodes.iter().enumerate() {
            table.ordinal.push(ordinal as i32);
            table.parent_ordinal.push(node.parent.map(|parent| parent as i32));
            table.kind.push(node.kind);
            table.slot.push(node.slot.map(|(slot, _)| slot));
            table.slot_index.push(node.slot.and_then(|(_, index)| index));
            table.bstart.push(at(node.span.0));
            table.bend.push(at(node.span.1));
            table.owned_bstart.push(at(node.owned.0));
            table.owned_bend.push(at(node.owned.1));
        }
    }

    fn cut_docstring<'d>(&mut self, text: &'d str) -> &'d str {
        &text[..text.floor_char_boundary(self.limits.docstring)]
    }

    pub(super) fn docstrings(&mut self, table: &mut CstDocstrings) {
        let walker = self.walker;
        let module = (None, "module", self.module.body());
        let defs = walker.found.defs.iter();
        let defs = defs.filter_map(|def| Some((Some(def.owner), def.owner.kind, Parts::of(def.statement)?.body)));
        let mut ordinal = 0;
        for (owner, kind, body) in std::iter::once(module).chain(defs) {
            let Some(literal) = docstring::literal(body) else { continue };
            let text = docstring::cleaned(self.module, literal);
            let kept = self.cut_docstring(&text);
            self.limits.cut_docstrings += usize::from(kept.len() < text.len());
            let (bstart, bend) = self.span(literal.range);
            let owner_span = owner.map(|owner: Owner| self.span(owner.range));
            table.ordinal.push(ordinal);
            table.owner_def_ordinal.push(owner.map(|owner| owner.ordinal));
            table.owner_kind.push(kind);
            table.owner_def_bstart.push(owner_span.map(|(bstart, _)| bstart));
            table.owner_def_bend.push(owner_span.map(|(_, bend)| bend));
            table.docstring.push(kept);
            table.bstart.push(bstart);
            table.bend.push(bend);
            ordinal += 1;
        }
    }

    pub(super) fn decorators(&mut self, table: &mut CstDecorators) {
        let walker = self.walker;
        let mut ordinal = 0;
        for def in &walker.found.defs {
            let (owner_def_bstart, owner_def_bend) = self.span(def.owner.range);
            let decorators = Parts::of(def.statement).map_or(&[][..], |parts| parts.decorators);
            for (index, decorator) in decorators.iter().enumerate() {
                let (bstart, bend) = self.span(decorator.range);
                table.ordinal.push(ordinal);
                table.owner_def_ordinal.push(def.owner.ordinal);
                table.owner_kind.push(def.owner.kind);
                table.owner_def_bstart.push(owner_def_bstart);
                table.owner_def_bend.push(owner_def_bend);
                table.decorator_text.push(self.source(&decorator.expression, decorator.start()));
                table.decorator_index.push(index as i32);
                table.bstart.push(bstart);
                table.bend.push(bend);
                ordinal += 1;
            }
        }
    }

    pub(super) fn type_exprs(&mut self, table: &mut CstTypeExprs) {
        let walker = self.walker;
        for (ordinal, annotation) in walker.found.type_exprs.iter().enumerate() {
            let owner = annotation.owner.map(|owner| self.span(owner.range));
            let (bstart, bend) = self.span(span::expression_range(self.module, annotation.expression));
            table.ordinal.push(ordinal as i32);
            table.owner_def_ordinal.push(annotation.owner.map(|owner| owner.ordinal));
            table.owner_def_kind.push(annotation.owner.map(|owner| owner.kind));
            table.owner_def_bstart.push(owner.map(|(bstart, _)| bstart));
            table.owner_def_bend.push(owner.map(|(_, bend)| bend));
            table.param_name.push(annotation.parameter);
            table.expr_kind.push("annotation");
            table.expr_role.push(annotation.role);
            table.bstart.push(bstart);
            table.bend.push(bend);
            table.expr_text.push(self.source(annotation.expression, annotation.from));
        }
    }
}

/// What functions and classes have in common.
struct Parts<'w> {
    name: TextRange,
    body: &'w [Stmt],
    decorators: &'w [Decorator],
}

impl<'w> Parts<'w> {
    fn of(statement: &'w Stmt) -> Option<Self> {
        match statement {
            Stmt::FunctionDef(def) => {
                Some(Self { name: def.name.range, body: &def.body, decorators: &def.decorator_list })
            }
            Stmt::ClassDef(class) => {
                Some(Self { name: class.name.range, body: &class.body, decorators: &class.decorator_list })
            }
            _ => None,
        }
    }
}

fn candidate(
    table: &mut CallsiteQnameCandidates,
    ordinal: i32,
    call_ordinal: i32,
    (call_bstart, call_bend): (i32, i32),
    arguments: &Arguments,
    name: &str,
    source: NameSource,
) {
    let stars = arguments.args.iter().filter(|arg| arg.is_starred_expr()).count();
    let double_stars = arguments.keywords.iter().filter(|keyword| keyword.arg.is_none()).count();
    table.ordinal.push(ordinal);
    table.call_ordinal.push(call_ordinal);
    table.qname.push(name);
    table.qname_source.push(source.name());
    table.call_bstart.push(call_bstart);
    table.call_bend.push(call_bend);
    table.arg_count.push((arguments.args.len() + arguments.keywords.len()) as i32);
    table.keyword_count.push((arguments.keywords.len() - double_stars) as i32);
    table.star_arg_count.push(stars as i32);
    table.star_kwarg_count.push(double_stars as i32);
    table.positional_count.push((arguments.args.len() - stars) as i32);
}
