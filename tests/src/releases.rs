//! Real packages as repositories: successive releases from PyPI, fetched once and kept with the build.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{cache, venv};

/// Pure-Python packages and releases, oldest first; every package has as many.
pub const RELEASES: &[(&str, [&str; 5])] = &[
    ("attrs", ["21.4.0", "22.2.0", "23.2.0", "24.2.0", "25.1.0"]),
    ("click", ["8.0.4", "8.1.3", "8.1.7", "8.1.8", "8.2.1"]),
    ("idna", ["2.10", "3.3", "3.4", "3.7", "3.10"]),
    ("requests", ["2.25.1", "2.27.1", "2.28.2", "2.31.0", "2.32.3"]),
    ("six", ["1.13.0", "1.14.0", "1.15.0", "1.16.0", "1.17.0"]),
];

/// Directory with the files of a release.
pub fn release(package: &str, version: &str) -> PathBuf {
    let home = cache().join("releases");
    let directory = home.join(format!("{package}-{version}"));
    fs::create_dir_all(&home).expect("the target directory is writable");
    let lock = File::create(home.join(".lock")).expect("the target directory is writable");
    lock.lock().expect("the lock of the releases");
    if !directory.exists() {
        fetch(package, version, &directory);
    }
    directory
}

/// Directories of the n-th release of every package.
pub fn step(n: usize) -> Vec<PathBuf> {
    RELEASES.iter().map(|(package, versions)| release(package, versions[n])).collect()
}

fn fetch(package: &str, version: &str, directory: &Path) {
    let python = venv::python(cache());
    let wheels = tempfile::tempdir_in(cache()).expect("the target directory is writable");
    let pip =
        ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"];
    run(Command::new(&python).args(pip).arg("--dest").arg(wheels.path()).arg(format!("{package}=={version}")));
    let wheel = fs::read_dir(wheels.path()).expect("readable").next().expect("pip brought a wheel").expect("readable");
    let unpacked = wheels.path().join("unpacked");
    run(Command::new(&python).args(["-m", "zipfile", "--extract"]).arg(wheel.path()).arg(&unpacked));
    fs::rename(&unpacked, directory).expect("one file system");
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
