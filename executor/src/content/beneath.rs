//! Files below a root and nowhere else: every directory is opened on its own, from its parent, never through a link.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, openat, readlinkat, statat};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens the directory `name` of `parent`, which must not be a link.
pub fn open_directory(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(openat(parent, name, DIRECTORY, Mode::empty())?)
}

/// Describes the entry `name` of `parent` itself, not what a link points to.
pub fn stat(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<Stat> {
    Ok(statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// A root, and the directories on the way to the file that was last asked for: files asked for in the order of their
/// paths open each directory once.
#[derive(Debug)]
pub struct Beneath {
    root: OwnedFd,
    open: Vec<(Vec<u8>, OwnedFd)>,
}

impl Beneath {
    /// Opens the root; it may be named through links.
    pub fn new(root: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: openat(CWD, root, flags, Mode::empty())?, open: vec![] })
    }

    /// The root itself.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens a regular file for reading. Pipes and devices are refused without being waited for.
    pub fn open(&mut self, path: &[u8]) -> io::Result<File> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(openat(parent, name, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(file)
    }

    /// Opens a directory.
    pub fn directory(&mut self, path: &[u8]) -> io::Result<OwnedFd> {
        let (parent, name) = self.parent(path)?;
        open_directory(parent, name)
    }

    /// The text of a symbolic link.
    pub fn read_link(&mut self, path: &[u8]) -> io::Result<Vec<u8>> {
        let (parent, name) = self.parent(path)?;
        Ok(readlinkat(parent, name, vec![])?.into_bytes())
    }

    fn parent<'p>(&mut self, path: &'p [u8]) -> io::Result<(BorrowedFd<'_>, &'p OsStr)> {
        let mut components: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
        if components.iter().any(|c| matches!(*c, b"" | b"." | b"..")) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain path below the root"));
        }
        let name = components.pop().expect("split gives at least one component");
        let shared = self.open.iter().zip(&components).take_while(|((open, _), wanted)| open == *wanted).count();
        self.open.truncate(shared);
        for component in &components[shared..] {
            let parent = self.open.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd());
            let fd = open_directory(parent, OsStr::from_bytes(component))?;
            self.open.push((component.to_vec(), fd));
        }
        Ok((self.open.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()), OsStr::from_bytes(name)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "inside").unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        symlink("../secret", root.join("link")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("a", root.join("alias")).unwrap();
        let mut beneath = Beneath::new(&root).unwrap();
        let mut text = String::new();
        beneath.open(b"a/b/file").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "inside");
        let paths: [&[u8]; 8] =
            [b"link", b"up/secret", b"../secret", b"a/../../secret", b"/etc/passwd", b"alias/b/file", b"a", b""];
        for path in paths {
            assert!(beneath.open(path).is_err(), "{:?}", path.escape_ascii().to_string());
        }
        assert_eq!(beneath.read_link(b"link").unwrap(), b"../secret");
        assert!(beneath.open(b"a/b/file").is_ok(), "a refusal spoils nothing");
    }

    #[test]
    fn pipes_are_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        rustix::fs::mkfifoat(CWD, dir.path().join("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        assert!(Beneath::new(dir.path()).unwrap().open(b"pipe").is_err());
    }
}
