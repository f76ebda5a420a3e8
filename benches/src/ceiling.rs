//! The bare loop: the same extractors, columns, encoder and Parquet settings as Lode, as many threads, and nothing else.
//! No engine, no isolation, no Delta. With the general Parquet writer it is the loop that others would write.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use lode_encode::FileWriter;
use lode_facts::catalog::{Dataset, dataset};
use lode_facts::extract::{Extractor, FileReport, FileRequest, GroupOutput, LaneRequest};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};
use parquet::arrow::ArrowWriter;

/// Facts of so many bytes are written at once.
const GROUP_BYTES: usize = 16 << 20;

/// What to do.
#[derive(clap::Args)]
pub struct Args {
    root: PathBuf,
    out: PathBuf,
    #[arg(long)]
    threads: usize,
    #[arg(long, value_delimiter = ',')]
    datasets: Vec<String>,
    /// Writes with the general Parquet writer instead of Lode's.
    #[arg(long)]
    general: bool,
}

/// Extracts every file and prints how many files and rows there were.
pub fn run(args: &Args) -> io::Result<()> {
    fs::create_dir_all(&args.out)?;
    let mut paths = vec![];
    list(&args.root, "", &mut paths)?;
    let lanes = requests(&args.datasets)?;
    let (next, rows) = (AtomicUsize::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..args.threads.max(1))
            .map(|thread| {
                let (paths, lanes, next, rows) = (&paths, &lanes, &next, &rows);
                // Parsers may recurse as deep as in a worker process.
                let builder = thread::Builder::new().stack_size(64 << 20);
                builder.spawn_scoped(scope, move || -> io::Result<()> {
                    let mut writer = Writer::new(&args.out, thread, args.general);
                    let mut extractor = Extractor::new(&Options::default(), &Limits::default());
                    while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let content = fs::read(args.root.join(path))?;
                        extractor.extract(&request(path, content.len(), lanes), Some(&content));
                        writer.paths.push(path.clone());
                        if extractor.bytes() >= GROUP_BYTES {
                            rows.fetch_add(
                                writer.write(extractor.finish().map_err(io::Error::other)?)?,
                                Ordering::Relaxed,
                            );
                        }
                    }
                    rows.fetch_add(writer.write(extractor.finish().map_err(io::Error::other)?)?, Ordering::Relaxed);
                    writer.close()
                })
            })
            .collect::<io::Result<_>>()?;
        threads.into_iter().try_for_each(|thread| thread.join().expect("extractors do not panic"))
    })?;
    let summary = serde_json::json!({ "files": paths.len(), "rows": rows.into_inner() });
    writeln!(io::stdout().lock(), "{summary}")
}

/// The files below a directory, in order.
pub fn list(root: &Path, below: &str, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type()?.is_dir() { list(root, &path, paths)? } else { paths.push(path) }
    }
    paths.sort();
    Ok(())
}

/// What the lanes of these datasets are asked for.
pub fn requests(datasets: &[String]) -> io::Result<Vec<LaneRequest>> {
    let unknown = datasets.iter().find(|name| dataset(name).is_none());
    if let Some(name) = unknown {
        return Err(io::Error::other(format!("no dataset `{name}`")));
    }
    let of = |lane: LaneId| lane.datasets().map(|d| d.name.to_owned()).filter(|name| datasets.contains(name)).collect();
    let requests = LaneId::ALL.into_iter().map(|lane| LaneRequest { lane, datasets: of(lane) });
    Ok(requests.filter(|request| !request.datasets.is_empty()).collect())
}

/// What is asked of a file.
pub fn request(path: &str, size: usize, lanes: &[LaneRequest]) -> FileRequest {
    let meta = FileMeta::in_scope("bench", path, size, Some(Language::Python));
    FileRequest { meta, lanes: lanes.to_vec() }
}

/// One Parquet file a (thread, dataset).
struct Writer {
    prefix: PathBuf,
    paths: Vec<String>,
    general: bool,
    files: Vec<(&'static str, Output)>,
}

/// Whose encoder writes.
enum Output {
    Own(FileWriter<File>),
    General(ArrowWriter<File>),
}

impl Writer {
    fn new(out: &Path, thread: usize, general: bool) -> Self {
        Self { prefix: out.join(format!("part-{thread}")), paths: vec![], general, files: vec![] }
    }

    /// Writes a group and returns its rows.
    fn write(&mut self, group: GroupOutput) -> io::Result<u64> {
        let paths = StringArray::from(std::mem::take(&mut self.paths));
        let mut rows = 0;
        for (dataset, facts) in &group.tables {
            let batch = with_identity(dataset, facts, &group.files, &paths)?;
            rows += batch.num_rows() as u64;
            let at = match self.files.iter().position(|(name, _)| *name == dataset.name) {
                Some(at) => at,
                None => {
                    let file = File::create(self.prefix.with_extension(format!("{}.parquet", dataset.name)))?;
                    let stored = dataset.file_schema();
                    let output = if self.general {
                        let properties = Some(lode_encode::properties(&stored));
                        Output::General(ArrowWriter::try_new(file, batch.schema(), properties)?)
                    } else {
                        Output::Own(FileWriter::new(file, stored)?)
                    };
                    self.files.push((dataset.name, output));
                    self.files.len() - 1
                }
            };
            match &mut self.files[at].1 {
                Output::Own(file) => file.write(&batch)?,
                Output::General(file) => file.write(&batch)?,
            }
        }
        Ok(rows)
    }

    fn close(self) -> io::Result<()> {
        for (_, output) in self.files {
            match output {
                Output::Own(mut file) => drop(file.finish()?),
                Output::General(file) => drop(file.close()?),
            }
        }
        Ok(())
    }
}

/// The facts with the columns that every table opens with.
fn with_identity(
    dataset: &Dataset,
    facts: &RecordBatch,
    files: &[FileReport],
    paths: &StringArray,
) -> io::Result<RecordBatch> {
    let (mut keys, mut ids) = (Vec::with_capacity(facts.num_rows()), Vec::with_capacity(facts.num_rows()));
    for (key, file) in files.iter().enumerate() {
        let reports = file.lanes.iter().flat_map(|lane| &lane.datasets).filter(|report| report.dataset == dataset.name);
        let rows = reports.map(|report| report.rows as usize).sum::<usize>();
        keys.extend(std::iter::repeat_n(key as i32, rows));
        ids.extend(std::iter::repeat_n(file.file_id, rows));
    }
    let repo = DictionaryArray::<Int32Type>::new(vec![0; ids.len()].into(), Arc::new(StringArray::from(vec!["bench"])));
    let path = DictionaryArray::<Int32Type>::new(Int32Array::from(keys), Arc::new(paths.clone()));
    let mut columns: Vec<ArrayRef> = vec![Arc::new(repo), Arc::new(path), Arc::new(Int64Array::from(ids))];
    columns.extend(facts.columns().iter().cloned());
    RecordBatch::try_new(schema(facts), columns).map_err(io::Error::other)
}

fn schema(facts: &RecordBatch) -> SchemaRef {
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields = vec![
        Field::new("repo", text.clone(), false).into(),
        Field::new("path", text, false).into(),
        Field::new("file_id", DataType::Int64, false).into(),
    ];
    fields.extend(facts.schema().fields().iter().cloned());
    Arc::new(Schema::new(fields))
}
