//! The lanes of `repo_files`, `scope_manifest` and `repo_file_blobs`.

use crate::catalog::Dataset;
use crate::columns::Table;
use crate::extract::{Diagnostic, LaneRequest, LaneStatus, Session};
use crate::file::FileMeta;
use crate::options::Options;
use crate::source::Source;

/// The datasets of this module.
pub const DATASETS: &[&Dataset] = &[];

/// Whether the lane has something to say about this file.
pub fn accepts(_file: &FileMeta) -> bool {
    false
}

/// What the rows depend on.
pub fn fingerprint(_options: &Options) -> String {
    String::new()
}

/// The lane at work.
pub struct FilesSession;

impl FilesSession {
    /// With these options.
    pub fn new(_options: &Options) -> Self {
        Self
    }
}

impl Session for FilesSession {
    fn extract(&mut self, _: &Source<'_>, _: &LaneRequest, _: &mut Vec<Diagnostic>) -> LaneStatus {
        LaneStatus::Extracted
    }
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![]
    }
}

/// What `repo_file_blobs` depends on.
pub fn blobs_fingerprint(_options: &Options) -> String {
    String::new()
}

/// The lane of `repo_file_blobs` at work.
pub struct BlobsSession;

impl BlobsSession {
    /// With these options.
    pub fn new(_options: &Options) -> Self {
        Self
    }
}

impl Session for BlobsSession {
    fn extract(&mut self, _: &Source<'_>, _: &LaneRequest, _: &mut Vec<Diagnostic>) -> LaneStatus {
        LaneStatus::Extracted
    }
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![]
    }
}
