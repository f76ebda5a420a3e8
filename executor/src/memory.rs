//! How the allocator treats memory that is not used any more.

use std::ffi::c_long;

/// Position of `purge_delay` among the options of mimalloc 3 (`mi_option_e` in `mimalloc.h`).
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Milliseconds; for the larger part of the memory mimalloc waits ten times as long.
const SOON: c_long = 50;

/// Gives back to the system what this process freed, and has it do so soon from now on: for the time when tasks run, whose
/// threads need much in turn and little each. By default mimalloc waits longer than most runs take, and what a process
/// holds grows with the repository. Workers keep the default, as they need again what they free.
pub fn give_back() {
    // SAFETY: the option exists in the pinned major version, and both calls may be made at any time.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, SOON);
        libmimalloc_sys::mi_collect(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: options may be read at any time.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert!([10, 1000].contains(&delay()), "the default of `purge_delay`: {}", delay());
        give_back();
        assert_eq!(delay(), SOON);
    }
}
