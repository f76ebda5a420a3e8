#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lode_fuzz::bytecode::line_table(bytes));
