//! The catalog of datasets and the extractors: bytes in, Arrow out.
//!
//! Nothing here does I/O, knows a clock, or iterates a hash map into an output: the same bytes and options give the
//! same rows on any machine.

pub mod agreement;
pub mod ast;
pub mod bytecode;
pub mod catalog;
pub mod columns;
pub mod cst;
pub mod encoding;
pub mod extract;
pub mod file;
pub mod files;
pub mod fingerprint;
pub mod hash;
pub mod lane;
pub mod language;
pub mod lines;
pub mod options;
pub mod python;
pub mod records;
pub mod source;
pub mod symtable;
#[cfg(test)]
mod testing;
pub mod ts;
pub mod views;
