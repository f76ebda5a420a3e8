//! Decoding against Python's own codecs, over every byte and pair of bytes, every four of
//! GB 18030, and texts with the escape sequences of codecs that have some.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use lode_facts::python::decode;

/// The codecs whose names [`decode`] knows, by Python's name for each; UTF-8 has its own tests.
const CODECS: &str = "\
    ascii latin_1 euc_kr cp949 johab gb2312 gbk gb18030 big5 cp950 big5hkscs euc_jp euc_jis_2004 euc_jisx0213 \
    shift_jis cp932 shift_jis_2004 shift_jisx0213 cp037 cp1006 cp1026 cp1125 cp1140 cp1250 cp1251 cp1252 cp1253 \
    cp1254 cp1255 cp1256 cp1257 cp1258 cp273 cp424 cp437 cp500 cp720 cp737 cp775 cp850 cp852 cp855 cp856 cp857 \
    cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp866 cp869 cp874 cp875 hp_roman8 iso8859_10 iso8859_11 iso8859_13 \
    iso8859_14 iso8859_15 iso8859_16 iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 \
    iso8859_9 koi8_r koi8_t koi8_u kz1048 mac_arabic mac_croatian mac_cyrillic mac_farsi mac_greek mac_iceland \
    mac_latin2 mac_roman mac_romanian mac_turkish palmos ptcp154 tis_620 iso2022_kr iso2022_jp iso2022_jp_1 \
    iso2022_jp_2 iso2022_jp_2004 iso2022_jp_3 iso2022_jp_ext hz";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What follows the cookie, as far as it decodes.
fn decoded(name: &str, sequence: &[u8]) -> Option<String> {
    let cookie = format!("#coding:{name}\n");
    // Some codecs read the cookie itself as something else; none has state there.
    let read = decode(cookie.as_bytes()).unwrap().text.len();
    let text = decode(&[cookie.as_bytes(), sequence].concat()).ok()?.text.into_owned();
    Some(text[read..].to_owned())
}

/// Why a file is refused that is nothing but a cookie.
fn refuses(name: &str) -> Option<String> {
    decode(format!("#coding:{name}\n").as_bytes()).err().map(|error| error.message)
}

#[test]
fn codecs_decode_as_pythons_do() {
    let python = std::env::var("LODE_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/codec_oracle.py");
    let mut child = Command::new(&python)
        .args(["-I", script])
        .args(CODECS.split_whitespace())
        .stdout(Stdio::piped())
        .spawn()
        .expect("set LODE_PYTHON to an interpreter");
    let (mut name, mut sequences, mut differences) = (String::new(), 0, vec![]);
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if let Some(names) = line.strip_prefix('=') {
            for alias in names.split(' ') {
                assert!(!refuses(alias).is_some_and(|why| why.contains("encoding")), "{alias} is a name of {names}");
            }
            // A name that the codec can read itself: cp424 has no `p`.
            name = names.split(' ').find(|alias| refuses(alias).is_none()).unwrap().to_owned();
            continue;
        }
        let (sequence, text) = line.split_once('\t').unwrap();
        let expected = (text != "!").then(|| String::from_utf8(bytes(text)).unwrap());
        let found = decoded(&name, &bytes(sequence));
        sequences += 1;
        if expected != found {
            differences.push(format!("{name} {sequence}: Python {expected:?}, Lode {found:?}"));
        }
    }
    assert!(child.wait().unwrap().success(), "the oracle failed");
    assert!(sequences > 1_000_000, "{sequences} sequences are not all there are");
    let shown = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences:\n{shown}", differences.len());
}
