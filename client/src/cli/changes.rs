//! `lode changes`.

use std::io::{self, BufWriter};

use clap::Args;
use lode_lake::history::{self, Run};

use super::catalog::by_name;
use super::{Exit, Failure, LakeArg, Outcome};
use crate::query::{Format, write};

const EXAMPLES: &str = "\
Example:
  lode changes ast_defs --since 0198f3c2-7d1e-7c55-9a55-3f1b0c7c2f11 --lake lake --format csv

Rows carry _change_type: insert, delete, or update_preimage and update_postimage.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ChangesArgs {
    /// The table
    table: String,
    #[command(flatten)]
    lake: LakeArg,
    /// The run whose state is the base
    #[arg(long, value_name = "RUN")]
    since: String,
    /// The run up to whose state changes are shown [default: the repository's last]
    #[arg(long, value_name = "RUN")]
    until: Option<String>,
    /// How rows are written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

pub(super) async fn changes(args: ChangesArgs) -> Outcome {
    let dataset = by_name(&args.table)?;
    let lake = args.lake.open().await?;
    let runs = history::runs(&lake).await?;
    let since = find(&runs, &args.since)?;
    let until = match &args.until {
        Some(id) => find(&runs, id)?,
        None => runs.iter().rfind(|run| run.repo == since.repo).unwrap_or(since),
    };
    let context = lode_plan::session::local_context(None)?;
    let frame = lode_lake::changes::changes(&lake, &context, dataset, since, until).await?;
    write(frame.execute_stream().await?, args.format, BufWriter::new(io::stdout())).await?;
    Ok(Exit::Done)
}

fn find<'a>(runs: &'a [Run], id: &str) -> Result<&'a Run, Failure> {
    let run = runs.iter().find(|run| run.run_id == id);
    run.ok_or_else(|| Failure::usage(format!("there is no committed run `{id}`")).hint("`lode runs` lists the runs"))
}
