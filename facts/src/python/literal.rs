//! The text of constants, as Python prints them.

use std::fmt::Write;

use ruff_python_ast::Int;

/// Digits beyond which Python refuses to turn text into a decimal number and back.
pub const MAX_DECIMAL_DIGITS: usize = 4_300;

/// Appends an integer: decimal, or, where Python itself refuses to print it for its length, the literal as it stands.
pub fn push_integer(out: &mut String, value: &Int) {
    if let Some(small) = value.as_u64() {
        let _ = write!(out, "{small}");
        return;
    }
    let token = value.to_string();
    let digits = token.get(2..).unwrap_or_default();
    match token.as_bytes().get(..2) {
        Some(b"0x" | b"0X") => push_radix(out, &token, digits, 16),
        Some(b"0o" | b"0O") => push_radix(out, &token, digits, 8),
        Some(b"0b" | b"0B") => push_radix(out, &token, digits, 2),
        _ => out.extend(token.trim_start_matches(['0', '_']).chars().filter(|c| *c != '_')),
    }
}

fn push_radix(out: &mut String, token: &str, digits: &str, radix: u32) {
    const LIMB: u64 = 1_000_000_000;
    // Nine decimal digits a limb, least significant first.
    let mut limbs: Vec<u64> = vec![0];
    for digit in digits.chars().filter_map(|c| c.to_digit(radix)) {
        let mut carry = u64::from(digit);
        for limb in &mut limbs {
            carry += *limb * u64::from(radix);
            *limb = carry % LIMB;
            carry /= LIMB;
        }
        if carry > 0 {
            limbs.push(carry);
        }
        if limbs.len() > MAX_DECIMAL_DIGITS / 9 + 1 {
            break;
        }
    }
    let mut text = limbs.pop().unwrap_or_default().to_string();
    limbs.iter().rev().for_each(|limb| {
        let _ = write!(text, "{limb:09}");
    });
    out.push_str(if text.len() > MAX_DECIMAL_DIGITS { token } else { &text });
}

/// Appends a float as `repr` prints it.
pub fn push_float(out: &mut String, value: f64) {
    let start = out.len();
    push_imaginary(out, value);
    if out[start..].bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        out.push_str(".0");
    }
}

/// Appends the imaginary part of a complex number as `repr` prints it, without the `j`.
pub fn push_imaginary(out: &mut String, value: f64) {
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "inf" } else { "-inf" });
        return;
    }
    let scientific = shortest(value);
    let (mantissa, exponent) = scientific.split_once('e').expect("scientific notation has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.abs());
        return;
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    out.push_str(sign);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).map(char::from);
    let count = mantissa.len() - usize::from(mantissa.contains('.'));
    // Digits before the point.
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    if whole == 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
    }
    for (index, digit) in digits.enumerate() {
        if index == whole && whole > 0 {
            out.push('.');
        }
        out.push(digit);
    }
    out.extend(std::iter::repeat_n('0', whole.saturating_sub(count)));
}

/// The shortest digits that read back as the same number, in scientific notation. Where two such numbers are equally
/// near, Python's is the one with the even digit at the end.
fn shortest(value: f64) -> String {
    let found = format!("{value:e}");
    let (mantissa, exponent) = found.split_once('e').expect("scientific notation has an exponent");
    let odd = mantissa.bytes().last().is_some_and(|digit| digit % 2 == 1);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    // Fewer digits than these have no number half-way between two of them that reads back as both.
    if !odd || digits < 15 {
        return found;
    }
    /// Digits of the exact value of any `f64`.
    const EXACT: usize = 767;
    let exact = format!("{value:.EXACT$e}");
    let (exact_mantissa, exact_exponent) = exact.split_once('e').expect("scientific notation has an exponent");
    let (kept, rest) = exact_mantissa.split_at_checked(mantissa.len()).unwrap_or((exact_mantissa, ""));
    let is_tie = rest.strip_prefix('5').is_some_and(|rest| rest.bytes().all(|digit| digit == b'0'));
    let even = format!("{kept}e{exponent}");
    if is_tie && exact_exponent == exponent && even.parse() == Ok(value) { even } else { found }
}

/// Appends bytes: printable ASCII as it is, `\` as `\\`, the rest as `\xHH`.
pub fn push_bytes(out: &mut String, bytes: impl IntoIterator<Item = u8>) {
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
}

/// A literal as it stands in the source, without prefix and quotes.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'s> {
    /// Its text.
    pub source: &'s str,
    /// Whether backslashes are plain characters.
    pub raw: bool,
    /// Whether it is a stretch of an f-string or t-string, where braces are doubled.
    pub interpolated: bool,
}

/// Appends the value of a string literal or of a literal stretch of an f-string.
///
/// The parser turns a lone surrogate, which Python strings can hold and UTF-8 can't, into U+FFFD. Where there is one,
/// the source is followed again and the surrogate is written as the escape `\udXXX`.
pub fn push_string(out: &mut String, value: &str, literal: Quoted<'_>) {
    let Quoted { source, raw, interpolated } = literal;
    if raw || !value.contains('\u{fffd}') || !source.contains('\\') {
        out.push_str(value);
        return;
    }
    let mut decoded = value.chars();
    let mut source = source.chars().peekable();
    while let Some(c) = source.next() {
        if c != '\\' {
            if interpolated && matches!(c, '{' | '}') {
                // A doubled brace is one brace of the value.
                source.next_if_eq(&c);
            }
            out.extend(decoded.next());
            continue;
        }
        let escape = source.next();
        let digits = match escape {
            Some('u') => 4,
            Some('U') => 8,
            Some('x') => 2,
            Some('N') => {
                while source.next().is_some_and(|c| c != '}') {}
                out.extend(decoded.next());
                continue;
            }
            Some('0'..='7') => {
                for _ in 0..2 {
                    source.next_if(|c| ('0'..='7').contains(c));
                }
                out.extend(decoded.next());
                continue;
            }
            Some('\n') => continue,
            Some('\\' | '\'' | '"' | 'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v') => {
                out.extend(decoded.next());
                continue;
            }
            _ => {
                // Not an escape: the backslash stays, and so does what follows it.
                out.extend(decoded.next());
                if escape.is_some() {
                    out.extend(decoded.next());
                }
                continue;
            }
        };
        let code = (0..digits).filter_map(|_| source.next()?.to_digit(16)).fold(0, |code, digit| code * 16 + digit);
        let character = decoded.next();
        match code {
            0xd800..=0xdfff => {
                let _ = write!(out, "\\u{code:04x}");
            }
            _ => out.extend(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(push: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        push(&mut out);
        out
    }

    #[test]
    fn floats_are_printed_as_python_prints_them() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e-300, "1e-300"),
            (1234.5, "1234.5"),
            (-0.012, "-0.012"),
            (5e-324, "5e-324"),
            (2f64.powi(-25), "2.9802322387695312e-08"),
            (9_007_199_254_740_993.5, "9007199254740994.0"),
            (f64::INFINITY, "inf"),
            (0.0, "0.0"),
        ] {
            assert_eq!(of(|out| push_float(out, value)), text);
        }
        assert_eq!(of(|out| push_imaginary(out, 1.0)), "1");
    }

    #[test]
    fn integers_are_decimal() {
        let integer = |token: &str, radix| {
            let digits: String = token.trim_start_matches("0x").replace('_', "");
            of(|out| push_integer(out, &Int::from_str_radix(&digits, radix, token).unwrap()))
        };
        assert_eq!(integer("0xff", 16), "255");
        assert_eq!(integer("0x1_0000_0000_0000_0000", 16), "18446744073709551616");
        assert_eq!(integer("100000000000000000000", 10), "100000000000000000000");
        let long = format!("0x{}", "f".repeat(5_000));
        assert_eq!(integer(&long, 16), long);
    }

    #[test]
    fn lone_surrogates_are_escaped() {
        let string = |value: &str, source: &str| {
            of(|out| {
                push_string(
                    out,
                    value,
                    Quoted { source, raw: false, interpolated: source.contains('{') && !source.contains('N') },
                )
            })
        };
        assert_eq!(string("a\u{fffd}b", r"a\ud800b"), r"a\ud800b");
        assert_eq!(
            string("\u{fffd}\u{fffd}é", "\u{fffd}\\udfff\\N{LATIN SMALL LETTER E WITH ACUTE}"),
            "\u{fffd}\\udfffé"
        );
        assert_eq!(string("\u{fffd}\\q\u{8}\n", r"\ud834\q\10\n"), "\\ud834\\q\u{8}\n");
        assert_eq!(string("{\u{fffd}}", r"{{\ud800}}"), r"{\ud800}");
    }

    #[test]
    fn bytes_are_escaped() {
        assert_eq!(of(|out| push_bytes(out, *b"a\\\x00\xff~")), r"a\\\x00\xff~");
    }
}
