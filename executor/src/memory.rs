//! How the allocator treats memory that is not used any more.

use std::ffi::c_long;

/// Position of `purge_delay` among the options of mimalloc 3 (`mi_option_e` in `mimalloc.h`).
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Milliseconds; for the larger part of the memory mimalloc waits ten times as long.
const SOON: c_long = 50;
/// Milliseconds that no group takes.
const LATE: c_long = 60_000;

/// Gives back to the system what this process freed, and has it do so soon from now on: for the time when tasks run, whose
/// threads need much in turn and little each. By default mimalloc waits longer than most runs take, and what a process
/// holds grows with the repository. Nor does it get huge pages, of which each of its threads would have some zeroed for
/// little: where the system gives them to everyone (`transparent_hugepage/enabled` is `always`), up to a tenth of a run.
pub fn give_back() {
    purge_after(SOON);
    huge_pages(false);
    // SAFETY: it may be called at any time.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Has this process keep what it frees: for workers, which need it again with the next group. Without it the `ts_*` lane
/// has ten times as many page faults. A worker that holds too much is replaced. It may have huge pages: a parser jumps all
/// over its trees. They are not asked for: to have them made cost the system as much as they save.
pub(crate) fn keep() {
    purge_after(LATE);
    huge_pages(true);
    #[cfg(target_env = "gnu")]
    // SAFETY: sets parameters of the C library's allocator, which parts in C use.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 20);
    }
}

fn purge_after(milliseconds: c_long) {
    // SAFETY: the option exists in the pinned major version, and may be set at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds) };
}

/// Whether this process, and those it starts, may have huge pages where the system gives them to everyone. A system that
/// can't be told decides for itself.
fn huge_pages(allowed: bool) {
    // SAFETY: a plain system call.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, libc::c_ulong::from(!allowed), 0, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: options may be read at any time.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert!([10, 1000].contains(&delay()), "the default of `purge_delay`: {}", delay());
        keep();
        assert_eq!(delay(), LATE);
        give_back();
        assert_eq!(delay(), SOON);
    }
}
