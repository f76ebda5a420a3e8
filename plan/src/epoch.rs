//! Planning one epoch of a run: the base, the worklist, the shards, and the job over them.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::{ParquetReadOptions, SessionContext, col, lit};
use futures::{StreamExt, TryStreamExt, stream};
use lode_facts::catalog::{Dataset, dataset};
use lode_facts::lane::LaneId;
use lode_facts::records::EXTRACT_STATE;
use lode_lake::base::Base;
use lode_lake::layout;
use lode_lake::manifest::FileCounts;
use lode_lake::plan::EpochPlan;
use lode_lake::shard::{ShardMap, Sizing, repo_key, target_bytes};
use lode_lake::store::Lake;

use crate::artifacts::{self, Artifact};
use crate::error::PlanError;
use crate::inputs::{KeptRun, PlannedFile, RunRequest, keep_wanted};
use crate::nodes::{CommitNode, ExtractNode, JobSpec};
use crate::staging;
use crate::worklist::{
    RECORDS, STATE, StickyStates, WANTED, WorklistTable, lanes_behind, lanes_of, windows, worklist, worklist_rows,
    write_worklist,
};

/// Objects that are looked up at once.
const LOOKS: usize = 16;

/// An epoch that is planned and kept.
pub struct PlannedEpoch {
    /// The plan.
    pub plan: EpochPlan,
    /// What `Extract` and `Commit` carry.
    pub spec: JobSpec,
    /// Files and content with something to do, where this process planned the epoch itself.
    pub work: Work,
    /// Artifacts of the worklist query.
    pub artifacts: Vec<Artifact>,
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

/// Plans an epoch on a base and keeps it on the lake; planning it again gives the kept one.
///
/// # Errors
/// If the lake can't be read or written.
pub async fn plan_epoch(
    lake: &Lake,
    context: &SessionContext,
    run: &KeptRun<'_>,
    base: &Base,
    epoch: u32,
    files: &[PlannedFile],
    started_at: i64,
) -> Result<PlannedEpoch, PlanError> {
    let KeptRun { run_id, request, .. } = *run;
    let spec = JobSpec {
        lake: lake.url().to_string(),
        run_id: run_id.into(),
        epoch,
        repo: request.repo.clone(),
        order: request.order(lake, run_id, epoch),
        trace: None,
    };
    register_tables(lake, context, run, base).await?;
    // The diff tells the truth about deletions only when it starts where the lake is.
    let at = base.last.as_ref().and_then(|last| last.git_commit.as_ref());
    let follows = request.changed_since.is_none() || request.changed_since.as_ref() == at;
    let gone = (!request.complete).then_some(if follows { request.gone.as_slice() } else { &[] });
    let query = worklist(context, &request.repo, gone).await?;

    let map = shard_map(base, request, files);
    let plan = EpochPlan {
        run_id: run_id.into(),
        epoch,
        repo: request.repo.clone(),
        repo_key: repo_key(&request.repo),
        origin: request.origin.clone(),
        base_sequence: base.sequence,
        base_rows: base.rows(),
        table_versions: base.table_versions(),
        shards: map.into_shards(),
        tasks: vec![],
        datasets: request.datasets.clone(),
        complete_datasets: vec![],
        counts: FileCounts::default(),
        git_commit: request.git_commit.clone(),
        scope: request.scope.clone(),
        complete: request.complete,
        settings_hash: request.settings_hash(),
        source: spec.order.source.name().into(),
        version: env!("CARGO_PKG_VERSION").into(),
        started_at,
    };
    let mut sticky = sticky_states(context, &request.repo).await?;
    // Which shards have work is known only at the end: until then each counts as one that may take rows away.
    let all = EpochPlan { tasks: plan.shards.iter().map(|shard| shard.id.clone()).collect(), ..plan.clone() };
    let split = Base::split_parts(&plan.shards);
    let tasks = base.tasks(&all).into_iter().map(|task| (split.contains(&task.shard), task));
    let tasks = tasks.map(|(split, task)| (task, split)).collect();
    let windows = windows(files.iter().map(|file| file.path.as_str()));
    let rows = worklist_rows(context, &request.repo, gone.map(<[i64]>::to_vec), windows);
    let state = context.state();
    let artifacts = async { Ok(artifacts::of_plan(&state, "worklist", query.logical_plan()).await?) };
    // The worklist first: its work is done by other threads.
    let (summary, artifacts) = tokio::try_join!(write_worklist(lake, rows, &mut sticky, tasks), artifacts)?;

    let extracted: HashSet<i64> =
        summary.touched.iter().filter(|(_, extracted)| *extracted).map(|(id, _)| *id).collect();
    let seen: HashSet<i64> = files.iter().map(|file| file.file_id).collect();
    let deleted = summary.touched.iter().filter(|(id, _)| !seen.contains(id)).count() as u64;
    let counts = counts(files, &extracted, &sticky, deleted);
    let mut touched_lanes = summary.changed_lanes;
    let untouched = complete_before(base).filter_map(|d| d.lane).map(LaneId::name);
    let untouched = untouched.filter(|lane| !touched_lanes.contains(*lane)).collect();
    touched_lanes.extend(lanes_behind(context, &request.repo, &untouched).await?);
    let complete_datasets = complete_datasets(base, request, follows, &touched_lanes);
    let tasks = summary.files.iter().map(|(shard, _)| shard.clone()).collect();
    let plan = EpochPlan { tasks, complete_datasets, counts, ..plan };
    if request.staged {
        staging::stage(lake, context, &plan, request).await?;
    }
    let plan = plan.publish(lake).await?;
    let todo = files.iter().filter(|file| file.included && extracted.contains(&file.file_id));
    let work = todo.fold(Work::default(), |work, file| Work { files: work.files + 1, bytes: work.bytes + file.size });
    Ok(PlannedEpoch { plan, spec, work, artifacts })
}

/// Takes up an epoch that was planned before.
pub fn resumed_epoch(lake: &Lake, plan: EpochPlan, request: &RunRequest) -> PlannedEpoch {
    let spec = JobSpec {
        lake: lake.url().to_string(),
        run_id: plan.run_id.clone(),
        epoch: plan.epoch,
        repo: plan.repo.clone(),
        order: request.order(lake, &plan.run_id, plan.epoch),
        trace: None,
    };
    PlannedEpoch { plan, spec, work: Work::default(), artifacts: vec![] }
}

/// The job: `Commit ← Extract ← worklist`.
///
/// # Errors
/// If a worklist file is missing on the lake.
pub async fn job(lake: &Lake, epoch: &PlannedEpoch) -> Result<LogicalPlan, PlanError> {
    let plan = &epoch.plan;
    let paths = plan.tasks.iter().map(|shard| layout::worklist(&plan.run_id, plan.epoch, shard));
    let sizes = paths.map(|path| async move { lake.object(&path).await }).collect::<Vec<_>>();
    let files = stream::iter(sizes).buffered(LOOKS).try_collect().await?;
    let store = ObjectStoreUrl::parse(lake.store_url().as_str())?;
    let table = Arc::new(WorklistTable::new(&store, files));
    let scan = LogicalPlanBuilder::scan("worklist", provider_as_source(table), None)?.build()?;
    let extract = LogicalPlan::Extension(Extension { node: Arc::new(ExtractNode::new(scan, epoch.spec.clone())) });
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(CommitNode::new(extract, epoch.spec.clone())) }))
}

async fn register_tables(
    lake: &Lake,
    context: &SessionContext,
    run: &KeptRun<'_>,
    base: &Base,
) -> Result<(), PlanError> {
    lake.register_store(&context.runtime_env());
    let wanted = keep_wanted(lake, run, &lanes_of(run.request, base)).await?;
    for (table, path) in [(RECORDS, layout::scan(run.run_id, run.digest)), (WANTED, wanted)] {
        context.deregister_table(table)?;
        let file = lake.url().join(&path).map_err(|e| PlanError::worklist(e.to_string()))?;
        context.register_parquet(table, file.as_str(), ParquetReadOptions::default()).await?;
    }
    context.deregister_table(STATE)?;
    match base.tables.get(EXTRACT_STATE.name) {
        Some(state) => context.register_table(STATE, state.provider(&context.state())?)?,
        None => context.register_table(STATE, Arc::new(EmptyTable::new(EXTRACT_STATE.table_schema())))?,
    };
    Ok(())
}

async fn sticky_states(context: &SessionContext, repo: &str) -> Result<StickyStates, PlanError> {
    let state = context.table(STATE).await?;
    let state = state.filter(col("repo").eq(lit(repo)).and(col("status").not_eq(lit("extracted"))))?;
    let mut sticky = StickyStates::default();
    for batch in state.select_columns(&["file_id", "lane", "status"])?.collect().await? {
        let text = |batch: &RecordBatch, column| {
            let array = arrow::compute::cast(batch.column(column), &arrow::datatypes::DataType::Utf8)?;
            Ok::<_, PlanError>(array.as_string::<i32>().clone())
        };
        let (lane, status) = (text(&batch, 1)?, text(&batch, 2)?);
        let ids = batch.column(0).as_primitive::<Int64Type>();
        for row in 0..ids.len() {
            sticky.insert(ids.value(row), lane.value(row), status.value(row));
        }
    }
    Ok(sticky)
}

/// The shard map of the run: the repository's, with shards split that have outgrown their size.
fn shard_map(base: &Base, request: &RunRequest, files: &[PlannedFile]) -> ShardMap {
    let sizes: Vec<(&str, u64)> = files.iter().filter(|f| f.included).map(|f| (f.path.as_str(), f.size)).collect();
    let target = target_bytes(sizes.iter().map(|(_, size)| size).sum());
    match &base.shards {
        None => {
            let sizing = request.shards.map_or(Sizing::Target(target), Sizing::Count);
            ShardMap::initial(&repo_key(&request.repo), &sizes, sizing)
        }
        Some(map) if request.complete && request.shards.is_none() => map.split(&sizes, target),
        Some(map) => map.clone(),
    }
}

/// What can be said of the scan's files without executing anything: executors count those with something to do.
fn counts(files: &[PlannedFile], extracted: &HashSet<i64>, sticky: &StickyStates, deleted: u64) -> FileCounts {
    let mut counts = FileCounts { scanned: files.len() as u64, deleted, ..FileCounts::default() };
    for file in files {
        if !file.included || !file.taken {
            counts.skipped += 1;
        } else if !extracted.contains(&file.file_id) {
            match sticky.worst(file.file_id) {
                Some("quarantined") => counts.quarantined += 1,
                Some(_) => counts.failed += 1,
                None => counts.unchanged += 1,
            }
        }
    }
    counts
}

/// The datasets that equal the snapshot of the last run.
fn complete_before(base: &Base) -> impl Iterator<Item = &'static Dataset> {
    let names = base.last.iter().flat_map(|last| &last.complete_datasets);
    names.filter_map(|name| dataset(name))
}

/// The datasets that equal the scanned snapshot once the run is committed: those it fills, and those that did before and
/// whose lane saw no change and is not behind.
fn complete_datasets(
    base: &Base,
    request: &RunRequest,
    follows: bool,
    touched_lanes: &BTreeSet<String>,
) -> Vec<String> {
    let before: BTreeSet<_> = complete_before(base).map(|d| d.name).collect();
    let known = lode_facts::catalog::datasets().iter().filter(|d| d.lane.is_some());
    let complete = known.filter(|d| {
        let asked = request.datasets.iter().any(|name| name == d.name);
        let was = before.contains(d.name);
        let untouched = d.lane.is_some_and(|lane| !touched_lanes.contains(lane.name()));
        if request.complete { asked || (was && untouched) } else { was && follows && (asked || untouched) }
    });
    complete.map(|d| d.name.to_owned()).collect()
}
