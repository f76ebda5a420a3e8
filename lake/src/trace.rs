//! What traces are made of. Spans are marked here and there, and cost nothing where nobody listens.

/// The target of the spans that a trace shows. They are no part of the log.
pub const SPANS: &str = "lode_spans";
