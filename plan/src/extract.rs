//! `ExtractExec`: one task a shard, from worklist to manifest.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt};
use lode_facts::extract::{FileReport, FileRequest, LaneStatus};
use lode_facts::lane::Fingerprints;
use lode_lake::attempts::Attempt;
use lode_lake::fault;
use lode_lake::manifest::{self, Manifest, TaskOutcome};
use lode_lake::sink::ShardSink;
use lode_lake::store::Lake;
use lode_lake::task::{ShardTask, WorklistDigest};
use lode_lake::trace::SPANS;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use crate::changes::{FileWork, changes, group_files};
use crate::error::PlanError;
use crate::host::{GroupCost, GroupFacts, HostHandle, ShardEvent};
use crate::nodes::{EXTRACT_SCHEMA, JobSpec};
use crate::worklist::{WorkRow, work_rows};

/// How much content a group of files holds, at most; what a worker gets at a time.
const GROUP_BYTES: u64 = 1 << 20;
const GROUP_FILES: usize = 256;
/// Groups of a shard that are extracted ahead of the sink.
const GROUPS_AHEAD: usize = 2;

/// Extracts the files of a shard's worklist and writes the shard.
///
/// It sits above the scan of the worklist, never at a leaf: a task of the cluster is restricted to its partition only by
/// the scan. A shard whose manifest stands is not done again.
#[derive(Debug)]
pub struct ExtractExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Arc<JobSpec>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ExtractExec {
    /// Over a scan of the worklist.
    pub fn new(input: Arc<dyn ExecutionPlan>, spec: Arc<JobSpec>) -> Self {
        let partitions = input.properties().output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&EXTRACT_SCHEMA)),
            Partitioning::UnknownPartitioning(partitions),
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

impl DisplayAs for ExtractExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "ExtractExec: run={} epoch={} repo={}", self.spec.run_id, self.spec.epoch, self.spec.repo)
    }
}

impl ExecutionPlan for ExtractExec {
    fn name(&self) -> &str {
        "ExtractExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
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
        let input = children.pop().ok_or_else(|| DataFusionError::Internal("ExtractExec has one child".into()))?;
        Ok(Arc::new(Self::new(input, Arc::clone(&self.spec))))
    }
    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let host = context.session_config().get_extension::<HostHandle>().ok_or_else(|| {
            DataFusionError::Plan("this process can't extract: its session has no extraction host".into())
        })?;
        let counter = |name| MetricBuilder::new(&self.metrics).counter(name, partition);
        let shard = ShardRun {
            host,
            spec: Arc::clone(&self.spec),
            files: counter("files_extracted"),
            bytes: counter("bytes_extracted"),
            rows: counter("rows_written"),
            reused: counter("shards_reused"),
        };
        let span = info_span!(
            target: SPANS, parent: None, "shard", run_id = self.spec.run_id, shard = Empty, otel.status_code = Empty
        );
        shard.host.0.begin(&span, &self.spec.run_id, &context.task_id().unwrap_or_default());
        let input = self.input.execute(partition, context)?;
        let work = async move {
            let done = shard.run(input).await;
            if done.is_err() {
                Span::current().record("otel.status_code", "ERROR");
            }
            Ok(done?)
        };
        let output = futures::stream::once(work.instrument(span));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&EXTRACT_SCHEMA), output)))
    }
}

struct ShardRun {
    host: Arc<HostHandle>,
    spec: Arc<JobSpec>,
    files: Count,
    bytes: Count,
    rows: Count,
    reused: Count,
}

impl ShardRun {
    async fn run(self, mut input: SendableRecordBatchStream) -> Result<RecordBatch, PlanError> {
        let started = Instant::now();
        let lake = Lake::open(&self.spec.lake).await?;
        let first = input.try_next().await?.ok_or_else(|| PlanError::worklist("a shard without a task".into()))?;
        let (task, rows) = work_rows(&first)?;
        let task = task.ok_or_else(|| PlanError::worklist("a shard does not open with its task".into()))?;
        Span::current().record("shard", &task.shard);
        if let Some(manifest) = manifest::load(&lake, &task.run_id, task.epoch, &task.shard).await? {
            self.reused.add(1);
            let files = manifest.counts.extracted + manifest.counts.failed + manifest.counts.quarantined;
            self.host.0.observe(&ShardEvent::Shard { shard: task.shard, reused: true, files });
            return Ok(summary(&manifest));
        }

        let attempt = Attempt::begin(&lake, &task.run_id, task.epoch, &task.shard).await?;
        match self.write(&lake, task, rows, input, &attempt, started).await {
            Ok(done) => Ok(done),
            Err(error) => {
                // The error is what counts; an attempt too many in the ledger only makes the next one careful.
                if let Err(left) = attempt.withdraw().await {
                    tracing::debug!(error = %left, "the attempt stays in the ledger");
                }
                Err(error)
            }
        }
    }

    /// Extracts the files of a shard and publishes its manifest.
    async fn write(
        &self,
        lake: &Lake,
        task: ShardTask,
        rows: Vec<WorkRow>,
        input: SendableRecordBatchStream,
        attempt: &Attempt,
        started: Instant,
    ) -> Result<RecordBatch, PlanError> {
        let (expected_rows, expected_digest, shard) = (task.rows, task.digest.clone(), task.shard.clone());
        let mut sink = ShardSink::open(lake.clone(), task).await?;
        let mut outcome = TaskOutcome::default();
        let mut digest = WorklistDigest::default();

        let later = input.map(|batch| Ok::<_, PlanError>(work_rows(&batch?)?.1));
        let rows = futures::stream::once(async { Ok(rows) }).chain(later);
        let (most_bytes, most_files, ahead) =
            if attempt.is_careful() { (0, 1, 1) } else { (GROUP_BYTES, GROUP_FILES, GROUPS_AHEAD) };
        let groups = group_files(rows, most_bytes, most_files);
        let extracted = groups.map(|group| self.extract(group, attempt)).buffered(ahead);
        let mut extracted = std::pin::pin!(extracted);
        while let Some(done) = extracted.next().await {
            let (group, output, cost) = done?;
            group.iter().for_each(|work| work.digest(&mut digest));
            self.account(&group, &output, &cost, &mut outcome);
            let (changes, counts) = changes(&group, &output.files, &self.spec.order.limits)?;
            outcome.counts += counts;
            sink.apply(changes, output.tables).instrument(info_span!(target: SPANS, "write")).await?;
        }
        if digest.rows() != expected_rows || digest.text() != expected_digest {
            return Err(PlanError::worklist(format!(
                "shard {shard} has {} rows where its task says {expected_rows}, or other ones",
                digest.rows()
            )));
        }
        outcome.rows = digest.rows();
        outcome.digest = digest.text();
        outcome.stats.elapsed_ms = started.elapsed().as_millis() as u64;
        let manifest = sink.finish(outcome).await?;
        self.rows.add(manifest.tables.iter().map(|t| t.rows_added).sum::<i64>() as usize);
        let files = manifest.counts.extracted + manifest.counts.failed + manifest.counts.quarantined;
        self.host.0.observe(&ShardEvent::Shard { shard, reused: false, files });
        Ok(summary(&manifest))
    }

    async fn extract(
        &self,
        group: Result<Vec<FileWork>, PlanError>,
        attempt: &Attempt,
    ) -> Result<(Vec<FileWork>, GroupFacts, GroupCost), PlanError> {
        let group = group?;
        let mut offered = Fingerprints::new(&self.spec.order.options);
        group.iter().try_for_each(|work| work.check_fingerprints(&mut offered))?;
        let requests: Vec<FileRequest> = group.iter().filter_map(|work| work.request.clone()).collect();
        if requests.is_empty() {
            return Ok((group, GroupFacts::default(), GroupCost::default()));
        }
        if attempt.is_careful() {
            for request in &requests {
                let file = request.meta.file_id;
                if let Some(deaths) = attempt.poison(file) {
                    let message = format!("{deaths} executors were lost while they had this file in hand");
                    let status = LaneStatus::Quarantined { limit: "crash".into(), message };
                    let files = requests.iter().map(|request| FileReport::uniform(request, status.clone())).collect();
                    return Ok((group, GroupFacts { files, ..GroupFacts::default() }, GroupCost::default()));
                }
                attempt.take(file).await?;
            }
        }
        group.iter().for_each(|work| fault::poison(&work.path));
        let wanted = requests.len();
        let span = info_span!(target: SPANS, "extract", files = wanted);
        let done = self.host.0.extract(&self.spec.order, requests).instrument(span).await;
        let (output, cost) = done.map_err(DataFusionError::IoError)?;
        if output.files.len() != wanted {
            return Err(PlanError::worklist(format!("{} reports came back for {wanted} files", output.files.len())));
        }
        Ok((group, output, cost))
    }

    fn account(&self, group: &[FileWork], output: &GroupFacts, cost: &GroupCost, outcome: &mut TaskOutcome) {
        let bytes = output.files.iter().filter(|f| f.sha256.is_some()).map(|f| f.size as u64).sum::<u64>();
        self.files.add(output.files.len());
        self.bytes.add(bytes as usize);
        outcome.bytes += bytes;
        outcome.stats.worker_cpu_ms += cost.cpu.as_millis() as u64;
        outcome.stats.peak_rss = outcome.stats.peak_rss.max(cost.peak_rss);
        let requested = || group.iter().filter(|work| work.request.is_some());
        let slowest =
            cost.slowest.and_then(|(position, time)| requested().nth(position).map(|work| (work.path.clone(), time)));
        if let Some((path, time)) = &slowest
            && time.as_millis() as u64 >= outcome.stats.slowest_ms
        {
            outcome.stats.slowest_ms = time.as_millis() as u64;
            outcome.stats.slowest_path = Some(path.clone());
        }
        let failed = |report: &&FileReport| report.lanes.iter().any(|lane| lane.status != LaneStatus::Extracted);
        self.host.0.observe(&ShardEvent::Group {
            files: output.files.len() as u64,
            bytes,
            failures: output.files.iter().filter(failed).count() as u64,
            slowest,
        });
    }
}

fn summary(manifest: &Manifest) -> RecordBatch {
    let files = manifest.counts.extracted + manifest.counts.failed + manifest.counts.quarantined;
    let rows: i64 = manifest.tables.iter().map(|t| t.rows_added).sum();
    RecordBatch::try_new(
        Arc::clone(&EXTRACT_SCHEMA),
        vec![
            Arc::new(StringArray::from(vec![manifest.shard.as_str()])),
            Arc::new(StringArray::from(vec![manifest.attempt.as_str()])),
            Arc::new(Int64Array::from(vec![files as i64])),
            Arc::new(Int64Array::from(vec![rows])),
        ],
    )
    .expect("columns follow the schema")
}
