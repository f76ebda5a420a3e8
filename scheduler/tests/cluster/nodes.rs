//! A plan of the same shape as a run's: an operator with side effects above a scan of one file a shard.

use std::any::Any;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchemaRef, TableReference, internal_err};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use futures::TryStreamExt;
use lode_executor::wire::Codecs;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// What the operator does with a shard, besides writing it down in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Visit {
    /// The file that gets a line for every visit of a shard.
    pub ledger: String,
    /// `ok`, `slow:<ms>`, `io_once`, or `fail`.
    pub mode: String,
}

impl Visit {
    fn encode(&self) -> Vec<u8> {
        format!("visit\n{}\n{}", self.ledger, self.mode).into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.strip_prefix("visit\n")?.lines();
        Some(Self { ledger: lines.next()?.to_owned(), mode: lines.next()?.to_owned() })
    }
}

/// `shard pid` of every visit, in order.
pub fn visits(ledger: &Path) -> Vec<(i64, u32)> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    text.lines()
        .map(|line| line.split_once(' ').map(|(s, p)| (s.parse().unwrap(), p.parse().unwrap())).unwrap())
        .collect()
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("shard", DataType::Int64, false),
        Field::new("filler", DataType::FixedSizeBinary(16), false),
    ]))
}

/// Writes one file a shard; `rows` of 24 incompressible bytes each.
pub fn write_shards(dir: &Path, shards: usize, rows: impl Fn(usize) -> usize) {
    std::fs::create_dir_all(dir).unwrap();
    for shard in 0..shards {
        let file = File::create(dir.join(format!("shard-{shard:04}.parquet"))).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100_000)).build();
        let mut writer = ArrowWriter::try_new(file, schema(), Some(properties)).unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15_u128 + shard as u128;
        let filler = (0..rows(shard)).map(|_| {
            state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
            (state ^ (state >> 64)).to_le_bytes()
        });
        let filler = FixedSizeBinaryArray::try_from_iter(filler).unwrap();
        let shard: ArrayRef = Arc::new(Int64Array::from(vec![shard as i64; filler.len()]));
        writer.write(&RecordBatch::try_new(schema(), vec![shard, Arc::new(filler)]).unwrap()).unwrap();
        writer.close().unwrap();
    }
}

/// A directory of Parquet files, each of them one partition whatever the session prefers.
#[derive(Debug)]
pub struct Shards {
    pub dir: PathBuf,
}

#[async_trait]
impl TableProvider for Shards {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut files: Vec<_> = std::fs::read_dir(&self.dir)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
        files.sort();
        let groups = files
            .iter()
            .map(|path| {
                let size = std::fs::metadata(path)?.len();
                Ok(FileGroup::new(vec![PartitionedFile::new(path.display().to_string(), size)]))
            })
            .collect::<Result<_>>()?;
        let source = Arc::new(ParquetSource::new(schema()));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct VisitNode {
    pub input: LogicalPlan,
    pub visit: Visit,
}

impl PartialOrd for VisitNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.visit.partial_cmp(&other.visit)
    }
}

impl UserDefinedLogicalNodeCore for VisitNode {
    fn name(&self) -> &str {
        "Visit"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Visit: {}", self.visit.mode)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        Ok(Self { input: inputs.remove(0), visit: self.visit.clone() })
    }
}

#[derive(Debug)]
struct VisitExec {
    input: Arc<dyn ExecutionPlan>,
    visit: Visit,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl VisitExec {
    fn new(input: Arc<dyn ExecutionPlan>, visit: Visit) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(input.properties().output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, visit, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for VisitExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisitExec: {}", self.visit.mode)
    }
}

impl ExecutionPlan for VisitExec {
    fn name(&self) -> &str {
        "VisitExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.remove(0), self.visit.clone())))
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let visits = MetricBuilder::new(&self.metrics).counter("visits", partition);
        let mut input = self.input.execute(partition, context)?;
        let visit = self.visit.clone();
        let stream = futures::stream::once(async move {
            let mut seen: Vec<i64> = Vec::new();
            let mut batches = Vec::new();
            while let Some(batch) = input.try_next().await? {
                seen.extend(batch.column(0).as_primitive::<Int64Type>().values());
                batches.push(batch);
            }
            seen.dedup();
            let mut ledger = OpenOptions::new().append(true).create(true).open(&visit.ledger)?;
            let first = std::fs::metadata(&visit.ledger)?.len() == 0;
            for shard in &seen {
                ledger.write_all(format!("{shard} {}\n", std::process::id()).as_bytes())?;
            }
            visits.add(seen.len());
            if let Some(ms) = visit.mode.strip_prefix("slow:") {
                tokio::time::sleep(Duration::from_millis(ms.parse().unwrap())).await;
            }
            match visit.mode.as_str() {
                "io_once" if first => Err(DataFusionError::IoError(std::io::Error::other("a passing fault"))),
                "fail" => {
                    Err(DataFusionError::Execution(format!("shard {seen:?} is broken: {}", "because ".repeat(2000))))
                }
                _ => Ok(futures::stream::iter(batches.into_iter().map(Ok))),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream.try_flatten())))
    }
}

#[derive(Debug, Default)]
struct Codec {
    logical: BallistaLogicalExtensionCodec,
    physical: BallistaPhysicalExtensionCodec,
}

impl LogicalExtensionCodec for Codec {
    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], ctx: &TaskContext) -> Result<Extension> {
        match Visit::decode(buf) {
            Some(visit) => Ok(Extension { node: Arc::new(VisitNode { input: inputs[0].clone(), visit }) }),
            None => self.logical.try_decode(buf, inputs, ctx),
        }
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        match node.node.as_any().downcast_ref::<VisitNode>() {
            Some(node) => buf.extend(node.visit.encode()),
            None => self.logical.try_encode(node, buf)?,
        }
        Ok(())
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        _table: &TableReference,
        _schema: SchemaRef,
        _ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(Shards { dir: PathBuf::from(String::from_utf8_lossy(buf).into_owned()) }))
    }

    fn try_encode_table_provider(
        &self,
        _table: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        let node: &dyn Any = node.as_ref();
        match node.downcast_ref::<Shards>() {
            Some(shards) => buf.extend(shards.dir.display().to_string().bytes()),
            None => return internal_err!("not a table of shards"),
        }
        Ok(())
    }
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match Visit::decode(buf) {
            Some(visit) => Ok(Arc::new(VisitExec::new(inputs[0].clone(), visit))),
            None => self.physical.try_decode(buf, inputs, ctx, converter),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if let Some(node) = node.downcast_ref::<VisitExec>() {
            buf.extend(node.visit.encode());
            return Ok(());
        }
        self.physical.try_encode(node, buf, converter)
    }
}

#[derive(Debug)]
struct Planner;

#[async_trait]
impl ExtensionPlanner for Planner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical: &[&LogicalPlan],
        physical: &[Arc<dyn ExecutionPlan>],
        _state: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let node = node.as_any().downcast_ref::<VisitNode>();
        Ok(node.map(|node| Arc::new(VisitExec::new(physical[0].clone(), node.visit.clone())) as _))
    }
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, state: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Planner)]).create_physical_plan(plan, state).await
    }
}

pub fn codecs() -> Codecs {
    let codec = Arc::new(Codec::default());
    Codecs { logical: codec.clone(), physical: codec }
}

/// Fewer partitions than shards: what is asked for is what a scan would be cut down or split up to.
pub fn config() -> SessionConfig {
    SessionConfig::new().with_target_partitions(4).with_repartition_file_scans(false)
}

pub fn session(config: SessionConfig) -> Result<SessionState> {
    Ok(SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_query_planner(Arc::new(Planner))
        .build())
}
