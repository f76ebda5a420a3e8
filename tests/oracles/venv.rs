//! The Python environment of the oracles: made once from the pinned packages and kept with the build.
//!
//! Std only, so that tests of any crate can include it by path:
//! `#[path = "../../tests/oracles/venv.rs"] mod venv;` and then `venv::python(env!("CARGO_TARGET_TMPDIR"))`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The interpreter of the environment, made below `tmp` if it isn't there.
///
/// `LODE_PYTHON` names the base interpreter; the default is `python3`, which must be 3.11 or newer.
///
/// # Panics
/// If there is no such interpreter or a package can't be installed: an oracle that is left out proves nothing.
pub fn python(tmp: impl AsRef<Path>) -> PathBuf {
    let tmp = tmp.as_ref();
    fs::create_dir_all(tmp).expect("the target directory is writable");
    let base = std::env::var("LODE_PYTHON").unwrap_or_else(|_| "python3".into());
    let version = run(Command::new(&base).args([
        "-c",
        "import sys; assert sys.version_info >= (3, 11), 'the oracles need Python 3.11 or newer'; print(sys.version.split()[0])",
    ]));
    let venv = tmp.join(format!("oracles-{}", version.trim()));
    let python = venv.join("bin/python");
    let stamp = venv.join("requirements.txt");

    // Test processes run side by side: one makes the environment, the others wait for it.
    let lock = File::create(tmp.join("oracles.lock")).expect("the target directory is writable");
    lock.lock().expect("the lock of the environment");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == REQUIREMENTS) {
        return python;
    }
    let requirements = tmp.join("oracles-requirements.txt");
    fs::write(&requirements, REQUIREMENTS).expect("the target directory is writable");
    run(Command::new(&base).args(["-m", "venv", "--clear"]).arg(&venv));
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"];
    run(Command::new(&python).args(pip).arg(&requirements));
    fs::write(&stamp, REQUIREMENTS).expect("the environment is writable");
    python
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}
