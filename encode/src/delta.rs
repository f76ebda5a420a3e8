//! `DELTA_BINARY_PACKED`: differences of neighbours, packed in blocks with a bit width of their own.

use crate::bitpack::{LANES, pack, width};
use crate::hybrid::push_varint;

/// Values of a block.
const BLOCK: usize = 128;
const MINIBLOCKS: usize = BLOCK / LANES;

/// Appends the encoding of 32-bit integers. Differences wrap, as readers' sums do.
pub(crate) fn encode(values: &[i32], out: &mut Vec<u8>) {
    push_varint(BLOCK as u64, out);
    push_varint(MINIBLOCKS as u64, out);
    push_varint(values.len() as u64, out);
    push_varint(zigzag(values.first().copied().unwrap_or_default()), out);
    let mut deltas = [0i32; BLOCK];
    let mut last = values.first().copied().unwrap_or_default();
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        for (delta, value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(last);
            last = *value;
        }
        encode_block(&mut deltas, block.len(), out);
    }
}

fn encode_block(deltas: &mut [i32; BLOCK], len: usize, out: &mut Vec<u8>) {
    let least = deltas[..len].iter().copied().min().unwrap_or_default();
    push_varint(zigzag(least), out);
    // What stands behind the last value is packed with it, and must not widen it.
    deltas[len..].fill(least);
    let widths = out.len();
    out.extend_from_slice(&[0; MINIBLOCKS]);
    for miniblock in 0..len.div_ceil(LANES) {
        let from = miniblock * LANES;
        let packed: [u32; LANES] = std::array::from_fn(|i| deltas[from + i].wrapping_sub(least) as u32);
        let width = width(packed.iter().fold(0, |bits, value| bits | value));
        out[widths + miniblock] = width as u8;
        pack(&packed, width, out);
    }
}

fn zigzag(value: i32) -> u64 {
    u64::from((value << 1 ^ value >> 31) as u32)
}
