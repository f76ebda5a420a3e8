//! What whole-system tests are written with: repositories made of data, the `lode` command, and lakes that can be
//! compared row by row through readers that are not Lode's own.
//!
//! A test says what goes in and what must come out; processes, clocks and directories are handled here. Helpers panic
//! with the whole output of the command that went wrong.

pub mod cluster;
pub mod command;
pub mod interpreters;
pub mod lake;
pub mod link;
pub mod mounts;
pub mod otlp;
pub mod releases;
pub mod repo;
pub mod s3;
pub mod tables;
#[path = "../oracles/venv.rs"]
pub mod venv;

use std::path::PathBuf;

/// The directory for what tests keep from run to run, below the target directory.
pub fn cache() -> PathBuf {
    profile_directory().parent().expect("a profile's directory lies in the target directory").join("tmp")
}

/// Where cargo put the binaries of this build.
pub fn profile_directory() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    test.ancestors().nth(2).expect("tests lie in <target>/<profile>/deps").to_path_buf()
}
