//! The bytecode of each CPython: names, arguments, caches and stack effects of its instructions.
//!
//! The tables of `opcodes/` are printed by `opcodes/generate.py` from the interpreters themselves.

use std::sync::LazyLock;

use super::marshal::Layout;

/// A sum that depends on an instruction's argument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    constant: i64,
    terms: Vec<Term>,
}

/// `weight * (arg >> shift & mask)`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    weight: i64,
    shift: u32,
    mask: u32,
}

impl Terms {
    /// The sum for an argument.
    #[inline]
    pub fn of(&self, arg: u32) -> i64 {
        self.terms.iter().fold(self.constant, |sum, term| sum + term.weight * i64::from(arg >> term.shift & term.mask))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let constant = words.next()?.parse().ok()?;
        let term = |word: &str| {
            let (weight, shape) = word.split_once("*arg")?;
            let (shift, mask) = shape.split_once('&').unwrap_or((shape, "ffffffff"));
            let shift = shift.strip_prefix(">>").map_or(Some(0), |shift| shift.parse().ok())?;
            Some(Term { weight: weight.parse().ok()?, shift, mask: u32::from_str_radix(mask, 16).ok()? })
        };
        Some(Self { constant, terms: words.map(term).collect::<Option<_>>()? })
    }
}

/// How `dis` of a version reads an instruction's argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// There is none.
    None,
    /// A number.
    Int,
    /// A number that is a value itself.
    SmallInt,
    /// Index of a constant.
    Const,
    /// Index of a constant that `dis` does not look up.
    Unresolved,
    /// Index of a name.
    Name,
    /// Twice the index of a name, plus one if a null is pushed too.
    Global,
    /// Twice the index of a name, plus one for a method.
    Attribute,
    /// Four times the index of a name, plus flags.
    SuperAttribute,
    /// Index of a local variable.
    Local,
    /// Indexes of two local variables.
    LocalPair,
    /// Index of a cell or free variable.
    Free,
    /// Distance to a later instruction.
    JumpForward,
    /// Distance to an earlier instruction.
    JumpBackward,
    /// Distance to an earlier instruction, from where control came.
    JumpFrom,
    /// Place of an instruction.
    JumpAbsolute,
    /// Index of a comparison.
    Compare,
    /// Conversion and format specification of an f-string.
    Format,
    /// Conversion of an f-string.
    Conversion,
    /// What comes with a function.
    Flags,
    /// Index of a binary operator.
    Operator,
    /// Index of an intrinsic function of one argument.
    Intrinsic1,
    /// Index of an intrinsic function of two arguments.
    Intrinsic2,
    /// Index of a constant that every program shares.
    CommonConstant,
    /// Index of a special method.
    SpecialMethod,
    /// `is` or `is not`.
    Is,
    /// `in` or `not in`.
    Contains,
}

impl Argument {
    fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "int" => Self::Int,
            "small_int" => Self::SmallInt,
            "const" => Self::Const,
            "unresolved" => Self::Unresolved,
            "name" => Self::Name,
            "global" => Self::Global,
            "attribute" => Self::Attribute,
            "super_attribute" => Self::SuperAttribute,
            "local" => Self::Local,
            "local_pair" => Self::LocalPair,
            "free" => Self::Free,
            "jump_forward" => Self::JumpForward,
            "jump_backward" => Self::JumpBackward,
            "jump_from" => Self::JumpFrom,
            "jump_absolute" => Self::JumpAbsolute,
            "compare" => Self::Compare,
            "format" => Self::Format,
            "conversion" => Self::Conversion,
            "flags" => Self::Flags,
            "operator" => Self::Operator,
            "intrinsic_1" => Self::Intrinsic1,
            "intrinsic_2" => Self::Intrinsic2,
            "common_constant" => Self::CommonConstant,
            "special_method" => Self::SpecialMethod,
            "is" => Self::Is,
            "contains" => Self::Contains,
            _ => return None,
        })
    }
}

/// Where control goes after an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// To the next one.
    Next,
    /// To its target.
    Jump,
    /// To its target or to the next one.
    Branch,
    /// To the next one; it makes its target the handler of what follows (3.8 to 3.10).
    Setup,
    /// To the next one, and what was set up last handles no more (3.8 to 3.10).
    PopBlock,
    /// To its target, and from there back to the next one (3.8).
    Call,
    /// Out of the code.
    Return,
    /// To a handler, or out of the code.
    Raise,
}

impl Flow {
    fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "next" => Self::Next,
            "jump" => Self::Jump,
            "branch" => Self::Branch,
            "setup" => Self::Setup,
            "pop_block" => Self::PopBlock,
            "call" => Self::Call,
            "return" => Self::Return,
            "raise" => Self::Raise,
            _ => return None,
        })
    }
}

/// What an instruction does to the order of the values on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Nothing.
    None,
    /// Exchanges the top and the value at its argument.
    Swap,
    /// Moves the top down to this position, or to that of its argument.
    Rotate(Option<u32>),
}

/// Values taken and given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackEffect {
    /// Values taken off the stack.
    pub pops: Terms,
    /// Change of its depth, as `dis.stack_effect` has it.
    pub effect: Terms,
}

/// What an instruction does to local variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalAccess {
    /// Nothing.
    None,
    /// Reads one.
    Load,
    /// Writes one.
    Store,
    /// Unbinds one.
    Delete,
    /// Reads one and unbinds it.
    LoadAndClear,
    /// Reads two.
    LoadLoad,
    /// Writes one and reads another.
    StoreLoad,
    /// Writes two.
    StoreStore,
}

impl LocalAccess {
    fn of(name: &str, argument: Argument) -> Self {
        match argument {
            Argument::Local if name == "LOAD_FAST_AND_CLEAR" => Self::LoadAndClear,
            Argument::Local if name.starts_with("LOAD_") => Self::Load,
            Argument::Local if name.starts_with("STORE_") => Self::Store,
            Argument::Local if name.starts_with("DELETE_") => Self::Delete,
            Argument::LocalPair if name.starts_with("LOAD_") => Self::LoadLoad,
            Argument::LocalPair if name == "STORE_FAST_LOAD_FAST" => Self::StoreLoad,
            Argument::LocalPair => Self::StoreStore,
            _ => Self::None,
        }
    }
}

/// One kind of instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Name.
    pub name: &'static str,
    /// Its argument.
    pub argument: Argument,
    /// Where control goes.
    pub flow: Flow,
    /// Cache entries that follow it, in code units of two bytes.
    pub caches: usize,
    /// What they hold: `name:units` each.
    pub cache_format: &'static str,
    /// What it does to the stack when control goes on.
    pub next: StackEffect,
    /// What it does on the way to its target.
    pub jump: StackEffect,
    /// Positions of values that are looked at and stay, from the top (1) of what is left.
    pub peeks: Vec<Terms>,
    /// How it moves values.
    pub moves: Move,
    /// What it does to local variables.
    pub locals: LocalAccess,
}

impl Op {
    fn parse(fields: &[&'static str]) -> Option<(usize, Self)> {
        let [code, name, argument, flow, caches, pops, effect, jump_pops, jump_effect, peeks, moves] = *fields else {
            return None;
        };
        let units = |entry: &str| entry.split_once(':')?.1.parse::<usize>().ok();
        let next = StackEffect { pops: Terms::parse(pops)?, effect: Terms::parse(effect)? };
        let jump = if jump_pops.is_empty() {
            next.clone()
        } else {
            StackEffect { pops: Terms::parse(jump_pops)?, effect: Terms::parse(jump_effect)? }
        };
        let moves = match moves.split_once(' ') {
            Some(("rotate", count)) => Move::Rotate(Some(count.parse().ok()?)),
            _ if moves == "rotate" => Move::Rotate(None),
            _ if moves == "swap" => Move::Swap,
            _ if moves.is_empty() => Move::None,
            _ => return None,
        };
        let words = |text: &'static str, by: char| text.split(by).filter(|word| !word.is_empty());
        let argument = Argument::by_name(argument)?;
        let op = Self {
            name,
            argument,
            flow: Flow::by_name(flow)?,
            caches: words(caches, ' ').map(units).sum::<Option<usize>>()?,
            cache_format: caches,
            next,
            jump,
            peeks: words(peeks, ',').map(Terms::parse).collect::<Option<_>>()?,
            moves,
            locals: LocalAccess::of(name, argument),
        };
        Some((code.parse().ok()?, op))
    }
}

/// The bytecode of one minor version.
#[derive(Debug, Default)]
pub struct Opcodes {
    /// `3.8` to `3.14`.
    pub python: &'static str,
    /// Its second number.
    pub minor: u32,
    /// The number that starts its compiled files.
    pub magic: u32,
    ops: Vec<Option<Op>>,
    /// Comparisons.
    pub compare: Vec<&'static str>,
    /// What comes with a function, by bit.
    pub flags: Vec<&'static str>,
    /// Binary operators.
    pub operator: Vec<&'static str>,
    /// Intrinsic functions of one argument.
    pub intrinsic_1: Vec<&'static str>,
    /// Intrinsic functions of two arguments.
    pub intrinsic_2: Vec<&'static str>,
    /// Constants that every program shares.
    pub common_constant: Vec<&'static str>,
    /// Special methods.
    pub special_method: Vec<&'static str>,
    /// First and last of the stretches of code points that `str.isprintable` denies.
    unprintable: Vec<(u32, u32)>,
}

impl Opcodes {
    /// The table of a minor version.
    pub fn of(minor: u32) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.minor == minor)
    }

    /// All tables, oldest first.
    pub fn all() -> &'static [Self] {
        &*TABLES
    }

    /// An instruction.
    #[inline]
    pub fn op(&self, code: u8) -> Option<&Op> {
        self.ops[usize::from(code)].as_ref()
    }

    /// How its code objects are marshalled.
    pub fn layout(&self) -> Layout {
        if self.minor < 11 { Layout::Separate } else { Layout::LocalsPlus }
    }

    /// Whether arguments of jumps count units of two bytes instead of bytes.
    pub fn jumps_in_units(&self) -> bool {
        self.minor >= 10
    }

    /// Whether `dis` names jump targets by labels.
    pub fn has_labels(&self) -> bool {
        self.minor >= 13
    }

    /// Whether the character may stand in a `repr` as it is.
    pub fn is_printable(&self, c: char) -> bool {
        if c.is_ascii() {
            return (' '..='~').contains(&c);
        }
        let code = u32::from(c);
        let next = self.unprintable.partition_point(|(_, last)| *last < code);
        self.unprintable.get(next).is_none_or(|(first, _)| code < *first)
    }

    fn parse(text: &'static str) -> Option<Self> {
        let mut table = Self { ops: vec![None; 256], ..Self::default() };
        for line in text.lines() {
            let mut fields = line.split('\t');
            let key = fields.next()?;
            let values: Vec<&'static str> = fields.collect();
            let list = || values.iter().copied().filter(|value| !value.is_empty()).collect();
            match key {
                "python" => {
                    table.python = values.first()?;
                    table.minor = table.python.strip_prefix("3.")?.parse().ok()?;
                }
                "magic" => table.magic = values.first()?.parse().ok()?,
                "compare" => table.compare = list(),
                "flags" => table.flags = list(),
                "operator" => table.operator = list(),
                "intrinsic_1" => table.intrinsic_1 = list(),
                "intrinsic_2" => table.intrinsic_2 = list(),
                "common_constant" => table.common_constant = list(),
                "special_method" => table.special_method = list(),
                "unprintable" => table.unprintable = ranges(values.first()?)?,
                "op" => {
                    let (code, op) = Op::parse(&values)?;
                    *table.ops.get_mut(code)? = Some(op);
                }
                _ => return None,
            }
        }
        Some(table)
    }
}

/// Stretches written as `start+length`, each start counted from the end of the last.
fn ranges(text: &str) -> Option<Vec<(u32, u32)>> {
    let mut end = 0;
    let range = |word: &str| {
        let (start, length) = word.split_once('+')?;
        let first = end + u32::from_str_radix(start, 16).ok()?;
        end = first + u32::from_str_radix(length, 16).ok()?;
        Some((first, end - 1))
    };
    text.split(' ').map(range).collect()
}

macro_rules! table {
    ($file:literal) => {
        Opcodes::parse(include_str!(concat!("opcodes/", $file))).expect(concat!("opcodes/", $file, " is as generated"))
    };
}

static TABLES: LazyLock<[Opcodes; 7]> = LazyLock::new(|| {
    [
        table!("3.8.tsv"),
        table!("3.9.tsv"),
        table!("3.10.tsv"),
        table!("3.11.tsv"),
        table!("3.12.tsv"),
        table!("3.13.tsv"),
        table!("3.14.tsv"),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_whole() {
        let minors: Vec<u32> = Opcodes::all().iter().map(|table| table.minor).collect();
        assert_eq!(minors, [8, 9, 10, 11, 12, 13, 14]);
        for table in Opcodes::all() {
            let ops: Vec<&Op> = (0..=255).filter_map(|code| table.op(code)).collect();
            assert!(ops.len() > 90 && table.compare.len() >= 6, "{}", table.python);
            for op in ops {
                for (arg, effect) in (0..16).flat_map(|arg| [(arg, &op.next), (arg, &op.jump)]) {
                    // `BUILD_SLICE` takes two or three.
                    let pushed = effect.pops.of(arg) + effect.effect.of(arg);
                    assert!(pushed >= 0 || op.flow == Flow::Raise, "{} {arg} of {}", op.name, table.python);
                }
            }
        }
    }

    #[test]
    fn terms_are_sums() {
        let unpack = Terms::parse("0 1*arg&ff 1*arg>>8").unwrap();
        assert_eq!(unpack.of(0x0203), 5);
        assert_eq!(Terms::parse("-1 -1*arg").unwrap().of(3), -4);
        assert_eq!(Terms::parse("x"), None);
    }

    #[test]
    fn printable_characters_are_those_of_the_version() {
        let printable = |minor, c| Opcodes::of(minor).unwrap().is_printable(c);
        assert!(printable(8, 'é') && printable(8, ' ') && !printable(8, '\u{a0}') && !printable(8, '\n'));
        // Unicode 14 has U+2C2F, 13 has not.
        assert!(!printable(10, '\u{2c2f}') && printable(11, '\u{2c2f}'));
        assert!(!printable(13, '\u{10ffff}') && !printable(13, '\u{7f}') && printable(13, '~'));
    }
}
