//! Files with a few edits, the same ones for the same seed.

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// What is put in: tokens of every kind, beginnings and ends of strings, bytes that decide encodings and line ends.
const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ";",
    ".",
    "=",
    "==",
    ":=",
    "->",
    "*",
    "**",
    "@",
    "!",
    "~",
    "\\",
    "\\\n",
    "\n",
    "\r",
    "\r\n",
    "\n    ",
    "\t",
    " ",
    "\x0c",
    "#",
    "# type: ignore\n",
    "'",
    "\"",
    "'''",
    "\"\"\"",
    "f'",
    "f'{",
    "f'''{",
    "{x!r:>{w}}",
    "{x=}",
    "rb'",
    "u'",
    "\\N{DIGIT ONE}",
    "\\ud800",
    "\\x4",
    "0",
    "0x",
    "1e400",
    "1_0",
    "1__0",
    "0777",
    "1j",
    "1if",
    "é",
    "\u{a0}",
    "\u{feff}",
    "€",
    "\0",
    "if ",
    "else:",
    "elif ",
    "for ",
    "in ",
    "is not ",
    "not ",
    "lambda ",
    "lambda: ",
    "def ",
    "class ",
    "async ",
    "await ",
    "yield ",
    "yield from ",
    "return ",
    "import ",
    "from ",
    "as ",
    "with ",
    "try:",
    "except ",
    "except* ",
    "finally:",
    "match ",
    "case ",
    "type ",
    "global ",
    "nonlocal ",
    "del ",
    "assert ",
    "raise ",
    "None",
    "True",
    "print ",
    "...",
    "x",
    "*x",
    "**x",
    "x=1",
    "x:=1",
    "def f[T](x): pass\n",
    "a, b",
    "pass",
];

/// Bytes that are put in and are not UTF-8.
const BYTES: &[&[u8]] = &[b"\xe9", b"\xff", b"\xe2\x82"];

/// A copy of a file with one to three edits: a stretch taken out, repeated, moved, or something put in.
pub fn mutant(content: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = content.to_vec();
    for _ in 0..=random.below(3) {
        let start = random.below(bytes.len() + 1);
        let end = (start + random.below(12)).min(bytes.len());
        match random.below(5) {
            0 => drop(bytes.drain(start..end)),
            1 => {
                let twice = bytes[start..end].repeat(2);
                bytes.splice(start..end, twice);
            }
            2 => {
                let moved: Vec<u8> = bytes.drain(start..end).collect();
                let at = random.below(bytes.len() + 1);
                bytes.splice(at..at, moved);
            }
            _ => {
                let piece = random.below(PIECES.len() + BYTES.len());
                let piece = PIECES.get(piece).map_or_else(|| BYTES[piece - PIECES.len()], |piece| piece.as_bytes());
                bytes.splice(start..start, piece.iter().copied());
            }
        }
    }
    bytes
}
