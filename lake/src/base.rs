//! What a run builds on: the repository as its last committed run left it.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::{StreamExt, TryStreamExt, stream};
use lode_facts::catalog::{Scope, dataset, datasets};
use lode_facts::records::{REPOS, RUNS, SHARDS};

use crate::commit::{app_id, roll_forward};
use crate::error::{LakeError, Result};
use crate::history;
use crate::parquet_file::read_all;
use crate::plan::EpochPlan;
use crate::shard::{Shard, ShardMap, repo_key};
use crate::store::Lake;
use crate::table::Table;
use crate::task::{OldFile, ShardTask, TableTask};

/// Tables that are opened at once.
const OPEN_TABLES: usize = 8;

/// The pinned snapshot of a repository.
#[derive(Debug, Clone)]
pub struct Base {
    /// Repository.
    pub repo: String,
    /// Its short key.
    pub repo_key: String,
    /// Sequence of its last commit; 0 for none.
    pub sequence: u64,
    /// The run that made it.
    pub last: Option<LastRun>,
    /// Normalised URL of `origin`, as the first run saw it; the outer `None` means that the lake doesn't know the repository.
    pub origin: Option<Option<String>>,
    /// The shard map; `None` before the first run.
    pub shards: Option<ShardMap>,
    /// Every table of the lake, by name.
    pub tables: BTreeMap<String, Table>,
    files: BTreeMap<(String, String), Vec<OldFile>>,
}

/// What is the same for all tasks of a plan.
struct Frame {
    /// Shards whose range was split.
    split: BTreeSet<String>,
    /// Tables that exist, in catalog order, and whether the run may take rows from them anywhere.
    tables: Vec<(&'static str, bool)>,
}

/// What `runs` has on record of the last committed run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// The run.
    pub run_id: String,
    /// Commit its scan saw.
    pub git_commit: Option<String>,
    /// Its scope as JSON.
    pub scope: String,
    /// Whether its scan saw the whole repository.
    pub complete: bool,
    /// Hash of its settings.
    pub settings_hash: String,
    /// Datasets that equal its snapshot.
    pub complete_datasets: Vec<String>,
    /// Version of each table at the time.
    pub table_versions: BTreeMap<String, i64>,
    /// Rows of the repository by dataset.
    pub rows: BTreeMap<String, i64>,
}

impl Base {
    /// Applies what is committed and not rolled forward yet, then pins the repository's snapshot.
    ///
    /// # Errors
    /// If the lake can't be read or written, or another repository has the same key.
    pub async fn load(lake: &Lake, repo: &str) -> Result<Self> {
        let repo_key = repo_key(repo);
        roll_forward(lake, &repo_key).await?;
        // Collected first: closures over borrowed items would keep this future from being `Send`.
        let open = datasets().iter().map(|dataset| Table::open(lake, dataset.name)).collect::<Vec<_>>();
        let tables = stream::iter(open).buffered(OPEN_TABLES).try_collect::<Vec<_>>().await?;
        let tables = tables.into_iter().flatten().map(|t| (t.name().to_owned(), t)).collect::<BTreeMap<_, _>>();
        let mut files = BTreeMap::<_, Vec<_>>::new();
        for (name, table) in &tables {
            if dataset(name).is_some_and(|dataset| dataset.scope == Scope::File) {
                for file in table.files()?.into_iter().filter(|file| belongs(&file.shard, &repo_key)) {
                    files.entry((name.clone(), file.shard.clone())).or_default().push(file);
                }
            }
        }
        let sequence = match tables.get(RUNS.name) {
            Some(runs) => runs.transaction(&app_id(&repo_key)).await?.unwrap_or_default(),
            None => 0,
        };
        let mut base = Self {
            repo: repo.to_owned(),
            repo_key,
            sequence: u64::try_from(sequence).map_err(|e| LakeError::damaged(RUNS.name, e))?,
            last: None,
            origin: None,
            shards: None,
            tables,
            files,
        };
        if sequence > 0 {
            base.last = Some(base.read_last(lake).await?);
            base.shards = Some(base.read_shards(lake).await?);
            base.origin = Some(base.read_origin(lake).await?);
        }
        Ok(base)
    }

    /// Version of every table.
    pub fn table_versions(&self) -> BTreeMap<String, i64> {
        self.tables.iter().map(|(name, table)| (name.clone(), table.version())).collect()
    }

    /// Rows of the repository in each dataset.
    pub fn rows(&self) -> BTreeMap<String, i64> {
        self.last.as_ref().map(|last| last.rows.clone()).unwrap_or_default()
    }

    /// Data files of a table for one shard of the repository.
    pub fn files(&self, table: &str, shard: &str) -> &[OldFile] {
        self.files.get(&(table.to_owned(), shard.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Shards of a new map that must be rewritten even where no file changed: the parts of those that were split.
    pub fn split_parts(shards: &[Shard]) -> BTreeSet<String> {
        let new = shards.iter().filter(|shard| !shard.sources.is_empty());
        new.flat_map(|shard| shard.sources.iter().chain([&shard.id])).cloned().collect()
    }

    /// The task of one shard of a plan; `rows` and `digest` describe its worklist.
    ///
    /// `plan.shards`, `plan.tasks` and the run's identity must be set: whether a table writes change data depends on all of
    /// the plan's tasks.
    pub fn task(&self, plan: &EpochPlan, shard: &Shard, rows: u64, digest: String) -> ShardTask {
        ShardTask { rows, digest, ..self.framed(plan, shard, &self.frame(plan)) }
    }

    /// The tasks of all shards of a plan, in their order, without what describes their worklists.
    pub fn tasks(&self, plan: &EpochPlan) -> Vec<ShardTask> {
        let frame = self.frame(plan);
        plan.shards.iter().map(|shard| self.framed(plan, shard, &frame)).collect()
    }

    /// What is the same for all tasks of a plan.
    fn frame(&self, plan: &EpochPlan) -> Frame {
        let by_id = plan.shards.iter().map(|shard| (shard.id.as_str(), shard)).collect::<BTreeMap<_, _>>();
        let touched = plan.tasks.iter().filter_map(|id| by_id.get(id.as_str()));
        let ids: Vec<&String> = touched.flat_map(|shard| shard.sources.iter().chain([&shard.id])).collect();
        let scoped = datasets().iter().filter(|dataset| dataset.scope == Scope::File);
        let tables = scoped.filter(|dataset| self.tables.contains_key(dataset.name));
        let change_data = |table: &str| ids.iter().any(|id| !self.files(table, id).is_empty());
        Frame {
            split: Self::split_parts(&plan.shards),
            tables: tables.map(|dataset| (dataset.name, change_data(dataset.name))).collect(),
        }
    }

    fn framed(&self, plan: &EpochPlan, shard: &Shard, frame: &Frame) -> ShardTask {
        let moved = frame.split.contains(&shard.id);
        let sources: Vec<&String> = [&shard.id].into_iter().chain(&shard.sources).collect();
        let tables = frame.tables.iter().map(|(table, change_data)| TableTask {
            table: (*table).to_owned(),
            sources: sources.iter().flat_map(|id| self.files(table, id).to_vec()).collect(),
            change_data: *change_data,
            moved,
        });
        ShardTask {
            run_id: plan.run_id.clone(),
            epoch: plan.epoch,
            repo: plan.repo.clone(),
            shard: shard.id.clone(),
            lower: shard.lower.clone(),
            upper: shard.upper.clone(),
            rows: 0,
            digest: String::new(),
            sources: shard.sources.clone(),
            tables: tables.collect(),
        }
    }

    async fn read_last(&self, lake: &Lake) -> Result<LastRun> {
        let row = history::row_of(lake, &self.tables[RUNS.name], &self.repo, self.sequence as i64).await?;
        let (batch, row) = row.ok_or_else(|| {
            LakeError::damaged(RUNS.name, format!("commit {} of `{}` has no row", self.sequence, self.repo))
        })?;
        last_run(&batch, row).ok_or_else(|| LakeError::damaged(RUNS.name, "a row can't be read"))
    }

    async fn read_shards(&self, lake: &Lake) -> Result<ShardMap> {
        let batches = self.read_repo_rows(lake, &SHARDS).await?;
        let shard = |(batch, row): (&RecordBatch, usize)| {
            Some(Shard {
                id: text(batch, "shard", row)?.to_owned(),
                lower: text(batch, "lower", row)?.to_owned(),
                upper: text(batch, "upper", row).map(str::to_owned),
                files: integer(batch, "files", row)? as u64,
                bytes: integer(batch, "bytes", row)? as u64,
                sources: vec![],
            })
        };
        let shards = rows(&batches).map(shard).collect::<Option<Vec<_>>>();
        let map = shards.and_then(|shards| ShardMap::from_stored(&self.repo_key, shards));
        map.ok_or_else(|| LakeError::damaged(SHARDS.name, format!("the shards of `{}` are not contiguous", self.repo)))
    }

    async fn read_origin(&self, lake: &Lake) -> Result<Option<String>> {
        let batches = self.read_repo_rows(lake, &REPOS).await?;
        let origin = rows(&batches).map(|(batch, row)| text(batch, "origin", row).map(str::to_owned)).next();
        origin.ok_or_else(|| LakeError::damaged(REPOS.name, format!("`{}` has no row", self.repo)))
    }

    async fn read_repo_rows(
        &self,
        lake: &Lake,
        dataset: &'static lode_facts::catalog::Dataset,
    ) -> Result<Vec<RecordBatch>> {
        let table =
            self.tables.get(dataset.name).ok_or_else(|| LakeError::damaged(dataset.name, "the table is gone"))?;
        let mut batches = vec![];
        for file in repo_files(table, &self.repo)? {
            batches.extend(read_rows(lake, dataset.name, &file, crate::commit::repo_schema(dataset)).await?);
        }
        Ok(batches)
    }
}

/// Files of a repository's partition.
pub(crate) fn repo_files(table: &Table, repo: &str) -> Result<Vec<OldFile>> {
    let is_mine = |file: &OldFile| file.add.partition_values.get("repo").and_then(Option::as_deref) == Some(repo);
    Ok(table.files()?.into_iter().filter(is_mine).collect())
}

fn belongs(shard: &str, repo_key: &str) -> bool {
    shard.strip_prefix(repo_key).is_some_and(|rest| rest.starts_with('-'))
}

async fn read_rows(
    lake: &Lake,
    table: &str,
    file: &OldFile,
    schema: arrow::datatypes::SchemaRef,
) -> Result<Vec<RecordBatch>> {
    read_all(lake.table_store(table), &file.path, schema).await.map_err(LakeError::parquet(table, "read"))
}

fn rows(batches: &[RecordBatch]) -> impl Iterator<Item = (&RecordBatch, usize)> {
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)))
}

fn text<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let array = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    array.is_valid(row).then(|| array.value(row))
}

fn integer(batch: &RecordBatch, column: &str, row: usize) -> Option<i64> {
    let array = batch.column_by_name(column)?.as_primitive_opt::<Int64Type>()?;
    array.is_valid(row).then(|| array.value(row))
}

fn last_run(batch: &RecordBatch, row: usize) -> Option<LastRun> {
    let owned = |column| text(batch, column, row).map(str::to_owned);
    let list = |column: &str| batch.column_by_name(column)?.as_list_opt::<i32>().map(|lists| lists.value(row));
    let texts = |column| {
        let items = list(column)?;
        Some(items.as_string_opt::<i32>()?.iter().flatten().map(str::to_owned).collect::<Vec<_>>())
    };
    let versions = list("table_versions")?;
    let versions = versions.as_primitive_opt::<Int64Type>()?.values().to_vec();
    Some(LastRun {
        run_id: owned("run_id")?,
        git_commit: owned("git_commit"),
        scope: owned("scope")?,
        complete: batch.column_by_name("complete")?.as_boolean_opt()?.value(row),
        settings_hash: owned("settings_hash")?,
        complete_datasets: texts("complete_datasets")?,
        table_versions: texts("tables")?.into_iter().zip(versions).collect(),
        rows: serde_json::from_str(text(batch, "rows", row)?).ok()?,
    })
}
