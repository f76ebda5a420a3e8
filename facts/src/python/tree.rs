//! A syntax tree that can be dropped however deep it is.

use std::cell::RefCell;
use std::mem::replace;
use std::ops::Deref;

use ruff_python_ast::visitor::transformer::{Transformer, walk_body, walk_expr, walk_pattern, walk_stmt};
use ruff_python_ast::{AtomicNodeIndex, Expr, ExprNoneLiteral, ModModule, Pattern, PatternMatchStar, Stmt, StmtPass};
use ruff_python_parser::Parsed;
use ruff_text_size::TextRange;

/// Trees that could be deeper than this are taken apart instead of dropped by recursion.
const SAFE_DROP_DEPTH: usize = 500;

/// What the parser made of a file.
#[derive(Debug)]
pub(super) struct Tree {
    /// Present until dropped.
    parsed: Option<Parsed<ModModule>>,
    depth: usize,
}

impl Tree {
    /// A tree that is at most `depth` nodes deep.
    pub(super) fn new(parsed: Parsed<ModModule>, depth: usize) -> Self {
        Self { parsed: Some(parsed), depth }
    }

    /// No node lies deeper.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }
}

impl Deref for Tree {
    type Target = Parsed<ModModule>;

    fn deref(&self) -> &Self::Target {
        self.parsed.as_ref().expect("present until dropped")
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.depth > SAFE_DROP_DEPTH
            && let Some(parsed) = self.parsed.take()
        {
            Dismantler::default().dismantle(parsed.into_syntax());
        }
    }
}

/// Takes what is below an expression away, however deep it is.
pub(super) fn hollow(expression: &mut Expr) {
    let dismantler = Dismantler::default();
    walk_expr(&dismantler, expression);
    dismantler.finish();
}

/// Moves every node out of its parent before the parent is dropped, so that no drop recurses.
#[derive(Default)]
struct Dismantler {
    statements: RefCell<Vec<Stmt>>,
    expressions: RefCell<Vec<Expr>>,
    patterns: RefCell<Vec<Pattern>>,
}

impl Dismantler {
    fn dismantle(&self, mut module: ModModule) {
        walk_body(self, &mut module.body);
        self.finish();
    }

    fn finish(&self) {
        loop {
            let (statement, expression, pattern) = (
                self.statements.borrow_mut().pop(),
                self.expressions.borrow_mut().pop(),
                self.patterns.borrow_mut().pop(),
            );
            if statement.is_none() && expression.is_none() && pattern.is_none() {
                break;
            }
            statement.into_iter().for_each(|mut s| walk_stmt(self, &mut s));
            expression.into_iter().for_each(|mut e| walk_expr(self, &mut e));
            pattern.into_iter().for_each(|mut p| walk_pattern(self, &mut p));
        }
    }
}

impl Transformer for Dismantler {
    fn visit_stmt(&self, stmt: &mut Stmt) {
        let hole = Stmt::Pass(StmtPass { node_index: AtomicNodeIndex::NONE, range: TextRange::default() });
        self.statements.borrow_mut().push(replace(stmt, hole));
    }

    fn visit_expr(&self, expr: &mut Expr) {
        let hole =
            Expr::NoneLiteral(ExprNoneLiteral { node_index: AtomicNodeIndex::NONE, range: TextRange::default() });
        self.expressions.borrow_mut().push(replace(expr, hole));
    }

    fn visit_pattern(&self, pattern: &mut Pattern) {
        let hole = Pattern::MatchStar(PatternMatchStar {
            node_index: AtomicNodeIndex::NONE,
            range: TextRange::default(),
            name: None,
        });
        self.patterns.borrow_mut().push(replace(pattern, hole));
    }
}
