//! Reads objects one after the other, with a stack of the containers that are open.

use std::ops::Range;

use super::{Layout, MAX_DEPTH, MarshalError, Object, ObjectId, Objects, RawCode};

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

pub(super) struct Reader<'a> {
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
    pub(super) fn new(input: &'a [u8], layout: Layout) -> Self {
        Self { input, at: 0, layout, refs: vec![], frames: vec![], values: vec![], out: Objects::empty(input) }
    }

    /// Reads one object.
    pub(super) fn run(mut self) -> Result<Objects<'a>, MarshalError> {
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

    #[test]
    fn surrogates_are_text() {
        assert!(is_utf8_with_surrogates("aé\u{10ffff}".as_bytes()));
        assert!(is_utf8_with_surrogates(b"a\xed\xa0\x80b\xed\xbf\xbf"));
        assert!(!is_utf8_with_surrogates(b"\xed\xa0") && !is_utf8_with_surrogates(b"\xff"));
    }
}
