//! Constants as `repr` prints them.
//!
//! Two things Python prints differ from run to run, and are written another way here: the address of a code object is
//! left out, and the items of a frozen set are in the order of their texts.

use std::fmt::Write as _;

use super::code::{Parts, decode};
use super::error::BytecodeError;
use super::marshal::{Object, ObjectId, Objects};
use super::opcodes::Opcodes;
use crate::python::{MAX_DECIMAL_DIGITS, push_bytes, push_float, push_imaginary};

/// Longest text of all constants of a file, in bytes.
pub const MAX_TEXT_BYTES: usize = 256 << 20;

const TOO_LARGE: BytecodeError = BytecodeError::TooLarge { what: "constants", limit: MAX_TEXT_BYTES };

/// What is still to be printed.
enum Task {
    Object(ObjectId),
    Text(&'static str),
    /// An item of a frozen set begins here.
    Item,
    /// The frozen set ends that began with this many marks.
    EndOfSet(usize),
}

/// Appends the `repr` of an object, unless the text would grow beyond `limit`.
///
/// # Errors
/// If it would.
pub fn push_repr(
    out: &mut String,
    objects: &Objects<'_>,
    table: &Opcodes,
    object: ObjectId,
    limit: usize,
) -> Result<(), BytecodeError> {
    let mut tasks = vec![Task::Object(object)];
    let mut marks: Vec<usize> = vec![];
    while let Some(task) = tasks.pop() {
        if out.len() > limit {
            return Err(TOO_LARGE);
        }
        let id = match task {
            Task::Object(id) => id,
            Task::Text(text) => {
                out.push_str(text);
                continue;
            }
            Task::Item => {
                marks.push(out.len());
                continue;
            }
            Task::EndOfSet(first) => {
                sort_items(out, &marks[first..]);
                marks.truncate(first);
                out.push_str("})");
                continue;
            }
        };
        let mut open = |items: &[ObjectId], start: &'static str, end: &'static str, separator: &[&'static str]| {
            out.push_str(start);
            tasks.push(Task::Text(end));
            for (index, item) in items.iter().enumerate().rev() {
                tasks.push(Task::Object(*item));
                if index > 0 {
                    tasks.push(Task::Text(separator[index % separator.len()]));
                }
            }
        };
        match objects.get(id) {
            Object::None => out.push_str("None"),
            Object::Bool(true) => out.push_str("True"),
            Object::Bool(false) => out.push_str("False"),
            Object::Ellipsis => out.push_str("Ellipsis"),
            Object::StopIteration => out.push_str("<class 'StopIteration'>"),
            Object::Int(value) => {
                let _ = write!(out, "{value}");
            }
            Object::Long { negative, digits } => push_long(out, *negative, objects.bytes(digits)),
            Object::Float(value) => push_float_repr(out, *value),
            Object::Complex(real, imaginary) => push_complex(out, *real, *imaginary),
            Object::Bytes(range) => push_bytes_repr(out, objects.bytes(range)),
            Object::Text(range) => push_text_repr(out, objects.bytes(range), table),
            Object::Tuple(range) => {
                let items = objects.items(range);
                open(items, "(", if items.len() == 1 { ",)" } else { ")" }, &[", "]);
            }
            Object::List(range) => open(objects.items(range), "[", "]", &[", "]),
            Object::Slice(range) => open(objects.items(range), "slice(", ")", &[", "]),
            Object::Dict(range) => open(objects.items(range), "{", "}", &[", ", ": "]),
            Object::Set(range) if range.is_empty() => out.push_str("set()"),
            Object::Set(range) => open(objects.items(range), "{", "}", &[", "]),
            Object::FrozenSet(range) if range.is_empty() => out.push_str("frozenset()"),
            Object::FrozenSet(range) => {
                out.push_str("frozenset({");
                tasks.push(Task::EndOfSet(marks.len()));
                for item in objects.items(range).iter().rev() {
                    tasks.extend([Task::Object(*item), Task::Item]);
                }
            }
            Object::Code(number) => {
                let code = objects.code(*number);
                let layout = table.layout();
                let text = |index: usize| match objects.get(code.parts[index]) {
                    Object::Text(range) => decode(objects.bytes(range)),
                    _ => "?".into(),
                };
                let (file, name) = (text(layout.file_name()), text(layout.name()));
                let line = if code.firstlineno == 0 { -1 } else { code.firstlineno };
                let _ = write!(out, "<code object {name}, file \"{file}\", line {line}>");
            }
        }
    }
    if out.len() > limit { Err(TOO_LARGE) } else { Ok(()) }
}

/// Puts the texts that begin at the marks, the last of which ends with the text, in order.
fn sort_items(out: &mut String, marks: &[usize]) {
    let Some(first) = marks.first() else { return };
    let ends = marks.iter().skip(1).copied().chain([out.len()]);
    let mut items: Vec<&str> = marks.iter().zip(ends).map(|(start, end)| &out[*start..end]).collect();
    items.sort_unstable();
    let sorted = items.join(", ");
    out.truncate(*first);
    out.push_str(&sorted);
}

/// Appends an integer: in decimal, or in hexadecimal where Python refuses to print it for its length.
fn push_long(out: &mut String, negative: bool, digits: &[u8]) {
    const DIGIT_BITS: usize = 15;
    const LIMB: u64 = 1_000_000_000;
    if negative {
        out.push('-');
    }
    let digits: Vec<u64> = digits.chunks_exact(2).map(|d| u64::from(u16::from_le_bytes([d[0], d[1]]))).collect();
    // A decimal digit is more than three bits.
    if digits.len() * DIGIT_BITS <= (MAX_DECIMAL_DIGITS + 16) * 10 / 3 {
        // Nine decimal digits a limb, least significant first.
        let mut limbs: Vec<u64> = vec![0];
        for digit in digits.iter().rev() {
            let mut carry = *digit;
            for limb in &mut limbs {
                carry += *limb << DIGIT_BITS;
                *limb = carry % LIMB;
                carry /= LIMB;
            }
            if carry > 0 {
                limbs.push(carry);
            }
        }
        let mut text = limbs.pop().unwrap_or_default().to_string();
        for limb in limbs.iter().rev() {
            let _ = write!(text, "{limb:09}");
        }
        if text.len() <= MAX_DECIMAL_DIGITS {
            out.push_str(&text);
            return;
        }
    }
    let bit = |at: usize| digits.get(at / DIGIT_BITS).is_some_and(|digit| digit >> (at % DIGIT_BITS) & 1 == 1);
    let nibbles = (digits.len() * DIGIT_BITS).div_ceil(4);
    let nibble = |at: usize| (0..4).fold(0, |nibble, b| nibble | u32::from(bit(4 * at + b)) << b);
    let first = (0..nibbles).rev().find(|at| nibble(*at) != 0).unwrap_or(0);
    out.push_str("0x");
    out.extend((0..=first).rev().filter_map(|at| char::from_digit(nibble(at), 16)));
}

fn push_float_repr(out: &mut String, value: f64) {
    if value.is_nan() { out.push_str("nan") } else { push_float(out, value) }
}

fn push_complex(out: &mut String, real: f64, imaginary: f64) {
    let part = |out: &mut String, value: f64| {
        if value.is_nan() { out.push_str("nan") } else { push_imaginary(out, value) }
    };
    if real == 0.0 && real.is_sign_positive() {
        part(out, imaginary);
        out.push('j');
        return;
    }
    out.push('(');
    part(out, real);
    if imaginary.is_nan() || imaginary.is_sign_positive() {
        out.push('+');
    }
    part(out, imaginary);
    out.push_str("j)");
}

/// The quote that `repr` chooses.
fn quote(bytes: &[u8]) -> char {
    if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' }
}

fn push_bytes_repr(out: &mut String, bytes: &[u8]) {
    let quote = quote(bytes);
    out.push('b');
    out.push(quote);
    for byte in bytes {
        match byte {
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\'' if quote == '\'' => out.push_str("\\'"),
            _ => push_bytes(out, [*byte]),
        }
    }
    out.push(quote);
}

fn push_text_repr(out: &mut String, bytes: &[u8], table: &Opcodes) {
    let quote = quote(bytes);
    out.push(quote);
    // Nearly all text is plain: it is copied in stretches.
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'\'');
    for part in Parts(bytes) {
        let mut rest = match part {
            Ok(text) => text,
            Err(surrogate) => {
                let _ = write!(out, "\\u{surrogate:04x}");
                continue;
            }
        };
        loop {
            let length = rest.bytes().take_while(plain).count();
            out.push_str(&rest[..length]);
            let mut chars = rest[length..].chars();
            let Some(c) = chars.next() else { break };
            rest = chars.as_str();
            match c {
                '\\' => out.push_str("\\\\"),
                '\'' if quote == '\'' => out.push_str("\\'"),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                c if table.is_printable(c) => out.push(c),
                c => {
                    let code = u32::from(c);
                    let _ = match code {
                        ..0x100 => write!(out, "\\x{code:02x}"),
                        0x100..0x1_0000 => write!(out, "\\u{code:04x}"),
                        _ => write!(out, "\\U{code:08x}"),
                    };
                }
            }
        }
    }
    out.push(quote);
}

/// Name of an object's type.
pub(super) fn type_name(objects: &Objects<'_>, id: ObjectId) -> &'static str {
    match objects.get(id) {
        Object::None => "NoneType",
        Object::Bool(_) => "bool",
        Object::Ellipsis => "ellipsis",
        Object::StopIteration => "type",
        Object::Int(_) | Object::Long { .. } => "int",
        Object::Float(_) => "float",
        Object::Complex(..) => "complex",
        Object::Bytes(_) => "bytes",
        Object::Text(_) => "str",
        Object::Tuple(_) => "tuple",
        Object::List(_) => "list",
        Object::Set(_) => "set",
        Object::FrozenSet(_) => "frozenset",
        Object::Dict(_) => "dict",
        Object::Slice(_) => "slice",
        Object::Code(_) => "code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytecode::marshal::Layout;

    fn repr(bytes: &[u8]) -> String {
        let objects = Objects::read(bytes, Layout::LocalsPlus).unwrap();
        let mut out = String::new();
        push_repr(&mut out, &objects, Opcodes::of(13).unwrap(), objects.root(), 1000).unwrap();
        out
    }

    #[test]
    fn values_are_printed_as_python_does() {
        assert_eq!(repr(b")\x01N"), "(None,)");
        assert_eq!(repr(b")\x02z\x01')\x00"), "(\"'\", ())");
        assert_eq!(repr(b"u\x06\0\0\0a\xc2\xa0'\"\n"), r#"'a\xa0\'"\n'"#);
        assert_eq!(repr(b"s\x03\0\0\0'\xff\\"), r#"b"'\xff\\""#);
        assert_eq!(repr(b">\x03\0\0\0z\x01bz\x01ai\x05\0\0\0"), "frozenset({'a', 'b', 5})");
        assert_eq!(repr(b">\x02\0\0\0>\x01\0\0\0N>\0\0\0\0"), "frozenset({frozenset(), frozenset({None})})");
        assert_eq!(repr(b"y\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\xf0\x3f"), "(-0+1j)");
        assert_eq!(repr(b"g\0\0\0\0\0\0\xf0\x7f"), "inf");
        assert_eq!(repr(b":NNi\x02\0\0\0"), "slice(None, None, 2)");
        assert_eq!(repr(b"{NTF.0"), "{None: True, False: Ellipsis}");
        assert_eq!(repr(b"u\x04\0\0\0a\xed\xa0\x80"), r"'a\ud800'");
    }

    #[test]
    fn integers_of_any_size_are_printed() {
        let long = |size: i32, digits: &[u16]| {
            let digits = digits.iter().flat_map(|digit| digit.to_le_bytes());
            repr(&[b"l".to_vec(), size.to_le_bytes().to_vec(), digits.collect()].concat())
        };
        assert_eq!(long(-5, &[0, 0, 0, 0, 16]), "-18446744073709551616");
        assert_eq!(long(3, &[0x7fff, 0x7fff, 1]), "2147483647");
        let mut objects = vec![0u16; 2000];
        objects[1999] = 0x4001;
        let text = {
            let digits = objects.iter().flat_map(|digit| digit.to_le_bytes());
            let bytes = [b"l".to_vec(), 2000i32.to_le_bytes().to_vec(), digits.collect()].concat();
            let objects = Objects::read(&bytes, Layout::LocalsPlus).unwrap();
            let mut out = String::new();
            push_repr(&mut out, &objects, Opcodes::of(13).unwrap(), objects.root(), 100_000).unwrap();
            out
        };
        // 2**14 + 1 above 1999 digits of 15 bits, which are 7496 nibbles and a bit.
        assert!(text.starts_with("0x80020") && text.len() == 2 + 7500, "{} {}", &text[..20], text.len());
    }

    #[test]
    fn text_that_explodes_is_refused() {
        // A tuple of two tuples of two … by reference.
        let mut bytes = b"\xa9\x02".to_vec();
        for _ in 0..40 {
            bytes.extend_from_slice(b"\xa9\x02");
        }
        bytes.extend_from_slice(b"NN");
        for slot in (1..=40i32).rev() {
            bytes.push(b'r');
            bytes.extend_from_slice(&slot.to_le_bytes());
        }
        let objects = Objects::read(&bytes, Layout::LocalsPlus).unwrap();
        let mut out = String::new();
        let result = push_repr(&mut out, &objects, Opcodes::of(13).unwrap(), objects.root(), 1 << 20);
        assert_eq!(result, Err(TOO_LARGE));
        assert!(out.len() < 2 << 20);
    }
}
