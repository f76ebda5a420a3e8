//! Packing of small integers: the `BIT_PACKED` runs of Parquet's encodings, least significant bit first.

/// Integers that are packed at a time.
pub(crate) const LANES: usize = 32;

/// Bits that the value needs.
pub(crate) fn width(value: u32) -> usize {
    (u32::BITS - value.leading_zeros()) as usize
}

/// Appends 32 integers of `width` bits each, which makes `4 * width` bytes. Higher bits must be zero.
pub(crate) fn pack(values: &[u32; LANES], width: usize, out: &mut Vec<u8>) {
    macro_rules! by_width {
        ($($w:literal)+) => {
            match width {
                0 => {}
                $($w => pack_width::<$w>(values, out),)+
                _ => unreachable!("an integer of 32 bits needs no more"),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

/// With the width known, the loop unrolls into shifts.
#[inline]
fn pack_width<const W: usize>(values: &[u32; LANES], out: &mut Vec<u8>) {
    let mut words = [0u32; LANES];
    for (lane, value) in values.iter().enumerate() {
        let (word, shift) = (lane * W / 32, lane * W % 32);
        words[word] |= value << shift;
        if shift + W > 32 {
            words[word + 1] |= value >> (32 - shift);
        }
    }
    for word in &words[..W] {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_keeps_every_value() {
        for width in 0..=32 {
            let most = if width == 0 { 0 } else { u32::MAX >> (32 - width) };
            let values: [u32; LANES] = std::array::from_fn(|i| (i as u32).wrapping_mul(2_654_435_761) & most);
            let mut packed = vec![];
            pack(&values, width, &mut packed);
            assert_eq!(packed.len(), 4 * width);
            let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
            for (lane, value) in values.iter().enumerate() {
                let found = (0..width).fold(0, |sum, i| sum | bit(lane * width + i) << i);
                assert_eq!(found, *value, "width {width}, lane {lane}");
            }
        }
    }
}
