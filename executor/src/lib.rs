//! Executors: processes that run the tasks of a job, and their isolated worker processes.

pub mod cluster;
mod seal;
pub mod wire;
pub mod worker;
