//! Where trees lie. A tree is very many small pieces that are made and freed together, which takes mimalloc about half the
//! time that it takes the C library: some 4% of the lane.

use std::alloc::{Layout, handle_alloc_error};
use std::ffi::c_void;
use std::sync::Once;

use libmimalloc_sys::{mi_calloc, mi_free, mi_malloc, mi_realloc};

/// Has the parser allocate by mimalloc from now on. To be called before it allocates at all, so by whoever makes a parser.
pub(super) fn take_over() {
    static ONCE: Once = Once::new();
    // SAFETY: nothing of the parser's was allocated by another allocator: this module's sessions alone make parsers, and
    // each has come through here before.
    ONCE.call_once(|| unsafe {
        tree_sitter::set_allocator(Some(allocate), Some(allocate_zeroed), Some(reallocate), Some(mi_free));
    });
}

/// The parser takes every pointer for good: without memory the process ends, as it does where Rust finds none.
fn granted(pointer: *mut c_void, bytes: usize) -> *mut c_void {
    if pointer.is_null() && bytes > 0 {
        handle_alloc_error(Layout::array::<u8>(bytes).unwrap_or(Layout::new::<usize>()));
    }
    pointer
}

unsafe extern "C" fn allocate(bytes: usize) -> *mut c_void {
    // SAFETY: any size may be asked for.
    granted(unsafe { mi_malloc(bytes) }, bytes)
}

unsafe extern "C" fn allocate_zeroed(count: usize, bytes: usize) -> *mut c_void {
    // SAFETY: any size may be asked for; the product is checked by the allocator.
    granted(unsafe { mi_calloc(count, bytes) }, count.saturating_mul(bytes))
}

unsafe extern "C" fn reallocate(pointer: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: the parser hands in what `allocate` and its like gave it.
    granted(unsafe { mi_realloc(pointer, bytes) }, bytes)
}
