//! Plan artifacts: what a run asked, how it was planned, and with what, as rows of `plan_artifacts`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, RecordBatch, StringArray};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::displayable;
use datafusion::sql::unparser::plan_to_sql;
use lode_facts::records::PLAN_ARTIFACTS;

use crate::fingerprint::text_hash;
use crate::functions::registry_hash;
use crate::session::profile_hash;

/// One artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// `logical_plan`, `sql`, `substrait`, ….
    pub kind: &'static str,
    /// The plan or table it belongs to.
    pub name: String,
    /// As text.
    pub text: Option<String>,
    /// As bytes.
    pub bytes: Option<Vec<u8>>,
    /// Why it can't be given.
    pub note: Option<String>,
}

impl Artifact {
    /// An artifact that is text.
    pub fn text(kind: &'static str, name: &str, text: impl Into<String>) -> Self {
        Self { kind, name: name.into(), text: Some(text.into()), bytes: None, note: None }
    }

    /// An artifact that can't be given, and why.
    pub fn absent(kind: &'static str, name: &str, why: impl Into<String>) -> Self {
        Self { kind, name: name.into(), text: None, bytes: None, note: Some(why.into()) }
    }
}

/// The artifacts of one logical plan: its three forms, canonical SQL, Substrait, and a fingerprint of the optimized plan.
/// What can't be expressed is said with its reason.
///
/// # Errors
/// If the plan can't be optimized or planned.
pub async fn of_plan(state: &SessionState, name: &str, plan: &LogicalPlan) -> Result<Vec<Artifact>> {
    let optimized = state.optimize(plan)?;
    let physical = state.query_planner().create_physical_plan(&optimized, state).await?;
    let mut artifacts = vec![
        Artifact::text("logical_plan", name, plan.display_indent().to_string()),
        Artifact::text("optimized_plan", name, optimized.display_indent_schema().to_string()),
        Artifact::text("physical_plan", name, displayable(physical.as_ref()).indent(false).to_string()),
        Artifact::text("plan_fingerprint", name, text_hash(&optimized.display_indent_schema().to_string())),
    ];
    let own = own_nodes(plan)?;
    if !own.is_empty() {
        let why =
            |form| format!("not expressible in {form}: it has the nodes {}, which only lode knows", own.join(", "));
        artifacts.push(Artifact::absent("sql", name, why("SQL")));
        artifacts.push(Artifact::absent("substrait", name, why("Substrait")));
        return Ok(artifacts);
    }
    artifacts.push(match plan_to_sql(plan) {
        Ok(sql) => Artifact::text("sql", name, sql.to_string()),
        Err(error) => Artifact::absent("sql", name, format!("not expressible in SQL: {error}")),
    });
    artifacts.push(match substrait(state, plan) {
        Ok(bytes) => Artifact { kind: "substrait", name: name.into(), text: None, bytes: Some(bytes), note: None },
        Err(error) => Artifact::absent("substrait", name, format!("not expressible in Substrait: {error}")),
    });
    Ok(artifacts)
}

/// Names of the nodes of a plan that neither SQL nor Substrait has.
fn own_nodes(plan: &LogicalPlan) -> Result<Vec<String>> {
    let mut names = vec![];
    plan.apply(|node| {
        if let LogicalPlan::Extension(extension) = node {
            names.push(extension.node.name().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(names)
}

/// A logical plan as Substrait.
///
/// # Errors
/// If it has nodes that Substrait doesn't know, as `Extract` and `Commit` are.
pub fn substrait(state: &SessionState, plan: &LogicalPlan) -> Result<Vec<u8>> {
    use datafusion_substrait::logical_plan::producer::to_substrait_plan;
    use datafusion_substrait::substrait::proto::Plan;
    use prost::Message;
    let plan: Box<Plan> = to_substrait_plan(plan, state)?;
    Ok(plan.encode_to_vec())
}

/// A logical plan from Substrait, over the tables of a session.
///
/// # Errors
/// If the bytes are no plan, or a table is missing.
pub async fn from_substrait(state: &SessionState, bytes: &[u8]) -> Result<LogicalPlan> {
    use datafusion_substrait::logical_plan::consumer::from_substrait_plan;
    use datafusion_substrait::substrait::proto::Plan;
    use prost::Message;
    let plan = Plan::decode(bytes).map_err(|e| datafusion::common::DataFusionError::External(Box::new(e)))?;
    from_substrait_plan(state, &plan).await
}

/// The artifacts of the session a run was planned in.
pub fn of_session(state: &SessionState) -> Vec<Artifact> {
    vec![
        Artifact::text("profile_hash", "session", profile_hash(state)),
        Artifact::text("function_registry_hash", "session", registry_hash(state)),
    ]
}

/// Rows of `plan_artifacts`.
///
/// # Errors
/// If a column is longer than Arrow allows.
pub fn to_batch(run_id: &str, epoch: u32, artifacts: &[Artifact]) -> Result<RecordBatch> {
    let text = |value: fn(&Artifact) -> Option<&str>| -> ArrayRef {
        Arc::new(artifacts.iter().map(value).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![run_id; artifacts.len()])),
        Arc::new(Int32Array::from(vec![epoch as i32; artifacts.len()])),
        text(|a| Some(a.kind)),
        text(|a| Some(&a.name)),
        text(|a| a.text.as_deref()),
        Arc::new(artifacts.iter().map(|a| a.bytes.as_deref()).collect::<BinaryArray>()),
        text(|a| a.note.as_deref()),
    ];
    Ok(RecordBatch::try_new(PLAN_ARTIFACTS.table_schema(), columns)?)
}
