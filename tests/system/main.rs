//! Whole-system tests: real processes, real lakes, readers that are not Lode's own.

// Clippy knows test functions, not what they share.
#![allow(clippy::unwrap_used)]

mod agreement;
mod bad_input;
mod changes;
mod chaos;
mod cluster;
mod concurrent;
mod containers;
mod content;
mod deep;
mod explain;
mod fingerprints;
mod fuzz;
mod history;
mod incremental;
mod isolation;
mod kills;
mod licences;
mod odd_repositories;
mod outages;
mod python_version;
mod query;
mod readers;
mod replay;
mod resume;
mod s3;
mod secrets;
mod secured;
mod shards;
mod stdlib;
mod traces;
mod usage;
mod verify;
