//! Numbers.

use super::{Found, Scan, Scanner};

impl Scanner<'_> {
    fn digits(&mut self, valid: fn(&u8) -> bool) {
        while valid(&self.peek()) {
            self.at += 1;
        }
    }

    /// Digits with single underscores between them.
    fn decimal_tail(&mut self) -> Scan {
        loop {
            self.digits(u8::is_ascii_digit);
            if self.peek() != b'_' {
                return Ok(());
            }
            self.at += 1;
            if !self.peek().is_ascii_digit() {
                return Err(self.here("invalid decimal literal"));
            }
        }
    }

    pub(super) fn number(&mut self) -> Scan {
        if self.peek() != b'0' {
            self.decimal_tail()?;
            return self.after_integer();
        }
        let start = self.at;
        self.at += 1;
        let radix = match self.peek() {
            b'x' | b'X' => Some(("hexadecimal", u8::is_ascii_hexdigit as fn(&u8) -> bool)),
            b'o' | b'O' => Some(("octal", (|byte| matches!(byte, b'0'..=b'7')) as fn(&u8) -> bool)),
            b'b' | b'B' => Some(("binary", (|byte| matches!(byte, b'0' | b'1')) as fn(&u8) -> bool)),
            _ => None,
        };
        let Some((kind, valid)) = radix else {
            // Zeros may lead, and be followed by other digits if it is no integer.
            loop {
                if self.peek() == b'_' {
                    self.at += 1;
                    if !self.peek().is_ascii_digit() {
                        return Err(self.here("invalid decimal literal"));
                    }
                }
                if self.peek() != b'0' {
                    break;
                }
                self.at += 1;
            }
            let zeros_end = self.at;
            let nonzero = self.peek().is_ascii_digit();
            if nonzero {
                self.decimal_tail()?;
            }
            if nonzero && !matches!(self.peek(), b'.' | b'e' | b'E' | b'j' | b'J') {
                let message = "leading zeros in decimal integer literals are not permitted; use an 0o prefix for octal \
                               integers";
                return Err(Found::new(start, zeros_end, message));
            }
            return self.after_integer();
        };
        self.at += 1;
        loop {
            if self.peek() == b'_' {
                self.at += 1;
            }
            if !valid(&self.peek()) {
                return Err(self.no_digit(kind));
            }
            self.digits(valid);
            if self.peek() != b'_' {
                break;
            }
        }
        if self.peek().is_ascii_digit() {
            return Err(self.no_digit(kind));
        }
        self.end_of_number(kind)
    }

    fn no_digit(&mut self, kind: &str) -> Found {
        let digit = char::from(self.peek());
        if digit.is_ascii_digit() {
            self.at += 1;
            return self.here(format!("invalid digit '{digit}' in {kind} literal"));
        }
        self.here(format!("invalid {kind} literal"))
    }

    fn after_integer(&mut self) -> Scan {
        if self.peek() == b'.' {
            self.at += 1;
            return self.fraction();
        }
        self.exponent()
    }

    /// What follows the point.
    pub(super) fn fraction(&mut self) -> Scan {
        if self.peek().is_ascii_digit() {
            self.decimal_tail()?;
        }
        self.exponent()
    }

    fn exponent(&mut self) -> Scan {
        if matches!(self.peek(), b'e' | b'E') {
            let signed = matches!(self.bytes.get(self.at + 1), Some(b'+' | b'-'));
            let digit = self.bytes.get(self.at + 1 + usize::from(signed)).is_some_and(u8::is_ascii_digit);
            match (signed, digit) {
                (_, true) => {
                    self.at += 1 + usize::from(signed);
                    self.decimal_tail()?;
                }
                (true, false) => {
                    self.at += 2;
                    return Err(self.here("invalid decimal literal"));
                }
                (false, false) => return self.end_of_number("decimal"),
            }
        }
        if matches!(self.peek(), b'j' | b'J') {
            self.at += 1;
            return self.end_of_number("imaginary");
        }
        self.end_of_number("decimal")
    }

    /// A number may touch a keyword, and no other name of ASCII letters.
    fn end_of_number(&mut self, kind: &str) -> Scan {
        // What begins with one of the latter is no keyword that goes on, but passes for one.
        const KEYWORDS: [&str; 5] = ["and", "else", "for", "or", "not"];
        const BEGINNINGS: [&str; 3] = ["if", "in", "is"];
        let rest = &self.text[self.at..];
        let in_name = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
        let is_whole = |rest: &str| rest.bytes().next().is_none_or(|byte| !in_name(byte) && byte < 0x80);
        let touches_keyword = BEGINNINGS.iter().any(|beginning| rest.starts_with(beginning))
            || KEYWORDS.iter().any(|keyword| rest.strip_prefix(keyword).is_some_and(is_whole));
        if !in_name(self.peek()) || touches_keyword {
            return Ok(());
        }
        Err(self.here(format!("invalid {kind} literal")))
    }
}
