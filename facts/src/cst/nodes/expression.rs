//! Expressions.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{
    ArgOrKeyword, BoolOp, CmpOp, Comprehension, DictItem, Expr, ExprCall, ExprCompare, ExprLambda, ExprSubscript,
    Number, Operator, UnaryOp,
};
use ruff_text_size::Ranged;

use super::{Printer, Slot};

impl<'w> Printer<'w> {
    pub(super) fn expression(&mut self, slot: Slot, expression: &'w Expr) {
        match expression {
            Expr::Starred(starred) => self.starred(slot, &starred.value, true),
            Expr::Slice(_) => self.lost = true,
            expression => self.nested(|printer| printer.parenthesizable(slot, expression)),
        }
    }

    fn parenthesizable(&mut self, slot: Slot, expression: &'w Expr) {
        let own = match expression {
            Expr::Tuple(tuple) => usize::from(tuple.parenthesized),
            Expr::Generator(generator) => usize::from(generator.parenthesized),
            _ => 0,
        };
        let parentheses = self.parentheses(expression.start()) + own;
        if let Expr::Attribute(_) = expression {
            return self.attribute(slot, expression, parentheses);
        }
        self.node(kind_of(expression), slot, |printer| {
            printer.parenthesized(parentheses, |printer| printer.inner(expression));
        });
    }

    fn inner(&mut self, expression: &'w Expr) {
        match expression {
            Expr::Name(_)
            | Expr::NoneLiteral(_)
            | Expr::BooleanLiteral(_)
            | Expr::NumberLiteral(_)
            | Expr::EllipsisLiteral(_) => self.any(),
            Expr::StringLiteral(_) | Expr::BytesLiteral(_) | Expr::FString(_) | Expr::TString(_) => {
                self.strings(expression);
            }
            Expr::Call(x) => self.call(x),
            Expr::Subscript(x) => self.subscript(x),
            Expr::Tuple(x) => self.elements(&x.elts),
            Expr::List(x) => self.bracketed("Square", |printer| printer.elements(&x.elts)),
            Expr::Set(x) => self.bracketed("Curly", |printer| printer.elements(&x.elts)),
            Expr::Dict(x) => self.bracketed("Curly", |printer| printer.items(&x.items)),
            Expr::BinOp(x) => {
                self.expression(("left", None), &x.left);
                self.operator(binary(x.op), ("operator", None));
                self.expression(("right", None), &x.right);
            }
            Expr::BoolOp(x) => self.boolean(x.op, &x.values),
            Expr::UnaryOp(x) => {
                self.opening(unary(x.op), ("operator", None));
                self.expression(("expression", None), &x.operand);
            }
            Expr::Compare(x) => self.comparison(x),
            Expr::If(x) => {
                self.expression(("body", None), &x.body);
                self.keyword(TokenKind::If);
                self.expression(("test", None), &x.test);
                self.keyword(TokenKind::Else);
                self.expression(("orelse", None), &x.orelse);
            }
            Expr::Named(x) => {
                self.expression(("target", None), &x.target);
                self.keyword(TokenKind::ColonEqual);
                self.expression(("value", None), &x.value);
            }
            Expr::Lambda(x) => self.lambda(x),
            Expr::ListComp(x) => self.bracketed("Square", |printer| {
                printer.expression(("elt", None), &x.elt);
                printer.comprehension("for_in", &x.generators);
            }),
            Expr::SetComp(x) => self.bracketed("Curly", |printer| {
                printer.expression(("elt", None), &x.elt);
                printer.comprehension("for_in", &x.generators);
            }),
            Expr::DictComp(x) => self.bracketed("Curly", |printer| {
                match &x.key {
                    Some(key) => {
                        printer.expression(("key", None), key);
                        printer.keyword(TokenKind::Colon);
                    }
                    None => printer.keyword(TokenKind::DoubleStar),
                }
                printer.expression(("value", None), &x.value);
                printer.comprehension("for_in", &x.generators);
            }),
            Expr::Generator(x) => {
                self.expression(("elt", None), &x.elt);
                self.comprehension("for_in", &x.generators);
            }
            Expr::Await(x) => {
                self.keyword(TokenKind::Await);
                self.expression(("expression", None), &x.value);
            }
            Expr::Yield(x) => {
                self.token(TokenKind::Yield);
                if let Some(value) = &x.value {
                    self.blank();
                    self.expression(("value", None), value);
                }
            }
            Expr::YieldFrom(x) => {
                self.keyword(TokenKind::Yield);
                self.from(&x.value, "value");
            }
            Expr::Attribute(_) | Expr::Starred(_) | Expr::Slice(_) | Expr::IpyEscapeCommand(_) => self.lost = true,
        }
    }

    /// A token with the whitespace around it.
    pub(super) fn keyword(&mut self, kind: TokenKind) {
        self.blank();
        self.token(kind);
        self.blank();
    }

    pub(super) fn from(&mut self, item: &'w Expr, slot: &'static str) {
        self.node("From", (slot, None), |printer| {
            printer.blank();
            printer.marked(|printer| {
                printer.token(TokenKind::From);
                printer.blank();
                printer.expression(("item", None), item);
            });
        });
    }

    fn bracketed(&mut self, shape: &str, print: impl FnOnce(&mut Self)) {
        let (open, close, left, right) = match shape {
            "Square" => ("LeftSquareBracket", "RightSquareBracket", "lbracket", "rbracket"),
            _ => ("LeftCurlyBrace", "RightCurlyBrace", "lbrace", "rbrace"),
        };
        self.opening(open, (left, None));
        print(self);
        self.closing(close, (right, None));
    }

    /// Attributes within each other, from the longest down and back up.
    fn attribute(&mut self, slot: Slot, longest: &'w Expr, parentheses: usize) {
        let (mut at, mut slot, mut parentheses) = (longest, slot, parentheses);
        let mut opened = vec![];
        while let Expr::Attribute(attribute) = at {
            self.open("Attribute", Some(slot));
            for index in 0..parentheses {
                self.opening("LeftParen", ("lpar", Some(index as i32)));
            }
            opened.push((parentheses, self.at));
            at = &attribute.value;
            slot = ("value", None);
            parentheses = self.parentheses(at.start());
        }
        self.expression(slot, at);
        while let Some((parentheses, start)) = opened.pop() {
            self.operator("Dot", ("dot", None));
            self.name(("attr", None));
            if let Some(id) = self.open.last() {
                self.nodes[*id as usize].span = (start, self.at);
            }
            for index in 0..parentheses {
                self.closing("RightParen", ("rpar", Some(index as i32)));
            }
            self.close();
        }
    }

    pub(super) fn elements(&mut self, elements: &'w [Expr]) {
        for (index, element) in elements.iter().enumerate() {
            let slot = ("elements", Some(index as i32));
            let is_last = index + 1 == elements.len();
            match element {
                Expr::Starred(starred) => self.starred(slot, &starred.value, is_last),
                element => self.node("Element", slot, |printer| {
                    printer.marked(|printer| printer.expression(("value", None), element));
                    printer.comma(is_last);
                }),
            }
        }
    }

    fn starred(&mut self, slot: Slot, value: &'w Expr, is_last: bool) {
        self.node("StarredElement", slot, |printer| {
            let is_element = slot.0 == "elements";
            printer.marked(|printer| {
                printer.token(TokenKind::Star);
                printer.blank();
                printer.expression(("value", None), value);
            });
            if is_element {
                printer.comma(is_last);
            }
        });
    }

    fn items(&mut self, items: &'w [DictItem]) {
        for (index, item) in items.iter().enumerate() {
            let slot = ("elements", Some(index as i32));
            let kind = if item.key.is_some() { "DictElement" } else { "StarredDictElement" };
            self.node(kind, slot, |printer| {
                printer.marked(|printer| {
                    match &item.key {
                        Some(key) => {
                            printer.expression(("key", None), key);
                            printer.keyword(TokenKind::Colon);
                        }
                        None => {
                            printer.token(TokenKind::DoubleStar);
                            printer.blank();
                        }
                    }
                    printer.expression(("value", None), &item.value);
                });
                printer.comma(index + 1 == items.len());
            });
        }
    }

    fn comprehension(&mut self, slot: &'static str, generators: &'w [Comprehension]) {
        let opened = generators.len();
        let mut slot = slot;
        let mut ids = vec![];
        for generator in generators {
            ids.push(self.open("CompFor", Some((slot, None))));
            slot = "inner_for_in";
            self.blank();
            self.asynchronous(generator.is_async);
            self.token(TokenKind::For);
            self.blank();
            self.expression(("target", None), &generator.target);
            self.keyword(TokenKind::In);
            self.expression(("iter", None), &generator.iter);
            for (index, test) in generator.ifs.iter().enumerate() {
                self.plain("CompIf", ("ifs", Some(index as i32)), |printer| {
                    printer.keyword(TokenKind::If);
                    printer.expression(("test", None), test);
                });
            }
        }
        for _ in 0..opened {
            self.close();
        }
        for id in ids {
            let node = &mut self.nodes[id as usize];
            node.span = node.owned;
        }
    }

    pub(super) fn asynchronous(&mut self, is_async: bool) {
        if is_async {
            self.node("Asynchronous", ("asynchronous", None), |printer| {
                printer.marked(|printer| printer.token(TokenKind::Async));
                printer.blank();
            });
        }
    }

    fn boolean(&mut self, op: BoolOp, values: &'w [Expr]) {
        let operator = if op == BoolOp::And { "And" } else { "Or" };
        let Some((first, rest)) = values.split_first() else { return };
        let start = self.at;
        // The node of the last operator is the one that is already open.
        for _ in 1..rest.len() {
            self.open("BooleanOperation", Some(("left", None)));
        }
        self.expression(("left", None), first);
        for (index, value) in rest.iter().enumerate() {
            self.operator(operator, ("operator", None));
            self.expression(("right", None), value);
            if index + 1 < rest.len() {
                if let Some(id) = self.open.last() {
                    self.nodes[*id as usize].span = (start, self.at);
                }
                self.close();
            }
        }
    }

    fn comparison(&mut self, compare: &'w ExprCompare) {
        self.expression(("left", None), &compare.left);
        for (index, (op, comparator)) in compare.ops.iter().zip(&compare.comparators).enumerate() {
            self.plain("ComparisonTarget", ("comparisons", Some(index as i32)), |printer| {
                let slot = ("operator", None);
                match op {
                    CmpOp::IsNot | CmpOp::NotIn => {
                        let kind = if *op == CmpOp::IsNot { "IsNot" } else { "NotIn" };
                        printer.node(kind, slot, |printer| {
                            printer.blank();
                            printer.marked(|printer| {
                                printer.any();
                                printer.blank();
                                printer.any();
                            });
                            printer.blank();
                        });
                    }
                    op => printer.operator(comparison(*op), slot),
                }
                printer.expression(("comparator", None), comparator);
            });
        }
    }

    fn call(&mut self, call: &'w ExprCall) {
        self.expression(("func", None), &call.func);
        self.keyword(TokenKind::Lpar);
        for (index, argument) in call.arguments.iter_source_order().enumerate() {
            self.argument(("args", Some(index as i32)), argument, true);
        }
        self.token(TokenKind::Rpar);
    }

    /// An argument; the last of a call owns the whitespace before the parenthesis.
    pub(super) fn argument(&mut self, slot: Slot, argument: ArgOrKeyword<'w>, owns_rest: bool) {
        self.node("Arg", slot, |printer| {
            printer.marked(|printer| match argument {
                ArgOrKeyword::Arg(Expr::Starred(starred)) => {
                    printer.token(TokenKind::Star);
                    printer.blank();
                    printer.expression(("value", None), &starred.value);
                }
                ArgOrKeyword::Arg(value) => printer.expression(("value", None), value),
                ArgOrKeyword::Keyword(keyword) => {
                    if keyword.arg.is_some() {
                        printer.name(("keyword", None));
                        printer.equal();
                    } else {
                        printer.token(TokenKind::DoubleStar);
                        printer.blank();
                    }
                    printer.expression(("value", None), &keyword.value);
                }
            });
            let has_comma = printer.is_next(TokenKind::Comma);
            printer.comma(false);
            if owns_rest && !has_comma {
                printer.blank();
            }
        });
    }

    fn subscript(&mut self, subscript: &'w ExprSubscript) {
        self.expression(("value", None), &subscript.value);
        self.blank();
        self.opening("LeftSquareBracket", ("lbracket", None));
        match subscript.slice.as_ref() {
            Expr::Tuple(tuple) if !tuple.parenthesized => {
                for (index, element) in tuple.elts.iter().enumerate() {
                    self.subscript_element(index, element);
                }
            }
            slice => self.subscript_element(0, slice),
        }
        self.closing("RightSquareBracket", ("rbracket", None));
    }

    fn subscript_element(&mut self, index: usize, element: &'w Expr) {
        self.node("SubscriptElement", ("slice", Some(index as i32)), |printer| {
            let slot = ("slice", None);
            printer.marked(|printer| match element {
                Expr::Slice(slice) => printer.plain("Slice", slot, |printer| {
                    printer.optional(("lower", None), slice.lower.as_deref());
                    printer.operator("Colon", ("first_colon", None));
                    printer.optional(("upper", None), slice.upper.as_deref());
                    if printer.is_next(TokenKind::Colon) {
                        printer.operator("Colon", ("second_colon", None));
                    }
                    printer.optional(("step", None), slice.step.as_deref());
                }),
                Expr::Starred(starred) => printer.plain("Index", slot, |printer| {
                    printer.token(TokenKind::Star);
                    printer.blank();
                    printer.expression(("value", None), &starred.value);
                }),
                element => printer.plain("Index", slot, |printer| printer.expression(("value", None), element)),
            });
            printer.comma(false);
        });
    }

    fn lambda(&mut self, lambda: &'w ExprLambda) {
        self.token(TokenKind::Lambda);
        if lambda.parameters.is_some() {
            self.blank();
        }
        self.parameters(lambda.parameters.as_deref());
        self.operator("Colon", ("colon", None));
        self.expression(("body", None), &lambda.body);
    }
}

/// LibCST's class of an expression.
fn kind_of(expression: &Expr) -> &'static str {
    match expression {
        Expr::BoolOp(_) => "BooleanOperation",
        Expr::Named(_) => "NamedExpr",
        Expr::BinOp(_) => "BinaryOperation",
        Expr::UnaryOp(_) => "UnaryOperation",
        Expr::Lambda(_) => "Lambda",
        Expr::If(_) => "IfExp",
        Expr::Dict(_) => "Dict",
        Expr::Set(_) => "Set",
        Expr::ListComp(_) => "ListComp",
        Expr::SetComp(_) => "SetComp",
        Expr::DictComp(x) if x.key.is_none() => "StarredDictComp",
        Expr::DictComp(_) => "DictComp",
        Expr::Generator(_) => "GeneratorExp",
        Expr::Await(_) => "Await",
        Expr::Yield(_) | Expr::YieldFrom(_) => "Yield",
        Expr::Compare(_) => "Comparison",
        Expr::Call(_) => "Call",
        Expr::FString(x) if x.value.is_implicit_concatenated() => "ConcatenatedString",
        Expr::FString(_) => "FormattedString",
        Expr::TString(x) if x.value.iter().count() > 1 => "ConcatenatedString",
        Expr::TString(_) => "TemplatedString",
        Expr::StringLiteral(x) if x.value.is_implicit_concatenated() => "ConcatenatedString",
        Expr::BytesLiteral(x) if x.value.is_implicit_concatenated() => "ConcatenatedString",
        Expr::StringLiteral(_) | Expr::BytesLiteral(_) => "SimpleString",
        Expr::NumberLiteral(x) => match x.value {
            Number::Int(_) => "Integer",
            Number::Float(_) => "Float",
            Number::Complex { .. } => "Imaginary",
        },
        Expr::Name(_) | Expr::BooleanLiteral(_) | Expr::NoneLiteral(_) | Expr::IpyEscapeCommand(_) => "Name",
        Expr::EllipsisLiteral(_) => "Ellipsis",
        Expr::Attribute(_) => "Attribute",
        Expr::Subscript(_) => "Subscript",
        Expr::Starred(_) => "StarredElement",
        Expr::List(_) => "List",
        Expr::Tuple(_) => "Tuple",
        Expr::Slice(_) => "Slice",
    }
}

fn unary(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Invert => "BitInvert",
        UnaryOp::Not => "Not",
        UnaryOp::UAdd => "Plus",
        UnaryOp::USub => "Minus",
    }
}

fn binary(op: Operator) -> &'static str {
    match op {
        Operator::Add => "Add",
        Operator::Sub => "Subtract",
        Operator::Mult => "Multiply",
        Operator::MatMult => "MatrixMultiply",
        Operator::Div => "Divide",
        Operator::Mod => "Modulo",
        Operator::Pow => "Power",
        Operator::LShift => "LeftShift",
        Operator::RShift => "RightShift",
        Operator::BitOr => "BitOr",
        Operator::BitXor => "BitXor",
        Operator::BitAnd => "BitAnd",
        Operator::FloorDiv => "FloorDivide",
    }
}

fn comparison(op: CmpOp) -> &'static str {
    match op {
        CmpOp::Eq => "Equal",
        CmpOp::NotEq => "NotEqual",
        CmpOp::Lt => "LessThan",
        CmpOp::LtE => "LessThanEqual",
        CmpOp::Gt => "GreaterThan",
        CmpOp::GtE => "GreaterThanEqual",
        CmpOp::Is => "Is",
        CmpOp::IsNot => "IsNot",
        CmpOp::In => "In",
        CmpOp::NotIn => "NotIn",
    }
}

/// LibCST's class of the operator of an augmented assignment.
pub(super) fn augmented(op: Operator) -> &'static str {
    match op {
        Operator::Add => "AddAssign",
        Operator::Sub => "SubtractAssign",
        Operator::Mult => "MultiplyAssign",
        Operator::MatMult => "MatrixMultiplyAssign",
        Operator::Div => "DivideAssign",
        Operator::Mod => "ModuloAssign",
        Operator::Pow => "PowerAssign",
        Operator::LShift => "LeftShiftAssign",
        Operator::RShift => "RightShiftAssign",
        Operator::BitOr => "BitOrAssign",
        Operator::BitXor => "BitXorAssign",
        Operator::BitAnd => "BitAndAssign",
        Operator::FloorDiv => "FloorDivideAssign",
    }
}
