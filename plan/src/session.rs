//! One way to build a session, for every process: client, scheduler, executor, query.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::commit::CommitExec;
use crate::extract::ExtractExec;
use crate::fingerprint::text_hash;
use crate::functions;
use crate::host::HostHandle;
use crate::nodes::{CommitNode, ExtractNode};

/// Settings that every session of Lode has, put onto a configuration.
///
/// Scans are never cut by byte ranges: a shard's worklist has one reader.
pub fn configure(config: SessionConfig, host: Option<&HostHandle>) -> SessionConfig {
    let mut config = config.with_information_schema(true).with_repartition_file_scans(false);
    config.options_mut().execution.parquet.pushdown_filters = true;
    config.options_mut().execution.parquet.schema_force_view_types = false;
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    match host {
        Some(host) => config.with_extension(Arc::new(host.clone())),
        None => config,
    }
}

/// The state of a session: Lode's settings, nodes and functions over the given configuration.
///
/// # Errors
/// If a function can't be registered.
pub fn session_state(
    config: SessionConfig,
    runtime: Arc<RuntimeEnv>,
    host: Option<&HostHandle>,
) -> Result<SessionState> {
    let mut state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(configure(config, host))
        .with_runtime_env(runtime)
        .with_query_planner(Arc::new(LodeQueryPlanner))
        .build();
    functions::register(&mut state, host)?;
    Ok(state)
}

/// A session of this process alone, as queries use it.
///
/// # Errors
/// As [`session_state`].
pub fn local_context(host: Option<&HostHandle>) -> Result<SessionContext> {
    Ok(SessionContext::new_with_state(session_state(SessionConfig::new(), lode_lake::runtime()?, host)?))
}

/// Hash of the settings a plan was made under.
pub fn profile_hash(state: &SessionState) -> String {
    let mut settings: Vec<String> = state
        .config_options()
        .entries()
        .into_iter()
        // How wide a machine is does not change what a plan means.
        .filter(|entry| entry.key != "datafusion.execution.target_partitions")
        .map(|entry| format!("{}={}", entry.key, entry.value.unwrap_or_default()))
        .collect();
    settings.sort();
    text_hash(&settings.join("\n"))
}

/// Plans Lode's nodes next to DataFusion's.
#[derive(Debug)]
pub struct LodeQueryPlanner;

#[async_trait]
impl QueryPlanner for LodeQueryPlanner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(JobPlanner)])
            .create_physical_plan(plan, session)
            .await
    }
}

#[derive(Debug)]
struct JobPlanner;

#[async_trait]
impl ExtensionPlanner for JobPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let [input] = inputs else { return Ok(None) };
        let input = Arc::clone(input);
        let node = node.as_any();
        if let Some(extract) = node.downcast_ref::<ExtractNode>() {
            return Ok(Some(Arc::new(ExtractExec::new(input, Arc::new(extract.spec.clone())))));
        }
        if let Some(commit) = node.downcast_ref::<CommitNode>() {
            return Ok(Some(Arc::new(CommitExec::new(input, Arc::new(commit.spec.clone())))));
        }
        Ok(None)
    }
}
