//! `lode explain`.

use clap::Args;
use datafusion::prelude::{DataFrame, col, lit};
use lode_lake::history;
use lode_lake::snapshot::Pin;
use lode_scheduler::job::JobRecord;
use lode_scheduler::journal;
use serde_json::{Map, Value, json};

use super::{Failure, LakeArg, Outcome, Output, text};
use crate::query::{Engine, engine};
use crate::report::{bytes, count};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lode explain 0198f3c2-7d1e-7c55-9a55-3f1b0c7c2f11 --lake lake\n  lode explain last --lake lake --output json"
)]
pub(super) struct ExplainArgs {
    /// The run, or `last`
    run: String,
    #[command(flatten)]
    lake: LakeArg,
    /// Form of the explanation; text leaves out plans of stages and binary artifacts
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

const ARTIFACTS: &str = "plan_artifacts";
const STAGES: &str = "run_stages";
const TASKS: &str = "run_tasks";

pub(super) async fn explain(args: ExplainArgs) -> Outcome {
    let lake = args.lake.open().await?;
    let runs = history::runs(&lake).await?;
    let run = match args.run.as_str() {
        "last" => runs.last(),
        id => runs.iter().find(|run| run.run_id == id),
    };
    let (run_id, head, json) = match run {
        Some(run) => {
            let times = (text::time(run.started_at), text::time(run.committed_at));
            let head = format!(
                "run {} of {}, number {}\nstarted {}, committed {}\n",
                run.run_id, run.repo, run.sequence, times.0, times.1
            );
            (run.run_id.clone(), head, json!(run))
        }
        None => {
            let open = history::open_runs(&lake).await?.into_iter().find(|run| run.run_id == args.run);
            let run = open.ok_or_else(|| {
                Failure::usage(format!("there is no run `{}`", args.run)).hint("`lode runs` lists the runs")
            })?;
            let head = format!(
                "run {} of {}, {}\nplanned {}\n",
                run.run_id,
                run.repo,
                run.state.name(),
                text::time(run.created_at)
            );
            (run.run_id.clone(), head, json!(run))
        }
    };
    let engine = engine(&lake, Pin::Last, None).await?;
    let mut artifacts = rows(&engine, ARTIFACTS, &run_id, &["epoch", "kind", "name"]).await?;
    let mut stages = rows(&engine, STAGES, &run_id, &["epoch", "job_id", "stage_id"]).await?;
    let tasks = rows(&engine, TASKS, &run_id, &["epoch", "shard"]).await?;
    for job in journal::left(&lake, &run_id).await? {
        if !stages.iter().any(|stage| stage.get("job_id").and_then(Value::as_str) == Some(&job.job_id)) {
            add_captures(&job, &mut artifacts, &mut stages);
        }
    }
    if args.output == Output::Json {
        return text::print_json(&json!({"run": json, "artifacts": artifacts, "stages": stages, "tasks": tasks}));
    }

    let mut out = head;
    for artifact in &artifacts {
        let field = |name: &str| artifact.get(name).and_then(Value::as_str).unwrap_or_default().trim_end();
        out.push_str(&format!("\n{} {}\n", field("kind"), field("name")));
        let body = match (field("text"), field("bytes")) {
            ("", hex) if !hex.is_empty() => format!("{} bytes", hex.len() / 2),
            (text, _) => text.to_owned(),
        };
        for line in body.lines().chain(field("note").lines()) {
            out.push_str(&format!("  {line}\n"));
        }
    }
    if !stages.is_empty() {
        out.push_str("\nstages\n");
        let row = |stage: &Map<String, Value>| {
            let cell = |name: &str| plain(stage.get(name));
            vec![cell("epoch"), cell("stage_id"), cell("state"), cell("partitions"), cell("error")]
        };
        let rows: Vec<_> = stages.iter().map(row).collect();
        out.push_str(&text::columns(&["epoch", "stage", "state", "tasks", "error"], &rows));
    }
    if !tasks.is_empty() {
        out.push_str("\ntasks\n");
        let row = |task: &Map<String, Value>| {
            let number = |name: &str| task.get(name).and_then(Value::as_u64).unwrap_or(0);
            vec![
                plain(task.get("shard")),
                count(number("files")),
                bytes(number("bytes")),
                count(number("rows_written")),
                count(number("rows_carried")),
                count(number("elapsed_ms")),
                count(number("worker_cpu_ms")),
                plain(task.get("slowest_path")),
            ]
        };
        let header = ["shard", "files", "bytes", "written", "carried", "ms", "worker ms", "slowest file"];
        out.push_str(&text::columns(&header, &tasks.iter().map(row).collect::<Vec<_>>()));
    }
    text::print(&out)
}

/// What the scheduler of a job that is not over, or of one that died with it, has seen: in the form of the tables' rows.
fn add_captures(job: &JobRecord, artifacts: &mut Vec<Map<String, Value>>, stages: &mut Vec<Map<String, Value>>) {
    let epoch = job.address.as_ref().map_or(0, |address| address.epoch);
    let mut add = |kind: &str, text: Value| {
        let row = json!({"run_id": job.job_name, "epoch": epoch, "kind": kind, "name": "cluster", "text": text});
        artifacts.extend(row.as_object().cloned());
    };
    if let Some(plan) = &job.physical_plan {
        add("physical_plan", plan.as_str().into());
    }
    add("events", json!(job.events).to_string().into());
    for stage in &job.stages {
        let row = json!({
            "run_id": job.job_name, "epoch": epoch, "job_id": job.job_id, "stage_id": stage.stage_id,
            "state": stage.state, "partitions": stage.partitions, "plan": stage.plan,
            "metrics": json!(stage.metrics).to_string(), "error": stage.error,
        });
        stages.extend(row.as_object().cloned());
    }
}

fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A run's rows of a table in order; none when the lake has no such table.
async fn rows(engine: &Engine, table: &str, run_id: &str, order: &[&str]) -> Result<Vec<Map<String, Value>>, Failure> {
    if !engine.context.table_exist(table)? {
        return Ok(vec![]);
    }
    let frame: DataFrame = engine.context.table(table).await?.filter(col("run_id").eq(lit(run_id)))?;
    let batches = frame.sort(order.iter().map(|name| col(*name).sort(true, true)).collect())?.collect().await?;
    let mut writer = arrow::json::ArrayWriter::new(vec![]);
    let fail = |e| Failure::new(format!("can't show table `{table}`"), e);
    writer.write_batches(&batches.iter().collect::<Vec<_>>()).and_then(|()| writer.finish()).map_err(fail)?;
    let text = writer.into_inner();
    if text.is_empty() {
        return Ok(vec![]);
    }
    serde_json::from_slice(&text).map_err(|e| Failure::new(format!("can't show table `{table}`"), e))
}
