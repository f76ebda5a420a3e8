//! The worklist: what is new, changed or gone against the lake, as a query; and its shape on the lake, a file a shard.

mod query;
mod row;
mod shards;
mod table;
mod windows;

pub use query::{
    PathRange, STATE, WANTED, WANTED_SCHEMA, Wanted, WantedWriter, lanes_behind, worklist, worklist_within,
};
pub use row::{Action, WORK_SCHEMA, WorkRow, task_batch, work_rows};
pub use shards::{StickyStates, WorklistSummary, write_worklist};
pub use table::WorklistTable;
pub use windows::{windows, worklist_rows};
