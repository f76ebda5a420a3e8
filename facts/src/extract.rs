//! Extraction of a group of files: the one entry every host calls, in a worker process or in place.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use serde::{Deserialize, Serialize};

use crate::bytecode::Compiled;
use crate::catalog::Dataset;
use crate::columns::Table;
use crate::file::FileMeta;
use crate::hash::{row_hashes, rows_hash};
use crate::lane::LaneId;
use crate::options::{Limits, Options};
use crate::source::Source;

/// What is wanted of one lane for one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneRequest {
    /// The lane.
    pub lane: LaneId,
    /// Names of its datasets to fill; nothing else is computed.
    pub datasets: Vec<String>,
}

impl LaneRequest {
    /// Whether a dataset is wanted.
    pub fn wants(&self, dataset: &Dataset) -> bool {
        self.datasets.iter().any(|name| name == dataset.name)
    }
}

/// One file's order to the extractors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRequest {
    /// The file.
    pub meta: FileMeta,
    /// What is wanted, in the order of [`LaneId::ALL`].
    pub lanes: Vec<LaneRequest>,
}

/// How a lane ended for a file. The order is from best to worst: a file's state is its worst lane's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum LaneStatus {
    /// Its rows are complete (a file with a syntax error is extracted, and has an error row).
    Extracted,
    /// It could not be read or understood at all.
    Failed {
        /// Stable reason code: `unreadable`, `vanished`, ….
        reason: String,
        /// For people.
        message: String,
    },
    /// It broke a limit.
    Quarantined {
        /// The limit: `cpu`, `wall`, `memory`, `output`, `file_bytes`, `stack`, `crash`.
        limit: String,
        /// For people.
        message: String,
    },
}

/// Severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Facts are incomplete or approximate.
    Warning,
    /// Facts are missing.
    Error,
}

impl Severity {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something a lane has to say about a file that is not a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The lane.
    pub lane: LaneId,
    /// Severity.
    pub severity: Severity,
    /// Stable code: `decode`, `truncated_text`, ….
    pub code: String,
    /// For people; no path, no clock.
    pub message: String,
    /// First byte concerned.
    pub bstart: Option<i32>,
}

/// Rows of one dataset for one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetReport {
    /// Dataset.
    pub dataset: String,
    /// How many rows the file has in it; they lie next to each other in the group's batch, in the order of files.
    pub rows: i64,
    /// [`rows_hash`] of them.
    pub hash: i64,
}

/// What one lane did for one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneReport {
    /// The lane.
    pub lane: LaneId,
    /// How it ended.
    #[serde(flatten)]
    pub status: LaneStatus,
    /// One entry a wanted dataset, in the order of the request; empty unless extracted.
    pub datasets: Vec<DatasetReport>,
}

/// What was done for one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// Its id.
    pub file_id: i64,
    /// SHA-256 of the bytes that were extracted; `None` when no content was read.
    pub sha256: Option<String>,
    /// Size of the bytes that were extracted.
    pub size: i64,
    /// One entry a wanted lane, in the order of the request.
    pub lanes: Vec<LaneReport>,
    /// Diagnostics of all lanes.
    pub diagnostics: Vec<Diagnostic>,
}

impl FileReport {
    /// The report of a file for which every wanted lane ended the same way, without rows.
    pub fn uniform(request: &FileRequest, status: LaneStatus) -> Self {
        let lanes = request.lanes.iter();
        Self {
            file_id: request.meta.file_id,
            sha256: None,
            size: request.meta.size,
            lanes: lanes.map(|l| LaneReport { lane: l.lane, status: status.clone(), datasets: vec![] }).collect(),
            diagnostics: vec![],
        }
    }
}

/// Facts of a group of files.
#[derive(Debug, Clone, Default)]
pub struct GroupOutput {
    /// One report a file, in the order they were extracted.
    pub files: Vec<FileReport>,
    /// One batch a dataset with rows, in the order of lanes; rows in the order of files.
    pub tables: Vec<(&'static Dataset, RecordBatch)>,
}

/// A lane at work over a group of files.
pub trait Session: Send {
    /// Adds the rows of one file to the wanted tables.
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, diagnostics: &mut Vec<Diagnostic>) -> LaneStatus;
    /// Its tables, in the order of the catalog.
    fn tables(&mut self) -> Vec<&mut dyn Table>;
}

/// The extractors of one worker: parsers and tables that are used again from file to file.
pub struct Extractor {
    options: Options,
    limits: Limits,
    sessions: Vec<(LaneId, Box<dyn Session>)>,
    files: Vec<FileReport>,
}

impl Extractor {
    /// Extractors with these options.
    pub fn new(options: &Options, limits: &Limits) -> Self {
        let session = |lane| -> Box<dyn Session> {
            match lane {
                LaneId::Files => Box::new(crate::files::FilesSession::new(options)),
                LaneId::Lines => Box::new(crate::lines::LinesSession::new(options)),
                LaneId::Blobs => Box::new(crate::files::BlobsSession::new(options)),
                LaneId::Ast => Box::new(crate::ast::AstSession::new(options)),
                LaneId::Symtable => Box::new(crate::symtable::SymtableSession::new(options)),
                LaneId::Cst => Box::new(crate::cst::CstSession::new(options)),
                LaneId::Bytecode => Box::new(crate::bytecode::BytecodeSession::new(options)),
                LaneId::Ts => Box::new(crate::ts::TsSession::new(options)),
                LaneId::Agreement => Box::new(crate::agreement::AgreementSession::new(options)),
            }
        };
        let sessions = LaneId::ALL.into_iter().map(|lane| (lane, session(lane))).collect();
        Self { options: options.clone(), limits: limits.clone(), sessions, files: vec![] }
    }

    /// Bytes held by the facts of the group so far.
    pub fn bytes(&mut self) -> usize {
        self.sessions.iter_mut().flat_map(|(_, s)| s.tables()).map(|t| t.bytes()).sum()
    }

    /// Extracts one file into the group. `content` is `None` for what has none (a symlink, an excluded file).
    pub fn extract(&mut self, request: &FileRequest, content: Option<&[u8]>) {
        self.extract_compiled(request, content, &[]);
    }

    /// Like [`Self::extract`], with what interpreters made of the file: one entry each of
    /// [`Options::interpreters`], for requests of [`LaneId::Bytecode`].
    pub fn extract_compiled(&mut self, request: &FileRequest, content: Option<&[u8]>, compiled: &[Compiled]) {
        let source = Source::new(&request.meta, content, &self.options).with_compiled(compiled);
        let mut report = FileReport {
            file_id: request.meta.file_id,
            sha256: source.sha256().map(str::to_owned),
            size: content.map_or(request.meta.size, |c| c.len() as i64),
            lanes: Vec::with_capacity(request.lanes.len()),
            diagnostics: vec![],
        };
        for lane in &request.lanes {
            let Some((_, session)) = self.sessions.iter_mut().find(|(id, _)| *id == lane.lane) else { continue };
            let before: Vec<(usize, usize)> = session.tables().iter().map(|t| (t.rows(), t.bytes())).collect();
            let mut status = session.extract(&source, lane, &mut report.diagnostics);
            let grown: usize = session.tables().iter().zip(&before).map(|(t, (_, bytes))| t.bytes() - bytes).sum();
            if grown as u64 > self.limits.output_bytes {
                status = LaneStatus::Quarantined {
                    limit: "output".into(),
                    message: format!("facts of {grown} bytes exceed the limit of {}", self.limits.output_bytes),
                };
            }
            let mut datasets = vec![];
            for (table, (rows, _)) in session.tables().into_iter().zip(&before) {
                if status != LaneStatus::Extracted {
                    table.truncate(*rows);
                } else if lane.wants(table.dataset()) {
                    let rows = (table.rows() - rows) as i64;
                    datasets.push(DatasetReport { dataset: table.dataset().name.into(), rows, hash: 0 });
                }
            }
            report.lanes.push(LaneReport { lane: lane.lane, status, datasets });
        }
        self.files.push(report);
    }

    /// Takes the group's facts out and computes the hashes of each file's rows.
    ///
    /// # Errors
    /// If a table has a column type without a row hash.
    pub fn finish(&mut self) -> Result<GroupOutput, ArrowError> {
        let mut files = std::mem::take(&mut self.files);
        let mut tables = vec![];
        for (lane, session) in &mut self.sessions {
            for table in session.tables() {
                if table.rows() == 0 {
                    continue;
                }
                let dataset = table.dataset();
                let batch = table.finish();
                let hashes = row_hashes(&batch)?;
                let mut start = 0;
                let reports = files.iter_mut().flat_map(|f| &mut f.lanes).filter(|l| l.lane == *lane);
                for report in reports.flat_map(|l| &mut l.datasets).filter(|d| d.dataset == dataset.name) {
                    let end = start + report.rows as usize;
                    report.hash = rows_hash(&hashes[start..end]);
                    start = end;
                }
                debug_assert_eq!(start, hashes.len(), "every row of {} belongs to a report", dataset.name);
                tables.push((dataset, batch));
            }
        }
        Ok(GroupOutput { files, tables })
    }
}
