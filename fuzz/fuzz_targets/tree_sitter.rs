#![no_main]

use lode_facts::lane::LaneId;
use lode_facts::language::Language;

const LANGUAGES: [Language; 9] = [
    Language::Python,
    Language::Rust,
    Language::JavaScript,
    Language::TypeScript,
    Language::Tsx,
    Language::Go,
    Language::Java,
    Language::C,
    Language::Cpp,
];

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (choice, bytes) = input;
    lode_fuzz::facts::lane(LaneId::Ts, LANGUAGES[usize::from(choice) % LANGUAGES.len()], bytes);
});
