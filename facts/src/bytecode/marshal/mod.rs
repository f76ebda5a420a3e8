//! Reader of `marshal` data as CPython 3.8 to 3.14 write it.
//!
//! Any bytes give objects or an error. Nothing recurses, and memory is a small multiple of the input: every object takes
//! at least a byte of it, and what refers back to an object is its number again.
//!
//! The format is that of CPython's `Python/marshal.c`, versions 0 to 5.

mod reader;

use std::ops::Range;

use reader::Reader;
use thiserror::Error;

/// Deepest nesting CPython reads (`MAX_MARSHAL_STACK_DEPTH`).
pub const MAX_DEPTH: usize = 2_000;

/// Why bytes are no marshalled object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MarshalError {
    /// The bytes end inside an object.
    #[error("marshal data ends too early, at byte {0}")]
    Truncated(usize),
    /// A type byte that no version writes.
    #[error("bad marshal data: unknown type {kind:#04x} at byte {at}")]
    UnknownType {
        /// The byte.
        kind: u8,
        /// Where it is.
        at: usize,
    },
    /// A reference to what was not read yet.
    #[error("bad marshal data: invalid reference at byte {0}")]
    Reference(usize),
    /// A size below zero, a digit out of range, text that is not UTF-8, or an object of a kind that can't be there.
    #[error("bad marshal data: {what} at byte {at}")]
    Invalid {
        /// What is wrong.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("bad marshal data: nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Number of an object in its [`Objects`].
pub type ObjectId = u32;

/// An object. Text and bytes are ranges of the input, items a range of [`Objects::items`].
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// `None`.
    None,
    /// `False` or `True`.
    Bool(bool),
    /// `...`.
    Ellipsis,
    /// `StopIteration`, the type.
    StopIteration,
    /// A small integer.
    Int(i32),
    /// An integer of any size: 15 bits each two bytes, least significant first.
    Long {
        /// Whether it is below zero.
        negative: bool,
        /// The digits.
        digits: Range<usize>,
    },
    /// A float.
    Float(f64),
    /// A complex number.
    Complex(f64, f64),
    /// Bytes.
    Bytes(Range<usize>),
    /// Text, in UTF-8 that may hold surrogates.
    Text(Range<usize>),
    /// A tuple.
    Tuple(Range<usize>),
    /// A list.
    List(Range<usize>),
    /// A set.
    Set(Range<usize>),
    /// A frozen set.
    FrozenSet(Range<usize>),
    /// A dictionary: keys and values by turns.
    Dict(Range<usize>),
    /// A slice: start, stop, step.
    Slice(Range<usize>),
    /// A code object: its number in [`Objects::codes`].
    Code(u32),
}

/// Numbers and parts of a code object as they were written. Which parts there are depends on the version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawCode {
    /// `co_argcount`.
    pub argcount: i32,
    /// `co_posonlyargcount`.
    pub posonlyargcount: i32,
    /// `co_kwonlyargcount`.
    pub kwonlyargcount: i32,
    /// `co_nlocals`; from 3.11 on it is not written.
    pub nlocals: Option<i32>,
    /// `co_stacksize`.
    pub stacksize: i32,
    /// `co_flags`.
    pub flags: i32,
    /// `co_firstlineno`.
    pub firstlineno: i32,
    /// The objects, in the order they are written.
    pub parts: Vec<ObjectId>,
}

/// How a code object is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// 3.8 to 3.10: `code consts names varnames freevars cellvars filename name`, first line, `lnotab`.
    Separate,
    /// From 3.11 on: `code consts names localsplusnames localspluskinds filename name qualname`, first line,
    /// `linetable exceptiontable`.
    LocalsPlus,
}

impl Layout {
    /// Numbers before the objects.
    fn numbers(self) -> usize {
        if self == Self::Separate { 6 } else { 5 }
    }

    /// Objects, and after how many of them the first line stands.
    fn objects(self) -> (usize, usize) {
        if self == Self::Separate { (9, 8) } else { (10, 8) }
    }

    /// Index of `co_filename` among the objects.
    pub(super) fn file_name(self) -> usize {
        if self == Self::Separate { 6 } else { 5 }
    }

    /// Index of `co_name` among the objects.
    pub(super) fn name(self) -> usize {
        if self == Self::Separate { 7 } else { 6 }
    }
}

/// What was read.
#[derive(Debug)]
pub struct Objects<'a> {
    input: &'a [u8],
    objects: Vec<Object>,
    items: Vec<ObjectId>,
    codes: Vec<RawCode>,
    root: ObjectId,
}

impl<'a> Objects<'a> {
    /// Reads one object; what follows it is left alone, as CPython does.
    ///
    /// # Errors
    /// If the bytes are not what a CPython of this layout writes.
    pub fn read(input: &'a [u8], layout: Layout) -> Result<Self, MarshalError> {
        Reader::new(input, layout).run()
    }

    fn empty(input: &'a [u8]) -> Self {
        Self { input, objects: vec![], items: vec![], codes: vec![], root: 0 }
    }

    /// The object that was asked for.
    pub fn root(&self) -> ObjectId {
        self.root
    }

    /// An object.
    pub fn get(&self, id: ObjectId) -> &Object {
        &self.objects[id as usize]
    }

    /// Objects of a tuple, list, set, dictionary or slice.
    pub fn items(&self, range: &Range<usize>) -> &[ObjectId] {
        &self.items[range.clone()]
    }

    /// A code object.
    pub fn code(&self, number: u32) -> &RawCode {
        &self.codes[number as usize]
    }

    /// Text or bytes.
    pub fn bytes(&self, range: &Range<usize>) -> &'a [u8] {
        &self.input[range.clone()]
    }

    /// Objects that were read.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing was read; never so.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Objects<'_>, MarshalError> {
        Objects::read(bytes, Layout::LocalsPlus)
    }

    #[test]
    fn references_give_the_same_object() {
        // (x := 'ab', x, (1, -1))
        let objects = read(b"\xa9\x03\xdaab\x02abr\x01\x00\x00\x00").map(|_| ()).unwrap_err();
        assert!(matches!(objects, MarshalError::Truncated(_) | MarshalError::UnknownType { .. }), "{objects}");
        let objects = read(b"\xa9\x03\xda\x02abr\x01\x00\x00\x00)\x02i\x01\0\0\0i\xff\xff\xff\xff").unwrap();
        let Object::Tuple(items) = objects.get(objects.root()) else { panic!("no tuple") };
        let items = objects.items(items);
        assert_eq!(items[0], items[1]);
        let Object::Tuple(inner) = objects.get(items[2]) else { panic!("no tuple") };
        let numbers: Vec<&Object> = objects.items(inner).iter().map(|id| objects.get(*id)).collect();
        assert_eq!(numbers, [&Object::Int(1), &Object::Int(-1)]);
    }

    #[test]
    fn a_container_can_not_hold_itself() {
        assert_eq!(read(b"\xdb\x01\0\0\0r\0\0\0\0").map(|_| ()), Err(MarshalError::Reference(5)));
    }

    #[test]
    fn depth_and_sizes_are_bounded() {
        let deep = |depth: usize| [b")\x01".repeat(depth), b"N".to_vec()].concat();
        assert!(read(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(read(&deep(100_000)).map(|_| ()), Err(MarshalError::TooDeep));
        assert_eq!(read(b"(\xff\xff\xff\x7f").map(|_| ()), Err(MarshalError::Truncated(5)));
        assert!(matches!(read(b"(\xff\xff\xff\xff"), Err(MarshalError::Invalid { what: "a size below zero", .. })));
        assert!(matches!(read(b"l\x01\0\0\0\xff\xff"), Err(MarshalError::Invalid { .. })));
        assert!(matches!(read(b"l\0\0\0\x80"), Err(MarshalError::Truncated(_))));
    }

    #[test]
    fn dictionaries_end_with_a_null() {
        let objects = read(b"{NTF.0").unwrap();
        let Object::Dict(items) = objects.get(objects.root()) else { panic!("no dictionary") };
        assert_eq!(items.len(), 4);
        assert!(read(b"{N0").is_err() && read(b"0").is_err() && read(b")\x010").is_err());
    }
}
