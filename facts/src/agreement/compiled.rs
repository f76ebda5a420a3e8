//! Sightings in bytecode, whose instructions say from which bytes they come since Python 3.11.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, StringArray};

use super::align::{Kind, Sighting};
use super::rows::Rows;
use super::views::{Ast, Span, begins_definition, imports_of, is_word};
use crate::python::Version;

/// Whether code of Python `3.minor` can be held against a tree of `target`: it has columns, and the expressions of
/// f-strings are where the tree has them, which changed with 3.12.
pub(super) fn is_comparable(minor: u32, target: Version) -> bool {
    minor >= 11 && (minor == u32::from(target.minor()) || minor.min(target.minor().into()) >= 12)
}

/// What the `bytecode_*` tables say of one interpreter's code: code units, constants, instructions. Calls are at their
/// closing parenthesis, as the compiler moves the start of a call of a method to the method's name.
pub(super) fn sightings(rows: &[Rows; 3], source: &[u8], binders: &BTreeSet<Span>) -> BTreeSet<Sighting> {
    let mut eyes = Eyes { code: Instructions::new(rows), source, hidden: BTreeSet::new(), found: BTreeSet::new() };
    for row in 0..eyes.code.rows.len() {
        eyes.instruction(row, binders);
    }
    eyes.found
}

/// What of `ast` such code can show.
pub(super) fn of_ast(ast: &Ast, everything: &[Sighting], seen: &BTreeSet<Sighting>, optimize: i32) -> Vec<Sighting> {
    let spans: BTreeSet<(Kind, Span)> = seen.iter().map(|s| (s.kind, (s.bstart, s.bend))).collect();
    // A tree has names where code has none: in annotations that are not evaluated, in pairs that one instruction loads.
    let is_shown = |s: &&Sighting| match s.kind {
        Kind::Name => spans.contains(&(Kind::Name, (s.bstart, s.bend))),
        kind => kind == Kind::Definition,
    };
    let mut left: BTreeSet<Sighting> = everything.iter().filter(is_shown).cloned().collect();
    let calls = ast.named_calls().into_iter().filter_map(|call| {
        let place = (call.bend - 1, call.bend);
        // `super().f` can be one instruction without a call of `super`.
        let is_shown = call.name != "super" || spans.contains(&(Kind::Call, place));
        is_shown.then(|| Sighting { kind: Kind::Call, bstart: place.0, bend: place.1, name: String::new() })
    });
    left.extend(calls);
    left.extend(ast.imports(false));
    if optimize < 2 {
        left.extend(ast.stored_docstrings());
    }
    if optimize > 0 {
        let asserts: Vec<Span> = ast.spans_of(&["Assert"]).into_iter().collect();
        left.retain(|s| {
            let before = asserts.partition_point(|(bstart, _)| *bstart <= s.bstart);
            before.checked_sub(1).is_none_or(|at| s.bend > asserts[at].1)
        });
    }
    left.into_iter().collect()
}

/// Columns of the instructions, without those that say nothing here.
struct Instructions {
    /// Rows of the table.
    rows: Vec<usize>,
    code: Vec<i32>,
    opname: StringArray,
    arg: Vec<Option<i32>>,
    kind: StringArray,
    value: StringArray,
    repr: StringArray,
    spans: Vec<Option<Span>>,
    /// Names of code objects, by the code object and the constant that holds them.
    inner: BTreeMap<(i32, i32), String>,
}

impl Instructions {
    fn new([units, consts, instructions]: &[Rows; 3]) -> Self {
        let opname = instructions.texts("opname");
        let says_nothing = ["EXTENDED_ARG", "CACHE", "PRECALL", "KW_NAMES", "NOP"];
        let names = units.texts("name");
        let ordinals = units.numbers("ordinal").flatten().zip(names.iter().flatten());
        let names: BTreeMap<i32, &str> = ordinals.collect();
        let places = consts.numbers("code_ordinal").zip(consts.numbers("const_index"));
        let inner = places.zip(consts.numbers("child_ordinal")).filter_map(|((code, index), child)| {
            Some(((code?, index?), names.get(&child?).copied().unwrap_or_default().to_owned()))
        });
        Self {
            rows: (0..opname.len()).filter(|row| !says_nothing.contains(&opname.value(*row))).collect(),
            code: instructions.numbers("code_ordinal").map(|code| code.unwrap_or(-1)).collect(),
            arg: instructions.numbers("arg").collect(),
            kind: instructions.texts("argval_kind"),
            value: instructions.texts("argval_str"),
            repr: instructions.texts("argrepr"),
            spans: instructions.spans(["bstart", "bend"]),
            inner: inner.collect(),
            opname,
        }
    }
}

struct Eyes<'s> {
    code: Instructions,
    source: &'s [u8],
    /// Where a code object is loaded which the source does not call: calls there are the compiler's.
    hidden: BTreeSet<(i32, Span)>,
    found: BTreeSet<Sighting>,
}

impl Eyes<'_> {
    fn see(&mut self, kind: Kind, (bstart, bend): Span, name: impl Into<String>) {
        self.found.insert(Sighting { kind, bstart, bend, name: name.into() });
    }

    /// The instruction so many before another of the same code object.
    fn before(&self, at: usize, distance: usize) -> Option<usize> {
        let (row, earlier) = (self.code.rows[at], *self.code.rows.get(at.checked_sub(distance)?)?);
        (self.code.code[row] == self.code.code[earlier]).then_some(earlier)
    }

    /// The constant that is loaded just before, for the same bytes.
    fn own_constant(&self, at: usize) -> Option<&str> {
        let before = self.before(at, 1)?;
        let is_own = self.code.spans[before] == self.code.spans[self.code.rows[at]];
        (is_own && self.code.opname.value(before) == "LOAD_CONST").then(|| self.code.repr.value(before))
    }

    fn instruction(&mut self, at: usize, binders: &BTreeSet<Span>) {
        let row = self.code.rows[at];
        let Some(span) = self.code.spans[row] else { return };
        match self.code.opname.value(row) {
            "LOAD_CONST" => self.constant(row, span),
            "IMPORT_NAME" => self.import(at, span),
            "CALL" | "CALL_KW" | "CALL_FUNCTION_EX" => self.call(at, span),
            "STORE_NAME" if self.code.value.value(row) == "__doc__" && self.own_constant(at).is_some() => {
                self.see(Kind::Docstring, span, "");
            }
            op if is_of_a_name(op) && !binders.contains(&span) => self.name(row, span),
            _ => {}
        }
    }

    fn constant(&mut self, row: usize, span: Span) {
        let code = self.code.code[row];
        let Some(name) = self.code.inner.get(&(code, self.code.arg[row].unwrap_or(-1))).cloned() else { return };
        self.hidden.insert((code, span));
        // 3.14 has a function of its own for annotations.
        if begins_definition(self.source, span.0) && !name.starts_with('<') && name != "__annotate__" {
            self.see(Kind::Definition, span, name);
        }
    }

    fn import(&mut self, at: usize, span: Span) {
        let (Some(level), Some(names)) = (self.before(at, 2), self.before(at, 1)) else { return };
        let module = self.code.value.value(self.code.rows[at]);
        for name in imports_of(self.code.repr.value(level), module, self.code.repr.value(names)) {
            self.see(Kind::Import, span, name);
        }
    }

    /// A call of the source ends with a parenthesis. Decorators, classes, comprehensions, `with` and `assert` call, too.
    fn call(&mut self, at: usize, span: Span) {
        let text = self.source.get(span.0 as usize..span.1 as usize).unwrap_or_default();
        let is_hidden = self.hidden.contains(&(self.code.code[self.code.rows[at]], span));
        let is_exit = self.own_constant(at) == Some("None");
        if text.ends_with(b")") && !is_hidden && !is_exit && !text.starts_with(b"assert") {
            self.see(Kind::Call, (span.1 - 1, span.1), "");
        }
    }

    /// A name has the bytes of an identifier; what definitions, imports and handlers bind has those of a statement.
    fn name(&mut self, row: usize, span: Span) {
        let text = self.source.get(span.0 as usize..span.1 as usize).unwrap_or_default();
        let name = self.code.value.value(row);
        let is_one = ["name", "local", "free"].contains(&self.code.kind.value(row)) && !name.contains(',');
        let is_own = OF_THE_COMPILER.contains(&name) && text != name.as_bytes();
        if !is_one || is_own || text.is_empty() || !text.iter().all(is_word) {
            return;
        }
        // Private names are mangled with the class.
        let name = match std::str::from_utf8(text) {
            Ok(text) if text.starts_with("__") && name.starts_with('_') && name.ends_with(text) => text.to_owned(),
            _ => name.to_owned(),
        };
        self.see(Kind::Name, span, name);
    }
}

/// What the compiler stores in a class, at bytes of the source that say something else.
const OF_THE_COMPILER: [&str; 10] = [
    "__annotations__",
    "__classcell__",
    "__classdict__",
    "__classdictcell__",
    "__conditional_annotations__",
    "__firstlineno__",
    "__module__",
    "__qualname__",
    "__static_attributes__",
    "__type_params__",
];

/// Whether an instruction loads, stores or deletes a variable.
fn is_of_a_name(op: &str) -> bool {
    let Some((verb, what)) = op.split_once('_') else { return false };
    ["LOAD", "STORE", "DELETE"].contains(&verb)
        && ["NAME", "GLOBAL", "FAST", "DEREF", "CLASSDEREF"].iter().any(|place| what.contains(place))
}
