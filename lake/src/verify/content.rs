//! One shard: its tables' rows against its state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use lode_facts::catalog::{Dataset, IDENTITY};
use lode_facts::hash::row_hashes;
use object_store::ObjectStoreExt;
use parquet::errors::ParquetError;

use super::state::{Entry, ShardState, TABLE, Totals};
use super::{Context, DataFile, Finding, Kind, Report, Table};
use crate::error::{LakeError, Result, with_causes};
use crate::parquet_file::read_file;

/// What a shard's check gives.
pub(super) struct Check {
    pub(super) report: Report,
    pub(super) recorded: Totals,
}

/// Checks one shard of every table.
pub(super) async fn check(context: Arc<Context>, shard: String) -> Result<Check> {
    let mut check = Shard { context: &context, shard: &shard, report: Report::default() };
    let mut state = ShardState::default();
    let whole = check
        .read(&context.state, |report, batch| {
            state.add(batch, &mut |kind, repo, path, detail| {
                report.push(finding(kind, TABLE, &shard, Some((repo, path)), detail));
            })
        })
        .await?;
    check.placement(&state);
    for table in &context.tables {
        match table.dataset.lane {
            Some(_) => check.facts(table, &state, whole).await?,
            None => check.records(table, &state, whole).await?,
        }
    }
    let mut recorded = Totals::new();
    for file in sorted(&state).map(|id| &state.files[id]) {
        for (dataset, entry) in &file.datasets {
            *recorded.entry((file.repo.clone(), *dataset)).or_insert(0) += entry.rows;
        }
    }
    Ok(Check { report: check.report, recorded })
}

fn finding(kind: Kind, table: &str, shard: &str, file: Option<(&str, &str)>, detail: String) -> Finding {
    Finding {
        kind,
        table: table.to_owned(),
        shard: Some(shard.to_owned()),
        repo: file.map(|file| file.0.to_owned()),
        path: file.map(|file| file.1.to_owned()),
        detail,
    }
}

/// Ids of the files of a shard in the order of their paths.
fn sorted(state: &ShardState) -> impl Iterator<Item = &i64> {
    let mut ids: Vec<_> = state.files.iter().map(|(id, file)| (&file.repo, &file.path, id)).collect();
    ids.sort();
    ids.into_iter().map(|(_, _, id)| id)
}

/// The rows a table has of one file.
#[derive(Debug, Default)]
struct Found {
    repo: String,
    path: String,
    rows: i64,
    hash: u64,
    /// Rows whose repository or path is not that of the first.
    strays: i64,
}

struct Shard<'a> {
    context: &'a Context,
    shard: &'a str,
    report: Report,
}

impl Shard<'_> {
    /// Reads the table's files of the shard, a batch at a time. Returns whether all could be read.
    async fn read(
        &mut self,
        table: &Table,
        mut each: impl FnMut(&mut Report, &RecordBatch) -> Result<()>,
    ) -> Result<bool> {
        let mut whole = true;
        for file in table.files.get(self.shard).into_iter().flatten() {
            self.report.data_files += 1;
            let outcome = async {
                let mut batches = open(self.context, table.dataset, file).await?;
                while let Some(batch) =
                    batches.try_next().await.map_err(LakeError::parquet(table.dataset.name, "read"))?
                {
                    self.report.rows += batch.num_rows() as u64;
                    each(&mut self.report, &batch)?;
                }
                Ok(())
            };
            let error: LakeError = match outcome.await {
                Ok(()) => continue,
                Err(error) => error,
            };
            whole = false;
            let kind = match &error {
                LakeError::Store { source: object_store::Error::NotFound { .. }, .. } => Kind::MissingFile,
                LakeError::Store { source, .. } if !is_about_the_file(source) => return Err(error),
                _ => Kind::UnreadableFile,
            };
            let mut lost = finding(kind, table.dataset.name, self.shard, None, with_causes(&error));
            lost.path = Some(file.path.to_string());
            self.report.push(lost);
        }
        Ok(whole)
    }

    fn push(&mut self, kind: Kind, table: &str, file: (&str, &str), detail: String) {
        self.report.push(finding(kind, table, self.shard, Some(file), detail));
    }

    /// Every file of the shard lies in its range.
    fn placement(&mut self, state: &ShardState) {
        let range = self.context.ranges.get(self.shard);
        for file in sorted(state).map(|id| &state.files[id]) {
            let detail = match range {
                None => "its shard is not in the shard map",
                Some(range) if !range.contains(&file.repo, &file.path) => "it lies outside the range of its shard",
                Some(_) => continue,
            };
            self.push(Kind::ForeignRows, TABLE, (&file.repo, &file.path), detail.into());
        }
    }

    /// Compares a table of facts.
    async fn facts(&mut self, table: &Table, state: &ShardState, state_is_whole: bool) -> Result<()> {
        let dataset = table.dataset;
        let mut found: HashMap<i64, Found> = HashMap::new();
        let whole = self
            .read(table, |_, batch| {
                let identity = Identity::of(batch, dataset)?;
                let facts: Vec<usize> = (0..batch.num_columns()).filter(|at| !is_identity(batch, *at)).collect();
                let facts = batch.project(&facts).map_err(LakeError::arrow(dataset.name))?;
                let hashes = row_hashes(&facts).map_err(LakeError::arrow(dataset.name))?;
                for (row, hash) in hashes.into_iter().enumerate() {
                    identity.count(row, &mut found).hash_in(hash);
                }
                Ok(())
            })
            .await?;

        for id in sorted(state) {
            let file = &state.files[id];
            let Some(entry) = file.datasets.get(dataset.name) else { continue };
            self.report.entries += 1;
            let rows =
                found.get(id).map_or(Entry { rows: 0, hash: 0 }, |f| Entry { rows: f.rows, hash: f.hash as i64 });
            let kind = match rows.rows.cmp(&entry.rows) {
                // The finding about the lost data file stands for them.
                std::cmp::Ordering::Less if !whole => continue,
                std::cmp::Ordering::Less => Kind::MissingRows,
                std::cmp::Ordering::Greater => Kind::DoubledRows,
                std::cmp::Ordering::Equal if rows.hash != entry.hash => Kind::ChangedRows,
                std::cmp::Ordering::Equal => continue,
            };
            let detail = match kind {
                Kind::ChangedRows => format!("{} rows are not those that were recorded", rows.rows),
                _ => format!("{} rows, {} were recorded", rows.rows, entry.rows),
            };
            self.push(kind, dataset.name, (&file.repo, &file.path), detail);
        }

        for (repo, path, id, found) in by_path(&found) {
            let detail = match state.files.get(&id) {
                None if !state_is_whole => continue,
                None => format!("{} rows of a file that is not in `{TABLE}`", found.rows),
                Some(file) if !file.datasets.contains_key(dataset.name) => {
                    format!("{} rows, and `{TABLE}` has none for this file", found.rows)
                }
                Some(file) if file.repo != repo || file.path != path => {
                    format!("{} rows have the id of `{}`", found.rows, file.path)
                }
                Some(_) if found.strays > 0 => format!("{} of its rows have another repository or path", found.strays),
                Some(_) => continue,
            };
            self.push(Kind::ForeignRows, dataset.name, (repo, path), detail);
        }
        Ok(())
    }

    /// Compares `diagnostics` and `quarantine`, which have no hash on record: lanes, numbering and membership.
    async fn records(&mut self, table: &Table, state: &ShardState, state_is_whole: bool) -> Result<()> {
        let dataset = table.dataset;
        let mut found: BTreeMap<(i64, String), (BTreeSet<i32>, i64)> = BTreeMap::new();
        let mut files: HashMap<i64, Found> = HashMap::new();
        let whole = self
            .read(table, |_, batch| {
                let identity = Identity::of(batch, dataset)?;
                let lane = text(batch, "lane", dataset)?;
                let ordinal = batch.column_by_name("ordinal").and_then(|column| column.as_primitive_opt::<Int32Type>());
                for row in 0..batch.num_rows() {
                    identity.count(row, &mut files);
                    let entry = found.entry((identity.ids.value(row), lane.value(row).to_owned())).or_default();
                    entry.0.insert(ordinal.map_or(0, |ordinal| ordinal.value(row)));
                    entry.1 += 1;
                }
                Ok(())
            })
            .await?;
        let quarantine = dataset.name == "quarantine";

        for ((id, lane), (ordinals, rows)) in &found {
            let Some(seen) = files.get(id) else { continue };
            let file = (seen.repo.as_str(), seen.path.as_str());
            let status = state.files.get(id).and_then(|file| file.lanes.get(lane));
            match status {
                None if !state_is_whole => {}
                None => {
                    self.push(Kind::ForeignRows, dataset.name, file, format!("`{TABLE}` has no lane `{lane}` for it"))
                }
                Some(status) if quarantine && status != "quarantined" => {
                    let detail = format!("`{TABLE}` has lane `{lane}` as {status}");
                    self.push(Kind::ForeignRows, dataset.name, file, detail);
                }
                Some(_) => {}
            }
            let distinct = ordinals.len() as i64;
            if *rows > distinct {
                let detail = format!("{rows} rows of lane `{lane}`, {distinct} different");
                self.push(Kind::DoubledRows, dataset.name, file, detail);
            }
            let gaps = ordinals.last().map_or(0, |last| i64::from(*last) + 1) - distinct;
            if whole && gaps > 0 {
                self.push(Kind::MissingRows, dataset.name, file, format!("{gaps} rows of lane `{lane}` are missing"));
            }
        }
        if !(quarantine && whole) {
            return Ok(());
        }
        for id in sorted(state) {
            let file = &state.files[id];
            for (lane, _) in file.lanes.iter().filter(|(_, status)| *status == "quarantined") {
                if !found.contains_key(&(*id, lane.clone())) {
                    let detail = format!("`{TABLE}` has lane `{lane}` as quarantined");
                    self.push(Kind::MissingRows, dataset.name, (&file.repo, &file.path), detail);
                }
            }
        }
        Ok(())
    }
}

impl Found {
    fn hash_in(&mut self, hash: u64) {
        self.hash = self.hash.wrapping_add(hash);
    }
}

fn by_path(found: &HashMap<i64, Found>) -> Vec<(&str, &str, i64, &Found)> {
    let mut files: Vec<_> = found.iter().map(|(id, f)| (f.repo.as_str(), f.path.as_str(), *id, f)).collect();
    files.sort_by_key(|(repo, path, id, _)| (*repo, *path, *id));
    files
}

/// Whether a store's error says something about one object rather than about the store.
fn is_about_the_file(error: &object_store::Error) -> bool {
    use std::io::ErrorKind as Io;
    [Io::UnexpectedEof, Io::InvalidData, Io::InvalidInput].into_iter().any(|kind| crate::error::is_io(error, kind))
}

fn is_identity(batch: &RecordBatch, at: usize) -> bool {
    let name = batch.schema_ref().field(at).name().as_str();
    name == "shard" || IDENTITY.iter().any(|column| column.name == name)
}

fn text<'a>(batch: &'a RecordBatch, name: &str, dataset: &Dataset) -> Result<&'a StringArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| LakeError::damaged(dataset.name, format!("column `{name}` is missing or no text")))
}

struct Identity<'a> {
    repos: &'a StringArray,
    paths: &'a StringArray,
    ids: &'a Int64Array,
}

impl<'a> Identity<'a> {
    fn of(batch: &'a RecordBatch, dataset: &Dataset) -> Result<Self> {
        let ids = batch.column_by_name("file_id").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let ids =
            ids.ok_or_else(|| LakeError::damaged(dataset.name, "column `file_id` is missing or no 64-bit integer"))?;
        Ok(Self { repos: text(batch, "repo", dataset)?, paths: text(batch, "path", dataset)?, ids })
    }

    fn count<'f>(&self, row: usize, found: &'f mut HashMap<i64, Found>) -> &'f mut Found {
        let (repo, path) = (self.repos.value(row), self.paths.value(row));
        let file = found.entry(self.ids.value(row)).or_default();
        if file.rows == 0 {
            file.repo = repo.to_owned();
            file.path = path.to_owned();
        } else if file.path != path || file.repo != repo {
            file.strays += 1;
        }
        file.rows += 1;
        file
    }
}

async fn open(
    context: &Context,
    dataset: &Dataset,
    file: &DataFile,
) -> Result<BoxStream<'static, Result<RecordBatch, ParquetError>>> {
    let store = context.lake.table_store(dataset.name);
    let head = store.head(&file.path).await;
    let head =
        head.map_err(|source| crate::store::failed("read", &format!("{}/{}", dataset.name, file.path), source))?;
    if i64::try_from(head.size) != Ok(file.size) {
        let reason = format!("it has {} bytes, the table's log says {}", head.size, file.size);
        return Err(LakeError::damaged(file.path.to_string(), reason));
    }
    let rows = read_file(store, file.path.as_ref(), Some(file.size), dataset.file_schema()).await;
    rows.map_err(LakeError::parquet(dataset.name, "read"))
}
