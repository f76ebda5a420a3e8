//! Small lakes for tests, written as runs write them.

use std::collections::{BTreeMap, BTreeSet};

use lode_encode::Rows;
use lode_facts::extract::{Extractor, FileRequest, LaneRequest};
use lode_facts::file::FileMeta;
use lode_facts::hash::file_id;
use lode_facts::lane::LaneId;
use lode_facts::options::{Limits, Options};
use tempfile::TempDir;

use crate::base::Base;
use crate::commit::{CommitOutcome, commit};
use crate::manifest::{FileCounts, TaskOutcome, TaskStats};
use crate::plan::{EpochPlan, RunPlan};
use crate::shard::{ShardMap, Sizing, repo_key};
use crate::sink::ShardSink;
use crate::store::Lake;
use crate::task::{FileChange, LaneChange, StateRow, WorklistDigest};

/// The dataset that is filled.
pub(crate) const TABLE: &str = "file_line_index";

/// A repository whose runs index the lines of its files.
pub(crate) struct Repo {
    pub(crate) lake: Lake,
    /// Removed with the repository that made it.
    _home: Option<TempDir>,
    name: String,
    shards: usize,
    states: BTreeMap<String, (String, StateRow)>,
}

impl Repo {
    /// In a lake of its own, in so many shards.
    pub(crate) async fn new(shards: usize) -> Self {
        let home = TempDir::new().unwrap();
        let lake = Lake::open_or_create(home.path().join("lake").to_str().unwrap()).await.unwrap();
        Self { lake, _home: Some(home), name: "demo".into(), shards, states: BTreeMap::new() }
    }

    /// Another repository of the same lake.
    pub(crate) fn other(&self, name: &str) -> Self {
        Self { lake: self.lake.clone(), _home: None, name: name.into(), shards: self.shards, states: BTreeMap::new() }
    }

    /// Plans and extracts a run over these files, up to its commit.
    pub(crate) async fn prepare(&mut self, run_id: &str, files: &[(&str, &str)]) -> EpochPlan {
        let wanted: BTreeMap<&str, &str> = files.iter().copied().collect();
        let base = Base::load(&self.lake, &self.name).await.unwrap();
        let key = repo_key(&self.name);
        let map = base.shards.clone().unwrap_or_else(|| {
            let sizes: Vec<_> = wanted.iter().map(|(path, content)| (*path, content.len() as u64)).collect();
            ShardMap::initial(&key, &sizes, Sizing::Count(self.shards))
        });
        let known = self.states.keys().map(String::as_str);
        let paths: BTreeSet<String> = known.chain(wanted.keys().copied()).map(str::to_owned).collect();
        let changed: Vec<&String> = paths
            .iter()
            .filter(|p| self.states.get(*p).map(|s| s.0.as_str()) != wanted.get(p.as_str()).copied())
            .collect();
        let unchanged = paths.len() as u64 - changed.len() as u64;
        let tasks = map.shards().iter().filter(|s| changed.iter().any(|path| contains(s, path)));
        let mut plan = EpochPlan {
            run_id: run_id.into(),
            epoch: 0,
            repo: self.name.clone(),
            repo_key: key.clone(),
            origin: None,
            base_sequence: base.sequence,
            base_rows: base.rows(),
            table_versions: base.table_versions(),
            tasks: tasks.map(|shard| shard.id.clone()).collect(),
            shards: map.shards().to_vec(),
            datasets: vec![TABLE.into()],
            complete_datasets: vec![TABLE.into()],
            counts: FileCounts { scanned: unchanged, unchanged, ..FileCounts::default() },
            git_commit: None,
            scope: serde_json::json!({}),
            complete: true,
            settings_hash: "s".into(),
            source: "shared".into(),
            version: "0".into(),
            started_at: 0,
        };
        let run = RunPlan {
            run_id: run_id.into(),
            repo: self.name.clone(),
            repo_key: key,
            origin: None,
            digest: "d".into(),
            created_at: 0,
            request: serde_json::Value::Null,
        };
        run.publish(&self.lake).await.unwrap();
        plan = plan.publish(&self.lake).await.unwrap();
        for id in &plan.tasks {
            let shard = plan.shard(id).unwrap();
            let mine: Vec<&str> =
                changed.iter().map(|path| path.as_str()).filter(|path| contains(shard, path)).collect();
            self.extract(&base, &plan, id, &mine, &wanted).await;
        }
        plan
    }

    async fn extract(
        &mut self,
        base: &Base,
        plan: &EpochPlan,
        shard: &str,
        paths: &[&str],
        wanted: &BTreeMap<&str, &str>,
    ) {
        let mut extractor = Extractor::new(&Options::default(), &Limits::default());
        let mut digest = WorklistDigest::default();
        let mut counts = FileCounts::default();
        for path in paths {
            digest.push(path, file_id(&self.name, path.as_bytes()));
            match wanted.get(path) {
                Some(content) => {
                    extractor.extract(&request(&self.name, path, content), Some(content.as_bytes()));
                    counts.scanned += 1;
                    counts.extracted += 1;
                }
                None => counts.deleted += 1,
            }
        }
        let output = extractor.finish().unwrap();
        let mut reports = output.files.into_iter();
        let mut changes = vec![];
        for path in paths {
            let old = self.states.remove(*path).map(|state| state.1);
            let produced = match wanted.get(path) {
                Some(_) => reports.next().unwrap().lanes.remove(0).datasets,
                None => vec![],
            };
            let new = wanted.get(path).map(|content| StateRow {
                lane: LaneId::Lines,
                content_key: (*content).to_owned(),
                fingerprint: "f".into(),
                status: "extracted".into(),
                reason: None,
                datasets: produced.clone(),
            });
            if let (Some(content), Some(new)) = (wanted.get(path), &new) {
                self.states.insert((*path).to_owned(), ((*content).to_owned(), new.clone()));
            }
            let lane = LaneChange { lane: LaneId::Lines, old, new, produced, diagnostics: vec![], quarantine: None };
            let id = file_id(&self.name, path.as_bytes());
            changes.push(FileChange { path: (*path).to_owned(), file_id: id, lanes: vec![lane] });
        }
        let rows = paths.len() as u64;
        let task = base.task(plan, plan.shard(shard).unwrap(), rows, digest.text());
        let mut sink = ShardSink::open(self.lake.clone(), task).await.unwrap();
        let tables = output.tables.into_iter().map(|(dataset, batch)| (dataset, Rows::Plain(batch))).collect();
        sink.apply(changes, tables).await.unwrap();
        let outcome = TaskOutcome { rows, digest: digest.text(), counts, bytes: 0, stats: TaskStats::default() };
        sink.finish(outcome).await.unwrap();
    }

    /// A whole run.
    pub(crate) async fn run(&mut self, run_id: &str, files: &[(&str, &str)]) {
        let plan = self.prepare(run_id, files).await;
        let outcome = commit(&self.lake, &plan).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    }
}

fn contains(shard: &crate::shard::Shard, path: &str) -> bool {
    path >= shard.lower.as_str() && shard.upper.as_deref().is_none_or(|upper| path < upper)
}

fn request(repo: &str, path: &str, content: &str) -> FileRequest {
    FileRequest {
        meta: FileMeta::in_scope(repo, path, content.len(), None),
        lanes: vec![LaneRequest { lane: LaneId::Lines, datasets: vec![TABLE.into()] }],
    }
}
