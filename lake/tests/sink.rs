//! The sink: whatever the history, the tables equal a rebuild, and the change feed tells the way from one to the other.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not known as tests")]

mod common;

use std::sync::Arc;

use common::*;
use datafusion::prelude::SessionContext;
use deltalake::delta_datafusion::cdf::scan::DeltaCdfTableProvider;
use lode_facts::catalog::dataset;
use lode_lake::LakeError;
use lode_lake::base::Base;
use lode_lake::shard::Sizing;
use lode_lake::sink::ShardSink;
use lode_lake::table::Table;
use proptest::prelude::*;

/// One step of a history.
#[derive(Debug, Clone)]
struct Step {
    /// Files that get a version; 0 deletes.
    edits: Vec<(u8, u32)>,
    /// Datasets of the run, as a bit set.
    datasets: u8,
    target: u64,
}

fn steps() -> impl Strategy<Value = (usize, Vec<Step>)> {
    let edits = prop::collection::vec((0u8..24, 0u32..40), 0..14);
    let step = (edits, any::<u8>(), prop_oneof![Just(1u64 << 40), 60u64..400]);
    let step = step.prop_map(|(edits, datasets, target)| Step { edits, datasets, target });
    (1usize..6, prop::collection::vec(step, 1..5))
}

fn path(number: u8) -> String {
    format!("{}/f{}.py", ["a", "b", "lib/é", "z"][(number % 4) as usize], number)
}

async fn history(shards: usize, steps: Vec<Step>) {
    let lake = memory_lake().await;
    let mut files = Files::new();
    let mut state = State::default();
    for (number, step) in steps.iter().enumerate() {
        for (file, version) in &step.edits {
            match version {
                0 => drop(files.remove(&path(*file))),
                version => drop(files.insert(path(*file), *version)),
            }
        }
        let chosen =
            DATASETS.iter().enumerate().filter(|(bit, _)| step.datasets & (1 << bit) != 0).map(|(_, d)| *d).collect();
        let mut run = Run {
            sizing: Sizing::Count(shards),
            target: step.target,
            datasets: chosen,
            ..Run::new(format!("r{number}"))
        };
        run.group = 1 + number;
        state = ingest(&lake, &run, &files, &state).await.unwrap().1;
    }
    // The last run asks for everything, so that every table must equal a rebuild.
    let run = Run { target: 120, ..Run::new("last") };
    ingest(&lake, &run, &files, &state).await.unwrap();
    assert_equals_rebuild(&lake, &run, &files).await;
    for table in file_tables() {
        assert_one_sorted_file_a_shard(&lake, table).await;
        assert_feed_leads_to_table(&lake, table, run.repo).await;
    }
    let base = Base::load(&lake, run.repo).await.unwrap();
    for name in DATASETS {
        let rows = dump(&lake, name, run.repo).await.len() as i64;
        assert_eq!(base.rows().get(*name).copied().unwrap_or_default(), rows, "`runs` counts the rows of {name}");
    }
}

async fn assert_one_sorted_file_a_shard(lake: &lode_lake::Lake, table: &str) {
    let table = Table::open(lake, table).await.unwrap().unwrap();
    let files = table.files().unwrap();
    let shards = files.iter().map(|f| &f.shard).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(shards.len(), files.len(), "one file a shard in {}", table.name());
    assert!(files.iter().all(|f| f.rows.is_some_and(|rows| rows > 0)), "no empty file in {}", table.name());
}

/// Inserts minus deletes of the feed, from the first version, are the table.
async fn assert_feed_leads_to_table(lake: &lode_lake::Lake, name: &str, repo: &str) {
    let table = Table::open(lake, name).await.unwrap().unwrap();
    let context = SessionContext::new();
    let feed = DeltaCdfTableProvider::try_new(table.delta().clone().scan_cdf().with_starting_version(0)).unwrap();
    context.register_table("feed", Arc::new(feed)).unwrap();
    let mut rows = std::collections::BTreeMap::<String, i64>::new();
    let columns =
        dataset(name).unwrap().table_columns().filter(|c| c.name != "shard").map(|c| format!("\"{}\"", c.name));
    let columns = columns.collect::<Vec<_>>().join(", ");
    for (kind, sign) in [("insert", 1), ("delete", -1)] {
        let sql = format!("select {columns} from feed where _change_type = '{kind}'");
        let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
        for line in lines(&batches) {
            *rows.entry(line).or_default() += sign;
        }
    }
    let mut left = vec![];
    for (line, count) in rows {
        assert!(count >= 0, "the feed of {name} deletes what it didn't insert: {line}");
        left.extend((0..count).map(|_| line.clone()));
    }
    assert_eq!(left, dump(lake, name, repo).await, "feed of {name}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_history_equals_a_rebuild((shards, steps) in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(history(shards, steps));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_moves_rows_without_change_data() {
    let lake = memory_lake().await;
    let files = (0..24).map(|n| (path(n), 1)).collect::<Files>();
    let first = Run { sizing: Sizing::Count(1), ..Run::new("one") };
    let (_, state) = ingest(&lake, &first, &files, &State::default()).await.unwrap();
    let second = Run { target: 100, ..Run::new("two") };
    ingest(&lake, &second, &files, &state).await.unwrap();
    let base = Base::load(&lake, first.repo).await.unwrap();
    assert!(base.shards.as_ref().unwrap().shards().len() > 3);
    let before = dump(&lake, "ast_nodes", first.repo).await;
    assert!(!before.is_empty());
    assert_equals_rebuild(&lake, &second, &files).await;
    let table = Table::open(&lake, "ast_nodes").await.unwrap().unwrap();
    assert_eq!(table.version(), 1);
    let context = SessionContext::new();
    let feed = DeltaCdfTableProvider::try_new(table.delta().clone().scan_cdf().with_starting_version(1)).unwrap();
    context.register_table("feed", Arc::new(feed)).unwrap();
    let changes = context.sql("select * from feed").await.unwrap().count().await.unwrap();
    assert_eq!(changes, 0, "moved rows are no changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_report_a_wrong_order_and_a_wrong_range_are_refused() {
    let lake = memory_lake().await;
    let files = files(&[("a.py", 1), ("b.py", 2), ("c.py", 3)]);
    let run = Run { sizing: Sizing::Count(2), ..Run::new("one") };
    let (base, plan, work) = plan(&lake, &run, &files, &State::default()).await.unwrap();
    let shards = work.keys().collect::<Vec<_>>();
    let task = || base.task(&plan, plan.shard(shards[1]).unwrap(), 2, "d".into());
    let changes = work[shards[1]].clone();
    let mut sink = ShardSink::open(lake.clone(), task()).await.unwrap();
    let missing = sink.apply(changes.clone(), vec![]).await;
    assert!(matches!(missing, Err(LakeError::Report { .. })), "rows that didn't come");
    let mut sink = ShardSink::open(lake.clone(), task()).await.unwrap();
    let reversed = sink.apply(changes.iter().rev().cloned().collect(), vec![]).await;
    assert!(matches!(reversed, Err(LakeError::Report { .. })), "out of order");
    let mut sink = ShardSink::open(lake.clone(), task()).await.unwrap();
    let foreign = sink.apply(work[shards[0]].clone(), vec![]).await;
    assert!(matches!(foreign, Err(LakeError::Report { .. })), "out of range");
    let sink = ShardSink::open(lake.clone(), task()).await.unwrap();
    let unfinished = sink.finish(Default::default()).await;
    assert!(matches!(unfinished, Err(LakeError::Worklist { .. })), "worklist not consumed");
}
