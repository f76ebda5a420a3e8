//! rustpython-parser as a witness: another parser of Python, which shares no code with the one behind the facts.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustpython_ast::{
    Alias, Arg, ArgWithDefault, Arguments, Comprehension, Constant, Expr, ExprCall, ExprName, Keyword, MatchCase, Mod,
    Stmt, StmtAsyncFunctionDef, StmtClassDef, StmtFunctionDef, StmtImport, StmtImportFrom, Visitor, WithItem,
};
use rustpython_parser::text_size::TextRange;
use rustpython_parser::{Mode, parse};

use super::align::{Kind, Sighting};
use super::rows::import;
use crate::python::{Locator, PythonModule};

/// The witness, for fingerprints.
pub(super) const NAME: &str = "rustpython_parser";
/// Its version.
pub(super) const VERSION: &str = "0.4.0";

/// Deepest tree it is asked about, in nodes; its visitor recurses.
const MAX_DEPTH: usize = 20_000;
/// Stack for its parser, whose generated code has large frames.
const STACK: usize = 8 * 1024 * 1024;
/// Stack of a node in the visitor's recursion, generously.
const STACK_A_NODE: usize = 16 * 1024;

/// What the witness sees in a file.
///
/// # Errors
/// Why it can't read the file.
pub(super) fn sightings(module: &PythonModule<'_>) -> Result<Vec<Sighting>, String> {
    let depth = module.depth();
    if depth > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} nodes deep"));
    }
    let look = || {
        // Its lexer has assertions that strange text breaks.
        let parsed = catch_unwind(AssertUnwindSafe(|| parse(module.text(), Mode::Module, "")));
        let parsed = parsed.map_err(|_| "the parser panicked".to_owned())?.map_err(|error| error.error.to_string())?;
        let mut eyes = Eyes { locator: module.locator(), found: vec![] };
        if let Mod::Module(module) = parsed {
            eyes.docstring(&module.body);
            module.body.into_iter().for_each(|statement| eyes.visit_stmt(statement));
        }
        Ok(eyes.found)
    };
    // Only what is touched of it becomes memory.
    stacker::grow(STACK + depth * STACK_A_NODE, look)
}

struct Eyes<'m> {
    locator: Locator<'m>,
    found: Vec<Sighting>,
}

impl Eyes<'_> {
    fn see(&mut self, kind: Kind, range: TextRange, name: impl Into<String>) {
        let original = |offset: u32| self.locator.original(offset) as i32;
        let (bstart, bend) = (original(range.start().to_u32()), original(range.end().to_u32()));
        self.found.push(Sighting { kind, bstart, bend, name: name.into() });
    }

    fn docstring(&mut self, body: &[Stmt]) {
        if let Some(Stmt::Expr(first)) = body.first()
            && let Expr::Constant(constant) = first.value.as_ref()
            && matches!(constant.value, Constant::Str(_))
        {
            self.see(Kind::Docstring, constant.range, "");
        }
    }

    fn imports(&mut self, range: TextRange, level: usize, module: Option<&str>, names: &[Alias]) {
        for alias in names {
            self.see(Kind::Import, range, import(level, module, &alias.name, alias.asname.as_deref()));
        }
    }

    fn argument(&mut self, argument: Arg) {
        argument.annotation.into_iter().for_each(|annotation| self.visit_expr(*annotation));
    }
}

impl Visitor for Eyes<'_> {
    fn visit_stmt_function_def(&mut self, node: StmtFunctionDef) {
        self.see(Kind::Definition, node.range, node.name.as_str());
        self.docstring(&node.body);
        self.generic_visit_stmt_function_def(node);
    }

    fn visit_stmt_async_function_def(&mut self, node: StmtAsyncFunctionDef) {
        self.see(Kind::Definition, node.range, node.name.as_str());
        self.docstring(&node.body);
        self.generic_visit_stmt_async_function_def(node);
    }

    fn visit_stmt_class_def(&mut self, node: StmtClassDef) {
        self.see(Kind::Definition, node.range, node.name.as_str());
        self.docstring(&node.body);
        self.generic_visit_stmt_class_def(node);
    }

    fn visit_stmt_import(&mut self, node: StmtImport) {
        self.imports(node.range, 0, None, &node.names);
    }

    fn visit_stmt_import_from(&mut self, node: StmtImportFrom) {
        let level = node.level.map_or(0, |level| level.to_usize());
        self.imports(node.range, level, node.module.as_deref(), &node.names);
    }

    fn visit_expr_call(&mut self, node: ExprCall) {
        self.see(Kind::Call, node.range, "");
        self.generic_visit_expr_call(node);
    }

    fn visit_expr_name(&mut self, node: ExprName) {
        self.see(Kind::Name, node.range, node.id.as_str());
    }

    // The visitor that comes with the tree stops at these.

    fn visit_arguments(&mut self, node: Arguments) {
        let with_defaults = node.posonlyargs.into_iter().chain(node.args).chain(node.kwonlyargs);
        for ArgWithDefault { def, default, .. } in with_defaults {
            self.argument(def);
            default.into_iter().for_each(|default| self.visit_expr(*default));
        }
        node.vararg.into_iter().chain(node.kwarg).for_each(|argument| self.argument(*argument));
    }

    fn visit_keyword(&mut self, node: Keyword) {
        self.visit_expr(node.value);
    }

    fn visit_comprehension(&mut self, node: Comprehension) {
        self.visit_expr(node.target);
        self.visit_expr(node.iter);
        node.ifs.into_iter().for_each(|condition| self.visit_expr(condition));
    }

    fn visit_withitem(&mut self, node: WithItem) {
        self.visit_expr(node.context_expr);
        node.optional_vars.into_iter().for_each(|target| self.visit_expr(*target));
    }

    fn visit_match_case(&mut self, node: MatchCase) {
        self.visit_pattern(node.pattern);
        node.guard.into_iter().for_each(|guard| self.visit_expr(*guard));
        node.body.into_iter().for_each(|statement| self.visit_stmt(statement));
    }
}
