//! Extractors as table functions: `files(root, globs)` and `extract(dataset, root, globs)`.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::{StreamExt, stream};
use lode_facts::catalog::{Dataset, Scope, dataset, datasets};
use lode_facts::extract::{FileRequest, LaneRequest};
use lode_facts::file::{FileKind, FileMeta, escape};
use lode_facts::hash::file_id;
use lode_facts::language::{HEAD_BYTES, Language};
use lode_facts::options::Limits;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::check_interpreter;
use crate::host::{ContentSource, ExtractOrder, GroupFacts, HostHandle};

const GROUP_FILES: usize = 64;

/// The table functions.
#[derive(Debug, Clone)]
pub enum FactsTableFunction {
    /// `files(root [, globs])`: the files below a directory, as `repo_files` has them.
    Files,
    /// `extract(dataset, root [, globs])`: the facts of one dataset of the files below a directory.
    Extract {
        /// Who extracts, in this process.
        host: Option<HostHandle>,
    },
}

impl TableFunctionImpl for FactsTableFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let texts = args.exprs().iter().map(|expr| match expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Ok(text.clone()),
            other => plan_err!("a table function of lode takes text literals, not {other}"),
        });
        let texts = texts.collect::<Result<Vec<String>>>()?;
        let (dataset, rest) = match (self, texts.as_slice()) {
            (Self::Files, rest @ [_, ..]) => ("repo_files".to_owned(), rest),
            (Self::Extract { .. }, [dataset, rest @ ..]) if !rest.is_empty() => (dataset.clone(), rest),
            (Self::Files, _) => return plan_err!("files takes a directory and globs: files('src', '*.py')"),
            (Self::Extract { .. }, _) => {
                return plan_err!("extract takes a dataset, a directory and globs: extract('ast_defs', 'src', '*.py')");
            }
        };
        let globs = rest[1..].iter().flat_map(|globs| globs.split(',')).map(|glob| glob.trim().to_owned());
        let globs = globs.filter(|glob| !glob.is_empty()).collect();
        let table = FactsTable::try_new(&dataset, PathBuf::from(&rest[0]), globs)?;
        if let Self::Extract { host } = self {
            check_interpreter(table.dataset()?, host.as_ref())?;
        }
        Ok(Arc::new(table))
    }
}

/// The facts of one dataset of the files below a directory; `.gitignore` is honoured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactsTable {
    dataset: String,
    root: PathBuf,
    globs: Vec<String>,
    projection: Option<Vec<usize>>,
}

impl FactsTable {
    /// A dataset over a directory.
    ///
    /// # Errors
    /// If the dataset is unknown or not made of files, or a glob is wrong.
    pub fn try_new(dataset_name: &str, root: PathBuf, globs: Vec<String>) -> Result<Self> {
        let Some(_) = dataset(dataset_name).filter(|d| d.scope == Scope::File && d.lane.is_some()) else {
            let known = datasets().iter().filter(|d| d.scope == Scope::File && d.lane.is_some()).map(|d| d.name);
            return plan_err!("no dataset {dataset_name:?}; there are {}", known.collect::<Vec<_>>().join(", "));
        };
        let table = Self { dataset: dataset_name.to_owned(), root, globs, projection: None };
        table.walk()?;
        Ok(table)
    }

    fn dataset(&self) -> Result<&'static Dataset> {
        dataset(&self.dataset).ok_or_else(|| DataFusionError::Plan(format!("no dataset {:?}", self.dataset)))
    }

    fn walk(&self) -> Result<ignore::Walk> {
        let wrong = |e: ignore::Error| DataFusionError::Plan(format!("glob: {e}"));
        let mut globs = ignore::overrides::OverrideBuilder::new(&self.root);
        for glob in &self.globs {
            globs.add(glob).map_err(wrong)?;
        }
        let mut walk = ignore::WalkBuilder::new(&self.root);
        walk.hidden(false).follow_links(false).require_git(false).overrides(globs.build().map_err(wrong)?);
        walk.sort_by_file_name(std::ffi::OsStr::cmp).filter_entry(|entry| entry.file_name() != ".git");
        Ok(walk.build())
    }

    fn projected(&self, schema: &SchemaRef) -> Result<SchemaRef> {
        match &self.projection {
            Some(columns) => Ok(Arc::new(schema.project(columns)?)),
            None => Ok(Arc::clone(schema)),
        }
    }
}

#[async_trait]
impl TableProvider for FactsTable {
    fn schema(&self) -> SchemaRef {
        self.dataset().expect("checked when the table was made").file_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(FactsExec::new(Self { projection: projection.cloned(), ..self.clone() })?))
    }
}

/// Walks and extracts in one partition: the cluster would run a leaf with more of them once a task over all.
#[derive(Debug)]
pub struct FactsExec {
    table: FactsTable,
    properties: Arc<PlanProperties>,
}

impl FactsExec {
    /// Over a directory.
    ///
    /// # Errors
    /// If this process doesn't know the dataset.
    pub fn new(table: FactsTable) -> Result<Self> {
        let schema = table.projected(&table.dataset()?.file_schema())?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { table, properties: Arc::new(properties) })
    }

    /// The table it reads.
    pub fn table(&self) -> &FactsTable {
        &self.table
    }
}

impl DisplayAs for FactsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "FactsExec: dataset={} globs={:?}", self.table.dataset, self.table.globs)
    }
}

impl ExecutionPlan for FactsExec {
    fn name(&self) -> &str {
        "FactsExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }
    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }
    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let host = context.session_config().get_extension::<HostHandle>().ok_or_else(|| {
            DataFusionError::Plan("this process can't extract: its session has no extraction host".into())
        })?;
        let dataset = self.table.dataset()?;
        // Planned where there was an interpreter, it may run where there is none.
        check_interpreter(dataset, Some(&host))?;
        let order = ExtractOrder {
            source: ContentSource::Shared { root: self.table.root.clone(), linked: Default::default() },
            options: host.0.function_options().clone(),
            limits: Limits::default(),
        };
        let root = self.table.root.clone();
        let projection = self.table.projection.clone();
        let requests = self.table.walk()?.filter_map(move |entry| request(&root, dataset, entry).transpose());
        let groups = stream::iter(requests).chunks(GROUP_FILES);
        let batches = groups.then(move |group| {
            let (host, order, projection) = (Arc::clone(&host), order.clone(), projection.clone());
            async move {
                let requests = group.into_iter().collect::<Result<Vec<FileRequest>>>()?;
                let paths: Vec<FileMeta> = requests.iter().map(|request| request.meta.clone()).collect();
                let (output, _) = host.0.extract(&order, requests).await.map_err(DataFusionError::IoError)?;
                let batch = with_identity(dataset, &paths, output)?;
                Ok(match projection {
                    Some(columns) => batch.project(&columns)?,
                    None => batch,
                })
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

fn request(
    root: &Path,
    dataset: &Dataset,
    entry: std::result::Result<ignore::DirEntry, ignore::Error>,
) -> Result<Option<FileRequest>> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    let entry = entry.map_err(|e| DataFusionError::Execution(e.to_string()))?;
    if !entry.file_type().is_some_and(|kind| kind.is_file()) {
        return Ok(None);
    }
    let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
    let bytes = relative.as_os_str().as_bytes();
    let path = escape(bytes);
    let metadata = entry.metadata().map_err(|e| DataFusionError::Execution(e.to_string()))?;
    let executable = metadata.permissions().mode() & 0o111 != 0;
    let meta = FileMeta {
        repo: String::new(),
        path_bytes: std::str::from_utf8(bytes).is_err().then(|| bytes.to_vec()),
        file_id: file_id("", bytes),
        kind: FileKind::File,
        size: metadata.len() as i64,
        sha256: None,
        mode: if executable { 0o100_755 } else { 0o100_644 },
        git_blob: None,
        tracked: None,
        language: Language::detect(&path, &head(entry.path())),
        path,
        included: true,
        rule: "default".into(),
    };
    let lane = dataset.lane.ok_or_else(|| DataFusionError::Internal("a dataset of files has a lane".into()))?;
    if !lane.accepts(&meta) {
        return Ok(None);
    }
    Ok(Some(FileRequest { meta, lanes: vec![LaneRequest { lane, datasets: vec![dataset.name.into()] }] }))
}

/// The first bytes of a file, from which its language may follow; none if it can't be read, which its extraction says.
fn head(path: &Path) -> Vec<u8> {
    let mut head = vec![];
    // Between the walk and now the file can have become a link, or a pipe that nobody writes to.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) {
        // What was read before an error is what there is to go by.
        let _ = File::from(file).take(HEAD_BYTES as u64).read_to_end(&mut head);
    }
    head
}

/// Puts the identity columns before a group's facts.
fn with_identity(dataset: &Dataset, files: &[FileMeta], output: GroupFacts) -> Result<RecordBatch> {
    let schema = dataset.file_schema();
    let Some((_, rows)) = output.tables.into_iter().find(|(d, _)| d.name == dataset.name) else {
        return Ok(RecordBatch::new_empty(schema));
    };
    let batch = rows.batch(&dataset.facts_schema())?;
    let mut owners = Vec::with_capacity(batch.num_rows());
    for (meta, report) in files.iter().zip(&output.files) {
        let rows = report.lanes.iter().flat_map(|lane| &lane.datasets).filter(|d| d.dataset == dataset.name);
        let rows: i64 = rows.map(|d| d.rows).sum();
        owners.extend(std::iter::repeat_n(meta, rows as usize));
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(owners.iter().map(|meta| meta.repo.as_str()))),
        Arc::new(StringArray::from_iter_values(owners.iter().map(|meta| meta.path.as_str()))),
        Arc::new(Int64Array::from_iter_values(owners.iter().map(|meta| meta.file_id))),
    ];
    for (field, column) in schema.fields()[3..].iter().zip(batch.columns()) {
        columns.push(cast(column, field.data_type())?);
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}
