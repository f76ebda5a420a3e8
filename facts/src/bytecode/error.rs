//! Why bytes are no code of a version.

use thiserror::Error;

use super::marshal::MarshalError;

/// What is wrong with the code an interpreter wrote.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BytecodeError {
    /// It can't be read.
    #[error(transparent)]
    Marshal(#[from] MarshalError),
    /// Something else stands where this belongs.
    #[error("a code object holds something else where its {0} belongs")]
    Part(&'static str),
    /// An instruction that the version doesn't have.
    #[error("no instruction has code {code} (at offset {offset})")]
    Opcode {
        /// Its code.
        code: u8,
        /// Where.
        offset: u32,
    },
    /// An argument that points at nothing.
    #[error("the argument of {op} at offset {offset} points at nothing")]
    Argument {
        /// The instruction.
        op: &'static str,
        /// Where.
        offset: u32,
    },
    /// The line table is broken.
    #[error("the line table is broken")]
    LineTable,
    /// The exception table is broken.
    #[error("the exception table is broken")]
    ExceptionTable,
    /// More than a file can ask for.
    #[error("its {what} take more than {limit} bytes when they are written out")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}
