use proptest::prelude::*;
use proptest::sample::select;

use super::grammar::{Action, Grammar, Item};
use super::machine::{Halt, Machine};
use super::*;
use crate::python::PythonModule;
use crate::python::lexical;

const VERSIONS: [Version; 4] = [Version::Py311, Version::Py312, Version::Py313, Version::Py314];

/// Rules that can be reached from that of a file.
fn reached(grammar: &Grammar) -> Vec<bool> {
    let (mut reached, mut pending) =
        (vec![false; grammar.rules.len()], vec![Item::Rule(0), Item::Rule(grammar.rule("field").unwrap())]);
    while let Some(item) = pending.pop() {
        match item {
            Item::Rule(rule) if !reached[usize::from(rule)] => {
                reached[usize::from(rule)] = true;
                let alternatives = &grammar.rules[usize::from(rule)].alternatives;
                pending.extend(alternatives.iter().flat_map(|alternative| &alternative.parts).map(|part| part.item));
            }
            Item::Optional(item) | Item::Repeat(item, _) | Item::Separated(item, _) | Item::Ahead(item, _) => {
                pending.push(grammar.items[usize::from(item)]);
            }
            _ => {}
        }
    }
    reached
}

#[test]
fn every_version_has_a_grammar_and_every_rule_a_use() {
    let mut unused: Option<Vec<String>> = None;
    for version in VERSIONS {
        let grammar = Grammar::read(GRAMMAR, version).unwrap();
        let reached = reached(&grammar);
        let named = grammar.rules.iter().zip(&reached).filter(|(rule, _)| !rule.name.is_empty());
        let here = named.filter(|(_, reached)| !**reached).map(|(rule, _)| rule.name.clone()).collect::<Vec<_>>();
        unused =
            Some(unused.map_or(here.clone(), |unused| unused.into_iter().filter(|name| here.contains(name)).collect()));
    }
    assert_eq!(unused.unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_no_grammar_is_told() {
    for (source, part) in [
        ("file: other", "no such rule"),
        ("file: 'no operator'", "no such operator"),
        ("file: NAME |", "empty"),
        ("file: (NAME", "not closed"),
        ("file: a=NAME => at b \"x\"", "no such part"),
        ("file: a=NAME => at a", "a message is missing"),
        ("file: a=NAME -> b", "neither"),
        ("file: NAME ) NAME", "left over"),
        ("| NAME", "outside"),
        ("file: 'x", "not closed"),
    ] {
        let error = Grammar::read(source, Version::Py313).unwrap_err();
        assert!(error.contains(part), "{source}: {error}");
    }
}

/// What a grammar says of a text: whether it matches, or its error.
fn says(grammar: &str, text: &str) -> Result<bool, String> {
    let grammar = Grammar::read(grammar, Version::Py313).unwrap();
    let tokens = lexical::check(text, Version::Py313).tokens;
    let mut machine = Machine::new(&grammar, &tokens, text, Version::Py313);
    machine.parse(0, true).map_err(|halt| match halt {
        Halt::Raised(raised) => format!("{}-{} {}", raised.start, raised.end, raised.message),
        halt => format!("{halt:?}"),
    })
}

#[test]
fn left_recursion_grows() {
    let grammar = "file: sum NEWLINE\nsum left: sum '+' NAME | sum '-' NAME | NAME";
    assert_eq!(says(grammar, "a+b-c+d"), Ok(true));
    assert_eq!(says(grammar, "a+b-"), Ok(false));
    // An operator between others makes the recursion run through another rule.
    let grammar = "file: attr NEWLINE\nattr left: name_or_attr '.' NAME\nname_or_attr: attr | NAME";
    assert_eq!(says(grammar, "a.b.c"), Ok(true));
    assert_eq!(says(grammar, "a"), Ok(false));
}

#[test]
fn alternatives_are_tried_in_order_and_not_behind_a_cut() {
    let grammar = "file: (NAME | NAME '=') NUMBER NEWLINE";
    assert_eq!(says(grammar, "a 1"), Ok(true));
    // The first alternative that matches is the one that counts.
    assert_eq!(says(grammar, "a = 1"), Ok(false));
    let grammar = "file: (NAME ~ '+' | NAME) NEWLINE";
    assert_eq!(says(grammar, "a +"), Ok(true));
    assert_eq!(says(grammar, "a"), Ok(false));
}

#[test]
fn what_repeats_and_what_is_ahead() {
    let grammar = "file: list\nlist: NAME % ',' ','? !NUMBER &NEWLINE";
    for (text, matches) in [("a", true), ("a, b", true), ("a, b,", true), ("a, 1", false), (",", false)] {
        assert_eq!(says(grammar, text), Ok(matches), "{text}");
    }
    let grammar = "file: list\nlist: NUMBER* NAME+ \"word\" NEWLINE";
    assert_eq!(says(grammar, "1 2 a word"), Ok(false), "a loop takes all it can");
    let grammar = "file: list\nlist: \"word\" NUMBER* NAME+ NEWLINE";
    assert_eq!(says(grammar, "word 1 2 a b"), Ok(true));
    assert_eq!(says(grammar, "world 1 2 a b"), Ok(false));
}

#[test]
fn errors_are_at_their_places() {
    let grammar = "file: a=NAME b=NUMBER => a .. b \"{a.text} in line {a.line}: {b}, {c}\"";
    assert_eq!(says(grammar, "abc  12"), Err("0-7 abc in line 1: literal, {c}".into()));
    assert_eq!(says("file: NAME &&':'", "if_ then"), Err("4-8 expected ':'".into()));
    assert_eq!(says("file: NAME NAME !'+' => last \"x\"", "a b c d"), Err("4-5 x".into()));
    assert_eq!(says("file: invalid_x | NAME\ninvalid_x: NAME => next \"x\"", "a b c d"), Err("2-3 x".into()));
    assert_eq!(says("file: STRING", "'abc"), Err("Tokenizer".into()));
}

#[test]
fn actions_know_their_helpers() {
    let grammar = grammar(Version::Py314);
    let asked = grammar.rules.iter().flat_map(|rule| &rule.alternatives);
    let asked = asked.filter(|alternative| matches!(alternative.action, Action::Ask(..))).count();
    assert!(asked > 15, "{asked}");
}

const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    ";",
    "+",
    "-",
    "*",
    "**",
    "/",
    "=",
    ":=",
    "==",
    ".",
    "...",
    "@",
    "->",
    "!",
    "~",
    "$",
    "\\",
    "\n",
    "\n  ",
    "\n    ",
    "\n\t",
    " ",
    "#c",
    "x",
    "y",
    "é",
    "1",
    "1if",
    "0x",
    "1j",
    "'a'",
    "'\\x'",
    "b'b'",
    "f'{",
    "f'{x}'",
    "t'{",
    "f'''",
    "'''",
    "'",
    "\"",
    "{x!r:>{w}}",
    "if ",
    "else",
    "elif ",
    "for ",
    "in ",
    "is ",
    "not ",
    "and ",
    "lambda ",
    "def ",
    "class ",
    "async ",
    "await ",
    "yield ",
    "from ",
    "import ",
    "as ",
    "with ",
    "try:",
    "except ",
    "finally:",
    "match ",
    "case ",
    "type ",
    "print ",
    "del ",
    "return ",
    "None",
    "pass",
    "_",
    "f(",
    "x=1",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_tokens_are_judged(pieces in prop::collection::vec(select(PIECES), 0..60)) {
        let text = pieces.concat();
        for version in VERSIONS {
            let _ = PythonModule::parse(text.as_bytes(), version);
            let lexical = lexical::check(&text, version);
            if let Some((range, error)) = verdict(&text, version, &lexical, None) {
                prop_assert!(usize::from(range.end()) <= text.len() + 1, "{text:?}: {error}");
            }
        }
    }
}

/// What asks the parser to go back over and over ends soon.
#[test]
fn deep_and_doubtful_files_are_judged() {
    let repeated =
        |before: &str, piece: &str, times: usize, behind: &str| format!("{before}{}{behind}", piece.repeat(times));
    for text in [
        repeated("x = ", "(", 190, "1 2"),
        repeated("x = ", "{", 190, "1 2"),
        repeated("", "f(", 150, "a b"),
        repeated("", "lambda x=", 500, "1 2"),
        repeated("x = ", "not ", 1_000, "1 2"),
        repeated("", "a if b else ", 1_000, ""),
        repeated("x = (", "a ", 500, ""),
        repeated("", "{a:", 150, "1 2"),
        repeated("match x:\n case ", "{1:", 150, "a b"),
        repeated("x = f'", "{a:", 100, ""),
        repeated("", "@a\n", 500, ""),
        repeated("", "f(a=1, ", 100, "b"),
    ] {
        for version in VERSIONS {
            let error = PythonModule::parse(text.as_bytes(), version).unwrap_err();
            assert!(!error.message.is_empty());
        }
    }
}
