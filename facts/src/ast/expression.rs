//! Expressions.

use ruff_python_ast::{
    BoolOp, CmpOp, Comprehension, Expr, ExprBytesLiteral, ExprCall, ExprCompare, ExprContext, ExprGenerator,
    ExprNumberLiteral, ExprStringLiteral, ExprTuple, Keyword, Number, Operator, StringFlags, UnaryOp,
};
use ruff_text_size::{Ranged, TextRange};

use super::walk::{Labels, Place, Walker};
use crate::python::{
    MAX_DECIMAL_DIGITS, PythonModule, Quoted, push_bytes, push_float, push_imaginary, push_integer, push_string,
};

impl Walker<'_> {
    pub(super) fn expression(&mut self, place: Place, expression: &Expr) {
        self.nested(|walker| walker.expression_here(place, expression));
    }

    fn expression_here(&mut self, place: Place, expression: &Expr) {
        let range = Some(expression.range());
        match expression {
            Expr::Name(x) => {
                let labels = Labels { name: Some(&x.id), ctx: context_name(x.ctx), ..Labels::NONE };
                self.node(place, "Name", range, labels);
            }
            Expr::Attribute(x) => {
                let labels = Labels { name: Some(&x.attr.id), ctx: context_name(x.ctx), ..Labels::NONE };
                let node = self.node(place, "Attribute", range, labels);
                self.expression(Place::field(node, "value"), &x.value);
            }
            Expr::Call(x) => self.call(place, x),
            Expr::StringLiteral(x) => self.string(place, x),
            Expr::BytesLiteral(x) => self.bytes(place, x),
            Expr::NumberLiteral(x) => self.number(place, x),
            Expr::BooleanLiteral(x) => {
                self.constant(place, x.range, "bool", if x.value { "True" } else { "False" });
            }
            Expr::NoneLiteral(x) => self.constant(place, x.range, "NoneType", "None"),
            Expr::EllipsisLiteral(x) => self.constant(place, x.range, "ellipsis", "Ellipsis"),
            Expr::FString(x) => self.f_string(place, x),
            Expr::TString(x) => self.t_string(place, x),
            Expr::BoolOp(x) => {
                let op = match x.op {
                    BoolOp::And => "And",
                    BoolOp::Or => "Or",
                };
                let node = self.node(place, "BoolOp", range, Labels { op: Some(op), ..Labels::NONE });
                self.expressions(node, "values", &x.values);
            }
            Expr::Named(x) => {
                let node = self.node(place, "NamedExpr", range, Labels::NONE);
                self.expression(Place::field(node, "target"), &x.target);
                self.expression(Place::field(node, "value"), &x.value);
            }
            Expr::BinOp(x) => {
                let labels = Labels { op: Some(operator_name(x.op)), ..Labels::NONE };
                let node = self.node(place, "BinOp", range, labels);
                self.expression(Place::field(node, "left"), &x.left);
                self.expression(Place::field(node, "right"), &x.right);
            }
            Expr::UnaryOp(x) => {
                let op = match x.op {
                    UnaryOp::Invert => "Invert",
                    UnaryOp::Not => "Not",
                    UnaryOp::UAdd => "UAdd",
                    UnaryOp::USub => "USub",
                };
                let node = self.node(place, "UnaryOp", range, Labels { op: Some(op), ..Labels::NONE });
                self.expression(Place::field(node, "operand"), &x.operand);
            }
            Expr::Lambda(x) => {
                let node = self.node(place, "Lambda", range, Labels::NONE);
                self.parameters(node, x.parameters.as_deref());
                self.expression(Place::field(node, "body"), &x.body);
            }
            Expr::If(x) => {
                let node = self.node(place, "IfExp", range, Labels::NONE);
                self.expression(Place::field(node, "test"), &x.test);
                self.expression(Place::field(node, "body"), &x.body);
                self.expression(Place::field(node, "orelse"), &x.orelse);
            }
            Expr::Dict(x) => {
                let node = self.node(place, "Dict", range, Labels::NONE);
                for (index, key) in x.iter_keys().enumerate() {
                    if let Some(key) = key {
                        self.expression(Place::item(node, "keys", index), key);
                    }
                }
                for (index, value) in x.iter_values().enumerate() {
                    self.expression(Place::item(node, "values", index), value);
                }
            }
            Expr::Set(x) => {
                let node = self.node(place, "Set", range, Labels::NONE);
                self.expressions(node, "elts", &x.elts);
            }
            Expr::ListComp(x) => {
                let node = self.node(place, "ListComp", range, Labels::NONE);
                self.expression(Place::field(node, "elt"), &x.elt);
                self.comprehensions(node, &x.generators);
            }
            Expr::SetComp(x) => {
                let node = self.node(place, "SetComp", range, Labels::NONE);
                self.expression(Place::field(node, "elt"), &x.elt);
                self.comprehensions(node, &x.generators);
            }
            Expr::DictComp(x) => {
                let node = self.node(place, "DictComp", range, Labels::NONE);
                self.optional(node, "key", x.key.as_deref());
                self.expression(Place::field(node, "value"), &x.value);
                self.comprehensions(node, &x.generators);
            }
            Expr::Generator(x) => self.generator(place, x, x.range),
            Expr::Await(x) => {
                let node = self.node(place, "Await", range, Labels::NONE);
                self.expression(Place::field(node, "value"), &x.value);
            }
            Expr::Yield(x) => {
                let node = self.node(place, "Yield", range, Labels::NONE);
                self.optional(node, "value", x.value.as_deref());
            }
            Expr::YieldFrom(x) => {
                let node = self.node(place, "YieldFrom", range, Labels::NONE);
                self.expression(Place::field(node, "value"), &x.value);
            }
            Expr::Compare(x) => self.compare(place, x),
            Expr::Subscript(x) => {
                let node = self.node(place, "Subscript", range, Labels { ctx: context_name(x.ctx), ..Labels::NONE });
                self.expression(Place::field(node, "value"), &x.value);
                self.expression(Place::field(node, "slice"), &x.slice);
            }
            Expr::Starred(x) => {
                let node = self.node(place, "Starred", range, Labels { ctx: context_name(x.ctx), ..Labels::NONE });
                self.expression(Place::field(node, "value"), &x.value);
            }
            Expr::List(x) => {
                let node = self.node(place, "List", range, Labels { ctx: context_name(x.ctx), ..Labels::NONE });
                self.expressions(node, "elts", &x.elts);
            }
            Expr::Tuple(x) => self.tuple(place, x, x.range),
            Expr::Slice(x) => {
                let node = self.node(place, "Slice", range, Labels::NONE);
                self.optional(node, "lower", x.lower.as_deref());
                self.optional(node, "upper", x.upper.as_deref());
                self.optional(node, "step", x.step.as_deref());
            }
            // Only notebooks have these; the parser refuses them in a module.
            Expr::IpyEscapeCommand(_) => {}
        }
    }

    fn call(&mut self, place: Place, call: &ExprCall) {
        let node = self.node(place, "Call", Some(call.range()), Labels::NONE);
        self.call_row(node, place.parent, call);
        self.expression(Place::field(node, "func"), &call.func);
        for (index, argument) in call.arguments.args.iter().enumerate() {
            let place = Place::item(node, "args", index);
            match argument {
                // To CPython a sole generator without parentheses of its own takes those of the call.
                Expr::Generator(generator) if !generator.parenthesized => {
                    self.nested(|walker| walker.generator(place, generator, call.arguments.range));
                }
                argument => self.expression(place, argument),
            }
        }
        self.keywords(node, &call.arguments.keywords);
    }

    pub(super) fn keywords(&mut self, parent: i32, keywords: &[Keyword]) {
        for (index, keyword) in keywords.iter().enumerate() {
            let labels = Labels::name(keyword.arg.as_ref().map(|arg| arg.id.as_str()));
            let node = self.node(Place::item(parent, "keywords", index), "keyword", Some(keyword.range), labels);
            self.expression(Place::field(node, "value"), &keyword.value);
        }
    }

    pub(super) fn tuple(&mut self, place: Place, tuple: &ExprTuple, range: TextRange) {
        let labels = Labels { ctx: context_name(tuple.ctx), ..Labels::NONE };
        let node = self.node(place, "Tuple", Some(range), labels);
        self.expressions(node, "elts", &tuple.elts);
    }

    fn generator(&mut self, place: Place, generator: &ExprGenerator, range: TextRange) {
        let node = self.node(place, "GeneratorExp", Some(range), Labels::NONE);
        self.expression(Place::field(node, "elt"), &generator.elt);
        self.comprehensions(node, &generator.generators);
    }

    fn comprehensions(&mut self, parent: i32, comprehensions: &[Comprehension]) {
        for (index, comprehension) in comprehensions.iter().enumerate() {
            let labels = Labels::value(Some(if comprehension.is_async { "1" } else { "0" }));
            let node = self.node(Place::item(parent, "generators", index), "comprehension", None, labels);
            self.expression(Place::field(node, "target"), &comprehension.target);
            self.expression(Place::field(node, "iter"), &comprehension.iter);
            self.expressions(node, "ifs", &comprehension.ifs);
        }
    }

    fn compare(&mut self, place: Place, compare: &ExprCompare) {
        let range = Some(compare.range);
        let node = match compare.ops.as_ref() {
            [op] => self.node(place, "Compare", range, Labels::value(Some(comparison_name(*op)))),
            ops => self.node_with_text(place, "Compare", range, Labels::NONE, |text| {
                for (index, op) in ops.iter().enumerate() {
                    text.push_str(if index > 0 { " " } else { "" });
                    text.push_str(comparison_name(*op));
                }
            }),
        };
        self.expression(Place::field(node, "left"), &compare.left);
        self.expressions(node, "comparators", &compare.comparators);
    }

    pub(super) fn constant(&mut self, place: Place, range: TextRange, value_type: &'static str, value: &str) {
        let labels = Labels { value: Some(value), value_type: Some(value_type), ..Labels::NONE };
        self.node(place, "Constant", Some(range), labels);
    }

    fn constant_with(
        &mut self,
        place: Place,
        range: TextRange,
        value_type: &'static str,
        build: impl FnOnce(&mut String),
    ) {
        let labels = Labels { value_type: Some(value_type), ..Labels::NONE };
        self.node_with_text(place, "Constant", Some(range), labels, build);
    }

    fn string(&mut self, place: Place, string: &ExprStringLiteral) {
        let module = self.module;
        match string.value.as_slice() {
            [only] if !only.value.contains('\u{fffd}') => self.constant(place, string.range, "str", &only.value),
            _ => self.constant_with(place, string.range, "str", |text| push_string_value(text, module, string)),
        }
    }

    fn bytes(&mut self, place: Place, bytes: &ExprBytesLiteral) {
        self.constant_with(place, bytes.range, "bytes", |text| push_bytes(text, bytes.value.bytes()));
    }

    fn number(&mut self, place: Place, number: &ExprNumberLiteral) {
        let range = number.range;
        match &number.value {
            Number::Int(value) => {
                if value.as_u64().is_none() && self.is_too_long(range) {
                    let message = "exceeds the limit (4300 digits) for integer string conversion";
                    return self.fail("SyntaxError", message, Some(range));
                }
                self.constant_with(place, range, "int", |text| push_integer(text, value));
            }
            Number::Float(value) => self.constant_with(place, range, "float", |text| push_float(text, *value)),
            Number::Complex { imag, .. } => self.constant_with(place, range, "complex", |text| {
                push_imaginary(text, *imag);
                text.push('j');
            }),
        }
    }

    /// Whether CPython refuses a literal for its length, which it does for decimal ones.
    fn is_too_long(&self, literal: TextRange) -> bool {
        let digits = self.module.slice(literal).bytes();
        digits.clone().all(|b| b.is_ascii_digit() || b == b'_')
            && digits.filter(u8::is_ascii_digit).count() > MAX_DECIMAL_DIGITS
    }
}

/// Appends the value of a string, all its parts together.
pub(super) fn push_string_value(out: &mut String, module: &PythonModule<'_>, string: &ExprStringLiteral) {
    for part in &string.value {
        let source = module.slice(part.content_range());
        push_string(
            out,
            part,
            Quoted { source, raw: part.flags.as_any_string_flags().is_raw_string(), interpolated: false },
        );
    }
}

/// CPython's class of an expression.
pub(super) fn kind_name(expression: &Expr) -> &'static str {
    match expression {
        Expr::BoolOp(_) => "BoolOp",
        Expr::Named(_) => "NamedExpr",
        Expr::BinOp(_) => "BinOp",
        Expr::UnaryOp(_) => "UnaryOp",
        Expr::Lambda(_) => "Lambda",
        Expr::If(_) => "IfExp",
        Expr::Dict(_) => "Dict",
        Expr::Set(_) => "Set",
        Expr::ListComp(_) => "ListComp",
        Expr::SetComp(_) => "SetComp",
        Expr::DictComp(_) => "DictComp",
        Expr::Generator(_) => "GeneratorExp",
        Expr::Await(_) => "Await",
        Expr::Yield(_) => "Yield",
        Expr::YieldFrom(_) => "YieldFrom",
        Expr::Compare(_) => "Compare",
        Expr::Call(_) => "Call",
        Expr::FString(_) => "JoinedStr",
        Expr::TString(_) => "TemplateStr",
        Expr::StringLiteral(_)
        | Expr::BytesLiteral(_)
        | Expr::NumberLiteral(_)
        | Expr::BooleanLiteral(_)
        | Expr::NoneLiteral(_)
        | Expr::EllipsisLiteral(_)
        | Expr::IpyEscapeCommand(_) => "Constant",
        Expr::Attribute(_) => "Attribute",
        Expr::Subscript(_) => "Subscript",
        Expr::Starred(_) => "Starred",
        Expr::Name(_) => "Name",
        Expr::List(_) => "List",
        Expr::Tuple(_) => "Tuple",
        Expr::Slice(_) => "Slice",
    }
}

fn context_name(context: ExprContext) -> Option<&'static str> {
    match context {
        ExprContext::Load => Some("Load"),
        ExprContext::Store => Some("Store"),
        ExprContext::Del => Some("Del"),
        ExprContext::Invalid => None,
    }
}

/// CPython's class of a binary operator.
pub(super) fn operator_name(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "Add",
        Operator::Sub => "Sub",
        Operator::Mult => "Mult",
        Operator::MatMult => "MatMult",
        Operator::Div => "Div",
        Operator::Mod => "Mod",
        Operator::Pow => "Pow",
        Operator::LShift => "LShift",
        Operator::RShift => "RShift",
        Operator::BitOr => "BitOr",
        Operator::BitXor => "BitXor",
        Operator::BitAnd => "BitAnd",
        Operator::FloorDiv => "FloorDiv",
    }
}

fn comparison_name(operator: CmpOp) -> &'static str {
    match operator {
        CmpOp::Eq => "Eq",
        CmpOp::NotEq => "NotEq",
        CmpOp::Lt => "Lt",
        CmpOp::LtE => "LtE",
        CmpOp::Gt => "Gt",
        CmpOp::GtE => "GtE",
        CmpOp::Is => "Is",
        CmpOp::IsNot => "IsNot",
        CmpOp::In => "In",
        CmpOp::NotIn => "NotIn",
    }
}
