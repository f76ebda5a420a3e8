//! How far the views of a snapshot's Python files agree, for the summary of a run.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::DataFusionError;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::prelude::{col, lit};
use lode_lake::Lake;
use lode_lake::snapshot::Pin;

use crate::query::{QueryError, engine};
use crate::report::{Agreed, AgreementRate};

/// The dataset that is counted.
pub(super) const COUNTS: &str = "agreement_counts";

/// What `agreement_counts` of a run's snapshot comes to.
pub(super) async fn rate(lake: &Lake, run_id: &str, repo: &str) -> Result<AgreementRate, QueryError> {
    let engine = engine(lake, Pin::Run(run_id.to_owned()), None).await?;
    let counts = engine.context.table(COUNTS).await?.filter(col("repo").eq(lit(repo)))?;
    let sums = vec![sum(col("compared")).alias("compared"), sum(col("agreed")).alias("agreed")];
    let mut views = BTreeMap::new();
    for batch in counts.aggregate(vec![col("right_view")], sums)?.collect().await? {
        let text = |name: &str| column(&batch, name, &DataType::Utf8);
        let number = |name: &str| column(&batch, name, &DataType::Int64);
        let (names, compared, agreed) = (text("right_view")?, number("compared")?, number("agreed")?);
        for row in 0..batch.num_rows() {
            let value = |array: &arrow::array::ArrayRef| array.as_primitive::<Int64Type>().value(row);
            let counts = Agreed { compared: value(&compared), agreed: value(&agreed) };
            views.insert(names.as_string::<i32>().value(row).to_owned(), counts);
        }
    }
    Ok(AgreementRate::new(views))
}

fn column(
    batch: &arrow::array::RecordBatch,
    name: &str,
    to: &DataType,
) -> Result<arrow::array::ArrayRef, DataFusionError> {
    let column = batch.column_by_name(name).ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))?;
    Ok(cast(column, to)?)
}
