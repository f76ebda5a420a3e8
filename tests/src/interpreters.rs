//! CPythons of this machine.

use std::path::PathBuf;
use std::process::Command;

/// An interpreter and its release, as in `(3, 13, 0)`.
#[derive(Debug, Clone)]
pub struct Python {
    /// The program.
    pub program: String,
    /// Its release.
    pub release: [u32; 3],
}

/// The CPythons that run, 3.8 and newer, by release, each release once: those of `LODE_PYTHONS` (programs, separated by
/// colons), else `python3.8` to `python3.14` of the search path and those of pyenv.
pub fn pythons() -> Vec<Python> {
    let programs: Vec<PathBuf> = match std::env::var_os("LODE_PYTHONS") {
        Some(named) => std::env::split_paths(&named).collect(),
        None => {
            let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
            let pyenv = pyenv.or_else(|| Some(std::env::home_dir()?.join(".pyenv")));
            let versions = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
            let installed = versions.into_iter().flatten().flatten().map(|entry| entry.path().join("bin/python3"));
            let mut installed: Vec<PathBuf> = installed.collect();
            installed.sort();
            (8..=14).map(|minor| format!("python3.{minor}").into()).chain(installed).collect()
        }
    };
    let mut found: Vec<Python> = programs.into_iter().filter_map(ask).collect();
    found.retain(|python| python.release >= [3, 8, 0] && python.release < [3, 15, 0]);
    found.sort_by_key(|python| python.release);
    found.dedup_by_key(|python| python.release);
    found
}

fn ask(program: PathBuf) -> Option<Python> {
    let script = "import sys; sys.implementation.name == 'cpython' and print(sys.executable, *sys.version_info[:3])";
    let output = Command::new(program).args(["-I", "-c", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (rest, patch) = text.trim_end().rsplit_once(' ')?;
    let (rest, minor) = rest.rsplit_once(' ')?;
    let (program, major) = rest.rsplit_once(' ')?;
    let release = [major.parse().ok()?, minor.parse().ok()?, patch.parse().ok()?];
    Some(Python { program: program.to_owned(), release })
}
