//! Every dependency's licence is one that `deny.toml` allows.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;
use spdx::{Expression, ParseMode};

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    allow: BTreeSet<String>,
    #[serde(rename = "crate")]
    package: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[test]
fn only_allowed_licences() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let policy = std::fs::read_to_string(format!("{root}/deny.toml")).unwrap();
    let policy: Policy = toml::from_str(&policy).unwrap();
    let metadata = Command::new(env!("CARGO"))
        // Not offline: what other systems depend on is judged, too, and no build here has brought it.
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Metadata = serde_json::from_slice(&metadata.stdout).unwrap();
    assert!(metadata.packages.len() > 100, "the dependencies are listed");

    let exceptions: BTreeMap<&str, &BTreeSet<String>> =
        policy.licenses.exceptions.iter().map(|e| (e.package.as_str(), &e.allow)).collect();
    let mut refused = vec![];
    for Package { name, version, license, source } in &metadata.packages {
        let Some(source) = source else { continue };
        let allowed = |licence: &str| {
            policy.licenses.allow.contains(licence)
                || exceptions.get(name.as_str()).is_some_and(|a| a.contains(licence))
        };
        let fits = license.as_ref().is_some_and(|text| {
            Expression::parse_mode(text, ParseMode::LAX)
                .is_ok_and(|licence| licence.evaluate(|term| allowed(&term.to_string())))
        });
        if !fits || !source.starts_with("registry+https://github.com/rust-lang/crates.io-index") {
            refused.push(format!("{name} {version}: {license:?} from {source}"));
        }
    }
    assert!(refused.is_empty(), "not allowed by deny.toml:\n{}", refused.join("\n"));
}
