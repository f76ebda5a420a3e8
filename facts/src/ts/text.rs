//! Text of a file: decoded where a fact asks for it, and bounded.

use std::borrow::Cow;

use tree_sitter::Node;

/// The bytes of a file, as text where they are UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    utf8: Result<&'a str, usize>,
    limit: usize,
}

impl<'a> Text<'a> {
    /// Text of which a fact keeps `limit` bytes.
    pub fn new(bytes: &'a [u8], limit: usize) -> Self {
        Self { bytes, utf8: std::str::from_utf8(bytes).map_err(|e| e.valid_up_to()), limit }
    }

    /// Longest text a fact keeps, in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// First byte that is not UTF-8.
    pub fn invalid(&self) -> Option<usize> {
        self.utf8.err()
    }

    /// Text of a node.
    pub fn node(&self, node: &Node<'_>) -> Cow<'a, str> {
        self.slice((node.start_byte() as u32, node.end_byte() as u32))
    }

    /// Text between two bytes.
    pub fn slice(&self, range: (u32, u32)) -> Cow<'a, str> {
        self.capped(range, self.limit)
    }

    /// Text between two bytes, cut at a character where it is longer than `limit` bytes.
    #[inline]
    pub fn capped(&self, (start, end): (u32, u32), limit: usize) -> Cow<'a, str> {
        let (start, end) = (start as usize, end as usize);
        if let Ok(text) = self.utf8
            && let Some(text) = text.get(start..end)
        {
            return Cow::Borrowed(cut(text, limit));
        }
        // One byte that is not UTF-8 can become three, a longer look ahead is not needed.
        let end = end.min(start.saturating_add(limit).saturating_add(4));
        match String::from_utf8_lossy(&self.bytes[start..end]) {
            Cow::Borrowed(text) => Cow::Borrowed(cut(text, limit)),
            Cow::Owned(text) => Cow::Owned(cut(&text, limit).to_owned()),
        }
    }
}

/// The start of a text, at most `limit` bytes of whole characters.
#[inline]
pub fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit { text } else { &text[..text.floor_char_boundary(limit)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_character() {
        let text = Text::new("aéz".as_bytes(), 2);
        assert_eq!(text.slice((0, 4)), "a");
        assert_eq!(text.slice((1, 3)), "é");
        assert_eq!(text.invalid(), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let text = Text::new(b"ab\xffcd", 8);
        assert_eq!(text.slice((1, 5)), "b\u{fffd}cd");
        assert_eq!(text.invalid(), Some(2));
        assert_eq!(text.capped((1, 5), 2), "b", "half a replacement is none");
    }
}
