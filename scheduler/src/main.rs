//! The `lode-scheduler` command.

/// As in the `lode` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    lode_scheduler::daemon::main()
}
