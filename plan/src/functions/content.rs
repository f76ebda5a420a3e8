//! Extractors as scalar functions: `ast_defs(content)`, `ts_defs(content, language)`, `cst_defs(content, path)`, … each a
//! list of structs for `UNNEST`. Content is Python where no language is named; a path names the module.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, ListArray, StringArray, StructArray, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use lode_facts::catalog::Dataset;
use lode_facts::extract::{FileRequest, LaneRequest};
use lode_facts::file::{FileKind, FileMeta};
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::Limits;

use super::check_interpreter;
use crate::host::HostHandle;

/// Files a call of the host takes at a time.
const GROUP: usize = 256;

/// The function of one dataset.
#[derive(Debug)]
pub struct ContentFunction {
    dataset: &'static Dataset,
    lane: LaneId,
    signature: Signature,
    host: Option<HostHandle>,
}

impl PartialEq for ContentFunction {
    fn eq(&self, other: &Self) -> bool {
        self.dataset.name == other.dataset.name
    }
}

impl Eq for ContentFunction {}

impl Hash for ContentFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.dataset.name.hash(state);
    }
}

impl ContentFunction {
    /// The function that fills a dataset of a content lane.
    pub fn new(dataset: &'static Dataset, host: Option<HostHandle>) -> Self {
        let lane = dataset.lane.expect("functions are made of datasets that a lane fills");
        let contents =
            [DataType::Utf8, DataType::Utf8View, DataType::LargeUtf8, DataType::Binary, DataType::BinaryView];
        let texts = [DataType::Utf8, DataType::Utf8View];
        let signatures = contents.iter().flat_map(|content| {
            let alone = (lane != LaneId::Ts).then(|| vec![content.clone()]);
            let second = texts.iter().filter(|_| matches!(lane, LaneId::Ts | LaneId::Cst | LaneId::Bytecode));
            let both = second.map(|text| vec![content.clone(), text.clone()]);
            alone.into_iter().chain(both).map(TypeSignature::Exact).collect::<Vec<_>>()
        });
        let signature = Signature::one_of(signatures.collect(), Volatility::Immutable);
        Self { dataset, lane, signature, host }
    }

    fn fields(&self) -> Fields {
        self.dataset.columns.iter().map(|c| Field::new(c.name, c.ty.stored(), c.nullable)).collect()
    }

    fn item(&self) -> Arc<Field> {
        Arc::new(Field::new_list_field(DataType::Struct(self.fields()), true))
    }

    fn request(&self, second: Option<&str>, size: usize) -> Result<FileRequest> {
        let (language, path) = match self.lane {
            LaneId::Ts => (self.language(second)?, ""),
            _ => (Language::Python, second.unwrap_or("")),
        };
        let meta = FileMeta {
            repo: String::new(),
            path: path.into(),
            path_bytes: None,
            file_id: 0,
            kind: FileKind::File,
            size: size as i64,
            sha256: None,
            mode: 0o100_644,
            git_blob: None,
            tracked: None,
            language: Some(language),
            included: true,
            rule: String::new(),
        };
        let lanes = vec![LaneRequest { lane: self.lane, datasets: vec![self.dataset.name.into()] }];
        Ok(FileRequest { meta, lanes })
    }

    fn language(&self, name: Option<&str>) -> Result<Language> {
        let Some(name) = name else { return exec_err!("{} needs a language", self.dataset.name) };
        let unknown = || DataFusionError::Execution(format!("{}: no language {name:?}", self.dataset.name));
        Language::by_name(name).ok_or_else(unknown)
    }
}

impl ScalarUDFImpl for ContentFunction {
    fn name(&self) -> &str {
        self.dataset.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        check_interpreter(self.dataset, self.host.as_ref())?;
        Ok(DataType::List(self.item()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(host) = &self.host else {
            return exec_err!("{} can't run here: this process has no extraction host", self.dataset.name);
        };
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let contents = cast(&arrays[0], &DataType::Binary)?;
        let contents: &BinaryArray = contents.as_binary();
        let second = match arrays.get(1) {
            Some(array) => Some(cast(array, &DataType::Utf8)?.as_string::<i32>().clone()),
            None => None,
        };
        let lists = self.lists(host, contents, second.as_ref())?;
        Ok(ColumnarValue::Array(lists))
    }
}

impl ContentFunction {
    fn lists(&self, host: &HostHandle, contents: &BinaryArray, second: Option<&StringArray>) -> Result<ArrayRef> {
        let mut lengths = vec![0usize; contents.len()];
        let mut valid = vec![false; contents.len()];
        let mut batches: Vec<StructArray> = vec![];
        let rows: Vec<usize> = (0..contents.len()).filter(|row| contents.is_valid(*row)).collect();
        for group in rows.chunks(GROUP) {
            let mut files = Vec::with_capacity(group.len());
            for row in group {
                let content = contents.value(*row).to_vec();
                let second = second.filter(|second| second.is_valid(*row)).map(|second| second.value(*row));
                files.push((self.request(second, content.len())?, content));
            }
            let output = block_on(host.0.extract_contents(host.0.function_options(), &Limits::default(), files))?;
            for (row, report) in group.iter().zip(&output.files) {
                let done = report.lanes.iter().flat_map(|lane| &lane.datasets).find(|d| d.dataset == self.dataset.name);
                if let Some(done) = done {
                    lengths[*row] = done.rows as usize;
                    valid[*row] = true;
                }
            }
            for (_, rows) in output.tables.iter().filter(|(dataset, _)| dataset.name == self.dataset.name) {
                let batch = rows.batch(&self.dataset.facts_schema())?;
                let columns = self.fields();
                let stored = columns.iter().zip(batch.columns()).map(|(field, column)| cast(column, field.data_type()));
                let stored = stored.collect::<std::result::Result<Vec<_>, _>>()?;
                batches.push(StructArray::try_new(columns, stored, None)?);
            }
        }
        let values: ArrayRef = if batches.is_empty() {
            new_null_array(&DataType::Struct(self.fields()), 0)
        } else {
            let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch as &dyn Array).collect();
            arrow::compute::concat(&parts)?
        };
        let mut offsets = Vec::with_capacity(lengths.len() + 1);
        let mut end = 0i32;
        offsets.push(end);
        for length in lengths {
            end = i32::try_from(length).ok().and_then(|length| end.checked_add(length)).ok_or_else(|| {
                DataFusionError::Execution(format!("{}: too many rows in one batch", self.dataset.name))
            })?;
            offsets.push(end);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let nulls = NullBuffer::from(valid);
        Ok(Arc::new(ListArray::try_new(self.item(), offsets, values, Some(nulls))?))
    }
}

/// Waits for the host from inside a synchronous function. Extraction happens in other processes, so the thread that
/// waits is the only one blocked.
fn block_on<T: Send>(future: impl Future<Output = std::io::Result<T>> + Send) -> Result<T> {
    let runtime = tokio::runtime::Handle::current();
    let wait = || runtime.block_on(future);
    let result = match runtime.runtime_flavor() {
        tokio::runtime::RuntimeFlavor::MultiThread => tokio::task::block_in_place(wait),
        _ => std::thread::scope(|scope| {
            scope.spawn(wait).join().map_err(|_| std::io::Error::other("extraction panicked"))
        })?,
    };
    result.map_err(DataFusionError::IoError)
}
