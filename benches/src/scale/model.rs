//! What a job would take on a cluster of any size: what was measured on a small one, multiplied. `model.toml` has the
//! constants, where they come from, and runs that the model is held against.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use lode_lake::shard::target_bytes;
use serde::Deserialize;

/// What to work out.
#[derive(clap::Args)]
pub struct Args {
    /// Another file of constants, scenarios and checks.
    #[arg(long)]
    constants: Option<PathBuf>,
}

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    measured: Measured,
    given: Given,
    scenarios: Vec<Scenario>,
    checks: Vec<Check>,
}

/// What was measured, each on one core of the machine at hand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    /// Client: finding, reading and hashing a file.
    scan_core_us_a_file: f64,
    /// Client: what the scan holds of a file until it is planned.
    scan_bytes_a_file: f64,
    /// Client: keeping, joining, cutting and writing the rows of a file, by lanes.
    plan_core_us_a_file: BTreeMap<String, f64>,
    /// Client: the same, as time passes on two cores.
    plan_wall_us_a_file: BTreeMap<String, f64>,
    /// Client: peak memory of that.
    plan_bytes_a_file: BTreeMap<String, f64>,
    /// Lake: scan and worklist of a file.
    kept_bytes_a_file: BTreeMap<String, f64>,
    /// All: start and end of a job.
    job_seconds: f64,
    /// Scheduler: binding, sending and recording a task.
    scheduler_core_ms_a_shard: f64,
    /// Scheduler: what a task costs more for every thousand shards of the job.
    scheduler_core_ms_a_shard_more: f64,
    /// Executor: a shard with next to nothing in it.
    executor_core_ms_a_shard: f64,
    /// Executor: a megabyte of Python, by lanes.
    extract_core_seconds_a_megabyte: BTreeMap<String, f64>,
    /// Commit task: reading, adding up and logging a shard, beside waiting for the store.
    commit_core_ms_a_shard: f64,
    /// Lake: manifest of a shard, by lanes.
    manifest_bytes_a_shard: BTreeMap<String, f64>,
    /// Lake: requests of a shard's task, by lanes.
    requests_a_shard: BTreeMap<String, f64>,
}

/// What is not Lode's doing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// A request to the object store.
    request_ms: f64,
    /// Requests that it takes a second, below one prefix.
    requests_a_second: f64,
    /// What one process sends it a second.
    upload_megabytes_a_second: f64,
    /// Manifests that the commit reads at once, and worklists that the client writes at once.
    requests_at_once: f64,
}

/// A job on a cluster.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    name: String,
    lanes: String,
    files: f64,
    bytes_a_file: f64,
    executors: f64,
    /// Whether content travels through the lake.
    staged: bool,
    /// The store is another machine's.
    remote: bool,
    /// Number of shards, if it is not the planner's.
    shards: Option<f64>,
    /// Files come from nowhere: nothing is scanned.
    #[serde(default)]
    unscanned: bool,
}

/// A run that was measured.
#[derive(Deserialize)]
struct Check {
    #[serde(flatten)]
    scenario: Scenario,
    /// What is compared: the name of a part, `core-seconds`, or `client memory`.
    part: String,
    /// What was measured.
    measured: f64,
}

/// One thing that a job waits for.
struct Part {
    name: &'static str,
    /// Seconds it takes, if it is alone.
    seconds: f64,
    /// Whether more executors make it shorter.
    shared: bool,
    why: String,
}

struct Outcome {
    shards: f64,
    parts: Vec<Part>,
    core_seconds: f64,
    client_memory: f64,
    commit_memory: f64,
    requests_a_second: f64,
}

/// Prints what each scenario takes, and how far the model is from what was measured.
pub fn run(args: &Args) -> io::Result<()> {
    let text = match &args.constants {
        Some(path) => fs::read_to_string(path)?,
        None => include_str!("../../model.toml").to_owned(),
    };
    let model: Model = toml::from_str(&text).map_err(io::Error::other)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{:<58}{:<16}{:>10}{:>10}{:>8}", "measured", "what", "model", "measured", "ratio")?;
    for check in &model.checks {
        let outcome = model.work_out(&check.scenario)?;
        let value = outcome.value(&check.part)?;
        let ratio = value / check.measured;
        let name = &check.scenario.name;
        writeln!(out, "{name:<58}{:<16}{value:>10.1}{:>10.1}{ratio:>8.2}", check.part, check.measured)?;
    }
    for scenario in &model.scenarios {
        let outcome = model.work_out(scenario)?;
        writeln!(out, "\n{}", scenario.name)?;
        writeln!(
            out,
            "{} files, {:.1} GB, lanes {}, {} executors, {} shards; {:.0} core-hours; client {:.1} GB, commit task {:.2} GB; \
             {:.0} of {:.0} requests a second",
            scenario.files,
            scenario.files * scenario.bytes_a_file / 1e9,
            scenario.lanes,
            scenario.executors,
            outcome.shards,
            outcome.core_seconds / 3600.0,
            outcome.client_memory / 1e9,
            outcome.commit_memory / 1e9,
            outcome.requests_a_second,
            model.given.requests_a_second
        )?;
        let mut parts: Vec<&Part> = outcome.parts.iter().collect();
        parts.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        for part in &parts {
            let mark = if part.shared { "executors share it" } else { "one process" };
            writeln!(out, "  {:<24}{:>10.0} s   {mark:<20}{}", part.name, part.seconds, part.why)?;
        }
        if let Some(first) = parts.iter().find(|part| !part.shared) {
            writeln!(out, "  first bottleneck that executors don't help with: {}", first.name)?;
        }
    }
    Ok(())
}

impl Model {
    fn work_out(&self, job: &Scenario) -> io::Result<Outcome> {
        let (m, given) = (&self.measured, &self.given);
        let of = |map: &BTreeMap<String, f64>| {
            let found = map.get(&job.lanes).copied();
            found.ok_or_else(|| io::Error::other(format!("nothing was measured of the lanes {:?}", job.lanes)))
        };
        let bytes = job.files * job.bytes_a_file;
        let shards = job.shards.unwrap_or_else(|| (bytes / target_bytes(bytes as u64) as f64).ceil().max(1.0));
        let request = if job.remote { given.request_ms / 1e3 } else { 0.0 };
        let megabytes = bytes / 1e6;

        let scan_core = if job.unscanned { 0.0 } else { job.files * m.scan_core_us_a_file / 1e6 };
        let plan_core = job.files * of(&m.plan_core_us_a_file)? / 1e6;
        let scheduler_each = m.scheduler_core_ms_a_shard + m.scheduler_core_ms_a_shard_more * shards / 1e3;
        let scheduler_core = shards * scheduler_each / 1e3;
        let requests = of(&m.requests_a_shard)?;
        let extract_core =
            megabytes * of(&m.extract_core_seconds_a_megabyte)? + shards * m.executor_core_ms_a_shard / 1e3;
        let commit_core = shards * m.commit_core_ms_a_shard / 1e3;
        let waiting = shards * requests * request;
        let extraction = (extract_core + waiting) / job.executors.max(1.0);
        let kept = job.files * of(&m.kept_bytes_a_file)? / 1e6;
        let upload = if job.remote { kept / given.upload_megabytes_a_second } else { 0.0 };
        let staging = if job.staged && job.remote { megabytes / given.upload_megabytes_a_second } else { 0.0 };

        let one = |name, seconds, why| Part { name, seconds, shared: false, why };
        let parts = vec![
            one("scan", scan_core / 2.0, "client, on two cores".into()),
            one(
                "plan",
                job.files * of(&m.plan_wall_us_a_file)? / 1e6 + upload + shards * request / given.requests_at_once,
                format!("client, on two cores; {:.1} GB of scan and worklist", kept / 1e3),
            ),
            one("staging", staging, "client: content through one process".into()),
            one("scheduling", scheduler_core, format!("scheduler: {scheduler_each:.2} core-ms a task")),
            Part {
                name: "extraction",
                seconds: extraction,
                shared: true,
                why: format!("{:.0} shards an executor", shards / job.executors.max(1.0)),
            },
            one(
                "commit",
                commit_core + shards * request / given.requests_at_once,
                format!("one task: {:.1} MB of manifests", shards * of(&m.manifest_bytes_a_shard)? / 1e6),
            ),
            one("start and end", m.job_seconds, String::new()),
        ];
        Ok(Outcome {
            shards,
            core_seconds: scan_core + plan_core + scheduler_core + extract_core + commit_core + m.job_seconds,
            client_memory: job.files * of(&m.plan_bytes_a_file)?.max(m.scan_bytes_a_file),
            // Parsed, a manifest takes about three times its text.
            commit_memory: 3.0 * shards * of(&m.manifest_bytes_a_shard)?,
            requests_a_second: shards * requests / extraction.max(1e-9),
            parts,
        })
    }
}

impl Outcome {
    fn value(&self, part: &str) -> io::Result<f64> {
        match part {
            "core-seconds" => Ok(self.core_seconds),
            "client memory" => Ok(self.client_memory / 1e6),
            _ => {
                let found = self.parts.iter().find(|p| p.name == part);
                found.map(|p| p.seconds).ok_or_else(|| io::Error::other(format!("the model has no part {part:?}")))
            }
        }
    }
}
