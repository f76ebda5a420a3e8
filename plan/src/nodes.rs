//! The job's logical plan: `Commit ← Extract ← scan of the worklist`.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DFSchemaRef, Result, ToDFSchema};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use serde::{Deserialize, Serialize};

use crate::host::ExtractOrder;

/// What [`ExtractNode`] and [`CommitNode`] carry: everything that is the same for all shards of a run's epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Address of the lake.
    pub lake: String,
    /// Run.
    pub run_id: String,
    /// Epoch of the run.
    pub epoch: u32,
    /// Repository.
    pub repo: String,
    /// How to extract.
    pub order: ExtractOrder,
    /// The client's span that the job belongs to, as W3C's `traceparent` says it; no part of what is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl JobSpec {
    /// Bytes for the wire.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a job specification is plain data")
    }

    /// From the wire.
    ///
    /// # Errors
    /// If the bytes are not a job specification.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| {
            datafusion::common::DataFusionError::Plan(format!(
                "this plan's job specification can't be read: {e}; is it from another version of lode?"
            ))
        })
    }
}

fn df_schema(schema: &SchemaRef) -> DFSchemaRef {
    Arc::clone(schema).to_dfschema_ref().expect("static schemas have unique names")
}

/// What `Extract` puts out: one row a shard.
pub static EXTRACT_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("shard", DataType::Utf8, false),
        Field::new("attempt", DataType::Utf8, false),
        Field::new("files", DataType::Int64, false),
        Field::new("rows_written", DataType::Int64, false),
    ]))
});

/// What `Commit` puts out: one row.
pub static COMMIT_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("outcome", DataType::Utf8, false),
        Field::new("sequence", DataType::Int64, true),
        Field::new("detail", DataType::Utf8, true),
    ]))
});

macro_rules! job_node {
    ($(#[$doc:meta])* $node:ident, $name:literal, $schema:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $node {
            /// Input.
            pub input: LogicalPlan,
            /// The job.
            pub spec: JobSpec,
            schema: DFSchemaRef,
        }

        impl $node {
            /// Over an input.
            pub fn new(input: LogicalPlan, spec: JobSpec) -> Self {
                Self { input, spec, schema: df_schema(&$schema) }
            }
        }

        impl PartialEq for $node {
            fn eq(&self, other: &Self) -> bool {
                self.input == other.input && self.spec == other.spec
            }
        }

        impl Eq for $node {}

        impl std::hash::Hash for $node {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.input.hash(state);
                self.spec.encode().hash(state);
            }
        }

        impl PartialOrd for $node {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                self.spec.encode().partial_cmp(&other.spec.encode())
            }
        }

        impl UserDefinedLogicalNodeCore for $node {
            fn name(&self) -> &str {
                $name
            }
            fn inputs(&self) -> Vec<&LogicalPlan> {
                vec![&self.input]
            }
            fn schema(&self) -> &DFSchemaRef {
                &self.schema
            }
            fn expressions(&self) -> Vec<Expr> {
                vec![]
            }
            /// Every column of the worklist is needed, whatever is read of the output.
            fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
                Some(vec![(0..self.input.schema().fields().len()).collect()])
            }
            fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "{}: run={} epoch={} repo={}", $name, self.spec.run_id, self.spec.epoch, self.spec.repo)
            }
            fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
                let [input]: [LogicalPlan; 1] = inputs.try_into().map_err(|_| {
                    datafusion::common::DataFusionError::Internal(concat!($name, " has one input").into())
                })?;
                Ok(Self::new(input, self.spec.clone()))
            }
        }
    };
}

job_node! {
    /// Extracts the files of each shard of its input and writes the shard's data: one row a shard.
    ExtractNode, "Extract", EXTRACT_SCHEMA
}
job_node! {
    /// Makes what its input wrote visible, once: one row.
    CommitNode, "Commit", COMMIT_SCHEMA
}
