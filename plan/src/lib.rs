//! The job as a plan: the worklist, `Extract` and `Commit`, how they travel, and one way to build a session.

pub mod artifacts;
pub mod changes;
pub mod codec;
pub mod commit;
pub mod epoch;
pub mod error;
pub mod extract;
pub mod fingerprint;
pub mod functions;
pub mod gate;
pub mod host;
pub mod inputs;
pub mod nodes;
pub mod session;
pub mod staging;
pub mod worklist;

pub use error::PlanError;
