//! Reader of `marshal` data as CPython 3.8 to 3.14 write it.
//!
//! Any bytes give objects or an error. Nothing recurses, and memory is a small multiple of the input: every object takes
//! at least a byte of it, and what refers back to an object is its number again.
//!
//! The format is that of CPython's `Python/marshal.c`, versions 0 to 5.

use std::ops::Range;

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
        Reader { input, at: 0, layout, refs: vec![], frames: vec![], values: vec![], out: Self::empty(input) }.run()
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

/// A container whose items are being read.
struct Frame {
    kind: Container,
    /// Its place among what can be referred to.
    slot: Option<usize>,
    /// Where its items start among the values.
    start: usize,
    /// Items still to come; a dictionary ends with a null.
    remaining: usize,
}

enum Container {
    Tuple,
    List,
    Set,
    FrozenSet,
    Dict,
    Slice,
    Code(Box<RawCode>),
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    layout: Layout,
    /// Objects that can be referred to; `None` while a container is being read.
    refs: Vec<Option<ObjectId>>,
    frames: Vec<Frame>,
    /// Items of the open containers.
    values: Vec<ObjectId>,
    out: Objects<'a>,
}

/// What a type byte began.
enum Step {
    Value(ObjectId),
    Opened,
    /// The end of a dictionary.
    Null,
}

const FLAG_REF: u8 = 0x80;

impl<'a> Reader<'a> {
    fn run(mut self) -> Result<Objects<'a>, MarshalError> {
        loop {
            let at = self.at;
            let mut value = match self.begin()? {
                Step::Value(value) => value,
                Step::Opened if self.frames.last().is_some_and(|frame| frame.remaining > 0) => continue,
                Step::Opened => self.close(),
                Step::Null => match self.frames.last() {
                    Some(Frame { kind: Container::Dict, start, .. })
                        if (self.values.len() - start).is_multiple_of(2) =>
                    {
                        self.close()
                    }
                    _ => return Err(MarshalError::Invalid { what: "null object", at }),
                },
            };
            loop {
                let Some(frame) = self.frames.last_mut() else {
                    self.out.root = value;
                    return Ok(self.out);
                };
                self.values.push(value);
                if matches!(frame.kind, Container::Dict) {
                    break;
                }
                frame.remaining -= 1;
                let read = self.values.len() - frame.start;
                if matches!(frame.kind, Container::Code(_)) && read == self.layout.objects().1 {
                    let line = self.i32()?;
                    if let Some(Frame { kind: Container::Code(code), .. }) = self.frames.last_mut() {
                        code.firstlineno = line;
                    }
                }
                if self.frames.last().is_some_and(|frame| frame.remaining > 0) {
                    break;
                }
                value = self.close();
            }
        }
    }

    /// Reads up to the first item of a container, or a whole object of another kind.
    fn begin(&mut self) -> Result<Step, MarshalError> {
        let at = self.at;
        let byte = self.u8()?;
        let kind = byte & !FLAG_REF;
        let slot = (byte & FLAG_REF != 0 && kind != b'r').then(|| {
            self.refs.push(None);
            self.refs.len() - 1
        });
        let object = match kind {
            b'0' => return Ok(Step::Null),
            b'N' => Object::None,
            b'F' => Object::Bool(false),
            b'T' => Object::Bool(true),
            b'.' => Object::Ellipsis,
            b'S' => Object::StopIteration,
            b'i' => Object::Int(self.i32()?),
            b'l' => self.long()?,
            b'f' => Object::Float(self.text_float()?),
            b'g' => Object::Float(self.f64()?),
            b'x' => Object::Complex(self.text_float()?, self.text_float()?),
            b'y' => Object::Complex(self.f64()?, self.f64()?),
            b's' => {
                let length = self.length()?;
                Object::Bytes(self.take(length)?)
            }
            b'u' | b't' | b'a' | b'A' => {
                let length = self.length()?;
                self.text(length, matches!(kind, b'a' | b'A'))?
            }
            b'z' | b'Z' => {
                let length = usize::from(self.u8()?);
                self.text(length, true)?
            }
            b'r' => {
                let number = self.i32()?;
                let object = usize::try_from(number).ok().and_then(|number| *self.refs.get(number)?);
                return object.map(Step::Value).ok_or(MarshalError::Reference(at));
            }
            b')' => {
                let length = usize::from(self.u8()?);
                return self.open(Container::Tuple, slot, length);
            }
            b'(' | b'[' | b'<' | b'>' => {
                let length = self.length()?;
                let kind = match kind {
                    b'(' => Container::Tuple,
                    b'[' => Container::List,
                    b'<' => Container::Set,
                    _ => Container::FrozenSet,
                };
                return self.open(kind, slot, length);
            }
            b'{' => return self.open(Container::Dict, slot, 1),
            b':' => return self.open(Container::Slice, slot, 3),
            b'c' => {
                let code = Box::new(self.code_numbers()?);
                return self.open(Container::Code(code), slot, self.layout.objects().0);
            }
            _ => return Err(MarshalError::UnknownType { kind, at }),
        };
        let id = self.add(object);
        if let Some(slot) = slot {
            self.refs[slot] = Some(id);
        }
        Ok(Step::Value(id))
    }

    fn open(&mut self, kind: Container, slot: Option<usize>, remaining: usize) -> Result<Step, MarshalError> {
        // Each item takes a byte at least.
        if remaining > self.input.len() - self.at {
            return Err(MarshalError::Truncated(self.input.len()));
        }
        if self.frames.len() >= MAX_DEPTH {
            return Err(MarshalError::TooDeep);
        }
        self.frames.push(Frame { kind, slot, start: self.values.len(), remaining });
        Ok(Step::Opened)
    }

    /// Makes an object of the innermost container.
    fn close(&mut self) -> ObjectId {
        let frame = self.frames.pop().expect("a container is open when it is closed");
        let start = self.out.items.len();
        let object = match frame.kind {
            Container::Code(mut code) => {
                code.parts = self.values.split_off(frame.start);
                self.out.codes.push(*code);
                Object::Code(self.out.codes.len() as u32 - 1)
            }
            kind => {
                self.out.items.extend(self.values.drain(frame.start..));
                let items = start..self.out.items.len();
                match kind {
                    Container::List => Object::List(items),
                    Container::Set => Object::Set(items),
                    Container::FrozenSet => Object::FrozenSet(items),
                    Container::Dict => Object::Dict(items),
                    Container::Slice => Object::Slice(items),
                    Container::Tuple | Container::Code(_) => Object::Tuple(items),
                }
            }
        };
        let id = self.add(object);
        if let Some(slot) = frame.slot {
            self.refs[slot] = Some(id);
        }
        id
    }

    fn add(&mut self, object: Object) -> ObjectId {
        self.out.objects.push(object);
        self.out.objects.len() as ObjectId - 1
    }

    fn code_numbers(&mut self) -> Result<RawCode, MarshalError> {
        let mut numbers = [0; 6];
        let written = self.layout.numbers();
        for number in &mut numbers[..written] {
            *number = self.i32()?;
        }
        let [argcount, posonlyargcount, kwonlyargcount, ..] = numbers;
        let (stacksize, flags) = (numbers[written - 2], numbers[written - 1]);
        let nlocals = (self.layout == Layout::Separate).then_some(numbers[3]);
        Ok(RawCode { argcount, posonlyargcount, kwonlyargcount, nlocals, stacksize, flags, ..RawCode::default() })
    }

    fn long(&mut self) -> Result<Object, MarshalError> {
        let at = self.at;
        let size = self.i32()?;
        let length = (size.unsigned_abs() as usize).checked_mul(2).ok_or(MarshalError::Truncated(at))?;
        let digits = self.take(length)?;
        if self.input[digits.clone()].chunks_exact(2).any(|digit| digit[1] > 0x7f) {
            return Err(MarshalError::Invalid { what: "digit out of range in long", at });
        }
        Ok(Object::Long { negative: size < 0, digits })
    }

    fn text(&mut self, length: usize, ascii: bool) -> Result<Object, MarshalError> {
        let at = self.at;
        let range = self.take(length)?;
        let bytes = &self.input[range.clone()];
        let valid = if ascii { bytes.is_ascii() } else { is_utf8_with_surrogates(bytes) };
        if valid { Ok(Object::Text(range)) } else { Err(MarshalError::Invalid { what: "text that is not UTF-8", at }) }
    }

    /// A float as text, as version 1 and older write it.
    fn text_float(&mut self) -> Result<f64, MarshalError> {
        let at = self.at;
        let length = usize::from(self.u8()?);
        let range = self.take(length)?;
        let text = std::str::from_utf8(&self.input[range]).ok().and_then(|text| text.parse().ok());
        text.ok_or(MarshalError::Invalid { what: "a float that is none", at })
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, MarshalError> {
        if length > self.input.len() - self.at {
            return Err(MarshalError::Truncated(self.input.len()));
        }
        let start = self.at;
        self.at += length;
        Ok(start..self.at)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MarshalError> {
        let rest = &self.input[self.at..];
        let bytes = rest.first_chunk::<N>().ok_or(MarshalError::Truncated(self.input.len()))?;
        self.at += N;
        Ok(*bytes)
    }

    fn u8(&mut self) -> Result<u8, MarshalError> {
        Ok(self.array::<1>()?[0])
    }

    fn i32(&mut self) -> Result<i32, MarshalError> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    fn f64(&mut self) -> Result<f64, MarshalError> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    fn length(&mut self) -> Result<usize, MarshalError> {
        let at = self.at;
        usize::try_from(self.i32()?).map_err(|_| MarshalError::Invalid { what: "a size below zero", at })
    }
}

/// Whether bytes are UTF-8 in which surrogates may be encoded as if they were characters.
fn is_utf8_with_surrogates(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Err(error) = std::str::from_utf8(rest) {
        rest = &rest[error.valid_up_to()..];
        if !matches!(rest, [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..]) {
            return false;
        }
        rest = &rest[3..];
    }
    true
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

    #[test]
    fn surrogates_are_text() {
        assert!(is_utf8_with_surrogates("aé\u{10ffff}".as_bytes()));
        assert!(is_utf8_with_surrogates(b"a\xed\xa0\x80b\xed\xbf\xbf"));
        assert!(!is_utf8_with_surrogates(b"\xed\xa0") && !is_utf8_with_surrogates(b"\xff"));
    }
}
