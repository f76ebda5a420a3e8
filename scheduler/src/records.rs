//! What is kept on the lake of a job that is over: its plan, stages and tasks.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use futures::{StreamExt, TryStreamExt, stream};
use lode_facts::records::{PLAN_ARTIFACTS, RUN_STAGES, RUN_TASKS};
use lode_lake::LakeError;
use lode_lake::commit::append_run_rows;
use lode_lake::manifest::{self, Manifest};
use lode_lake::plan::EpochPlan;
use lode_lake::store::Lake;
use lode_plan::artifacts::{Artifact, to_batch};

use crate::job::JobRecord;

/// Manifests that are read at once.
const READS: usize = 8;

/// Why a job's records are not kept.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The engine.
    #[error(transparent)]
    DataFusion(#[from] datafusion::error::DataFusionError),
    /// Arrow.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Appends a job's records. Each append has a transaction of its own, so that whoever does it again adds nothing.
///
/// # Errors
/// If the lake can't be written.
pub async fn keep(lake: &Lake, plan: &EpochPlan, job: &JobRecord) -> Result<(), RecordError> {
    tokio::try_join!(keep_plans(lake, plan, job), keep_tasks(lake, plan, job)).map(|_| ())
}

async fn keep_tasks(lake: &Lake, plan: &EpochPlan, job: &JobRecord) -> Result<(), RecordError> {
    let load = plan.tasks.iter().map(|shard| manifest::load(lake, &plan.run_id, plan.epoch, shard)).collect::<Vec<_>>();
    let manifests: Vec<Option<Manifest>> = stream::iter(load).buffered(READS).try_collect().await?;
    let manifests: Vec<Manifest> = manifests.into_iter().flatten().collect();
    if !manifests.is_empty() {
        append_run_rows(lake, &RUN_TASKS, tasks(plan, &manifests)?, &plan.run_id, &app("run_tasks", plan, job)).await?;
    }
    Ok(())
}

fn app(table: &str, plan: &EpochPlan, job: &JobRecord) -> String {
    format!("lode/{table}/{}/{}/{}", plan.run_id, plan.epoch, job.job_id)
}

/// Appends a job's plan and stages, and what happened to it.
pub(crate) async fn keep_plans(lake: &Lake, plan: &EpochPlan, job: &JobRecord) -> Result<(), RecordError> {
    let mut artifacts = vec![];
    if let Some(physical) = &job.physical_plan {
        artifacts.push(Artifact::text("physical_plan", "cluster", physical));
    }
    if !job.events.is_empty() {
        artifacts.push(Artifact::text("events", "cluster", serde_json::to_string(&job.events)?));
    }
    let keep_artifacts = async {
        if !artifacts.is_empty() {
            let rows = to_batch(&plan.run_id, plan.epoch, &artifacts)?;
            append_run_rows(lake, &PLAN_ARTIFACTS, rows, &plan.run_id, &app("plan_artifacts", plan, job)).await?;
        }
        Ok::<_, RecordError>(())
    };
    let keep_stages = async {
        append_run_rows(lake, &RUN_STAGES, stages(plan, job)?, &plan.run_id, &app("run_stages", plan, job)).await?;
        Ok(())
    };
    tokio::try_join!(keep_artifacts, keep_stages).map(|_| ())
}

fn stages(plan: &EpochPlan, job: &JobRecord) -> Result<RecordBatch, RecordError> {
    let stages = &job.stages;
    let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; stages.len()])) };
    let metrics = stages.iter().map(|stage| serde_json::to_string(&stage.metrics)).collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<ArrayRef> = vec![
        same(&plan.run_id),
        Arc::new(Int32Array::from(vec![plan.epoch as i32; stages.len()])),
        same(&job.job_id),
        Arc::new(Int64Array::from_iter_values(stages.iter().map(|stage| stage.stage_id as i64))),
        Arc::new(StringArray::from_iter_values(stages.iter().map(|stage| stage.state.to_lowercase()))),
        Arc::new(Int64Array::from_iter_values(stages.iter().map(|stage| stage.partitions.unwrap_or(0) as i64))),
        Arc::new(StringArray::from_iter_values(stages.iter().map(|stage| &stage.plan))),
        Arc::new(StringArray::from(metrics)),
        Arc::new(stages.iter().map(|stage| stage.error.as_deref()).collect::<StringArray>()),
    ];
    Ok(RecordBatch::try_new(RUN_STAGES.table_schema(), columns)?)
}

fn tasks(plan: &EpochPlan, manifests: &[Manifest]) -> Result<RecordBatch, RecordError> {
    let numbers = |value: &dyn Fn(&Manifest) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(manifests.iter().map(value)))
    };
    let text = |value: &dyn Fn(&Manifest) -> Option<String>| -> ArrayRef {
        Arc::new(manifests.iter().map(value).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        text(&|_| Some(plan.run_id.clone())),
        Arc::new(Int32Array::from(vec![plan.epoch as i32; manifests.len()])),
        text(&|m| Some(m.shard.clone())),
        text(&|m| Some(m.attempt.clone())),
        numbers(&|m| (m.counts.extracted + m.counts.failed + m.counts.quarantined) as i64),
        numbers(&|m| m.bytes as i64),
        numbers(&|m| m.tables.iter().map(|t| t.rows_added).sum()),
        numbers(&|m| m.tables.iter().map(|t| t.rows_carried).sum()),
        numbers(&|m| m.stats.elapsed_ms as i64),
        numbers(&|m| m.stats.worker_cpu_ms as i64),
        text(&|m| m.stats.slowest_path.clone()),
        Arc::new(Int64Array::from_iter(
            manifests.iter().map(|m| m.stats.slowest_path.as_ref().map(|_| m.stats.slowest_ms as i64)),
        )),
    ];
    Ok(RecordBatch::try_new(RUN_TASKS.table_schema(), columns)?)
}
