//! What CPython's parser says of a file that it refuses, found by its own grammar and in its own order.
//!
//! A file is parsed a first time without the rules that tell what is wrong, and where that fails, a second time with them
//! (`_PyPegen_run_parser` in `Parser/pegen.c`). What is raised then gives way to what the tokenizer finds further on
//! (`_PyPegen_set_syntax_error` in `Parser/pegen_errors.c`).

mod fields;
mod grammar;
mod machine;
mod notation;
mod raise;
mod reader;
mod strings;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use ruff_text_size::{TextRange, TextSize};

use self::grammar::Grammar;
use self::machine::{Halt, Machine, Raised};
use super::Refusal;
use crate::python::lexical::{Kind, Lexical};
use crate::python::{PythonError, Version};

/// The grammar, for all versions.
const GRAMMAR: &str = include_str!("python.peg");

/// The grammar of a version.
fn grammar(version: Version) -> &'static Grammar {
    static GRAMMARS: [OnceLock<Grammar>; Version::ALL.len()] = [const { OnceLock::new() }; Version::ALL.len()];
    GRAMMARS[version as usize].get_or_init(|| Grammar::read(GRAMMAR, version).expect("the grammar is well formed"))
}

/// What is parsed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    File,
    /// What is in a field of an f-string, before 3.12.
    Field,
}

impl Start {
    /// An error of this parser: that of a field says what it is in.
    fn names(self, raised: Raised) -> Raised {
        match self {
            Self::File => raised,
            Self::Field => Raised { message: format!("f-string: {}", raised.message), ..raised },
        }
    }
}

/// What the parser says of a text, if it is this grammar that says it. `limit` is one of the tokenizer's limits that is
/// broken.
pub(super) fn verdict(text: &str, version: Version, lexical: &Lexical, limit: Option<&Refusal>) -> Option<Refusal> {
    if version < Version::Py311 { None } else { says(text, version, lexical, limit, Start::File) }
}

fn says(text: &str, version: Version, lexical: &Lexical, limit: Option<&Refusal>, start: Start) -> Option<Refusal> {
    let grammar = grammar(version);
    let rule = match start {
        Start::File => 0,
        Start::Field => grammar.rule("field")?,
    };
    let tokenizer = Tokenizer::new(text, lexical, limit, start);
    let tokens = &lexical.tokens[..tokenizer.tokens];
    let mut machine = Machine::new(grammar, tokens, text, version);
    let raised = match machine.parse(rule, false) {
        Ok(true) | Err(Halt::GaveUp) => return None,
        Err(Halt::Tokenizer) => return tokenizer.reached(),
        Err(Halt::Raised(raised)) => start.names(raised),
        Err(Halt::Inner(raised)) => raised,
        Ok(false) => {
            let last = machine.fill - 1;
            match machine.parse(rule, true) {
                Err(Halt::GaveUp) => return None,
                Err(Halt::Tokenizer) => return tokenizer.reached(),
                Err(Halt::Raised(raised)) => start.names(raised),
                Err(Halt::Inner(raised)) => raised,
                Ok(_) => {
                    let kind = tokens[last].kind;
                    if matches!(kind, Kind::INDENT | Kind::DEDENT) {
                        let what = if kind == Kind::INDENT { "indent" } else { "unindent" };
                        return Some(refusal(start.names(machine.misplaced(format!("unexpected {what}")))));
                    }
                    let (at, end) = machine.known(last, last);
                    let message = "invalid syntax".into();
                    start.names(Raised { error_type: "SyntaxError", start: at, end, message })
                }
            }
        }
    };
    if raised.error_type == super::NOWHERE {
        return Some(refusal(raised));
    }
    let further_on = tokenizer.further_on(machine.line(machine.fill - 1), version);
    Some(further_on.unwrap_or_else(|| refusal(raised)))
}

fn refusal(raised: Raised) -> Refusal {
    let size = |at: usize| TextSize::new(at as u32);
    let range = TextRange::new(size(raised.start), size(raised.end.max(raised.start)));
    (range, PythonError::new(raised.error_type, raised.message, None))
}

/// How the tokenizer fares with a text.
struct Tokenizer<'t> {
    text: &'t str,
    lexical: &'t Lexical,
    /// What it gives up at.
    error: Option<&'t Refusal>,
    /// Whether this is an error only where the parser comes to it.
    quiet: bool,
    /// How many tokens are in front of that.
    tokens: usize,
    start: Start,
}

impl<'t> Tokenizer<'t> {
    fn new(text: &'t str, lexical: &'t Lexical, limit: Option<&'t Refusal>, start: Start) -> Self {
        let mut tokenizer = Self {
            text,
            lexical,
            error: lexical.error.as_ref(),
            quiet: lexical.quiet.is_some(),
            tokens: lexical.tokens.len(),
            start,
        };
        let start = |refusal: &Refusal| refusal.0.start();
        if let Some(limit) = limit.filter(|limit| tokenizer.error.is_none_or(|error| start(limit) < start(error))) {
            tokenizer.quiet = limit.1.error_type == "IndentationError";
            tokenizer.tokens = lexical.tokens.partition_point(|token| token.start < start(limit).to_u32());
            tokenizer.error = Some(limit);
        }
        tokenizer
    }

    fn never_closed(&self) -> Option<(TextSize, Refusal)> {
        let (bracket, at) = self.lexical.unclosed?;
        let (error_type, message) = ("SyntaxError", format!("'{bracket}' was never closed"));
        let (start, end) = (usize::from(at), usize::from(at) + 1);
        Some((at, refusal(self.start.names(Raised { error_type, start, end, message }))))
    }

    /// The error where the parser comes to it.
    fn reached(&self) -> Option<Refusal> {
        self.error.cloned().or_else(|| self.never_closed().map(|(_, refusal)| refusal))
    }

    /// What takes the place of an error in a line: an error further on, or a bracket that is open behind all that can be
    /// read, from a line before. Inside of an f-string nothing takes the place of what its expression is refused for.
    fn further_on(&self, line: usize, version: Version) -> Option<Refusal> {
        if self.lexical.in_string && version >= Version::Py312 {
            return None;
        }
        if let Some(error) = self.error.filter(|_| !self.quiet) {
            return Some(error.clone());
        }
        let (at, refusal) = self.never_closed()?;
        let opened = memchr::memchr_iter(b'\n', &self.text.as_bytes()[..at.to_usize()]).count() + 1;
        (line > opened).then_some(refusal)
    }
}
