//! The lanes of `repo_files`, `scope_manifest` and `repo_file_blobs`.

mod provenance;

use crate::catalog::{Dataset, Scope};
use crate::columns::Table;
use crate::encoding::Encoding;
use crate::extract::{Diagnostic, LaneRequest, LaneStatus, Session};
use crate::fact_table;
use crate::file::{FileKind, FileMeta};
use crate::lane::LaneId;
use crate::language::Language;
use crate::lines::{check_size, decode_diagnostic, lines};
use crate::options::Options;
use crate::source::Source;

pub use self::provenance::{is_generated, is_vendored};

fact_table! {
    /// One row a regular file in the scope of the run, described from the bytes that were extracted.
    pub struct RepoFiles = "repo_files", lane: Some(LaneId::Files), scope: Scope::File, key: ["file_id"], default: true {
        /// SHA-256 of the content, lower-case hex.
        sha256: Utf8,
        /// Size of the content.
        size_bytes: Int64 { unit: "byte" },
        /// Type and permissions as git shows them: `100644`, `100755`.
        mode: Utf8 { unit: "octal" },
        /// What the path is; always `file` here.
        kind: Symbol,
        /// Language by file name, extension or `#!` line.
        language: OptSymbol,
        /// Encoding by byte order mark, PEP 263 cookie (Python) or validity; null for binary files.
        encoding: OptUtf8 { source: "PEP 263; RFC 1428 for unknown-8bit" },
        /// Object id that git's index, or the commit, names for the path; the content of a modified file differs from it.
        git_blob: OptUtf8,
        /// Whether git tracks it; null outside git.
        tracked: OptBool,
        /// Whether it is binary: a NUL in its first 8,000 bytes and no byte order mark of UTF-16.
        is_binary: Bool { source: "git's buffer_is_binary" },
        /// Whether its name or first comment says that a program wrote it.
        is_generated: Bool,
        /// Whether its path says that it is another project's.
        is_vendored: Bool,
        /// Lines, as `file_line_index` counts them; null for binary files.
        line_count: OptInt32 { unit: "lines" },
        /// The path's bytes where they are not UTF-8.
        path_bytes: OptBinary,
    }
}

fact_table! {
    /// One row a path that the scan saw, and why it is in the scope of the run or not.
    pub struct ScopeManifest = "scope_manifest", lane: Some(LaneId::Files), scope: Scope::File, key: ["file_id"], default: true {
        /// Whether it is in scope.
        included: Bool,
        /// `file`, `symlink`, `submodule` or `special`.
        kind: Symbol,
        /// Whether git tracks it; null outside git.
        tracked: OptBool,
        /// The rule that kept or left it: its kind, and its pattern after a colon.
        rule: Utf8,
        /// Kind of the rule: `default`, `include`, `exclude`, `symlink`, ….
        rule_kind: Utf8,
        /// Pattern of the rule, if it has one.
        pattern: OptUtf8 { unit: "gitignore pattern" },
    }
}

fact_table! {
    /// One row a regular file in the scope of the run: its content.
    pub struct RepoFileBlobs = "repo_file_blobs", lane: Some(LaneId::Blobs), scope: Scope::File, key: ["file_id"], default: false {
        /// SHA-256 of the content, lower-case hex.
        sha256: Utf8,
        /// Size of the content.
        size_bytes: Int64 { unit: "byte" },
        /// Encoding as in `repo_files`; null for binary files.
        encoding: OptUtf8,
        /// Decoded text without byte order mark; undecodable bytes are U+FFFD. Null for binary files and if not asked for.
        text: OptUtf8,
        /// The bytes as they lie on disk; null if not asked for.
        bytes: OptBinary,
    }
}

static REPO_FILES: Dataset = RepoFiles::DATASET;
static SCOPE_MANIFEST: Dataset = ScopeManifest::DATASET;
static REPO_FILE_BLOBS: Dataset = RepoFileBlobs::DATASET;

/// The datasets of this module.
pub const DATASETS: &[&Dataset] = &[&REPO_FILES, &SCOPE_MANIFEST, &REPO_FILE_BLOBS];

/// What the rows of `repo_files` and `scope_manifest` depend on; no option.
pub fn fingerprint(_options: &Options) -> String {
    const REVISION: u32 = 1;
    REVISION.to_string()
}

/// What `repo_file_blobs` depends on.
pub fn blobs_fingerprint(options: &Options) -> String {
    const REVISION: u32 = 1;
    format!("{REVISION};text={};bytes={}", options.blob_text, options.blob_bytes)
}

/// The lane of `repo_files` and `scope_manifest` at work.
#[derive(Debug, Default)]
pub struct FilesSession {
    files: RepoFiles,
    manifest: ScopeManifest,
}

impl FilesSession {
    /// With these options.
    pub fn new(_options: &Options) -> Self {
        Self::default()
    }

    fn push_file(&mut self, file: &Source<'_>, sha256: &str) {
        let (meta, bytes) = (file.meta, file.bytes());
        let encoding = Encoding::detect(bytes, meta.language);
        self.files.sha256.push(sha256);
        self.files.size_bytes.push(bytes.len() as i64);
        self.files.mode.push(&format!("{:06o}", meta.mode));
        self.files.kind.push(meta.kind.name());
        self.files.language.push(meta.language.map(Language::name));
        self.files.encoding.push(encoding.map(Encoding::name).as_deref());
        self.files.git_blob.push(meta.git_blob.as_deref());
        self.files.tracked.push(meta.tracked);
        self.files.is_binary.push(encoding.is_none());
        self.files.is_generated.push(is_generated(&meta.path, bytes));
        self.files.is_vendored.push(is_vendored(&meta.path));
        self.files.line_count.push(encoding.map(|encoding| lines(bytes, encoding).count() as i32));
        self.files.path_bytes.push(meta.path_bytes.as_deref());
    }

    fn push_scope(&mut self, meta: &FileMeta) {
        let (kind, pattern) = match meta.rule.split_once(':') {
            Some((kind, pattern)) => (kind, Some(pattern)),
            None => (meta.rule.as_str(), None),
        };
        self.manifest.included.push(meta.included);
        self.manifest.kind.push(meta.kind.name());
        self.manifest.tracked.push(meta.tracked);
        self.manifest.rule.push(&meta.rule);
        self.manifest.rule_kind.push(kind);
        self.manifest.pattern.push(pattern);
    }
}

impl Session for FilesSession {
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, _: &mut Vec<Diagnostic>) -> LaneStatus {
        if request.wants(&REPO_FILES) && file.meta.included && file.meta.kind == FileKind::File {
            if let Err(status) = check_size(file.bytes()) {
                return status;
            }
            let Some(sha256) = file.sha256() else { return no_content() };
            self.push_file(file, sha256);
        }
        if request.wants(&SCOPE_MANIFEST) {
            self.push_scope(file.meta);
        }
        LaneStatus::Extracted
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.files, &mut self.manifest]
    }
}

fn no_content() -> LaneStatus {
    LaneStatus::Failed { reason: "unreadable".into(), message: "the file's content was not read".into() }
}

/// The lane of `repo_file_blobs` at work.
#[derive(Debug)]
pub struct BlobsSession {
    text: bool,
    bytes: bool,
    blobs: RepoFileBlobs,
}

impl BlobsSession {
    /// With these options.
    pub fn new(options: &Options) -> Self {
        Self { text: options.blob_text, bytes: options.blob_bytes, blobs: RepoFileBlobs::default() }
    }
}

impl Session for BlobsSession {
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, diagnostics: &mut Vec<Diagnostic>) -> LaneStatus {
        if !request.wants(&REPO_FILE_BLOBS) || file.meta.kind != FileKind::File {
            return LaneStatus::Extracted;
        }
        let bytes = file.bytes();
        if let Err(status) = check_size(bytes) {
            return status;
        }
        let Some(sha256) = file.sha256() else { return no_content() };
        let encoding = Encoding::detect(bytes, file.meta.language);
        let text = encoding.filter(|_| self.text).map(|encoding| {
            let (text, faulty) = encoding.decode(&bytes[encoding.bom_len()..]);
            if faulty {
                let fault =
                    lines(bytes, encoding).zip(1..).find(|(line, _)| encoding.decode(&bytes[line.start..line.end]).1);
                let (start, number) = fault.map_or((0, 1), |(line, number)| (line.start, number));
                diagnostics.push(decode_diagnostic(LaneId::Blobs, encoding, number, start));
            }
            text
        });
        self.blobs.sha256.push(sha256);
        self.blobs.size_bytes.push(bytes.len() as i64);
        self.blobs.encoding.push(encoding.map(Encoding::name).as_deref());
        self.blobs.text.push(text.as_deref());
        self.blobs.bytes.push(self.bytes.then_some(bytes));
        LaneStatus::Extracted
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.blobs]
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;
    use crate::testing::{self, file, texts};

    #[test]
    fn a_file_is_described_from_its_bytes() {
        let meta =
            FileMeta { git_blob: Some("ab".into()), size: 999, sha256: Some("stale".into()), ..file("vendor/x.py") };
        let output = testing::extract(&Options::default(), &meta, LaneId::Files, Some(b"# coding: latin-1\n\xE9"));
        let (dataset, files) = &output.tables[0];
        assert_eq!(dataset.name, "repo_files");
        let text = |name| texts(files, name).remove(0);
        assert_eq!(text("sha256"), output.files[0].sha256);
        assert_eq!(text("mode").as_deref(), Some("100644"));
        assert_eq!(text("language").as_deref(), Some("python"));
        assert_eq!(text("encoding").as_deref(), Some("iso-8859-1"));
        assert_eq!(text("size_bytes").as_deref(), Some("19"));
        assert_eq!(text("line_count").as_deref(), Some("2"));
        assert_eq!(text("is_vendored").as_deref(), Some("true"));
        assert_eq!(text("tracked").as_deref(), Some("true"));
        assert_eq!(text("path_bytes"), None);
    }

    #[test]
    fn binary_files_have_neither_encoding_nor_lines() {
        let output = testing::extract(&Options::default(), &file("x.bin"), LaneId::Files, Some(b"\0\n"));
        let files = &output.tables[0].1;
        assert_eq!(texts(files, "is_binary"), [Some("true".into())]);
        assert_eq!(texts(files, "encoding"), [None]);
        assert_eq!(texts(files, "line_count"), [None]);
    }

    #[test]
    fn excluded_paths_are_in_the_manifest_alone() {
        let meta = FileMeta { included: false, tracked: None, rule: "exclude:*.py:x".into(), ..file("a.py") };
        let output = testing::extract(&Options::default(), &meta, LaneId::Files, None);
        assert_eq!(output.tables.len(), 1);
        let (dataset, manifest) = &output.tables[0];
        assert_eq!(dataset.name, "scope_manifest");
        assert_eq!(texts(manifest, "rule_kind"), [Some("exclude".into())]);
        assert_eq!(texts(manifest, "pattern"), [Some("*.py:x".into())]);
        assert_eq!(texts(manifest, "tracked"), [None]);
        assert_eq!(output.files[0].lanes[0].datasets.iter().map(|d| d.rows).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn an_included_file_without_content_failed() {
        let output = testing::extract(&Options::default(), &file("a.py"), LaneId::Files, None);
        assert!(matches!(output.files[0].lanes[0].status, LaneStatus::Failed { .. }));
        assert!(output.tables.is_empty());
    }

    #[test]
    fn blobs_hold_what_is_asked_for() {
        let bytes = b"\xEF\xBB\xBFa\n\xFF";
        for (blob_text, blob_bytes) in [(true, true), (true, false), (false, true)] {
            let options = Options { blob_text, blob_bytes, ..Options::default() };
            let output = testing::extract(&options, &file("a.txt"), LaneId::Blobs, Some(bytes));
            let blobs = &output.tables[0].1;
            assert_eq!(texts(blobs, "text")[0].as_deref(), blob_text.then_some("a\n\u{FFFD}"));
            let column = blobs.column_by_name("bytes").unwrap().as_binary::<i32>();
            assert_eq!(column.is_valid(0).then(|| column.value(0)), blob_bytes.then_some(&bytes[..]));
            assert_eq!(
                output.files[0].diagnostics.iter().map(|d| d.bstart).collect::<Vec<_>>(),
                vec![Some(5); usize::from(blob_text)]
            );
        }
    }
}
