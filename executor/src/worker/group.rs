//! Groups of files on their way to a worker and back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use lode_encode::{EncodedRows, Rows};
use lode_facts::catalog::{Dataset, dataset};
use lode_facts::extract::{FileReport, FileRequest, LaneStatus};
use lode_facts::lane::LaneId;
use lode_facts::options::Limits;
use lode_plan::host::GroupFacts;

use super::child::{Form, OrderItem, Reply};
use super::parcel::{Draft, Label, Parcel};
use super::verdict::{Limit, Verdict};

/// Where the bytes of a file are.
#[derive(Debug)]
pub enum Content {
    /// In memory.
    Bytes(bytes::Bytes),
    /// In an open file, from its start to its end. The kernel copies them to the worker.
    File(File),
    /// In a range of an open file, which reaches that far.
    Part(Arc<File>, Range<u64>),
}

/// What became of a group of files.
#[derive(Debug, Default)]
pub struct GroupResult {
    /// Reports and facts, in the order of the files.
    pub output: GroupFacts,
    /// CPU time of workers, also of attempts that failed.
    pub cpu: Duration,
    /// The file that took longest, and how long it took.
    pub slowest: Option<(usize, Duration)>,
    /// The most memory that a worker had in RAM so far, in bytes.
    pub peak_rss: u64,
    /// How often workers died at a file, for files where one did.
    pub attempts: BTreeMap<usize, u32>,
}

impl GroupResult {
    /// Takes note of the time a file took.
    pub(super) fn took(&mut self, index: usize, elapsed: Duration) {
        if self.slowest.is_none_or(|(_, most)| elapsed > most) {
            self.slowest = Some((index, elapsed));
        }
    }
}

/// Files of a group, with their content.
pub(super) type Files = Vec<(FileRequest, Option<Content>)>;

/// What the worker is sent, and what needs no worker.
pub(super) struct Order {
    /// What the parcel lies in, to be used for another one when this is answered.
    pub(super) file: File,
    pub(super) parcel: OwnedFd,
    pub(super) label: Label,
    /// Positions in the group of the files that are sent.
    pub(super) sent: Vec<usize>,
    /// Files that don't reach the worker.
    pub(super) settled: BTreeMap<usize, LaneStatus>,
}

impl Order {
    /// Packs a range of a group, into the file of an earlier order if there is one.
    pub(super) fn pack(files: &Files, range: Range<usize>, limits: &Limits, earlier: Option<File>) -> io::Result<Self> {
        let mut draft = earlier.map_or_else(Draft::new, Draft::again)?;
        let (mut sent, mut settled, mut items) = (vec![], BTreeMap::new(), vec![]);
        for index in range {
            let (request, content) = &files[index];
            match pack_content(&mut draft, content.as_ref(), limits)? {
                Ok(content) => {
                    sent.push(index);
                    items.push(OrderItem { request, content });
                }
                Err(status) => {
                    settled.insert(index, status);
                }
            }
        }
        let (file, parcel, label) = draft.lend(&serde_json::to_vec(&items)?)?;
        Ok(Self { file, parcel, label, sent, settled })
    }
}

type Packed = Result<Option<Range<u64>>, LaneStatus>;

fn pack_content(draft: &mut Draft, content: Option<&Content>, limits: &Limits) -> io::Result<Packed> {
    let range = match content {
        None => return Ok(Ok(None)),
        Some(Content::Bytes(bytes)) if bytes.len() as u64 > limits.file_bytes => return Ok(Err(too_large(limits))),
        Some(Content::Bytes(bytes)) => draft.bytes(bytes)?,
        Some(Content::Part(_, range)) if range.end - range.start > limits.file_bytes => {
            return Ok(Err(too_large(limits)));
        }
        Some(Content::Part(file, range)) => {
            let packed = draft.file(file, range.clone())?;
            if packed.end - packed.start < range.end - range.start {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            packed
        }
        Some(Content::File(file)) => match draft.file(file, 0..limits.file_bytes.saturating_add(1)) {
            Ok(range) if range.end - range.start > limits.file_bytes => return Ok(Err(too_large(limits))),
            Ok(range) => range,
            Err(error) => {
                return Ok(Err(unread(&error)));
            }
        },
    };
    Ok(Ok(Some(range)))
}

/// What is said of a file that was opened and can't be read.
pub fn unread(error: &io::Error) -> LaneStatus {
    let message = format!("can't read the file: {}", error.kind());
    LaneStatus::Failed { reason: "unreadable".into(), message }
}

fn too_large(limits: &Limits) -> LaneStatus {
    let message = format!("larger than {} bytes", limits.file_bytes);
    Verdict { limit: Limit::FileBytes, message }.status()
}

/// A reply that was found good.
pub(super) struct Accepted {
    pub(super) output: GroupFacts,
    pub(super) reply: Reply,
}

/// Decodes a reply in place. Nothing in it is believed, as a worker may have been overrun by what it read; only the pages
/// of encoded rows are taken over unread.
pub(super) fn accept(parcel: &Parcel, files: &Files, sent: &[usize]) -> Result<Accepted, String> {
    let mut reply: Reply = serde_json::from_slice(parcel.head()).map_err(|e| e.to_string())?;
    let reports = std::mem::take(&mut reply.files);
    let ids = sent.iter().map(|index| files[*index].0.meta.file_id);
    if !reports.iter().map(|r| r.file_id).eq(ids) {
        return Err("the reports are of other files".into());
    }
    let mut tables: Vec<(&'static Dataset, Rows)> = vec![];
    for table in &reply.tables {
        let dataset = dataset(&table.dataset).ok_or("facts of an unknown dataset")?;
        if tables.iter().any(|(known, _)| known.name == dataset.name) {
            return Err(format!("facts of {} twice", dataset.name));
        }
        let bytes = parcel.part(&table.bytes).ok_or("facts outside of the parcel")?;
        // The decoders check what they decode, but metadata can also make them panic.
        let open = || match table.form {
            Form::Columns => decode(Buffer::from(bytes), dataset).map(Rows::Plain).map_err(|e| e.to_string()),
            Form::Encoded => {
                EncodedRows::open(bytes, &dataset.facts_schema()).map(Rows::Encoded).map_err(|e| e.to_string())
            }
        };
        let rows = catch_unwind(AssertUnwindSafe(open)).map_err(|_| "undecodable facts")??;
        tables.push((dataset, rows));
    }
    check_rows(&reports, &tables)?;
    Ok(Accepted { output: GroupFacts { files: reports, tables }, reply })
}

fn decode(mut stream: Buffer, dataset: &'static Dataset) -> Result<RecordBatch, ArrowError> {
    let mut decoder = StreamDecoder::new();
    let batch = decoder.decode(&mut stream)?.ok_or_else(|| ArrowError::IpcError("no facts in the stream".into()))?;
    let schema = dataset.sent_schema();
    if batch.schema() != schema {
        return Err(ArrowError::SchemaError(format!("facts of {} have another schema", dataset.name)));
    }
    RecordBatch::try_new(schema, batch.columns().to_vec())
}

/// Every row must belong to a report: the rows of a file are found by counting.
fn check_rows(reports: &[FileReport], tables: &[(&'static Dataset, Rows)]) -> Result<(), String> {
    let mut rows: BTreeMap<&str, i64> = BTreeMap::new();
    for report in reports.iter().flat_map(|r| &r.lanes).flat_map(|l| &l.datasets) {
        let sum = rows.entry(&report.dataset).or_default();
        *sum = sum.checked_add(report.rows).filter(|_| report.rows >= 0).ok_or("an impossible number of rows")?;
    }
    for (dataset, sent) in tables {
        if rows.remove(dataset.name) != Some(sent.rows() as i64) {
            return Err(format!("reports and facts of {} don't agree", dataset.name));
        }
    }
    if let Some((dataset, _)) = rows.into_iter().find(|(_, rows)| *rows > 0) {
        return Err(format!("facts of {dataset} are missing"));
    }
    Ok(())
}

/// Puts the parts of a group together, with its tables in the order that an extractor gives them.
pub(super) fn merge(
    mut reports: BTreeMap<usize, FileReport>,
    mut parts: Vec<GroupFacts>,
) -> Result<GroupFacts, ArrowError> {
    let files = std::iter::from_fn(|| reports.pop_first().map(|(_, report)| report)).collect();
    if parts.len() <= 1 {
        return Ok(GroupFacts { files, tables: parts.pop().map(|part| part.tables).unwrap_or_default() });
    }
    let mut tables = vec![];
    for dataset in LaneId::ALL.into_iter().flat_map(LaneId::datasets) {
        let stored = dataset.facts_schema();
        let rows = parts.iter().flat_map(|p| &p.tables).filter(|(d, _)| d.name == dataset.name);
        // Workers that die are rare: their groups may cost some more.
        let plain = |rows: &Rows| RecordBatch::try_new(stored.clone(), cast_all(&rows.batch(&stored)?, &stored)?);
        let batches = rows.map(|(_, rows)| plain(rows)).collect::<Result<Vec<_>, _>>()?;
        if !batches.is_empty() {
            tables.push((dataset, Rows::Plain(concat_batches(&stored, &batches)?)));
        }
    }
    Ok(GroupFacts { files, tables })
}

fn cast_all(batch: &RecordBatch, schema: &SchemaRef) -> Result<Vec<ArrayRef>, ArrowError> {
    batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type())).collect()
}
