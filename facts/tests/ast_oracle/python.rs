//! Interpreters, and one at work as an oracle.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use lode_facts::python::Version;

/// An interpreter that runs.
#[derive(Debug, Clone)]
pub struct Python {
    pub program: PathBuf,
    pub version: Version,
    /// With its patch level.
    pub release: String,
    /// Directory of its standard library.
    pub library: PathBuf,
}

impl Python {
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

    /// Every interpreter there is, one a version: those of `LODE_PYTHONS` (programs, separated by colons), else
    /// `LODE_PYTHON`, `python3.8` to `python3.14` and `python3` of the search path, and those of pyenv.
    pub fn all() -> Vec<Self> {
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

    /// Python files below a directory, in the order of their paths; installed packages are left out.
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
}

/// An interpreter that answers what its `ast` sees.
pub struct Oracle {
    child: Child,
    answers: BufReader<ChildStdout>,
    requests: Option<SyncSender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
}

impl Oracle {
    pub fn start(python: &Python) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ast_oracle/oracle.py");
        let mut child = Command::new(&python.program)
            .args(["-I", "-X", "utf8", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an interpreter that answered before runs again");
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut stdin = child.stdin.take().unwrap();
        // The interpreter works ahead by one file.
        let (requests, received) = sync_channel::<Vec<u8>>(1);
        let writer = std::thread::spawn(move || {
            for content in received {
                writeln!(stdin, "{}", content.len()).unwrap();
                stdin.write_all(&content).unwrap();
                stdin.flush().unwrap();
            }
        });
        Self { child, answers, requests: Some(requests), writer: Some(writer) }
    }

    /// Asks for a file; answers come in the order of the questions.
    pub fn ask(&self, content: Vec<u8>) {
        self.requests.as_ref().unwrap().send(content).expect("the oracle lives");
    }

    /// The rows of the next answer.
    pub fn answer(&mut self) -> Vec<String> {
        let mut rows = vec![];
        for line in (&mut self.answers).lines().map(Result::unwrap) {
            if line == "." {
                return rows;
            }
            rows.push(line);
        }
        panic!("the oracle died");
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.requests.take());
        self.writer.take().map(JoinHandle::join);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
