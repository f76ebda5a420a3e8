//! `lode quarantine`.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use clap::{Args, Subcommand};
use datafusion::prelude::col;
use lode_facts::lane::LaneId;
use lode_lake::snapshot::Pin;

use super::{Exit, Failure, LakeArg, Outcome, Output, text};
use crate::query::engine;

#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// List the files in quarantine
    List(ListArgs),
    /// Have the repository's next run try files again
    Retry(RetryArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// Form of the list
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lode quarantine retry --lake lake --all\n  lode quarantine retry --lake lake src/big.py --lane ast"
)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// Paths in their repositories
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    paths: Vec<String>,
    /// All files in quarantine
    #[arg(long)]
    all: bool,
    /// Only files of this repository
    #[arg(long, value_name = "NAME")]
    repo: Option<String>,
    /// Only this lane
    #[arg(long, value_name = "LANE")]
    lane: Option<String>,
}

/// A row of `quarantine`.
#[derive(Debug, serde::Serialize)]
struct Held {
    repo: String,
    path: String,
    #[serde(skip)]
    file_id: i64,
    lane: String,
    limit: String,
    message: String,
}

pub(super) async fn quarantine(command: QuarantineCommand) -> Outcome {
    match command {
        QuarantineCommand::List(args) => list(args).await,
        QuarantineCommand::Retry(args) => retry(args).await,
    }
}

async fn list(args: ListArgs) -> Outcome {
    let held = held(&args.lake).await?;
    if args.output == Output::Json {
        return text::print_json(&held);
    }
    if held.is_empty() {
        text::note("no file is in quarantine");
        return Ok(Exit::Done);
    }
    let row = |held: &Held| {
        let message = held.message.lines().next().unwrap_or_default();
        [&held.repo, &held.path, &held.lane, &held.limit].into_iter().cloned().chain([message.to_owned()]).collect()
    };
    text::print(&text::columns(
        &["repository", "path", "lane", "limit", "what happened"],
        &held.iter().map(row).collect::<Vec<_>>(),
    ))
}

async fn retry(args: RetryArgs) -> Outcome {
    if let Some(lane) = args.lane.as_deref().filter(|lane| LaneId::by_name(lane).is_none()) {
        let lanes = LaneId::ALL.map(LaneId::name).join(", ");
        return Err(Failure::usage(format!("no lane is called `{lane}`")).hint(format!("lanes are {lanes}")));
    }
    let held = held(&args.lake).await?;
    let wanted = |held: &&Held| {
        (args.all || args.paths.contains(&held.path))
            && args.repo.as_ref().is_none_or(|repo| *repo == held.repo)
            && args.lane.as_ref().is_none_or(|lane| *lane == held.lane)
    };
    let chosen: Vec<&Held> = held.iter().filter(wanted).collect();
    if let Some(path) = args.paths.iter().find(|path| !chosen.iter().any(|held| held.path == **path)) {
        return Err(
            Failure::usage(format!("`{path}` is not in quarantine")).hint("`lode quarantine list` lists what is")
        );
    }
    let mut requests: BTreeMap<&str, BTreeSet<(i64, LaneId)>> = BTreeMap::new();
    for held in &chosen {
        if let Some(lane) = LaneId::by_name(&held.lane) {
            requests.entry(&held.repo).or_default().insert((held.file_id, lane));
        }
    }
    let lake = args.lake.open().await?;
    for (repo, files) in &requests {
        lode_lake::retry::request(&lake, repo, files).await?;
    }
    text::note(&format!("{} marked: the next run of their repository tries them again", chosen.len()));
    Ok(Exit::Done)
}

async fn held(lake: &LakeArg) -> Result<Vec<Held>, Failure> {
    const TABLE: &str = "quarantine";
    let engine = engine(&lake.open().await?, Pin::Last, None).await?;
    if !engine.context.table_exist(TABLE)? {
        return Ok(vec![]);
    }
    let columns = ["repo", "path", "file_id", "lane", "limit_name", "message"];
    let order = ["repo", "path", "lane"].map(|name| col(name).sort(true, true)).to_vec();
    let frame = engine.context.table(TABLE).await?.select(columns.map(col).to_vec())?.sort(order)?;
    let mut held = vec![];
    for batch in frame.collect().await? {
        let text = |at: usize, row: usize| batch.column(at).as_string::<i32>().value(row).to_owned();
        for row in 0..batch.num_rows() {
            held.push(Held {
                repo: text(0, row),
                path: text(1, row),
                file_id: batch.column(2).as_primitive::<Int64Type>().value(row),
                lane: text(3, row),
                limit: text(4, row),
                message: text(5, row),
            });
        }
    }
    Ok(held)
}
