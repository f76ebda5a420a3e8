//! What is kept of a run beside its facts: plan artifacts, stages, tasks.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use lode_facts::records::{PLAN_ARTIFACTS, RUN_STAGES, RUN_TASKS};
use lode_lake::commit::append_run_rows;
use lode_lake::manifest::{self, Manifest};
use lode_lake::plan::EpochPlan;
use lode_lake::store::Lake;
use lode_lake::{history, layout};
use lode_plan::artifacts::{Artifact, of_session, to_batch};
use lode_plan::epoch::PlannedEpoch;
use lode_scheduler::capture::JobRecord;

use super::Failure;
use super::cluster::EmbeddedCluster;

/// Appends the records of a committed epoch. Each append has a transaction of its own, so that a resume adds nothing
/// twice.
pub async fn keep(
    lake: &Lake,
    cluster: &EmbeddedCluster,
    epoch: &PlannedEpoch,
    job: Vec<Artifact>,
    durations: serde_json::Value,
) -> Result<(), Failure> {
    let plan = &epoch.plan;
    let record = if plan.tasks.is_empty() { None } else { cluster.record(&plan.run_id).await };
    let mut artifacts = epoch.artifacts.clone();
    artifacts.extend(job);
    artifacts.extend(of_session(&cluster.context().state()));
    artifacts.push(Artifact::text("settings_hash", "run", &plan.settings_hash));
    artifacts.push(Artifact::text("durations", "run", durations.to_string()));
    artifacts.push(Artifact::text("delta_versions_in", "run", serde_json::to_string(&plan.table_versions)?));
    if let Some(run) = history::run(lake, &plan.run_id).await? {
        artifacts.push(Artifact::text("delta_versions_out", "run", serde_json::to_string(&run.table_versions)?));
        artifacts.push(Artifact::text("rows", "run", run.rows_written.to_string()));
    }
    if let Some(gate) = lake.get(&layout::gate(&plan.run_id, plan.epoch)).await? {
        artifacts.push(Artifact::text("schema_gate", "run", String::from_utf8_lossy(&gate)));
    }
    if let Some(physical) = record.as_ref().and_then(|record| record.physical_plan.as_ref()) {
        artifacts.push(Artifact::text("physical_plan", "cluster", physical));
    }
    let app = |table: &str| format!("lode/{table}/{}/{}", plan.run_id, plan.epoch);
    let rows = to_batch(&plan.run_id, plan.epoch, &artifacts)?;
    append_run_rows(lake, &PLAN_ARTIFACTS, rows, &plan.run_id, &app("plan_artifacts")).await?;
    if let Some(record) = &record {
        append_run_rows(lake, &RUN_STAGES, stages(plan, record)?, &plan.run_id, &app("run_stages")).await?;
    }
    let mut manifests = vec![];
    for shard in &plan.tasks {
        manifests.extend(manifest::load(lake, &plan.run_id, plan.epoch, shard).await?);
    }
    if !manifests.is_empty() {
        append_run_rows(lake, &RUN_TASKS, tasks(plan, &manifests)?, &plan.run_id, &app("run_tasks")).await?;
    }
    Ok(())
}

fn stages(plan: &EpochPlan, job: &JobRecord) -> Result<RecordBatch, Failure> {
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

fn tasks(plan: &EpochPlan, manifests: &[Manifest]) -> Result<RecordBatch, Failure> {
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
