//! How the allocator treats memory that is not used any more.

/// Position of `purge_delay` among the options of mimalloc 3 (`mi_option_e` in `mimalloc.h`).
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Milliseconds.
const SOON: std::ffi::c_long = 1;

/// Has this process give freed memory back to the system soon, for a process whose threads need much in turn and little
/// each: planners and sinks. By default mimalloc waits longer than most runs take, and what a process holds then grows
/// with the repository. Workers keep the default, as they need again what they free.
pub fn give_back_soon() {
    // SAFETY: the option exists in the pinned major version, and may be set at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, SOON) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: options may be read at any time.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert!([10, 1000].contains(&delay()), "the default of `purge_delay`: {}", delay());
        give_back_soon();
        assert_eq!(delay(), SOON);
    }
}
