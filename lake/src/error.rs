//! What can go wrong with a lake, and what to do about it.

use crate::manifest::FileCounts;

/// Result with a [`LakeError`].
pub type Result<T, E = LakeError> = std::result::Result<T, E>;

/// An error of the Delta side.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A shard was begun too often and never finished.
    #[error("shard {shard} was begun {attempts} times and never finished: whoever does it dies")]
    Attempts {
        /// Shard.
        shard: String,
        /// Attempts.
        attempts: usize,
    },
    /// The location is no directory and no url Lode can read.
    #[error("`{location}` is not a lake location: {reason}")]
    Location {
        /// As it was given.
        location: String,
        /// Why not.
        reason: String,
    },
    /// There is no lake at the location.
    #[error("there is no lake at {location}")]
    NoLake {
        /// Where it was looked for.
        location: String,
    },
    /// There are files at the location, and no lake.
    #[error("{location} is no lake and holds other files, among them `{found}`")]
    Occupied {
        /// Where a lake was to be made.
        location: String,
        /// One that is there.
        found: String,
    },
    /// The lake's format is newer than this binary knows.
    #[error("the lake has format {found}, written by {created_by}; this Lode reads up to format {known}")]
    NewerFormat {
        /// Format of the lake.
        found: u32,
        /// Newest format this binary knows.
        known: u32,
        /// What made the lake.
        created_by: String,
    },
    /// The object store failed.
    #[error("can't {action} `{path}` in the lake")]
    Store {
        /// What was tried.
        action: &'static str,
        /// The object.
        path: String,
        /// The cause.
        source: object_store::Error,
    },
    /// An object is not what it should be.
    #[error("`{path}` in the lake is damaged: {reason}")]
    Damaged {
        /// The object or table.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Delta failed.
    #[error("table `{table}`: {action} failed")]
    Delta {
        /// The table.
        table: String,
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: Box<deltalake::DeltaTableError>,
    },
    /// A table's schema is not the catalog's, and not an older version of it.
    #[error("table `{table}` can't take column `{column}`: {reason}")]
    Schema {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Why not.
        reason: String,
    },
    /// Parquet failed.
    #[error("can't {action} the data of table `{table}`")]
    Parquet {
        /// What was tried.
        action: &'static str,
        /// The table.
        table: String,
        /// The cause.
        source: parquet::errors::ParquetError,
    },
    /// Arrow failed.
    #[error("rows of table `{table}`")]
    Arrow {
        /// The table.
        table: String,
        /// The cause.
        source: arrow::error::ArrowError,
    },
    /// The rows that came don't fit what was said of them.
    #[error("rows of table `{table}` for `{path}` don't fit their report: {reason}")]
    Report {
        /// The table.
        table: String,
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A dataset the catalog doesn't have.
    #[error("unknown dataset `{0}`")]
    UnknownDataset(String),
    /// The run id belongs to another run.
    #[error("run `{run_id}` exists already and was asked for something else")]
    RunConflict {
        /// The run.
        run_id: String,
    },
    /// Two repositories share a key.
    #[error("repositories `{repo}` and `{other}` have the same key {repo_key}")]
    RepoKey {
        /// The repository at hand.
        repo: String,
        /// The one in the lake.
        other: String,
        /// Their key.
        repo_key: String,
    },
    /// A shard did not consume its worklist.
    #[error("shard {shard}: {found} of {expected} worklist rows were consumed, or not the ones that were planned")]
    Worklist {
        /// The shard.
        shard: String,
        /// Rows that were planned.
        expected: u64,
        /// Rows that were consumed.
        found: u64,
    },
    /// A shard is not finished.
    #[error("run `{run_id}` can't be committed: shard {shard} has no manifest")]
    MissingManifest {
        /// The run.
        run_id: String,
        /// The shard.
        shard: String,
    },
    /// The run was cancelled.
    #[error("run `{run_id}` was cancelled")]
    Cancelled {
        /// The run.
        run_id: String,
    },
    /// Counts that don't add up.
    #[error("the files' states don't add up to the scan: {counts:?}")]
    Counts {
        /// The counts.
        counts: FileCounts,
    },
    /// No committed run fits.
    #[error("no committed run {what}")]
    NoRun {
        /// What was asked of it.
        what: String,
    },
    /// A table's changes can't be told.
    #[error("can't tell the changes of table `{table}`: {reason}")]
    Changes {
        /// The table.
        table: String,
        /// Why not.
        reason: String,
    },
    /// DataFusion failed.
    #[error("can't {action} table `{table}`")]
    Query {
        /// The table.
        table: String,
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: Box<datafusion::common::DataFusionError>,
    },
    /// A task of the runtime failed.
    #[error("a background task failed: {0}")]
    Task(String),
}

impl LakeError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Location { .. } => "give a directory, or a url such as file:///data/lake",
            Self::Occupied { .. } => {
                "name a directory that is empty or does not exist: a lake shares its own with nothing"
            }
            Self::NoLake { .. } => "run `lode extract` with this location first, or check its spelling",
            Self::NewerFormat { .. } => "update Lode, or use another lake",
            Self::Store { source, .. } => match source {
                object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                    "check the permissions of the lake's location"
                }
                object_store::Error::NotFound { .. } => "run `lode verify` to see what is missing",
                _ if is_io(source, std::io::ErrorKind::StorageFull) => "free some space and run `lode resume`",
                _ if is_io(source, std::io::ErrorKind::PermissionDenied)
                    || is_io(source, std::io::ErrorKind::ReadOnlyFilesystem) =>
                {
                    "the lake can't be written: check its permissions"
                }
                _ => "check that the lake can be reached, then run `lode resume`",
            },
            Self::Damaged { .. } | Self::Report { .. } => "run `lode verify` to see what is wrong with the lake",
            Self::Delta { .. } => "run `lode resume` to finish the run; nothing is applied twice",
            Self::Schema { .. } => "use the Lode that made the table, or another lake",
            Self::UnknownDataset(_) => "`lode tables` lists the datasets",
            Self::RunConflict { .. } => "choose another run id, or repeat the request unchanged",
            Self::RepoKey { .. } => "give one of them another name with `--repo`",
            Self::Worklist { .. } | Self::MissingManifest { .. } => "run `lode resume`",
            Self::Cancelled { .. } => "start a new run",
            Self::Attempts { .. } => "find out in the logs of the executors why they ended",
            Self::NoRun { .. } | Self::Changes { .. } => "`lode runs` lists the runs",
            Self::Query { .. } => "run `lode verify` to see whether the table is whole",
            Self::Parquet { .. } | Self::Arrow { .. } | Self::Counts { .. } | Self::Task(_) => return None,
        })
    }

    /// Whether the cause lies outside the process, so that trying again can help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store { source, .. } => !matches!(
                source,
                object_store::Error::NotFound { .. }
                    | object_store::Error::PermissionDenied { .. }
                    | object_store::Error::Unauthenticated { .. }
                    | object_store::Error::NotSupported { .. }
            ),
            Self::Delta { source, .. } => {
                use deltalake::DeltaTableError as E;
                matches!(**source, E::ObjectStore { .. } | E::Transaction { .. } | E::VersionAlreadyExists(_))
            }
            _ => false,
        }
    }

    pub(crate) fn delta(table: &str, action: &'static str) -> impl FnOnce(deltalake::DeltaTableError) -> Self {
        move |source| Self::Delta { table: table.to_owned(), action, source: Box::new(source) }
    }

    pub(crate) fn parquet(table: &str, action: &'static str) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        move |source| Self::Parquet { action, table: table.to_owned(), source }
    }

    pub(crate) fn arrow(table: &str) -> impl FnOnce(arrow::error::ArrowError) -> Self {
        move |source| Self::Arrow { table: table.to_owned(), source }
    }

    pub(crate) fn query(table: &str, action: &'static str) -> impl FnOnce(datafusion::common::DataFusionError) -> Self {
        move |source| Self::Query { table: table.to_owned(), action, source: Box::new(source) }
    }

    pub(crate) fn damaged(path: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.into(), reason: reason.to_string() }
    }
}

/// What an error and its causes say, outermost first, each once: wrappers often repeat what they wrap.
pub fn messages(error: &dyn std::error::Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !messages.iter().any(|said| said.contains(&message)) {
            messages.push(message);
        }
        cause = error.source();
    }
    messages
}

/// An error and its causes on one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    messages(error).join(": ")
}

/// Whether an I/O error of this kind is at the root of an error.
pub fn is_io(error: &(dyn std::error::Error + 'static), kind: std::io::ErrorKind) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == kind) {
            return true;
        }
        cause = error.source();
    }
    false
}
