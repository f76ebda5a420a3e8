//! What a run was asked to do and what its scan saw, as it is kept on the lake: a resume never scans again.

use std::collections::BTreeSet;

use bytes::Bytes;
use lode_facts::catalog::dataset;
use lode_facts::file::FileMeta;
use lode_facts::lane::{ContentKeys, LaneId};
use lode_facts::options::{Limits, Options};
use lode_lake::layout;
use lode_lake::store::Lake;
use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::fingerprint::json_hash;
use crate::host::{ContentSource, ExtractOrder};
use crate::worklist::{RecordsWriter, WantedWriter, Wants, read_records};

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

impl PlannedFile {
    fn new(meta: FileMeta, taken: bool) -> Self {
        let size = meta.size.max(0) as u64;
        Self { path: meta.path, file_id: meta.file_id, size, included: meta.included, taken }
    }
}

/// A scan, ready to be kept.
pub struct Inputs {
    /// The Parquet file of [`crate::worklist::RECORDS_SCHEMA`].
    pub records: Bytes,
    /// The Parquet file of [`crate::worklist::WANTED_SCHEMA`].
    pub wanted: Bytes,
    /// The scanned files in order of path.
    pub files: Vec<PlannedFile>,
    /// Digest of the request and of all content keys: equal for equal inputs, whatever the run builds on.
    pub digest: String,
}

/// Turns a scan, in order of path, into its records and what it wants of these lanes (see [`crate::worklist::lanes_of`]). A record is
/// dropped when it is through: of a large repository, only what planning needs stays in memory.
///
/// # Errors
/// If Parquet can't be written.
pub fn inputs(
    request: &RunRequest,
    lanes: &BTreeSet<LaneId>,
    scanned: impl IntoIterator<Item = FileMeta>,
) -> Result<Inputs, PlanError> {
    let mut wants = Wants::new(request, lanes);
    let mut digest = Digest::new(&request.settings_hash());
    let (mut records, mut wanted) = (RecordsWriter::new(Vec::new())?, WantedWriter::new(Vec::new())?);
    let mut files = Vec::new();
    for meta in scanned {
        let record = meta.record();
        let keys = ContentKeys::new(&meta, &record);
        digest.add(&[&meta.path, keys.of(LaneId::Files), keys.of(LaneId::Lines)]);
        records.push(&meta, &record);
        wants.of_file(&meta, &keys, |row| {
            // What is left out of the run, and may or may not be in the lake, is none of its inputs.
            if !row.datasets.is_empty() {
                digest.add(&[row.lane.name(), row.fingerprint]);
            }
            wanted.push(row)
        })?;
        let taken = wants.takes(&meta);
        files.push(PlannedFile::new(meta, taken));
    }
    Ok(Inputs { records: records.finish()?.into(), wanted: wanted.finish()?.into(), files, digest: digest.finish() })
}

/// Keeps what a run wants of some lanes, unless that was done before, and says where: for a base that has facts of other
/// lanes than the one the scan was first held against.
///
/// # Errors
/// If the run kept no scan, or the lake can't be written.
pub async fn keep_wanted(lake: &Lake, run: &KeptRun<'_>, lanes: &BTreeSet<LaneId>) -> Result<String, PlanError> {
    let path = layout::wanted(run.run_id, run.digest, lanes.iter().map(|lane| lane.name()));
    if !lake.exists(&path).await? {
        let records = kept_records(lake, run).await?;
        let mut wants = Wants::new(run.request, lanes);
        let mut wanted = WantedWriter::new(Vec::new())?;
        read_records(records, |record, meta| {
            wants.of_file(&meta, &ContentKeys::new(&meta, record), |row| wanted.push(row))
        })?;
        lake.put_new(&path, wanted.finish()?).await?;
    }
    Ok(path)
}

async fn kept_records(lake: &Lake, run: &KeptRun<'_>) -> Result<Bytes, PlanError> {
    let path = layout::scan(run.run_id, run.digest);
    lake.get(&path).await?.ok_or_else(|| PlanError::worklist(format!("{path} is missing")))
}

/// Reads the scanned files of a run back.
///
/// # Errors
/// If the run kept no scan.
pub async fn kept_files(lake: &Lake, run: &KeptRun<'_>) -> Result<Vec<PlannedFile>, PlanError> {
    let asked = run.request.datasets.iter().filter_map(|name| dataset(name)?.lane).collect();
    let wants = Wants::new(run.request, &asked);
    let mut files = vec![];
    read_records(kept_records(lake, run).await?, |_, meta| {
        let taken = wants.takes(&meta);
        files.push(PlannedFile::new(meta, taken));
        Ok(())
    })?;
    Ok(files)
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

#[cfg(test)]
mod tests {
    use lode_facts::language::Language;

    use super::*;

    fn request() -> RunRequest {
        RunRequest {
            repo: "r".into(),
            origin: None,
            git_commit: None,
            complete: true,
            changed_since: None,
            gone: vec![],
            retried: BTreeSet::new(),
            source: ContentSource::Shared { root: "/repo".into(), linked: Default::default() },
            staged: false,
            datasets: vec!["ast_defs".into()],
            options: Options::default(),
            limits: Limits::default(),
            scope: serde_json::Value::Null,
            shards: None,
        }
    }

    fn files() -> Vec<FileMeta> {
        vec![
            FileMeta::in_scope("r", "a.py", 1, Some(Language::Python)),
            FileMeta::in_scope("r", "b.txt", 1, None),
            FileMeta { included: false, ..FileMeta::in_scope("r", "c.py", 1, Some(Language::Python)) },
        ]
    }

    #[tokio::test]
    async fn what_is_wanted_of_other_lanes_comes_from_the_records() {
        let lake = Lake::open_or_create("memory://inputs/x").await.unwrap();
        let request = request();
        let [asked, held] = [vec![LaneId::Ast], vec![LaneId::Lines, LaneId::Ast]].map(BTreeSet::from_iter);
        let [first, later] = [&asked, &held].map(|lanes| inputs(&request, lanes, files()).unwrap());
        assert_eq!(first.digest, later.digest, "what a run builds on is none of its inputs");
        assert_eq!(first.files, later.files);
        let taken: Vec<(&str, bool)> = first.files.iter().map(|file| (file.path.as_str(), file.taken)).collect();
        assert_eq!(taken, [("a.py", true), ("b.txt", false), ("c.py", false)]);

        let run = KeptRun { run_id: "run", digest: &first.digest, request: &request };
        lake.put_new(&layout::scan("run", &first.digest), first.records).await.unwrap();
        assert_eq!(kept_files(&lake, &run).await.unwrap(), first.files);
        for (lanes, wanted) in [(asked, first.wanted), (held, later.wanted)] {
            let path = keep_wanted(&lake, &run, &lanes).await.unwrap();
            assert_eq!(lake.get(&path).await.unwrap(), Some(wanted), "{lanes:?}");
        }
    }

    #[test]
    fn inputs_differ_by_content_and_by_what_is_asked_for() {
        let digest =
            |request: &RunRequest, files| inputs(request, &BTreeSet::from([LaneId::Ast]), files).unwrap().digest;
        let (request, files) = (request(), files());
        let known = digest(&request, files.clone());
        let mut changed = files.clone();
        changed[1].sha256 = Some("0".repeat(64));
        assert_ne!(digest(&request, changed), known);
        let version = Options { python_version: lode_facts::python::Version::Py39, ..Options::default() };
        assert_ne!(digest(&RunRequest { options: version, ..request.clone() }, files.clone()), known);
        assert_ne!(digest(&RunRequest { datasets: vec!["ast_calls".into()], ..request }, files), known);
    }
}
