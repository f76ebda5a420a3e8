//! The lake as an engine sees it: schemas, providers, addresses of objects.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::parquet_to_arrow_schema;
use url::Url;

use crate::error::{LakeError, Result};
use crate::object_reader::ObjectReader;
use crate::snapshot::scan;
use crate::store::{self, Lake};
use crate::table::Table;

impl Table {
    /// Its schema at this version, partition columns included.
    ///
    /// # Errors
    /// If the table was never loaded.
    pub fn arrow_schema(&self) -> Result<SchemaRef> {
        let snapshot = self.delta().snapshot().map_err(LakeError::delta(self.name(), "reading its schema"))?;
        Ok(snapshot.snapshot().arrow_schema())
    }

    /// What a session reads its rows at this version from.
    ///
    /// # Errors
    /// If the table was never loaded.
    pub fn provider(&self, session: &SessionState) -> Result<Arc<dyn TableProvider>> {
        scan(self.delta(), session).map_err(LakeError::query(self.name(), "open"))
    }
}

impl Lake {
    /// Schema of a data file of a table, from its own footer.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn data_file_schema(&self, table: &str, path: &str) -> Result<SchemaRef> {
        let mut reader =
            ObjectReader::new(self.table_store(table), Path::from_url_path(path).unwrap_or_else(|_| path.into()));
        let metadata = reader.get_metadata(None).await.map_err(LakeError::parquet(table, "reading a data file"))?;
        let file = metadata.file_metadata();
        let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata());
        schema.map(Arc::new).map_err(LakeError::parquet(table, "reading a data file"))
    }

    /// The address of an object in the store that an engine knows by [`Lake::store_url`], and its size.
    ///
    /// # Errors
    /// If there is no such object.
    pub async fn object(&self, path: &str) -> Result<(String, u64)> {
        let meta = self.store().head(&Path::from(path)).await.map_err(|source| LakeError::Store {
            action: "find",
            path: path.to_owned(),
            source,
        })?;
        let root = Path::from_url_path(self.url().path())
            .map_err(|e| LakeError::Location { location: self.url().to_string(), reason: e.to_string() })?;
        let address = if root.as_ref().is_empty() { path.to_owned() } else { format!("{root}/{path}") };
        Ok((address, meta.size))
    }

    /// Scheme and authority of the lake's url.
    pub fn store_url(&self) -> Url {
        let mut url = self.url().clone();
        url.set_path("");
        url
    }

    /// Makes the lake's store known to an engine.
    pub fn register_store(&self, runtime: &RuntimeEnv) {
        if self.url().scheme() != "file" {
            runtime.register_object_store(&self.store_url(), Arc::clone(self.root_store()));
        }
    }
}

/// A runtime that finds the stores of lakes by their addresses. Each process opens them from its own environment: plans
/// and sessions carry addresses and nothing else.
///
/// # Errors
/// If DataFusion can't make one.
pub fn runtime() -> datafusion::common::Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new().with_object_store_registry(Arc::new(LakeStores::default())).build_arc()
}

#[derive(Debug, Default)]
struct LakeStores(DefaultObjectStoreRegistry);

impl ObjectStoreRegistry for LakeStores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.0.register_store(url, store)
    }

    fn deregister_store(&self, url: &Url) -> datafusion::common::Result<Arc<dyn ObjectStore>> {
        self.0.deregister_store(url)
    }

    fn get_store(&self, url: &Url) -> datafusion::common::Result<Arc<dyn ObjectStore>> {
        self.0.get_store(url).or_else(|unknown| store::root(url)?.ok_or(unknown))
    }
}
