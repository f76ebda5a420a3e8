//! The Delta side of Lode: where facts lie, how a shard's rows are replaced, and how a run is committed exactly once.
//!
//! A run writes data files and one manifest a shard, none of which anybody sees. It is committed by creating one object,
//! `_commits/<repo>/<sequence>.json`; the Delta tables are then rolled forward to it by whoever comes first.

pub mod attempts;
pub mod base;
pub mod changes;
pub mod commit;
pub mod error;
pub mod fault;
#[cfg(test)]
mod fixture;
pub mod history;
pub mod layout;
pub mod maintain;
pub mod manifest;
mod merge;
mod new_rows;
mod object_reader;
mod old_rows;
mod parquet_file;
pub mod plan;
mod records;
pub mod retry;
mod s3;
pub mod shard;
pub mod sink;
pub mod snapshot;
mod stats;
pub mod store;
mod stored_file;
pub mod table;
pub mod task;
pub mod trace;
pub mod verify;
mod view;
mod views;

pub use error::{LakeError, Result};
pub use store::Lake;
pub use view::runtime;
