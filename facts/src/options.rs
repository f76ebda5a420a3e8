//! What a run may ask of the extractors. Options are part of a lane's fingerprint; limits are part of a quarantine's.

use serde::{Deserialize, Serialize};

use crate::bytecode::Interpreter;
use crate::python::Version;

/// Options of the extractors, resolved by the client; equal options give equal rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Version of Python whose grammar, positions and limits the facts follow.
    pub python_version: Version,
    /// Longest text of a line that `file_line_index` keeps, in bytes; longer lines are cut at a character.
    pub max_line_text_bytes: usize,
    /// Longest text a tree-sitter fact keeps, in bytes.
    pub max_text_bytes: usize,
    /// Longest docstring a fact keeps, in bytes.
    pub max_docstring_bytes: usize,
    /// Longest source of an expression that a `cst_*` fact keeps, in bytes.
    pub max_expression_bytes: usize,
    /// Directories below the repository's root from which modules are named; the innermost around a file counts, else
    /// the root itself.
    pub package_roots: Vec<String>,
    /// Whether `repo_file_blobs` keeps decoded text.
    pub blob_text: bool,
    /// Whether `repo_file_blobs` keeps bytes.
    pub blob_bytes: bool,
    /// Interpreters that compile files for `bytecode_*`.
    pub interpreters: Vec<Interpreter>,
    /// How much they optimize, as `python -O` counts it.
    pub optimize: i32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            python_version: Version::default(),
            max_line_text_bytes: 10_000,
            max_text_bytes: 256,
            max_docstring_bytes: 64 * 1024,
            max_expression_bytes: 10_000,
            package_roots: vec![],
            blob_text: true,
            blob_bytes: true,
            interpreters: vec![],
            optimize: 0,
        }
    }
}

/// What one file may cost before it is quarantined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest file whose content is read by extractors, in bytes.
    pub file_bytes: u64,
    /// CPU time, in milliseconds. Wall time is a backstop of ten times that.
    pub cpu_ms: u64,
    /// Memory of the worker process while it works on the file, in bytes.
    pub memory_bytes: u64,
    /// Facts of one file as Arrow values, in bytes.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 64 << 20, cpu_ms: 30_000, memory_bytes: 2 << 30, output_bytes: 1 << 30 }
    }
}
