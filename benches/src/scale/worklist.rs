//! A scan of files that are nowhere, through everything that `lode extract` does between its scan and the scheduler:
//! the scan is kept, joined with the (empty) state of the lake, cut into shards, written, planned and submitted.
//! Nothing is staged, as there is nothing to read, and no executor takes the job, or executors that do nothing.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::time::Instant;

use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::protobuf::LogicalPlanNode;
use lode_executor::node::codecs;
use lode_executor::wire::Wire;
use lode_facts::catalog::datasets;
use lode_facts::file::{FileKind, FileMeta};
use lode_facts::hash::{file_id, stable_hash};
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};
use lode_lake::base::Base;
use lode_lake::layout;
use lode_lake::plan::RunPlan;
use lode_lake::shard::repo_key;
use lode_lake::store::Lake;
use lode_plan::artifacts;
use lode_plan::epoch::{job, plan_epoch};
use lode_plan::host::ContentSource;
use lode_plan::inputs::{KeptRun, RunRequest, inputs};
use lode_plan::session::session_state;
use lode_plan::worklist::lanes_of;
use lode_scheduler::client::Client;
use serde_json::{Value, json};

use super::crowd::Crowd;

const REPO: &str = "example.org/synthetic/monorepo";
const RUN: &str = "synthetic";

/// What to do.
#[derive(clap::Args)]
pub struct Args {
    lake: String,
    #[arg(long)]
    scheduler: String,
    #[arg(long)]
    files: usize,
    /// Shards, if not as many as their size asks for.
    #[arg(long)]
    shards: Option<usize>,
    /// Executors that do nothing, to which the scheduler hands the job out.
    #[arg(long, default_value_t = 0)]
    crowd: usize,
    /// Datasets; the default ones when there are none.
    #[arg(long, value_delimiter = ',')]
    datasets: Vec<String>,
}

/// Submits the job, and prints how large it is and how long each step took.
pub fn run(args: &Args) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let summary = runtime.block_on(submit(args)).map_err(io::Error::other)?;
    writeln!(io::stdout().lock(), "{summary}")
}

async fn submit(args: &Args) -> Result<Value, Box<dyn Error + Send + Sync>> {
    let wire = Wire::default();
    let client = Client::connect(&args.scheduler, &wire).await?;
    let lake = Lake::open_or_create(&args.lake).await?;
    let config = wire.apply(SessionConfig::new());
    let context = SessionContext::new_with_state(session_state(config, lode_lake::runtime()?, None)?);
    let request = request(args);

    let mut crowd = Crowd::gather(&wire, &args.scheduler, args.crowd).await?;
    let mut steps = Steps(Instant::now(), vec![]);
    let scanned: Vec<FileMeta> = (0..args.files).map(file).collect();
    steps.done("scan");
    let base = Base::load(&lake, REPO).await?;
    let lanes = lanes_of(&request, &base);
    let inputs = inputs(&request, &lanes, scanned)?;
    let scan_bytes = inputs.records.len() + inputs.wanted.len();
    lake.put_new(&layout::scan(RUN, &inputs.digest), inputs.records).await?;
    let wanted = layout::wanted(RUN, &inputs.digest, lanes.iter().map(|lane| lane.name()));
    lake.put_new(&wanted, inputs.wanted).await?;
    plan_of_run(&request, &inputs.digest)?.publish(&lake).await?;
    steps.done("keep the scan");
    let run = KeptRun { run_id: RUN, digest: &inputs.digest, request: &request };
    let epoch = plan_epoch(&lake, &context, &run, &base, 0, &inputs.files, 0).await?;
    steps.done("plan and shard");
    let plan = job(&lake, &epoch).await?;
    artifacts::of_plan(&context.state(), "job", &plan).await?;
    let accepted = client.submit(RUN, &plan, &context, &codecs()).await?;
    steps.done("submit");
    // One task a shard, and the commit.
    let tasks = if args.crowd == 0 { 0 } else { epoch.plan.tasks.len() + 1 };
    let task_bytes = crowd.finish(tasks).await?;
    steps.done("hand out");
    let mut sent = Vec::<u8>::new();
    let optimized = context.state().optimize(&plan)?;
    LogicalPlanNode::try_from_logical_plan(&optimized, codecs().logical.as_ref())?.try_encode(&mut sent)?;

    let worklists = lake.list(&format!("{}/0/worklist", layout::run(RUN))).await?;
    let (files, counts) = (args.files as u64, epoch.plan.counts);
    if (epoch.work.files, counts.scanned, worklists.len()) != (files, files, epoch.plan.tasks.len()) {
        return Err(format!("{} of {files} files are on the worklist; {counts:?}", epoch.work.files).into());
    }
    Ok(json!({
        "job": accepted,
        "shards": epoch.plan.tasks.len(),
        "bytes": epoch.work.bytes,
        "plan_bytes": sent.len(),
        "task_bytes": task_bytes,
        "scan_bytes": scan_bytes,
        "worklist_bytes": worklists.iter().map(|object| object.size).sum::<u64>(),
        "seconds": steps.1.into_iter().collect::<serde_json::Map<_, _>>(),
    }))
}

/// Steps and how long they took.
struct Steps(Instant, Vec<(String, Value)>);

impl Steps {
    fn done(&mut self, step: &str) {
        self.1.push((step.to_owned(), self.0.elapsed().as_secs_f64().into()));
        self.0 = Instant::now();
    }
}

/// Python files of ten kilobytes, fifty in a directory.
fn file(number: usize) -> FileMeta {
    let random = |salt: usize| format!("{:016x}", stable_hash(format!("{number}/{salt}").as_bytes()));
    let (team, package) = (number / 5_000, number / 50);
    let path = format!("services/team_{team:05}/package_{package:07}/module_{number:09}.py");
    FileMeta {
        repo: REPO.into(),
        file_id: file_id(REPO, path.as_bytes()),
        path,
        path_bytes: None,
        kind: FileKind::File,
        size: 2_000 + (number as i64 * 7_919) % 16_000,
        sha256: Some((0..4).map(random).collect()),
        mode: 0o100_644,
        git_blob: Some((4..7).map(random).collect::<String>()[..40].to_owned()),
        tracked: Some(true),
        language: Some(Language::Python),
        included: true,
        rule: "default".into(),
    }
}

fn request(args: &Args) -> RunRequest {
    let chosen = |name: &str, default: bool| match args.datasets.iter().filter(|given| !given.is_empty()).count() {
        0 => default,
        _ => args.datasets.iter().any(|given| given == name),
    };
    let datasets = datasets().iter().filter(|d| d.lane.is_some() && chosen(d.name, d.default));
    RunRequest {
        repo: REPO.into(),
        origin: None,
        git_commit: None,
        complete: true,
        changed_since: None,
        gone: vec![],
        retried: BTreeSet::new(),
        source: ContentSource::Shared { root: "/nowhere".into(), linked: Default::default() },
        staged: false,
        datasets: datasets.map(|dataset| dataset.name.to_owned()).collect(),
        options: Options::default(),
        limits: Limits::default(),
        scope: json!({}),
        shards: args.shards,
    }
}

fn plan_of_run(request: &RunRequest, digest: &str) -> serde_json::Result<RunPlan> {
    Ok(RunPlan {
        run_id: RUN.into(),
        repo: REPO.into(),
        repo_key: repo_key(REPO),
        origin: None,
        digest: digest.into(),
        created_at: 0,
        request: serde_json::to_value(request)?,
    })
}
