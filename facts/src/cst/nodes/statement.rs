//! Compound statements, blocks and lines.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{
    Decorator, ElifElseClause, ExceptHandler, ExceptHandlerExceptHandler, Expr, Stmt, StmtClassDef, StmtFunctionDef,
    StmtIf, StmtMatch, StmtTry, StmtWith, WithItem,
};
use ruff_text_size::Ranged;

use super::{Printer, Slot};

impl<'w> Printer<'w> {
    /// Statements that stand on lines of their own; tells where the first starts and the last ends.
    pub(super) fn statements(&mut self, statements: &'w [Stmt]) -> (u32, u32) {
        let (mut rest, mut index) = (statements, 0);
        let mut span = (self.at, self.at);
        while !rest.is_empty() && !self.lost {
            let id = self.nodes.len();
            let slot = ("body", Some(index));
            match &rest[0] {
                simple if is_simple(simple) => {
                    let mut printed = 0;
                    self.node("SimpleStatementLine", slot, |printer| {
                        printer.lead();
                        printed = printer.line(rest);
                    });
                    rest = &rest[printed..];
                }
                compound => {
                    self.nested(|printer| printer.compound(slot, compound));
                    rest = &rest[1..];
                }
            }
            let node = self.nodes.get(id).map_or(span, |node| node.span);
            span = (if index == 0 { node.0 } else { span.0 }, node.1);
            index += 1;
        }
        span
    }

    /// The simple statements of a line and its end; tells how many there were.
    fn line(&mut self, statements: &'w [Stmt]) -> usize {
        let mut printed = 0;
        self.marked_to(|printer| {
            let mut end = printer.at;
            for statement in statements {
                let id = printer.nodes.len();
                printer.small(("body", Some(printed as i32)), statement);
                printed += 1;
                end = printer.nodes.get(id).map_or(end, |node| node.span.1);
                if printer.lost || matches!(printer.kind_of_next(), Some(TokenKind::Newline) | None) {
                    break;
                }
            }
            end
        });
        self.newline();
        printed
    }

    /// What follows a colon; tells where it ends.
    fn suite(&mut self, body: &'w [Stmt]) -> u32 {
        let id = self.nodes.len();
        if !self.is_next(TokenKind::Newline) {
            self.node("SimpleStatementSuite", ("body", None), |printer| {
                printer.blank();
                printer.line(body);
            });
        } else {
            self.node("IndentedBlock", ("body", None), |printer| {
                printer.newline();
                let span = printer.statements(body);
                printer.footer(body.first());
                printer.nodes[id].span = span;
            });
        }
        self.nodes.get(id).map_or(self.at, |node| node.span.1)
    }

    /// Comments and blank lines behind a block that are indented as it is belong to it.
    fn footer(&mut self, first: Option<&Stmt>) {
        if let Some(first) = first {
            self.footer_at(first.start().to_usize());
        }
    }

    /// The same, of a block with a statement or case at this offset.
    fn footer_at(&mut self, first: usize) {
        let text = self.module.text();
        let start = text[..first].rfind('\n').map_or(0, |at| at + 1);
        let line = &text[start..];
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t', '\x0c']).len()];
        let limit = self.peek().map_or(text.len(), |next| next.start().to_usize());
        let mut at = self.at as usize;
        for line in text.get(at..limit).unwrap_or_default().split_inclusive('\n') {
            let is_whole = line.ends_with('\n') || (limit == text.len() && !line.is_empty());
            at += line.len();
            if is_whole && line.starts_with(indent) {
                self.at = at as u32;
            }
        }
    }

    pub(super) fn head(&mut self, keyword: TokenKind) {
        self.token(keyword);
        self.blank();
    }

    fn colon(&mut self) {
        self.blank();
        self.token(TokenKind::Colon);
    }

    fn compound(&mut self, slot: Slot, statement: &'w Stmt) {
        match statement {
            Stmt::FunctionDef(x) => self.function(slot, x),
            Stmt::ClassDef(x) => self.class(slot, x),
            Stmt::If(x) => self.if_statement(slot, x),
            Stmt::For(x) => self.node("For", slot, |printer| {
                printer.lead();
                printer.marked_to(|printer| {
                    printer.asynchronous(x.is_async);
                    printer.head(TokenKind::For);
                    printer.expression(("target", None), &x.target);
                    printer.keyword(TokenKind::In);
                    printer.expression(("iter", None), &x.iter);
                    printer.colon();
                    let end = printer.suite(&x.body);
                    printer.else_clause("orelse", &x.orelse).unwrap_or(end)
                });
            }),
            Stmt::While(x) => self.node("While", slot, |printer| {
                printer.lead();
                printer.marked_to(|printer| {
                    printer.head(TokenKind::While);
                    printer.expression(("test", None), &x.test);
                    printer.colon();
                    let end = printer.suite(&x.body);
                    printer.else_clause("orelse", &x.orelse).unwrap_or(end)
                });
            }),
            Stmt::With(x) => self.with(slot, x),
            Stmt::Match(x) => self.match_statement(slot, x),
            Stmt::Try(x) => self.try_statement(slot, x),
            _ => self.lost = true,
        }
    }

    fn else_clause(&mut self, slot: &'static str, body: &'w [Stmt]) -> Option<u32> {
        self.clause("Else", slot, TokenKind::Else, body)
    }

    /// `else` or `finally`; tells where it ends.
    fn clause(&mut self, kind: &'static str, slot: &'static str, word: TokenKind, body: &'w [Stmt]) -> Option<u32> {
        if body.is_empty() {
            return None;
        }
        let mut end = self.at;
        self.node(kind, (slot, None), |printer| {
            printer.lead();
            printer.marked_to(|printer| {
                printer.token(word);
                printer.colon();
                end = printer.suite(body);
                end
            });
        });
        Some(end)
    }

    /// `elif` is an `If` in the one before; all are closed where the last ends.
    fn if_statement(&mut self, slot: Slot, statement: &'w StmtIf) {
        let mut opened = vec![];
        let mut end = self.head_of_if(slot, TokenKind::If, &statement.test, &statement.body, &mut opened);
        for ElifElseClause { test, body, .. } in &statement.elif_else_clauses {
            end = match test {
                Some(test) => self.head_of_if(("orelse", None), TokenKind::Elif, test, body, &mut opened),
                None => self.else_clause("orelse", body).unwrap_or(end),
            };
        }
        for (id, start) in opened.into_iter().rev() {
            self.nodes[id as usize].span = (start, end);
            self.close();
        }
    }

    fn head_of_if(
        &mut self,
        slot: Slot,
        word: TokenKind,
        test: &'w Expr,
        body: &'w [Stmt],
        opened: &mut Vec<(u32, u32)>,
    ) -> u32 {
        let id = self.open("If", Some(slot));
        self.lead();
        opened.push((id, self.at));
        self.head(word);
        self.expression(("test", None), test);
        self.colon();
        self.suite(body)
    }

    fn try_statement(&mut self, slot: Slot, statement: &'w StmtTry) {
        self.node(if statement.is_star { "TryStar" } else { "Try" }, slot, |printer| {
            printer.lead();
            printer.marked_to(|printer| {
                printer.token(TokenKind::Try);
                printer.colon();
                let mut end = printer.suite(&statement.body);
                for (index, ExceptHandler::ExceptHandler(handler)) in statement.handlers.iter().enumerate() {
                    end = printer.handler(("handlers", Some(index as i32)), handler, statement.is_star);
                }
                end = printer.else_clause("orelse", &statement.orelse).unwrap_or(end);
                printer.clause("Finally", "finalbody", TokenKind::Finally, &statement.finalbody).unwrap_or(end)
            });
        });
    }

    fn handler(&mut self, slot: Slot, handler: &'w ExceptHandlerExceptHandler, is_star: bool) -> u32 {
        let mut end = self.at;
        self.node(if is_star { "ExceptStarHandler" } else { "ExceptHandler" }, slot, |printer| {
            printer.lead();
            printer.marked_to(|printer| {
                printer.head(TokenKind::Except);
                if is_star {
                    printer.head(TokenKind::Star);
                }
                printer.optional(("type", None), handler.type_.as_deref());
                if handler.name.is_some() {
                    printer.as_name("name", Self::name);
                }
                printer.colon();
                end = printer.suite(&handler.body);
                end
            });
        });
        end
    }

    pub(super) fn as_name(&mut self, slot: &'static str, name: impl FnOnce(&mut Self, Slot)) {
        self.plain("AsName", (slot, None), |printer| {
            printer.keyword(TokenKind::As);
            name(printer, ("name", None));
        });
    }

    fn with(&mut self, slot: Slot, statement: &'w StmtWith) {
        self.node("With", slot, |printer| {
            printer.lead();
            printer.marked_to(|printer| {
                printer.asynchronous(statement.is_async);
                printer.head(TokenKind::With);
                let parenthesized = printer.parenthesizes_items(&statement.items);
                if parenthesized {
                    printer.opening("LeftParen", ("lpar", None));
                }
                for (index, item) in statement.items.iter().enumerate() {
                    printer.node("WithItem", ("items", Some(index as i32)), |printer| {
                        printer.marked(|printer| {
                            printer.expression(("item", None), &item.context_expr);
                            if let Some(target) = &item.optional_vars {
                                printer.as_name("asname", |printer, slot| printer.expression(slot, target));
                            }
                        });
                        printer.comma(index + 1 == statement.items.len());
                    });
                }
                if parenthesized {
                    printer.closing("RightParen", ("rpar", None));
                }
                printer.colon();
                printer.suite(&statement.body)
            });
        });
    }

    /// Whether the parenthesis behind `with` is the statement's: it is wherever it can be.
    fn parenthesizes_items(&mut self, items: &[WithItem]) -> bool {
        if !self.is_next(TokenKind::Lpar) {
            return false;
        }
        let next = self.next;
        let closing = self.matching();
        let before_colon = closing.is_some_and(|at| {
            self.next = at + 1;
            let before_colon = self.is_next(TokenKind::Colon);
            self.next = next;
            before_colon
        });
        let start = self.tokens.get(next).map(Ranged::start);
        // What only parentheses make an expression takes them, unless there are more.
        let needs_own = match items {
            [WithItem { context_expr, optional_vars: None, .. }] => match context_expr {
                Expr::Tuple(tuple) => tuple.parenthesized && Some(tuple.range.start()) == start,
                Expr::Generator(generator) => Some(generator.range.start()) == start,
                Expr::Named(_) | Expr::Yield(_) | Expr::YieldFrom(_) => self.parentheses(context_expr.start()) < 2,
                _ => false,
            },
            _ => false,
        };
        before_colon && !needs_own
    }

    fn match_statement(&mut self, slot: Slot, statement: &'w StmtMatch) {
        self.node("Match", slot, |printer| {
            printer.lead();
            printer.marked_to(|printer| {
                printer.any();
                printer.blank();
                printer.expression(("subject", None), &statement.subject);
                printer.colon();
                printer.newline();
                let mut end = printer.at;
                for (index, case) in statement.cases.iter().enumerate() {
                    printer.node("MatchCase", ("cases", Some(index as i32)), |printer| {
                        printer.lead();
                        printer.marked_to(|printer| {
                            printer.any();
                            printer.blank();
                            printer.pattern(("pattern", None), &case.pattern);
                            if let Some(guard) = &case.guard {
                                printer.keyword(TokenKind::If);
                                printer.expression(("guard", None), guard);
                            }
                            printer.colon();
                            end = printer.suite(&case.body);
                            end
                        });
                    });
                }
                if let Some(case) = statement.cases.first() {
                    printer.footer_at(case.range.start().to_usize());
                }
                end
            });
        });
    }

    fn decorators(&mut self, decorators: &'w [Decorator]) {
        for (index, decorator) in decorators.iter().enumerate() {
            // Lines before the first are the definition's; its indentation is its own.
            if index == 0 {
                self.lead_lines();
            }
            self.node("Decorator", ("decorators", Some(index as i32)), |printer| {
                printer.lead();
                printer.marked(|printer| {
                    printer.head(TokenKind::At);
                    printer.expression(("decorator", None), &decorator.expression);
                });
                printer.newline();
            });
        }
    }

    fn function(&mut self, slot: Slot, def: &'w StmtFunctionDef) {
        self.node("FunctionDef", slot, |printer| {
            printer.decorators(&def.decorator_list);
            printer.lead();
            printer.marked_to(|printer| {
                printer.asynchronous(def.is_async);
                printer.head(TokenKind::Def);
                printer.name(("name", None));
                printer.blank();
                if let Some(params) = &def.type_params {
                    printer.type_params(params);
                    printer.blank();
                }
                printer.head(TokenKind::Lpar);
                printer.parameters(Some(&def.parameters));
                printer.token(TokenKind::Rpar);
                if let Some(returns) = &def.returns {
                    printer.annotation(("returns", None), TokenKind::Rarrow, returns);
                }
                printer.colon();
                printer.suite(&def.body)
            });
        });
    }

    fn class(&mut self, slot: Slot, class: &'w StmtClassDef) {
        self.node("ClassDef", slot, |printer| {
            printer.decorators(&class.decorator_list);
            printer.lead();
            printer.marked_to(|printer| {
                printer.head(TokenKind::Class);
                printer.name(("name", None));
                printer.blank();
                if let Some(params) = &class.type_params {
                    printer.type_params(params);
                    printer.blank();
                }
                if let Some(arguments) = &class.arguments {
                    printer.opening("LeftParen", ("lpar", None));
                    let (mut bases, mut keywords) = (0, 0);
                    for argument in arguments.iter_source_order() {
                        let is_base = matches!(argument, ruff_python_ast::ArgOrKeyword::Arg(_));
                        let (field, index) = if is_base { ("bases", &mut bases) } else { ("keywords", &mut keywords) };
                        printer.argument((field, Some(*index)), argument, false);
                        *index += 1;
                    }
                    printer.closing("RightParen", ("rpar", None));
                }
                printer.colon();
                printer.suite(&class.body)
            });
        });
    }
}

fn is_simple(statement: &Stmt) -> bool {
    !matches!(
        statement,
        Stmt::FunctionDef(_)
            | Stmt::ClassDef(_)
            | Stmt::If(_)
            | Stmt::For(_)
            | Stmt::While(_)
            | Stmt::With(_)
            | Stmt::Match(_)
            | Stmt::Try(_)
    )
}
