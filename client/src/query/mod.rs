//! Queries over a snapshot of a lake.

mod output;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SQLOptions, SessionContext};
use lode_lake::snapshot::{Pin, Snapshot};
use lode_lake::{Lake, LakeError};
use lode_plan::host::HostHandle;

pub use output::{Format, write};

/// A query could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The lake or the snapshot.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The query.
    #[error("the query failed")]
    Query(#[from] DataFusionError),
    /// The output.
    #[error("can't write the result")]
    Output(#[source] std::io::Error),
    /// Rows that a format can't hold.
    #[error("can't write the result as {format}")]
    Format {
        /// The format.
        format: &'static str,
        /// Why not.
        source: arrow::error::ArrowError,
    },
}

impl QueryError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Lake(error) => error.hint().map(|hint| hint.to_string()),
            Self::Query(error) => match error.find_root() {
                DataFusionError::Plan(text) if text.starts_with("DDL not") || text.starts_with("DML not") => {
                    Some("queries read; only runs change a lake".into())
                }
                DataFusionError::Plan(_) | DataFusionError::SchemaError(..) | DataFusionError::SQL(..) => {
                    Some("`lode tables` lists the tables, `lode describe <table>` their columns".into())
                }
                DataFusionError::External(error) => {
                    error.downcast_ref::<LakeError>()?.hint().map(|hint| hint.to_string())
                }
                _ => None,
            },
            Self::Output(_) => None,
            Self::Format { .. } => Some("try --format jsonl, which takes every type".into()),
        }
    }
}

/// A session over one snapshot of a lake: its tables are exactly that snapshot's, whatever is committed meanwhile.
pub struct Engine {
    /// The session.
    pub context: SessionContext,
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
}

/// Opens a session over a snapshot. With a host, functions over content and directories can run.
///
/// # Errors
/// If there is no such snapshot or the lake can't be read.
pub async fn engine(lake: &Lake, pin: Pin, host: Option<&HostHandle>) -> Result<Engine, QueryError> {
    let context = lode_plan::session::local_context(host)?;
    let snapshot = Arc::new(Snapshot::pin(lake, pin).await?);
    snapshot.register(&context).await?;
    Ok(Engine { context, snapshot })
}

impl Engine {
    /// Plans a query. Statements that would change something are refused.
    ///
    /// # Errors
    /// If it can't be planned.
    pub async fn plan(&self, sql: &str) -> Result<DataFrame, QueryError> {
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
        Ok(self.context.sql_with_options(sql, options).await?)
    }

    /// What to know before trusting the answer.
    ///
    /// # Errors
    /// If the plan can't be walked.
    pub fn warnings(&self, plan: &LogicalPlan) -> Result<Vec<String>, QueryError> {
        let mut tables = BTreeSet::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                tables.insert(scan.table_name.table().to_owned());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(self.snapshot.warnings(tables.iter().map(String::as_str)))
    }
}
