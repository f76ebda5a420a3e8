//! Patterns of `match` statements.

use ruff_python_ast::{Identifier, Pattern, Singleton};
use ruff_text_size::Ranged;

use super::walk::{Labels, Place, Walker};

fn id(identifier: Option<&Identifier>) -> Option<&str> {
    identifier.map(|i| i.id.as_str())
}

impl Walker<'_> {
    pub(super) fn pattern(&mut self, place: Place, pattern: &Pattern) {
        self.nested(|walker| walker.pattern_here(place, pattern));
    }

    fn pattern_here(&mut self, place: Place, pattern: &Pattern) {
        let range = Some(pattern.range());
        match pattern {
            Pattern::MatchValue(x) => {
                let node = self.node(place, "MatchValue", range, Labels::NONE);
                self.expression(Place::field(node, "value"), &x.value);
            }
            Pattern::MatchSingleton(x) => {
                let (value, value_type) = match x.value {
                    Singleton::None => ("None", "NoneType"),
                    Singleton::True => ("True", "bool"),
                    Singleton::False => ("False", "bool"),
                };
                let labels = Labels { value: Some(value), value_type: Some(value_type), ..Labels::NONE };
                self.node(place, "MatchSingleton", range, labels);
            }
            Pattern::MatchSequence(x) => {
                let node = self.node(place, "MatchSequence", range, Labels::NONE);
                self.patterns(node, "patterns", x.patterns.iter());
            }
            Pattern::MatchMapping(x) => {
                let node = self.node(place, "MatchMapping", range, Labels::name(id(x.rest.as_ref())));
                self.expressions(node, "keys", &x.keys);
                self.patterns(node, "patterns", x.patterns.iter());
            }
            Pattern::MatchClass(x) => {
                let attributes: Vec<&str> = x.arguments.keywords.iter().map(|k| k.attr.id.as_str()).collect();
                let attributes = (!attributes.is_empty()).then(|| attributes.join(","));
                let node = self.node(place, "MatchClass", range, Labels::name(attributes.as_deref()));
                self.expression(Place::field(node, "cls"), &x.cls);
                self.patterns(node, "patterns", x.arguments.patterns.iter());
                self.patterns(node, "kwd_patterns", x.arguments.keywords.iter().map(|k| &k.pattern));
            }
            Pattern::MatchStar(x) => {
                self.node(place, "MatchStar", range, Labels::name(id(x.name.as_ref())));
            }
            Pattern::MatchAs(x) => {
                let node = self.node(place, "MatchAs", range, Labels::name(id(x.name.as_ref())));
                if let Some(pattern) = &x.pattern {
                    self.pattern(Place::field(node, "pattern"), pattern);
                }
            }
            Pattern::MatchOr(x) => {
                let node = self.node(place, "MatchOr", range, Labels::NONE);
                self.patterns(node, "patterns", x.patterns.iter());
            }
        }
    }

    fn patterns<'p>(&mut self, parent: i32, field: &'static str, patterns: impl Iterator<Item = &'p Pattern>) {
        for (index, pattern) in patterns.enumerate() {
            self.pattern(Place::item(parent, field, index), pattern);
        }
    }
}
