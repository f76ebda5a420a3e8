//! The `ts_*` lane: concrete syntax trees of every language with a grammar, by tree-sitter, and what their nodes mean.
//!
//! Positions are bytes of the file as it lies on disk, so bytes that are no UTF-8 move nothing. How long a parse may
//! take is not bounded here: a worker process has a limit for that.

mod defs;
mod docs;
mod grammars;
mod heap;
mod imports;
mod rows;
mod rules;
mod tables;
mod text;
mod walk;

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;

use tree_sitter::Parser;

use self::grammars::Grammar;
use self::heap::Nursery;
use self::text::Text;
use self::walk::{Tables, Walk, Wants};
use crate::catalog::Dataset;
use crate::columns::Table;
use crate::extract::{Diagnostic, LaneRequest, LaneStatus, Session, Severity};
use crate::file::FileMeta;
use crate::fingerprint::tool;
use crate::lane::LaneId;
use crate::language::Language;
use crate::options::Options;
use crate::source::Source;

/// The datasets of this module.
pub const DATASETS: &[&Dataset] = &[
    &tables::Nodes::DATASET,
    &tables::Errors::DATASET,
    &tables::Missing::DATASET,
    &tables::Defs::DATASET,
    &tables::Calls::DATASET,
    &tables::Imports::DATASET,
    &tables::Docstrings::DATASET,
    &tables::Stats::DATASET,
];

/// Of the rules by which rows are made; a new one makes every file be read again.
const REVISION: u32 = 1;

/// Whether the lane has something to say about this file.
pub fn accepts(file: &FileMeta) -> bool {
    file.language.is_some_and(|language| grammars::find(language).is_some())
}

/// What the rows depend on, for files of a language.
pub fn fingerprint(options: &Options, language: Language) -> String {
    let grammar = grammars::find(language).map(|spec| tool(spec.name, spec.version));
    format!(
        "revision {REVISION}\0{}\0{} {}\0max_text_bytes {}\0max_docstring_bytes {}",
        tool("tree-sitter", grammars::PARSER_VERSION),
        language.name(),
        grammar.unwrap_or_default(),
        options.max_text_bytes,
        options.max_docstring_bytes
    )
}

/// Languages with a grammar.
pub fn languages() -> impl Iterator<Item = Language> {
    grammars::SPECS.iter().map(|spec| spec.language)
}

/// The lane at work.
pub struct TsSession {
    max_text_bytes: usize,
    max_docstring_bytes: usize,
    /// Made when a file first asks for them.
    grammars: BTreeMap<Language, Grammar>,
    tables: Tables,
}

impl TsSession {
    /// With these options.
    pub fn new(options: &Options) -> Self {
        Self {
            max_text_bytes: options.max_text_bytes,
            max_docstring_bytes: options.max_docstring_bytes,
            grammars: BTreeMap::new(),
            tables: Tables::default(),
        }
    }
}

impl Session for TsSession {
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, said: &mut Vec<Diagnostic>) -> LaneStatus {
        let failed = |reason: &str, message: String| LaneStatus::Failed { reason: reason.into(), message };
        let Some(spec) = file.meta.language.and_then(grammars::find) else {
            return failed("no_grammar", "there is no tree-sitter grammar for the file's language".into());
        };
        let bytes = file.bytes();
        if i32::try_from(bytes.len()).is_err() {
            return failed("too_large", format!("{} bytes are more than a tree can address", bytes.len()));
        }
        let mut say = |severity, code: &str, message: &str, bstart: usize| {
            let (code, message) = (code.into(), message.into());
            said.push(Diagnostic { lane: LaneId::Ts, severity, code, message, bstart: Some(bstart as i32) });
        };
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            say(Severity::Error, "utf16", "UTF-16 text is not read by tree-sitter grammars: no facts", 0);
            return LaneStatus::Extracted;
        }
        let text = Text::new(bytes, self.max_text_bytes);
        if let Some(first) = text.invalid() {
            say(Severity::Warning, "invalid_utf8", "not UTF-8 from here on: texts hold replacement characters", first);
        }
        let grammar = self.grammars.entry(spec.language).or_insert_with(|| Grammar::new(spec));
        let _nursery = Nursery::enter();
        let mut parser = Parser::new();
        if let Err(error) = parser.set_language(&grammar.language) {
            return failed("grammar", format!("{} {} does not fit the parser: {error}", spec.name, spec.version));
        }
        let Some(tree) = parser.parse(bytes, None).map(ManuallyDrop::new) else {
            return failed("no_tree", "the parser gave no tree".into());
        };
        Walk::run(grammar, &tree, text, self.max_docstring_bytes, Wants::of(request), &mut self.tables);
        LaneStatus::Extracted
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        self.tables.all().into()
    }
}
