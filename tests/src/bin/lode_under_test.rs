//! `lode`, built with the tests that run it.
//!
//! `LODE_PRETEND=<tool>=<version>,…` makes it a Lode that was built with other versions of tools, as far as its
//! fingerprints go.

fn main() {
    if let Ok(text) = std::env::var("LODE_PRETEND") {
        let versions = text.split(',').filter_map(|pair| pair.split_once('='));
        lode_facts::fingerprint::pretend(versions.map(|(tool, version)| (tool.into(), version.into())).collect());
    }
    lode::cli::main()
}
