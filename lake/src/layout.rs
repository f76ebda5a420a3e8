//! Names of the objects of a lake.
//!
//! ```text
//! _lode/format.json                              format of the lake
//! _runs/<run>/plan.json                          what was asked
//! _runs/<run>/scan-<digest>.parquet              what the scan saw: its records of files
//! _runs/<run>/scan-<digest>-<lanes>.parquet      what it wants of the lanes that decide what is to be done
//! _runs/<run>/<epoch>/plan.json                  how an epoch goes about it
//! _runs/<run>/<epoch>/worklist/<shard>.parquet   files of a shard that need work
//! _runs/<run>/<epoch>/content/                   bytes of those files, for executors that can't reach the source
//! _runs/<run>/<epoch>/manifest/<shard>.json      what the shard's task wrote
//! _runs/<run>/<epoch>/attempts/<shard>/…json     attempts at the shard that have begun
//! _runs/<run>/decision.json                      commit or cancelled
//! _commits/<repo_key>/<sequence>.json            commits of a repository
//! <table>/                                       Delta tables
//! ```

/// The format marker.
pub const FORMAT: &str = "_lode/format.json";
/// All runs.
pub const RUNS: &str = "_runs";
/// All commits.
pub const COMMITS: &str = "_commits";
/// Folder of change-data files inside a table.
pub const CHANGE_DATA: &str = "_change_data";

/// Everything of a run.
pub fn run(run_id: &str) -> String {
    format!("{RUNS}/{run_id}")
}

/// A run's plan.
pub fn run_plan(run_id: &str) -> String {
    format!("{RUNS}/{run_id}/plan.json")
}

/// A run's scan.
///
/// The digest of the run's inputs is part of the name: a run that died before its plan was kept leaves no scan that
/// another attempt, with other files, would take for its own.
pub fn scan(run_id: &str, digest: &str) -> String {
    format!("{RUNS}/{run_id}/scan-{digest}.parquet")
}

/// What a run's scan wants of some lanes.
pub fn wanted<'l>(run_id: &str, digest: &str, lanes: impl IntoIterator<Item = &'l str>) -> String {
    let lanes: String = lanes.into_iter().flat_map(|lane| ["-", lane]).collect();
    format!("{RUNS}/{run_id}/scan-{digest}{lanes}.parquet")
}

/// A run's decision.
pub fn decision(run_id: &str) -> String {
    format!("{RUNS}/{run_id}/decision.json")
}

/// An epoch's plan.
pub fn epoch_plan(run_id: &str, epoch: u32) -> String {
    format!("{RUNS}/{run_id}/{epoch}/plan.json")
}

/// A shard's worklist.
pub fn worklist(run_id: &str, epoch: u32, shard: &str) -> String {
    format!("{RUNS}/{run_id}/{epoch}/worklist/{shard}.parquet")
}

/// Folder of an epoch's staged content.
pub fn content(run_id: &str, epoch: u32) -> String {
    format!("{RUNS}/{run_id}/{epoch}/content")
}

/// What the schema gate saw before an epoch was committed.
pub fn gate(run_id: &str, epoch: u32) -> String {
    format!("{RUNS}/{run_id}/{epoch}/gate.json")
}

/// Folder of an epoch's manifests.
pub fn manifests(run_id: &str, epoch: u32) -> String {
    format!("{RUNS}/{run_id}/{epoch}/manifest")
}

/// A shard's manifest.
pub fn manifest(run_id: &str, epoch: u32, shard: &str) -> String {
    format!("{RUNS}/{run_id}/{epoch}/manifest/{shard}.json")
}

/// Folder of a shard's attempts.
pub fn attempts(run_id: &str, epoch: u32, shard: &str) -> String {
    format!("{RUNS}/{run_id}/{epoch}/attempts/{shard}")
}

/// Folder of a repository's commits.
pub fn commits(repo_key: &str) -> String {
    format!("{COMMITS}/{repo_key}")
}

/// A repository's commit.
pub fn commit(repo_key: &str, sequence: u64) -> String {
    format!("{COMMITS}/{repo_key}/{sequence:020}.json")
}

/// A partition's folder inside a table, or nothing for a table without partitions.
pub fn partition(column: &str, value: &str) -> String {
    format!("{column}={}/", encode(value))
}

/// Percent-encodes what is not safe in a path segment everywhere.
fn encode(value: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(byte as char),
            other => write!(text, "%{other:02X}").expect("writing to a String can't fail"),
        }
    }
    text
}
