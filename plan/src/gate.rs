//! The schema gate: before a run commits, every table is held against the catalog, as the engine sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::{Result, TableReference};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::FunctionRegistry;
use datafusion::prelude::{Expr, SessionContext};
use lode_facts::catalog::{Dataset, dataset};
use lode_lake::plan::EpochPlan;
use lode_lake::store::Lake;
use lode_lake::table::Table;
use lode_lake::{layout, manifest};
use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::session::local_context;

/// Schema of the tables as they stand in the lake.
const STANDING: &str = "lake";
/// Schema of the data files the run wrote.
const WRITTEN: &str = "written";

/// What the gate saw of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenTable {
    /// `lake` for the table as it stands, `written` for the run's data files.
    pub place: String,
    /// Table.
    pub table: String,
    /// Columns: name, type by `information_schema`, type by `arrow_typeof`, whether it takes nulls.
    pub columns: Vec<(String, String, String, bool)>,
}

/// Checks every table of the lake and every table the run wrote, and records what was seen next to the run's plan.
///
/// # Errors
/// [`PlanError::SchemaGate`] names the first table that differs and how.
pub async fn check(lake: &Lake, epoch: &EpochPlan) -> std::result::Result<Vec<SeenTable>, PlanError> {
    let context = local_context(None)?;
    for (name, version) in &epoch.table_versions {
        if dataset(name).is_some() {
            register(&context, STANDING, name, Table::open_at(lake, name, *version).await?.arrow_schema()?)?;
        }
    }
    let mut written: BTreeMap<String, String> = BTreeMap::new();
    for shard in &epoch.tasks {
        let Some(manifest) = manifest::load(lake, &epoch.run_id, epoch.epoch, shard).await? else { continue };
        for output in &manifest.tables {
            if let (Some(add), false) = (output.adds.first(), written.contains_key(&output.table)) {
                written.insert(output.table.clone(), add.path.clone());
            }
        }
    }
    for (name, path) in &written {
        register(&context, WRITTEN, name, lake.data_file_schema(name, path).await?)?;
    }
    let seen = see(&context).await?;
    for table in &seen {
        compare(table)?;
    }
    let report = serde_json::to_vec(&seen).expect("what the gate saw is plain data");
    lake.put_new(&layout::gate(&epoch.run_id, epoch.epoch), report).await?;
    Ok(seen)
}

fn register(context: &SessionContext, place: &str, name: &str, schema: SchemaRef) -> Result<()> {
    let catalog = context.catalog("datafusion").expect("a session has its default catalog");
    if catalog.schema(place).is_none() {
        catalog.register_schema(place, Arc::new(MemorySchemaProvider::new()))?;
    }
    context.register_table(TableReference::partial(place, name), Arc::new(EmptyTable::new(schema)))?;
    Ok(())
}

/// Reads names and types back from `information_schema` and `arrow_typeof`.
async fn see(context: &SessionContext) -> Result<Vec<SeenTable>> {
    let sql = "SELECT table_schema, table_name, column_name, data_type, is_nullable FROM information_schema.columns \
               WHERE table_schema IN ('lake', 'written') ORDER BY table_schema, table_name, ordinal_position";
    let mut seen: Vec<SeenTable> = vec![];
    for batch in context.sql(sql).await?.collect().await? {
        let text = |column: usize, row: usize| {
            let array = cast(batch.column(column), &DataType::Utf8)?;
            Ok::<_, datafusion::common::DataFusionError>(array.as_string::<i32>().value(row).to_owned())
        };
        for row in 0..batch.num_rows() {
            let (place, table, column) = (text(0, row)?, text(1, row)?, text(2, row)?);
            if seen.last().is_none_or(|last| last.place != place || last.table != table) {
                seen.push(SeenTable { place, table, columns: vec![] });
            }
            let nullable = text(4, row)? == "YES";
            let entry = (column, text(3, row)?, String::new(), nullable);
            seen.last_mut().expect("pushed above").columns.push(entry);
        }
    }
    let type_of = context.udf("arrow_typeof")?;
    for table in &mut seen {
        let reference = TableReference::partial(table.place.as_str(), table.table.as_str());
        let schema = context.table(reference).await?.schema().clone();
        // A table without rows still has types: a row of nulls is asked.
        let nulls = schema.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
        let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let row = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), nulls)?;
        for (column, entry) in schema.columns().into_iter().zip(&mut table.columns) {
            let asked = context.create_physical_expr(type_of.call(vec![Expr::Column(column)]), &schema)?;
            let text = cast(&asked.evaluate(&row)?.into_array(1)?, &DataType::Utf8)?;
            entry.2 = text.as_string::<i32>().value(0).to_owned();
        }
    }
    Ok(seen)
}

/// A table may lack nullable columns at its end: they come with the commit that first uses them.
fn compare(seen: &SeenTable) -> std::result::Result<(), PlanError> {
    let Some(dataset) = dataset(&seen.table) else { return Ok(()) };
    let differs = |difference: String| Err(PlanError::SchemaGate { table: seen.table.clone(), difference });
    for (name, information, arrow, _) in &seen.columns {
        let Some(column) = dataset.table_columns().find(|column| column.name == name) else {
            return differs(format!("column {name} is not in the catalog"));
        };
        let expected = column.ty.stored().to_string();
        if information != &expected || normal(arrow) != normal(&expected) {
            return differs(format!("column {name} is {information} ({arrow}), not {expected}"));
        }
    }
    match missing(dataset, seen) {
        Some(name) => differs(format!("column {name} is missing")),
        None => Ok(()),
    }
}

fn missing(dataset: &Dataset, seen: &SeenTable) -> Option<&'static str> {
    let partition = dataset.table_columns().last().filter(|_| seen.place == WRITTEN).map(|column| column.name);
    dataset
        .table_columns()
        .filter(|column| {
            !column.nullable && Some(column.name) != partition.filter(|name| *name == "shard" || *name == "repo")
        })
        .find(|column| !seen.columns.iter().any(|(name, ..)| name == column.name))
        .map(|column| column.name)
}

/// The two spell a list's item differently.
fn normal(ty: &str) -> String {
    ty.replace(['"', ' '], "")
}
