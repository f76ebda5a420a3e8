//! Simple statements.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{Alias, Expr, Identifier, Stmt, StmtImportFrom};
use ruff_text_size::Ranged;

use super::expression::augmented;
use super::{Printer, Slot};

impl<'w> Printer<'w> {
    /// A simple statement with its semicolon.
    pub(super) fn small(&mut self, slot: Slot, statement: &'w Stmt) {
        let kind = match statement {
            Stmt::Return(_) => "Return",
            Stmt::Delete(_) => "Del",
            Stmt::TypeAlias(_) => "TypeAlias",
            Stmt::Assign(_) => "Assign",
            Stmt::AugAssign(_) => "AugAssign",
            Stmt::AnnAssign(_) => "AnnAssign",
            Stmt::Raise(_) => "Raise",
            Stmt::Assert(_) => "Assert",
            Stmt::Import(_) => "Import",
            Stmt::ImportFrom(_) => "ImportFrom",
            Stmt::Global(_) => "Global",
            Stmt::Nonlocal(_) => "Nonlocal",
            Stmt::Expr(_) => "Expr",
            Stmt::Pass(_) => "Pass",
            Stmt::Break(_) => "Break",
            _ => "Continue",
        };
        self.node(kind, slot, |printer| {
            if let Stmt::TypeAlias(_) = statement {
                return printer.marked(|printer| {
                    printer.small_inner(statement);
                    printer.semicolon();
                });
            }
            printer.marked(|printer| printer.small_inner(statement));
            printer.semicolon();
        });
    }

    fn semicolon(&mut self) {
        if self.is_next(TokenKind::Semi) {
            self.operator("Semicolon", ("semicolon", None));
        }
    }

    fn small_inner(&mut self, statement: &'w Stmt) {
        match statement {
            Stmt::Return(x) => {
                self.token(TokenKind::Return);
                if let Some(value) = &x.value {
                    self.blank();
                    self.expression(("value", None), value);
                }
            }
            Stmt::Delete(x) => {
                self.head(TokenKind::Del);
                self.deleted(&x.targets);
            }
            Stmt::TypeAlias(x) => {
                self.any();
                self.blank();
                self.name(("name", None));
                self.blank();
                if let Some(params) = &x.type_params {
                    self.type_params(params);
                    self.blank();
                }
                self.head(TokenKind::Equal);
                self.expression(("value", None), &x.value);
            }
            Stmt::Assign(x) => {
                for (index, target) in x.targets.iter().enumerate() {
                    self.node("AssignTarget", ("targets", Some(index as i32)), |printer| {
                        printer.marked(|printer| printer.expression(("target", None), target));
                        printer.keyword(TokenKind::Equal);
                    });
                }
                self.expression(("value", None), &x.value);
            }
            Stmt::AugAssign(x) => {
                self.expression(("target", None), &x.target);
                self.operator(augmented(x.op), ("operator", None));
                self.expression(("value", None), &x.value);
            }
            Stmt::AnnAssign(x) => {
                self.expression(("target", None), &x.target);
                self.annotation(("annotation", None), TokenKind::Colon, &x.annotation);
                if let Some(value) = &x.value {
                    self.equal();
                    self.expression(("value", None), value);
                }
            }
            Stmt::Raise(x) => {
                self.token(TokenKind::Raise);
                if let Some(exc) = &x.exc {
                    self.blank();
                    self.expression(("exc", None), exc);
                }
                if let Some(cause) = &x.cause {
                    self.from(cause, "cause");
                }
            }
            Stmt::Assert(x) => {
                self.head(TokenKind::Assert);
                self.expression(("test", None), &x.test);
                if let Some(msg) = &x.msg {
                    self.comma(false);
                    self.expression(("msg", None), msg);
                }
            }
            Stmt::Import(x) => {
                self.head(TokenKind::Import);
                self.aliases(&x.names);
            }
            Stmt::ImportFrom(x) => self.import_from(x),
            Stmt::Global(x) => self.items_of(TokenKind::Global, &x.names),
            Stmt::Nonlocal(x) => self.items_of(TokenKind::Nonlocal, &x.names),
            Stmt::Expr(x) => self.expression(("value", None), &x.value),
            _ => self.any(),
        }
    }

    /// Several targets, or one with a comma behind it, are a tuple.
    fn deleted(&mut self, targets: &'w [Expr]) {
        let is_tuple = match targets {
            [target] => {
                let after = self.tokens.iter().skip(self.next).find(|token| {
                    token.start() >= target.end() && !token.kind().is_trivia() && token.kind() != TokenKind::Rpar
                });
                after.is_some_and(|token| token.kind() == TokenKind::Comma)
            }
            _ => true,
        };
        match targets {
            [target] if !is_tuple => self.expression(("target", None), target),
            targets => self.whole("Tuple", ("target", None), |printer| printer.elements(targets)),
        }
    }

    fn items_of(&mut self, word: TokenKind, names: &[Identifier]) {
        self.head(word);
        for index in 0..names.len() {
            self.node("NameItem", ("names", Some(index as i32)), |printer| {
                printer.marked(|printer| printer.name(("name", None)));
                printer.comma(false);
            });
        }
    }

    fn aliases(&mut self, aliases: &'w [Alias]) {
        for (index, alias) in aliases.iter().enumerate() {
            self.node("ImportAlias", ("names", Some(index as i32)), |printer| {
                printer.marked(|printer| {
                    printer.dotted(("name", None), &alias.name);
                    if alias.asname.is_some() {
                        printer.as_name("asname", Self::name);
                    }
                });
                printer.comma(false);
            });
        }
    }

    /// A dotted name of an import.
    fn dotted(&mut self, slot: Slot, name: &Identifier) {
        let dots = name.id.matches('.').count();
        let (mut slot, start) = (slot, self.at);
        for _ in 0..dots {
            self.open("Attribute", Some(slot));
            slot = ("value", None);
        }
        self.name(slot);
        for _ in 0..dots {
            self.operator("Dot", ("dot", None));
            self.name(("attr", None));
            if let Some(id) = self.open.last() {
                self.nodes[*id as usize].span = (start, self.at);
            }
            self.close();
        }
    }

    fn import_from(&mut self, import: &'w StmtImportFrom) {
        self.head(TokenKind::From);
        self.relative(import.level, import.module.is_some());
        if let Some(module) = &import.module {
            self.dotted(("module", None), module);
        }
        self.keyword(TokenKind::Import);
        if self.is_next(TokenKind::Star) {
            return self.plain("ImportStar", ("names", None), Self::any);
        }
        let parenthesized = self.is_next(TokenKind::Lpar);
        if parenthesized {
            self.opening("LeftParen", ("lpar", None));
        }
        self.aliases(&import.names);
        if parenthesized {
            self.closing("RightParen", ("rpar", None));
        }
    }

    /// Leading dots; `...` is one token and three dots.
    fn relative(&mut self, level: u32, has_module: bool) {
        let mut printed = 0;
        while printed < level && !self.lost {
            let in_token = if self.is_next(TokenKind::Ellipsis) { 3 } else { 1 };
            for part in 0..in_token {
                let is_last = printed + 1 == level;
                self.node("Dot", ("relative", Some(printed as i32)), |printer| {
                    if part == 0 {
                        printer.blank();
                    }
                    printer.marked(|printer| {
                        if part == 0 && in_token == 1 {
                            printer.token(TokenKind::Dot);
                        } else if part + 1 == in_token {
                            printer.token(TokenKind::Ellipsis);
                        } else {
                            printer.at += 1;
                        }
                    });
                    // Behind the last dot of a bare relative import the whitespace is that of `import`.
                    if part + 1 == in_token && (has_module || !is_last) {
                        printer.blank();
                    }
                });
                printed += 1;
            }
        }
    }
}
