//! The worklist as a table of the job's plan: one partition a shard, whatever the optimizer would like.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use super::row::WORK_SCHEMA;

/// One Parquet file a shard.
///
/// `ListingTable` would make at most `target_partitions` groups of the files, and a scan that is split by byte ranges
/// would have two tasks write one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorklistTable {
    /// Scheme and authority of the lake's store.
    store: String,
    /// Objects below it, with their sizes.
    files: Vec<(String, u64)>,
}

impl WorklistTable {
    /// A worklist of these objects of a store (`file://`, `s3://bucket`, …).
    pub fn new(store: &ObjectStoreUrl, files: Vec<(String, u64)>) -> Self {
        Self { store: store.as_str().to_owned(), files }
    }
}

#[async_trait]
impl TableProvider for WorklistTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&WORK_SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let url = ObjectStoreUrl::parse(&self.store).map_err(|e| DataFusionError::Plan(e.to_string()))?;
        let groups =
            self.files.iter().map(|(path, size)| FileGroup::new(vec![PartitionedFile::new(path.clone(), *size)]));
        let config = FileScanConfigBuilder::new(url, Arc::new(ParquetSource::new(Arc::clone(&WORK_SCHEMA))))
            .with_file_groups(groups.collect())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_preserve_order(true)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
