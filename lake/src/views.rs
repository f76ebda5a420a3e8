//! Views over a snapshot's tables.

use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::{SessionContext, cast, col};
use lode_facts::views::View;

/// What a session reads a view from: its query over these tables, with the types that the catalog names.
///
/// `session` gets the tables it reads, so it must be the view's own.
pub(crate) async fn provider(
    view: &View,
    tables: &dyn SchemaProvider,
    session: SessionState,
) -> Result<Arc<dyn TableProvider>> {
    let context = SessionContext::new_with_state(session);
    for name in view.reads {
        let missing = || DataFusionError::Plan(format!("view `{}` reads `{name}`, which is not there", view.name));
        context.register_table(*name, tables.table(name).await?.ok_or_else(missing)?)?;
    }
    let query = context.state().create_logical_plan(view.sql).await?;
    let columns = view.columns.iter().map(|column| cast(col(column.name), column.ty.stored()).alias(column.name));
    let plan = LogicalPlanBuilder::from(query).project(columns)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, Some(view.sql.to_owned()))))
}
