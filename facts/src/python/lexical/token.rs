//! Tokens as CPython's tokenizer hands them to its parser.

/// A kind of token (`Grammar/Tokens`): every operator and keyword is one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::python) struct Kind(pub(in crate::python) u8);

/// Kinds by the name the grammar has for them.
const NAMED: [&str; 13] = [
    "ENDMARKER",
    "NEWLINE",
    "INDENT",
    "DEDENT",
    "NAME",
    "NUMBER",
    "STRING",
    "FSTRING_START",
    "FSTRING_MIDDLE",
    "FSTRING_END",
    "TSTRING_START",
    "TSTRING_MIDDLE",
    "TSTRING_END",
];

/// Kinds by how they are spelled, the keywords last.
const SPELLED: [&str; 83] = [
    "(", ")", "[", "]", "{", "}", ":", ",", ";", "+", "-", "*", "/", "|", "&", "<", ">", "=", ".", "%", "==", "!=",
    "<=", ">=", "~", "^", "<<", ">>", "**", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "**=", "//",
    "//=", "@", "@=", "->", "...", ":=", "!", "False", "None", "True", "and", "as", "assert", "async", "await",
    "break", "class", "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if",
    "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with",
    "yield",
];

/// How many of these are operators.
const OPERATORS: usize = 48;

impl Kind {
    pub(in crate::python) const END: Self = Self(0);
    pub(in crate::python) const NEWLINE: Self = Self(1);
    pub(in crate::python) const INDENT: Self = Self(2);
    pub(in crate::python) const DEDENT: Self = Self(3);
    pub(in crate::python) const NAME: Self = Self(4);
    pub(in crate::python) const NUMBER: Self = Self(5);
    pub(in crate::python) const STRING: Self = Self(6);
    pub(in crate::python) const FSTRING_START: Self = Self(7);
    pub(in crate::python) const FSTRING_MIDDLE: Self = Self(8);
    pub(in crate::python) const FSTRING_END: Self = Self(9);
    pub(in crate::python) const TSTRING_START: Self = Self(10);
    pub(in crate::python) const TSTRING_MIDDLE: Self = Self(11);
    pub(in crate::python) const TSTRING_END: Self = Self(12);
    /// Punctuation that means nothing in Python.
    pub(in crate::python) const OTHER: Self = Self(13);
    /// How many kinds there are at most.
    pub(in crate::python) const COUNT: usize = 14 + SPELLED.len();

    /// The kind of an operator or keyword.
    pub(in crate::python) fn spelled(text: &str) -> Option<Self> {
        SPELLED.iter().position(|spelled| *spelled == text).map(|at| Self(at as u8 + 14))
    }

    /// The kind that the grammar names so.
    pub(in crate::python) fn named(name: &str) -> Option<Self> {
        NAMED.iter().position(|named| *named == name).map(|at| Self(at as u8))
    }

    /// The kind of a name: its own for a keyword.
    pub(super) fn of_name(text: &str) -> Self {
        let keyword = SPELLED[OPERATORS..].binary_search(&text).ok();
        keyword.map_or(Self::NAME, |at| Self((14 + OPERATORS + at) as u8))
    }

    /// How an operator or keyword is spelled.
    pub(in crate::python) fn spelling(self) -> Option<&'static str> {
        SPELLED.get(usize::from(self.0).checked_sub(14)?).copied()
    }

    /// Whether it has no column of its own: it stands for what is not there.
    pub(in crate::python) fn is_placeless(self) -> bool {
        matches!(self, Self::END | Self::INDENT | Self::DEDENT)
    }
}

/// A token.
#[derive(Debug, Clone, Copy)]
pub(in crate::python) struct Token {
    pub(in crate::python) kind: Kind,
    /// Offset of its first byte; of one without column, where the tokenizer was.
    pub(in crate::python) start: u32,
    pub(in crate::python) end: u32,
    /// How many brackets are open behind it.
    pub(in crate::python) level: u32,
}

/// The operator that bytes begin with: its kind and length.
pub(super) fn operator(bytes: &[u8]) -> (Kind, usize) {
    // `..` is no operator, and `<>` is none that the grammar knows.
    if bytes.starts_with(b"<>") {
        return (Kind::OTHER, 2);
    }
    let starts = |length: &usize| {
        let start = bytes.get(..*length)?;
        let at = SPELLED[..OPERATORS].iter().position(|spelled| spelled.as_bytes() == start)?;
        Some((Kind(at as u8 + 14), *length))
    };
    [3, 2, 1].iter().find_map(starts).unwrap_or((Kind::OTHER, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_their_spelling() {
        for text in SPELLED {
            assert_eq!(Kind::spelled(text).and_then(Kind::spelling), Some(text));
        }
        assert_eq!(Kind::of_name("yield").spelling(), Some("yield"));
        assert_eq!(Kind::of_name("False").spelling(), Some("False"));
        assert_eq!(Kind::of_name("match"), Kind::NAME);
        assert_eq!(Kind::named("TSTRING_END"), Some(Kind::TSTRING_END));
        assert_eq!(operator(b"**=x"), (Kind::spelled("**=").unwrap(), 3));
        assert_eq!(operator(b"..x"), (Kind::spelled(".").unwrap(), 1));
        assert_eq!(operator(b"<>"), (Kind::OTHER, 2));
        assert_eq!(operator(b"$"), (Kind::OTHER, 1));
    }
}
