//! The sink of one shard: takes the changes of its files in order, rewrites what they touch, publishes the manifest.

use std::ops::Range;
use std::sync::Arc;

use lode_encode::Rows;
use lode_facts::catalog::{Dataset, Scope, datasets};
use lode_facts::lane::LaneId;
use lode_facts::records::{DIAGNOSTICS, EXTRACT_STATE, QUARANTINE};
use tokio::runtime::Handle;
use tracing::{Instrument, info_span};
use uuid::Uuid;

use crate::error::{LakeError, Result};
use crate::manifest::{self, Manifest, TaskOutcome};
use crate::merge::{Context, Replaced, TableMerge};
use crate::new_rows::NewRows;
use crate::records::{self, Records};
use crate::store::Lake;
use crate::task::{FileChange, LaneChange, ShardTask};
use crate::trace::SPANS;

/// The sink of one shard. Encoding and uploads run on a blocking thread; memory holds a row group a table.
pub struct ShardSink {
    context: Arc<Context>,
    attempt: String,
    state: State,
}

/// What the blocking thread works on.
#[derive(Default)]
struct State {
    merges: Vec<TableMerge>,
    last_path: Option<String>,
}

impl ShardSink {
    /// A sink for a task. Nothing is read or written yet.
    ///
    /// # Errors
    /// If the task names a table the catalog doesn't have.
    pub async fn open(lake: Lake, task: ShardTask) -> Result<Self> {
        let known = |name: &str| datasets().iter().any(|d| d.name == name && d.scope == Scope::File);
        if let Some(table) = task.tables.iter().find(|table| !known(&table.table)) {
            return Err(LakeError::UnknownDataset(table.table.clone()));
        }
        let context = Arc::new(Context { lake, task, handle: Handle::current() });
        let merge = |dataset: &&'static Dataset| TableMerge::new(dataset, context.clone());
        let merges = datasets().iter().filter(|d| d.scope == Scope::File).map(merge).collect();
        let state = State { merges, last_path: None };
        Ok(Self { context, attempt: Uuid::new_v4().to_string(), state })
    }

    /// The task.
    pub fn task(&self) -> &ShardTask {
        &self.context.task
    }

    /// Applies the next changes, sorted by path, with the rows that were produced for them: facts by dataset, in the order
    /// of the files and as many as [`LaneChange::produced`] says.
    ///
    /// After an error the sink must be dropped: what it wrote so far belongs to nobody.
    ///
    /// # Errors
    /// If the rows don't fit their reports, the old data isn't what the state says, or the lake can't be read or written.
    pub async fn apply(&mut self, changes: Vec<FileChange>, tables: Vec<(&'static Dataset, Rows)>) -> Result<()> {
        let mut state = std::mem::take(&mut self.state);
        let context = self.context.clone();
        self.state = blocking(move || state.apply(&context, &changes, tables).map(|()| state)).await?;
        Ok(())
    }

    /// Takes over all rows that are left, ends the files, and publishes the manifest. Returns the one on record, which is
    /// another attempt's if that was faster.
    ///
    /// # Errors
    /// If not the whole worklist was consumed, or the lake can't be read or written.
    pub async fn finish(self, outcome: TaskOutcome) -> Result<Manifest> {
        let Self { context, attempt, state } = self;
        let task = &context.task;
        if (outcome.rows, &outcome.digest) != (task.rows, &task.digest) {
            let shard = task.shard.clone();
            return Err(LakeError::Worklist { shard, expected: task.rows, found: outcome.rows });
        }
        let finish = |state: State| state.merges.into_iter().map(TableMerge::finish).collect::<Result<Vec<_>>>();
        let finished = blocking(move || finish(state)).instrument(info_span!(target: SPANS, "finish")).await?;
        let tables = finished.into_iter().flatten().collect();
        let manifest = Manifest {
            run_id: task.run_id.clone(),
            epoch: task.epoch,
            shard: task.shard.clone(),
            attempt,
            rows: outcome.rows,
            digest: outcome.digest,
            tables,
            counts: outcome.counts,
            bytes: outcome.bytes,
            stats: outcome.stats,
        };
        manifest::publish(&context.lake, manifest).instrument(info_span!(target: SPANS, "manifest")).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| LakeError::Task(error.to_string()))?
}

impl State {
    fn apply(
        &mut self,
        context: &Context,
        changes: &[FileChange],
        tables: Vec<(&'static Dataset, Rows)>,
    ) -> Result<()> {
        self.check_order(context, changes)?;
        for merge in &mut self.merges {
            let dataset = merge.dataset();
            if let Some(lane) = dataset.lane {
                let facts = tables.iter().find(|(d, _)| d.name == dataset.name).map(|(_, facts)| facts);
                apply_facts(merge, lane, context, changes, facts)?;
            }
        }
        let records = [
            (&EXTRACT_STATE, records::states(&context.task.repo, changes)),
            (&DIAGNOSTICS, records::diagnostics(&context.task.repo, changes)),
            (&QUARANTINE, records::quarantine(&context.task.repo, changes)),
        ];
        for (dataset, records) in records {
            if let Some(merge) = self.merges.iter_mut().find(|merge| merge.dataset().name == dataset.name) {
                apply_records(merge, changes, records.map_err(LakeError::arrow(dataset.name))?)?;
            }
        }
        Ok(())
    }

    fn check_order(&mut self, context: &Context, changes: &[FileChange]) -> Result<()> {
        for change in changes {
            let refuse = |reason: &str| {
                let table = EXTRACT_STATE.name.to_owned();
                Err(LakeError::Report { table, path: change.path.clone(), reason: reason.to_owned() })
            };
            if self.last_path.as_ref().is_some_and(|last| *last >= change.path) {
                return refuse("files must come in the order of their paths, each once");
            }
            if !context.task.contains(&change.path) {
                return refuse("it lies outside the shard's range");
            }
            self.last_path = Some(change.path.clone());
        }
        Ok(())
    }
}

/// What becomes of one dataset's rows of one file.
enum Fate {
    /// They stay, or there are none before and after.
    Stay,
    /// They make place for new ones, or for none.
    Replace { old_rows: i64 },
}

fn fate(change: &LaneChange, dataset: &str) -> Fate {
    let old = change.old.as_ref().and_then(|state| state.report(dataset));
    let new = change.new.as_ref().and_then(|state| state.report(dataset));
    let old_rows = old.map_or(0, |report| report.rows);
    let same = match (old, new) {
        (Some(old), Some(new)) => (old.rows, old.hash) == (new.rows, new.hash),
        _ => false,
    };
    if same || (old_rows == 0 && new.is_none_or(|new| new.rows == 0)) { Fate::Stay } else { Fate::Replace { old_rows } }
}

fn apply_facts(
    merge: &mut TableMerge,
    lane: LaneId,
    context: &Context,
    changes: &[FileChange],
    facts: Option<&Rows>,
) -> Result<()> {
    let dataset = merge.dataset();
    let produced = |change: &FileChange| {
        let lanes = change.lanes.iter().filter(|l| l.lane == lane).flat_map(|l| &l.produced);
        lanes.filter(|report| report.dataset == dataset.name).map(|report| report.rows as usize).sum::<usize>()
    };
    let total: usize = changes.iter().map(produced).sum();
    let sent = facts.map_or(0, Rows::rows);
    let refuse =
        |path: &str, reason: String| LakeError::Report { table: dataset.name.into(), path: path.into(), reason };
    if total != sent {
        let path = changes.first().map_or("", |change| change.path.as_str());
        return Err(refuse(path, format!("{sent} rows came for reports of {total}, in the group that begins here")));
    }
    let new = facts.map(|facts| {
        let files = changes.iter().map(|change| (change.path.as_str(), change.file_id, produced(change)));
        Arc::new(NewRows::facts(dataset, &context.task.repo, files, facts.clone()))
    });
    let mut start = 0;
    for change in changes {
        let rows = start..start + produced(change);
        start = rows.end;
        let Some(lane_change) = change.lanes.iter().find(|l| l.lane == lane) else { continue };
        let Fate::Replace { old_rows } = fate(lane_change, dataset.name) else { continue };
        let expected = lane_change.new.as_ref().and_then(|state| state.report(dataset.name)).map_or(0, |r| r.rows);
        if rows.len() as i64 != expected {
            let reason = format!("{} rows came where its new state says {expected}", rows.len());
            return Err(refuse(&change.path, reason));
        }
        merge.replace(&change.path, Replaced::File { rows: old_rows }, new.as_ref().map(|new| (new, rows)))?;
    }
    merge.flush_pending()
}

fn apply_records(merge: &mut TableMerge, changes: &[FileChange], records: Records) -> Result<()> {
    let new = Arc::new(NewRows::plain(merge.dataset(), records.batch));
    let mut start = 0;
    for (change, rows) in changes.iter().zip(&records.rows) {
        let rows: Range<usize> = start..start + rows;
        start = rows.end;
        if rows.is_empty() && !merge.has_old() {
            continue;
        }
        let lanes = change.lanes.iter().map(|l| l.lane).collect::<Vec<_>>();
        merge.replace(&change.path, Replaced::Lanes(&lanes), Some((&new, rows)))?;
    }
    merge.flush_pending()
}
