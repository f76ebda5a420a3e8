//! A file's bytes and what lanes share of them: each is computed once, when first asked for.

use std::cell::OnceCell;

use sha2::{Digest, Sha256};

use crate::bytecode::Compiled;
use crate::file::FileMeta;
use crate::options::Options;
use crate::python::{PythonError, PythonModule};

/// One file under extraction.
pub struct Source<'a> {
    /// What the scan knows.
    pub meta: &'a FileMeta,
    content: Option<&'a [u8]>,
    options: &'a Options,
    compiled: &'a [Compiled],
    sha256: OnceCell<Option<String>>,
    python: OnceCell<Result<PythonModule<'a>, PythonError>>,
}

impl<'a> Source<'a> {
    /// A file with its content, or without for what has none, and the options that say how it is read.
    pub fn new(meta: &'a FileMeta, content: Option<&'a [u8]>, options: &'a Options) -> Self {
        Self { meta, content, options, compiled: &[], sha256: OnceCell::new(), python: OnceCell::new() }
    }

    /// With what interpreters made of it, in the order of [`crate::options::Options::interpreters`].
    pub fn with_compiled(self, compiled: &'a [Compiled]) -> Self {
        Self { compiled, ..self }
    }

    /// What interpreters made of it; nothing where no host had it compiled.
    pub fn compiled(&self) -> &'a [Compiled] {
        self.compiled
    }

    /// The bytes as they lie on disk; empty where there is no content.
    pub fn bytes(&self) -> &'a [u8] {
        self.content.unwrap_or_default()
    }

    /// Whether content was read.
    pub fn has_content(&self) -> bool {
        self.content.is_some()
    }

    /// Lower-case hex SHA-256 of the content.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.get_or_init(|| self.content.map(|c| format!("{:x}", Sha256::digest(c)))).as_deref()
    }

    /// The content as Python of the target version, or why it is none.
    pub fn python(&self) -> &Result<PythonModule<'a>, PythonError> {
        self.python.get_or_init(|| PythonModule::parse(self.bytes(), self.options.python_version))
    }
}
