//! A planner and an executor in miniature over synthetic rows, so that the Delta side can be driven without parsers.

#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{SchemaRef, UInt16Type, UInt32Type};
use datafusion::prelude::SessionContext;
use lode_encode::{EncodedRows, Rows, RowsEncoder};
use lode_facts::catalog::{ColumnType, Dataset, Scope, dataset, datasets};
use lode_facts::extract::{DatasetReport, Diagnostic, Severity};
use lode_facts::hash::{file_id, row_hashes, rows_hash, stable_hash};
use lode_facts::lane::LaneId;
use lode_lake::base::Base;
use lode_lake::commit::{CommitOutcome, commit};
use lode_lake::manifest::{FileCounts, Manifest, TaskOutcome};
use lode_lake::plan::EpochPlan;
use lode_lake::shard::{ShardMap, Sizing};
use lode_lake::sink::ShardSink;
use lode_lake::table::Table;
use lode_lake::task::{FileChange, LaneChange, QuarantineRow, StateRow, WorklistDigest};
use lode_lake::{Lake, Result};

/// A repository: path → version of the content. A version that is a multiple of 7 breaks a limit in the AST lane, one that
/// is a multiple of 5 has diagnostics.
pub type Files = BTreeMap<String, u32>;

/// Datasets of these tests: three lanes, one of them with two.
pub const DATASETS: &[&str] = &["file_line_index", "ast_nodes", "ast_imports", "repo_file_blobs"];

/// What the lake is believed to hold, as a planner would read it from `extract_state`.
#[derive(Clone, Default)]
pub struct State(BTreeMap<String, BTreeMap<LaneId, StateRow>>);

pub struct Run {
    pub repo: &'static str,
    pub run_id: String,
    pub epoch: u32,
    pub sizing: Sizing,
    pub target: u64,
    pub datasets: Vec<&'static str>,
    /// Files of a group that is applied at once.
    pub group: usize,
}

impl Run {
    pub fn new(run_id: impl Into<String>) -> Self {
        let datasets = DATASETS.to_vec();
        Self {
            repo: "example/repo",
            run_id: run_id.into(),
            epoch: 0,
            sizing: Sizing::Count(3),
            target: 1 << 30,
            datasets,
            group: 3,
        }
    }
}

pub fn size(version: u32) -> u64 {
    u64::from(version % 11) * 10 + 10
}

fn wanted(run: &Run) -> Vec<&'static Dataset> {
    datasets().iter().copied().filter(|d| run.datasets.contains(&d.name)).collect()
}

/// Rows of a file in a dataset: a function of path and version alone.
pub fn rows(dataset: &Dataset, path: &str, version: u32) -> usize {
    (stable_hash(format!("{}{path}{version}", dataset.name).as_bytes()) % 6) as usize
}

fn column(ty: ColumnType, nullable: bool, seeds: &[u64]) -> ArrayRef {
    let some = |seed: u64| !nullable || !seed.is_multiple_of(3);
    match ty {
        ColumnType::Int32 => {
            Arc::new(seeds.iter().map(|s| some(*s).then_some((*s % 1000) as i32)).collect::<Int32Array>())
        }
        ColumnType::Int64 => Arc::new(seeds.iter().map(|s| some(*s).then_some(*s as i64)).collect::<Int64Array>()),
        ColumnType::Boolean => Arc::new(seeds.iter().map(|s| some(*s).then_some(s % 2 == 0)).collect::<BooleanArray>()),
        ColumnType::Utf8 => {
            Arc::new(seeds.iter().map(|s| some(*s).then(|| format!("text {s}"))).collect::<StringArray>())
        }
        ColumnType::Symbol => {
            let words = ["Name", "Call", "Attribute", "Load"];
            let values = seeds.iter().map(|s| some(*s).then(|| words[(*s % 4) as usize]));
            Arc::new(values.collect::<DictionaryArray<UInt16Type>>())
        }
        ColumnType::Words => {
            let values: Vec<_> = seeds.iter().map(|s| some(*s).then(|| format!("word {}", s % 50))).collect();
            Arc::new(values.iter().map(Option::as_deref).collect::<DictionaryArray<UInt32Type>>())
        }
        ColumnType::Binary => {
            let values = seeds.iter().map(|s| some(*s).then(|| s.to_le_bytes().to_vec())).collect::<Vec<_>>();
            Arc::new(values.iter().map(|v| v.as_deref()).collect::<BinaryArray>())
        }
        other => panic!("no test rows of {other:?}"),
    }
}

fn batch(dataset: &Dataset, files: &[(String, u32)]) -> RecordBatch {
    let seeds = |column: usize| {
        let of_file = |(path, version): &(String, u32)| {
            let text = format!("{path} {version} {column}");
            (0..rows(dataset, path, *version))
                .map(move |row| stable_hash(format!("{text} {row}").as_bytes()))
                .collect::<Vec<_>>()
        };
        files.iter().flat_map(of_file).collect::<Vec<_>>()
    };
    let columns = dataset.columns.iter().enumerate().map(|(n, c)| column(c.ty, c.nullable, &seeds(n)));
    RecordBatch::try_new(dataset.sent_schema(), columns.collect()).unwrap()
}

fn report(dataset: &Dataset, path: &str, version: u32) -> DatasetReport {
    let batch = batch(dataset, &[(path.to_owned(), version)]);
    DatasetReport {
        dataset: dataset.name.into(),
        rows: batch.num_rows() as i64,
        hash: rows_hash(&row_hashes(&batch).unwrap()),
    }
}

fn state(lane: LaneId, path: &str, version: u32, wanted: &[&'static Dataset], old: Option<&StateRow>) -> StateRow {
    let key = format!("content {version}");
    let quarantined = lane == LaneId::Ast && version.is_multiple_of(7);
    let kept = old.filter(|old| old.content_key == key && !quarantined);
    let has = |d: &Dataset| wanted.iter().any(|w| w.name == d.name) || kept.is_some_and(|k| k.report(d.name).is_some());
    let reports = lane.datasets().filter(|d| has(d)).map(|d| report(d, path, version));
    StateRow {
        lane,
        content_key: key,
        fingerprint: "f".into(),
        status: if quarantined { "quarantined" } else { "extracted" }.into(),
        reason: quarantined.then(|| "cpu".into()),
        datasets: if quarantined { vec![] } else { reports.collect() },
    }
}

fn change(run: &Run, path: &str, version: Option<u32>, old: Option<&BTreeMap<LaneId, StateRow>>) -> Option<FileChange> {
    let wanted = wanted(run);
    let mut lanes = vec![];
    for lane in LaneId::ALL {
        let asked = wanted.iter().copied().filter(|d| d.lane == Some(lane)).collect::<Vec<_>>();
        let before = old.and_then(|old| old.get(&lane));
        let new = match version {
            Some(version) if !asked.is_empty() => Some(state(lane, path, version, &asked, before)),
            // A lane that isn't asked for keeps its rows while the content is the same.
            Some(version) if before.is_some_and(|b| b.content_key == format!("content {version}")) => continue,
            _ => None,
        };
        if before == new.as_ref() {
            continue;
        }
        let is_new = |r: &&DatasetReport| {
            let same_content = before.zip(new.as_ref()).is_some_and(|(b, n)| b.content_key == n.content_key);
            !same_content || before.is_none_or(|b| b.report(&r.dataset).is_none())
        };
        let produced = new.iter().flat_map(|n| &n.datasets).filter(is_new).cloned().collect();
        let says = new.is_some() && version.is_some_and(|v| v % 5 == 0);
        let diagnostic = |n| Diagnostic {
            lane,
            severity: Severity::Warning,
            code: "odd".into(),
            message: format!("{n}"),
            bstart: None,
        };
        let quarantined = new.as_ref().is_some_and(|n| n.status == "quarantined");
        let quarantine =
            QuarantineRow { limits: "l".into(), limit: "cpu".into(), message: "too long".into(), attempts: 2 };
        lanes.push(LaneChange {
            lane,
            old: before.cloned(),
            new,
            produced,
            diagnostics: if says { (0..2).map(diagnostic).collect() } else { vec![] },
            quarantine: quarantined.then_some(quarantine),
        });
    }
    (!lanes.is_empty()).then(|| FileChange { path: path.into(), file_id: file_id(run.repo, path.as_bytes()), lanes })
}

/// Plans a run over files: the plan, published, and each task's changes.
pub async fn plan(
    lake: &Lake,
    run: &Run,
    files: &Files,
    state: &State,
) -> Result<(Base, EpochPlan, BTreeMap<String, Vec<FileChange>>)> {
    let base = Base::load(lake, run.repo).await?;
    let sizes = files.iter().map(|(path, version)| (path.as_str(), size(*version))).collect::<Vec<_>>();
    let map = match &base.shards {
        Some(map) => map.split(&sizes, run.target),
        None => ShardMap::initial(&base.repo_key, &sizes, run.sizing),
    };
    let paths = files.keys().chain(state.0.keys()).cloned().collect::<BTreeSet<_>>();
    let mut work = BTreeMap::<String, Vec<FileChange>>::new();
    let mut counts = FileCounts { scanned: files.len() as u64, ..FileCounts::default() };
    for path in paths {
        match change(run, &path, files.get(&path).copied(), state.0.get(&path)) {
            Some(change) => work.entry(map.shards()[map.assign(&path)].id.clone()).or_default().push(change),
            None => counts.unchanged += 1,
        }
    }
    // The tasks count the rest.
    counts.scanned = counts.unchanged;
    let shards = map.into_shards();
    for id in Base::split_parts(&shards) {
        work.entry(id).or_default();
    }
    let plan = EpochPlan {
        run_id: run.run_id.clone(),
        epoch: run.epoch,
        repo: run.repo.into(),
        repo_key: base.repo_key.clone(),
        origin: Some("https://example.org/repo".into()),
        base_sequence: base.sequence,
        base_rows: base.rows(),
        table_versions: base.table_versions(),
        shards,
        tasks: work.keys().cloned().collect(),
        datasets: run.datasets.iter().map(|d| (*d).to_owned()).collect(),
        complete_datasets: run.datasets.iter().map(|d| (*d).to_owned()).collect(),
        counts,
        git_commit: None,
        scope: serde_json::json!({}),
        complete: true,
        settings_hash: "s".into(),
        source: "shared".into(),
        version: "0".into(),
        started_at: 1,
    };
    Ok((base, plan.publish(lake).await?, work))
}

fn encode(batch: &RecordBatch, stored: &SchemaRef) -> EncodedRows {
    let bytes = RowsEncoder::new().unwrap().encode(batch, stored).unwrap();
    EncodedRows::open(bytes.into(), stored).unwrap()
}

/// Runs one task.
pub async fn execute(
    lake: &Lake,
    run: &Run,
    files: &Files,
    base: &Base,
    plan: &EpochPlan,
    shard: &str,
    changes: &[FileChange],
) -> Result<Manifest> {
    let mut digest = WorklistDigest::default();
    changes.iter().for_each(|change| digest.push(&change.path, change.file_id));
    let task = base.task(plan, plan.shard(shard).unwrap(), digest.rows(), digest.text());
    let task = serde_json::from_str(&serde_json::to_string(&task).unwrap()).unwrap();
    let mut sink = ShardSink::open(lake.clone(), task).await?;
    let mut counts = FileCounts::default();
    for group in changes.chunks(run.group) {
        let mut tables = vec![];
        for name in DATASETS {
            let dataset = dataset(name).unwrap();
            let makes = |c: &&FileChange| c.lanes.iter().flat_map(|l| &l.produced).any(|r| r.dataset == *name);
            let produced = group.iter().filter(makes).map(|c| (c.path.clone(), files[&c.path])).collect::<Vec<_>>();
            let batch = batch(dataset, &produced);
            if batch.num_rows() > 0 {
                // As a worker may send it: one way or the other.
                let encoded = run.group.is_multiple_of(2);
                let stored = dataset.facts_schema();
                let rows = if encoded { Rows::Encoded(encode(&batch, &stored)) } else { Rows::Plain(batch) };
                tables.push((dataset, rows));
            }
        }
        for change in group {
            match files.get(&change.path) {
                Some(_) => (counts.scanned, counts.extracted) = (counts.scanned + 1, counts.extracted + 1),
                None => counts.deleted += 1,
            }
        }
        sink.apply(group.to_vec(), tables).await?;
    }
    sink.finish(TaskOutcome { rows: digest.rows(), digest: digest.text(), counts, ..TaskOutcome::default() }).await
}

pub async fn execute_all(
    lake: &Lake,
    run: &Run,
    files: &Files,
    base: &Base,
    plan: &EpochPlan,
    work: &BTreeMap<String, Vec<FileChange>>,
) -> Result<()> {
    for (shard, changes) in work {
        execute(lake, run, files, base, plan, shard, changes).await?;
    }
    Ok(())
}

/// The state after a plan's changes.
pub fn after(state: &State, work: &BTreeMap<String, Vec<FileChange>>) -> State {
    let mut state = state.clone();
    for change in work.values().flatten() {
        let lanes = state.0.entry(change.path.clone()).or_default();
        for lane in &change.lanes {
            match &lane.new {
                Some(new) => drop(lanes.insert(lane.lane, new.clone())),
                None => drop(lanes.remove(&lane.lane)),
            }
        }
        if lanes.is_empty() {
            state.0.remove(&change.path);
        }
    }
    state
}

/// Plans, executes and commits.
pub async fn ingest(lake: &Lake, run: &Run, files: &Files, state: &State) -> Result<(CommitOutcome, State)> {
    let (base, plan, work) = plan(lake, run, files, state).await?;
    execute_all(lake, run, files, &base, &plan, &work).await?;
    Ok((commit(lake, &plan).await?, after(state, &work)))
}

/// All rows of a file table of a repository as text lines in the table's order, without the physical shard.
pub async fn dump(lake: &Lake, table: &str, repo: &str) -> Vec<String> {
    let dataset = dataset(table).unwrap();
    let Some(opened) = Table::open(lake, table).await.unwrap() else { return vec![] };
    let context = SessionContext::new();
    let provider = opened.delta().table_provider().await.unwrap();
    context.register_table("t", provider).unwrap();
    let columns =
        dataset.table_columns().filter(|c| c.name != "shard").map(|c| format!("\"{}\"", c.name)).collect::<Vec<_>>();
    let sql = format!("select {} from t where repo = '{repo}'", columns.join(", "));
    let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
    lines(&batches)
}

pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let text = arrow::util::pretty::pretty_format_batches(batches).unwrap().to_string();
    let mut lines = text
        .lines()
        .filter(|l| l.starts_with('|'))
        .skip(1)
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>();
    lines.sort();
    lines
}

pub fn file_tables() -> impl Iterator<Item = &'static str> {
    let own = ["extract_state", "diagnostics", "quarantine"];
    let scoped = |name: &&str| dataset(name).is_some_and(|d| d.scope == Scope::File);
    DATASETS.iter().copied().chain(own).filter(scoped)
}

/// Asserts that a lake holds what a rebuild from nothing holds.
pub async fn assert_equals_rebuild(lake: &Lake, run: &Run, files: &Files) {
    let rebuilt = memory_lake().await;
    let fresh = Run { repo: run.repo, ..Run::new("rebuild") };
    ingest(&rebuilt, &fresh, files, &State::default()).await.unwrap();
    for table in file_tables() {
        assert_eq!(dump(lake, table, run.repo).await, dump(&rebuilt, table, run.repo).await, "{table}");
    }
}

pub async fn memory_lake() -> Lake {
    Lake::open_or_create(&format!("memory://{}/lake", uuid::Uuid::new_v4())).await.unwrap()
}

pub fn files(entries: &[(&str, u32)]) -> Files {
    entries.iter().map(|(path, version)| ((*path).to_owned(), *version)).collect()
}
