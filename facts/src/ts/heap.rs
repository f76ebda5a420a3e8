//! Where trees lie. A tree is very many small pieces that are made one by one and forgotten together: mimalloc makes them
//! in about half the time that the C library takes, and a heap of its own frees a file's tree without a walk over it.

use std::alloc::{Layout, handle_alloc_error};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Once;

use libmimalloc_sys::{
    mi_calloc, mi_free, mi_heap_calloc, mi_heap_destroy, mi_heap_malloc, mi_heap_new, mi_heap_realloc, mi_heap_t,
    mi_malloc, mi_realloc,
};

thread_local! {
    /// The heap of the nursery that the thread is in; null outside of any.
    static CURRENT: Cell<*mut mi_heap_t> = const { Cell::new(null_mut()) };
}

/// While one lives, its thread's parsers, trees and cursors lie in a heap of their own, which ends with it.
///
/// What was made in a nursery must not be used behind it. A tree in it need not be dropped: that would free each of its
/// pieces. A parser must be, since scanners of grammars allocate elsewhere too.
pub(super) struct Nursery {
    heap: *mut mi_heap_t,
    outer: *mut mi_heap_t,
}

impl Nursery {
    /// A new one.
    pub(super) fn enter() -> Self {
        static ONCE: Once = Once::new();
        // SAFETY: nothing of the parser's was allocated by another allocator: this module's sessions alone make parsers,
        // and only in a nursery.
        ONCE.call_once(|| unsafe {
            tree_sitter::set_allocator(Some(allocate), Some(allocate_zeroed), Some(reallocate), Some(mi_free));
        });
        // SAFETY: a heap is used by the thread that made it alone, since it is reached through `CURRENT` only.
        let heap = granted(unsafe { mi_heap_new() }, size_of::<usize>());
        Self { heap, outer: CURRENT.replace(heap) }
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
        // SAFETY: the heap is this nursery's, and nothing in it is used from here on.
        unsafe { mi_heap_destroy(self.heap) };
    }
}

/// The parser takes every pointer for good: without memory the process ends, as it does where Rust finds none.
fn granted<T>(pointer: *mut T, bytes: usize) -> *mut T {
    if pointer.is_null() && bytes > 0 {
        handle_alloc_error(Layout::array::<u8>(bytes).unwrap_or(Layout::new::<usize>()));
    }
    pointer
}

unsafe extern "C" fn allocate(bytes: usize) -> *mut c_void {
    let heap = CURRENT.get();
    // SAFETY: any size may be asked for, and a heap that is current lives.
    granted(unsafe { if heap.is_null() { mi_malloc(bytes) } else { mi_heap_malloc(heap, bytes) } }, bytes)
}

unsafe extern "C" fn allocate_zeroed(count: usize, bytes: usize) -> *mut c_void {
    let heap = CURRENT.get();
    // SAFETY: as above; the product is checked by the allocator.
    let pointer = unsafe { if heap.is_null() { mi_calloc(count, bytes) } else { mi_heap_calloc(heap, count, bytes) } };
    granted(pointer, count.saturating_mul(bytes))
}

unsafe extern "C" fn reallocate(old: *mut c_void, bytes: usize) -> *mut c_void {
    let heap = CURRENT.get();
    // SAFETY: the parser hands in what `allocate` and its like gave it, from whichever heap.
    granted(unsafe { if heap.is_null() { mi_realloc(old, bytes) } else { mi_heap_realloc(heap, old, bytes) } }, bytes)
}
