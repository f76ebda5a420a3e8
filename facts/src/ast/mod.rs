//! The `ast_*` lane: a Python file's tree, and what can be read off it, as CPython's `ast` module shows them.

mod expression;
mod interpolated;
mod nodes;
mod pattern;
mod rows;
mod statement;
mod tables;
#[cfg(test)]
mod tests;
mod walk;

use crate::catalog::Dataset;
use crate::columns::Table;
use crate::extract::{Diagnostic, LaneRequest, LaneStatus, Session, Severity};
use crate::file::{FileKind, FileMeta};
use crate::lane::LaneId;
use crate::language::Language;
use crate::options::Options;
use crate::python::{self, PythonError};
use crate::source::Source;
use nodes::{Node, NodeSink};
use tables::{AstCalls, AstDefs, AstDocstrings, AstErrors, AstImports, AstNodes, AstTypeIgnores};
use walk::{Walker, push_optional_span};

/// Raised by hand whenever the rows of an unchanged file change.
const REVISION: u32 = 3;

/// The datasets of this module.
pub const DATASETS: &[&Dataset] = &[
    &AstNodes::DATASET,
    &AstDocstrings::DATASET,
    &AstImports::DATASET,
    &AstDefs::DATASET,
    &AstCalls::DATASET,
    &AstTypeIgnores::DATASET,
    &AstErrors::DATASET,
];

/// Whether the lane has something to say about this file.
pub fn accepts(file: &FileMeta) -> bool {
    file.kind == FileKind::File && file.language == Some(Language::Python)
}

/// What the rows depend on.
pub fn fingerprint(options: &Options) -> String {
    format!("{REVISION} {} docstring {}", python::fingerprint(options), options.max_docstring_bytes)
}

/// The lane at work.
#[derive(Debug)]
pub struct AstSession {
    nodes: AstNodes,
    block: Vec<Node>,
    docstrings: AstDocstrings,
    imports: AstImports,
    defs: AstDefs,
    calls: AstCalls,
    type_ignores: AstTypeIgnores,
    errors: AstErrors,
    max_docstring_bytes: usize,
}

impl AstSession {
    /// With these options.
    pub fn new(options: &Options) -> Self {
        Self {
            nodes: AstNodes::default(),
            block: vec![],
            docstrings: AstDocstrings::default(),
            imports: AstImports::default(),
            defs: AstDefs::default(),
            calls: AstCalls::default(),
            type_ignores: AstTypeIgnores::default(),
            errors: AstErrors::default(),
            max_docstring_bytes: options.max_docstring_bytes,
        }
    }

    /// Adds the rows of a file and tells how many docstrings were cut.
    fn rows(&mut self, file: &Source<'_>, request: &LaneRequest) -> Result<usize, PythonError> {
        let module = file.python().as_ref().map_err(PythonError::clone)?;
        let mut cut = 0;
        if DATASETS[..5].iter().any(|dataset| request.wants(dataset)) {
            let walker = Walker::new(
                module,
                wanted(&mut self.nodes, request).map(|table| NodeSink::new(table, &mut self.block)),
                wanted(&mut self.docstrings, request),
                wanted(&mut self.imports, request),
                wanted(&mut self.defs, request),
                wanted(&mut self.calls, request),
                self.max_docstring_bytes,
            );
            cut = walker.walk()?;
        }
        if let Some(table) = wanted(&mut self.type_ignores, request) {
            rows::type_ignores(module, table);
        }
        Ok(cut)
    }
}

/// The table, if the request is for it.
fn wanted<'t, T: Table>(table: &'t mut T, request: &LaneRequest) -> Option<&'t mut T> {
    request.wants(table.dataset()).then_some(table)
}

fn diagnostic(severity: Severity, code: &str, message: String) -> Diagnostic {
    Diagnostic { lane: LaneId::Ast, severity, code: code.into(), message, bstart: None }
}

impl Session for AstSession {
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, diagnostics: &mut Vec<Diagnostic>) -> LaneStatus {
        if !file.has_content() {
            return LaneStatus::Failed {
                reason: "unreadable".into(),
                message: "the file's content is not there".into(),
            };
        }
        let before: Vec<usize> = self.tables().iter().map(|table| table.rows()).collect();
        match self.rows(file, request) {
            Ok(0) => {}
            Ok(cut) => {
                let message = format!("{cut} docstrings were cut to {} bytes", self.max_docstring_bytes);
                diagnostics.push(diagnostic(Severity::Warning, "truncated_text", message));
            }
            Err(error) => {
                self.tables().into_iter().zip(before).for_each(|(table, rows)| table.truncate(rows));
                if error.unsupported {
                    diagnostics.push(diagnostic(Severity::Error, "decode", error.message.clone()));
                }
                if let Some(table) = wanted(&mut self.errors, request) {
                    table.ordinal.push(0);
                    table.error_type.push(error.error_type);
                    table.message.push(&error.message);
                    push_optional_span!(table, error.span);
                }
            }
        }
        LaneStatus::Extracted
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![
            &mut self.nodes,
            &mut self.docstrings,
            &mut self.imports,
            &mut self.defs,
            &mut self.calls,
            &mut self.type_ignores,
            &mut self.errors,
        ]
    }
}
