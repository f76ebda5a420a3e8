//! `lode-scheduler` and `lode-executor`, built with the tests that run them: `cluster-under-test scheduler|executor …`.

use std::process::ExitCode;

use lode_executor::worker;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next();
    let role = args.next().unwrap_or_default();
    if role == worker::ARGUMENT {
        worker::worker_main();
    }
    let args = program.into_iter().chain(args);
    match role.to_str() {
        Some("scheduler") => lode_scheduler::daemon::run(args),
        Some("executor") => lode_executor::daemon::run(args),
        _ => ExitCode::from(2),
    }
}
