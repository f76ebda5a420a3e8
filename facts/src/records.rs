//! Lode's own tables: what was extracted, what went wrong, and how each run went.

use crate::catalog::{Column, ColumnType as T, Dataset, Scope};

const fn own(
    name: &'static str,
    scope: Scope,
    doc: &'static str,
    key: &'static [&'static str],
    columns: &'static [Column],
) -> Dataset {
    Dataset { name, lane: None, scope, doc, columns, key, default: true }
}

const fn req(name: &'static str, ty: T, doc: &'static str) -> Column {
    Column::new(name, ty, false, doc)
}

const fn opt(name: &'static str, ty: T, doc: &'static str) -> Column {
    Column::new(name, ty, true, doc)
}

/// What is in the lake, a row a (file, lane).
pub static EXTRACT_STATE: Dataset = own(
    "extract_state",
    Scope::File,
    "What the lake holds of each file: one row a (file, lane), compared with the scan to find what changed.",
    &["file_id", "lane"],
    &[
        req("lane", T::Utf8, "Lane: a parser's view of a file and the datasets that come from it."),
        req(
            "content_key",
            T::Utf8,
            "What the lane read: sha256 and language; for the lane `files` a hash of the scan's record.",
        ),
        req("fingerprint", T::Utf8, "Revision, parsers, grammars and options the rows depend on."),
        req("status", T::Utf8, "`extracted`, `failed` or `quarantined`."),
        opt("reason", T::Utf8, "Reason code of a failure, or the limit that was broken."),
        req("datasets", T::Utf8List, "Datasets that are done; one that is missing here is not."),
        req("dataset_rows", T::Int64List, "Rows of the file in each of `datasets`.").unit("rows"),
        req("dataset_hashes", T::Int64List, "Hash of those rows, by `lode verify`'s rule.")
            .source("sum of row hashes, see the row hash in the documentation"),
    ],
);

/// Diagnostics of extraction.
pub static DIAGNOSTICS: Dataset = own(
    "diagnostics",
    Scope::File,
    "What extractors had to say of a file that is not a fact.",
    &["file_id", "lane", "ordinal"],
    &[
        req("lane", T::Utf8, "Lane that says it."),
        req("ordinal", T::Int32, "Position among the lane's diagnostics of the file."),
        req("severity", T::Utf8, "`info`, `warning` or `error`."),
        req("code", T::Utf8, "Stable code."),
        req("message", T::Utf8, "For people."),
        opt("bstart", T::Int32, "First byte concerned.").unit("byte, from 0"),
    ],
);

/// Files that broke a limit.
pub static QUARANTINE: Dataset = own(
    "quarantine",
    Scope::File,
    "Files that broke a limit. They stay here, without facts, until content, fingerprint or limits change or `lode quarantine retry` asks for them.",
    &["file_id", "lane"],
    &[
        req("lane", T::Utf8, "Lane that was at work."),
        req("content_key", T::Utf8, "What was read."),
        req("fingerprint", T::Utf8, "Fingerprint of the lane."),
        req("limits_hash", T::Utf8, "Hash of the limits in force."),
        req("limit_name", T::Utf8, "The limit: `cpu`, `wall`, `memory`, `output`, `file_bytes`, `stack` or `crash`."),
        req("message", T::Utf8, "What happened, with the end of what the worker printed."),
        req("attempts", T::Int32, "How often it was tried."),
    ],
);

/// Shard map.
pub static SHARDS: Dataset = own(
    "shards",
    Scope::Repo,
    "Ranges of paths that files are stored by, stable from run to run.",
    &["repo", "shard"],
    &[
        req("repo", T::Utf8, "Repository."),
        req("shard", T::Utf8, "Shard, the partition value of the fact tables."),
        req("lower", T::Utf8, "First path of the range; empty for the start."),
        opt("upper", T::Utf8, "First path after the range; null for the end."),
        req("files", T::Int64, "Files in the range when last planned.").unit("files"),
        req("bytes", T::Int64, "Their size.").unit("byte"),
    ],
);

/// Repositories of the lake.
pub static REPOS: Dataset = own(
    "repos",
    Scope::Repo,
    "Repositories of the lake and where they came from.",
    &["repo"],
    &[
        req("repo", T::Utf8, "Name: `--repo`, else the normalised origin, else the directory's name."),
        req("repo_key", T::Utf8, "Short key that names its shards and commits."),
        opt("origin", T::Utf8, "Normalised URL of the remote `origin`."),
    ],
);

/// Committed runs.
pub static RUNS: Dataset = own(
    "runs",
    Scope::Run,
    "One row a committed run, written last: it names the version of every table, which together are one consistent snapshot.",
    &["run_id"],
    &[
        req("run_id", T::Utf8, "Run."),
        req("repo", T::Utf8, "Repository."),
        req("sequence", T::Int64, "Commit number of the repository, from 1."),
        req("epoch", T::Int32, "Plan of the run that was committed; a run that lost a race plans again."),
        opt("git_commit", T::Utf8, "Commit the scan saw."),
        req("scope", T::Utf8, "The scan's scope as JSON."),
        req("complete", T::Boolean, "Whether the scan saw the whole repository, so that deletions could be inferred."),
        req("settings_hash", T::Utf8, "Hash of options, limits, datasets and scope."),
        req("source", T::Utf8, "How content reached the executors: `shared`, `staged` or `git`."),
        req("version", T::Utf8, "Version of Lode."),
        req("datasets", T::Utf8List, "Datasets the run filled."),
        req("complete_datasets", T::Utf8List, "Datasets that equal the snapshot of this run."),
        req("tables", T::Utf8List, "Tables, in the order of `table_versions`."),
        req("table_versions", T::Int64List, "Delta version of each table."),
        req("counts", T::Utf8, "Counts of files by state, as JSON.").unit("files"),
        req("rows", T::Utf8, "Rows of the repository's snapshot by dataset, as JSON.").unit("rows"),
        req("rows_written", T::Utf8, "Rows this run wrote by dataset, as JSON.").unit("rows"),
        req("bytes", T::Int64, "Content that was extracted.").unit("byte"),
        req("started_at", T::Timestamp, "Start of the run.").unit("UTC"),
        req("committed_at", T::Timestamp, "Time of the commit object.").unit("UTC"),
    ],
);

/// Stages of runs.
pub static RUN_STAGES: Dataset = own(
    "run_stages",
    Scope::Run,
    "One row a stage of a run, as the scheduler saw it end.",
    &["run_id", "epoch", "job_id", "stage_id"],
    &[
        req("run_id", T::Utf8, "Run."),
        req("epoch", T::Int32, "Epoch of the run."),
        req("job_id", T::Utf8, "Job of the scheduler."),
        req("stage_id", T::Int64, "Stage."),
        req("state", T::Utf8, "`successful`, `failed`, `running`, `resolved` or `unresolved`."),
        req("partitions", T::Int64, "Tasks of the stage.").unit("tasks"),
        req("plan", T::Utf8, "Physical plan of the stage with its metrics."),
        opt("metrics", T::Utf8, "Metrics of the stage as JSON."),
        opt("error", T::Utf8, "Why it failed."),
    ],
);

/// Tasks of runs.
pub static RUN_TASKS: Dataset = own(
    "run_tasks",
    Scope::Run,
    "One row a shard of a run: what it cost and what it did.",
    &["run_id", "epoch", "shard"],
    &[
        req("run_id", T::Utf8, "Run."),
        req("epoch", T::Int32, "Epoch of the run."),
        req("shard", T::Utf8, "Shard."),
        req("attempt", T::Utf8, "Attempt whose output was committed."),
        req("files", T::Int64, "Files on its worklist.").unit("files"),
        req("bytes", T::Int64, "Content it read.").unit("byte"),
        req("rows_written", T::Int64, "Rows it wrote.").unit("rows"),
        req("rows_carried", T::Int64, "Rows it took over unchanged.").unit("rows"),
        req("elapsed_ms", T::Int64, "Wall time.").unit("ms"),
        req("worker_cpu_ms", T::Int64, "CPU time of its worker processes.").unit("ms"),
        opt("slowest_path", T::Utf8, "File that took longest."),
        opt("slowest_ms", T::Int64, "How long it took.").unit("ms"),
    ],
);

/// Plan artifacts of runs.
pub static PLAN_ARTIFACTS: Dataset = own(
    "plan_artifacts",
    Scope::Run,
    "Plans and fingerprints of each run: what was asked, how it was planned, and with what.",
    &["run_id", "epoch", "kind", "name"],
    &[
        req("run_id", T::Utf8, "Run."),
        req("epoch", T::Int32, "Epoch of the run."),
        req(
            "kind",
            T::Utf8,
            "`logical_plan`, `optimized_plan`, `physical_plan`, `sql`, `substrait`, `settings_hash`, `profile_hash`, `function_registry_hash`, `plan_fingerprint`, `schema_gate`, `delta_versions_in`, `delta_versions_out`, `durations`, `rows`.",
        ),
        req("name", T::Utf8, "Plan it belongs to: `worklist`, `job`, or a table."),
        opt("text", T::Utf8, "The artifact as text or JSON."),
        opt("bytes", T::Binary, "The artifact as bytes (Substrait)."),
        opt("note", T::Utf8, "Why an artifact can't be given, where it can't."),
    ],
);

/// The datasets of this module.
pub const DATASETS: &[&Dataset] =
    &[&EXTRACT_STATE, &DIAGNOSTICS, &QUARANTINE, &SHARDS, &REPOS, &RUNS, &RUN_STAGES, &RUN_TASKS, &PLAN_ARTIFACTS];
