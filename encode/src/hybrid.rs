//! Parquet's hybrid of run lengths and bit packing, for dictionary keys and for definition levels.

use crate::bitpack::{LANES, pack};

/// Values of a packed group.
const GROUP: usize = 8;

/// Appends an integer in groups of seven bits, the least significant first.
pub(crate) fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends keys of at most `width` bits: values that repeat as runs, the others packed.
pub(crate) fn encode(keys: &[u32], width: usize, out: &mut Vec<u8>) {
    let mut packed_from = 0;
    let mut at = 0;
    while at < keys.len() {
        let value = keys[at];
        let run = keys[at..].iter().take_while(|key| **key == value).count();
        // Packed values come in whole groups: a run gives up what the group before it lacks.
        let lacking = (at - packed_from).next_multiple_of(GROUP) - (at - packed_from);
        if run >= lacking + GROUP {
            pack_groups(&keys[packed_from..at + lacking], width, out);
            push_run(run - lacking, value, width, out);
            packed_from = at + run;
        }
        at += run;
    }
    pack_groups(&keys[packed_from..], width, out);
}

fn push_run(length: usize, value: u32, width: usize, out: &mut Vec<u8>) {
    push_varint((length as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8)]);
}

/// Packed groups; the last one is filled up.
fn pack_groups(keys: &[u32], width: usize, out: &mut Vec<u8>) {
    if keys.is_empty() {
        return;
    }
    let groups = keys.len().div_ceil(GROUP);
    push_varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * width;
    let (whole, rest) = keys.as_chunks::<LANES>();
    whole.iter().for_each(|lanes| pack(lanes, width, out));
    if !rest.is_empty() {
        let mut lanes = [0; LANES];
        lanes[..rest.len()].copy_from_slice(rest);
        pack(&lanes, width, out);
    }
    out.truncate(end);
}

/// Appends bits, given as bytes whose least significant bit comes first: eight equal ones are one byte of a run.
pub(crate) fn encode_bits(bytes: &[u8], bits: usize, out: &mut Vec<u8>) {
    let uniform = |byte: u8| byte == 0 || byte == u8::MAX;
    let whole = bits / GROUP;
    let (mut packed_from, mut at) = (0, 0);
    while at < whole {
        let byte = bytes[at];
        let run = if uniform(byte) { bytes[at..whole].iter().take_while(|b| **b == byte).count() } else { 1 };
        // A run costs two bytes, and three more where it breaks a packed stretch.
        if uniform(byte) && (run >= 4 || run == whole) {
            push_packed_bytes(&bytes[packed_from..at], out);
            push_run(run * GROUP, u32::from(byte & 1), 1, out);
            packed_from = at + run;
        }
        at += run;
    }
    push_packed_bytes(&bytes[packed_from..bits.div_ceil(GROUP)], out);
}

fn push_packed_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        push_varint((bytes.len() as u64) << 1 | 1, out);
        out.extend_from_slice(bytes);
    }
}
