//! `CommitExec`: one task that makes a run visible, once.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::TryStreamExt;
use lode_lake::LakeError;
use lode_lake::commit::{CommitOutcome, commit};
use lode_lake::plan::EpochPlan;
use lode_lake::store::Lake;
use lode_lake::trace::SPANS;
use tracing::field::Empty;
use tracing::{Instrument, info_span};

use crate::error::PlanError;
use crate::gate;
use crate::host::HostHandle;
use crate::nodes::{COMMIT_SCHEMA, JobSpec};
use crate::staging;

/// Commits a run when all its shards have their manifests.
///
/// Correctness does not rest on being called once: the commit is a create-if-absent object (see `lode_lake::commit`).
#[derive(Debug)]
pub struct CommitExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Arc<JobSpec>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl CommitExec {
    /// Over the shards' summaries.
    pub fn new(input: Arc<dyn ExecutionPlan>, spec: Arc<JobSpec>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&COMMIT_SCHEMA)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { input, spec, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The job.
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }
}

impl DisplayAs for CommitExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "CommitExec: run={} epoch={} repo={}", self.spec.run_id, self.spec.epoch, self.spec.repo)
    }
}

impl ExecutionPlan for CommitExec {
    fn name(&self) -> &str {
        "CommitExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }
    /// The optimizer puts a coalesce below, where the cluster cuts the commit's stage.
    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }
    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| DataFusionError::Internal("CommitExec has one child".into()))?;
        Ok(Arc::new(Self::new(input, Arc::clone(&self.spec))))
    }
    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partitions = self.input.properties().output_partitioning().partition_count();
        if partition != 0 || partitions != 1 {
            return Err(DataFusionError::Internal(format!("a commit reads one partition, not {partitions}")));
        }
        let shards = MetricBuilder::new(&self.metrics).counter("shards_committed", 0);
        let (host, task) = (context.session_config().get_extension::<HostHandle>(), context.task_id());
        let mut input = self.input.execute(0, context)?;
        let spec = Arc::clone(&self.spec);
        let output = futures::stream::once(async move {
            let mut done = 0;
            while let Some(batch) = input.try_next().await? {
                done += batch.num_rows();
            }
            shards.add(done);
            let span = info_span!(
                target: SPANS, parent: None, "commit", run_id = spec.run_id, shards = done, otel.status_code = Empty
            );
            if let Some(host) = host {
                host.0.begin(&span, &spec.run_id, &task.unwrap_or_default());
            }
            let committed = commit_run(&spec, Some(done)).instrument(span.clone()).await;
            if committed.is_err() {
                span.record("otel.status_code", "ERROR");
            }
            Ok(committed?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&COMMIT_SCHEMA), output)))
    }
}

/// Checks the tables against the catalog and commits the run's epoch. `shards` is how many summaries came in; `None` for
/// a run without work, which needs no cluster.
///
/// # Errors
/// If a shard is missing, a table is not what the catalog says, or the lake fails.
pub async fn commit_run(spec: &JobSpec, shards: Option<usize>) -> std::result::Result<RecordBatch, PlanError> {
    let lake = Lake::open(&spec.lake).await?;
    let epoch = EpochPlan::load(&lake, &spec.run_id, spec.epoch)
        .await?
        .ok_or_else(|| PlanError::worklist(format!("run {} has no epoch {}", spec.run_id, spec.epoch)))?;
    let expected = epoch.tasks.len();
    if shards.unwrap_or(0) != expected {
        return Err(PlanError::worklist(format!("{} of {expected} shards came to the commit", shards.unwrap_or(0))));
    }
    gate::check(&lake, &epoch).await?;
    let (outcome, sequence, detail) = match commit(&lake, &epoch).await {
        Ok(CommitOutcome::Committed { sequence }) => {
            staging::clear(&lake, &spec.order.source).await;
            ("committed", Some(sequence as i64), None)
        }
        Ok(CommitOutcome::Superseded { by }) => ("superseded", None, Some(by)),
        Err(LakeError::Cancelled { .. }) => ("cancelled", None, None),
        Err(error) => return Err(error.into()),
    };
    Ok(RecordBatch::try_new(
        Arc::clone(&COMMIT_SCHEMA),
        vec![
            Arc::new(StringArray::from(vec![outcome])),
            Arc::new(Int64Array::from(vec![sequence])),
            Arc::new(StringArray::from(vec![detail])),
        ],
    )?)
}
