//! The `ts_*` lane.

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
pub struct TsSession;

impl TsSession {
    /// With these options.
    pub fn new(_options: &Options) -> Self {
        Self
    }
}

impl Session for TsSession {
    fn extract(&mut self, _: &Source<'_>, _: &LaneRequest, _: &mut Vec<Diagnostic>) -> LaneStatus {
        LaneStatus::Extracted
    }
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![]
    }
}
