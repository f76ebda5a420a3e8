//! Exception tables of 3.11 and later (CPython's `Objects/exception_handling_notes.txt`).

use super::error::BytecodeError;

/// A stretch of code and the handler of what is raised in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExceptionEntry {
    /// First offset covered, in bytes.
    pub start: u32,
    /// First offset after it.
    pub end: u32,
    /// Offset of the handler.
    pub target: u32,
    /// Values that stay on the stack.
    pub depth: u32,
    /// Whether the offset of the instruction that raised is pushed.
    pub lasti: bool,
}

/// Reads a table.
///
/// # Errors
/// If it ends inside an entry, or holds numbers that no code has.
pub fn exception_table(bytes: &[u8]) -> Result<Vec<ExceptionEntry>, BytecodeError> {
    let mut entries = vec![];
    let mut rest = bytes.iter();
    while !rest.as_slice().is_empty() {
        let mut number = || varint(&mut rest).ok_or(BytecodeError::ExceptionTable);
        let (start, length, target, depth) = (number()?, number()?, number()?, number()?);
        let bytes = |units: u32| units.checked_mul(2).ok_or(BytecodeError::ExceptionTable);
        let end = start.checked_add(length).ok_or(BytecodeError::ExceptionTable)?;
        entries.push(ExceptionEntry {
            start: bytes(start)?,
            end: bytes(end)?,
            target: bytes(target)?,
            depth: depth >> 1,
            lasti: depth & 1 != 0,
        });
    }
    Ok(entries)
}

/// Six bits a byte, the most significant first.
fn varint(bytes: &mut std::slice::Iter<'_, u8>) -> Option<u32> {
    let mut value = 0u32;
    loop {
        let byte = *bytes.next()?;
        value = value.checked_mul(64)? | u32::from(byte & 0x3f);
        if byte & 0x40 == 0 {
            return Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_to_the_end() {
        // The start of an entry has its highest bit set.
        let entry = ExceptionEntry { start: 2 * 65, end: 2 * 67, target: 6, depth: 2, lasti: true };
        assert_eq!(exception_table(b"\xc1\x01\x02\x03\x05"), Ok(vec![entry]));
        assert_eq!(exception_table(b""), Ok(vec![]));
        assert_eq!(exception_table(b"\x81\x01\x02"), Err(BytecodeError::ExceptionTable));
        assert_eq!(exception_table(&[0x7f; 50]), Err(BytecodeError::ExceptionTable));
    }
}
