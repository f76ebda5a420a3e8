//! Text as it is decoded.

use super::Decoded;
use crate::python::OffsetMap;

/// Collects decoded characters, unifies line ends, and notes where bytes and text advance differently.
pub(super) struct Builder {
    text: String,
    offsets: OffsetMap,
    /// Decoded minus original, of the stretch at hand.
    drift: i64,
    after_cr: bool,
}

impl Builder {
    pub(super) fn new(start: usize, capacity: usize) -> Self {
        Self {
            text: String::with_capacity(capacity),
            offsets: OffsetMap::shifted(start as u32),
            drift: -(start as i64),
            after_cr: false,
        }
    }

    /// Appends a character whose original bytes end before `end`.
    #[inline]
    pub(super) fn push(&mut self, c: char, end: usize) {
        let completes_crlf = c == '\n' && self.after_cr;
        self.after_cr = c == '\r';
        if !completes_crlf {
            self.text.push(if c == '\r' { '\n' } else { c });
        }
        let drift = self.text.len() as i64 - end as i64;
        if drift != self.drift {
            self.drift = drift;
            self.offsets.push(self.text.len() as u32, end as u32);
        }
    }

    /// Bytes of the text so far.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn finish(self) -> Decoded<'static> {
        Decoded { text: self.text.into(), offsets: self.offsets }
    }
}
