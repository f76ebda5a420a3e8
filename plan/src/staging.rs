//! Content that travels through the lake: what an epoch's worklist wants of files, packed by whoever plans it, so that
//! executors need to reach nothing else.
//!
//! ```text
//! <folder>/<pack>.pack   contents, one after the other
//! <folder>/<pack>.json   where the content of each file of a range of paths lies
//! <folder>/index.json    the packs and their first paths; created last: a folder with it is complete
//! ```
//!
//! Packs follow the order of paths, as the worklist does, so that a shard's files lie side by side. Equal contents are
//! stored once an epoch.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::prelude::SessionContext;
use lode_facts::extract::LaneStatus;
use lode_facts::file::{FileKind, FileMeta};
use lode_facts::hash::stable_hash;
use lode_lake::layout;
use lode_lake::plan::EpochPlan;
use lode_lake::store::{Lake, PutPayload};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::PlanError;
use crate::host::{ContentSource, FileContent, HostHandle};
use crate::inputs::RunRequest;
use crate::worklist::{Action, work_rows};

/// Content and files of a pack, about. It is read at once.
const PACK_BYTES: i64 = 16 << 20;
const PACK_FILES: usize = 16_384;
/// Tables of packs that a reader keeps.
const KEPT_TABLES: usize = 16;

/// Where the content of a file lies, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Bytes { pack: String, start: u64, end: u64 },
    TooLarge,
    Refused(LaneStatus),
}

/// The packs in order, each with the path of its first file.
type Index = Vec<(String, String)>;
/// The files of a pack by path.
type Table = BTreeMap<String, Entry>;

/// Puts the content that an epoch's worklist wants onto the lake, unless that was done.
///
/// # Errors
/// If the source or the lake can't be read, or the lake takes no more.
pub async fn stage(
    lake: &Lake,
    context: &SessionContext,
    plan: &EpochPlan,
    request: &RunRequest,
) -> Result<(), PlanError> {
    let folder = layout::content(&plan.run_id, plan.epoch);
    if lake.get(&format!("{folder}/index.json")).await?.is_some() {
        return Ok(());
    }
    let host = context.state().config().get_extension::<HostHandle>();
    let host = host.ok_or_else(|| PlanError::worklist("this process can't read content: it has no host".into()))?;
    let mut packer = Packer::new(lake, &host, request, folder);
    // A file's first row carries its record; any of its rows may be the one that wants its content.
    let mut record: Option<FileMeta> = None;
    for shard in &plan.tasks {
        let path = layout::worklist(&plan.run_id, plan.epoch, shard);
        let bytes = lake.get(&path).await?.ok_or_else(|| PlanError::worklist(format!("{path} is missing")))?;
        for batch in ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()? {
            for row in work_rows(&batch?)?.1 {
                record = row.meta.or(record).filter(|meta| meta.file_id == row.file_id);
                if row.action != Action::Delete
                    && let Some(meta) = record.take_if(|meta| meta.included && meta.kind == FileKind::File)
                {
                    packer.want(meta).await?;
                }
            }
        }
    }
    packer.finish().await
}

/// Removes content that was read for the last time. What is left, `lode maintain` takes.
pub async fn clear(lake: &Lake, source: &ContentSource) {
    let ContentSource::Staged { folder, .. } = source else { return };
    if let Err(error) = lake.remove_all(folder).await {
        tracing::warn!(folder, error = &error as &dyn std::error::Error, "staged content is left behind");
    }
}

/// What tells contents apart: their hash at the scan, and, as a file may have been replaced since, a quick one of what was
/// read.
#[derive(PartialEq, Eq, Hash)]
struct Content {
    scanned: String,
    read: u64,
    length: usize,
}

impl Content {
    fn new(scanned: Option<String>, bytes: &[u8]) -> Self {
        let scanned = scanned.unwrap_or_else(|| format!("{:x}", Sha256::digest(bytes)));
        Self { scanned, read: stable_hash(bytes), length: bytes.len() }
    }
}

struct Packer<'a> {
    lake: &'a Lake,
    host: &'a HostHandle,
    request: &'a RunRequest,
    folder: String,
    /// Files of the next pack, in order.
    wanted: Vec<FileMeta>,
    wanted_bytes: i64,
    index: Index,
    stored: HashMap<Content, (String, u64, u64)>,
}

impl<'a> Packer<'a> {
    fn new(lake: &'a Lake, host: &'a HostHandle, request: &'a RunRequest, folder: String) -> Self {
        let (wanted, index) = (vec![], Index::new());
        Self { lake, host, request, folder, wanted, wanted_bytes: 0, index, stored: HashMap::new() }
    }

    async fn want(&mut self, meta: FileMeta) -> Result<(), PlanError> {
        self.wanted_bytes += meta.size;
        self.wanted.push(meta);
        if self.wanted_bytes >= PACK_BYTES || self.wanted.len() >= PACK_FILES {
            self.pack().await?;
        }
        Ok(())
    }

    async fn pack(&mut self) -> Result<(), PlanError> {
        self.wanted_bytes = 0;
        let wanted = std::mem::take(&mut self.wanted);
        let known: Vec<_> = wanted.iter().map(|meta| (meta.path.clone(), meta.sha256.clone())).collect();
        let read = self.host.0.read(&self.request.source, wanted, self.request.limits.file_bytes).await;
        let read = read.map_err(datafusion::error::DataFusionError::IoError)?;

        let name = uuid::Uuid::new_v4().simple().to_string();
        let (mut table, mut contents, mut length) = (Table::new(), vec![], 0);
        for ((path, scanned), content) in known.into_iter().zip(read) {
            let entry = match content {
                FileContent::Bytes(bytes) => {
                    let stored = self.stored.entry(Content::new(scanned, &bytes)).or_insert_with(|| {
                        let start = length;
                        length += bytes.len() as u64;
                        contents.push(bytes);
                        (name.clone(), start, length)
                    });
                    let (pack, start, end) = stored.clone();
                    Entry::Bytes { pack, start, end }
                }
                FileContent::TooLarge => Entry::TooLarge,
                FileContent::Refused(status) => Entry::Refused(status),
            };
            table.insert(path, entry);
        }
        let Some((first, _)) = table.first_key_value() else { return Ok(()) };
        self.index.push((first.clone(), name.clone()));
        self.lake.put_new(&format!("{}/{name}.pack", self.folder), PutPayload::from_iter(contents)).await?;
        self.lake.put_new_json(&format!("{}/{name}.json", self.folder), &table).await?;
        Ok(())
    }

    async fn finish(mut self) -> Result<(), PlanError> {
        self.pack().await?;
        // Another planner of the epoch may have been faster: its packs are as good.
        self.lake.put_new_json(&format!("{}/index.json", self.folder), &self.index).await?;
        Ok(())
    }
}

/// Content that was staged, or what is to be said of it instead.
#[derive(Debug, Clone)]
pub enum StagedContent {
    /// Its bytes.
    Bytes(Bytes),
    /// Where it lies in a file of this machine, which reaches that far.
    Part(Arc<File>, Range<u64>),
    /// It is larger than the limit.
    TooLarge,
    /// It could not be read: the state its lanes end in.
    Refused(LaneStatus),
}

/// Reads staged content.
#[derive(Debug)]
pub struct Staged {
    lake: Lake,
    folder: String,
    index: Index,
    tables: Mutex<BTreeMap<String, Arc<Table>>>,
}

impl Staged {
    /// Opens a folder of a lake.
    ///
    /// # Errors
    /// If it isn't there or can't be read.
    pub async fn open(lake: &str, folder: &str) -> io::Result<Self> {
        let lake = Lake::open(lake).await.map_err(io::Error::other)?;
        let index = lake.require_json(&format!("{folder}/index.json")).await.map_err(io::Error::other)?;
        Ok(Self { lake, folder: folder.to_owned(), index, tables: Mutex::default() })
    }

    /// The contents of files, in their order. On a lake of this machine they are found, but not read.
    ///
    /// # Errors
    /// If the lake can't be read, or holds no content of such a file.
    pub async fn read(&self, paths: &[&str]) -> io::Result<Vec<StagedContent>> {
        let mut contents: Vec<Option<StagedContent>> = vec![None; paths.len()];
        let mut wanted: BTreeMap<String, Vec<(usize, Range<u64>)>> = BTreeMap::new();
        for (place, path) in paths.iter().enumerate() {
            let table = self.table(path).await?;
            match table.get(*path) {
                Some(Entry::Bytes { start, end, .. }) if start == end => {
                    contents[place] = Some(StagedContent::Bytes(Bytes::new()));
                }
                Some(Entry::Bytes { pack, start, end }) => {
                    wanted.entry(pack.clone()).or_default().push((place, *start..*end));
                }
                Some(Entry::TooLarge) => contents[place] = Some(StagedContent::TooLarge),
                Some(Entry::Refused(status)) => contents[place] = Some(StagedContent::Refused(status.clone())),
                None => return Err(io::Error::other(format!("no content of {path:?} was staged"))),
            }
        }
        for (pack, mut places) in wanted {
            places.sort_by_key(|(_, range)| range.start);
            let spans = spans(places.iter().map(|(_, range)| range));
            let path = format!("{}/{pack}.pack", self.folder);
            if let Some(file) = self.lake.open_file(&path).await.map_err(io::Error::other)? {
                let length = file.metadata()?.len();
                if spans.last().is_some_and(|span| span.end > length) {
                    return Err(io::Error::other(format!("{path} is shorter than its table says")));
                }
                let file = Arc::new(file);
                for (place, range) in places {
                    contents[place] = Some(StagedContent::Part(Arc::clone(&file), range));
                }
                continue;
            }
            let read = self.lake.get_ranges(&path, &spans).await.map_err(io::Error::other)?;
            if read.iter().zip(&spans).any(|(bytes, span)| bytes.len() as u64 != span.end - span.start) {
                return Err(io::Error::other(format!("{path} is shorter than its table says")));
            }
            for (place, range) in places {
                let span = spans.partition_point(|span| span.start <= range.start) - 1;
                let within = |at: u64| (at - spans[span].start) as usize;
                contents[place] = Some(StagedContent::Bytes(read[span].slice(within(range.start)..within(range.end))));
            }
        }
        Ok(contents.into_iter().map(|content| content.expect("every place was filled")).collect())
    }

    async fn table(&self, path: &str) -> io::Result<Arc<Table>> {
        let after = self.index.partition_point(|(first, _)| first.as_str() <= path);
        let Some((_, pack)) = after.checked_sub(1).and_then(|place| self.index.get(place)) else {
            return Err(io::Error::other(format!("no content of {path:?} was staged")));
        };
        if let Some(table) = self.tables().get(pack) {
            return Ok(Arc::clone(table));
        }
        let read = self.lake.require_json::<Table>(&format!("{}/{pack}.json", self.folder)).await;
        let table = Arc::new(read.map_err(io::Error::other)?);
        let mut tables = self.tables();
        if tables.len() >= KEPT_TABLES {
            tables.pop_first();
        }
        tables.insert(pack.clone(), Arc::clone(&table));
        Ok(table)
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Table>>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What ranges in order of their starts cover: those that touch are one.
fn spans<'a>(ranges: impl Iterator<Item = &'a Range<u64>>) -> Vec<Range<u64>> {
    let mut spans: Vec<Range<u64>> = vec![];
    for range in ranges {
        match spans.last_mut().filter(|span| range.start <= span.end) {
            Some(span) => span.end = span.end.max(range.end),
            None => spans.push(range.clone()),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[tokio::test]
    async fn a_pack_that_is_too_short_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        too_short(home.path().to_str().unwrap(), |content| match content {
            StagedContent::Part(pack, range) => {
                let mut bytes = vec![0; (range.end - range.start) as usize];
                pack.read_exact_at(&mut bytes, range.start).unwrap();
                bytes
            }
            other => panic!("{other:?}"),
        })
        .await;
        too_short("memory://staging/short", |content| match content {
            StagedContent::Bytes(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        })
        .await;
    }

    async fn too_short(location: &str, bytes_of: impl Fn(&StagedContent) -> Vec<u8>) {
        let lake = Lake::open_or_create(location).await.unwrap();
        let bytes = |start, end| Entry::Bytes { pack: "p".into(), start, end };
        let table = Table::from([("a.py".into(), bytes(0, 4)), ("b.py".into(), bytes(4, 9))]);
        lake.put_new("content/p.pack", PutPayload::from_static(b"12345678")).await.unwrap();
        lake.put_new_json("content/p.json", &table).await.unwrap();
        lake.put_new_json("content/index.json", &Index::from([("a.py".into(), "p".into())])).await.unwrap();
        let staged = Staged::open(location, "content").await.unwrap();
        let read = staged.read(&["a.py"]).await.unwrap();
        assert_eq!(read.iter().map(bytes_of).collect::<Vec<_>>(), [b"1234"]);
        for wanted in [&["b.py"][..], &["a.py", "b.py"]] {
            let error = staged.read(wanted).await.unwrap_err().to_string();
            assert!(error.contains("content/p.pack"), "{error}");
        }
        let error = staged.read(&["0.py"]).await.unwrap_err().to_string();
        assert_eq!(error, "no content of \"0.py\" was staged");
    }

    #[test]
    fn ranges_that_touch_are_read_at_once() {
        let cover = |ranges: &[(u64, u64)]| {
            let ranges: Vec<Range<u64>> = ranges.iter().map(|(start, end)| *start..*end).collect();
            spans(ranges.iter())
        };
        assert_eq!(cover(&[(0, 3), (3, 3), (3, 7), (9, 12), (9, 10), (12, 12)]), [0..7, 9..12]);
        assert_eq!(cover(&[(0, 3), (5, 5)]), [0..3, 5..5]);
        assert!(cover(&[]).is_empty());
    }
}
