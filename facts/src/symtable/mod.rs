//! The `symtable_*` lane: scopes of a Python file, their symbols, and what names are of, as CPython's `symtable` module
//! shows them.
//!
//! Two passes, as CPython has them: [`build`] notes what the source does with each name in each block, [`analyze`]
//! decides where names are found. [`rules`] has what differs between versions.

mod analyze;
mod block;
mod build;
mod expression;
mod future;
mod names;
mod resolve;
mod rows;
mod rules;
mod scopes;
mod statement;
mod tables;
#[cfg(test)]
mod tests;

use crate::catalog::Dataset;
use crate::columns::Table;
use crate::extract::{Diagnostic, LaneRequest, LaneStatus, Session, Severity};
use crate::file::{FileKind, FileMeta};
use crate::lane::LaneId;
use crate::language::Language;
use crate::options::Options;
use crate::python::{self, PythonError};
use crate::source::Source;
use build::Builder;
use rows::{Rows, Tables};
use rules::Rules;
use tables::{
    SymtableClassMethods, SymtableErrors, SymtableFunctionPartitions, SymtableNamespaceEdges, SymtableResolutions,
    SymtableScopeEdges, SymtableScopes, SymtableSymbols,
};

/// Raised by hand whenever the rows of an unchanged file change.
const REVISION: u32 = 3;

/// The datasets of this module.
pub const DATASETS: &[&Dataset] = &[
    &SymtableScopes::DATASET,
    &SymtableSymbols::DATASET,
    &SymtableScopeEdges::DATASET,
    &SymtableNamespaceEdges::DATASET,
    &SymtableFunctionPartitions::DATASET,
    &SymtableClassMethods::DATASET,
    &SymtableResolutions::DATASET,
    &SymtableErrors::DATASET,
];

/// Whether the lane has something to say about this file.
pub fn accepts(file: &FileMeta) -> bool {
    file.kind == FileKind::File && file.language == Some(Language::Python)
}

/// What the rows depend on.
pub fn fingerprint(options: &Options) -> String {
    format!("{REVISION} {}", python::fingerprint(options))
}

/// The lane at work.
#[derive(Debug)]
pub struct SymtableSession {
    scopes: SymtableScopes,
    symbols: SymtableSymbols,
    scope_edges: SymtableScopeEdges,
    namespace_edges: SymtableNamespaceEdges,
    partitions: SymtableFunctionPartitions,
    methods: SymtableClassMethods,
    resolutions: SymtableResolutions,
    errors: SymtableErrors,
}

impl SymtableSession {
    /// With these options.
    pub fn new(_: &Options) -> Self {
        Self {
            scopes: SymtableScopes::default(),
            symbols: SymtableSymbols::default(),
            scope_edges: SymtableScopeEdges::default(),
            namespace_edges: SymtableNamespaceEdges::default(),
            partitions: SymtableFunctionPartitions::default(),
            methods: SymtableClassMethods::default(),
            resolutions: SymtableResolutions::default(),
            errors: SymtableErrors::default(),
        }
    }

    /// Adds the rows of a file, or tells at which stage it is refused.
    fn rows(&mut self, file: &Source<'_>, request: &LaneRequest) -> Result<(), (&'static str, PythonError)> {
        let module = file.python().as_ref().map_err(|error| ("parse", error.clone()))?;
        let rules = Rules::of(module.version());
        let refused = |error| ("symtable", error);
        let mut blocks = Builder::build(module, rules).map_err(refused)?;
        analyze::analyze(module, rules, &mut blocks).map_err(refused)?;
        let tables = Tables {
            scopes: wanted(&mut self.scopes, request),
            symbols: wanted(&mut self.symbols, request),
            scope_edges: wanted(&mut self.scope_edges, request),
            namespace_edges: wanted(&mut self.namespace_edges, request),
            partitions: wanted(&mut self.partitions, request),
            methods: wanted(&mut self.methods, request),
            resolutions: wanted(&mut self.resolutions, request),
        };
        Rows::new(module, rules, blocks, tables).push();
        Ok(())
    }
}

/// The table, if the request is for it.
fn wanted<'t, T: Table>(table: &'t mut T, request: &LaneRequest) -> Option<&'t mut T> {
    request.wants(table.dataset()).then_some(table)
}

impl Session for SymtableSession {
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, diagnostics: &mut Vec<Diagnostic>) -> LaneStatus {
        if !file.has_content() {
            return LaneStatus::Failed {
                reason: "unreadable".into(),
                message: "the file's content is not there".into(),
            };
        }
        let Err((stage, error)) = self.rows(file, request) else { return LaneStatus::Extracted };
        if error.unsupported {
            diagnostics.push(Diagnostic {
                lane: LaneId::Symtable,
                severity: Severity::Error,
                code: "decode".into(),
                message: error.message.clone(),
                bstart: None,
            });
        }
        if let Some(table) = wanted(&mut self.errors, request) {
            table.ordinal.push(0);
            table.stage.push(stage);
            table.error_type.push(error.error_type);
            table.message.push(&error.message);
            table.bstart.push(error.span.map(|span| span.bstart));
            table.bend.push(error.span.map(|span| span.bend));
            table.lineno.push(error.span.map(|span| span.lineno));
            table.col_offset.push(error.span.map(|span| span.col_offset));
            table.end_lineno.push(error.span.map(|span| span.end_lineno));
            table.end_col_offset.push(error.span.map(|span| span.end_col_offset));
        }
        LaneStatus::Extracted
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![
            &mut self.scopes,
            &mut self.symbols,
            &mut self.scope_edges,
            &mut self.namespace_edges,
            &mut self.partitions,
            &mut self.methods,
            &mut self.resolutions,
            &mut self.errors,
        ]
    }
}
