//! How the rules of `python.peg` become a grammar.

use super::grammar::{Action, Alternative, Gap, Grammar, Helper, Item, Kinds, Label, Part, Place, Rule, Template};
use super::notation::Lexeme;
use crate::python::Version;
use crate::python::lexical::Kind;

/// Reads the body of a rule.
pub(super) struct Reader<'g> {
    pub(super) grammar: &'g mut Grammar,
    pub(super) body: &'g [Lexeme],
    /// The lexeme that is next.
    pub(super) at: usize,
    pub(super) version: Version,
}

type Read<T> = Result<T, &'static str>;

impl Reader<'_> {
    fn take(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.body.get(self.at), Some(Lexeme::Sign(next)) if *next == sign);
        self.at += usize::from(is_next);
        is_next
    }

    fn name(&mut self) -> Read<String> {
        match self.body.get(self.at) {
            Some(Lexeme::Name(name)) => {
                self.at += 1;
                Ok(name.clone())
            }
            _ => Err("a name is missing"),
        }
    }

    /// The alternatives that the version has.
    pub(super) fn alternatives(&mut self) -> Read<Vec<Alternative>> {
        let mut found = vec![];
        self.take("|");
        loop {
            let is_ours = match self.body.get(self.at) {
                Some(Lexeme::Versions(first, last)) => {
                    self.at += 1;
                    (*first..=*last).contains(&self.version.minor())
                }
                _ => true,
            };
            let alternative = self.alternative()?;
            if is_ours {
                found.push(alternative);
            }
            if !self.take("|") {
                return Ok(found);
            }
        }
    }

    fn alternative(&mut self) -> Read<Alternative> {
        let (mut parts, mut names): (Vec<Part>, Vec<String>) = (vec![], vec![]);
        while !matches!(self.body.get(self.at), None | Some(Lexeme::Sign("|" | ")" | "->" | "=>"))) {
            let name = match self.body.get(self.at..self.at + 2) {
                Some([Lexeme::Name(name), Lexeme::Sign("=")]) => Some(name.clone()),
                _ => None,
            };
            self.at += if name.is_some() { 2 } else { 0 };
            let item = self.item()?;
            let slot = name.map(|name| {
                names.push(name);
                names.len() as u8 - 1
            });
            parts.push(Part { item, slot });
        }
        if parts.is_empty() {
            return Err("an alternative is empty");
        }
        let invalid = match parts[..] {
            [Part { item: Item::Rule(rule), .. }] => self.grammar.rules[usize::from(rule)].name.starts_with("invalid_"),
            _ => false,
        };
        let has_value = |part: &Part| !matches!(part.item, Item::Ahead(..) | Item::Cut);
        let mut slots = names.len() as u8;
        let action = if self.take("->") {
            let of = self.name()?;
            match (Label::named(&of), names.iter().position(|name| *name == of)) {
                (Some(label), _) => Action::Node(label),
                (None, Some(slot)) => Action::Part(slot as u8),
                (None, None) => return Err("neither a node nor a part"),
            }
        } else if self.take("=>") {
            self.action(&names)?
        } else if parts.iter().filter(|part| has_value(part)).count() == 1 {
            let only = parts.iter_mut().find(|part| has_value(part)).ok_or("no part has a value")?;
            let slot = *only.slot.get_or_insert(slots);
            slots = slots.max(slot + 1);
            Action::Part(slot)
        } else if slots > 0 {
            Action::Node(Label::Seq)
        } else {
            Action::Unit
        };
        Ok(Alternative { parts, slots, action, invalid, first: Kinds::default() })
    }

    fn keep(&mut self, item: Item) -> u16 {
        self.grammar.items.push(item);
        self.grammar.items.len() as u16 - 1
    }

    fn item(&mut self) -> Read<Item> {
        if self.take("~") {
            return Ok(Item::Cut);
        }
        if self.take("&&") {
            let Item::Token(kind) = self.atom()? else { return Err("only a token can be forced") };
            return Ok(Item::Forced(kind));
        }
        for (sign, positive) in [("&", true), ("!", false)] {
            if self.take(sign) {
                let ahead = self.atom()?;
                return Ok(Item::Ahead(self.keep(ahead), positive));
            }
        }
        let atom = self.atom()?;
        if self.take("?") {
            Ok(Item::Optional(self.keep(atom)))
        } else if self.take("*") {
            Ok(Item::Repeat(self.keep(atom), false))
        } else if self.take("+") {
            Ok(Item::Repeat(self.keep(atom), true))
        } else if self.take("%") {
            let Item::Token(separator) = self.atom()? else { return Err("only a token separates") };
            Ok(Item::Separated(self.keep(atom), separator))
        } else {
            Ok(atom)
        }
    }

    fn atom(&mut self) -> Read<Item> {
        let lexeme = self.body.get(self.at).ok_or("an item is missing")?.clone();
        self.at += 1;
        match lexeme {
            Lexeme::Quoted(text) => Kind::spelled(&text).map(Item::Token).ok_or("no such operator or keyword"),
            Lexeme::Text(word) => match Kind::spelled(&word) {
                Some(kind) => Ok(Item::Token(kind)),
                None => {
                    let known = self.grammar.words.iter().position(|known| *known == word);
                    let index = known.unwrap_or(self.grammar.words.len());
                    if known.is_none() {
                        self.grammar.words.push(word);
                    }
                    Ok(Item::Word(index as u16))
                }
            },
            Lexeme::Name(name) if name == "SOFT_KEYWORD" => Ok(Item::AnyWord),
            Lexeme::Name(name) => match Kind::named(&name) {
                Some(kind) => Ok(Item::Token(kind)),
                None => self.grammar.rule(&name).map(Item::Rule).ok_or("no such rule"),
            },
            Lexeme::Sign("(") => {
                let alternatives = self.alternatives()?;
                if !self.take(")") {
                    return Err("a group is not closed");
                }
                self.grammar.rules.push(Rule { alternatives, ..Rule::default() });
                Ok(Item::Rule(self.grammar.rules.len() as u16 - 1))
            }
            _ => Err("no item"),
        }
    }

    fn action(&mut self, names: &[String]) -> Read<Action> {
        let slot = |name: &str| names.iter().position(|known| known == name).map(|at| at as u8).ok_or("no such part");
        let verb = self.name()?;
        if let Some(helper) = Helper::named(if verb == "target" { "" } else { &verb }) {
            let mut slots = vec![];
            while let Some(Lexeme::Name(name)) = self.body.get(self.at) {
                slots.push(slot(name)?);
                self.at += 1;
            }
            return Ok(Action::Ask(helper, slots, self.template(names).unwrap_or_default()));
        }
        if verb == "target" {
            let helper = Helper::named(&self.name()?).ok_or("no such targets")?;
            return Ok(Action::Ask(helper, vec![slot(&self.name()?)?], Template::default()));
        }
        let place = match verb.as_str() {
            "at" => Place::At(slot(&self.name()?)?),
            "from" => Place::From(slot(&self.name()?)?),
            "key" => Place::EndOf(slot(&self.name()?)?),
            "last" => Place::Last,
            "next" => Place::Next,
            "indent" => Place::Indentation,
            "last_of" => {
                let first = slot(&self.name()?)?;
                self.take("..");
                Place::LastOf(first, slot(&self.name()?)?)
            }
            first => {
                let first = slot(first)?;
                if !self.take("..") {
                    return Err("no such action");
                }
                Place::Range(first, slot(&self.name()?)?)
            }
        };
        Ok(Action::Raise(place, self.template(names)?))
    }

    fn template(&mut self, names: &[String]) -> Read<Template> {
        let Some(Lexeme::Text(text)) = self.body.get(self.at) else { return Err("a message is missing") };
        self.at += 1;
        let (mut template, mut rest) = (Template::default(), text.as_str());
        let mut from = 0;
        while let Some(open) = rest[from..].find('{').map(|at| from + at) {
            let gap = rest[open + 1..].split_once('}').and_then(|(gap, behind)| {
                let (name, what) = gap.split_once('.').unwrap_or((gap, ""));
                let slot = names.iter().position(|known| known == name)? as u8;
                let gap = match what {
                    "" => Gap::Name(slot),
                    "line" => Gap::Line(slot),
                    "text" => Gap::Text(slot),
                    _ => return None,
                };
                Some((gap, behind))
            });
            match gap {
                Some((gap, behind)) => {
                    template.gaps.push((rest[..open].to_owned(), gap));
                    (rest, from) = (behind, 0);
                }
                None => from = open + 1,
            }
        }
        template.rest = rest.to_owned();
        Ok(template)
    }
}
