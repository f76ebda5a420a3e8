//! The `bytecode_*` lane: what a Python file compiles to, as `dis` shows it.
//!
//! A real interpreter compiles the file and marshals the code (the host does that, see [`Compiled`]); everything else is
//! read from those bytes here.

mod code;
mod control_flow;
mod data_flow;
mod error;
mod exceptions;
mod instruction_rows;
mod instructions;
mod lines;
mod marshal;
mod opcodes;
mod places;
mod repr;
mod rows;
mod sink;
mod tables;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use error::BytecodeError;
pub use exceptions::{ExceptionEntry, exception_table};
pub use lines::{LineRange, Locations, Position};
pub use marshal::{Layout, MarshalError, Object, Objects};
pub use opcodes::Opcodes;

use crate::catalog::Dataset;
use crate::columns::Table;
use crate::extract::{Diagnostic, LaneRequest, LaneStatus, Session, Severity};
use crate::file::{FileKind, FileMeta};
use crate::lane::LaneId;
use crate::language::Language;
use crate::options::Options;
use crate::source::Source;
use rows::{Cut, FileRows};
use tables::{
    BytecodeBlocks, BytecodeCfgEdges, BytecodeCodeUnits, BytecodeConsts, BytecodeDfgEdges, BytecodeErrors,
    BytecodeExceptionTable, BytecodeInstructions, BytecodeLineTable,
};

/// Raised by hand whenever the rows of an unchanged file change.
const REVISION: u32 = 1;

/// The datasets of this module.
pub const DATASETS: &[&Dataset] = &[
    &BytecodeCodeUnits::DATASET,
    &BytecodeInstructions::DATASET,
    &BytecodeConsts::DATASET,
    &BytecodeLineTable::DATASET,
    &BytecodeExceptionTable::DATASET,
    &BytecodeBlocks::DATASET,
    &BytecodeCfgEdges::DATASET,
    &BytecodeDfgEdges::DATASET,
    &BytecodeErrors::DATASET,
];

/// An interpreter that compiles, as the client found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// The program.
    pub program: String,
    /// Its version, as in `3.13.0`.
    pub version: String,
    /// The number that starts its compiled files, which stands for the bytecode it writes.
    pub magic: u32,
}

impl Interpreter {
    /// The table of its bytecode, if there is one.
    pub fn opcodes(&self) -> Option<&'static Opcodes> {
        Opcodes::all().iter().find(|table| table.magic == self.magic)
    }

    /// Its version for the life of the process, as a vocabulary asks: one copy, however many sessions there are.
    pub(crate) fn kept_version(&self) -> &'static str {
        static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(self.version.as_str()) {
            Some(known) => known,
            None => {
                let version = &*Box::leak(self.version.clone().into_boxed_str());
                kept.insert(version);
                version
            }
        }
    }
}

/// What an interpreter made of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiled {
    /// Its code: `marshal.dumps(compile(…))`.
    Code(Vec<u8>),
    /// It is no program for this interpreter.
    Refused(Refusal),
    /// The interpreter did not answer: what that means for the lane.
    Broken(LaneStatus),
}

/// The exception that `compile` raised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refusal {
    /// Its class.
    pub error_type: String,
    /// What it says.
    pub message: String,
    /// `SyntaxError.lineno`.
    pub lineno: Option<i32>,
    /// `SyntaxError.offset`, from 1.
    pub offset: Option<i32>,
    /// `SyntaxError.end_lineno`.
    pub end_lineno: Option<i32>,
    /// `SyntaxError.end_offset`, from 1.
    pub end_offset: Option<i32>,
}

/// Whether the lane has something to say about this file.
pub fn accepts(file: &FileMeta) -> bool {
    file.kind == FileKind::File && file.language == Some(Language::Python)
}

/// What the rows depend on.
pub fn fingerprint(options: &Options) -> String {
    let interpreters: Vec<String> =
        options.interpreters.iter().map(|python| format!("{} {}", python.version, python.magic)).collect();
    format!("{REVISION} optimize {} pythons {}", options.optimize, interpreters.join(","))
}

/// The lane at work.
#[derive(Debug)]
pub struct BytecodeSession {
    interpreters: Vec<(&'static str, Option<&'static Opcodes>)>,
    tables: Tables,
    scratch: rows::Scratch,
}

/// The lane's tables.
#[derive(Debug, Default)]
struct Tables {
    code_units: BytecodeCodeUnits,
    instructions: BytecodeInstructions,
    consts: BytecodeConsts,
    line_table: BytecodeLineTable,
    exception_table: BytecodeExceptionTable,
    blocks: BytecodeBlocks,
    cfg_edges: BytecodeCfgEdges,
    dfg_edges: BytecodeDfgEdges,
    errors: BytecodeErrors,
}

impl Tables {
    /// All of them, in the order of the catalog.
    fn all(&mut self) -> Vec<&mut dyn Table> {
        vec![
            &mut self.code_units,
            &mut self.instructions,
            &mut self.consts,
            &mut self.line_table,
            &mut self.exception_table,
            &mut self.blocks,
            &mut self.cfg_edges,
            &mut self.dfg_edges,
            &mut self.errors,
        ]
    }
}

impl BytecodeSession {
    /// With these options.
    pub fn new(options: &Options) -> Self {
        let interpreters =
            options.interpreters.iter().map(|python| (python.kept_version(), python.opcodes())).collect();
        Self { interpreters, tables: Tables::default(), scratch: rows::Scratch::default() }
    }
}

fn failed(reason: &str, message: impl Into<String>) -> LaneStatus {
    LaneStatus::Failed { reason: reason.into(), message: message.into() }
}

fn diagnostic(severity: Severity, code: &str, message: String) -> Diagnostic {
    Diagnostic { lane: LaneId::Bytecode, severity, code: code.into(), message, bstart: None }
}

impl Session for BytecodeSession {
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, diagnostics: &mut Vec<Diagnostic>) -> LaneStatus {
        if !file.has_content() {
            return failed("unreadable", "the file's content is not there");
        }
        if self.interpreters.is_empty() || file.compiled().len() != self.interpreters.len() {
            return failed("interpreter", "no interpreter compiled the file; name one with --python");
        }
        let mut rows = FileRows::new(&mut self.tables, &mut self.scratch, request, file);
        for ((version, table), compiled) in self.interpreters.iter().zip(file.compiled()) {
            let before = rows.mark();
            let ended = match (compiled, table) {
                (Compiled::Broken(status), _) => return status.clone(),
                (Compiled::Refused(refusal), _) => {
                    rows.refused(version, "compile", refusal);
                    continue;
                }
                (Compiled::Code(_), None) => {
                    return failed("interpreter", format!("the bytecode of Python {version} is not known"));
                }
                (Compiled::Code(code), Some(table)) => rows.code(version, table, code),
            };
            match ended {
                Ok(Cut { data_flow, stack }) => {
                    let mut warn = |count: usize, code: &str, what: &str| {
                        if count > 0 {
                            let message = format!("Python {version}: {count} code objects {what}");
                            diagnostics.push(diagnostic(Severity::Warning, code, message));
                        }
                    };
                    warn(data_flow, "data_flow", "have too many uses to follow");
                    warn(stack, "stack", "don't use the stack evenly; their edges of data flow are approximate");
                }
                Err(error) => {
                    rows.back_to(&before);
                    let message = error.to_string();
                    diagnostics.push(diagnostic(Severity::Error, "decode", format!("Python {version}: {message}")));
                    let refusal = Refusal { error_type: "BytecodeError".into(), message, ..Refusal::default() };
                    rows.refused(version, "decode", &refusal);
                }
            }
        }
        LaneStatus::Extracted
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        self.tables.all()
    }
}
