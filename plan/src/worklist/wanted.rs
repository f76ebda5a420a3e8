//! What a scan wants of the lake, as a table: one side of the worklist's join.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanBuilder, Int64Builder, ListBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lode_facts::catalog::dataset;
use lode_facts::file::FileMeta;
use lode_facts::lane::{ContentKeys, Fingerprints, LaneId};
use lode_lake::base::Base;
use parquet::arrow::ArrowWriter;

use super::records::{BATCH, GROUP_ROWS, properties};
use crate::error::PlanError;
use crate::fingerprint::limits_hash;
use crate::inputs::RunRequest;

/// Name of the table of what the scan wants, see [`WANTED_SCHEMA`].
pub const WANTED: &str = "wanted";

/// Columns of what a scan wants: one row a (file, lane) that the lane accepts.
pub static WANTED_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![
        text("path"),
        Field::new("file_id", DataType::Int64, false),
        text("lane"),
        text("content_key"),
        text("fingerprint"),
        text("limits"),
        Field::new("requested", DataType::Boolean, false),
        Field::new("retry", DataType::Boolean, false),
        Field::new("datasets", DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))), false),
    ]))
});

/// What a scan wants of one lane for one file.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Path of the file.
    pub path: &'a str,
    /// Its id.
    pub file_id: i64,
    /// Lane.
    pub lane: LaneId,
    /// Content key of the lane for this file.
    pub content_key: &'a str,
    /// Fingerprint of the lane.
    pub fingerprint: &'a str,
    /// Hash of the limits in force.
    pub limits: &'a str,
    /// Whether somebody asked for the file to be taken out of quarantine.
    pub retry: bool,
    /// Datasets the run asks for; none when the lane is left out of this run.
    pub datasets: &'a [&'a str],
}

/// Writes what a scan wants as Parquet, a bounded batch at a time.
pub struct WantedWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    text: [StringBuilder; 5],
    file_id: Int64Builder,
    requested: BooleanBuilder,
    retry: BooleanBuilder,
    datasets: ListBuilder<StringBuilder>,
    rows: usize,
}

impl<W: Write + Send> WantedWriter<W> {
    /// A writer onto a sink of bytes.
    ///
    /// # Errors
    /// If the file's head can't be written.
    pub fn new(sink: W) -> Result<Self, PlanError> {
        Ok(Self {
            writer: ArrowWriter::try_new(sink, Arc::clone(&WANTED_SCHEMA), Some(properties(GROUP_ROWS)))?,
            text: Default::default(),
            file_id: Int64Builder::new(),
            requested: BooleanBuilder::new(),
            retry: BooleanBuilder::new(),
            datasets: ListBuilder::new(StringBuilder::new()),
            rows: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// If the sink takes no more.
    pub fn push(&mut self, wanted: &Wanted<'_>) -> Result<(), PlanError> {
        let values = [wanted.path, wanted.lane.name(), wanted.content_key, wanted.fingerprint, wanted.limits];
        for (builder, value) in self.text.iter_mut().zip(values) {
            builder.append_value(value);
        }
        self.file_id.append_value(wanted.file_id);
        self.requested.append_value(!wanted.datasets.is_empty());
        self.retry.append_value(wanted.retry);
        for dataset in wanted.datasets {
            self.datasets.values().append_value(dataset);
        }
        self.datasets.append(true);
        self.rows += 1;
        if self.rows == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), PlanError> {
        self.rows = 0;
        let [path, lane, content_key, fingerprint, limits] =
            self.text.each_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let batch = RecordBatch::try_new(
            Arc::clone(&WANTED_SCHEMA),
            vec![
                path,
                Arc::new(self.file_id.finish()),
                lane,
                content_key,
                fingerprint,
                limits,
                Arc::new(self.requested.finish()),
                Arc::new(self.retry.finish()),
                Arc::new(self.datasets.finish()),
            ],
        )?;
        Ok(self.writer.write(&batch)?)
    }

    /// Ends the file and gives the sink back.
    ///
    /// # Errors
    /// If the sink takes no more.
    pub fn finish(mut self) -> Result<W, PlanError> {
        self.flush()?;
        Ok(self.writer.into_inner()?)
    }
}

/// The lanes whose rows decide what a run does on this base: those it asks for, and those that the repository has facts
/// of, which lose the rows of files that changed.
pub fn lanes_of(request: &RunRequest, base: &Base) -> BTreeSet<LaneId> {
    let held = base.rows().into_keys();
    held.chain(request.datasets.iter().cloned()).filter_map(|name| dataset(&name)?.lane).collect()
}

/// What a run wants of some lanes: of which datasets, at which fingerprints.
pub struct Wants<'r> {
    request: &'r RunRequest,
    lanes: Vec<(LaneId, Vec<&'r str>)>,
    fingerprints: Fingerprints<'r>,
    limits: String,
}

impl<'r> Wants<'r> {
    /// What the request wants of these lanes.
    pub fn new(request: &'r RunRequest, lanes: &BTreeSet<LaneId>) -> Self {
        let of_lane = |lane: LaneId| {
            let asked = request.datasets.iter().map(String::as_str);
            (lane, asked.filter(|name| dataset(name).is_some_and(|d| d.lane == Some(lane))).collect())
        };
        Self {
            request,
            lanes: lanes.iter().copied().map(of_lane).collect(),
            fingerprints: Fingerprints::new(&request.options),
            limits: limits_hash(&request.limits),
        }
    }

    /// Whether the run asks for anything of a file.
    pub fn takes(&self, meta: &FileMeta) -> bool {
        let mut accepting = self.lanes.iter().filter(|(lane, asked)| !asked.is_empty() && lane.accepts(meta));
        accepting.any(|(lane, asked)| asked.iter().any(|name| lane.gives(name, meta)))
    }

    /// Hands on what is wanted of a file, a row a lane.
    ///
    /// # Errors
    /// What `row` says.
    pub fn of_file(
        &mut self,
        meta: &FileMeta,
        keys: &ContentKeys,
        mut row: impl FnMut(&Wanted<'_>) -> Result<(), PlanError>,
    ) -> Result<(), PlanError> {
        let mut datasets: Vec<&str> = vec![];
        for (lane, asked) in self.lanes.iter().filter(|(lane, _)| lane.accepts(meta)) {
            datasets.clear();
            datasets.extend(asked.iter().filter(|name| lane.gives(name, meta)));
            row(&Wanted {
                path: &meta.path,
                file_id: meta.file_id,
                lane: *lane,
                content_key: keys.of(*lane),
                fingerprint: self.fingerprints.of(*lane, meta),
                limits: &self.limits,
                retry: self.request.retried.contains(&(meta.file_id, *lane)),
                datasets: &datasets,
            })?;
        }
        Ok(())
    }
}
