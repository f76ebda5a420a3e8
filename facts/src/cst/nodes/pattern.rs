//! Patterns of `match`.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{Pattern, PatternMatchClass, PatternMatchMapping, PatternMatchSequence};
use ruff_text_size::Ranged;

use super::{Printer, Slot};

impl<'w> Printer<'w> {
    pub(super) fn pattern(&mut self, slot: Slot, pattern: &'w Pattern) {
        self.nested(|printer| printer.pattern_here(slot, pattern));
    }

    fn pattern_here(&mut self, slot: Slot, pattern: &'w Pattern) {
        match pattern {
            // Their parentheses are those of the value.
            Pattern::MatchValue(x) => {
                self.whole("MatchValue", slot, |printer| printer.expression(("value", None), &x.value));
            }
            Pattern::MatchSingleton(x) => self.whole("MatchSingleton", slot, |printer| {
                let parentheses = printer.parentheses(x.range.start());
                printer.node("Name", ("value", None), |printer| {
                    printer.parenthesized(parentheses, Self::any);
                });
            }),
            Pattern::MatchSequence(x) => self.sequence(slot, x),
            Pattern::MatchMapping(x) => self.mapping(slot, x),
            Pattern::MatchClass(x) => self.class_pattern(slot, x),
            Pattern::MatchStar(x) => self.whole("MatchStar", slot, |printer| {
                printer.token(TokenKind::Star);
                printer.blank();
                printer.captured(x.name.is_some());
            }),
            Pattern::MatchAs(x) => {
                let parentheses = self.parentheses(x.range.start());
                self.node("MatchAs", slot, |printer| {
                    printer.parenthesized(parentheses, |printer| {
                        if let Some(pattern) = &x.pattern {
                            printer.pattern(("pattern", None), pattern);
                            printer.keyword(TokenKind::As);
                        }
                        printer.captured(x.name.is_some());
                    });
                });
            }
            Pattern::MatchOr(x) => {
                let parentheses = self.parentheses(x.range.start());
                self.node("MatchOr", slot, |printer| {
                    printer.parenthesized(parentheses, |printer| {
                        for (index, pattern) in x.patterns.iter().enumerate() {
                            printer.whole("MatchOrElement", ("patterns", Some(index as i32)), |printer| {
                                printer.pattern(("pattern", None), pattern);
                                if index + 1 < x.patterns.len() {
                                    printer.operator("BitOr", ("separator", None));
                                }
                            });
                        }
                    });
                });
            }
        }
    }

    /// The name that is captured; `_` is no node.
    fn captured(&mut self, is_named: bool) {
        if is_named {
            self.name(("name", None));
        } else {
            self.any();
        }
    }

    fn sequence(&mut self, slot: Slot, sequence: &'w PatternMatchSequence) {
        let parentheses = self.parentheses(sequence.range.start());
        let at_start = self.tokens[self.next..].iter().find(|token| token.start() >= sequence.range.start());
        let opening = at_start.map(|token| token.kind());
        let spans = |printer: &mut Self| {
            let next = printer.next;
            printer.next += parentheses_and_trivia(printer, parentheses);
            let spans = printer.spans_parentheses(sequence.range.end());
            printer.next = next;
            spans
        };
        match opening {
            Some(TokenKind::Lpar) if spans(self) => self.node("MatchTuple", slot, |printer| {
                printer.parenthesized(parentheses + 1, |printer| printer.sequence_elements(&sequence.patterns));
            }),
            Some(TokenKind::Lsqb) if spans(self) => self.node("MatchList", slot, |printer| {
                printer.parenthesized(parentheses, |printer| {
                    printer.opening("LeftSquareBracket", ("lbracket", None));
                    printer.sequence_elements(&sequence.patterns);
                    printer.closing("RightSquareBracket", ("rbracket", None));
                });
            }),
            _ => self.node("MatchList", slot, |printer| {
                printer.parenthesized(parentheses, |printer| printer.sequence_elements(&sequence.patterns));
            }),
        }
    }

    fn sequence_elements(&mut self, patterns: &'w [Pattern]) {
        for (index, pattern) in patterns.iter().enumerate() {
            let is_last = index + 1 == patterns.len();
            let slot = ("patterns", Some(index as i32));
            match pattern {
                Pattern::MatchStar(star) => self.whole("MatchStar", slot, |printer| {
                    printer.token(TokenKind::Star);
                    printer.blank();
                    printer.captured(star.name.is_some());
                    printer.comma(is_last);
                }),
                pattern => self.whole("MatchSequenceElement", slot, |printer| {
                    printer.pattern(("value", None), pattern);
                    printer.comma(is_last);
                }),
            }
        }
    }

    fn mapping(&mut self, slot: Slot, mapping: &'w PatternMatchMapping) {
        let parentheses = self.parentheses(mapping.range.start());
        self.node("MatchMapping", slot, |printer| {
            printer.parenthesized(parentheses, |printer| {
                printer.opening("LeftCurlyBrace", ("lbrace", None));
                for (index, (key, pattern)) in mapping.keys.iter().zip(&mapping.patterns).enumerate() {
                    let is_last = index + 1 == mapping.keys.len() && mapping.rest.is_none();
                    printer.whole("MatchMappingElement", ("elements", Some(index as i32)), |printer| {
                        printer.expression(("key", None), key);
                        printer.keyword(TokenKind::Colon);
                        printer.pattern(("pattern", None), pattern);
                        printer.comma(is_last);
                    });
                }
                if mapping.rest.is_some() {
                    printer.token(TokenKind::DoubleStar);
                    printer.blank();
                    printer.name(("rest", None));
                    if printer.is_next(TokenKind::Comma) {
                        printer.node("Comma", ("trailing_comma", None), |printer| {
                            printer.blank();
                            printer.marked(Self::any);
                        });
                    }
                }
                printer.closing("RightCurlyBrace", ("rbrace", None));
            });
        });
    }

    fn class_pattern(&mut self, slot: Slot, class: &'w PatternMatchClass) {
        let parentheses = self.parentheses(class.range.start());
        self.node("MatchClass", slot, |printer| {
            printer.parenthesized(parentheses, |printer| {
                printer.expression(("cls", None), &class.cls);
                printer.keyword(TokenKind::Lpar);
                let arguments = &class.arguments;
                for (index, pattern) in arguments.patterns.iter().enumerate() {
                    let is_last = arguments.keywords.is_empty() && index + 1 == arguments.patterns.len();
                    printer.whole("MatchSequenceElement", ("patterns", Some(index as i32)), |printer| {
                        printer.pattern(("value", None), pattern);
                        printer.comma(is_last);
                    });
                }
                for (index, keyword) in arguments.keywords.iter().enumerate() {
                    printer.whole("MatchKeywordElement", ("kwds", Some(index as i32)), |printer| {
                        printer.name(("key", None));
                        printer.keyword(TokenKind::Equal);
                        printer.pattern(("pattern", None), &keyword.pattern);
                        printer.comma(index + 1 == arguments.keywords.len());
                    });
                }
                printer.blank();
                printer.token(TokenKind::Rpar);
            });
        });
    }
}

/// Tokens up to and with so many parentheses.
fn parentheses_and_trivia(printer: &Printer<'_>, parentheses: usize) -> usize {
    let rest = printer.tokens[printer.next..].iter();
    let significant = rest.enumerate().filter(|(_, token)| !token.kind().is_trivia());
    significant.map(|(at, _)| at).nth(parentheses).unwrap_or(0)
}
