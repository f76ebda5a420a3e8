//! New rows of one dataset, from a group of files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, RunArray, StringArray, UInt8Array,
};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use lode_encode::{EncodedRows, Rows};
use lode_facts::catalog::Dataset;
use parquet::errors::ParquetError;

use crate::error::{LakeError, Result};

/// New rows of one dataset, with what they are as soon as somebody asks for their columns.
pub(crate) struct NewRows {
    dataset: &'static Dataset,
    identity: Option<Identity>,
    /// Columns after those of `identity`.
    rows: Rows,
    batch: OnceLock<RecordBatch>,
}

/// Whose rows they are.
struct Identity {
    repo: String,
    /// Files that have rows: path, id, and how many.
    files: Vec<(String, i64, usize)>,
}

impl NewRows {
    /// Rows with all columns of the table's files, in any encoding.
    pub(crate) fn plain(dataset: &'static Dataset, batch: RecordBatch) -> Self {
        Self { dataset, identity: None, rows: Rows::Plain(batch.clone()), batch: OnceLock::from(batch) }
    }

    /// Facts of files that each have so many rows. Whose they are is not for who extracted them to say.
    pub(crate) fn facts<'a>(
        dataset: &'static Dataset,
        repo: &str,
        files: impl Iterator<Item = (&'a str, i64, usize)>,
        facts: Rows,
    ) -> Self {
        let files = files.filter(|(_, _, rows)| *rows > 0).map(|(path, id, rows)| (path.to_owned(), id, rows));
        let identity = Identity { repo: repo.to_owned(), files: files.collect() };
        Self { dataset, identity: Some(identity), rows: facts, batch: OnceLock::new() }
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows.rows()
    }

    /// The identity columns, in runs, and the rest behind them, if that is encoded already.
    ///
    /// # Errors
    /// If there are more rows than Arrow can number.
    pub(crate) fn encoded(&self) -> Result<Option<(Vec<ArrayRef>, &EncodedRows)>> {
        let (Rows::Encoded(encoded), Some(identity)) = (&self.rows, &self.identity) else { return Ok(None) };
        let runs = identity.runs().map_err(LakeError::arrow(self.dataset.name))?;
        Ok(Some((runs, encoded)))
    }

    /// All columns.
    pub(crate) fn batch(&self) -> Result<&RecordBatch> {
        if self.batch.get().is_none() {
            let name = self.dataset.name;
            let decode = || self.rows.batch(&self.dataset.facts_schema());
            // Whoever encoded them may have been overrun by what it read.
            let facts = catch_unwind(AssertUnwindSafe(decode))
                .unwrap_or_else(|_| Err(ParquetError::General("the pages make no sense".into())));
            let facts = facts.map_err(LakeError::parquet(name, "take over"))?;
            self.check(&facts)?;
            let identity = self.identity.as_ref().map(Identity::columns).unwrap_or_default();
            let (fields, mut columns): (Vec<_>, Vec<_>) = identity.into_iter().unzip();
            let fields = fields.into_iter().map(Arc::new).chain(facts.schema_ref().fields().iter().cloned());
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            columns.extend(facts.columns().iter().cloned());
            let batch = RecordBatch::try_new(schema, columns).map_err(LakeError::arrow(name))?;
            let _ = self.batch.set(batch);
        }
        self.batch.get().ok_or_else(|| LakeError::Task("rows without columns".into()))
    }

    fn check(&self, facts: &RecordBatch) -> Result<()> {
        let missing = self.dataset.columns.iter().enumerate().find(|(position, column)| {
            facts.schema_ref().fields().get(*position).is_none_or(|field| field.name() != column.name)
        });
        let reason = || "the rows that came don't have it in its place".to_owned();
        missing.map_or(Ok(()), |(_, column)| {
            Err(LakeError::Schema { table: self.dataset.name.into(), column: column.name.into(), reason: reason() })
        })
    }
}

impl Identity {
    /// Its columns by the row.
    fn columns(&self) -> Vec<(Field, ArrayRef)> {
        identity_columns(&self.repo, self.files.iter().map(|(path, id, rows)| (path.as_str(), *id, *rows)))
    }

    /// Its columns by the file.
    fn runs(&self) -> std::result::Result<Vec<ArrayRef>, ArrowError> {
        let mut end = 0usize;
        let ends = self.files.iter().map(|(_, _, rows)| {
            end += rows;
            i32::try_from(end).map_err(|_| ArrowError::InvalidArgumentError("too many rows in a group".into()))
        });
        let ends = Int32Array::from(ends.collect::<std::result::Result<Vec<_>, _>>()?);
        let all = Int32Array::from_iter_values(ends.values().last().copied());
        let repo = StringArray::from_iter_values(self.files.first().map(|_| &self.repo));
        let paths = StringArray::from_iter_values(self.files.iter().map(|(path, ..)| path));
        let ids = Int64Array::from_iter_values(self.files.iter().map(|(_, id, _)| *id));
        Ok(vec![
            Arc::new(RunArray::try_new(&all, &repo)?),
            Arc::new(RunArray::try_new(&ends, &paths)?),
            Arc::new(RunArray::try_new(&ends, &ids)?),
        ])
    }
}

/// The identity columns of a batch: one run of rows a file.
pub(crate) fn identity_columns<'a>(
    repo: &str,
    files: impl Iterator<Item = (&'a str, i64, usize)> + Clone,
) -> Vec<(Field, ArrayRef)> {
    let rows = files.clone().map(|(_, _, rows)| rows).sum::<usize>();
    let repo_keys = UInt8Array::from(vec![0; rows]);
    let repos: ArrayRef = Arc::new(DictionaryArray::new(repo_keys, Arc::new(StringArray::from(vec![repo]))));
    let mut keys = Vec::with_capacity(rows);
    let mut ids = Vec::with_capacity(rows);
    let mut names = vec![];
    for (path, id, count) in files {
        if count > 0 {
            keys.resize(keys.len() + count, names.len() as i32);
            ids.resize(ids.len() + count, id);
            names.push(path);
        }
    }
    let paths = DictionaryArray::new(Int32Array::from(keys), Arc::new(StringArray::from(names)));
    let column = |name: &str, array: ArrayRef| (Field::new(name, array.data_type().clone(), false), array);
    vec![column("repo", repos), column("path", Arc::new(paths)), column("file_id", Arc::new(Int64Array::from(ids)))]
}
