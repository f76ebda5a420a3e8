//! Directories that one process alone sees otherwise: by a mount in a namespace of its own, which ends with it.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// What fills a disk, in its root.
pub const FILLER: &str = "filler";

/// The disk's bytes, and what fills it.
static DISK: [u8; 1 << 20] = [b'x'; 1 << 20];

/// Gives a command a disk of its own at a directory, without a free byte. Whoever removes [`FILLER`] frees it.
///
/// A command that can't have one does not start: the machine must permit mounts, as root or in user namespaces.
pub fn full_disk(command: &mut Command, directory: &Path) {
    let target = c_path(directory);
    let filler = c_path(&directory.join(FILLER));
    let (user, group) = own_maps();
    // SAFETY: between fork and exec only system calls are made, on memory from before the fork.
    unsafe {
        command.pre_exec(move || {
            separate(&user, &group)?;
            let size = c"size=1m".as_ptr().cast();
            check(libc::mount(c"tmpfs".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, size))?;
            write(&filler, libc::O_CREAT, &DISK)
        });
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path has no zero byte")
}

/// What a user namespace has to be told of this process's user and group.
fn own_maps() -> (String, String) {
    // SAFETY: these can't fail.
    let (user, group) = unsafe { (libc::getuid(), libc::getgid()) };
    (format!("0 {user} 1"), format!("0 {group} 1"))
}

/// Puts this process into a mount namespace; who may not mount becomes root of a user namespace first.
fn separate(user: &str, group: &str) -> io::Result<()> {
    // SAFETY: no pointers but to what lives as long as the calls.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) != 0 {
            check(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS))?;
            write(c"/proc/self/setgroups", 0, b"deny")?;
            write(c"/proc/self/uid_map", 0, user.as_bytes())?;
            write(c"/proc/self/gid_map", 0, group.as_bytes())?;
        }
        let (none, flags) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
        check(libc::mount(none, c"/".as_ptr(), none, flags, std::ptr::null()))
    }
}

fn write(path: &std::ffi::CStr, flags: libc::c_int, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: the path and the bytes live as long as the calls.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC | flags, 0o600);
        check(file)?;
        let written = libc::write(file, bytes.as_ptr().cast(), bytes.len());
        check(libc::close(file))?;
        match usize::try_from(written) {
            Ok(written) if written == bytes.len() => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
