//! From rows of the worklist to orders for the extractors, and from their reports to changes of the lake. Pure.

use futures::TryStreamExt;
use futures::stream::{self, Stream};
use lode_facts::extract::{FileReport, FileRequest, LaneReport, LaneRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::lane::{ContentKeys, Fingerprints, LaneId};
use lode_facts::options::Limits;
use lode_lake::manifest::FileCounts;
use lode_lake::task::{FileChange, LaneChange, QuarantineRow, StateRow, WorklistDigest};

use crate::error::PlanError;
use crate::fingerprint::limits_hash;
use crate::worklist::{Action, WorkRow};

/// More lanes than these are many.
const FEW_LANES: usize = 3;

/// The worklist's rows of one file.
#[derive(Debug, Clone)]
pub struct FileWork {
    /// Path of the file.
    pub path: String,
    /// Its id.
    pub file_id: i64,
    /// What is to be extracted; `None` when rows only go.
    pub request: Option<FileRequest>,
    rows: Vec<WorkRow>,
}

impl FileWork {
    fn new(mut rows: Vec<WorkRow>) -> Self {
        rows.sort_by_key(|row| row.lane);
        let lanes = rows.iter().filter(|row| row.action != Action::Delete).map(|row| {
            let done = |name: &String| {
                row.action == Action::Add && row.old.as_ref().is_some_and(|old| old.report(name).is_some())
            };
            LaneRequest { lane: row.lane, datasets: row.datasets.iter().filter(|name| !done(name)).cloned().collect() }
        });
        let lanes: Vec<LaneRequest> = lanes.collect();
        let meta = rows.iter().find_map(|row| row.meta.clone());
        let request = meta.filter(|_| !lanes.is_empty()).map(|meta| FileRequest { meta, lanes });
        Self { path: rows[0].path.clone(), file_id: rows[0].file_id, request, rows }
    }

    /// Adds the file's rows to the digest of the worklist.
    pub fn digest(&self, digest: &mut WorklistDigest) {
        self.rows.iter().for_each(|row| digest.push(&row.path, row.file_id));
    }

    /// Whether this process makes the facts that are asked for.
    ///
    /// # Errors
    /// If another version of Lode planned the run.
    pub fn check_fingerprints(&self, fingerprints: &mut Fingerprints<'_>) -> Result<(), PlanError> {
        for row in self.rows.iter().filter(|row| row.action != Action::Delete) {
            let Some(meta) = &row.meta else { continue };
            let offered = fingerprints.of(row.lane, meta);
            // The hash of the limits may follow.
            let asked = row.fingerprint.split(':').next().unwrap_or_default();
            if asked != offered {
                let offered = offered.to_owned();
                return Err(PlanError::Fingerprint { lane: row.lane.name(), asked: asked.to_owned(), offered });
            }
        }
        Ok(())
    }

    /// What it weighs in its group: its bytes, twice for many lanes, as facts take far more memory than content.
    fn weight(&self) -> u64 {
        self.request.as_ref().map_or(0, |request| {
            let many = request.lanes.len() > FEW_LANES;
            request.meta.size as u64 * if many { 2 } else { 1 }
        })
    }
}

/// Gathers rows, which come in order of path, into files and files into groups of at most so much content (half as much if
/// many lanes read it), or one file.
pub fn group_files<S>(rows: S, max_bytes: u64, max_files: usize) -> impl Stream<Item = Result<Vec<FileWork>, PlanError>>
where
    S: Stream<Item = Result<Vec<WorkRow>, PlanError>>,
{
    struct State<S> {
        rows: std::pin::Pin<Box<S>>,
        file: Vec<WorkRow>,
        files: std::collections::VecDeque<FileWork>,
        ended: bool,
    }
    let state = State { rows: Box::pin(rows), file: vec![], files: Default::default(), ended: false };
    stream::try_unfold(state, move |mut state| async move {
        loop {
            let mut weight = 0;
            let full = state.files.iter().take(max_files + 1).enumerate().find_map(|(position, file)| {
                weight += file.weight();
                (position > 0 && (position == max_files || weight > max_bytes)).then_some(position)
            });
            if let Some(count) = full {
                let group = state.files.drain(..count).collect();
                return Ok(Some((group, state)));
            }
            if state.ended {
                let group: Vec<FileWork> = state.files.drain(..).collect();
                return Ok((!group.is_empty()).then_some((group, state)));
            }
            match state.rows.try_next().await? {
                Some(rows) => {
                    for row in rows {
                        if state.file.last().is_some_and(|last| last.file_id != row.file_id) {
                            state.files.push_back(FileWork::new(std::mem::take(&mut state.file)));
                        }
                        state.file.push(row);
                    }
                }
                None => {
                    state.ended = true;
                    if !state.file.is_empty() {
                        state.files.push_back(FileWork::new(std::mem::take(&mut state.file)));
                    }
                }
            }
        }
    })
}

/// What the reports of a group mean for the lake, in order of path, and the states the group's files end in.
///
/// # Errors
/// If a report is missing.
pub fn changes(
    group: &[FileWork],
    reports: &[FileReport],
    limits: &Limits,
) -> Result<(Vec<FileChange>, FileCounts), PlanError> {
    let mut counts = FileCounts::default();
    let mut reports = reports.iter();
    let mut changes = Vec::with_capacity(group.len());
    for work in group {
        let report = match &work.request {
            Some(request) => Some((
                &request.meta,
                reports.next().filter(|report| report.file_id == work.file_id).ok_or_else(|| {
                    PlanError::worklist(format!("the report of {:?} is missing or not in its place", work.path))
                })?,
            )),
            None => None,
        };
        let lanes = work.rows.iter().map(|row| lane_change(row, report, limits)).collect();
        count(&mut counts, work, report);
        changes.push(FileChange { path: work.path.clone(), file_id: work.file_id, lanes });
    }
    Ok((changes, counts))
}

fn count(counts: &mut FileCounts, work: &FileWork, report: Option<(&FileMeta, &FileReport)>) {
    // Files out of scope are skipped, and those that are gone deleted: the planner has counted them.
    let Some((meta, report)) = report else { return };
    if !meta.included {
        return;
    }
    let kept = work.rows.first().and_then(|row| row.kept_status.as_deref());
    let worst = report.lanes.iter().map(|lane| &lane.status).max();
    match (worst, kept) {
        (Some(LaneStatus::Quarantined { .. }), _) | (_, Some("quarantined")) => counts.quarantined += 1,
        (Some(LaneStatus::Failed { .. }), _) | (_, Some("failed")) => counts.failed += 1,
        _ => counts.extracted += 1,
    }
}

fn lane_change(row: &WorkRow, report: Option<(&FileMeta, &FileReport)>, limits: &Limits) -> LaneChange {
    let old = row.old.clone();
    let gone = LaneChange {
        lane: row.lane,
        old: old.clone(),
        new: None,
        produced: vec![],
        diagnostics: vec![],
        quarantine: None,
    };
    let Some((meta, report)) = report.filter(|_| row.action != Action::Delete) else { return gone };
    let Some(lane) = report.lanes.iter().find(|lane| lane.lane == row.lane) else { return gone };
    let content_key = extracted_key(row, meta, report);
    let diagnostics = report.diagnostics.iter().filter(|d| d.lane == row.lane).cloned().collect();
    let new = |fingerprint: String, status: &str, reason: Option<String>, datasets| {
        let content_key = content_key.clone();
        Some(StateRow { lane: row.lane, content_key, fingerprint, status: status.into(), reason, datasets })
    };
    match &lane.status {
        LaneStatus::Extracted => {
            let mut datasets = vec![];
            if row.action == Action::Add && old.as_ref().is_some_and(|old| old.content_key == content_key) {
                datasets.extend(old.iter().flat_map(|old| old.datasets.clone()));
            }
            datasets.extend(lane.datasets.iter().cloned());
            let new = new(row.fingerprint.clone(), "extracted", None, in_catalog_order(row.lane, datasets));
            LaneChange { new, produced: produced(lane), diagnostics, ..gone }
        }
        LaneStatus::Failed { reason, .. } => LaneChange {
            new: new(row.fingerprint.clone(), "failed", Some(reason.clone()), vec![]),
            diagnostics: with_failure(diagnostics, lane),
            ..gone
        },
        LaneStatus::Quarantined { limit, message } => {
            let limits = limits_hash(limits);
            LaneChange {
                new: new(format!("{}:{limits}", row.fingerprint), "quarantined", Some(limit.clone()), vec![]),
                diagnostics,
                quarantine: Some(QuarantineRow { limits, limit: limit.clone(), message: message.clone(), attempts: 1 }),
                ..gone
            }
        }
    }
}

/// The content key of the bytes that were extracted, which need not be those the scan saw.
fn extracted_key(row: &WorkRow, meta: &FileMeta, report: &FileReport) -> String {
    if report.sha256.is_none() || report.sha256 == meta.sha256 {
        return row.content_key.clone();
    }
    let extracted = FileMeta { sha256: report.sha256.clone(), size: report.size, ..meta.clone() };
    ContentKeys::new(&extracted, &extracted.record()).of(row.lane).to_owned()
}

fn produced(lane: &LaneReport) -> Vec<lode_facts::extract::DatasetReport> {
    lane.datasets.clone()
}

fn in_catalog_order(
    lane: LaneId,
    datasets: Vec<lode_facts::extract::DatasetReport>,
) -> Vec<lode_facts::extract::DatasetReport> {
    lane.datasets().filter_map(|d| datasets.iter().find(|report| report.dataset == d.name).cloned()).collect()
}

fn with_failure(
    mut diagnostics: Vec<lode_facts::extract::Diagnostic>,
    lane: &LaneReport,
) -> Vec<lode_facts::extract::Diagnostic> {
    if let LaneStatus::Failed { reason, message } = &lane.status {
        diagnostics.push(lode_facts::extract::Diagnostic {
            lane: lane.lane,
            severity: lode_facts::extract::Severity::Error,
            code: reason.clone(),
            message: message.clone(),
            bstart: None,
        });
    }
    diagnostics
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(path: &str, size: usize, lanes: &[LaneId]) -> Vec<WorkRow> {
        let meta = FileMeta::in_scope("r", path, size, None);
        let row = |lane: &LaneId| WorkRow {
            path: path.into(),
            file_id: meta.file_id,
            lane: *lane,
            action: Action::Extract,
            content_key: "c".into(),
            fingerprint: "f".into(),
            datasets: vec![],
            meta: Some(meta.clone()),
            old: None,
            kept_status: None,
        };
        lanes.iter().map(row).collect()
    }

    #[tokio::test]
    async fn many_lanes_make_small_groups() {
        let few = [LaneId::Files, LaneId::Lines, LaneId::Ast];
        let many = [&few[..], &[LaneId::Ts]].concat();
        for (lanes, sizes) in [(&few[..], vec![4, 2]), (&many, vec![2, 2, 2])] {
            let all = (0..6).flat_map(|n| rows(&format!("{n}.py"), 100, lanes)).collect();
            let groups = group_files(stream::iter([Ok::<_, PlanError>(all)]), 400, 10);
            let groups: Vec<Vec<FileWork>> = groups.try_collect().await.unwrap();
            assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{} lanes", lanes.len());
        }
    }
}
