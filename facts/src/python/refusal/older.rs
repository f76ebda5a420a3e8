//! Syntax that a version does not have yet, where the parser does not say so, or says it of what that version reads as
//! something else.

use ruff_python_ast::token::{Token, TokenKind, Tokens};
use ruff_python_parser::{UnsupportedSyntaxError, UnsupportedSyntaxErrorKind as Kind};
use ruff_text_size::{Ranged, TextRange};

use super::Refusal;
use crate::python::{PythonError, Version};

/// The first error about syntax that is newer than the version.
pub(in crate::python) fn newer_syntax(
    tokens: &Tokens,
    parser: &[UnsupportedSyntaxError],
    version: Version,
) -> Option<Refusal> {
    let is_ours =
        |error: &&UnsupportedSyntaxError| matches!(error.kind, Kind::Match | Kind::ParenthesizedContextManager);
    let theirs = parser.iter().find(|error| !is_ours(error)).cloned();
    let unsupported = |kind, range| UnsupportedSyntaxError { kind, range, target_version: version.target() };
    // The parser passes over `match (a, b):`.
    let keyword = (version < Version::Py310).then(|| tokens.iter().find(|token| token.kind() == TokenKind::Match));
    let keyword = keyword.flatten().map(|token| unsupported(Kind::Match, token.range()));
    let items = (version < Version::Py39).then(|| named_item(tokens)).flatten();
    let items = items.map(|range| unsupported(Kind::ParenthesizedContextManager, range));
    let first = [theirs, keyword, items].into_iter().flatten().min_by_key(|error| error.range.start())?;
    Some((first.range, PythonError::new("SyntaxError", first.to_string(), None)))
}

/// The parenthesis behind a `with` whose items have names: without them, `(a, b)` and `(a)` are expressions.
fn named_item(tokens: &[Token]) -> Option<TextRange> {
    let mut openings = tokens.windows(2).enumerate().filter(|(_, pair)| pair[0].kind() == TokenKind::With);
    openings.find_map(|(index, pair)| {
        let mut depth = 0_usize;
        let inside = tokens[index + 1..].iter().take_while(|token| {
            match token.kind() {
                TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => depth += 1,
                TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth > 0
        });
        let has_name = inside.filter(|token| token.kind() == TokenKind::As).count() > 0;
        (pair[1].kind() == TokenKind::Lpar && has_name).then(|| pair[1].range())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::PythonModule;

    /// The versions that accept a source, from the oldest on.
    fn accepting(source: &str) -> Vec<Version> {
        let versions = [Version::Py38, Version::Py39, Version::Py310, Version::Py313];
        versions.into_iter().filter(|version| PythonModule::parse(source.as_bytes(), *version).is_ok()).collect()
    }

    #[test]
    fn items_in_parentheses_need_3_9_where_they_have_names() {
        use Version::{Py38, Py39, Py310, Py313};
        for source in ["with (a as b): pass\n", "with (a, b as c): pass\n", "with (a as b,): pass\n"] {
            assert_eq!(accepting(source), [Py39, Py310, Py313], "{source}");
        }
        for source in
            ["with (a, b): pass\n", "with (a, b,): pass\n", "with (a) as b: pass\n", "with (a), (b) as c: pass\n"]
        {
            assert_eq!(accepting(source), [Py38, Py39, Py310, Py313], "{source}");
        }
    }

    #[test]
    fn match_is_a_statement_from_3_10_on() {
        use Version::{Py38, Py39, Py310, Py313};
        for source in ["match (a, b):\n case _: pass\n", "match a:\n case _: pass\n", "match [a]:\n case _: pass\n"] {
            assert_eq!(accepting(source), [Py310, Py313], "{source}");
        }
        for source in ["match = 1\nmatch(a, b)\nmatch[0]\n", "x.match(a)\n", "def match(match): pass\n"] {
            assert_eq!(accepting(source), [Py38, Py39, Py310, Py313], "{source}");
        }
    }
}
