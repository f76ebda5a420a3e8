//! LibCST's tree, node by node.
//!
//! LibCST defines a node's span by how it prints the node: everything printed belongs to the node with its whitespace,
//! what is printed inside a marked part belongs to it without. So this module prints in thought: a cursor runs over the
//! tokens in the order in which LibCST prints them, and each node notes where the cursor stood.

mod expression;
mod parts;
mod pattern;
mod small;
mod statement;

use ruff_python_ast::Expr;
use ruff_python_ast::token::{Token, TokenKind};
use ruff_text_size::{Ranged, TextSize};

use super::walk::with_stack;
use crate::python::PythonModule;

/// The field that holds a node, and its index where the field is a list.
pub(super) type Slot = (&'static str, Option<i32>);

/// A node. Nodes of whitespace and comments are left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// LibCST's class.
    pub(super) kind: &'static str,
    pub(super) parent: Option<u32>,
    pub(super) slot: Option<Slot>,
    /// First and last offset, without whitespace.
    pub(super) span: (u32, u32),
    /// With the whitespace that the node owns.
    pub(super) owned: (u32, u32),
}

/// The printer.
pub(super) struct Printer<'w> {
    module: &'w PythonModule<'w>,
    tokens: &'w [Token],
    /// The token that is printed next, or trivia before it.
    next: usize,
    /// Where the cursor stands.
    at: u32,
    nodes: Vec<Node>,
    open: Vec<u32>,
    /// A token was not the one that was to be printed: the tree is not the one LibCST builds.
    lost: bool,
}

/// The nodes of a file, parents before children, in the order of the source.
///
/// # Errors
/// The offset at which the tree turned out to be none that this module knows.
pub(super) fn nodes(module: &PythonModule<'_>) -> Result<Vec<Node>, TextSize> {
    let mut printer =
        Printer { module, tokens: module.tokens(), next: 0, at: 0, nodes: vec![], open: vec![], lost: false };
    printer.open("Module", None);
    // Lines before the first statement are the module's.
    printer.lead();
    printer.statements(module.body());
    printer.at = module.text().len() as u32;
    printer.nodes[0].span = (0, printer.at);
    printer.nodes[0].owned = (0, printer.at);
    if printer.lost { Err(TextSize::new(printer.at)) } else { Ok(printer.nodes) }
}

impl<'w> Printer<'w> {
    fn open(&mut self, kind: &'static str, slot: Option<Slot>) -> u32 {
        let id = self.nodes.len() as u32;
        let (parent, here) = (self.open.last().copied(), (self.at, self.at));
        self.nodes.push(Node { kind, parent, slot, span: here, owned: here });
        self.open.push(id);
        id
    }

    fn close(&mut self) {
        if let Some(id) = self.open.pop() {
            self.nodes[id as usize].owned.1 = self.at;
        }
    }

    /// Prints a node of which nothing is marked.
    fn plain(&mut self, kind: &'static str, slot: Slot, print: impl FnOnce(&mut Self)) {
        let id = self.open(kind, Some(slot));
        print(self);
        self.close();
        let node = &mut self.nodes[id as usize];
        node.span = node.owned;
    }

    /// Prints a node with a marked part, which [`Self::marked`] prints.
    fn node(&mut self, kind: &'static str, slot: Slot, print: impl FnOnce(&mut Self)) {
        self.open(kind, Some(slot));
        print(self);
        self.close();
    }

    /// Prints the part of the innermost open node that is its span.
    fn marked(&mut self, print: impl FnOnce(&mut Self)) {
        let id = self.open.last().copied();
        let start = self.at;
        print(self);
        if let Some(id) = id {
            self.nodes[id as usize].span = (start, self.at);
        }
    }

    /// The same, for a node that ends where the last node of its `end` does.
    fn marked_to(&mut self, print: impl FnOnce(&mut Self) -> u32) {
        let id = self.open.last().copied();
        let start = self.at;
        let end = print(self);
        if let Some(id) = id {
            self.nodes[id as usize].span = (start, end);
        }
    }

    /// A node that is marked as a whole.
    fn whole(&mut self, kind: &'static str, slot: Slot, print: impl FnOnce(&mut Self)) {
        self.node(kind, slot, |printer| printer.marked(print));
    }

    /// The token that comes next, or the end of the file.
    fn peek(&mut self) -> Option<&'w Token> {
        while let Some(token) = self.tokens.get(self.next) {
            let kind = token.kind();
            if !matches!(
                kind,
                TokenKind::Comment | TokenKind::NonLogicalNewline | TokenKind::Indent | TokenKind::Dedent
            ) {
                return Some(token);
            }
            self.next += 1;
        }
        None
    }

    fn is_next(&mut self, kind: TokenKind) -> bool {
        self.peek().is_some_and(|token| token.kind() == kind)
    }

    fn kind_of_next(&mut self) -> Option<TokenKind> {
        self.peek().map(|token| token.kind())
    }

    /// Prints whatever token comes next.
    fn any(&mut self) {
        if let Some(token) = self.peek() {
            self.at = token.end().to_u32();
            self.next += 1;
        }
    }

    /// Prints a token.
    fn token(&mut self, kind: TokenKind) {
        if self.is_next(kind) {
            self.any();
        } else {
            self.lost = true;
        }
    }

    /// Prints the whitespace up to the next token, or to the comment that ends the line.
    fn blank(&mut self) {
        let comment = self.tokens.get(self.next).filter(|token| token.kind() == TokenKind::Comment);
        let Some(next) = self.peek() else { return };
        let next = if next.kind() == TokenKind::Newline { comment.unwrap_or(next) } else { next };
        self.at = self.at.max(next.start().to_u32());
    }

    /// Prints blank lines, comments and indentation up to the next token.
    fn lead(&mut self) {
        if let Some(next) = self.peek() {
            self.at = self.at.max(next.start().to_u32());
        }
    }

    /// Prints blank lines and comments up to the line of the next token.
    fn lead_lines(&mut self) {
        if let Some(next) = self.peek() {
            let before = &self.module.text()[..next.start().to_usize()];
            self.at = self.at.max(before.rfind('\n').map_or(0, |at| at as u32 + 1));
        }
    }

    /// Prints the rest of a line: whitespace, comment, line end.
    fn newline(&mut self) {
        self.token(TokenKind::Newline);
    }

    /// A name that stands as a token.
    fn name(&mut self, slot: Slot) {
        self.whole("Name", slot, Self::any);
    }

    /// An operator of one token with the whitespace around it.
    fn operator(&mut self, kind: &'static str, slot: Slot) {
        self.node(kind, slot, |printer| {
            printer.blank();
            printer.marked(Self::any);
            printer.blank();
        });
    }

    /// A comma, if there is one; the last of some lists leaves what follows to the closing bracket.
    fn comma(&mut self, leaves_rest: bool) {
        if self.is_next(TokenKind::Comma) {
            self.node("Comma", ("comma", None), |printer| {
                printer.blank();
                printer.marked(Self::any);
                if !leaves_rest {
                    printer.blank();
                }
            });
        }
    }

    fn equal(&mut self) {
        self.operator("AssignEqual", ("equal", None));
    }

    /// An opening bracket with the whitespace behind it.
    fn opening(&mut self, kind: &'static str, slot: Slot) {
        self.plain(kind, slot, |printer| {
            printer.any();
            printer.blank();
        });
    }

    /// A closing bracket with the whitespace before it.
    fn closing(&mut self, kind: &'static str, slot: Slot) {
        self.plain(kind, slot, |printer| {
            printer.blank();
            printer.any();
        });
    }

    /// Prints the marked part of a node between the parentheses that it owns.
    fn parenthesized(&mut self, parentheses: usize, print: impl FnOnce(&mut Self)) {
        for index in 0..parentheses {
            self.opening("LeftParen", ("lpar", Some(index as i32)));
        }
        self.marked(print);
        for index in 0..parentheses {
            if self.is_next(TokenKind::Rpar) {
                self.closing("RightParen", ("rpar", Some(index as i32)));
            } else {
                self.lost = true;
            }
        }
    }

    /// Parentheses from here up to an offset.
    fn parentheses(&mut self, until: TextSize) -> usize {
        self.peek();
        let rest = self.tokens.get(self.next..).unwrap_or_default().iter();
        let before = rest.take_while(|token| token.start() < until);
        before.filter(|token| token.kind() == TokenKind::Lpar).count()
    }

    /// Whether the parenthesis that comes next closes right before `end`.
    fn spans_parentheses(&mut self, end: TextSize) -> bool {
        self.matching().is_some_and(|at| self.tokens[at].end() == end)
    }

    /// Index of the token that closes the bracket that comes next.
    fn matching(&mut self) -> Option<usize> {
        self.peek();
        let mut depth = 0usize;
        for (at, token) in self.tokens.iter().enumerate().skip(self.next) {
            match token.kind() {
                TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => depth += 1,
                TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Goes one level deeper, with enough stack. The walk before this one has seen that the tree is not too deep.
    fn nested(&mut self, print: impl FnOnce(&mut Self)) {
        with_stack(|| print(self));
    }

    fn optional(&mut self, slot: Slot, expression: Option<&'w Expr>) {
        if let Some(expression) = expression {
            self.expression(slot, expression);
        }
    }
}
