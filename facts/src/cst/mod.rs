//! The `cst_*` lane: names, calls, definitions and imports of a Python file as LibCST's metadata providers show them,
//! with their scopes and qualified names.
//!
//! It is built from the parse that the other Python lanes share. LibCST's tree exists only in thought: a walk in the
//! order of its scope analysis ([`walk`], [`scope`]) notes what becomes a row, and [`rows`] resolves and writes it.

mod builtins;
mod docstring;
mod expression;
mod manifest;
mod names;
mod nodes;
mod pattern;
mod resolve;
mod rows;
mod scope;
mod span;
mod statement;
mod tables;
#[cfg(test)]
mod tests;
mod walk;

use crate::catalog::Dataset;
use crate::columns::Table;
use crate::extract::{Diagnostic, LaneRequest, LaneStatus, Session, Severity};
use crate::file::{FileKind, FileMeta};
use crate::fingerprint::tool;
use crate::lane::LaneId;
use crate::language::Language;
use crate::options::Options;
use crate::python::{self, PythonError};
use crate::source::Source;
use manifest::LIBCST_VERSION;
use names::{ModuleName, QualifiedNames};
use rows::{Limits, Rows};
use tables::{
    CallsiteQnameCandidates, CstCallArgs, CstCallsites, CstDecorators, CstDefs, CstDocstrings, CstImports, CstNodes,
    CstParseErrors, CstParseManifest, CstRefs, CstTypeExprs,
};
use walk::Walker;

/// Raised by hand whenever the rows of an unchanged file change.
const REVISION: u32 = 1;

/// The datasets of this module.
pub const DATASETS: &[&Dataset] = &[
    &CstParseManifest::DATASET,
    &CstParseErrors::DATASET,
    &CstRefs::DATASET,
    &CstImports::DATASET,
    &CstCallsites::DATASET,
    &CstDefs::DATASET,
    &CstTypeExprs::DATASET,
    &CstDocstrings::DATASET,
    &CstDecorators::DATASET,
    &CstCallArgs::DATASET,
    &CallsiteQnameCandidates::DATASET,
    &CstNodes::DATASET,
];

/// Whether the lane has something to say about this file.
pub fn accepts(file: &FileMeta) -> bool {
    file.kind == FileKind::File && file.language == Some(Language::Python)
}

/// What the rows depend on, for files below a package root.
pub fn fingerprint(options: &Options, root: &str) -> String {
    let Options { max_docstring_bytes, max_expression_bytes, .. } = options;
    format!(
        "{REVISION} {} {} docstring {max_docstring_bytes} expression {max_expression_bytes} root {root:?}",
        python::fingerprint(options),
        tool("libcst", LIBCST_VERSION)
    )
}

/// The package root around a file; empty for the repository's own.
pub fn package_root<'o>(options: &'o Options, path: &str) -> &'o str {
    names::root_around(path, &options.package_roots).unwrap_or("")
}

/// The lane at work.
#[derive(Debug, Default)]
pub struct CstSession {
    parse_manifest: CstParseManifest,
    parse_errors: CstParseErrors,
    refs: CstRefs,
    imports: CstImports,
    callsites: CstCallsites,
    defs: CstDefs,
    type_exprs: CstTypeExprs,
    docstrings: CstDocstrings,
    decorators: CstDecorators,
    call_args: CstCallArgs,
    candidates: CallsiteQnameCandidates,
    nodes: CstNodes,
    options: Options,
}

impl CstSession {
    /// With these options.
    pub fn new(options: &Options) -> Self {
        Self { options: options.clone(), ..Self::default() }
    }

    /// Adds the rows of a file and tells how many docstrings and expressions were cut.
    fn rows(
        &mut self,
        file: &Source<'_>,
        request: &LaneRequest,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<(), PythonError> {
        let module = file.python().as_ref().map_err(PythonError::clone)?;
        if let Some(error) = module.undecoded() {
            // LibCST decodes the whole file.
            return Err(error.clone());
        }
        let walker = Walker::new(module).walk()?;
        let name = ModuleName::of(&file.meta.path, &self.options.package_roots);
        let mut rows = Rows {
            walker: &walker,
            module,
            locator: module.locator(),
            name: &name,
            limits: Limits {
                expression: self.options.max_expression_bytes,
                docstring: self.options.max_docstring_bytes,
                cut_docstrings: 0,
                cut_expressions: 0,
            },
            names: QualifiedNames::default(),
            text: String::new(),
        };
        if let Some(table) = wanted(&mut self.parse_manifest, request) {
            manifest::manifest(table, &walker, file.bytes(), &name);
        }
        if let Some(table) = wanted(&mut self.refs, request) {
            rows.refs(table);
        }
        if let Some(table) = wanted(&mut self.imports, request) {
            rows.imports(table);
        }
        rows.calls(
            wanted(&mut self.callsites, request),
            wanted(&mut self.call_args, request),
            wanted(&mut self.candidates, request),
        );
        if let Some(table) = wanted(&mut self.defs, request) {
            rows.defs(table);
        }
        if let Some(table) = wanted(&mut self.type_exprs, request) {
            rows.type_exprs(table);
        }
        if let Some(table) = wanted(&mut self.docstrings, request) {
            rows.docstrings(table);
        }
        if let Some(table) = wanted(&mut self.decorators, request) {
            rows.decorators(table);
        }
        if let Some(table) = wanted(&mut self.nodes, request) {
            match nodes::nodes(module) {
                Ok(nodes) => rows.nodes(table, &nodes),
                Err(at) => {
                    let message = "the tree has a shape that is not known: the file has no nodes".into();
                    let bstart = Some(module.locator().original(at.to_u32()) as i32);
                    diagnostics.push(Diagnostic { bstart, ..diagnostic(Severity::Error, "nodes", message) });
                }
            }
        }
        let cut = [
            (rows.limits.cut_docstrings, "docstrings", self.options.max_docstring_bytes),
            (rows.limits.cut_expressions, "expressions", self.options.max_expression_bytes),
        ];
        for (count, what, limit) in cut.into_iter().filter(|(count, ..)| *count > 0) {
            let message = format!("{count} {what} were cut to {limit} bytes");
            diagnostics.push(diagnostic(Severity::Warning, "truncated_text", message));
        }
        Ok(())
    }
}

/// The table, if the request is for it.
fn wanted<'t, T: Table>(table: &'t mut T, request: &LaneRequest) -> Option<&'t mut T> {
    request.wants(table.dataset()).then_some(table)
}

fn diagnostic(severity: Severity, code: &str, message: String) -> Diagnostic {
    Diagnostic { lane: LaneId::Cst, severity, code: code.into(), message, bstart: None }
}

impl Session for CstSession {
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, diagnostics: &mut Vec<Diagnostic>) -> LaneStatus {
        if !file.has_content() {
            return LaneStatus::Failed {
                reason: "unreadable".into(),
                message: "the file's content is not there".into(),
            };
        }
        if let Err(error) = self.rows(file, request, diagnostics) {
            if error.unsupported {
                diagnostics.push(diagnostic(Severity::Error, "decode", error.message.clone()));
            }
            if let Some(table) = wanted(&mut self.parse_errors, request) {
                manifest::error(table, &error, file.bytes());
            }
        }
        LaneStatus::Extracted
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![
            &mut self.parse_manifest,
            &mut self.parse_errors,
            &mut self.refs,
            &mut self.imports,
            &mut self.callsites,
            &mut self.defs,
            &mut self.type_exprs,
            &mut self.docstrings,
            &mut self.decorators,
            &mut self.call_args,
            &mut self.candidates,
            &mut self.nodes,
        ]
    }
}
