//! Python sources that nest deep, one a way to nest.

/// A way to nest: what goes before, into and behind each level, and what lies in the middle.
pub struct Nesting {
    /// Its name.
    pub name: &'static str,
    start: &'static str,
    open: &'static str,
    middle: &'static str,
    close: &'static str,
    end: &'static str,
}

const fn nesting(name: &'static str, [start, open, middle, close, end]: [&'static str; 5]) -> Nesting {
    Nesting { name, start, open, middle, close, end }
}

/// Every way to nest that needs no indentation.
pub const KINDS: &[Nesting] = &[
    // Without brackets: only the tree is deep.
    nesting("attribute", ["a", ".a", "", "", "\n"]),
    nesting("minus", ["x = ", "-", "1", "", "\n"]),
    nesting("invert", ["x = ", "~", "1", "", "\n"]),
    nesting("not", ["x = ", "not ", "1", "", "\n"]),
    nesting("sum", ["x = 1", "+1", "", "", "\n"]),
    nesting("product", ["x = 1", "@1", "", "", "\n"]),
    nesting("power", ["x = 1", "**1", "", "", "\n"]),
    nesting("call", ["a", "()", "", "", "\n"]),
    nesting("call_with_argument", ["a", "(b)", "", "", "\n"]),
    nesting("subscript", ["a", "[0]", "", "", "\n"]),
    nesting("slice", ["a", "[0:1]", "", "", "\n"]),
    nesting("method", ["a", ".b(c)", "", "", "\n"]),
    nesting("conditional", ["x = ", "1 if a else ", "1", "", "\n"]),
    nesting("lambda", ["x = ", "lambda: ", "1", "", "\n"]),
    nesting("lambda_with_parameters", ["x = ", "lambda a, *b: ", "1", "", "\n"]),
    nesting("lambda_default", ["x = ", "lambda a=", "1", ": 1", "\n"]),
    nesting("elif", ["if a: pass\n", "elif b: pass\n", "", "", "\n"]),
    nesting("annotation", ["x: ", "lambda: ", "1", "", "\n"]),
    nesting("decorator", ["@a", ".b", "", "", "\ndef f(): pass\n"]),
    nesting("default", ["def f(x=", "-", "1", "", "): pass\n"]),
    nesting("target", ["a", ".b", "", "", " = 1\n"]),
    nesting("deleted", ["del a", ".b", "", "", "\n"]),
    // Refused by the grammar: CPython's words depend on what the target is.
    nesting("refused_target", ["a", "()", "", "", " = 1\n"]),
    nesting("refused_negation", ["", "-", "a", "", " = 1\n"]),
    nesting("refused_lambda", ["(", "lambda a=", "1", ": 1", ") = 1\n"]),
    nesting("refused_augmented", ["a", "()", "", "", " += 1\n"]),
    nesting("refused_deletion", ["del a", "()", "", "", "\n"]),
    nesting("refused_loop", ["for a", "()", "", "", " in b: pass\n"]),
    nesting("base", ["class A(b", ".b", "", "", "): pass\n"]),
    nesting("case_value", ["match x:\n case a", ".a", "", "", ": pass\n"]),
    nesting("type_alias", ["type X = ", "-", "1", "", "\n"]),
    nesting("type_bound", ["def f[T: a", ".b", "", "", "](): pass\n"]),
    // With brackets: CPython's tokenizer counts them.
    nesting("parentheses", ["x = ", "(", "1", ")", "\n"]),
    nesting("tuple", ["x = ", "(", "1", ",)", "\n"]),
    nesting("list", ["x = ", "[", "1", "]", "\n"]),
    nesting("set", ["x = ", "{", "1", "}", "\n"]),
    nesting("dict", ["x = ", "{1:", "1", "}", "\n"]),
    nesting("argument", ["x = ", "f(", "1", ")", "\n"]),
    nesting("keyword", ["x = ", "f(a=", "1", ")", "\n"]),
    nesting("starred", ["x = ", "f(*", "a", ")", "\n"]),
    nesting("double_starred", ["x = ", "{**", "a", "}", "\n"]),
    nesting("index", ["x = ", "a[", "1", "]", "\n"]),
    nesting("list_comprehension", ["x = ", "[y for y in ", "z", "]", "\n"]),
    nesting("element", ["x = ", "[", "y", " for y in z]", "\n"]),
    nesting("generator", ["x = ", "f(y for y in ", "z", ")", "\n"]),
    nesting("walrus", ["x = ", "(y := ", "z", ")", "\n"]),
    nesting("yield", ["def f(): x = ", "(yield ", "z", ")", "\n"]),
    nesting("await", ["async def f(): x = ", "(await ", "z", ")", "\n"]),
    nesting("list_target", ["", "[", "a", "]", " = 1\n"]),
    nesting("for_target", ["for ", "(", "a", ",)", " in b: pass\n"]),
    nesting("with_item", ["with ", "(", "a", ")", ": pass\n"]),
    nesting("case_sequence", ["match x:\n case ", "[", "1", "]", ": pass\n"]),
    nesting("case_mapping", ["match x:\n case ", "{1: ", "1", "}", ": pass\n"]),
    nesting("case_class", ["match x:\n case ", "A(", "1", ")", ": pass\n"]),
    nesting("case_group", ["match x:\n case ", "(", "1", ")", ": pass\n"]),
    nesting("import_list", ["from a import ", "(", "b", ")", "\n"]),
    nesting("format_specification", ["f'", "{x:", "", "}", "'\n"]),
    nesting("template_specification", ["t'", "{x:", "", "}", "'\n"]),
    nesting("replacement", ["f'", "{(", "x", ")}", "'\n"]),
    nesting("unclosed_parentheses", ["x = ", "(", "", "", "\n"]),
    nesting("unclosed_braces", ["f'", "{", "", "", "\n"]),
    nesting("closed_only", ["x = 1", "", "", ")", "\n"]),
];

impl Nesting {
    /// The source, so many levels deep.
    pub fn source(&self, depth: usize) -> String {
        let Self { start, open, middle, close, end, .. } = self;
        format!("{start}{}{middle}{}{end}", open.repeat(depth), close.repeat(depth))
    }
}

/// Blocks in blocks; every level costs its own depth in bytes.
pub fn blocks(depth: usize) -> String {
    let openings = ["if a:", "while a:", "for a in b:", "with a:", "def f():", "class A:", "async def f():"];
    let line = |level: usize| format!("{}{}\n", " ".repeat(level), openings[level % openings.len()]);
    let lines: String = (0..depth).map(line).collect();
    format!("{lines}{}pass\n", " ".repeat(depth))
}
