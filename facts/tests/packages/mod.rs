//! Five packages of different styles, pinned, which the whole comparisons install below the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lode_facts::hash::stable_hash;

const PACKAGES: [&str; 5] =
    ["Django==5.2.8", "SQLAlchemy==2.0.44", "Sphinx==8.2.3", "Twisted==25.5.0", "pydantic==2.12.5"];

/// Their folders, by the `pip` of this interpreter.
pub fn folders(python: &Path) -> Vec<PathBuf> {
    let installed =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cst-{:x}", stable_hash(PACKAGES.concat().as_bytes())));
    if !installed.exists() {
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"];
        let partial = installed.with_extension("partial");
        let mut command = Command::new(python);
        command.args(pip).arg("--target").arg(&partial).args(PACKAGES);
        let status = command.stdin(Stdio::null()).status().unwrap();
        assert!(status.success(), "{command:?} failed");
        std::fs::rename(partial, &installed).unwrap();
    }
    ["django", "sqlalchemy", "sphinx", "twisted", "pydantic"].map(|name| installed.join(name)).to_vec()
}
