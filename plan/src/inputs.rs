//! What a run was asked to do and what its scan saw, as it is kept on the lake: a resume never scans again.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use lode_facts::catalog::dataset;
use lode_facts::file::FileMeta;
use lode_facts::lane::{Fingerprints, LaneId};
use lode_facts::options::{Limits, Options};
use lode_lake::layout;
use lode_lake::store::Lake;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::fingerprint::{json_hash, limits_hash};
use crate::host::{ContentSource, ExtractOrder};
use crate::worklist::{Wanted, WantedWriter};

/// What a run was asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// Repository.
    pub repo: String,
    /// Its normalised origin.
    pub origin: Option<String>,
    /// Commit the scan saw.
    pub git_commit: Option<String>,
    /// Whether the scan saw the whole repository.
    pub complete: bool,
    /// The commit a diff-driven scan started from.
    pub changed_since: Option<String>,
    /// Files a diff-driven scan saw deleted.
    pub gone: Vec<i64>,
    /// Files and lanes that somebody asked to take out of quarantine.
    pub retried: BTreeSet<(i64, LaneId)>,
    /// Where content comes from.
    pub source: ContentSource,
    /// Whether executors get it from the lake, and only whoever plans the run reads the source.
    #[serde(default)]
    pub staged: bool,
    /// Datasets the run fills.
    pub datasets: Vec<String>,
    /// Options of the extractors.
    pub options: Options,
    /// Limits of a file.
    pub limits: Limits,
    /// The scan's scope.
    pub scope: serde_json::Value,
    /// Number of shards, against the planner's own choice.
    pub shards: Option<usize>,
}

impl RunRequest {
    /// Hash of what the rows of the run depend on, besides the files.
    pub fn settings_hash(&self) -> String {
        json_hash(&(&self.datasets, &self.options, &self.limits, &self.scope))
    }

    /// How an epoch of the run extracts.
    pub fn order(&self, lake: &Lake, run_id: &str, epoch: u32) -> ExtractOrder {
        let source = match self.staged {
            true => ContentSource::Staged { lake: lake.url().to_string(), folder: layout::content(run_id, epoch) },
            false => self.source.clone(),
        };
        ExtractOrder { source, options: self.options.clone(), limits: self.limits.clone() }
    }
}

/// A run whose inputs are kept on the lake.
#[derive(Debug, Clone, Copy)]
pub struct KeptRun<'a> {
    /// The run.
    pub run_id: &'a str,
    /// Digest of its inputs.
    pub digest: &'a str,
    /// What it was asked to do.
    pub request: &'a RunRequest,
}

/// A scanned file, as far as planning needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Path.
    pub path: String,
    /// Id.
    pub file_id: i64,
    /// Size in bytes.
    pub size: u64,
    /// Whether it is in scope.
    pub included: bool,
    /// Whether any lane of this run takes it.
    pub taken: bool,
}

/// What the scan wants, ready to be kept.
pub struct Inputs {
    /// The Parquet file of [`crate::worklist::WANTED_SCHEMA`].
    pub wanted: bytes::Bytes,
    /// The scanned files in order of path.
    pub files: Vec<PlannedFile>,
    /// Digest of the request and of all content keys: equal for equal inputs.
    pub digest: String,
}

/// Turns a scan, in order of path, into what it wants of each lane. A record is dropped when it is through: of a large
/// repository, only what planning needs stays in memory.
///
/// # Errors
/// If Parquet can't be written.
pub fn inputs(request: &RunRequest, scanned: impl IntoIterator<Item = FileMeta>) -> Result<Inputs, PlanError> {
    let limits = limits_hash(&request.limits);
    let lanes: Vec<(LaneId, Vec<String>)> = LaneId::ALL
        .into_iter()
        .map(|lane| {
            let asked = |name: &&String| dataset(name).is_some_and(|d| d.lane == Some(lane));
            (lane, request.datasets.iter().filter(asked).cloned().collect())
        })
        .collect();
    let mut fingerprints = Fingerprints::new(&request.options);
    let mut digest = Digest::new(&request.settings_hash());
    let mut writer = WantedWriter::new(Vec::new())?;
    let mut files = Vec::new();
    let mut datasets: Vec<&str> = vec![];
    for meta in scanned {
        let json = serde_json::to_string(&meta).expect("a scan's record is plain data");
        let mut record = Some(json.as_str());
        let mut taken = false;
        digest.add(&[&meta.path]);
        for (lane, asked) in lanes.iter().filter(|(lane, _)| lane.accepts(&meta)) {
            let fingerprint = fingerprints.of(*lane, &meta);
            let content_key = lane.content_key(&meta);
            datasets.clear();
            datasets.extend(asked.iter().map(String::as_str).filter(|name| lane.gives(name, &meta)));
            taken |= !datasets.is_empty();
            digest.add(&[lane.name(), &content_key, fingerprint]);
            writer.push(&Wanted {
                meta: &meta,
                record: record.take(),
                lane: *lane,
                content_key: &content_key,
                fingerprint,
                limits: &limits,
                retry: request.retried.contains(&(meta.file_id, *lane)),
                datasets: &datasets,
            })?;
        }
        files.push(PlannedFile {
            path: meta.path,
            file_id: meta.file_id,
            size: meta.size.max(0) as u64,
            included: meta.included,
            taken,
        });
    }
    Ok(Inputs { wanted: writer.finish()?.into(), files, digest: digest.finish() })
}

struct Digest(sha2::Sha256);

impl Digest {
    fn new(settings: &str) -> Self {
        let mut digest = Self(sha2::Digest::new());
        digest.add(&[settings]);
        digest
    }

    fn add(&mut self, parts: &[&str]) {
        for part in parts {
            sha2::Digest::update(&mut self.0, (part.len() as u64).to_le_bytes());
            sha2::Digest::update(&mut self.0, part.as_bytes());
        }
    }

    fn finish(self) -> String {
        format!("{:x}", sha2::Digest::finalize(self.0))
    }
}

/// Reads the scanned files of a run back.
///
/// # Errors
/// If the run kept no scan.
pub async fn kept_files(lake: &Lake, run: &KeptRun<'_>) -> Result<Vec<PlannedFile>, PlanError> {
    let path = layout::scan(run.run_id, run.digest);
    let bytes = lake.get(&path).await?.ok_or_else(|| PlanError::worklist(format!("{path} is missing")))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let columns = ProjectionMask::columns(builder.parquet_schema(), ["path", "file_id", "requested", "meta"]);
    let mut files: Vec<PlannedFile> = vec![];
    for batch in builder.with_projection(columns).build()? {
        let batch = batch?;
        let column = |name: &str| {
            batch.column_by_name(name).map(Arc::clone).ok_or_else(|| PlanError::worklist(format!("no column {name}")))
        };
        let (path, id, requested, meta) = (column("path")?, column("file_id")?, column("requested")?, column("meta")?);
        let (path, id) = (path.as_string::<i32>(), id.as_primitive::<Int64Type>());
        let (requested, meta) = (requested.as_boolean(), meta.as_string::<i32>());
        for row in 0..batch.num_rows() {
            match files.last_mut() {
                Some(last) if last.file_id == id.value(row) => last.taken |= requested.value(row),
                _ => {
                    let meta: FileMeta =
                        serde_json::from_str(meta.value(row)).map_err(|e| PlanError::worklist(e.to_string()))?;
                    files.push(PlannedFile {
                        path: path.value(row).to_owned(),
                        file_id: id.value(row),
                        size: meta.size.max(0) as u64,
                        included: meta.included,
                        taken: requested.value(row),
                    });
                }
            }
        }
    }
    Ok(files)
}
