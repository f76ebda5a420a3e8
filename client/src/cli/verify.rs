//! `lode verify`.

use std::path::PathBuf;

use clap::Args;
use lode_facts::catalog::dataset;
use lode_lake::Lake;
use lode_lake::plan::RunPlan;
use lode_lake::snapshot::{Pin, Snapshot};
use lode_lake::verify::{Report, compare, verify as check};
use lode_plan::inputs::RunRequest;

use super::query::PinArgs;
use super::{Exit, Failure, LakeArg, Outcome, Output, text};
use crate::report::{count, observer};
use crate::run::{self, ExtractRequest, Place};

const EXAMPLES: &str = "\
Examples:
  lode verify --lake lake
  lode verify --lake lake --rebuild ~/src/django

Every row is read and hashed again, and compared with what extraction recorded. With --rebuild the
repository is extracted once more, into a temporary lake, and the records are compared.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    lake: LakeArg,
    #[command(flatten)]
    pin: PinArgs,
    /// Extract this repository again and compare
    #[arg(long, value_name = "PATH", conflicts_with_all = ["run", "as_of"])]
    rebuild: Option<PathBuf>,
    /// Name of the repository to rebuild, when its directory doesn't tell
    #[arg(long, value_name = "NAME", requires = "rebuild")]
    repo: Option<String>,
    /// Form of the report
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

pub(super) async fn verify(args: VerifyArgs) -> Outcome {
    let lake = args.lake.open().await?;
    // Without a pin, what other writers did to the tables is part of the question.
    let snapshot = match args.pin.pin() {
        Pin::Last => Snapshot::newest(&lake).await?,
        pin => Snapshot::pin(&lake, pin).await?,
    };
    let mut report = check(&snapshot).await?;
    if let Some(path) = &args.rebuild {
        report.merge(rebuild(&snapshot, path.clone(), args.repo.clone()).await?);
    }
    match args.output {
        Output::Json => text::print_json(&report)?,
        Output::Text => text::print(&describe(&report))?,
    };
    Ok(if report.is_clean() { Exit::Done } else { Exit::Differences })
}

fn describe(report: &Report) -> String {
    let mut out: String = report.findings.iter().map(|finding| format!("{finding}\n")).collect();
    let more = report.findings_total - report.findings.len() as u64;
    if more > 0 {
        out.push_str(&format!("and {} more\n", count(more)));
    }
    let verdict = match report.findings_total {
        0 => "no difference".to_owned(),
        1 => "1 difference".to_owned(),
        n => format!("{} differences", count(n)),
    };
    out.push_str(&format!(
        "{verdict} in {} tables, {} data files, {} entries, {} rows\n",
        report.tables,
        count(report.data_files),
        count(report.entries),
        count(report.rows),
    ));
    out
}

/// Extracts the repository as its last run did, into a lake of its own, and compares.
async fn rebuild(snapshot: &Snapshot, path: PathBuf, repo: Option<String>) -> Result<Report, Failure> {
    let repos = snapshot.repos();
    let repo = match (repo, repos.len()) {
        (Some(repo), _) => repo,
        (None, 1) => repos.first().map(|repo| (*repo).to_owned()).unwrap_or_default(),
        (None, _) => return Err(Failure::usage("the lake has not exactly one repository").hint("name it with --repo")),
    };
    let last = snapshot.last_run(&repo);
    let last = last
        .ok_or_else(|| Failure::usage(format!("the lake has no repository `{repo}`")).hint("`lode runs` lists them"))?;
    let home = tempfile::tempdir().map_err(|e| Failure::new("can't make a temporary directory", e))?;
    let location = home.path().join("lake").to_string_lossy().into_owned();
    let request =
        request(snapshot.lake(), &last.run_id, path, location.clone(), &last.complete_datasets, repo.clone()).await?;
    run::extract(request, observer(true)).await?;
    let rebuilt = Snapshot::pin(&Lake::open(&location).await?, Pin::Last).await?;
    Ok(compare(snapshot, &rebuilt, &repo).await?)
}

/// What the last run was asked for, from another place into another lake. A run that looked only at changes stands for
/// the whole.
async fn request(
    lake: &Lake,
    run_id: &str,
    path: PathBuf,
    location: String,
    datasets: &[String],
    repo: String,
) -> Result<ExtractRequest, Failure> {
    let plan = RunPlan::load(lake, run_id).await?;
    let plan = plan.ok_or_else(|| {
        Failure::usage(format!("the plan of run {run_id} is gone")).hint("extract once more, then verify")
    })?;
    let asked: RunRequest = serde_json::from_value(plan.request)
        .map_err(|e| Failure::new(format!("can't read the plan of run {run_id}"), e))?;
    let texts = |name: &str| -> Vec<String> {
        let values = asked.scope[name].as_array().into_iter().flatten();
        values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
    };
    let flag = |name: &str| asked.scope[name].as_bool().unwrap_or(false);
    Ok(ExtractRequest {
        path,
        lake: location,
        repo: Some(repo),
        include: texts("include"),
        exclude: texts("exclude"),
        reference: asked.scope["ref"].as_str().map(str::to_owned),
        changed_since: None,
        submodules: flag("submodules"),
        worktrees: flag("worktrees"),
        datasets: datasets
            .iter()
            .filter_map(|name| dataset(name))
            .filter(|d| d.lane.is_some())
            .map(|d| d.name)
            .collect(),
        run_id: None,
        place: Place::here(),
        source: None,
        shards: None,
        // What it was then, whatever the project says now.
        python_version: Some(asked.options.python_version),
        options: asked.options,
        limits: asked.limits,
    })
}
