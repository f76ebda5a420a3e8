//! One Delta table of the lake: how it is opened, created and changed.
//!
//! A change is one log entry, written with create-if-absent on a snapshot that was checked to hold what the change
//! removes and not to hold the change itself. If another writer takes the version first, everything is looked at again.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitData, PROTOCOL, TransactionError};
use deltalake::kernel::{
    Action, Add, AddCDCFile, Metadata, MetadataExt, Protocol, Remove, StructField, StructType, Transaction,
    new_metadata,
};
use deltalake::logstore::{CommitOrBytes, LogStoreRef, StorageConfig, default_logstore};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};
use lode_facts::catalog::{Dataset, SHARD, Scope};
use uuid::Uuid;

use crate::error::{LakeError, Result};
use crate::fault;
use crate::merge::empty_add;
use crate::store::Lake;
use crate::task::OldFile;

/// A checkpoint is written every so many versions.
const CHECKPOINT_INTERVAL: i64 = 100;
/// How often a change is tried against other writers.
const ATTEMPTS: u32 = 40;

/// A table at a version.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    delta: DeltaTable,
}

impl Table {
    /// The newest version of a table, if it exists.
    ///
    /// # Errors
    /// If the lake can't be read.
    pub async fn open(lake: &Lake, name: &str) -> Result<Option<Self>> {
        let log_store = log_store(lake, name);
        let exists = log_store.is_delta_table_location().await.map_err(LakeError::delta(name, "opening it"))?;
        if !exists {
            return Ok(None);
        }
        let mut delta = DeltaTable::new(log_store);
        delta.load().await.map_err(LakeError::delta(name, "opening it"))?;
        Ok(Some(Self { name: name.to_owned(), delta }))
    }

    /// A table at one version.
    ///
    /// # Errors
    /// If the version doesn't exist or the lake can't be read.
    pub async fn open_at(lake: &Lake, name: &str, version: i64) -> Result<Self> {
        let mut delta = DeltaTable::new(log_store(lake, name));
        let version = u64::try_from(version).map_err(|_| LakeError::damaged(name, format!("version {version}")))?;
        delta.load_version(version).await.map_err(LakeError::delta(name, "opening a version of it"))?;
        Ok(Self { name: name.to_owned(), delta })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> i64 {
        self.delta.version().map_or(-1, |version| version as i64)
    }

    /// The table as deltalake knows it.
    pub fn delta(&self) -> &DeltaTable {
        &self.delta
    }

    /// Version of the last transaction of an application, if there is one.
    ///
    /// # Errors
    /// If the lake can't be read.
    pub async fn transaction(&self, app_id: &str) -> Result<Option<i64>> {
        let read = async { self.delta.snapshot()?.transaction_version(self.delta.log_store().as_ref(), app_id).await };
        read.await.map_err(LakeError::delta(&self.name, "reading its transactions"))
    }

    /// Its data files, sorted by path.
    ///
    /// # Errors
    /// If the table was never loaded.
    pub fn files(&self) -> Result<Vec<OldFile>> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(&self.name, "listing its files"))?;
        let mut files = vec![];
        for view in snapshot.log_data().iter() {
            let partition_values = view.partition_values_map();
            let path = view.path().into_owned();
            let shard = partition_values.get(SHARD.name).cloned().flatten().unwrap_or_default();
            let add = Add {
                path: path.clone(),
                partition_values,
                size: view.size(),
                modification_time: view.modification_time(),
                ..empty_add()
            };
            files.push(OldFile { path, size: view.size(), rows: view.num_records().map(|n| n as i64), shard, add });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// The table's metadata with the catalog's new columns, if it lacks any.
    fn evolved(&self, dataset: &Dataset) -> Result<Option<Metadata>> {
        let fail = || LakeError::delta(&self.name, "reading its schema");
        let snapshot = self.delta.snapshot().map_err(fail())?;
        let schema = snapshot.schema();
        let mut added = vec![];
        for wanted in kernel_schema(dataset)?.fields() {
            let refuse = |reason: &str| LakeError::Schema {
                table: self.name.clone(),
                column: wanted.name().clone(),
                reason: reason.to_owned(),
            };
            match schema.field(wanted.name()) {
                Some(found) if found.data_type() != wanted.data_type() => {
                    return Err(refuse("it has another type there"));
                }
                Some(_) => {}
                None if wanted.is_nullable() => added.push(wanted.clone()),
                None => return Err(refuse("it is missing there, and rows that are there already need a value")),
            }
        }
        if added.is_empty() {
            return Ok(None);
        }
        let fields = schema.fields().cloned().chain(added);
        let schema = StructType::try_new(fields).map_err(|e| fail()(e.into()))?;
        snapshot.metadata().clone().with_schema(&schema).map(Some).map_err(|e| fail()(e.into()))
    }
}

/// What is known of a table that is to be changed. It saves a look; if it is out of date, the change looks again.
#[derive(Debug)]
pub(crate) enum Known {
    Nothing,
    Missing,
    At(Box<Table>),
}

impl From<Option<Table>> for Known {
    fn from(table: Option<Table>) -> Self {
        table.map_or(Self::Missing, |table| Self::At(Box::new(table)))
    }
}

/// One change of one table.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) dataset: &'static Dataset,
    /// Application and its transaction, which is recorded with the change and makes it happen once.
    pub(crate) app_id: String,
    pub(crate) app_version: i64,
    /// Run that makes it, for people who read the log.
    pub(crate) run_id: String,
    pub(crate) removes: Vec<Remove>,
    pub(crate) adds: Vec<Add>,
    pub(crate) cdc: Vec<AddCDCFile>,
}

impl Change {
    /// Makes the change unless it was made already, and returns a version that has it. Creates the table if it is missing.
    pub(crate) async fn apply(&self, lake: &Lake, mut known: Known) -> Result<i64> {
        let name = self.dataset.name;
        let log = log_store(lake, name);
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let table = match std::mem::replace(&mut known, Known::Nothing) {
                Known::Nothing => Table::open(lake, name).await?,
                Known::Missing => None,
                Known::At(table) => Some(*table),
            };
            let version = match &table {
                Some(table) => {
                    if table.transaction(&self.app_id).await?.is_some_and(|done| done >= self.app_version) {
                        return Ok(table.version());
                    }
                    table.version() + 1
                }
                None => 0,
            };
            let bytes = self.entry(table.as_ref())?;
            let written = log.write_commit_entry(version as u64, CommitOrBytes::LogBytes(bytes), Uuid::new_v4()).await;
            match written {
                Ok(()) => {
                    if (version + 1) % CHECKPOINT_INTERVAL == 0 {
                        checkpoint(lake, name, version).await;
                    }
                    return Ok(version);
                }
                // Somebody else took the version, or the store can't tell whether it was us: look again.
                Err(TransactionError::VersionAlreadyExists(_)) => {}
                Err(error) => last = Some(error),
            }
            if attempt > 0 {
                tokio::time::sleep(backoff(attempt)).await;
            }
            // Errors other than conflicts get a few tries only.
            if last.is_some() && attempt >= 3 {
                break;
            }
        }
        let error = last.map_or(DeltaTableError::generic("too many writers"), DeltaTableError::from);
        Err(LakeError::delta(name, "committing")(error))
    }

    /// The log entry on top of a table.
    fn entry(&self, table: Option<&Table>) -> Result<bytes::Bytes> {
        let name = self.dataset.name;
        let fail = || LakeError::delta(name, "committing");
        let mut actions = vec![];
        match table {
            None => {
                if !self.removes.is_empty() {
                    return Err(LakeError::damaged(name, "the table is gone, but the run builds on it"));
                }
                actions.push(Action::Protocol(protocol()));
                actions.push(Action::Metadata(metadata(self.dataset)?));
            }
            Some(table) => {
                let active = table.files()?.into_iter().map(|file| file.path).collect::<BTreeSet<_>>();
                if let Some(gone) = self.removes.iter().find(|remove| !active.contains(&remove.path)) {
                    let reason = format!("`{}` was removed by something else than Lode", gone.path);
                    return Err(LakeError::damaged(name, reason));
                }
                actions.extend(table.evolved(self.dataset)?.map(Action::Metadata));
            }
        }
        actions.extend(self.removes.iter().cloned().map(Action::Remove));
        actions.extend(self.adds.iter().cloned().map(Action::Add));
        actions.extend(self.cdc.iter().cloned().map(Action::Cdc));
        let operation = self.operation();
        if let Some(table) = table {
            let state = table.delta.snapshot().map_err(fail())?;
            PROTOCOL.can_commit(state, &actions, &operation).map_err(|e| fail()(e.into()))?;
        }
        let transaction = Transaction::new(&self.app_id, self.app_version);
        let info = HashMap::from([("lode.run".to_owned(), self.run_id.clone().into())]);
        let data = CommitData::new(actions, operation, info, vec![transaction]);
        data.get_bytes().map_err(|e| fail()(e.into()))
    }

    /// A replacement names the partitions it replaces, so that other writers see what conflicts with it.
    fn operation(&self) -> DeltaOperation {
        let column = partition_column(self.dataset);
        let values = self.removes.iter().filter_map(|remove| remove.partition_values.as_ref());
        let values = values.chain(self.adds.iter().map(|add| &add.partition_values));
        let values = values.filter_map(|values| values.get(column?).cloned().flatten()).collect::<BTreeSet<_>>();
        let predicate = column.filter(|_| !values.is_empty()).map(|column| {
            let quoted = values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect::<Vec<_>>();
            format!("{column} IN ({})", quoted.join(", "))
        });
        let mode = if predicate.is_some() { SaveMode::Overwrite } else { SaveMode::Append };
        DeltaOperation::Write { mode, partition_by: column.map(|column| vec![column.to_owned()]), predicate }
    }
}

/// The column a dataset's table is partitioned by.
pub(crate) fn partition_column(dataset: &Dataset) -> Option<&'static str> {
    match dataset.scope {
        Scope::File => Some(SHARD.name),
        Scope::Repo => Some("repo"),
        Scope::Run => None,
    }
}

pub(crate) fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn log_store(lake: &Lake, table: &str) -> LogStoreRef {
    default_logstore(
        lake.table_store(table),
        lake.root_store().clone(),
        &lake.table_url(table),
        &StorageConfig::default(),
    )
}

fn kernel_schema(dataset: &Dataset) -> Result<StructType> {
    let fields = dataset
        .table_schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().try_into_kernel())
        .collect::<Result<Vec<StructField>, _>>();
    let fields = fields.map_err(LakeError::arrow(dataset.name))?;
    StructType::try_new(fields).map_err(|e| LakeError::delta(dataset.name, "making its schema")(e.into()))
}

fn metadata(dataset: &Dataset) -> Result<Metadata> {
    let fail = LakeError::delta(dataset.name, "making its metadata");
    let mut configuration = vec![("delta.enableExpiredLogCleanup", "false")];
    if dataset.scope != Scope::Run {
        configuration.push(("delta.enableChangeDataFeed", "true"));
    }
    let metadata = new_metadata(&kernel_schema(dataset)?, partition_column(dataset), configuration);
    let metadata = metadata
        .and_then(|m| m.with_name(dataset.name.into()))
        .and_then(|m| m.with_description(dataset.doc.trim().into()));
    metadata.map_err(|e| fail(e.into()))
}

/// Reader 1 and writer 4: the oldest pair that has the change data feed, which every reader knows.
fn protocol() -> Protocol {
    let protocol = serde_json::json!({ "minReaderVersion": 1, "minWriterVersion": 4 });
    serde_json::from_value(protocol).expect("a protocol of two numbers")
}

/// A checkpoint that fails costs time and nothing else: the commit is in.
async fn checkpoint(lake: &Lake, table: &str, version: i64) {
    let write = async {
        let table = Table::open_at(lake, table, version).await?;
        let written = deltalake::checkpoints::create_checkpoint(&table.delta, None).await;
        written.map_err(LakeError::delta(&table.name, "writing a checkpoint"))
    };
    if let Err(error) = write.await {
        tracing::warn!(table, version, error = &error as &dyn std::error::Error, "checkpoint failed");
    }
}

/// Grows with the attempts, and differs from writer to writer.
fn backoff(attempt: u32) -> Duration {
    let random = Uuid::new_v4().as_u128() as u64 % 20;
    Duration::from_millis(random + 10 * u64::from(attempt.min(20)))
}

/// Fault points around a table's commit.
pub(crate) async fn apply_with_faults(
    change: &Change,
    lake: &Lake,
    known: Known,
    points: [&'static str; 2],
) -> Result<i64> {
    fault::point(points[0]);
    let version = change.apply(lake, known).await?;
    fault::point(points[1]);
    Ok(version)
}
