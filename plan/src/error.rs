//! Errors of planning and of the operators.

use datafusion::error::DataFusionError;
use lode_lake::LakeError;

/// What can go wrong between a scan and a committed run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The engine.
    #[error(transparent)]
    DataFusion(#[from] DataFusionError),
    /// Arrow.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// Parquet.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A worklist that can't be what the planner wrote.
    #[error("worklist: {0}; was it written by another version of lode?")]
    Worklist(String),
    /// A run was planned for facts that this process doesn't make.
    #[error(
        "the run asks for {lane} facts of fingerprint {asked}, and this executor, lode {}, makes those of {offered}; run it \
         on executors of the version that planned it, or start a new run",
        env!("CARGO_PKG_VERSION")
    )]
    Fingerprint {
        /// Lane.
        lane: &'static str,
        /// The fingerprint of the worklist.
        asked: String,
        /// This process's.
        offered: String,
    },
    /// A table is not what the catalog says.
    #[error("table {table} is not what the catalog says: {difference}")]
    SchemaGate {
        /// Table.
        table: String,
        /// What differs.
        difference: String,
    },
}

impl PlanError {
    pub(crate) fn worklist(detail: String) -> Self {
        Self::Worklist(detail)
    }
}

impl From<PlanError> for DataFusionError {
    /// Ballista retries a task only for errors rooted in `std::io::Error`: what the lake says is worth a retry becomes
    /// one, everything else fails the job at once.
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::DataFusion(error) => error,
            PlanError::Lake(error) if error.is_retryable() => {
                DataFusionError::IoError(std::io::Error::other(error.to_string()))
            }
            other => DataFusionError::External(Box::new(other)),
        }
    }
}
