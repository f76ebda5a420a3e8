//! What CPython's parser says of a file that it refuses, found by its own grammar and in its own order.
//!
//! A file is parsed a first time without the rules that tell what is wrong, and where that fails, a second time with them
//! (`_PyPegen_run_parser` in `Parser/pegen.c`). What is raised then gives way to what the tokenizer finds further on
//! (`_PyPegen_set_syntax_error` in `Parser/pegen_errors.c`).

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

/// What the parser says of a text, if it is this grammar that says it. `limit` is one of the tokenizer's limits that is
/// broken, `suspect` the place of another parser's first error.
pub(super) fn verdict(
    text: &str,
    version: Version,
    lexical: &Lexical,
    limit: Option<&Refusal>,
    suspect: Option<TextSize>,
) -> Option<Refusal> {
    if version < Version::Py311 {
        return None;
    }
    let tokenizer = Tokenizer::new(text, version, lexical, limit);
    let tokens = &lexical.tokens[..tokenizer.tokens];
    let mut machine = Machine::new(grammar(version), tokens, text, version, suspect.map(usize::from));
    let raised = match machine.parse(false) {
        Ok(true) | Err(Halt::GaveUp) => return None,
        Err(Halt::Tokenizer) => return tokenizer.reached(),
        Err(Halt::Raised(raised)) => raised,
        Ok(false) => {
            let last = machine.fill - 1;
            match machine.parse(true) {
                Err(Halt::GaveUp) => return None,
                Err(Halt::Tokenizer) => return tokenizer.reached(),
                Err(Halt::Raised(raised)) => raised,
                Ok(_) => {
                    let kind = tokens[last].kind;
                    if matches!(kind, Kind::INDENT | Kind::DEDENT) {
                        let what = if kind == Kind::INDENT { "indent" } else { "unindent" };
                        return Some(refusal(machine.misplaced(format!("unexpected {what}"))));
                    }
                    let (start, end) = machine.known(last, last);
                    Raised { error_type: "SyntaxError", start, end, message: "invalid syntax".into() }
                }
            }
        }
    };
    if raised.error_type == super::NOWHERE {
        return Some(refusal(raised));
    }
    Some(tokenizer.further_on(machine.line(machine.fill - 1)).unwrap_or_else(|| refusal(raised)))
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
    version: Version,
}

impl<'t> Tokenizer<'t> {
    fn new(text: &'t str, version: Version, lexical: &'t Lexical, limit: Option<&'t Refusal>) -> Self {
        let mut tokenizer = Self {
            text,
            lexical,
            error: lexical.error.as_ref(),
            quiet: lexical.quiet.is_some(),
            tokens: lexical.tokens.len(),
            version,
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
        let error = PythonError::new("SyntaxError", format!("'{bracket}' was never closed"), None);
        Some((at, (TextRange::at(at, TextSize::new(1)), error)))
    }

    /// The error where the parser comes to it.
    fn reached(&self) -> Option<Refusal> {
        self.error.cloned().or_else(|| self.never_closed().map(|(_, refusal)| refusal))
    }

    /// What takes the place of an error in a line: an error further on, or a bracket that is open behind all that can be
    /// read, from a line before. Inside of an f-string nothing takes the place of what its expression is refused for.
    fn further_on(&self, line: usize) -> Option<Refusal> {
        if self.lexical.in_string && self.version >= Version::Py312 {
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
