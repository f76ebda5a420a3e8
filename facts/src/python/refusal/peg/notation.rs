//! The notation of `python.peg`, in lexemes.

/// A lexeme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lexeme {
    Name(String),
    /// `'x'`.
    Quoted(String),
    /// `"x"`.
    Text(String),
    /// `@3.12+`: the minor versions from the first to the last.
    Versions(u8, u8),
    Sign(&'static str),
}

/// Signs, the longer ones first.
const SIGNS: [&str; 17] = ["&&", "->", "=>", "..", "|", "(", ")", "?", "*", "+", "%", "&", "!", "~", "=", ":", ","];

/// Name and marks of a rule.
type Head = (String, Vec<String>);

/// Rules in lexemes.
pub(super) struct Notation {
    rules: Vec<Head>,
    bodies: std::vec::IntoIter<Vec<Lexeme>>,
}

impl Notation {
    pub(super) fn new(source: &str) -> Result<Self, String> {
        let (mut rules, mut bodies): (Vec<Head>, Vec<Vec<Lexeme>>) = (vec![], vec![]);
        for line in source.lines().filter(|line| !line.starts_with('#')) {
            let mut rest = line;
            if line.starts_with(|c: char| c.is_ascii_lowercase()) {
                let (head, behind) = line.split_once(':').ok_or_else(|| format!("{line}: no rule"))?;
                let mut words = head.split_whitespace().map(str::to_owned);
                rules.push((words.next().unwrap_or_default(), words.collect()));
                bodies.push(vec![]);
                rest = behind;
            }
            while let Some((lexeme, behind)) = next(rest).map_err(|error| format!("{line}: {error}"))? {
                bodies.last_mut().ok_or_else(|| format!("{line}: outside of rules"))?.push(lexeme);
                rest = behind;
            }
        }
        Ok(Self { rules, bodies: bodies.into_iter() })
    }

    /// Names and marks of the rules.
    pub(super) fn rules(&mut self) -> Vec<Head> {
        std::mem::take(&mut self.rules)
    }

    /// The body of the next rule.
    pub(super) fn next_body(&mut self) -> Option<Vec<Lexeme>> {
        self.bodies.next()
    }
}

/// The first lexeme of a text and what is behind it.
fn next(text: &str) -> Result<Option<(Lexeme, &str)>, &'static str> {
    let text = text.trim_start();
    let Some(first) = text.chars().next() else { return Ok(None) };
    if first.is_ascii_alphabetic() || first == '_' {
        let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        return Ok(Some((Lexeme::Name(text[..end].to_owned()), &text[end..])));
    }
    match first {
        '\'' => {
            let (inside, behind) = text[1..].split_once('\'').ok_or("a quote is not closed")?;
            Ok(Some((Lexeme::Quoted(inside.to_owned()), behind)))
        }
        '"' => {
            let mut inside = String::new();
            let mut chars = text[1..].char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => return Ok(Some((Lexeme::Text(inside), &text[at + 2..]))),
                    '\\' => inside.extend(chars.next().map(|(_, c)| c)),
                    c => inside.push(c),
                }
            }
            Err("a text is not closed")
        }
        '@' => {
            let (guard, behind) = text[1..].split_once(' ').ok_or("nothing is guarded")?;
            let minor = |version: &str| version.strip_prefix("3.").and_then(|minor| minor.parse::<u8>().ok());
            let versions = match (guard.strip_suffix('+'), guard.split_once('-')) {
                (Some(first), _) => minor(first).map(|first| (first, u8::MAX)),
                (None, Some(("", last))) => minor(last).map(|last| (0, last)),
                (None, Some((first, last))) => minor(first).zip(minor(last)),
                (None, None) => None,
            };
            let (first, last) = versions.ok_or("no versions")?;
            Ok(Some((Lexeme::Versions(first, last), behind)))
        }
        _ => {
            let sign = SIGNS.into_iter().find(|sign| text.starts_with(sign)).ok_or("no sign")?;
            Ok(Some((Lexeme::Sign(sign), &text[sign.len()..])))
        }
    }
}
