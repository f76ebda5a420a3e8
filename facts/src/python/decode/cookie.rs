//! The encoding that a file names, as CPython's tokenizer reads it (PEP 263).

use std::ops::Range;

use memchr::memmem;

/// A comment that names an encoding.
pub(super) struct Cookie<'a> {
    /// The encoding, as the comment has it.
    pub name: &'a [u8],
    /// Its line, without the end.
    pub line: Range<usize>,
}

/// The encoding named by a comment in one of the first two lines.
pub(super) fn cookie(text: &[u8]) -> Option<Cookie<'_>> {
    let mut rest = text;
    for _ in 0..2 {
        let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        let blank = line.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\x0c')).count();
        match line.get(blank) {
            None => {}
            Some(b'#') => {
                if let Some(name) = cookie_of_comment(&line[blank..]) {
                    let start = text.len() - rest.len();
                    return Some(Cookie { name, line: start..start + end });
                }
            }
            Some(_) => return None,
        }
        rest = tail.strip_prefix(b"\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
    }
    None
}

fn cookie_of_comment(comment: &[u8]) -> Option<&[u8]> {
    memmem::find_iter(comment, b"coding").find_map(|at| {
        let value = comment[at + 6..].strip_prefix(b":").or_else(|| comment[at + 6..].strip_prefix(b"="))?;
        let blank = value.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let value = &value[blank..];
        let length = value.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b)).count();
        (length > 0).then_some(&value[..length])
    })
}

/// The tokenizer's own reading of a name (`get_normal_name`).
pub(super) fn normal_name(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name).into_owned();
    let start = name.chars().take(12).map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect::<String>();
    let is = |known: &str| start == known || start.strip_prefix(known).is_some_and(|rest| rest.starts_with('-'));
    if is("utf-8") {
        "utf-8".into()
    } else if ["latin-1", "iso-8859-1", "iso-latin-1"].into_iter().any(is) {
        "iso-8859-1".into()
    } else {
        name
    }
}
