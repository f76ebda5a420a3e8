//! Snapshots: a consistent set of table versions, and DataFusion's view of exactly that set.
//!
//! Versions of a table only grow, and rows of different repositories never touch each other. So the newest version that
//! any run up to the pin has recorded of a table holds everything those runs committed to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::{SessionConfig, SessionContext, col, lit};
use deltalake::DeltaTable;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use lode_facts::catalog::{Scope, dataset, datasets};
use lode_facts::views::{VIEWS, view};

use crate::error::{LakeError, Result};
use crate::history::{self, Run};
use crate::layout;
use crate::store::Lake;
use crate::table::Table;
use crate::views;

/// Which state of the lake is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pin {
    /// The last committed run of every repository.
    #[default]
    Last,
    /// A committed run.
    Run(String),
    /// All that was committed at a time, microseconds since the Unix epoch.
    Time(i64),
    /// A commit of the lake's only repository.
    Sequence(i64),
}

/// A consistent set of table versions.
#[derive(Debug, Clone)]
pub struct Snapshot {
    lake: Lake,
    pin: Pin,
    runs: Vec<Run>,
    versions: BTreeMap<String, i64>,
}

impl Snapshot {
    /// Resolves a pin. A lake without a committed run has an empty [`Pin::Last`].
    ///
    /// # Errors
    /// [`LakeError::NoRun`] if no kept run fits, or if the lake can't be read.
    pub async fn pin(lake: &Lake, pin: Pin) -> Result<Self> {
        let all = history::runs(lake).await?;
        let runs = visible(all, &pin)?;
        if pin != Pin::Last
            && let Some(run) = runs.last()
            && lake.get(&layout::run_plan(&run.run_id)).await?.is_none()
        {
            return Err(LakeError::NoRun {
                what: format!("`{}` is kept: `lode maintain` has removed its data", run.run_id),
            });
        }
        let mut versions = BTreeMap::new();
        let sources = match pin {
            Pin::Run(_) | Pin::Sequence(_) => &runs[runs.len().saturating_sub(1)..],
            Pin::Last | Pin::Time(_) => &runs[..],
        };
        for (table, version) in sources.iter().flat_map(|run| &run.table_versions) {
            let newest = versions.entry(table.clone()).or_insert(*version);
            *newest = (*newest).max(*version);
        }
        // Rows of runs are only appended and name their run: the newest version holds those of every run.
        versions.retain(|table, _| dataset(table).is_none_or(|dataset| dataset.scope != Scope::Run));
        Ok(Self { lake: lake.clone(), pin, runs, versions })
    }

    /// The newest version of every table, whoever made it, with all commits applied: what is there, not what a run has
    /// recorded.
    ///
    /// # Errors
    /// If the lake can't be read, or a commit is left to apply and it can't be written.
    pub async fn newest(lake: &Lake) -> Result<Self> {
        loop {
            history::settle(lake).await?;
            let heads = lake.list(layout::COMMITS).await?.len();
            let runs = history::runs(lake).await?;
            let mut versions = BTreeMap::new();
            for dataset in datasets().iter().filter(|dataset| dataset.scope != Scope::Run) {
                if let Some(table) = Table::open(lake, dataset.name).await? {
                    versions.insert(dataset.name.to_owned(), table.version());
                }
            }
            // A run that committed meanwhile may be in some of the tables only.
            if lake.list(layout::COMMITS).await?.len() == heads {
                return Ok(Self { lake: lake.clone(), pin: Pin::Last, runs, versions });
            }
        }
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The runs that are part of it, oldest first.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The last run of a repository.
    pub fn last_run(&self, repo: &str) -> Option<&Run> {
        self.runs.iter().rev().find(|run| run.repo == repo)
    }

    /// Repositories with a run in it, by name.
    pub fn repos(&self) -> BTreeSet<&str> {
        self.runs.iter().map(|run| run.repo.as_str()).collect()
    }

    /// Versions of the tables whose rows belong to files and repositories.
    pub fn versions(&self) -> &BTreeMap<String, i64> {
        &self.versions
    }

    /// A table of the snapshot as Delta has it; `None` when it did not exist.
    ///
    /// # Errors
    /// If the table can't be read at its version.
    pub async fn table(&self, name: &str) -> Result<Option<DeltaTable>> {
        match (self.versions.get(name), dataset(name)) {
            (Some(version), _) => match open(&self.lake, name, Some(*version)).await? {
                Some(table) => Ok(Some(table)),
                None => Err(LakeError::damaged(name, "the table's log is missing")),
            },
            (None, Some(dataset)) if dataset.scope == Scope::Run => open(&self.lake, name, None).await,
            (None, _) => Ok(None),
        }
    }

    /// Makes the tables of the snapshot the tables of a session's default schema, with the views over them. A table is
    /// opened when it is first asked for.
    ///
    /// # Errors
    /// If the lake can't be listed.
    pub async fn register(self: &Arc<Self>, ctx: &SessionContext) -> Result<()> {
        let options = ctx.copied_config();
        let options = &options.options().catalog;
        let mut names: BTreeSet<String> = self.versions.keys().cloned().collect();
        for dataset in datasets().iter().filter(|dataset| dataset.scope == Scope::Run) {
            if open(&self.lake, dataset.name, None).await?.is_some() {
                names.insert(dataset.name.to_owned());
            }
        }
        let views = VIEWS.iter().filter(|view| view.reads.iter().all(|table| names.contains(*table)));
        let views: Vec<&str> = views.map(|view| view.name).collect();
        names.extend(views.into_iter().map(str::to_owned));
        let session = reader(ctx.runtime_env());
        let schema = SnapshotSchema { snapshot: Arc::clone(self), names, session, own: MemorySchemaProvider::new() };
        let catalog = ctx.catalog(&options.default_catalog);
        catalog
            .ok_or_else(|| LakeError::Task("the session has no default catalog".into()))?
            .register_schema(&options.default_schema, Arc::new(schema))
            .map_err(|e| LakeError::query("the snapshot", "register")(e))?;
        Ok(())
    }

    /// What to know before trusting an answer from these tables: datasets that some repository's last run in the
    /// snapshot did not bring up to date.
    pub fn warnings<'a>(&self, tables: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut warnings = vec![];
        let read = |name| view(name).map_or_else(|| vec![name], |view| view.reads.to_vec());
        let tables: BTreeSet<&str> = tables.into_iter().flat_map(read).collect();
        for table in tables.into_iter().filter(|table| dataset(table).is_some_and(|d| d.lane.is_some())) {
            for run in self.repos().into_iter().filter_map(|repo| self.last_run(repo)) {
                if !run.complete_datasets.iter().any(|name| name == table) {
                    warnings.push(format!(
                        "`{table}` is not complete for repository `{}`: run {} did not fill it for every file",
                        run.repo, run.run_id
                    ));
                }
            }
        }
        warnings
    }

    /// What a session reads from: exactly the rows of the snapshot.
    async fn provider(
        &self,
        name: &str,
        session: &SessionState,
    ) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let external = |error: LakeError| DataFusionError::External(Box::new(error));
        let Some(table) = self.table(name).await.map_err(external)? else { return Ok(None) };
        let provider = scan(&table, session)?;
        if self.pin == Pin::Last || dataset(name).is_none_or(|dataset| dataset.scope != Scope::Run) {
            return Ok(Some(provider));
        }
        let runs = self.runs.iter().map(|run| lit(run.run_id.as_str())).collect();
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(provider), None)?
            .filter(col("run_id").in_list(runs, false))?
            .build()?;
        Ok(Some(Arc::new(ViewTable::new(plan, None))))
    }
}

/// Runs a pin can see, oldest first; the pinned one is the last.
fn visible(mut runs: Vec<Run>, pin: &Pin) -> Result<Vec<Run>> {
    let missing = |what: String| LakeError::NoRun { what };
    match pin {
        Pin::Last => {}
        Pin::Run(id) => {
            let at = runs.iter().position(|run| run.run_id == *id);
            let at = at.ok_or_else(|| missing(format!("has the id `{id}`")))?;
            runs.truncate(at + 1);
        }
        Pin::Time(time) => {
            runs.retain(|run| run.committed_at <= *time);
            if runs.is_empty() {
                return Err(missing("is that old".into()));
            }
        }
        Pin::Sequence(sequence) => {
            let repos: BTreeSet<&str> = runs.iter().map(|run| run.repo.as_str()).collect();
            if repos.len() > 1 {
                return Err(missing(format!(
                    "is the only number {sequence}: the lake has {} repositories",
                    repos.len()
                )));
            }
            let at = runs.iter().position(|run| run.sequence == *sequence);
            let at = at.ok_or_else(|| missing(format!("has the number {sequence}")))?;
            runs.truncate(at + 1);
        }
    }
    Ok(runs)
}

struct SnapshotSchema {
    snapshot: Arc<Snapshot>,
    names: BTreeSet<String>,
    /// Shares the runtime of the session that is served, and nothing that would hold this schema.
    session: SessionState,
    /// Views and tables that the session itself makes.
    own: MemorySchemaProvider,
}

impl fmt::Debug for SnapshotSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotSchema").field("names", &self.names).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for SnapshotSchema {
    fn table_names(&self) -> Vec<String> {
        let own = self.own.table_names();
        self.names.iter().cloned().chain(own).collect::<BTreeSet<_>>().into_iter().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(table) = self.own.table(name).await? {
            return Ok(Some(table));
        }
        if !self.names.contains(name) {
            return Ok(None);
        }
        let provider = match view(name) {
            Some(view) => Some(views::provider(view, self, reader(Arc::clone(self.session.runtime_env()))).await?),
            None => self.snapshot.provider(name, &self.session).await?,
        };
        if let Some(provider) = &provider {
            // Opened once a session.
            self.own.register_table(name.to_owned(), Arc::clone(provider))?;
        }
        Ok(provider)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.names.contains(name) || self.own.table_exist(name)
    }

    fn register_table(
        &self,
        name: String,
        table: Arc<dyn TableProvider>,
    ) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if self.names.contains(&name) {
            return Err(DataFusionError::Plan(format!("`{name}` is a table of the lake")));
        }
        self.own.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if self.names.contains(name) {
            return Err(DataFusionError::Plan(format!("`{name}` is a table of the lake")));
        }
        self.own.deregister_table(name)
    }
}

/// The session that providers are made for: text stays plain, filters reach the Parquet reader.
fn reader(runtime: Arc<RuntimeEnv>) -> SessionState {
    let mut config = SessionConfig::new();
    config.options_mut().execution.parquet.pushdown_filters = true;
    config.options_mut().execution.parquet.schema_force_view_types = false;
    SessionStateBuilder::new().with_default_features().with_config(config).with_runtime_env(runtime).build()
}

/// A session for the lake's own reading.
pub(crate) fn context() -> SessionContext {
    SessionContext::new_with_state(reader(Arc::default()))
}

/// A table at its version as DataFusion reads it. It has no log to write to: queries can't change a lake.
pub(crate) fn scan(table: &DeltaTable, session: &SessionState) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    table.update_datafusion_session(session)?;
    let config = DeltaScanConfig::new_from_session(session).with_wrap_partition_values(false);
    let snapshot = Arc::new(table.snapshot()?.snapshot().clone());
    Ok(Arc::new(DeltaScanNext::new(snapshot, config)?))
}

/// A table at a version, or its newest; `None` when there is no such table.
pub(crate) async fn open(lake: &Lake, name: &str, version: Option<i64>) -> Result<Option<DeltaTable>> {
    let table = match version {
        Some(version) => Some(Table::open_at(lake, name, version).await?),
        None => Table::open(lake, name).await?,
    };
    Ok(table.map(|table| table.delta().clone()))
}

/// All rows of a small table's newest version; none when there is no such table.
pub(crate) async fn read_newest(lake: &Lake, name: &str) -> Result<Vec<RecordBatch>> {
    let Some(table) = open(lake, name, None).await? else { return Ok(vec![]) };
    read(&table, name).await
}

/// All rows of a small table.
pub(crate) async fn read(table: &DeltaTable, name: &str) -> Result<Vec<RecordBatch>> {
    let ctx = context();
    let rows = async { ctx.read_table(scan(table, &ctx.state())?)?.collect().await };
    rows.await.map_err(LakeError::query(name, "read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(run_id: &str, repo: &str, sequence: i64, committed_at: i64) -> Run {
        Run {
            run_id: run_id.into(),
            repo: repo.into(),
            sequence,
            git_commit: None,
            complete: true,
            datasets: vec![],
            complete_datasets: vec![],
            table_versions: BTreeMap::new(),
            counts: serde_json::Value::Null,
            rows: serde_json::Value::Null,
            rows_written: serde_json::Value::Null,
            bytes: 0,
            started_at: 0,
            committed_at,
        }
    }

    fn ids(runs: Result<Vec<Run>>) -> Vec<String> {
        runs.unwrap().into_iter().map(|run| run.run_id).collect()
    }

    #[test]
    fn a_pin_sees_what_was_committed_before_it() {
        let runs = vec![run("a", "r", 1, 10), run("b", "r", 2, 20), run("c", "r", 3, 30)];
        assert_eq!(ids(visible(runs.clone(), &Pin::Last)), ["a", "b", "c"]);
        assert_eq!(ids(visible(runs.clone(), &Pin::Run("b".into()))), ["a", "b"]);
        assert_eq!(ids(visible(runs.clone(), &Pin::Time(29))), ["a", "b"]);
        assert_eq!(ids(visible(runs.clone(), &Pin::Sequence(1))), ["a"]);
        for pin in [Pin::Run("x".into()), Pin::Time(9), Pin::Sequence(4)] {
            assert!(matches!(visible(runs.clone(), &pin), Err(LakeError::NoRun { .. })), "{pin:?}");
        }
    }

    #[test]
    fn a_number_alone_does_not_say_which_repository() {
        let runs = vec![run("a", "r", 1, 10), run("b", "s", 1, 20)];
        assert!(matches!(visible(runs, &Pin::Sequence(1)), Err(LakeError::NoRun { .. })));
    }
}
