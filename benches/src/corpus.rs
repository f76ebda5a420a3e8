//! Corpora: fetched once with pip, kept below the target directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workload::CorpusSpec;

#[path = "../../tests/oracles/venv.rs"]
mod venv;

/// A directory of Python files.
pub struct Corpus {
    /// Name.
    pub name: String,
    /// Where it lies.
    pub root: PathBuf,
    /// Files in it.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
}

impl Corpus {
    /// Fetches a corpus, or finds it.
    pub fn prepare(name: &str, spec: &CorpusSpec) -> io::Result<Self> {
        let root = cache()?.join("corpora").join(name);
        if !root.exists() {
            let unfinished = root.with_extension("unfinished");
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished)?;
            }
            fill(&unfinished, spec)?;
            fs::rename(&unfinished, &root)?;
        }
        let files = python_files(&root)?;
        // Read once, so that no contender finds a cold page cache.
        let sizes = files.iter().map(|file| fs::read(file).map(|bytes| bytes.len() as u64));
        let bytes = sizes.sum::<io::Result<u64>>()?;
        Ok(Self { name: name.to_owned(), root, files: files.len(), bytes })
    }
}

fn fill(root: &Path, spec: &CorpusSpec) -> io::Result<()> {
    for number in 0..spec.lines.unwrap_or_default() {
        let directory = root.join(format!("d{:03}", number / 100));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(format!("f{number:05}.py")), format!("x = {number}\n"))?;
    }
    let mut sources = vec![];
    if spec.stdlib {
        sources.push(("stdlib".to_owned(), standard_library()?));
    }
    for package in &spec.packages {
        sources.push((package.replace("==", "-"), unpacked(package)?));
    }
    let mut files = 0;
    for copy in 0.. {
        let mut bytes = 0;
        for (name, source) in &sources {
            for file in python_files(source)? {
                if spec.files.is_some_and(|enough| files >= enough) {
                    return Ok(());
                }
                if spec.megabytes.is_some_and(|enough| bytes >= enough * 1_000_000) {
                    break;
                }
                let below = file.strip_prefix(source).map_err(io::Error::other)?;
                let target = root.join(format!("copy{copy}")).join(name).join(below);
                fs::create_dir_all(target.parent().unwrap_or(root))?;
                let mut content = fs::read(&file)?;
                if copy > 0 {
                    content.extend_from_slice(format!("\n# copy {copy}\n").as_bytes());
                }
                fs::write(target, &content)?;
                files += 1;
                bytes += content.len() as u64;
            }
        }
        if spec.files.is_none() && copy + 1 >= spec.copies {
            return Ok(());
        }
    }
    Ok(())
}

/// A wheel's files.
fn unpacked(package: &str) -> io::Result<PathBuf> {
    let directory = cache()?.join("wheels").join(package.replace("==", "-"));
    if !directory.exists() {
        let wheels = tempfile::tempdir_in(cache()?)?;
        let pip =
            ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"];
        run(Command::new(python()).args(pip).arg("--dest").arg(wheels.path()).arg(package))?;
        let wheel = fs::read_dir(wheels.path())?.next().ok_or_else(|| io::Error::other("pip brought no wheel"))??;
        let unpacked = wheels.path().join("unpacked");
        run(Command::new(python()).args(["-m", "zipfile", "--extract"]).arg(wheel.path()).arg(&unpacked))?;
        fs::create_dir_all(directory.parent().unwrap_or(&directory))?;
        fs::rename(unpacked, &directory)?;
    }
    Ok(directory)
}

fn standard_library() -> io::Result<PathBuf> {
    let script = "import sysconfig; print(sysconfig.get_path('stdlib'), end='')";
    let output = Command::new(python()).args(["-c", script]).output()?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Python files in order of path, without installed packages.
fn python_files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<_> = fs::read_dir(root)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut files = vec![];
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() && !["site-packages", "__pycache__"].iter().any(|skip| entry.file_name() == *skip) {
            files.extend(python_files(&path)?);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "py") {
            files.push(path);
        }
    }
    Ok(files)
}

/// The interpreter of the oracles.
pub fn python() -> PathBuf {
    venv::python(target_directory().join("tmp"))
}

/// Where cargo builds.
pub fn target_directory() -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    own.ancestors().nth(2).expect("binaries lie in <target>/<profile>").to_path_buf()
}

/// What benches keep from run to run.
pub fn cache() -> io::Result<PathBuf> {
    let cache = target_directory().join("tmp/benches");
    fs::create_dir_all(&cache)?;
    Ok(cache)
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))),
    }
}
