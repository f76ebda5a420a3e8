//! The `lode` command.

fn main() {
    lode::cli::main()
}
