//! Lode's client: scans repositories, runs jobs, follows them, and queries the lake.

pub mod report;
pub mod scan;
