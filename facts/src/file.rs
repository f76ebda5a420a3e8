//! What the scan knows of a file.

use serde::{Deserialize, Serialize};

use crate::hash::file_id;
use crate::language::Language;

/// A path as tables show it: bytes that are not UTF-8 as `\xhh`.
pub fn escape(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// What a scanned path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A symbolic link: never followed.
    Symlink,
    /// A submodule that the scan does not enter.
    Submodule,
    /// A socket, pipe or device.
    Special,
}

impl FileKind {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Symlink => "symlink",
            Self::Submodule => "submodule",
            Self::Special => "special",
        }
    }

    /// The kind of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::File, Self::Symlink, Self::Submodule, Self::Special].into_iter().find(|k| k.name() == name)
    }
}

/// The scan's record of one path: everything an extractor may know about a file besides its bytes.
///
/// No clock and no machine is in it, so equal records give equal rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Repository.
    pub repo: String,
    /// Path below the root, with `/`; bytes that are not UTF-8 as `\xHH`.
    pub path: String,
    /// The path's bytes when they are not UTF-8.
    pub path_bytes: Option<Vec<u8>>,
    /// [`crate::hash::file_id`] of the two.
    pub file_id: i64,
    /// What it is.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: i64,
    /// Lower-case hex SHA-256 of the content the scan saw; `None` when it was not read.
    pub sha256: Option<String>,
    /// Unix permission bits with the type, as git shows them: `100644`, `100755`, `120000`, `160000`.
    pub mode: i32,
    /// Object id of the content as git stores it, where the index or tree names it.
    pub git_blob: Option<String>,
    /// Whether git tracks it; `None` outside git.
    pub tracked: Option<bool>,
    /// Language by name, extension or shebang.
    pub language: Option<Language>,
    /// Whether it is in the scope of the run.
    pub included: bool,
    /// The rule that kept or left it: `default`, `include:<pattern>`, `exclude:<pattern>`, `symlink`, ….
    pub rule: String,
}

impl FileMeta {
    /// The record of a regular file in scope, of which no more is known: not its hash, nor what git thinks of it.
    pub fn in_scope(repo: &str, path: &str, size: usize, language: Option<Language>) -> Self {
        Self {
            repo: repo.to_owned(),
            path: path.to_owned(),
            path_bytes: None,
            file_id: file_id(repo, path.as_bytes()),
            kind: FileKind::File,
            size: size as i64,
            sha256: None,
            mode: 0o100_644,
            git_blob: None,
            tracked: None,
            language,
            included: true,
            rule: "default".to_owned(),
        }
    }

    /// The record as it is kept: JSON.
    pub fn record(&self) -> String {
        serde_json::to_string(self).expect("a record of plain values serializes")
    }
}
