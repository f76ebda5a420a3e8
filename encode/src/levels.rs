//! Definition levels of a flat column: which rows have a value.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::NullBuffer;

use crate::hybrid::encode_bits;

/// The levels of a page.
pub(crate) struct Levels {
    /// Present for columns that take nulls.
    bits: Option<BooleanBufferBuilder>,
}

impl Levels {
    pub(crate) fn new(nullable: bool) -> Self {
        Self { bits: nullable.then(|| BooleanBufferBuilder::new(0)) }
    }

    /// Appends a row each; `None` where all have a value.
    pub(crate) fn push(&mut self, nulls: Option<&NullBuffer>, rows: usize) {
        match (&mut self.bits, nulls) {
            (Some(bits), Some(nulls)) => bits.append_buffer(nulls.inner()),
            (Some(bits), None) => bits.append_n(rows, true),
            (None, _) => {}
        }
    }

    /// Appends the encoding of the page's levels, with its length before it, and forgets them.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>) {
        if let Some(bits) = &mut self.bits {
            let bits = bits.finish();
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            encode_bits(bits.values(), bits.len(), out);
            let length = (out.len() - start - 4) as u32;
            out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        }
    }
}
