//! Copy-on-write of one (table, shard): old rows stream by, those of changed files are replaced, one new file comes out.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, DictionaryArray, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::kernel::{Add, AddCDCFile, Remove};
use lode_facts::catalog::{Dataset, SHARD};
use lode_facts::hash::{row_hashes, rows_hash};
use lode_facts::lane::LaneId;
use parquet::errors::ParquetError;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::error::{LakeError, Result};
use crate::layout;
use crate::manifest::TableOutput;
use crate::new_rows::NewRows;
use crate::old_rows::{Carried, OldRows};
use crate::parquet_file::FileWriter;
use crate::stats::delta_stats;
use crate::store::Lake;
use crate::table::now_millis;
use crate::task::{ShardTask, TableTask};

/// What the merges of a shard share.
pub(crate) struct Context {
    pub(crate) lake: Lake,
    pub(crate) task: ShardTask,
    pub(crate) handle: Handle,
}

/// Which old rows of a file go.
pub(crate) enum Replaced<'a> {
    /// All; the state says how many there are.
    File { rows: i64 },
    /// Those of some lanes, for tables that hold several lanes' rows of a file.
    Lanes(&'a [LaneId]),
}

/// The rewrite of one (table, shard). Nothing is read or written before the first change.
pub(crate) struct TableMerge {
    dataset: &'static Dataset,
    context: Arc<Context>,
    schema: SchemaRef,
    old: Option<OldRows>,
    out: Option<FileWriter>,
    out_path: String,
    cdc: Option<FileWriter>,
    cdc_path: String,
    /// New rows that wait to be written in one piece with those that follow.
    pending: Option<(Arc<NewRows>, Range<usize>)>,
    started: bool,
    changed: bool,
    output: TableOutput,
}

impl TableMerge {
    pub(crate) fn new(dataset: &'static Dataset, context: Arc<Context>) -> Self {
        Self {
            dataset,
            context,
            schema: dataset.file_schema(),
            old: None,
            out: None,
            out_path: String::new(),
            cdc: None,
            cdc_path: String::new(),
            pending: None,
            started: false,
            changed: false,
            output: TableOutput { table: dataset.name.to_owned(), ..TableOutput::default() },
        }
    }

    pub(crate) fn dataset(&self) -> &'static Dataset {
        self.dataset
    }

    fn table(&self) -> Option<&TableTask> {
        self.context.task.table(self.dataset)
    }

    /// Whether the shard has old rows in this table.
    pub(crate) fn has_old(&self) -> bool {
        self.table().is_some_and(|table| !table.sources.is_empty())
    }

    fn parquet<T>(&self, action: &'static str, result: Result<T, ParquetError>) -> Result<T> {
        result.map_err(LakeError::parquet(self.dataset.name, action))
    }

    /// Opens the old rows, at the first change.
    fn start(&mut self) {
        if !self.started {
            self.started = true;
            let sources = self.table().map(|table| table.sources.clone()).unwrap_or_default();
            self.old = Some(OldRows::new(self.dataset, self.context.clone(), self.schema.clone(), sources));
        }
    }

    /// Replaces a file's rows by a range of `new`. Files must come in the order of their paths.
    pub(crate) fn replace(
        &mut self,
        path: &str,
        replaced: Replaced<'_>,
        new: Option<(&Arc<NewRows>, Range<usize>)>,
    ) -> Result<()> {
        let new = new.filter(|(_, rows)| !rows.is_empty());
        self.start();
        self.carry_until(Some(path))?;
        let mut dropped = vec![];
        while let Some(rows) = self.next_old(|old| old.take_file(path))? {
            dropped.push(rows);
        }
        match replaced {
            Replaced::File { rows } => {
                let found: usize = dropped.iter().map(RecordBatch::num_rows).sum();
                if found as i64 != rows {
                    let reason = format!("`{path}` has {found} rows where `extract_state` says {rows}");
                    return Err(LakeError::damaged(self.dataset.name, reason));
                }
                for rows in &dropped {
                    self.delete(rows)?;
                }
                if let Some((new, rows)) = new {
                    self.insert(new, rows)?;
                }
            }
            Replaced::Lanes(lanes) => self.replace_lanes(&dropped, lanes, new)?,
        }
        Ok(())
    }

    /// Rows of other lanes stay, and the file's rows stay in the order of lanes.
    fn replace_lanes(
        &mut self,
        old: &[RecordBatch],
        lanes: &[LaneId],
        new: Option<(&Arc<NewRows>, Range<usize>)>,
    ) -> Result<()> {
        if old.is_empty() {
            return new.map_or(Ok(()), |(new, rows)| self.insert(new, rows));
        }
        let new = new.map(|(new, rows)| Ok(new.batch()?.slice(rows.start, rows.len()))).transpose()?;
        let (mut kept, mut gone) = (vec![], vec![]);
        for run in old.iter().map(|batch| self.lane_runs(batch)).collect::<Result<Vec<_>>>()?.into_iter().flatten() {
            if lanes.contains(&run.0) { gone.push(run.1) } else { kept.push(run) }
        }
        let same = match &new {
            None => gone.is_empty(),
            Some(new) => {
                gone.iter().map(RecordBatch::num_rows).sum::<usize>() == new.num_rows()
                    && self.hash(&gone)? == self.hash(std::slice::from_ref(new))?
            }
        };
        if same {
            return old.iter().try_for_each(|rows| self.carry(rows));
        }
        gone.iter().try_for_each(|rows| self.delete(rows))?;
        let mut runs = kept.into_iter().map(|(lane, rows)| (lane, rows, false)).collect::<Vec<_>>();
        if let Some(new) = &new {
            runs.extend(self.lane_runs(new)?.into_iter().map(|(lane, rows)| (lane, rows, true)));
        }
        runs.sort_by_key(|(lane, ..)| *lane);
        for (_, rows, is_new) in &runs {
            if *is_new {
                self.insert(&Arc::new(NewRows::plain(self.dataset, rows.clone())), 0..rows.num_rows())?;
            } else {
                self.carry(rows)?;
            }
        }
        Ok(())
    }

    fn hash(&self, batches: &[RecordBatch]) -> Result<i64> {
        let mut sum = 0i64;
        for batch in batches {
            let hashes = row_hashes(batch).map_err(LakeError::arrow(self.dataset.name))?;
            sum = sum.wrapping_add(rows_hash(&hashes));
        }
        Ok(sum)
    }

    /// The rows of each lane, in the order they lie.
    fn lane_runs(&self, batch: &RecordBatch) -> Result<Vec<(LaneId, RecordBatch)>> {
        let lanes = batch.column_by_name("lane").map(|column| column.as_string::<i32>());
        let lanes = lanes.ok_or_else(|| LakeError::damaged(self.dataset.name, "it has no column `lane`"))?;
        let mut runs = vec![];
        let mut start = 0;
        while start < batch.num_rows() {
            let name = lanes.value(start);
            let end = (start..batch.num_rows()).find(|row| lanes.value(*row) != name).unwrap_or(batch.num_rows());
            let lane = LaneId::by_name(name)
                .ok_or_else(|| LakeError::damaged(self.dataset.name, format!("unknown lane `{name}`")))?;
            runs.push((lane, batch.slice(start, end - start)));
            start = end;
        }
        Ok(runs)
    }

    fn next_old<T>(&mut self, step: impl Fn(&mut OldRows) -> Result<Option<T>>) -> Result<Option<T>> {
        self.old.as_mut().map_or(Ok(None), step)
    }

    /// Takes over old rows up to a path, or to the end.
    fn carry_until(&mut self, path: Option<&str>) -> Result<()> {
        while let Some(carried) = self.next_old(|old| old.take_until(path))? {
            match carried {
                Carried::Rows(rows) => self.carry(&rows)?,
                Carried::Group(rows) => {
                    self.flush_pending()?;
                    self.output.rows_carried += rows.rows() as i64;
                    let appended = self.out()?.append(&[], &rows);
                    self.parquet("write", appended)?;
                }
            }
        }
        Ok(())
    }

    fn carry(&mut self, rows: &RecordBatch) -> Result<()> {
        self.flush_pending()?;
        self.output.rows_carried += rows.num_rows() as i64;
        self.write_out(rows)
    }

    fn delete(&mut self, rows: &RecordBatch) -> Result<()> {
        self.changed = true;
        self.output.rows_removed += rows.num_rows() as i64;
        self.write_change(rows, "delete")
    }

    fn insert(&mut self, new: &Arc<NewRows>, rows: Range<usize>) -> Result<()> {
        self.changed = true;
        self.output.rows_added += rows.len() as i64;
        if let Some((pending, waiting)) = &mut self.pending
            && waiting.end == rows.start
            && Arc::ptr_eq(pending, new)
        {
            waiting.end = rows.end;
            return Ok(());
        }
        self.flush_pending()?;
        self.pending = Some((new.clone(), rows));
        Ok(())
    }

    /// Writes what waits: at the end of a group, whose rows would otherwise be held for longer. What a worker encoded is
    /// taken over if all of it goes into the table.
    pub(crate) fn flush_pending(&mut self) -> Result<()> {
        let Some((new, rows)) = self.pending.take() else { return Ok(()) };
        let whole = rows == (0..new.rows());
        if whole
            && !self.keeps_changes()
            && let Some((identity, facts)) = new.encoded()?
        {
            let appended = self.out()?.append(&identity, facts);
            return self.parquet("write", appended);
        }
        let rows = new.batch()?.slice(rows.start, rows.len());
        self.write_out(&rows)?;
        self.write_change(&rows, "insert")
    }

    fn out(&mut self) -> Result<&mut FileWriter> {
        let out = match self.out.take() {
            Some(out) => out,
            None => {
                self.out_path = format!("{}part-{}.parquet", self.folder(), Uuid::new_v4());
                self.create(&self.out_path, &self.schema)?
            }
        };
        Ok(self.out.insert(out))
    }

    fn write_out(&mut self, rows: &RecordBatch) -> Result<()> {
        let written = self.out()?.write(rows);
        self.parquet("write", written)
    }

    /// Whether each change is also written down for the table's change data feed.
    fn keeps_changes(&self) -> bool {
        self.table().is_some_and(|table| table.change_data)
    }

    fn write_change(&mut self, rows: &RecordBatch, kind: &str) -> Result<()> {
        if !self.keeps_changes() {
            return Ok(());
        }
        let field = Field::new("_change_type", DataType::Utf8, true);
        if self.cdc.is_none() {
            let fields = self.schema.fields().iter().cloned().chain([Arc::new(field.clone())]);
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            self.cdc_path = format!("{}/{}cdc-{}.parquet", layout::CHANGE_DATA, self.folder(), Uuid::new_v4());
            self.cdc = Some(self.create(&self.cdc_path, &schema)?);
        }
        let keys = UInt8Array::from(vec![0; rows.num_rows()]);
        let kinds: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(StringArray::from(vec![kind]))));
        let fields = rows
            .schema()
            .fields()
            .iter()
            .cloned()
            .chain([Arc::new(field.with_data_type(kinds.data_type().clone()))])
            .collect::<Vec<_>>();
        let columns = rows.columns().iter().cloned().chain([kinds]).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(LakeError::arrow(self.dataset.name))?;
        let result = self.cdc.as_mut().map_or(Ok(()), |cdc| cdc.write(&batch));
        self.parquet("write", result)
    }

    fn create(&self, path: &str, schema: &SchemaRef) -> Result<FileWriter> {
        let store = self.context.lake.table_store(self.dataset.name);
        self.parquet("write", FileWriter::create(store, path, schema, self.context.handle.clone()))
    }

    fn folder(&self) -> String {
        layout::partition(SHARD.name, &self.context.task.shard)
    }

    /// Takes over the rest and ends the files; `None` if nothing changes in this table.
    pub(crate) fn finish(mut self) -> Result<Option<TableOutput>> {
        let moved = self.table().is_some_and(|table| table.moved) && self.has_old();
        if moved {
            self.start();
        }
        if !self.started {
            return Ok(None);
        }
        if !(self.changed || moved) {
            let given_up = self.out.take().into_iter().chain(self.cdc.take()).try_for_each(FileWriter::abort);
            self.parquet("write", given_up)?;
            return Ok(None);
        }
        self.carry_until(None)?;
        self.flush_pending()?;
        let partition_values = || [(SHARD.name.to_owned(), Some(self.context.task.shard.clone()))].into();
        if let Some(out) = self.out.take() {
            let written = self.parquet("write", out.finish())?;
            self.output.adds.push(Add {
                path: self.out_path.clone(),
                partition_values: partition_values(),
                size: written.size,
                modification_time: now_millis(),
                data_change: self.changed,
                stats: Some(delta_stats(&written.metadata, &self.schema)),
                ..empty_add()
            });
        }
        if let Some(cdc) = self.cdc.take() {
            let written = self.parquet("write", cdc.finish())?;
            self.output.cdc.push(AddCDCFile {
                path: self.cdc_path.clone(),
                size: written.size,
                partition_values: partition_values(),
                data_change: false,
                tags: None,
            });
        }
        let sources = self.table().map(|table| table.sources.as_slice()).unwrap_or_default();
        let mine = sources.iter().filter(|file| file.shard == self.context.task.shard);
        self.output.removes = mine.map(|file| remove(&file.add, self.changed)).collect();
        let nothing = self.output.removes.is_empty() && self.output.adds.is_empty() && self.output.cdc.is_empty();
        Ok((!nothing).then_some(self.output))
    }
}

/// The action that takes back what `add` added.
pub(crate) fn remove(add: &Add, data_change: bool) -> Remove {
    Remove {
        path: add.path.clone(),
        data_change,
        deletion_timestamp: Some(now_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(add.partition_values.clone()),
        size: Some(add.size),
        ..Remove::default()
    }
}

/// An `add` without anything, which Delta's type can't give.
pub(crate) fn empty_add() -> Add {
    Add {
        path: String::new(),
        partition_values: Default::default(),
        size: 0,
        modification_time: 0,
        data_change: true,
        stats: None,
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}
