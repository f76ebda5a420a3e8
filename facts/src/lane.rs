//! Lanes: the units of extraction, each a parser's view of a file and the datasets that come from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::{Dataset, datasets};
use crate::file::FileMeta;
use crate::hash::stable_hash;
use crate::language::Language;
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

    /// Files of a lane with one fingerprint: those of one language, or below one package root. All of them, for most
    /// lanes.
    pub fn variant<'o>(self, options: &'o Options, file: &FileMeta) -> &'o str {
        match self {
            Self::Cst => crate::cst::package_root(options, &file.path),
            Self::Ts => file.language.map_or("", Language::name),
            _ => "",
        }
    }

    /// Every variant there can be.
    pub fn variants(self, options: &Options) -> Vec<&str> {
        match self {
            Self::Cst => {
                let roots = options.package_roots.iter().map(|root| root.trim_end_matches('/'));
                std::iter::once("").chain(roots.filter(|root| !root.is_empty())).collect()
            }
            Self::Ts => crate::ts::languages().map(Language::name).collect(),
            _ => vec![""],
        }
    }

    /// What the lane's rows of files of a variant depend on besides the files: hand-set revision, parsers, grammars and
    /// the options it reads. A lane redoes the files whose fingerprint changed.
    pub fn fingerprint(self, options: &Options, variant: &str) -> String {
        let parts = match self {
            Self::Files => crate::files::fingerprint(options),
            Self::Lines => crate::lines::fingerprint(options),
            Self::Blobs => crate::files::blobs_fingerprint(options),
            Self::Ast => crate::ast::fingerprint(options),
            Self::Cst => crate::cst::fingerprint(options, variant),
            Self::Symtable => crate::symtable::fingerprint(options),
            Self::Bytecode => crate::bytecode::fingerprint(options),
            Self::Ts => Language::by_name(variant)
                .map_or_else(String::new, |language| crate::ts::fingerprint(options, language)),
            Self::Agreement => crate::agreement::fingerprint(options),
        };
        format!("{:016x}", stable_hash(format!("{}\0{parts}", self.name()).as_bytes()))
    }
}

/// What lanes read of a file, as keys: equal keys give equal rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentKeys {
    scan: String,
    bytes: String,
}

impl ContentKeys {
    /// The keys of a file, of which `record` is [`FileMeta::record`].
    pub fn new(file: &FileMeta, record: &str) -> Self {
        let language = file.language.map_or("-", Language::name);
        Self {
            scan: format!("{:016x}", stable_hash(record.as_bytes())),
            bytes: [file.sha256.as_deref().unwrap_or("-"), ":", language].concat(),
        }
    }

    /// The key of a lane: a hash over the whole record for [`LaneId::Files`]; for all others, which read only bytes, their
    /// hash and the language the scan chose.
    pub fn of(&self, lane: LaneId) -> &str {
        match lane {
            LaneId::Files => &self.scan,
            _ => &self.bytes,
        }
    }
}

/// The fingerprints of a run's files, each made once.
#[derive(Debug)]
pub struct Fingerprints<'o> {
    options: &'o Options,
    known: BTreeMap<(LaneId, &'o str), String>,
}

impl<'o> Fingerprints<'o> {
    /// Under these options.
    pub fn new(options: &'o Options) -> Self {
        Self { options, known: BTreeMap::new() }
    }

    /// The fingerprint of a lane for a file.
    pub fn of(&mut self, lane: LaneId, file: &FileMeta) -> &str {
        let variant = lane.variant(self.options, file);
        self.known.entry((lane, variant)).or_insert_with(|| lane.fingerprint(self.options, variant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::Version;
    use crate::testing::file;

    /// Lanes whose fingerprint of a file differs.
    fn changed(before: &Options, after: &Options, path: &str) -> Vec<LaneId> {
        let file = file(path);
        let (mut before, mut after) = (Fingerprints::new(before), Fingerprints::new(after));
        let lanes = LaneId::ALL.into_iter().filter(|lane| lane.accepts(&file));
        lanes.filter(|lane| before.of(*lane, &file) != after.of(*lane, &file)).collect()
    }

    #[test]
    fn an_option_concerns_the_lanes_and_files_that_read_it() {
        let default = Options::default();
        let version = Options { python_version: Version::Py39, ..Options::default() };
        let python = [LaneId::Ast, LaneId::Cst, LaneId::Symtable, LaneId::Agreement];
        assert_eq!(changed(&default, &version, "a/b.py"), python);
        assert_eq!(changed(&default, &version, "a/b.rs"), []);
        let optimized = Options { optimize: 1, ..Options::default() };
        assert_eq!(changed(&default, &optimized, "a/b.py"), [LaneId::Bytecode]);
        let rooted = Options { package_roots: vec!["a/".into(), "a/deep".into()], ..Options::default() };
        assert_eq!(changed(&default, &rooted, "a/b.py"), [LaneId::Cst]);
        assert_eq!(changed(&default, &rooted, "ab/b.py"), []);
        let outer = Options { package_roots: vec!["a".into()], ..Options::default() };
        assert_eq!(changed(&outer, &rooted, "a/deep/b.py"), [LaneId::Cst]);
        assert_eq!(changed(&outer, &rooted, "a/b.py"), [], "a root is the same with a slash at its end");
    }

    #[test]
    fn every_file_is_of_a_variant_that_is_listed() {
        let options = Options { package_roots: vec!["a/".into(), "b".into()], ..Options::default() };
        for path in ["a/b.py", "x.py", "b/c.rs", "d.tsx", "e.h", "README"] {
            let file = file(path);
            for lane in LaneId::ALL.into_iter().filter(|lane| lane.accepts(&file)) {
                assert!(lane.variants(&options).contains(&lane.variant(&options, &file)), "{lane:?} {path}");
            }
        }
    }
}
