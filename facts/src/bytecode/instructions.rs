//! Instructions of a code object, and what `dis` makes of their arguments.

use std::fmt::Write as _;

use super::code::Code;
use super::error::BytecodeError;
use super::opcodes::{Argument, Flow, Op, Opcodes};

/// One instruction. Its caches are part of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instruction<'t> {
    /// Offset in the code, in bytes.
    pub offset: u32,
    /// Offset of the first of the `EXTENDED_ARG` that belong to it.
    pub start: u32,
    /// Its code.
    pub code: u8,
    /// Its kind.
    pub op: &'t Op,
    /// Its argument, with the bits of `EXTENDED_ARG`, wrapped to 32 bits.
    pub arg: Option<i32>,
    /// Offset that its argument points at, if it points into the code.
    pub target: Option<i64>,
}

impl Instruction<'_> {
    /// First offset after it and its caches.
    pub fn end(&self) -> u32 {
        self.offset + 2 + 2 * self.op.caches as u32
    }

    /// Its argument as the stack effects take it.
    pub fn operand(&self) -> u32 {
        self.arg.unwrap_or(0) as u32
    }

    /// Whether control can go to its target.
    pub fn jumps(&self) -> bool {
        self.target.is_some() && matches!(self.op.flow, Flow::Jump | Flow::Branch | Flow::Setup | Flow::Call)
    }
}

/// Decodes `co_code`.
///
/// # Errors
/// If there is an instruction that the version doesn't have.
pub fn decode<'t>(
    code: &[u8],
    table: &'t Opcodes,
    instructions: &mut Vec<Instruction<'t>>,
) -> Result<(), BytecodeError> {
    instructions.clear();
    let scale = if table.jumps_in_units() { 2 } else { 1 };
    let (mut extended, mut start, mut skip) = (0i32, None, 0usize);
    for (unit, bytes) in code.chunks_exact(2).enumerate() {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let offset = 2 * unit as u32;
        let op = table.op(bytes[0]).ok_or(BytecodeError::Opcode { code: bytes[0], offset })?;
        let arg = (op.argument != Argument::None).then(|| i32::from(bytes[1]) | extended);
        let is_extension = op.name == "EXTENDED_ARG";
        extended = if is_extension { arg.unwrap_or(0) << 8 } else { 0 };
        skip = op.caches;
        let end = i64::from(offset) + 2 + 2 * op.caches as i64;
        let distance = scale * i64::from(arg.unwrap_or(0));
        let target = match op.argument {
            Argument::JumpForward => Some(end + distance),
            Argument::JumpBackward | Argument::JumpFrom => Some(end - distance),
            Argument::JumpAbsolute => Some(distance),
            _ => None,
        };
        let first = if is_extension { offset } else { start.unwrap_or(offset) };
        instructions.push(Instruction { offset, start: first, code: bytes[0], op, arg, target });
        start = is_extension.then(|| start.unwrap_or(offset));
    }
    Ok(())
}

/// Sorted targets of jumps: the label of an offset is its place among them, from 1.
pub fn labels(instructions: &[Instruction<'_>], labels: &mut Vec<i64>) {
    labels.clear();
    labels.extend(instructions.iter().filter_map(|instruction| instruction.target));
    labels.sort_unstable();
    labels.dedup();
}

/// The label of an offset.
pub fn label(labels: &[i64], offset: i64) -> Option<i32> {
    labels.binary_search(&offset).ok().map(|index| index as i32 + 1)
}

/// What an argument stands for: `argval` of `dis`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Value<'v> {
    /// `int`, `const`, `name`, `local`, `free`, `jump`, `compare`, `conversion` or `unresolved`.
    pub kind: Option<&'static str>,
    /// The number, the target, or whether there is a format specification.
    pub int: Option<i64>,
    /// The name, the names, the comparison or the conversion.
    pub text: Option<&'v str>,
}

/// What arguments are resolved against.
#[derive(Debug, Clone, Copy)]
pub struct Context<'c> {
    /// The version.
    pub table: &'c Opcodes,
    /// The code object.
    pub code: &'c Code<'c>,
    /// `repr` of the constants, one after the other.
    pub reprs: &'c str,
    /// Where each of them ends.
    pub repr_ends: &'c [usize],
    /// Targets of jumps.
    pub labels: &'c [i64],
}

impl<'c> Context<'c> {
    /// `repr` of a constant.
    pub fn const_repr(&self, index: usize) -> Option<&'c str> {
        let end = *self.repr_ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.repr_ends[before]);
        self.reprs.get(start..end)
    }

    /// Writes `argrepr` and gives `argval`; `joined` holds the text of values that are two names.
    ///
    /// # Errors
    /// If the argument points at nothing, where `dis` raises as well.
    pub fn resolve<'v>(
        &self,
        instruction: &Instruction<'_>,
        argrepr: &mut String,
        joined: &'v mut String,
    ) -> Result<Value<'v>, BytecodeError>
    where
        'c: 'v,
    {
        argrepr.clear();
        let Some(arg) = instruction.arg else { return Ok(Value::default()) };
        let value = self.lookup(instruction, arg, argrepr, joined);
        value.ok_or(BytecodeError::Argument { op: instruction.op.name, offset: instruction.offset })
    }

    fn lookup<'v>(
        &self,
        instruction: &Instruction<'_>,
        arg: i32,
        argrepr: &mut String,
        joined: &'v mut String,
    ) -> Option<Value<'v>>
    where
        'c: 'v,
    {
        let table = self.table;
        let index = usize::try_from(arg).ok();
        let int = Value { kind: Some("int"), int: Some(i64::from(arg)), text: None };
        let named = |kind, text| Value { kind: Some(kind), int: None, text: Some(text) };
        let name = |index: usize| self.code.names.get(index).map(|name| name.as_ref());
        let from = |list: &[&'static str]| list.get(index?).copied();
        Some(match instruction.op.argument {
            Argument::None => Value::default(),
            Argument::Int => int,
            Argument::SmallInt => {
                push_integer(argrepr, i64::from(arg));
                int
            }
            Argument::Const => {
                argrepr.push_str(self.const_repr(index?)?);
                Value { kind: Some("const"), ..Value::default() }
            }
            Argument::Unresolved => Value { kind: Some("unresolved"), ..Value::default() },
            Argument::Name => {
                let name = name(index?)?;
                argrepr.push_str(name);
                named("name", name)
            }
            Argument::Global => self.pushes_also(name(index? / 2)?, arg, "NULL", argrepr),
            Argument::Attribute => self.pushes_also(name(index? / 2)?, arg, "NULL|self", argrepr),
            Argument::SuperAttribute => self.pushes_also(name(index? / 4)?, arg, "NULL|self", argrepr),
            Argument::Local => {
                let name = self.code.local(index?)?;
                argrepr.push_str(name);
                named("local", name)
            }
            Argument::LocalPair => {
                let (first, second) = (self.code.local(index? >> 4)?, self.code.local(index? & 15)?);
                joined.clear();
                [first, ", ", second].iter().for_each(|part| joined.push_str(part));
                argrepr.push_str(joined);
                named("local", joined.as_str())
            }
            Argument::Free => {
                let name = self.code.free(index?)?;
                argrepr.push_str(name);
                named("free", name)
            }
            Argument::JumpForward | Argument::JumpBackward | Argument::JumpFrom | Argument::JumpAbsolute => {
                self.push_target(instruction, argrepr)?;
                Value { kind: Some("jump"), int: instruction.target, text: None }
            }
            Argument::Compare => {
                let shift = [(13, 5), (12, 4)].iter().find(|(minor, _)| table.minor >= *minor).map_or(0, |s| s.1);
                let text = *table.compare.get(index? >> shift)?;
                if table.minor >= 13 && arg & 16 != 0 {
                    let _ = write!(argrepr, "bool({text})");
                } else {
                    argrepr.push_str(text);
                }
                named("compare", text)
            }
            Argument::Format => {
                let conversion = CONVERSIONS[index? & 3];
                let with_format = arg & 4 != 0;
                argrepr.push_str(conversion);
                if with_format {
                    argrepr.push_str(if conversion.is_empty() { "with format" } else { ", with format" });
                }
                let text = Some(conversion).filter(|text| !text.is_empty());
                Value { kind: Some("conversion"), int: Some(i64::from(with_format)), text }
            }
            Argument::Conversion => {
                let conversion = from(&CONVERSIONS)?;
                argrepr.push_str(conversion);
                let text = Some(conversion).filter(|text| !text.is_empty());
                Value { kind: Some("conversion"), int: None, text }
            }
            Argument::Flags => {
                for (_, flag) in table.flags.iter().enumerate().filter(|(bit, _)| arg >> bit & 1 != 0) {
                    argrepr.push_str(if argrepr.is_empty() { "" } else { ", " });
                    argrepr.push_str(flag);
                }
                int
            }
            Argument::Operator => {
                argrepr.push_str(from(&table.operator)?);
                int
            }
            Argument::Intrinsic1 => {
                argrepr.push_str(from(&table.intrinsic_1)?);
                int
            }
            Argument::Intrinsic2 => {
                argrepr.push_str(from(&table.intrinsic_2)?);
                int
            }
            Argument::CommonConstant => {
                argrepr.push_str(from(&table.common_constant)?);
                int
            }
            Argument::SpecialMethod => {
                argrepr.push_str(from(&table.special_method)?);
                int
            }
            Argument::Is => {
                argrepr.push_str(if arg != 0 { "is not" } else { "is" });
                int
            }
            Argument::Contains => {
                argrepr.push_str(if arg != 0 { "not in" } else { "in" });
                int
            }
        })
    }

    /// A name beside which the lowest bit of the argument asks for something more on the stack.
    fn pushes_also<'v>(&self, name: &'v str, arg: i32, also: &str, argrepr: &mut String) -> Value<'v> {
        let parts = match (arg & 1, self.table.has_labels()) {
            (0, _) => [name, "", ""],
            (_, false) => [also, " + ", name],
            (_, true) => [name, " + ", also],
        };
        parts.iter().for_each(|part| argrepr.push_str(part));
        Value { kind: Some("name"), int: None, text: Some(name) }
    }

    fn push_target(&self, instruction: &Instruction<'_>, argrepr: &mut String) -> Option<()> {
        let target = instruction.target?;
        // `dis` of 3.8 and 3.9 leaves absolute targets as they are.
        if instruction.op.argument == Argument::JumpAbsolute && !self.table.jumps_in_units() {
            return Some(());
        }
        argrepr.push_str(if instruction.op.argument == Argument::JumpFrom { "from " } else { "to " });
        if self.table.has_labels() {
            argrepr.push('L');
            push_integer(argrepr, i64::from(label(self.labels, target)?));
        } else {
            push_integer(argrepr, target);
        }
        Some(())
    }
}

/// Writes a number, without the detour over formatting.
fn push_integer(text: &mut String, number: i64) {
    if number < 0 {
        text.push('-');
    }
    let (mut left, mut digits, mut start) = (number.unsigned_abs(), [0u8; 20], 20);
    loop {
        start -= 1;
        digits[start] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    digits[start..].iter().for_each(|digit| text.push(char::from(*digit)));
}

const CONVERSIONS: [&str; 4] = ["", "str", "repr", "ascii"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_formatted() {
        for number in [0, 7, -7, 10, 1_234_567_890, i64::MAX, i64::MIN] {
            let mut text = String::new();
            push_integer(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }
}
