//! Lode's client: scans repositories, runs jobs, follows them, and queries the lake.

pub mod cli;
pub mod query;
pub mod report;
pub mod run;
pub mod scan;
