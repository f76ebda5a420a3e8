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

/// Appends what the rows with a value have, of which `of` makes what is stored.
///
/// Values come and go in runs: 64 rows at a time are told to have all of them, or none.
pub(crate) fn extend_valid<T: Copy, U>(
    out: &mut Vec<U>,
    rows: &[T],
    nulls: Option<&NullBuffer>,
    mut of: impl FnMut(T) -> U,
) {
    const BITS: usize = u64::BITS as usize;
    let Some(nulls) = nulls else { return out.extend(rows.iter().map(|row| of(*row))) };
    out.reserve(rows.len() - nulls.null_count());
    for (rows, mut valid) in rows.chunks(BITS).zip(nulls.inner().bit_chunks().iter_padded()) {
        if valid == u64::MAX {
            out.extend(rows.iter().map(|row| of(*row)));
            continue;
        }
        while valid != 0 {
            out.push(of(rows[valid.trailing_zeros() as usize]));
            valid &= valid - 1;
        }
    }
}
