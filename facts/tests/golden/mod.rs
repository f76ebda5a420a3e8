//! Files that hold what an oracle printed of `golden/sources`, one a tool and version: see `golden/README.md`.

use std::path::{Path, PathBuf};

/// Where the sources are.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sources")
}

/// Whether the files are to be made again.
pub fn is_written() -> bool {
    std::env::var("LODE_GOLDEN").as_deref() == Ok("write")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// What a tool printed, by its version, in the order of names.
pub fn read(tool: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let Some(version) = name.strip_suffix(".zst").and_then(|name| name.strip_prefix(tool)?.strip_prefix('-'))
        else {
            continue;
        };
        found.push((version.to_owned(), zstd::decode_all(&*std::fs::read(entry.path()).unwrap()).unwrap()));
    }
    found.sort();
    assert!(!found.is_empty(), "no golden file of {tool}");
    found
}

/// Keeps what a tool of this version printed.
pub fn write(tool: &str, version: &str, printed: &[u8]) {
    let packed = zstd::encode_all(printed, 19).unwrap();
    std::fs::write(folder().join(format!("{tool}-{version}.zst")), packed).unwrap();
}
