//! Lanes: the units of extraction, each a parser's view of a file and the datasets that come from it.

use serde::{Deserialize, Serialize};

use crate::catalog::{Dataset, datasets};
use crate::file::FileMeta;
use crate::hash::stable_hash;
use crate::options::Options;

/// A lane. Its name is what `extract_state.lane` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneId {
    /// The scan's own tables: `repo_files`, `scope_manifest`.
    Files,
    /// `file_line_index`.
    Lines,
    /// `repo_file_blobs`.
    Blobs,
    /// `ast_*`.
    Ast,
    /// `cst_*`.
    Cst,
    /// `symtable_*`.
    Symtable,
    /// `bytecode_*`.
    Bytecode,
    /// `ts_*`.
    Ts,
    /// `agreement`, `agreement_counts`.
    Agreement,
}

impl LaneId {
    /// Every lane, in the order they run over a file.
    pub const ALL: [LaneId; 9] = [
        Self::Files,
        Self::Lines,
        Self::Blobs,
        Self::Ast,
        Self::Cst,
        Self::Symtable,
        Self::Bytecode,
        Self::Ts,
        Self::Agreement,
    ];

    /// Name in tables and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Lines => "lines",
            Self::Blobs => "blobs",
            Self::Ast => "ast",
            Self::Cst => "cst",
            Self::Symtable => "symtable",
            Self::Bytecode => "bytecode",
            Self::Ts => "ts",
            Self::Agreement => "agreement",
        }
    }

    /// The lane of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }

    /// The datasets this lane fills, in catalog order.
    pub fn datasets(self) -> impl Iterator<Item = &'static Dataset> {
        datasets().iter().copied().filter(move |d| d.lane == Some(self))
    }

    /// Whether the lane has something to say about this file.
    pub fn accepts(self, file: &FileMeta) -> bool {
        match self {
            Self::Files => true,
            Self::Lines | Self::Blobs => file.included,
            Self::Ast => file.included && crate::ast::accepts(file),
            Self::Cst => file.included && crate::cst::accepts(file),
            Self::Symtable => file.included && crate::symtable::accepts(file),
            Self::Bytecode => file.included && crate::bytecode::accepts(file),
            Self::Ts => file.included && crate::ts::accepts(file),
            Self::Agreement => file.included && crate::agreement::accepts(file),
        }
    }

    /// Whether a dataset of this lane, which accepts the file, has rows of such files: one that is left out of the scope
    /// is in the scope's manifest alone.
    pub fn gives(self, dataset: &str, file: &FileMeta) -> bool {
        file.included || dataset == crate::files::ScopeManifest::DATASET.name
    }

    /// What the lane reads of a file: equal keys give equal rows.
    pub fn content_key(self, file: &FileMeta) -> String {
        match self {
            Self::Files => file.scan_key(),
            _ => file.content_key(),
        }
    }

    /// What the lane's rows depend on besides the file: hand-set revision, parsers, grammars and the options it reads.
    /// A lane whose fingerprint changed redoes its files.
    pub fn fingerprint(self, options: &Options) -> String {
        let parts = match self {
            Self::Files => crate::files::fingerprint(options),
            Self::Lines => crate::lines::fingerprint(options),
            Self::Blobs => crate::files::blobs_fingerprint(options),
            Self::Ast => crate::ast::fingerprint(options),
            Self::Cst => crate::cst::fingerprint(options),
            Self::Symtable => crate::symtable::fingerprint(options),
            Self::Bytecode => crate::bytecode::fingerprint(options),
            Self::Ts => crate::ts::fingerprint(options),
            Self::Agreement => crate::agreement::fingerprint(options),
        };
        format!("{:016x}", stable_hash(format!("{}\0{parts}", self.name()).as_bytes()))
    }
}
