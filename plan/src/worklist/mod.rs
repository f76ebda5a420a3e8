//! The worklist: what is new, changed or gone against the lake, as a query; and its shape on the lake, a file a shard.

mod query;
mod records;
mod row;
mod shards;
mod table;
mod wanted;
mod windows;

pub use query::{PathRange, STATE, lanes_behind, worklist, worklist_within};
pub use records::{RECORDS, RECORDS_SCHEMA, RecordsWriter, read_records};
pub use row::{Action, WORK_SCHEMA, WorkRow, task_batch, work_rows};
pub use shards::{StickyStates, WorklistSummary, write_worklist};
pub use table::WorklistTable;
pub use wanted::{WANTED, WANTED_SCHEMA, Wanted, WantedWriter, Wants, lanes_of};
pub use windows::{windows, worklist_rows};
