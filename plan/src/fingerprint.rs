//! Hashes that say whether two things are the same: settings, limits, sessions, functions, plans.

use lode_facts::hash::stable_hash;
use lode_facts::options::Limits;
use serde::Serialize;

/// Hash of plain data, by its JSON.
pub fn json_hash(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("settings are plain data");
    format!("{:016x}", stable_hash(&json))
}

/// Hash of text.
pub fn text_hash(text: &str) -> String {
    format!("{:016x}", stable_hash(text.as_bytes()))
}

/// Hash of the limits in force: part of a quarantine's fingerprint.
pub fn limits_hash(limits: &Limits) -> String {
    json_hash(limits)
}
