//! Makes `facts/src/python/decode/codecs.txt` from the codecs of a CPython:
//! `cargo run -p lode-facts --example codec_tables > codecs.txt`, with `LODE_PYTHON` for another interpreter than `python3`.
//!
//! The format is described where it is read, in `facts/src/python/decode/table.rs`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for one file")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use encoding_rs::Encoding;

/// Codecs of several bytes, and what their tables are told apart from.
const WIDE: [(&str, &str); 16] = [
    ("euc_kr", "euc-kr"),
    ("cp949", "euc-kr"),
    ("johab", ""),
    ("gb2312", "gb18030"),
    ("gbk", "gb18030"),
    ("gb18030", "gb18030"),
    ("big5", "big5"),
    ("cp950", "codec:big5"),
    ("big5hkscs", "big5"),
    ("euc_jp", "euc-jp"),
    ("euc_jis_2004", "euc-jp"),
    ("euc_jisx0213", "codec:euc_jis_2004"),
    ("shift_jis", "shift_jis"),
    ("cp932", "shift_jis"),
    ("shift_jis_2004", "shift_jis"),
    ("shift_jisx0213", "codec:shift_jis_2004"),
];

/// Codecs of single bytes.
const SINGLE: &str = "cp037 cp1006 cp1026 cp1125 cp1140 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp273 \
    cp424 cp437 cp500 cp720 cp737 cp775 cp850 cp852 cp855 cp856 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp866 \
    cp869 cp874 cp875 hp_roman8 iso8859_10 iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16 iso8859_2 iso8859_3 \
    iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9 koi8_r koi8_t koi8_u kz1048 mac_arabic mac_croatian \
    mac_cyrillic mac_farsi mac_greek mac_iceland mac_latin2 mac_roman mac_romanian mac_turkish palmos ptcp154 tis_620";

/// What sequences stand for; nothing for refused ones.
type Sequences = BTreeMap<Vec<u8>, Option<String>>;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(sequence: &[u8]) -> String {
    sequence.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(sequence: &[u8]) -> u32 {
    sequence.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let unseen = c <= ' '
            || c == '\\'
            || c.is_control()
            || c.is_whitespace()
            || matches!(c, '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{5b0}'..='\u{5c7}' | '\u{e31}'..='\u{e4e}')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{61c}');
        match u32::from(c) {
            code @ ..0x100 if unseen => write!(out, "\\x{code:02x}").unwrap(),
            code if unseen => write!(out, "\\u{code:04x}").unwrap(),
            _ => out.push(c),
        }
    }
    out
}

/// What a codec adds to what it is told apart from.
fn table(sequences: &Sequences, base: impl Fn(&[u8]) -> Option<String>) -> String {
    #[derive(PartialEq)]
    enum Kind {
        Same,
        One,
        Several,
        Nothing,
    }
    let mut rows: Vec<(Kind, Vec<u8>, Vec<u8>, String)> = vec![];
    for (sequence, text) in sequences {
        let same = base(sequence) == *text;
        let kind = match text {
            _ if sequence.len() == 1 && sequence[0] < 0x80 && text.as_deref().map(str::as_bytes) == Some(sequence) => {
                continue;
            }
            _ if sequence.len() == 4 && same => continue,
            None if sequence.len() == 4 || (sequence.len() == 1 && sequence[0] < 0x80) => Kind::Nothing,
            None => continue,
            Some(_) if same => Kind::Same,
            Some(text) if text.chars().count() == 1 => Kind::One,
            Some(_) => Kind::Several,
        };
        let text = text.clone().filter(|_| kind != Kind::Same).unwrap_or_default();
        if let Some((before, first, last, characters)) = rows.last_mut()
            && *before == kind
            && matches!(kind, Kind::Same | Kind::One)
            && first.len() == sequence.len()
            && number(last) + 1 == number(sequence)
        {
            last.clone_from(sequence);
            characters.push_str(&text);
            continue;
        }
        rows.push((kind, sequence.clone(), sequence.clone(), text));
    }
    let mut out = String::new();
    let same: Vec<String> = rows
        .iter()
        .filter(|(kind, ..)| *kind == Kind::Same)
        .map(|(_, first, last, _)| if first == last { hex(first) } else { format!("{}-{}", hex(first), hex(last)) })
        .collect();
    for line in same.chunks(12) {
        writeln!(out, "= {}", line.join(" ")).unwrap();
    }
    for (kind, first, _, text) in rows {
        let first = hex(&first);
        match kind {
            Kind::Same => {}
            Kind::One => writeln!(out, "+ {first} {}", escaped(&text)).unwrap(),
            Kind::Several => writeln!(out, "* {first} {}", escaped(&text)).unwrap(),
            Kind::Nothing => writeln!(out, "! {first}").unwrap(),
        }
    }
    out
}

fn main() {
    let python = std::env::var("LODE_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/codec_oracle.py");
    let names = WIDE.iter().map(|(name, _)| *name).chain(SINGLE.split_whitespace());
    let mut child =
        Command::new(&python).args(["-I", script]).args(names).stdout(Stdio::piped()).spawn().expect("an interpreter");
    let mut codecs: Vec<(String, Sequences)> = vec![];
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if let Some(names) = line.strip_prefix('=') {
            codecs.push((names.to_owned(), Sequences::new()));
        } else {
            let (sequence, text) = line.split_once('\t').unwrap();
            let text = (text != "!").then(|| String::from_utf8(bytes(text)).unwrap());
            codecs.last_mut().unwrap().1.insert(bytes(sequence), text);
        }
    }
    assert!(child.wait().unwrap().success(), "the interpreter failed");
    println!("Codecs of CPython, made by examples/codec_tables.rs; see table.rs.");
    for (names, sequences) in &codecs {
        let name = names.split(' ').next().unwrap();
        let base = WIDE.iter().find(|(wide, _)| *wide == name).map_or("", |(_, base)| base);
        println!("@{names}");
        if !base.is_empty() {
            println!("base {base}");
        }
        let other = base
            .strip_prefix("codec:")
            .and_then(|base| codecs.iter().find(|(names, _)| names.split(' ').next() == Some(base)));
        let encoding = Encoding::for_label(base.as_bytes());
        let decoded = |sequence: &[u8]| match (other, encoding) {
            (Some((_, sequences)), _) => sequences.get(sequence).cloned().flatten(),
            (None, Some(encoding)) => {
                encoding.decode_without_bom_handling_and_without_replacement(sequence).map(Cow::into_owned)
            }
            (None, None) => None,
        };
        print!("{}", table(sequences, decoded));
    }
}
