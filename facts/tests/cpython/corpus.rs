//! Packages of PyPI: pinned by version and hash, fetched once, kept with the build.

#[path = "../../../tests/oracles/venv.rs"]
mod venv;

use std::fs::{self, File};
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages: what pip calls a requirements file.
const REQUIREMENTS: &str = include_str!("../../../tests/oracles/corpus.txt");

/// The folder that `LODE_PYTHON_CORPUS` names; `pypi` is the pinned packages.
pub fn named() -> Option<PathBuf> {
    let named = std::env::var_os("LODE_PYTHON_CORPUS")?;
    Some(if named == "pypi" { pypi() } else { named.into() })
}

/// How many different files it has at least.
#[allow(dead_code, reason = "not every oracle counts different files")]
pub fn least() -> usize {
    if std::env::var_os("LODE_PYTHON_CORPUS").is_some_and(|named| named == "pypi") { 20_000 } else { 1 }
}

/// The pinned packages, unpacked.
///
/// # Panics
/// If pip can't bring them.
fn pypi() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let python = venv::python(tmp);
    let mut hash = std::hash::DefaultHasher::new();
    hash.write(REQUIREMENTS.as_bytes());
    let corpus = tmp.join(format!("corpus-{:016x}", hash.finish()));
    // Test processes run side by side: one fetches, the others wait for it.
    let lock = File::create(tmp.join("corpus.lock")).unwrap();
    lock.lock().unwrap();
    if corpus.exists() {
        return corpus;
    }
    let partial = corpus.with_extension("partial");
    let wheels = corpus.with_extension("wheels");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).unwrap();
    let requirements = corpus.with_extension("txt");
    fs::write(&requirements, REQUIREMENTS).unwrap();
    // Wheels of one kind of machine: their sources are read, nothing of them runs.
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
    pip.args(["--only-binary", ":all:", "--python-version", "3.13", "--implementation", "cp"]);
    for platform in ["manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64"] {
        pip.args(["--platform", platform]);
    }
    run(pip.arg("--dest").arg(&wheels).arg("--requirement").arg(&requirements));
    let mut unpacked: Vec<PathBuf> = fs::read_dir(&wheels).unwrap().map(|entry| entry.unwrap().path()).collect();
    unpacked.sort();
    for wheel in unpacked {
        let to = partial.join(wheel.file_stem().unwrap());
        run(Command::new(&python).args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(to));
    }
    fs::remove_dir_all(wheels).unwrap();
    fs::remove_file(requirements).unwrap();
    fs::rename(partial, &corpus).unwrap();
    corpus
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
