//! Rows of the tables beside `ast_nodes`.

use std::borrow::Cow;

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{Alias, Expr, ExprCall, Stmt, StmtClassDef, StmtFunctionDef};
use ruff_text_size::{Ranged, TextRange};

use super::expression::{kind_name, push_string_value};
use super::statement::{annotations, defaults};
use super::tables::AstTypeIgnores;
use super::walk::{Walker, push_span};
use crate::python::{PythonModule, Version};

impl Walker<'_> {
    pub(super) fn docstring(&mut self, owner: i32, kind: &'static str, name: Option<&str>, body: &[Stmt]) {
        let Some(Stmt::Expr(first)) = body.first() else { return };
        let Expr::StringLiteral(literal) = first.value.as_ref() else { return };
        let Some((table, ordinal)) = self.docstrings.row() else { return };
        self.text.clear();
        push_string_value(&mut self.text, self.module, literal);
        let kept = &self.text[..self.text.floor_char_boundary(self.max_docstring_bytes)];
        self.cut_docstrings += usize::from(kept.len() < self.text.len());
        table.ordinal.push(ordinal);
        table.owner_ordinal.push(owner);
        table.owner_kind.push(kind);
        table.owner_name.push(name);
        table.docstring.push(kept);
        push_span!(table, self.locator.span(literal.range));
    }

    pub(super) fn import_rows(
        &mut self,
        node: i32,
        parent: i32,
        kind: &'static str,
        module: Option<&str>,
        level: Option<i32>,
        aliases: &[Alias],
    ) {
        for (index, alias) in aliases.iter().enumerate() {
            let Some((table, ordinal)) = self.imports.row() else { return };
            table.ordinal.push(ordinal);
            table.node_ordinal.push(node);
            table.parent_ordinal.push(parent);
            table.kind.push(kind);
            table.module.push(module);
            table.name.push(&alias.name.id);
            table.asname.push(alias.asname.as_ref().map(|asname| asname.id.as_str()));
            table.alias_index.push(index as i32);
            table.level.push(level);
            push_span!(table, self.locator.span(alias.range));
        }
    }

    pub(super) fn function_row(
        &mut self,
        node: i32,
        parent: i32,
        kind: &'static str,
        range: TextRange,
        def: &StmtFunctionDef,
    ) {
        if !self.defs.wanted() {
            return;
        }
        let parameters = &def.parameters;
        let decorators = self.sources(def.decorator_list.iter().map(|d| &d.expression));
        let defaults = self.sources(defaults(parameters));
        let annotations = self.sources(annotations(parameters));
        let returns = def.returns.as_ref().map(|returns| self.module.slice(returns.range()));
        let Some((table, ordinal)) = self.defs.row() else { return };
        table.ordinal.push(ordinal);
        table.node_ordinal.push(node);
        table.parent_ordinal.push(parent);
        table.kind.push(kind);
        table.name.push(&def.name.id);
        table.is_async.push(def.is_async);
        table.decorator_count.push(def.decorator_list.len() as i32);
        table.arg_count.push(Some(parameters.args.len() as i32));
        table.posonly_count.push(Some(parameters.posonlyargs.len() as i32));
        table.kwonly_count.push(Some(parameters.kwonlyargs.len() as i32));
        table.has_vararg.push(Some(parameters.vararg.is_some()));
        table.has_kwarg.push(Some(parameters.kwarg.is_some()));
        table.type_params_count.push(def.type_params.as_ref().map_or(0, |p| p.type_params.len() as i32));
        table.base_count.push(None);
        table.keyword_count.push(None);
        table.decorator_sources.push(decorators.as_deref());
        table.default_sources.push(defaults.as_deref());
        table.annotation_sources.push(annotations.as_deref());
        table.base_sources.push(None);
        table.returns_source.push(returns);
        push_span!(table, self.locator.span(range));
    }

    pub(super) fn class_row(&mut self, node: i32, parent: i32, range: TextRange, class: &StmtClassDef) {
        if !self.defs.wanted() {
            return;
        }
        let decorators = self.sources(class.decorator_list.iter().map(|d| &d.expression));
        let bases = self.sources(class.bases().iter());
        let Some((table, ordinal)) = self.defs.row() else { return };
        table.ordinal.push(ordinal);
        table.node_ordinal.push(node);
        table.parent_ordinal.push(parent);
        table.kind.push("ClassDef");
        table.name.push(&class.name.id);
        table.is_async.push(false);
        table.decorator_count.push(class.decorator_list.len() as i32);
        table.arg_count.push(None);
        table.posonly_count.push(None);
        table.kwonly_count.push(None);
        table.has_vararg.push(None);
        table.has_kwarg.push(None);
        table.type_params_count.push(class.type_params.as_ref().map_or(0, |p| p.type_params.len() as i32));
        table.base_count.push(Some(class.bases().len() as i32));
        table.keyword_count.push(Some(class.keywords().len() as i32));
        table.decorator_sources.push(decorators.as_deref());
        table.default_sources.push(None);
        table.annotation_sources.push(None);
        table.base_sources.push(bases.as_deref());
        table.returns_source.push(None);
        push_span!(table, self.locator.span(range));
    }

    pub(super) fn call_row(&mut self, node: i32, parent: i32, call: &ExprCall) {
        let Some((table, ordinal)) = self.calls.row() else { return };
        let arguments = &call.arguments;
        let count = |n: usize| n as i32;
        table.ordinal.push(ordinal);
        table.node_ordinal.push(node);
        table.parent_ordinal.push(parent);
        table.func_kind.push(kind_name(&call.func));
        table.func_name.push(dotted_name(&call.func, &mut self.text).then_some(self.text.as_str()));
        table.arg_count.push(count(arguments.args.len()));
        table.keyword_count.push(count(arguments.keywords.len()));
        table.starred_count.push(count(arguments.args.iter().filter(|arg| arg.is_starred_expr()).count()));
        table.kw_star_count.push(count(arguments.keywords.iter().filter(|keyword| keyword.arg.is_none()).count()));
        push_span!(table, self.locator.span(call.range()));
    }
}

/// Writes a dotted name; false if the expression is something else.
fn dotted_name(expression: &Expr, out: &mut String) -> bool {
    out.clear();
    match expression {
        Expr::Name(name) => out.push_str(&name.id),
        Expr::Attribute(_) => {
            let mut names = vec![];
            let mut at = expression;
            while let Expr::Attribute(attribute) = at {
                names.push(attribute.attr.id.as_str());
                at = &attribute.value;
            }
            let Expr::Name(name) = at else { return false };
            out.push_str(&name.id);
            for name in names.iter().rev() {
                out.push('.');
                out.push_str(name);
            }
        }
        _ => return false,
    }
    true
}

/// The rows of `ast_type_ignores`.
pub(super) fn type_ignores(module: &PythonModule<'_>, table: &mut AstTypeIgnores) {
    let mut locator = module.locator();
    let mut ordinal = 0;
    let mut before = None;
    for token in module.tokens() {
        let tag = (token.kind() == TokenKind::Comment).then(|| type_ignore_tag(module.slice(token.range()))).flatten();
        if let Some(tag) = tag {
            let span = locator.span(token.range());
            table.ordinal.push(ordinal);
            table.lineno.push(span.lineno);
            // From 3.12 on, CPython takes the end of a line into the tag where nothing else is on the line.
            let alone = before.is_none_or(starts_line) && module.version() >= Version::Py312;
            table.tag.push(if alone { Cow::Owned(format!("{tag}\n")) } else { Cow::Borrowed(tag) }.as_ref());
            table.bstart.push(span.bstart);
            ordinal += 1;
        }
        before = Some(token.kind());
    }
}

/// Whether a comment behind such a token is the first of its line.
fn starts_line(before: TokenKind) -> bool {
    matches!(before, TokenKind::Newline | TokenKind::NonLogicalNewline | TokenKind::Indent | TokenKind::Dedent)
}

/// What follows `# type: ignore`, by the rule of CPython's tokenizer.
fn type_ignore_tag(comment: &str) -> Option<&str> {
    let blank = [' ', '\t'];
    let tag = comment.strip_prefix('#')?.trim_start_matches(blank).strip_prefix("type:")?;
    let tag = tag.trim_start_matches(blank).strip_prefix("ignore")?;
    let ends = tag.bytes().next().is_none_or(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric());
    ends.then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_ignores_are_told_from_type_comments() {
        assert_eq!(type_ignore_tag("# type: ignore"), Some(""));
        assert_eq!(type_ignore_tag("#type:\tignore[attr-defined] # why"), Some("[attr-defined] # why"));
        assert_eq!(type_ignore_tag("# type: ignored"), None);
        assert_eq!(type_ignore_tag("# type: ignoreé"), None);
        assert_eq!(type_ignore_tag("# type: int"), None);
        assert_eq!(type_ignore_tag("# Type: ignore"), None);
    }
}
