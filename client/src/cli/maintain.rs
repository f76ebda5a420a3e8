//! `lode maintain`.

use clap::Args;
use lode_lake::maintain::{GRACE, Report, Upkeep, maintain as tidy};

use super::values::Span;
use super::{LakeArg, Outcome, Output, text};
use crate::report::{bytes, count};

const EXAMPLES: &str = "\
Examples:
  lode maintain --lake lake --dry-run
  lode maintain --lake lake --keep-runs 10

Nothing goes that a kept run, the newest tables or a run that can be resumed needs. What has just
been written is left alone for the time of --grace, because a run may be about to name it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct MaintainArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep only the last N runs of each repository readable [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep_runs: Option<u32>,
    /// Age below which nothing goes [default: 24h]
    #[arg(long, value_name = "TIME")]
    grace: Option<Span>,
    /// Form of the report
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

pub(super) async fn maintain(args: MaintainArgs) -> Outcome {
    let lake = args.lake.open().await?;
    let upkeep = Upkeep {
        dry_run: args.dry_run,
        keep_runs: args.keep_runs.map(|runs| runs as usize),
        grace: args.grace.map_or(GRACE, |span| span.0),
    };
    let report = tidy(&lake, &upkeep).await?;
    match args.output {
        Output::Text => text::print(&describe(&report)),
        Output::Json => text::print_json(&report),
    }
}

fn describe(report: &Report) -> String {
    let mut out = String::new();
    if report.dry_run {
        for removal in &report.removed {
            out.push_str(&format!("{}  {}\n", removal.path, bytes(removal.bytes)));
        }
    }
    let (would, verb) = if report.dry_run { ("would be ", "would get") } else { ("", "got") };
    let removed = report.removed.len() as u64;
    out.push_str(&format!("{} objects {would}removed, {}\n", count(removed), bytes(report.removed_bytes)));
    if report.in_grace > 0 {
        out.push_str(&format!("{} unreached objects are too young to go\n", count(report.in_grace)));
    }
    for table in &report.checkpoints {
        out.push_str(&format!("{table} {verb} a checkpoint\n"));
    }
    for (table, shards) in &report.scattered {
        out.push_str(&format!(
            "{table} has {shards} shards with several files: a run that touches them makes one of each\n"
        ));
    }
    out
}
