//! The trace of a run: one, whoever works on it, and nothing that a run would wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lode_tests::cluster::{Cluster, free_port};
use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::otlp::{Collector, Span};
use lode_tests::repo::Repo;

const RUN: &str = "0198f3c2-7d1e-7c55-9a55-3f1b0c7c2f11";
const SHARDS: [&str; 2] = ["--shards", "3"];

/// What a run does, wherever it does it.
const WORK: [&str; 12] = [
    "run",
    "run/scan",
    "run/plan",
    "run/wait",
    "run/job",
    "run/job/stage",
    "run/job/stage/shard",
    "run/job/stage/shard/extract",
    "run/job/stage/shard/write",
    "run/job/stage/shard/finish",
    "run/job/stage/shard/manifest",
    "run/job/stage/commit",
];

/// The path of each span from the first one of its trace, which is that of a run.
#[track_caller]
fn paths(spans: &[Span], run: &str) -> BTreeMap<String, Vec<Span>> {
    let known: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    assert_eq!(known.len(), spans.len(), "each span has an id of its own");
    let mut paths: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in spans {
        assert_eq!(span.trace, run, "{span:?}");
        assert_eq!(span.version, env!("CARGO_PKG_VERSION"), "{span:?}");
        assert!(span.time.0 <= span.time.1 && !span.failed, "{span:?}");
        let (mut path, mut at) = (span.name.clone(), span);
        while let Some(parent) = &at.parent {
            at = known.get(parent.as_str()).unwrap_or_else(|| panic!("the parent of {at:?} is there: {spans:?}"));
            path = format!("{}/{path}", at.name);
        }
        paths.entry(path).or_default().push(span.clone());
    }
    paths
}

/// The services whose spans have a name.
fn services<'a>(spans: &'a [Span], name: &str) -> BTreeSet<&'a str> {
    spans.iter().filter(|span| span.name == name).map(|span| span.service.as_str()).collect()
}

#[test]
fn a_run_on_a_cluster_is_one_trace() {
    let repo = Repo::sample(30);
    let collector = Collector::default();
    let url = collector.url();
    let mut cluster = Cluster::with(&["", ""], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ("NO_PROXY", "127.0.0.1")]);
    let lake = Lake::default();
    let output = Output::of(&mut cluster.submission(repo.root(), &lake, RUN, &SHARDS)).ok();
    assert_eq!(output.summary().state, "committed", "{output}");
    lake.assert_same_facts(&Lake::of(&repo, &SHARDS));
    // Who ends sends what is left.
    for node in cluster.executors.iter_mut().chain([&mut cluster.scheduler]) {
        node.signal(libc::SIGTERM);
        assert!(node.wait().success(), "{}", node.log());
    }

    let spans = collector.spans();
    let paths = paths(&spans, &RUN.replace('-', ""));
    let expected: BTreeSet<&str> = WORK.into_iter().chain(["run/submit", "run/job/stage/commit/tables"]).collect();
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    let count = |path: &str| paths[path].len();
    assert_eq!((count("run"), count("run/job"), count("run/job/stage"), count("run/job/stage/commit")), (1, 1, 2, 1));
    assert_eq!(count("run/job/stage/shard"), count("run/job/stage/shard/manifest"));
    for (name, service) in
        [("run", "lode"), ("job", "lode-scheduler"), ("stage", "lode-scheduler"), ("commit", "lode-executor")]
    {
        assert_eq!(services(&spans, name), BTreeSet::from([service]), "{name}");
    }
    let job = &paths["run/job"][0];
    assert_eq!((job.attributes["run_id"].as_str(), job.attributes["state"].as_str()), (RUN, "successful"));
    let shards: BTreeSet<&String> = paths["run/job/stage/shard"].iter().map(|span| &span.attributes["shard"]).collect();
    assert_eq!(shards.len(), count("run/job/stage/shard"), "each shard was done once");
    // A stage is there from when its tasks may run until the last has ended.
    for shard in &paths["run/job/stage/shard"] {
        let stage = paths["run/job/stage"].iter().find(|stage| Some(&stage.id) == shard.parent.as_ref()).unwrap();
        assert!(stage.time.0 <= shard.time.0, "{stage:?} {shard:?}");
    }
}

#[test]
fn a_run_in_one_process_is_the_same_trace() {
    let repo = Repo::sample(12);
    let collector = Collector::default();
    let lake = Lake::default();
    let arguments = ["--otlp-endpoint", &collector.url(), "--run-id", "by-name"];
    let extraction = || {
        let mut command = lake.extraction(repo.root(), &[&SHARDS[..], &arguments].concat());
        command.env("NO_PROXY", "127.0.0.1");
        command
    };
    Output::of(&mut extraction()).ok();
    let spans = collector.spans();
    let trace = spans[0].trace.clone();
    let paths = paths(&spans, &trace);
    assert!(WORK.iter().all(|path| paths.contains_key(*path)), "{:?}", paths.keys());
    assert!(spans.iter().all(|span| span.service == "lode"), "{spans:?}");

    // Whatever else is done for the run belongs to its trace.
    Output::of(&mut extraction()).ok();
    let later = collector.spans().split_off(spans.len());
    assert!(!later.is_empty() && later.iter().all(|span| span.trace == trace), "{later:?}");

    // No variable of OpenTelemetry's, no option: nothing is sent.
    let sent = collector.spans().len();
    Lake::of(&repo, &[]);
    assert_eq!(collector.spans().len(), sent);
}

#[test]
fn a_collector_that_does_not_answer_hinders_nobody() {
    let repo = Repo::sample(12);
    let undisturbed = Lake::of(&repo, &SHARDS);
    let silent = Collector::silent();
    let unheard = silent.url();
    let nobody = format!("http://127.0.0.1:{}", free_port([127, 0, 0, 1]));
    for url in [unheard.as_str(), &nobody, "no address"] {
        let lake = Lake::default();
        let started = Instant::now();
        let mut command = lake.extraction(repo.root(), &[&SHARDS[..], &["--otlp-endpoint", url]].concat());
        let output = Output::of(command.env("NO_PROXY", "127.0.0.1")).ok();
        let summary = output.summary();
        let beside = started.elapsed().saturating_sub(Duration::from_millis(summary.elapsed_ms));
        assert!(beside < Duration::from_secs(10), "{url}: {beside:?}");
        let told = output.stderr.matches("spans").count();
        assert!(told <= 1 && (url == unheard || told == 1), "{url}: {output}");
        lake.assert_same_facts(&undisturbed);
    }

    let mut cluster = Cluster::with(&[""], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &unheard)]);
    let lake = Lake::default();
    Output::of(&mut cluster.submission(repo.root(), &lake, "unheard", &SHARDS)).ok();
    lake.assert_same_facts(&undisturbed);
    for node in cluster.executors.iter_mut().chain([&mut cluster.scheduler]) {
        node.signal(libc::SIGTERM);
        assert!(node.wait().success(), "{}", node.log());
    }
}
