//! A series of runs over one lake: full, nothing to do, few changes near each other, few changes all over.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Contenders;
use crate::corpus::{self, Corpus};
use crate::measure::measure;
use crate::report::Report;
use crate::workload::Workload;

const CHANGED: usize = 50;
const DIRECTORIES: usize = 5;

/// Runs the series on a copy of the corpus.
pub fn run(contenders: &Contenders, workload: &Workload, corpus: &Corpus, report: &mut Report) -> io::Result<()> {
    let place = TempDir::new_in(corpus::cache()?)?;
    let root = place.path().join("repository");
    let directories = copy(&corpus.root, &root)?;
    let copied = Corpus { name: corpus.name.clone(), root, files: corpus.files, bytes: corpus.bytes };
    let extract = || measure(&mut contenders.lode(workload, &copied, place.path())?);

    let full = extract()?;
    report.row("full run", &copied, &full, None);
    report.later("nothing to do", &copied, &extract()?, &full);

    let large = directories.iter().filter(|files| files.len() >= CHANGED / DIRECTORIES);
    for files in large.take(DIRECTORIES) {
        files.iter().take(CHANGED / DIRECTORIES).try_for_each(|file| touch(file))?;
    }
    report.later("50 files, 5 directories", &copied, &extract()?, &full);

    let all: Vec<&PathBuf> = directories.iter().flatten().collect();
    all.iter().step_by(all.len() / CHANGED).take(CHANGED).try_for_each(|file| touch(file))?;
    report.later("50 files, all over", &copied, &extract()?, &full);
    Ok(())
}

fn touch(file: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(file)?.write_all(b"\nchanged = 1\n")
}

/// Copies a tree and returns the files of each directory.
fn copy(from: &Path, to: &Path) -> io::Result<Vec<Vec<PathBuf>>> {
    fs::create_dir_all(to)?;
    let mut directories = vec![vec![]];
    let mut entries: Vec<_> = fs::read_dir(from)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            directories.extend(copy(&entry.path(), &target)?);
        } else {
            fs::copy(entry.path(), &target)?;
            directories[0].push(target);
        }
    }
    Ok(directories)
}
