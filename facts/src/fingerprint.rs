//! What fingerprints are made of: the versions of the tools that rows depend on.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Versions that [`pretend`] put in the place of those that are built in, by tool.
static PRETENDED: OnceLock<BTreeMap<String, String>> = OnceLock::new();

/// A tool with its version, as a fingerprint has it.
pub(crate) fn tool(name: &str, version: &str) -> String {
    let pretended = PRETENDED.get().and_then(|versions| versions.get(name));
    format!("{name} {}", pretended.map_or(version, String::as_str))
}

/// Makes the fingerprints of this process those of a Lode that was built with other versions of tools, as in
/// `tree-sitter-rust`. For tests of what an upgrade redoes: rows stay those of the tools that are there. Call it before
/// the first fingerprint; only the first call counts.
#[doc(hidden)]
pub fn pretend(versions: BTreeMap<String, String>) {
    // A second call is a mistake of a test, and changes nothing.
    let _ = PRETENDED.set(versions);
}
