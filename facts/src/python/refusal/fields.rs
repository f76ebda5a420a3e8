//! Fields of f-strings that the parser accepts and CPython refuses: from 3.12 on for how deep they are, before that for
//! what its reader of these strings did not know (`fstring_find_expr` in `Parser/string_parser.c`).

use ruff_python_ast::token::{Token, TokenKind, Tokens};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::Refusal;
use crate::python::lexical::MAX_FIELDS;
use crate::python::{PythonError, Version};

/// Fields that may be open within each other's specifications before 3.12.
const OLD_MAX_FIELDS: usize = 2;

/// What is open around a token.
#[derive(Clone, Copy)]
enum Open {
    String,
    /// A bracket in an expression.
    Bracket,
    Field(Part),
}

/// The part of a field that is being read.
#[derive(Clone, Copy)]
enum Part {
    Start,
    Expression,
    /// An expression that begins with this star, and no comma so far.
    Starred(TextRange),
    /// What is behind the exclamation mark, up to here.
    Conversion(TextSize),
    Specification,
}

/// The first field that CPython refuses in a file that the parser accepts.
pub(in crate::python) fn refused_field(tokens: &Tokens, version: Version) -> Option<Refusal> {
    use TokenKind as T;
    let old = version < Version::Py312;
    let max_fields = if old { OLD_MAX_FIELDS } else { MAX_FIELDS };
    let refuse = |range: TextRange, message: &str| {
        Some((range, PythonError::new("SyntaxError", format!("f-string: {message}"), None)))
    };
    let mut around: Vec<Open> = vec![];
    for token in tokens {
        if around.is_empty() && !matches!(token.kind(), T::FStringStart | T::TStringStart) {
            continue;
        }
        let opens_field = matches!(around.last(), Some(Open::String | Open::Field(Part::Specification)));
        match token.kind() {
            T::FStringStart | T::TStringStart => {
                begin(&mut around);
                around.push(Open::String);
            }
            T::Lbrace if opens_field => {
                let fields = around.iter().rev().take(max_fields).take_while(|open| matches!(open, Open::Field(_)));
                if fields.count() == max_fields {
                    return refuse(token.range(), "expressions nested too deeply");
                }
                around.push(Open::Field(Part::Start));
            }
            T::Lpar | T::Lsqb | T::Lbrace => {
                begin(&mut around);
                around.push(Open::Bracket);
            }
            kind => {
                if let Some(Open::Field(part)) = around.last_mut() {
                    if old && let Some((range, message)) = part.refuses(token, version) {
                        return refuse(range, message);
                    }
                    *part = part.after(token);
                }
                if matches!(kind, T::Rpar | T::Rsqb | T::Rbrace | T::FStringEnd | T::TStringEnd) {
                    around.pop();
                }
            }
        }
    }
    None
}

impl Part {
    /// What of a field was refused before 3.12, now that this token comes.
    fn refuses(self, token: &Token, version: Version) -> Option<(TextRange, &'static str)> {
        use TokenKind as T;
        if !matches!(token.kind(), T::Equal | T::Exclamation | T::Colon | T::Rbrace) {
            return None;
        }
        match self {
            Self::Starred(star) if version >= Version::Py311 => Some((star, "cannot use starred expression here")),
            Self::Starred(star) if version >= Version::Py39 => Some((star, "can't use starred expression here")),
            Self::Conversion(end) if end != token.start() => Some((token.range(), "expecting '}'")),
            _ => None,
        }
    }

    /// The part that the field is in behind a token, which opens nothing.
    fn after(self, token: &Token) -> Self {
        match (self, token.kind()) {
            (part, kind) if kind.is_trivia() => part,
            (Self::Specification, _) | (_, TokenKind::Colon) => Self::Specification,
            (Self::Conversion(_), _) | (_, TokenKind::Exclamation) => Self::Conversion(token.end()),
            (Self::Start, TokenKind::Star) => Self::Starred(token.range()),
            (Self::Starred(star), kind) if kind != TokenKind::Comma => Self::Starred(star),
            _ => Self::Expression,
        }
    }
}

/// What opens here is the beginning of a field's expression, or further on in it.
fn begin(around: &mut [Open]) {
    if let Some(Open::Field(part @ Part::Start)) = around.last_mut() {
        *part = Part::Expression;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::PythonModule;

    /// The versions that accept an expression.
    fn accepting(source: &str) -> Vec<Version> {
        let accepts = |version: &Version| PythonModule::parse(source.as_bytes(), *version).is_ok();
        Version::ALL.into_iter().filter(accepts).collect()
    }

    const ALL: &[Version] = &Version::ALL;
    const NONE: &[Version] = &[];

    fn since(version: Version) -> Vec<Version> {
        Version::ALL.into_iter().filter(|other| *other >= version).collect()
    }

    #[test]
    fn fields_nest_three_deep_and_before_3_12_two() {
        for source in ["f'{a:{b}{c}}'", "f'{a:{f\"{b:{c}}\"}}'", "f'{f\"{a:{b}}\":{c}}'", "f'{a:{ {b: {c}}[{d}] }}'"] {
            assert_eq!(accepting(source), ALL, "{source}");
        }
        for source in ["f'{a:{b:{c}}}'", "f'{a:{b!r:{c:d}}}'", "f'{a:{b}{c:{d}}}'", "f'{a:{f\"{b:{c:{d}}}\"}}'"] {
            assert_eq!(accepting(source), since(Version::Py312), "{source}");
        }
        for source in ["f'{a:{b:{c:{d}}}}'", "f'{a}{a:{b:{c:x{d}}}}'", "f'{f\"{a:{b:{c:{d:{e}}}}}\"}'"] {
            assert_eq!(accepting(source), NONE, "{source}");
        }
        assert_eq!(accepting("t'{a:{b:{c}}}'"), [Version::Py314]);
        assert_eq!(accepting("t'{a:{b:{c:{d}}}}'"), NONE);
    }

    #[test]
    fn before_3_12_a_field_is_no_place_for_a_star_or_for_blanks_behind_a_conversion() {
        for source in ["f'{*a,}'", "f'{*a, b!r}'", "f'{[*a]}'", "f'{f(*a)}'", "f'{a * b}'", "f'{(a)*b}'", "f'{a !r:x}'"]
        {
            assert_eq!(accepting(source), ALL, "{source}");
        }
        for source in ["f'{a!r }'", "f'{a!r :x}'", "f'{a:{b!r }}'", "f'''{a!r\n}'''"] {
            assert_eq!(accepting(source), since(Version::Py312), "{source}");
        }
        // What `ast` of 3.8 accepts, its compiler refuses.
        for source in ["f'{*a}'", "f'{ *a!r}'", "f'{*(a)=}'", "f'{a:{*b}}'", "f'{*[a, b]:x}'"] {
            assert!(!accepting(source).contains(&Version::Py311), "{source}");
            assert!(accepting(source).ends_with(&since(Version::Py312)), "{source}");
        }
    }
}
