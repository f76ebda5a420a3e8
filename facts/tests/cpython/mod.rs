//! The interpreters that the facts are held against, and the files they are held against them over.

pub mod corpus;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use lode_facts::python::Version;

/// Whether everything is asked for: `LODE_ORACLES=all`.
pub fn all() -> bool {
    std::env::var("LODE_ORACLES").is_ok_and(|which| which == "all")
}

/// An interpreter that runs.
#[derive(Debug, Clone)]
pub struct Python {
    pub program: PathBuf,
    pub version: Version,
    /// With its patch level.
    pub release: String,
    /// Directory of its standard library.
    #[allow(dead_code, reason = "not every oracle reads the files itself")]
    pub library: PathBuf,
}

impl Python {
    /// The interpreters to hold the facts against: the newest up to Lode's default version, and every one that is found
    /// if all are asked for.
    ///
    /// # Panics
    /// If there is none.
    pub fn chosen() -> Vec<Self> {
        let mut found = Self::found();
        assert!(!found.is_empty(), "no Python: set LODE_PYTHON to an interpreter of 3.8 or newer");
        if !all() {
            let usual = found.iter().rposition(|python| python.version <= Version::default()).unwrap_or(0);
            found = vec![found.swap_remove(usual)];
        }
        found
    }

    /// Every interpreter there is, one a version, oldest first: those of `LODE_PYTHONS` (programs, separated by colons),
    /// else `LODE_PYTHON`, `python3.8` to `python3.14` and `python3` of the search path, and those of pyenv.
    fn found() -> Vec<Self> {
        let programs: Vec<PathBuf> = match std::env::var_os("LODE_PYTHONS") {
            Some(named) => std::env::split_paths(&named).collect(),
            None => {
                let named = std::env::var_os("LODE_PYTHON").map(PathBuf::from).into_iter();
                let usual = Version::ALL.iter().map(|version| format!("python{version}").into());
                let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
                let pyenv = pyenv.or_else(|| Some(std::env::home_dir()?.join(".pyenv")));
                let installed = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
                let installed = installed.into_iter().flatten().flatten();
                let mut installed: Vec<PathBuf> = installed.map(|entry| entry.path().join("bin/python")).collect();
                installed.sort();
                named.chain(usual).chain(["python3".into()]).chain(installed).collect()
            }
        };
        let mut found = BTreeMap::new();
        for python in programs.into_iter().filter_map(Self::ask) {
            found.entry(python.version).or_insert(python);
        }
        found.into_values().collect()
    }

    fn ask(program: PathBuf) -> Option<Self> {
        let script =
            "import os, sys; print(*('%d.%d %d' % sys.version_info[:3]).split(), os.path.dirname(os.__file__))";
        let output = Command::new(&program).args(["-I", "-c", script]).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = text.trim_end().splitn(3, ' ');
        let (version, patch, library) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            program,
            version: version.parse().ok()?,
            release: format!("{version}.{patch}"),
            library: library.into(),
        })
    }
}

/// Python files below a directory, in the order of their paths; installed packages are left out.
#[allow(dead_code, reason = "not every oracle reads the files itself")]
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                if name != "site-packages" && name != "__pycache__" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "py") && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
