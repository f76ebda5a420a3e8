//! What is kept of a run beside its facts, as far as the client alone knows it: how it was planned, and how long it took.

use lode_facts::records::PLAN_ARTIFACTS;
use lode_lake::commit::append_run_rows;
use lode_lake::store::Lake;
use lode_lake::{history, layout};
use lode_plan::artifacts::{Artifact, of_session, to_batch};
use lode_plan::epoch::PlannedEpoch;
use lode_scheduler::{journal, records};

use super::Failure;
use super::cluster::Cluster;

/// Appends the records of an epoch. Each append has a transaction of its own, so that a resume adds nothing twice.
pub async fn keep(
    lake: &Lake,
    cluster: &Cluster,
    epoch: &PlannedEpoch,
    job: Vec<Artifact>,
    durations: serde_json::Value,
) -> Result<(), Failure> {
    let plan = &epoch.plan;
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
    let rows = to_batch(&plan.run_id, plan.epoch, &artifacts)?;
    let app = format!("lode/plan_artifacts/{}/{}", plan.run_id, plan.epoch);
    append_run_rows(lake, &PLAN_ARTIFACTS, rows, &plan.run_id, &app).await?;
    // A scheduler elsewhere keeps the records of its jobs itself, whether or not a client waits; here, what one that died
    // had captured of the run is kept, too.
    if !plan.tasks.is_empty()
        && let Some(record) = cluster.record(&plan.run_id).await
    {
        records::keep(lake, plan, &record).await?;
        journal::adopt(lake, &plan.run_id, |_| false).await?;
    }
    Ok(())
}
