//! Lode's client: scans repositories, runs jobs, follows them, and queries the lake.

pub mod cli;
pub mod query;
pub mod report;
pub mod run;
pub mod scan;

// Also of worker processes, so that limits of memory are tested with the allocator they meet in the field.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
