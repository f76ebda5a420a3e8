//! The `lode-scheduler` command.

/// As in the `lode` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    lode_scheduler::daemon::main()
}
