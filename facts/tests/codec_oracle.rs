//! Decoding against Python's own codecs, over every byte, every pair of bytes, and every character of GB 18030.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use lode_facts::python::decode;

/// The codecs whose names [`decode`] knows, by Python's name for each; UTF-8 has its own tests.
const CODECS: &[&str] = &[
    "ascii",
    "latin_1",
    "iso8859_2",
    "iso8859_3",
    "iso8859_4",
    "iso8859_5",
    "iso8859_6",
    "iso8859_7",
    "iso8859_8",
    "iso8859_9",
    "iso8859_10",
    "iso8859_11",
    "iso8859_13",
    "iso8859_14",
    "iso8859_15",
    "iso8859_16",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp1257",
    "cp1258",
    "cp866",
    "cp874",
    "koi8_r",
    "koi8_u",
    "mac_roman",
    "mac_cyrillic",
    "euc_kr",
    "cp949",
    "gbk",
    "gb2312",
    "gb18030",
    "euc_jp",
    "shift_jis",
    "cp932",
    "big5hkscs",
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What follows the cookie, as far as it decodes.
fn decoded(name: &str, sequence: &[u8]) -> Option<String> {
    let file = [format!("#coding:{name}\n").as_bytes(), sequence].concat();
    let text = decode(&file).ok()?.text.into_owned();
    Some(text[text.find('\n').unwrap() + 1..].to_owned())
}

#[test]
fn codecs_decode_as_pythons_do() {
    let python = std::env::var("LODE_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/codec_oracle.py");
    let mut child = Command::new(&python)
        .args(["-I", script])
        .args(CODECS)
        .stdout(Stdio::piped())
        .spawn()
        .expect("set LODE_PYTHON to an interpreter");
    let (mut name, mut sequences, mut differences) = (String::new(), 0, vec![]);
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if let Some(names) = line.strip_prefix('=') {
            for alias in names.split(' ') {
                assert_eq!(decoded(alias, b"x").as_deref(), Some("x"), "{alias} is a name of {names}");
            }
            name = names.split(' ').next().unwrap().to_owned();
            continue;
        }
        let (sequence, text) = line.split_once('\t').unwrap();
        let expected = (text != "!").then(|| String::from_utf8(bytes(text)).unwrap());
        let found = decoded(&name, &bytes(sequence));
        sequences += 1;
        // Tables of the WHATWG know more characters than Python's; what Python knows has to be the same.
        if expected != found && expected.is_some() {
            differences.push(format!("{name} {sequence}: Python {expected:?}, Lode {found:?}"));
        }
    }
    assert!(child.wait().unwrap().success(), "the oracle failed");
    assert!(sequences > 1_000_000, "{sequences} sequences are not all there are");
    let shown = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences:\n{shown}", differences.len());
}
