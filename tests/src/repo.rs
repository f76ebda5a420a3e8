//! Repositories made of data.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A directory named `demo` in a place of its own; a git repository once [`Repo::commit`] is called.
pub struct Repo {
    _home: TempDir,
    root: PathBuf,
}

impl Default for Repo {
    fn default() -> Self {
        let home = TempDir::new().expect("a temporary directory");
        let root = home.path().join("demo");
        fs::create_dir(&root).expect("a fresh directory");
        Self { _home: home, root }
    }
}

impl Repo {
    /// A directory with these files.
    pub fn of<C: AsRef<[u8]>>(files: &[(&str, C)]) -> Self {
        let repo = Self::default();
        for (path, content) in files {
            repo.write(path, content);
        }
        repo
    }

    /// A directory with files of several languages in several directories, most of them Python; the same for equal `files`.
    pub fn sample(files: usize) -> Self {
        let repo = Self::default();
        for n in 0..files {
            let (path, content) = sample_file(n);
            repo.write(path, content);
        }
        repo
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file and the directories above it.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> &Self {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("directories can be made");
        fs::write(path, content).expect("the file can be written");
        self
    }

    /// Removes a file.
    pub fn remove(&self, path: impl AsRef<Path>) -> &Self {
        fs::remove_file(self.root.join(path)).expect("the file is there");
        self
    }

    /// Renames a file.
    pub fn rename(&self, from: &str, to: &str) -> &Self {
        let to = self.root.join(to);
        fs::create_dir_all(to.parent().expect("a file lies in a directory")).expect("directories can be made");
        fs::rename(self.root.join(from), to).expect("the file can be renamed");
        self
    }

    /// Sets permission bits.
    pub fn chmod(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(mode)).expect("the file is ours");
        self
    }

    /// Makes a symbolic link at `path`.
    pub fn symlink(&self, path: &str, target: &str) -> &Self {
        std::os::unix::fs::symlink(target, self.root.join(path)).expect("the link can be made");
        self
    }

    /// Replaces all files but git's own with those of a directory.
    pub fn replace_with(&self, directories: &[&Path]) -> &Self {
        for entry in fs::read_dir(&self.root).expect("the root is readable") {
            let entry = entry.expect("the root is readable");
            match entry.file_name().to_str() {
                Some(".git") => {}
                _ if entry.path().is_dir() => fs::remove_dir_all(entry.path()).expect("the directory is ours"),
                _ => fs::remove_file(entry.path()).expect("the file is ours"),
            }
        }
        directories.iter().for_each(|directory| copy(directory, &self.root));
        self
    }

    /// Commits everything and returns the commit's id; author and dates are fixed.
    pub fn commit(&self, message: &str) -> String {
        if !self.root.join(".git").exists() {
            self.git(&["init", "--quiet", "--initial-branch=main"]);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Runs git and returns what it prints.
    pub fn git(&self, args: &[&str]) -> String {
        git(&self.root, args)
    }

    /// Files as git lists them: tracked, and untracked but not ignored.
    pub fn git_files(&self) -> usize {
        list_git_files(&self.root).len()
    }
}

/// Paths that git tracks or would track.
pub fn list_git_files(root: &Path) -> Vec<String> {
    let list = git(root, &["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]);
    list.split_terminator('\0').map(str::to_owned).collect()
}

fn git(root: &Path, args: &[&str]) -> String {
    let identity = ["AUTHOR", "COMMITTER"].into_iter().flat_map(|who| {
        let values = [("NAME", "a"), ("EMAIL", "a@example.org"), ("DATE", "2024-01-01T00:00:00Z")];
        values.map(|(what, value)| (format!("GIT_{who}_{what}"), value))
    });
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(args).envs(identity);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let output = command.output().expect("git is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("directories can be made");
    for entry in fs::read_dir(from).expect("the directory is readable") {
        let entry = entry.expect("the directory is readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the file can be copied");
        }
    }
}

fn sample_file(n: usize) -> (String, String) {
    let directory = ["api", "core", "core/deep/down", "tools", "vendor-ish"][n % 5];
    match n % 12 {
        3 => (format!("{directory}/m{n}.rs"), format!("//! Module {n}.\npub fn f{n}(x: u32) -> u32 {{ g(x, {n}) }}\n")),
        5 => (
            format!("{directory}/m{n}.js"),
            format!("import a from './a';\nexport function f{n}(x) {{ return a(x + {n}); }}\n"),
        ),
        7 => (format!("{directory}/m{n}.go"), format!("package p\n\nfunc F{n}(x int) int {{ return g(x, {n}) }}\n")),
        9 => (format!("{directory}/notes{n}.txt"), format!("line one of {n}\r\nline two\rline three\n")),
        _ => (format!("{directory}/m{n}.py"), python_module(n)),
    }
}

/// A small Python module with something for every dataset.
pub fn python_module(n: usize) -> String {
    format!(
        "\"\"\"Module {n}.\"\"\"\n\
         from __future__ import annotations\n\
         import os, sys as system\n\
         from .m{n} import *  # type: ignore[import]\n\n\
         class C{n}(Base, metaclass=M):\n    \"\"\"Class — mit Ümlaut {n}.\"\"\"\n\n    \
         def method(self, *args: int, key=f\"{{os.name!r:>{n}}}\", **kw) -> str:\n        \
         return call(self, [x for x in args if x > {n}], lambda y: y ** 2)\n\n\n\
         async def g{n}():\n    async with a as b:\n        await b.c(1_{n:03}, 'é' 'b', ...)\n"
    )
}
