//! Code objects: what `co_*` attributes tell, whatever the version's layout.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::error::BytecodeError;
use super::marshal::{Layout, Object, ObjectId, Objects, RawCode};

/// Kinds of `co_localspluskinds` (CPython's `pycore_code.h`).
const LOCAL: u8 = 0x20;
const CELL: u8 = 0x40;
const FREE: u8 = 0x80;

/// A code object.
#[derive(Debug)]
pub struct Code<'o> {
    /// Its numbers.
    pub raw: &'o RawCode,
    /// `co_code`.
    pub code: &'o [u8],
    /// `co_consts`.
    pub consts: &'o [ObjectId],
    /// `co_names`.
    pub names: Vec<Cow<'o, str>>,
    /// `co_varnames`.
    pub varnames: Vec<Cow<'o, str>>,
    /// `co_freevars`.
    pub freevars: Vec<Cow<'o, str>>,
    /// `co_cellvars`.
    pub cellvars: Vec<Cow<'o, str>>,
    /// All of them in the order of the frame's slots; from 3.11 on.
    slots: Option<Vec<Cow<'o, str>>>,
    /// `co_filename`.
    pub filename: Cow<'o, str>,
    /// `co_name`.
    pub name: Cow<'o, str>,
    /// `co_qualname`, from 3.11 on.
    pub qualname: Option<Cow<'o, str>>,
    /// `co_lnotab` or `co_linetable`.
    pub line_table: &'o [u8],
    /// `co_exceptiontable`, from 3.11 on.
    pub exception_table: &'o [u8],
}

impl<'o> Code<'o> {
    /// The code object of that number.
    ///
    /// # Errors
    /// If a part is not what it should be.
    pub fn new(objects: &'o Objects<'_>, number: u32, layout: Layout) -> Result<Self, BytecodeError> {
        let raw = objects.code(number);
        let part = |index: usize| raw.parts[index];
        let names = text_list(objects, part(2), "names")?;
        let code = bytes(objects, part(0), "code")?;
        let consts = tuple(objects, part(1), "constants")?;
        Ok(match layout {
            Layout::Separate => Self {
                raw,
                code,
                consts,
                names,
                varnames: text_list(objects, part(3), "names of locals")?,
                freevars: text_list(objects, part(4), "names of free variables")?,
                cellvars: text_list(objects, part(5), "names of cells")?,
                slots: None,
                filename: text(objects, part(6), "file name")?,
                name: text(objects, part(7), "name")?,
                qualname: None,
                line_table: bytes(objects, part(8), "line table")?,
                exception_table: &[],
            },
            Layout::LocalsPlus => {
                let slots = text_list(objects, part(3), "names of locals")?;
                let kinds = bytes(objects, part(4), "kinds of locals")?;
                if slots.len() != kinds.len() {
                    return Err(BytecodeError::Part("kinds of locals"));
                }
                let of_kind = |kind: u8| {
                    let chosen = slots.iter().zip(kinds).filter(|(_, k)| **k & kind != 0);
                    chosen.map(|(name, _)| name.clone()).collect::<Vec<_>>()
                };
                Self {
                    raw,
                    code,
                    consts,
                    names,
                    varnames: of_kind(LOCAL),
                    freevars: of_kind(FREE),
                    cellvars: of_kind(CELL),
                    filename: text(objects, part(5), "file name")?,
                    name: text(objects, part(6), "name")?,
                    qualname: Some(text(objects, part(7), "qualified name")?),
                    line_table: bytes(objects, part(8), "line table")?,
                    exception_table: bytes(objects, part(9), "exception table")?,
                    slots: Some(slots),
                }
            }
        })
    }

    /// Name, length of the code and constants of the code object of that number, without all the rest.
    ///
    /// # Errors
    /// If one of them is not what it should be.
    pub fn outline(
        objects: &'o Objects<'_>,
        number: u32,
        layout: Layout,
    ) -> Result<(Cow<'o, str>, usize, &'o [ObjectId]), BytecodeError> {
        let parts = &objects.code(number).parts;
        let name = match layout {
            Layout::Separate => parts[7],
            Layout::LocalsPlus => parts[6],
        };
        let code = bytes(objects, parts[0], "code")?;
        Ok((text(objects, name, "name")?, code.len(), tuple(objects, parts[1], "constants")?))
    }

    /// `co_nlocals`.
    pub fn nlocals(&self) -> i32 {
        self.raw.nlocals.unwrap_or(self.varnames.len() as i32)
    }

    /// The local variable that an argument names.
    pub fn local(&self, index: usize) -> Option<&str> {
        self.slots.as_ref().unwrap_or(&self.varnames).get(index).map(Cow::as_ref)
    }

    /// The cell or free variable that an argument names.
    pub fn free(&self, index: usize) -> Option<&str> {
        match &self.slots {
            Some(slots) => slots.get(index),
            None => {
                let after_cells = || self.freevars.get(index - self.cellvars.len());
                self.cellvars.get(index).or_else(after_cells)
            }
        }
        .map(Cow::as_ref)
    }
}

/// Text of an object; surrogates, which UTF-8 can't hold, as escapes `\udXXX`.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for part in Parts(bytes) {
        match part {
            Ok(valid) => text.push_str(valid),
            Err(surrogate) => {
                let _ = write!(text, "\\u{surrogate:04x}");
            }
        }
    }
    Cow::Owned(text)
}

/// Stretches of text and the surrogates between them.
pub struct Parts<'a>(pub &'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Result<&'a str, u16>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.0.utf8_chunks().next()?;
        let valid = chunk.valid();
        if !valid.is_empty() {
            self.0 = &self.0[valid.len()..];
            return Some(Ok(valid));
        }
        let (head, rest) = self.0.split_at(self.0.len().min(3));
        self.0 = rest;
        let bits = |byte: Option<&u8>| u16::from(byte.copied().unwrap_or(0) & 0x3f);
        Some(Err(0xd000 | bits(head.get(1)) << 6 | bits(head.get(2))))
    }
}

fn text<'o>(objects: &Objects<'o>, id: ObjectId, what: &'static str) -> Result<Cow<'o, str>, BytecodeError> {
    match objects.get(id) {
        Object::Text(range) => Ok(decode(objects.bytes(range))),
        _ => Err(BytecodeError::Part(what)),
    }
}

fn bytes<'o>(objects: &Objects<'o>, id: ObjectId, what: &'static str) -> Result<&'o [u8], BytecodeError> {
    match objects.get(id) {
        Object::Bytes(range) => Ok(objects.bytes(range)),
        _ => Err(BytecodeError::Part(what)),
    }
}

fn tuple<'o>(objects: &'o Objects<'_>, id: ObjectId, what: &'static str) -> Result<&'o [ObjectId], BytecodeError> {
    match objects.get(id) {
        Object::Tuple(range) => Ok(objects.items(range)),
        _ => Err(BytecodeError::Part(what)),
    }
}

fn text_list<'o>(objects: &Objects<'o>, id: ObjectId, what: &'static str) -> Result<Vec<Cow<'o, str>>, BytecodeError> {
    tuple(objects, id, what)?.iter().map(|id| text(objects, *id, what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogates_become_escapes() {
        assert_eq!(decode("aé".as_bytes()), "aé");
        assert_eq!(decode(b"a\xed\xa0\x80b\xed\xbf\xbf"), "a\\ud800b\\udfff");
    }
}
