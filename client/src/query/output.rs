//! Rows to bytes, a batch at a time.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use arrow::util::pretty::{pretty_format_batches_with_options, pretty_format_batches_with_schema};
use clap::ValueEnum;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::QueryError;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people. A long result is a sequence of tables.
    Table,
    /// Comma-separated values with a header; lists as text.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }
}

/// Rows of one table for people: enough for a screen's scroll, few enough to hold.
const TABLE_ROWS: usize = 1_000;

enum Writer<W: Write + Send> {
    Table { out: W, schema: SchemaRef, held: Vec<RecordBatch>, rows: usize, tables: usize },
    Csv { out: Box<arrow::csv::Writer<W>>, schema: SchemaRef },
    Jsonl(arrow::json::LineDelimitedWriter<W>),
    Arrow(arrow::ipc::writer::StreamWriter<W>),
    Parquet(Box<ArrowWriter<W>>),
}

/// Writes a result. Returns the number of rows.
///
/// # Errors
/// If the query fails on the way, the format can't hold the rows, or nobody takes them. A reader that has read enough is
/// no error.
pub async fn write(
    mut rows: SendableRecordBatchStream,
    format: Format,
    out: impl Write + Send,
) -> Result<u64, QueryError> {
    let closed = AtomicBool::new(false);
    let out = Watched { out, closed: &closed };
    // A closed pipe means that the reader has read enough.
    let fail = |error| if closed.load(Relaxed) { Ok(()) } else { Err(failure(error, format)) };
    let mut writer = match Writer::new(out, format, rows.schema()) {
        Ok(writer) => writer,
        Err(error) => return fail(error).map(|()| 0),
    };
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows() as u64;
        if let Err(error) = writer.write(batch) {
            return fail(error).map(|()| count);
        }
    }
    match writer.finish() {
        Ok(()) => Ok(count),
        Err(error) => fail(error).map(|()| count),
    }
}

fn failure(error: ArrowError, format: Format) -> QueryError {
    match error {
        ArrowError::IoError(_, error) => QueryError::Output(error),
        source => QueryError::Format { format: format.name(), source },
    }
}

/// Notes that nobody reads any more: not every writer passes the error on as it was.
struct Watched<'a, W> {
    out: W,
    closed: &'a AtomicBool,
}

impl<W> Watched<'_, W> {
    fn watch<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| self.closed.store(error.kind() == io::ErrorKind::BrokenPipe, Relaxed))
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.out.write(bytes);
        self.watch(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.watch(result)
    }
}

impl<W: Write + Send> Writer<W> {
    fn new(out: W, format: Format, schema: SchemaRef) -> Result<Self, ArrowError> {
        Ok(match format {
            Format::Table => Self::Table { out, schema, held: vec![], rows: 0, tables: 0 },
            Format::Csv => {
                let schema = flat(&schema);
                let mut out = arrow::csv::Writer::new(out);
                // The header comes with the first batch, also when there are no rows.
                out.write(&RecordBatch::new_empty(schema.clone()))?;
                Self::Csv { out: Box::new(out), schema }
            }
            Format::Jsonl => {
                let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
                Self::Jsonl(builder.build::<_, arrow::json::writer::LineDelimited>(out))
            }
            Format::Arrow => Self::Arrow(arrow::ipc::writer::StreamWriter::try_new(out, &schema)?),
            Format::Parquet => {
                let zstd = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(zstd).build();
                Self::Parquet(Box::new(ArrowWriter::try_new(out, schema, Some(properties)).map_err(parquet)?))
            }
        })
    }

    fn write(&mut self, batch: RecordBatch) -> Result<(), ArrowError> {
        match self {
            Self::Table { out, schema, held, rows, tables } => {
                let mut rest = batch;
                while rest.num_rows() > 0 {
                    let take = rest.num_rows().min(TABLE_ROWS - *rows);
                    held.push(rest.slice(0, take));
                    *rows += take;
                    rest = rest.slice(take, rest.num_rows() - take);
                    if *rows == TABLE_ROWS {
                        table(out, schema, held)?;
                        *rows = 0;
                        *tables += 1;
                    }
                }
                Ok(())
            }
            Self::Csv { out, schema } => {
                let columns = batch.columns().iter().zip(schema.fields());
                let columns =
                    columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
                out.write(&RecordBatch::try_new(schema.clone(), columns)?)
            }
            Self::Jsonl(out) => out.write(&batch),
            Self::Arrow(out) => out.write(&batch),
            Self::Parquet(out) => out.write(&batch).map_err(parquet),
        }
    }

    fn finish(self) -> Result<(), ArrowError> {
        match self {
            Self::Table { mut out, schema, mut held, tables, .. } => {
                if tables == 0 || !held.is_empty() {
                    table(&mut out, &schema, &mut held)?;
                }
                Ok(out.flush()?)
            }
            Self::Csv { out, .. } => Ok(out.into_inner().flush()?),
            Self::Jsonl(mut out) => {
                out.finish()?;
                Ok(out.into_inner().flush()?)
            }
            Self::Arrow(mut out) => {
                out.finish()?;
                Ok(out.into_inner()?.flush()?)
            }
            Self::Parquet(out) => Ok(out.into_inner().map_err(parquet)?.flush()?),
        }
    }
}

fn table(out: &mut impl Write, schema: &SchemaRef, held: &mut Vec<RecordBatch>) -> Result<(), ArrowError> {
    let text = match held.is_empty() {
        true => pretty_format_batches_with_schema(schema.clone(), &[])?.to_string(),
        false => pretty_format_batches_with_options(held, &FormatOptions::default().with_null("NULL"))?.to_string(),
    };
    held.clear();
    Ok(writeln!(out, "{text}")?)
}

fn parquet(error: ::parquet::errors::ParquetError) -> ArrowError {
    match error {
        ::parquet::errors::ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => ArrowError::IoError("parquet".into(), *error),
            Err(error) => ArrowError::ExternalError(error),
        },
        other => other.into(),
    }
}

/// The schema with text for what CSV has no way to write.
fn flat(schema: &Schema) -> SchemaRef {
    let field = |field: &Field| match field.data_type() {
        nested if nested.is_nested() => field.clone().with_data_type(DataType::Utf8),
        _ => field.clone(),
    };
    Schema::new(schema.fields().iter().map(|f| field(f)).collect::<Vec<_>>()).into()
}

#[cfg(test)]
mod tests {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn written(sql: &str, format: Format) -> Vec<u8> {
        let rows = SessionContext::new().sql(sql).await.unwrap().execute_stream().await.unwrap();
        let mut out = vec![];
        write(rows, format, &mut out).await.unwrap();
        out
    }

    const SQL: &str =
        "SELECT * FROM (VALUES (1, 'a,b', make_array(1, 2)), (2, NULL, make_array(3))) AS t(n, text, list) ORDER BY n";

    #[tokio::test]
    async fn text_formats() {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert_eq!(text(written(SQL, Format::Csv).await), "n,text,list\n1,\"a,b\",\"[1, 2]\"\n2,,[3]\n");
        assert_eq!(
            text(written(SQL, Format::Jsonl).await),
            "{\"n\":1,\"text\":\"a,b\",\"list\":[1,2]}\n{\"n\":2,\"text\":null,\"list\":[3]}\n"
        );
        insta::assert_snapshot!(text(written(SQL, Format::Table).await), @r"
        +---+------+--------+
        | n | text | list   |
        +---+------+--------+
        | 1 | a,b  | [1, 2] |
        | 2 | NULL | [3]    |
        +---+------+--------+
        ");
    }

    #[tokio::test]
    async fn no_rows_still_have_columns() {
        let sql = "SELECT 1 AS n WHERE false";
        assert_eq!(written(sql, Format::Csv).await, b"n\n");
        assert_eq!(written(sql, Format::Jsonl).await, b"");
        let table = String::from_utf8(written(sql, Format::Table).await).unwrap();
        assert!(table.contains("| n |"), "{table}");
    }

    #[tokio::test]
    async fn long_results_are_several_tables() {
        let table = String::from_utf8(written("SELECT value FROM range(2500)", Format::Table).await).unwrap();
        assert_eq!(table.matches("| value |").count(), 3);
        assert_eq!(table.lines().count(), 2500 + 3 * 4);
    }

    #[tokio::test]
    async fn binary_formats_read_back() {
        let arrow = written(SQL, Format::Arrow).await;
        let rows: usize = arrow::ipc::reader::StreamReader::try_new(&arrow[..], None)
            .unwrap()
            .map(|batch| batch.unwrap().num_rows())
            .sum();
        assert_eq!(rows, 2);
        let file = bytes::Bytes::from(written(SQL, Format::Parquet).await);
        let file = SerializedFileReader::new(file).unwrap();
        assert_eq!(file.metadata().file_metadata().num_rows(), 2);
    }

    #[tokio::test]
    async fn a_closed_pipe_is_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for format in [Format::Table, Format::Csv, Format::Jsonl, Format::Arrow, Format::Parquet] {
            let rows = SessionContext::new().sql("SELECT 1").await.unwrap().execute_stream().await.unwrap();
            write(rows, format, Closed).await.unwrap();
        }
    }
}
