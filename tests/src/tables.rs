//! The Delta tables of a lake, read through deltalake and DataFusion alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use deltalake::DeltaTableBuilder;
use lode_facts::catalog::{Scope, dataset};
use lode_facts::hash::{row_hashes, rows_hash};
use tokio::runtime::Runtime;
use url::Url;

/// Tables of one lake, or of two side by side: each is registered under its name.
pub struct Tables {
    names: Vec<String>,
    context: SessionContext,
}

/// How many rows a table has, and what they are, whatever their order and shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// Rows.
    pub rows: usize,
    /// Sum of their hashes.
    pub hash: i64,
}

impl Tables {
    /// Opens every table at its latest version.
    pub fn open(lake: &Path) -> Self {
        let context = SessionContext::new();
        let mut names = vec![];
        let entries = std::fs::read_dir(lake).unwrap_or_else(|e| panic!("no lake at {}: {e}", lake.display()));
        for entry in entries.map(|entry| entry.expect("the lake is readable")) {
            if !entry.path().join("_delta_log").is_dir() {
                continue;
            }
            let name = entry.file_name().into_string().expect("table names are UTF-8");
            let url = Url::from_directory_path(entry.path()).expect("an absolute path");
            let provider = block_on(async {
                let table = DeltaTableBuilder::from_url(url)?.load().await?;
                table.table_provider().await
            });
            context
                .register_table(&name, provider.unwrap_or_else(|e| panic!("table {name}: {e}")))
                .expect("names differ");
            names.push(name);
        }
        names.sort();
        Self { names, context }
    }

    /// Names in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Rows of a query.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<RecordBatch> {
        block_on(async { self.context.sql(sql).await?.collect().await }).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// A query's single number.
    #[track_caller]
    pub fn number(&self, sql: &str) -> i64 {
        let batches = self.query(sql);
        let batch = batches.iter().find(|batch| batch.num_rows() > 0).expect("a row");
        let number = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Int64).expect("a number");
        arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&number).value(0)
    }

    /// A query's first column as text.
    #[track_caller]
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let mut texts = vec![];
        for batch in self.query(sql) {
            let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).expect("text");
            let column = arrow::array::AsArray::as_string::<i32>(&column);
            texts.extend(column.iter().map(|value| value.unwrap_or("NULL").to_owned()));
        }
        texts
    }

    /// Rows of a table.
    #[track_caller]
    pub fn count(&self, table: &str) -> usize {
        self.number(&format!("SELECT count(*) FROM {table}")) as usize
    }

    /// Digest of a table without its partition column.
    #[track_caller]
    pub fn digest(&self, table: &str) -> Digest {
        let mut digest = Digest { rows: 0, hash: 0 };
        for batch in self.query(&format!("SELECT {} FROM {table}", columns(table))) {
            let hashes = row_hashes(&batch).expect("types of the catalog");
            digest.rows += batch.num_rows();
            digest.hash = digest.hash.wrapping_add(rows_hash(&hashes));
        }
        digest
    }

    /// Digests of all tables that must not depend on how the lake came to be.
    pub fn digests(&self) -> BTreeMap<&str, Digest> {
        let facts = self.names.iter().filter(|name| is_fact(name));
        facts.map(|name| (name.as_str(), self.digest(name))).collect()
    }

    /// Expects the same fact tables with the same rows.
    #[track_caller]
    pub fn assert_same_facts(&self, other: &Tables) {
        let (left, right) = (self.digests(), other.digests());
        if left == right {
            return;
        }
        let mut report = String::new();
        for (name, digest) in &left {
            match right.get(name) {
                None => report += &format!("{name}: only on the left\n"),
                Some(there) if there != digest => {
                    report += &format!("{name}: {digest:?} against {there:?}\n");
                    report += &self.rows_missing_from(other, name, "only on the left");
                    report += &other.rows_missing_from(self, name, "only on the right");
                }
                Some(_) => {}
            }
        }
        for name in right.keys().filter(|name| !left.contains_key(*name)) {
            report += &format!("{name}: only on the right\n");
        }
        panic!("the lakes differ\n{report}");
    }

    fn rows_missing_from(&self, other: &Tables, table: &str, title: &str) -> String {
        let both = SessionContext::new();
        for (name, tables) in [("here", self), ("there", other)] {
            let provider = block_on(tables.context.table_provider(table)).expect("the table is there");
            both.register_table(name, provider).expect("two names");
        }
        let columns = columns(table);
        let sql = format!("SELECT {columns} FROM here EXCEPT ALL SELECT {columns} FROM there LIMIT 5");
        let rows = block_on(async { both.sql(&sql).await?.collect().await }).expect("equal schemas");
        format!("{title}:\n{}\n", pretty_format_batches(&rows).expect("printable"))
    }
}

/// Columns that equal lakes agree on: where rows are stored and how often a limit was tried is history.
fn columns(table: &str) -> String {
    let Some(dataset) = dataset(table) else { return "*".into() };
    let names = dataset.table_columns().map(|column| column.name);
    let kept = names.filter(|name| !["shard", "attempts"].contains(name));
    // `limit` is a column and a keyword.
    kept.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn is_fact(table: &str) -> bool {
    table == "repos" || dataset(table).is_some_and(|dataset| dataset.scope == Scope::File)
}

/// Runs a future to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime")).block_on(future)
}
