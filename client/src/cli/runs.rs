//! `lode runs`.

use clap::Args;
use lode_lake::history::{self, OpenRun, Run};
use lode_scheduler::job::JobRecord;
use lode_scheduler::journal;
use serde_json::json;

use super::{LakeArg, Outcome, Output, text};
use crate::report::count;

#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// Form of the list
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Output,
}

pub(super) async fn runs(args: RunsArgs) -> Outcome {
    let lake = args.lake.open().await?;
    let committed = history::runs(&lake).await?;
    let mut open = vec![];
    for run in history::open_runs(&lake).await? {
        let tasks = tasks(&journal::left(&lake, &run.run_id).await?);
        open.push((run, tasks));
    }
    if args.output == Output::Json {
        let done = committed.iter().map(|run| {
            let mut object = json!(run);
            object["state"] = "committed".into();
            object
        });
        return text::print_json(
            &done
                .chain(open.iter().map(|(run, tasks)| {
                    let mut object = json!(run);
                    if let Some((done, all)) = tasks {
                        object["tasks"] = json!({"done": done, "all": all});
                    }
                    object
                }))
                .collect::<Vec<_>>(),
        );
    }
    let rows: Vec<_> =
        committed.iter().map(committed_row).chain(open.iter().map(|(run, tasks)| open_row(run, *tasks))).collect();
    let header =
        ["run", "state", "repository", "number", "time", "commit", "files", "extracted", "deleted", "rows written"];
    text::print(&text::columns(&header, &rows))?;
    for (run, _) in open.iter().filter(|(run, _)| run.state != history::OpenState::Cancelled) {
        text::note(&format!("hint: lode resume {} --lake {}", run.run_id, args.lake.lake));
    }
    Ok(super::Exit::Done)
}

fn committed_row(run: &Run) -> Vec<String> {
    let files = |state: &str| count(run.counts[state].as_u64().unwrap_or(0));
    let written = run.rows_written.as_object().into_iter().flatten().filter_map(|(_, rows)| rows.as_u64()).sum();
    vec![
        run.run_id.clone(),
        "committed".into(),
        run.repo.clone(),
        run.sequence.to_string(),
        text::time(run.committed_at),
        run.git_commit.as_deref().map_or("-", |commit| commit.get(..12).unwrap_or(commit)).to_owned(),
        files("scanned"),
        files("extracted"),
        files("deleted"),
        count(written),
    ]
}

/// How many tasks were done, and how many known, when a scheduler last wrote down what it saw of a run.
fn tasks(jobs: &[JobRecord]) -> Option<(usize, usize)> {
    let stages = &jobs.last()?.stages;
    Some((stages.iter().map(|s| s.tasks_done).sum(), stages.iter().filter_map(|s| s.partitions).sum()))
}

fn open_row(run: &OpenRun, tasks: Option<(usize, usize)>) -> Vec<String> {
    let unknown = || "-".to_owned();
    let tasks = tasks.map(|(done, all)| format!(", {done} of {all} tasks")).unwrap_or_default();
    vec![
        run.run_id.clone(),
        format!("{}{tasks}", run.state.name()),
        run.repo.clone(),
        unknown(),
        text::time(run.created_at),
        unknown(),
        unknown(),
        unknown(),
        unknown(),
        unknown(),
    ]
}
