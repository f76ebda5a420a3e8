//! Executors: processes that run the tasks of a job, and their isolated worker processes.

pub mod cluster;
pub mod content;
pub mod daemon;
mod front;
pub mod host;
pub mod interpreter;
pub mod memory;
pub mod node;
pub mod process;
mod seal;
pub mod settings;
pub mod status;
pub mod telemetry;
pub mod tls;
pub mod wire;
pub mod worker;
