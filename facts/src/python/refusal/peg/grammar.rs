//! The grammar as data: how `python.peg` is read, and what the machine follows.

use super::notation::Notation;
use super::reader::Reader;
use crate::python::Version;
use crate::python::lexical::Kind;

/// A set of kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kinds(u128);

impl Kinds {
    pub(super) const ALL: Self = Self(u128::MAX);

    fn of(kind: Kind) -> Self {
        Self(1 << kind.0)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 >> kind.0 & 1 == 1
    }
}

const _: () = assert!(Kind::COUNT <= 128);

/// What a part of an alternative asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item {
    Token(Kind),
    /// A name that is this word.
    Word(u16),
    /// A name that begins one of the words that are keywords at places only.
    AnyWord,
    Rule(u16),
    Optional(u16),
    /// Any number of an item; at least one, if so marked.
    Repeat(u16, bool),
    /// At least one of an item, with tokens between.
    Separated(u16, Kind),
    /// Looks ahead: whether the item is next, or is not.
    Ahead(u16, bool),
    /// No other alternative is tried from here on.
    Cut,
    /// A token that must be next.
    Forced(Kind),
}

/// What becomes of an alternative that matches.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Nothing that anyone asks for.
    Unit,
    /// The value of a part.
    Part(u8),
    /// A node of the named parts.
    Node(Label),
    /// An error.
    Raise(Place, Template),
    /// A rule of `Parser/action_helpers.c`.
    Ask(Helper, Vec<u8>, Template),
}

/// Where an error is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// At a part.
    At(u8),
    /// From a part on to where the tokenizer is.
    From(u8),
    /// From a part to another.
    Range(u8, u8),
    /// From the last element of a part to another part.
    LastOf(u8, u8),
    /// At the last byte of a part.
    EndOf(u8),
    /// At the last token that was read.
    Last,
    /// At the next token.
    Next,
    /// At the last token, and it is an `IndentationError`.
    Indentation,
}

/// A message with gaps: the text in front of each gap, and the text behind the last one.
#[derive(Debug, Clone, Default)]
pub(super) struct Template {
    pub(super) gaps: Vec<(String, Gap)>,
    pub(super) rest: String,
}

/// What stands in a gap.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gap {
    /// What a part is called.
    Name(u8),
    /// The line of a part.
    Line(u8),
    /// The text of a part.
    Text(u8),
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($(#[$inner])* $variant,)* }

        impl $name {
            pub(super) fn named(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

names! {
    /// Kinds of nodes.
    Label {
        Args = "Args", Attribute = "Attribute", Await = "Await", BinOp = "BinOp", BoolOp = "BoolOp", Call = "Call",
        Compare = "Compare", Comprehension = "Comprehension", Dict = "Dict", DictComp = "DictComp",
        GeneratorExp = "GeneratorExp", IfExp = "IfExp", In = "In", JoinedStr = "JoinedStr", Keyword = "Keyword",
        Lambda = "Lambda", List = "List", ListComp = "ListComp", Literal = "Literal", NamedExpr = "NamedExpr",
        Parameter = "Parameter", Pattern = "Pattern", Seq = "Seq", Set = "Set", SetComp = "SetComp",
        Starred = "Starred", Statement = "Statement", Subscript = "Subscript", TemplateStr = "TemplateStr",
        Tuple = "Tuple", UnaryOp = "UnaryOp", Unpacking = "Unpacking", Yield = "Yield",
    }
}

names! {
    /// Actions that are more than a message at a place.
    Helper {
        /// `_PyPegen_arguments_parsing_error`.
        Arguments = "arguments",
        /// The bound of a type parameter that has none.
        Bound = "bound",
        /// `_PyPegen_raise_error_for_missing_comma`.
        Comma = "comma",
        /// `_PyPegen_concatenate_strings`.
        Concatenated = "concatenated",
        /// `_PyPegen_check_fstring_conversion`.
        Conversion = "conversion",
        /// `_PyPegen_formatted_value`.
        Field = "field",
        /// `_PyPegen_nonparen_genexp_in_call`.
        Generator = "generator",
        /// `_PyPegen_ensure_imaginary`.
        Imaginary = "imaginary",
        /// `_PyPegen_joined_str`.
        Joined = "joined",
        /// `_PyPegen_check_legacy_stmt`.
        Legacy = "legacy",
        /// `_PyPegen_concatenate_strings` of 3.11, which reads the strings too.
        Literals = "literals",
        /// `_PyPegen_ensure_real`.
        Real = "real",
        /// `_PyPegen_decoded_constant_from_token`.
        Specification = "specification",
        /// `_PyPegen_constant_from_string`.
        String = "string",
        /// `_PyPegen_template_str`.
        Template = "template",
        /// `RAISE_SYNTAX_ERROR_INVALID_TARGET` with `STAR_TARGETS`.
        Assigned = "assigned",
        /// The same with `FOR_TARGETS`.
        Iterated = "iterated",
        /// The same with `DEL_TARGETS`.
        Deleted = "deleted",
    }
}

/// A part of an alternative, and where its value is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) item: Item,
    pub(super) slot: Option<u8>,
}

/// An alternative.
#[derive(Debug, Clone)]
pub(super) struct Alternative {
    pub(super) parts: Vec<Part>,
    pub(super) slots: u8,
    pub(super) action: Action,
    /// Whether it is a rule of what is wrong, which is tried only where a file is known to be refused. Where such a rule is
    /// one of several parts, it is tried always.
    pub(super) invalid: bool,
    /// The kinds of tokens it can begin with.
    pub(super) first: Kinds,
}

/// A rule, or a group within one.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) alternatives: Vec<Alternative>,
    pub(super) memo: bool,
    pub(super) left: bool,
    /// Whether nothing below it asks what is wrong.
    pub(super) plain: bool,
    pub(super) first: Kinds,
}

/// A grammar.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    pub(super) rules: Vec<Rule>,
    /// Items within items.
    pub(super) items: Vec<Item>,
    pub(super) words: Vec<String>,
}

impl Grammar {
    /// Reads a grammar for a version of Python. Its first rule is that of a file.
    pub(super) fn read(source: &str, version: Version) -> Result<Self, String> {
        let mut notation = Notation::new(source)?;
        let mut grammar = Self::default();
        for (name, marks) in notation.rules() {
            let has = |mark: &str| marks.iter().any(|given| given == mark);
            let (memo, left, plain) = (has("memo"), has("left"), has("plain"));
            grammar.rules.push(Rule { name, memo, left, plain, ..Rule::default() });
        }
        let mut index = 0;
        while let Some(body) = notation.next_body() {
            let mut reader = Reader { grammar: &mut grammar, body: &body, at: 0, version };
            let read = reader.alternatives();
            let at = reader.at;
            let wrong =
                |error: &str, grammar: &Self| format!("{}: {error} at {:?}", grammar.rules[index].name, body.get(at));
            let alternatives = read.map_err(|error| wrong(error, &grammar))?;
            if at < body.len() {
                return Err(wrong("something is left over", &grammar));
            }
            grammar.rules[index].alternatives = alternatives;
            index += 1;
        }
        grammar.find_firsts();
        Ok(grammar)
    }

    pub(super) fn rule(&self, name: &str) -> Option<u16> {
        self.rules.iter().position(|rule| rule.name == name).map(|at| at as u16)
    }

    /// Finds what every alternative can begin with.
    fn find_firsts(&mut self) {
        let mut nullable = vec![false; self.rules.len()];
        loop {
            let mut changed = false;
            for index in 0..self.rules.len() {
                let mut of_rule = (Kinds::default(), false);
                for alternative in 0..self.rules[index].alternatives.len() {
                    let (first, empty) = self.first(&self.rules[index].alternatives[alternative].parts, &nullable);
                    changed |= self.rules[index].alternatives[alternative].first != first;
                    self.rules[index].alternatives[alternative].first = first;
                    of_rule = (of_rule.0.and(first), of_rule.1 | empty);
                }
                changed |= (self.rules[index].first, nullable[index]) != of_rule;
                (self.rules[index].first, nullable[index]) = of_rule;
            }
            if !changed {
                return;
            }
        }
    }

    /// What parts can begin with, and whether they can be empty: then it is any token.
    fn first(&self, parts: &[Part], nullable: &[bool]) -> (Kinds, bool) {
        let mut first = Kinds::default();
        for part in parts {
            let (kinds, empty) = self.first_of(part.item, nullable);
            first = first.and(kinds);
            if !empty {
                return (first, false);
            }
        }
        (Kinds::ALL, true)
    }

    fn first_of(&self, item: Item, nullable: &[bool]) -> (Kinds, bool) {
        let inner = |item: u16| self.first_of(self.items[usize::from(item)], nullable);
        match item {
            Item::Token(kind) => (Kinds::of(kind), false),
            Item::Word(_) | Item::AnyWord => (Kinds::of(Kind::NAME), false),
            Item::Rule(rule) => (self.rules[usize::from(rule)].first, nullable[usize::from(rule)]),
            Item::Optional(item) | Item::Repeat(item, false) => (inner(item).0, true),
            Item::Repeat(item, true) | Item::Separated(item, _) | Item::Ahead(item, true) => inner(item),
            Item::Ahead(_, false) | Item::Forced(_) => (Kinds::ALL, false),
            Item::Cut => (Kinds::default(), true),
        }
    }
}
