//! Plans that travel: nodes and tables survive the wire, and a shard stays one partition.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not known as tests")]

use std::sync::Arc;

use datafusion::datasource::provider_as_source;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use lode_facts::options::{Limits, Options};
use lode_plan::codec::{LogicalCodec, PhysicalCodec};
use lode_plan::host::{ContentSource, ExtractOrder};
use lode_plan::nodes::{CommitNode, ExtractNode, JobSpec};
use lode_plan::session::session_state;
use lode_plan::worklist::WorklistTable;
use proptest::prelude::*;

fn spec(run_id: &str, epoch: u32, root: &str) -> JobSpec {
    let order = ExtractOrder {
        source: ContentSource::Shared { root: root.into(), linked: Default::default() },
        options: Options::default(),
        limits: Limits::default(),
    };
    JobSpec { lake: "file:///lake".into(), run_id: run_id.into(), epoch, repo: "r".into(), order, trace: None }
}

fn job(spec: &JobSpec, files: Vec<(String, u64)>) -> LogicalPlan {
    let table = WorklistTable::new(&ObjectStoreUrl::local_filesystem(), files);
    let scan =
        LogicalPlanBuilder::scan("worklist", provider_as_source(Arc::new(table)), None).unwrap().build().unwrap();
    let extract = LogicalPlan::Extension(Extension { node: Arc::new(ExtractNode::new(scan, spec.clone())) });
    LogicalPlan::Extension(Extension { node: Arc::new(CommitNode::new(extract, spec.clone())) })
}

fn context() -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(4);
    SessionContext::new_with_state(session_state(config, Arc::default(), None).unwrap())
}

fn through_the_wire(plan: &LogicalPlan, context: &SessionContext) -> LogicalPlan {
    let codec = LogicalCodec::default();
    let node = LogicalPlanNode::try_from_logical_plan(plan, &codec).unwrap();
    let mut bytes = vec![];
    node.try_encode(&mut bytes).unwrap();
    LogicalPlanNode::try_decode(&bytes).unwrap().try_into_logical_plan(&context.task_ctx(), &codec).unwrap()
}

#[tokio::test]
async fn a_shard_is_a_partition() {
    let context = context();
    for shards in [1usize, 2, 17, 200] {
        // One file is large enough that a scan would like to cut it.
        let files = (0..shards).map(|n| (format!("w/{n}.parquet"), if n == 0 { 40 << 20 } else { 1000 })).collect();
        let plan = through_the_wire(&job(&spec("run", 0, "/repo"), files), &context);
        let physical = context.state().create_physical_plan(&plan).await.unwrap();
        let text = displayable(physical.as_ref()).indent(false).to_string();
        let mut node: Arc<dyn ExecutionPlan> = physical;
        while node.name() != "DataSourceExec" {
            assert_ne!(node.name(), "RepartitionExec", "{text}");
            node = Arc::clone(node.children()[0]);
        }
        assert_eq!(node.output_partitioning().partition_count(), shards, "{text}");
    }
}

#[tokio::test]
async fn operators_survive_the_wire() {
    let context = context();
    let spec = spec("run-7", 3, "/repo");
    let files = (0..5).map(|n| (format!("w/{n}.parquet"), 10)).collect();
    let physical = context.state().create_physical_plan(&job(&spec, files)).await.unwrap();
    let codec = PhysicalCodec::default();
    let node = PhysicalPlanNode::try_from_physical_plan(Arc::clone(&physical), &codec).unwrap();
    let mut bytes = vec![];
    node.try_encode(&mut bytes).unwrap();
    let again = PhysicalPlanNode::try_decode(&bytes).unwrap();
    let again = again.try_into_physical_plan(&context.task_ctx(), &codec).unwrap();
    let show = |plan: &Arc<dyn ExecutionPlan>| displayable(plan.as_ref()).indent(true).to_string();
    assert_eq!(show(&again), show(&physical));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn specifications_survive_the_wire(run in "[a-z0-9-]{1,40}", epoch: u32, root in "\\PC{0,60}") {
        let spec = spec(&run, epoch, &root);
        prop_assert_eq!(JobSpec::decode(&spec.encode()).unwrap(), spec);
    }

    #[test]
    fn logical_plans_survive_the_wire(run in "[a-z0-9-]{1,40}", sizes in proptest::collection::vec(0u64..1 << 40, 0..40)) {
        let files = sizes.iter().enumerate().map(|(n, size)| (format!("w/{n}.parquet"), *size)).collect();
        let plan = job(&spec(&run, 1, "/repo"), files);
        let again = through_the_wire(&plan, &context());
        prop_assert_eq!(again.display_indent().to_string(), plan.display_indent().to_string());
    }

    #[test]
    fn garbage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut message = b"lode\x01".to_vec();
        message.extend(bytes);
        let codec = LogicalCodec::default();
        let context = context();
        use datafusion_proto::logical_plan::LogicalExtensionCodec;
        prop_assert!(codec.try_decode(&message, &[], &context.task_ctx()).is_err());
    }
}
