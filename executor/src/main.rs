//! The `lode-executor` command.

/// As in the `lode` command: many threads allocate at once, and extraction allocates much.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    lode_executor::daemon::main()
}
