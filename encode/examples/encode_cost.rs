//! What encoding costs: the facts of a directory's Python files, written by the general Parquet writer with the same
//! settings and by this crate, in core-seconds and bytes.
//!
//! `cargo run --release -p lode-encode --example encode_cost -- <directory> [datasets] [rounds]`

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use lode_encode::{FileWriter, properties};
use lode_facts::catalog::dataset;
use lode_facts::extract::{Extractor, FileRequest, LaneRequest};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};
use parquet::arrow::ArrowWriter;

/// Source of a group, in bytes.
const GROUP_BYTES: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |i: usize, default: &str| arguments.get(i).map_or(default, String::as_str).to_owned();
    let names: Vec<String> = argument(1, "ast_nodes").split(',').map(str::to_owned).collect();
    let rounds: usize = argument(2, "3").parse()?;
    let mut out = std::io::stdout();
    for name in names {
        let dataset = dataset(&name).ok_or("no such dataset")?;
        let batches = batches(Path::new(&argument(0, ".")), dataset.lane.ok_or("no lane")?, &name)?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let schema = dataset.file_schema();
        let (mut general, mut own) = ((f64::MAX, 0), (f64::MAX, 0));
        for _ in 0..rounds {
            let start = Instant::now();
            let sent = batches.first().ok_or("no rows")?.schema();
            let mut file = ArrowWriter::try_new(vec![], sent, Some(properties(&schema)))?;
            batches.iter().try_for_each(|batch| file.write(batch))?;
            file.finish()?;
            general = (general.0.min(start.elapsed().as_secs_f64()), file.bytes_written());
            let start = Instant::now();
            let mut file = FileWriter::new(vec![], schema.clone())?;
            batches.iter().try_for_each(|batch| file.write(batch))?;
            let (metadata, size) = file.finish()?;
            own = (own.0.min(start.elapsed().as_secs_f64()), size);
            if rounds == 1 {
                for column in metadata.row_groups()[0].columns() {
                    writeln!(
                        out,
                        "  {}: {} -> {}",
                        column.column_path(),
                        column.uncompressed_size(),
                        column.compressed_size()
                    )?;
                }
            }
        }
        for (which, (seconds, bytes)) in [("general", general), ("own", own)] {
            writeln!(
                out,
                "{name} {which}: {rows} rows, {:.0} ns a row, {:.2} M rows/s, {bytes} bytes, {:.2} a row",
                seconds * 1e9 / rows as f64,
                rows as f64 / seconds / 1e6,
                bytes as f64 / rows as f64
            )?;
        }
    }
    Ok(())
}

/// The facts of each group, with the columns that every table opens with.
fn batches(root: &Path, lane: LaneId, dataset: &str) -> Result<Vec<RecordBatch>, Box<dyn Error>> {
    let mut extractor = Extractor::new(&Options::default(), &Limits::default());
    let (mut batches, mut held, mut pending) = (vec![], 0, vec![root.to_path_buf()]);
    while let Some(path) = pending.pop() {
        let kind = std::fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            let mut entries = std::fs::read_dir(&path)?.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<_>>>()?;
            entries.sort();
            pending.extend(entries.into_iter().rev());
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "py") {
            let content = std::fs::read(&path)?;
            let request = request(&path.strip_prefix(root)?.to_string_lossy(), content.len(), lane, dataset);
            extractor.extract(&request, Some(&content));
            held += content.len();
            if held > GROUP_BYTES {
                batches.extend(group(&mut extractor)?);
                held = 0;
            }
        }
    }
    batches.extend(group(&mut extractor)?);
    Ok(batches)
}

fn request(path: &str, size: usize, lane: LaneId, dataset: &str) -> FileRequest {
    let meta = FileMeta::in_scope("repo", path, size, Language::by_name("python"));
    FileRequest { meta, lanes: vec![LaneRequest { lane, datasets: vec![dataset.into()] }] }
}

fn group(extractor: &mut Extractor) -> Result<Option<RecordBatch>, Box<dyn Error>> {
    let output = extractor.finish()?;
    let Some((_, facts)) = output.tables.first() else { return Ok(None) };
    let (mut keys, mut ids, mut paths) = (vec![], vec![], vec![]);
    for (key, file) in output.files.iter().enumerate() {
        let rows = file.lanes.iter().flat_map(|lane| &lane.datasets).map(|report| report.rows as usize).sum::<usize>();
        keys.extend(std::iter::repeat_n(key as i32, rows));
        ids.extend(std::iter::repeat_n(file.file_id, rows));
        paths.push(format!("path/to/file/{}", file.file_id));
    }
    let words = |keys: Vec<i32>, words: Vec<String>| -> ArrayRef {
        Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(keys), Arc::new(StringArray::from(words))))
    };
    let mut columns = vec![words(vec![0; ids.len()], vec!["repo".into()]), words(keys, paths)];
    columns.push(Arc::new(Int64Array::from(ids)));
    columns.extend(facts.columns().iter().cloned());
    Ok(Some(RecordBatch::try_new(schema(facts), columns)?))
}

fn schema(facts: &RecordBatch) -> SchemaRef {
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let own = [("repo", text.clone()), ("path", text), ("file_id", DataType::Int64)];
    let own = own.into_iter().map(|(name, ty)| Arc::new(Field::new(name, ty, false)));
    Arc::new(Schema::new(own.chain(facts.schema().fields().iter().cloned()).collect::<Vec<_>>()))
}
