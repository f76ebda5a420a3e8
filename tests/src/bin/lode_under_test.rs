//! `lode`, built with the tests that run it.

fn main() -> std::process::ExitCode {
    lode::cli::main()
}
