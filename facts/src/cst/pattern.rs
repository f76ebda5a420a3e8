//! Patterns of `match`. To LibCST's scope analysis what a pattern captures is an access.

use ruff_python_ast::{Identifier, Pattern};

use super::expression::LOAD;
use super::walk::Walker;

impl<'w> Walker<'w> {
    pub(super) fn pattern(&mut self, pattern: &'w Pattern) {
        self.nested(1, |walker| walker.pattern_here(pattern));
    }

    fn patterns(&mut self, patterns: &'w [Pattern]) {
        patterns.iter().for_each(|pattern| self.pattern(pattern));
    }

    fn captured(&mut self, parent: &'static str, name: Option<&'w Identifier>) {
        if let Some(name) = name {
            self.name(parent, name.range, LOAD, None);
        }
    }

    fn pattern_here(&mut self, pattern: &'w Pattern) {
        match pattern {
            Pattern::MatchValue(x) => self.expression("MatchValue", &x.value),
            Pattern::MatchSingleton(x) => self.name("MatchSingleton", x.range, LOAD, None),
            Pattern::MatchSequence(x) => self.patterns(&x.patterns),
            Pattern::MatchMapping(x) => {
                for (key, pattern) in x.keys.iter().zip(&x.patterns) {
                    self.expression("MatchMappingElement", key);
                    self.pattern(pattern);
                }
                self.captured("MatchMapping", x.rest.as_ref());
            }
            Pattern::MatchClass(x) => {
                self.expression("MatchClass", &x.cls);
                self.patterns(&x.arguments.patterns);
                for keyword in &x.arguments.keywords {
                    self.captured("MatchKeywordElement", Some(&keyword.attr));
                    self.pattern(&keyword.pattern);
                }
            }
            Pattern::MatchStar(x) => self.captured("MatchStar", x.name.as_ref()),
            Pattern::MatchAs(x) => {
                x.pattern.iter().for_each(|pattern| self.pattern(pattern));
                self.captured("MatchAs", x.name.as_ref());
            }
            Pattern::MatchOr(x) => self.patterns(&x.patterns),
        }
    }
}
