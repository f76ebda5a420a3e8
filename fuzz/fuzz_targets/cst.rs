#![no_main]

use lode_facts::lane::LaneId;
use lode_facts::language::Language;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lode_fuzz::facts::lane(LaneId::Cst, Language::Python, bytes));
