//! A parser that follows a grammar: a packrat parser that grows left recursions from a seed, as CPython's generated one
//! does (`Tools/peg_generator/pegen/c_generator.py`, `Parser/pegen.c`).

use std::cell::OnceCell;

use super::grammar::{Action, Alternative, Grammar, Item, Kinds, Label};
use crate::python::Version;
use crate::python::lexical::{Kind, Token};

/// Rules within rules at which CPython gives up (`MAXSTACK`).
const MAX_DEPTH: u32 = 6_000;
/// Rules that are tried before the machine gives up: so many, and so many more a token, but no more than take seconds and
/// some hundred megabytes. Sources that people write need a few dozen a token.
const STEPS: u64 = 2_000_000;
const STEPS_A_TOKEN: u64 = 500;
const MOST_STEPS: u64 = 20_000_000;
const STACK_LEFT: usize = 64 * 1024;
const STACK_MORE: usize = 1024 * 1024;

/// What a part of the grammar has found: a token, a node, or nothing that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value(u32);

impl Value {
    /// An optional part that is not there.
    pub(super) const NONE: Self = Self(u32::MAX);
    const UNIT: Self = Self(u32::MAX - 1);
    const TOKEN: u32 = 1 << 31;

    pub(super) fn token(index: usize) -> Self {
        Self(index as u32 | Self::TOKEN)
    }

    /// The index of a token.
    pub(super) fn as_token(self) -> Option<usize> {
        let is_token = self.0 & Self::TOKEN != 0 && self != Self::NONE && self != Self::UNIT;
        is_token.then_some((self.0 & !Self::TOKEN) as usize)
    }

    fn as_node(self) -> Option<usize> {
        (self.0 & Self::TOKEN == 0).then_some(self.0 as usize)
    }
}

/// A node: what it is, which tokens it spans, and what is in it.
#[derive(Debug, Clone, Copy)]
struct Node {
    label: Label,
    start: u32,
    end: u32,
    children: (u32, u32),
}

/// An error that was raised: its exception, its place in bytes, its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raised {
    pub(super) error_type: &'static str,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) message: String,
}

/// Why the parsing ended before the grammar did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Halt {
    Raised(Raised),
    /// Raised by the parser of a text within this one.
    Inner(Raised),
    /// The token that the tokenizer does not have was asked for.
    Tokenizer,
    /// A limit is broken, or what follows is not this machine's to say.
    GaveUp,
}

/// The parsing is over; why, the machine knows.
pub(super) struct Over;

pub(super) type Outcome<T = Option<Value>> = Result<T, Over>;

/// What a rule found at a place.
struct Memo {
    rule: u16,
    end: u32,
    found: Option<Value>,
    next: u32,
}

const NO_MEMO: u32 = u32::MAX;

/// A parser at work.
pub(super) struct Machine<'m> {
    pub(super) grammar: &'m Grammar,
    pub(super) tokens: &'m [Token],
    pub(super) text: &'m str,
    pub(super) version: Version,
    pub(super) mark: usize,
    /// How many tokens were read.
    pub(super) fill: usize,
    /// Whether rules ask what is wrong.
    asks: bool,
    halt: Option<Halt>,
    depth: u32,
    steps: u64,
    memos: Vec<Memo>,
    heads: Vec<u32>,
    nodes: Vec<Node>,
    children: Vec<Value>,
    slots: Vec<Value>,
    /// The token that begins the innermost string with fields around each token, and behind the last; see `string_around`.
    around: OnceCell<Vec<Option<u32>>>,
}

impl<'m> Machine<'m> {
    pub(super) fn new(grammar: &'m Grammar, tokens: &'m [Token], text: &'m str, version: Version) -> Self {
        Self {
            grammar,
            tokens,
            text,
            version,
            mark: 0,
            fill: 0,
            asks: false,
            halt: None,
            depth: 0,
            steps: MOST_STEPS.min(STEPS + STEPS_A_TOKEN * tokens.len() as u64),
            memos: vec![],
            heads: vec![NO_MEMO; tokens.len() + 1],
            nodes: vec![],
            children: vec![],
            slots: vec![],
            around: OnceCell::new(),
        }
    }

    /// Parses a file, or what another rule is for. Where it is asked to, the rules of what is wrong are tried too.
    pub(super) fn parse(&mut self, start: u16, asks: bool) -> Result<bool, Halt> {
        (self.mark, self.depth, self.asks) = (0, 0, asks);
        self.memos.clear();
        self.heads.fill(NO_MEMO);
        self.slots.clear();
        let found = self.rule(start);
        match (found, self.halt.take()) {
            (Ok(found), None) => Ok(found.is_some()),
            (_, halt) => Err(halt.unwrap_or(Halt::GaveUp)),
        }
    }

    pub(super) fn stop<T>(&mut self, halt: Halt) -> Outcome<T> {
        self.halt.get_or_insert(halt);
        Err(Over)
    }

    /// The kind of the token at the mark, which is read.
    pub(super) fn peek(&mut self) -> Outcome<Kind> {
        if self.mark >= self.fill {
            self.fill = self.mark + 1;
        }
        match self.tokens.get(self.mark) {
            Some(token) => Ok(token.kind),
            None => self.stop(Halt::Tokenizer),
        }
    }

    fn rule(&mut self, rule: u16) -> Outcome {
        self.depth += 1;
        if self.depth > MAX_DEPTH || self.steps == 0 {
            return self.stop(Halt::GaveUp);
        }
        self.steps -= 1;
        let found = stacker::maybe_grow(STACK_LEFT, STACK_MORE, || self.remembered(rule));
        self.depth -= 1;
        found
    }

    fn remembered(&mut self, index: u16) -> Outcome {
        let next = self.peek()?;
        let grammar = self.grammar;
        let rule = &grammar.rules[usize::from(index)];
        if !rule.first.has(next) {
            return Ok(None);
        }
        let start = self.mark;
        if (rule.memo || rule.left)
            && let Some(memo) = self.memo(start, index)
        {
            let memo = &self.memos[memo];
            self.mark = memo.end as usize;
            return Ok(memo.found);
        }
        if rule.left {
            return self.grown(index);
        }
        let asks = self.asks;
        self.asks &= !rule.plain;
        let found = self.alternatives(&rule.alternatives, next)?;
        self.asks = asks;
        if rule.memo {
            self.remember(start, index, found);
        }
        Ok(found)
    }

    /// A left recursion: what was found is tried as the beginning of something longer, for as long as it gets longer.
    fn grown(&mut self, rule: u16) -> Outcome {
        let start = self.mark;
        let (mut end, mut found) = (start, None);
        let memo = self.remember(start, rule, None);
        let grammar = self.grammar;
        loop {
            self.mark = start;
            let next = self.peek()?;
            let longer = self.alternatives(&grammar.rules[usize::from(rule)].alternatives, next)?;
            if longer.is_none() || self.mark <= end {
                break;
            }
            (end, found) = (self.mark, longer);
            (self.memos[memo].end, self.memos[memo].found) = (end as u32, found);
        }
        self.mark = end;
        Ok(found)
    }

    fn memo(&self, at: usize, rule: u16) -> Option<usize> {
        let mut memo = self.heads[at];
        while memo != NO_MEMO {
            if self.memos[memo as usize].rule == rule {
                return Some(memo as usize);
            }
            memo = self.memos[memo as usize].next;
        }
        None
    }

    fn remember(&mut self, at: usize, rule: u16, found: Option<Value>) -> usize {
        let memo = self.memos.len();
        self.memos.push(Memo { rule, end: self.mark as u32, found, next: self.heads[at] });
        self.heads[at] = memo as u32;
        memo
    }

    fn alternatives(&mut self, alternatives: &'m [Alternative], next: Kind) -> Outcome {
        let start = self.mark;
        let base = self.slots.len();
        for alternative in alternatives {
            if !alternative.first.has(next) || (alternative.invalid && !self.asks) {
                continue;
            }
            self.slots.resize(base + usize::from(alternative.slots), Value::NONE);
            let mut cut = false;
            let matches = self.parts(alternative, base, &mut cut)?;
            let found = if matches { self.act(&alternative.action, base, start)? } else { None };
            self.slots.truncate(base);
            if matches || cut {
                if found.is_none() {
                    self.mark = start;
                }
                return Ok(found);
            }
            self.mark = start;
        }
        Ok(None)
    }

    fn parts(&mut self, alternative: &Alternative, base: usize, cut: &mut bool) -> Outcome<bool> {
        for part in &alternative.parts {
            if matches!(part.item, Item::Cut) {
                *cut = true;
                continue;
            }
            let Some(value) = self.item(part.item, part.slot.is_some())? else { return Ok(false) };
            if let Some(slot) = part.slot {
                self.slots[base + usize::from(slot)] = value;
            }
        }
        Ok(true)
    }

    /// Asks for an item; where nobody wants its elements they are not kept.
    fn item(&mut self, item: Item, keep: bool) -> Outcome {
        let inner = |machine: &Self, item: u16| machine.grammar.items[usize::from(item)];
        match item {
            Item::Token(kind) => Ok((self.peek()? == kind).then(|| self.take())),
            Item::Word(word) => {
                let is_word = self.peek()? == Kind::NAME && self.word() == self.grammar.words[usize::from(word)];
                Ok(is_word.then(|| self.take()))
            }
            Item::AnyWord => {
                let is_word = self.peek()? == Kind::NAME && self.begins_keyword();
                Ok(is_word.then(|| self.take()))
            }
            Item::Rule(rule) => self.rule(rule),
            Item::Optional(item) => Ok(Some(self.item(inner(self, item), keep)?.unwrap_or(Value::NONE))),
            Item::Repeat(item, some) => self.repeat(inner(self, item), None, some, keep),
            Item::Separated(item, separator) => self.repeat(inner(self, item), Some(separator), true, keep),
            Item::Ahead(item, positive) => {
                let start = self.mark;
                let found = self.item(inner(self, item), false)?.is_some();
                self.mark = start;
                Ok((found == positive).then_some(Value::UNIT))
            }
            Item::Cut => Ok(Some(Value::UNIT)),
            Item::Forced(kind) => {
                if self.peek()? == kind {
                    return Ok(Some(self.take()));
                }
                let message = format!("expected '{}'", kind.spelling().unwrap_or_default());
                let (start, end) = self.known(self.mark, self.mark);
                self.stop(Halt::Raised(Raised { error_type: "SyntaxError", start, end, message }))
            }
        }
    }

    fn take(&mut self) -> Value {
        self.mark += 1;
        Value::token(self.mark - 1)
    }

    fn repeat(&mut self, item: Item, separator: Option<Kind>, some: bool, keep: bool) -> Outcome {
        let (first, mut found) = (self.mark, vec![]);
        let mut count = 0usize;
        loop {
            let start = self.mark;
            if let Some(separator) = separator.filter(|_| count > 0) {
                if self.peek()? != separator {
                    break;
                }
                self.mark += 1;
            }
            let Some(value) = self.item(item, keep)? else {
                self.mark = start;
                break;
            };
            count += 1;
            if self.depth == 1 {
                self.settle();
            }
            if keep {
                found.push(value);
            }
            if self.mark == start {
                break;
            }
        }
        if some && count == 0 {
            return Ok(None);
        }
        if !keep {
            return Ok(Some(Value::UNIT));
        }
        Ok(Some(self.node(Label::Seq, first, &found)))
    }

    /// Forgets what was found: the rule of a file does not go back behind a statement.
    fn settle(&mut self) {
        let read = self.mark..self.fill.min(self.heads.len() - 1) + 1;
        self.heads.get_mut(read).unwrap_or_default().fill(NO_MEMO);
        self.memos.clear();
        self.nodes.clear();
        self.children.clear();
    }

    fn act(&mut self, action: &Action, base: usize, start: usize) -> Outcome {
        match action {
            Action::Unit => Ok(Some(Value::UNIT)),
            Action::Part(slot) => Ok(Some(self.slots[base + usize::from(*slot)])),
            Action::Node(label) => {
                let parts = self.slots[base..].to_vec();
                Ok(Some(self.node(*label, start, &parts)))
            }
            Action::Raise(place, template) => {
                let slots = self.slots[base..].to_vec();
                self.raise(*place, template, &slots)
            }
            Action::Ask(helper, slots, template) => {
                let given = slots.iter().map(|slot| self.slots[base + usize::from(*slot)]).collect::<Vec<_>>();
                self.ask(*helper, &given, template, start)
            }
        }
    }

    /// Makes a node from a token on to the mark.
    pub(super) fn node(&mut self, label: Label, start: usize, children: &[Value]) -> Value {
        let first = self.children.len() as u32;
        self.children.extend(children.iter().filter(|child| **child != Value::NONE && **child != Value::UNIT));
        let children = (first, self.children.len() as u32);
        self.nodes.push(Node { label, start: start as u32, end: self.mark.max(start + 1) as u32, children });
        Value(self.nodes.len() as u32 - 1)
    }

    /// What kind of node a value is.
    pub(super) fn label(&self, value: Value) -> Option<Label> {
        value.as_node().map(|node| self.nodes[node].label)
    }

    /// What is in a value.
    pub(super) fn children(&self, value: Value) -> &[Value] {
        value.as_node().map_or(&[], |node| {
            let (first, last) = self.nodes[node].children;
            &self.children[first as usize..last as usize]
        })
    }

    /// The first and the last token of a value.
    pub(super) fn span(&self, value: Value) -> (usize, usize) {
        if let Some(token) = value.as_token() {
            return (token, token);
        }
        // Elements come without the brackets and separators around them.
        match (self.label(value), self.children(value)) {
            (Some(Label::Seq), [first, .., last]) => (self.span(*first).0, self.span(*last).1),
            (Some(Label::Seq), [only]) => self.span(*only),
            _ => value.as_node().map_or((self.mark, self.mark), |node| {
                (self.nodes[node].start as usize, self.nodes[node].end as usize - 1)
            }),
        }
    }

    /// The token that begins the innermost f-string or t-string that is open in front of a token.
    pub(super) fn string_around(&self, token: usize) -> Option<usize> {
        let around = self.around.get_or_init(|| {
            let mut open = vec![];
            let mut around = vec![None];
            for (index, token) in self.tokens.iter().enumerate() {
                match token.kind {
                    Kind::FSTRING_START | Kind::TSTRING_START => open.push(index as u32),
                    Kind::FSTRING_END | Kind::TSTRING_END => drop(open.pop()),
                    _ => {}
                }
                around.push(open.last().copied());
            }
            around
        });
        around.get(token).copied().flatten().map(|start| start as usize)
    }

    /// The text of a token.
    pub(super) fn text_of(&self, token: usize) -> &'m str {
        let text = self.text;
        self.tokens.get(token).and_then(|token| text.get(token.start as usize..token.end as usize)).unwrap_or_default()
    }

    fn word(&self) -> &'m str {
        self.text_of(self.mark)
    }

    /// `_PyPegen_soft_keyword_token` compares no more letters than the name has, before 3.14.
    fn begins_keyword(&self) -> bool {
        let (name, whole) = (self.word(), self.version >= Version::Py314);
        let types = (self.version >= Version::Py312).then_some(&"type");
        let mut keywords = ["_", "case", "match"].iter().chain(types);
        keywords.any(|keyword| if whole { *keyword == name } else { keyword.starts_with(name) })
    }
}

const _: () = {
    // A set of kinds is as cheap to copy as it looks.
    assert!(size_of::<Kinds>() == 16);
};
