//! Executors: processes that run the tasks of a job, and their isolated worker processes.

pub mod cluster;
pub mod content;
pub mod host;
pub mod interpreter;
mod seal;
pub mod wire;
pub mod worker;
