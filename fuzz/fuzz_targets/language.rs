#![no_main]

libfuzzer_sys::fuzz_target!(|input: (&str, &[u8])| lode_fuzz::facts::language(input.0, input.1));
