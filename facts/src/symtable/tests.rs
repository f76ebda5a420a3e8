//! Each rule on a few lines of source. What is expected was shown by the CPython of the version.

use std::fmt::Write as _;

use super::tables::SymtableSymbols;
use crate::extract::GroupOutput;
use crate::lane::LaneId;
use crate::options::Options;
use crate::python::Version::{self, Py38, Py39, Py310, Py311, Py312, Py313, Py314};
use crate::testing::{extract, file, texts};

fn run(version: Version, source: &str) -> GroupOutput {
    let options = Options { python_version: version, ..Options::default() };
    extract(&options, &file("f.py"), LaneId::Symtable, Some(source.as_bytes()))
}

fn column(output: &GroupOutput, dataset: &str, name: &str) -> Vec<String> {
    let table = output.tables.iter().find(|(d, _)| d.name == dataset);
    let values = table.map(|(_, batch)| texts(batch, name)).unwrap_or_default();
    values.into_iter().map(|value| value.unwrap_or_else(|| "-".into())).collect()
}

fn columns<const N: usize>(output: &GroupOutput, dataset: &str, names: [&str; N]) -> Vec<[String; N]> {
    let columns = names.map(|name| column(output, dataset, name));
    (0..columns[0].len()).map(|row| std::array::from_fn(|column| columns[column][row].clone())).collect()
}

/// Marks of a symbol, in the order in which they are written.
const MARKS: [(&str, &str); 10] = [
    ("is_referenced", "used"),
    ("is_assigned", "assigned"),
    ("is_parameter", "parameter"),
    ("is_imported", "imported"),
    ("is_annotated", "annotated"),
    ("is_nonlocal", "nonlocal"),
    ("is_type_parameter", "type_parameter"),
    ("is_free_class", "free_class"),
    ("is_comp_iter", "iteration"),
    ("is_comp_cell", "comprehension_cell"),
];

/// A line a scope, its symbols behind it.
fn table(version: Version, source: &str) -> String {
    let output = run(version, source);
    assert_eq!(error(&output), None, "{source}");
    let symbols = columns(&output, "symtable_symbols", ["scope_ordinal", "name", "scope"]);
    let marks = MARKS.map(|(name, _)| column(&output, "symtable_symbols", name));
    let mut text = String::new();
    let scopes = columns(&output, "symtable_scopes", ["ordinal", "qualpath", "block_type"]);
    for [ordinal, path, kind] in scopes {
        write!(text, "{kind} {path}:").unwrap();
        for (row, [_, name, scope]) in symbols.iter().enumerate().filter(|(_, [owner, ..])| *owner == ordinal) {
            let marked = marks.iter().zip(MARKS).filter(|(column, _)| column[row] == "true");
            let marks: Vec<&str> = marked.map(|(_, (_, word))| word).collect();
            write!(text, " {name}={scope}({})", marks.join(" ")).unwrap();
        }
        text.push('\n');
    }
    text
}

fn error(output: &GroupOutput) -> Option<String> {
    let row =
        columns(output, "symtable_errors", ["stage", "lineno", "col_offset", "end_col_offset", "message"]).pop()?;
    let [stage, line, start, end, message] = row;
    Some(format!("{stage} {line}:{start}-{end} {message}"))
}

/// The error of a file that is refused; such a file has no other rows.
fn refused(version: Version, source: &str) -> String {
    let output = run(version, source);
    let error = error(&output).unwrap_or_else(|| panic!("{source} is taken"));
    assert_eq!(output.tables.len(), 1, "a refused file has an error row and nothing else");
    error
}

/// What each name is of: name, access, how it is found, path of the scope that binds it.
fn resolutions(version: Version, source: &str) -> Vec<String> {
    let output = run(version, source);
    assert_eq!(error(&output), None, "{source}");
    let paths = column(&output, "symtable_scopes", "qualpath");
    let path = |ordinal: &str| ordinal.parse::<usize>().map_or("-", |ordinal| paths[ordinal].as_str());
    let names = ["name", "access", "resolution", "binding_scope_ordinal", "in_comprehension", "scope_ordinal"];
    columns(&output, "symtable_resolutions", names)
        .iter()
        .map(|[name, access, resolution, binder, inlined, scope]| {
            let inlined = if inlined == "true" { " in a comprehension" } else { "" };
            format!("{name} {access} in {}: {resolution} of {}{inlined}", path(scope), path(binder))
        })
        .collect()
}

#[test]
fn an_empty_file_is_a_module() {
    let output = run(Py313, "");
    let columns = columns(&output, "symtable_scopes", ["name", "lineno", "bstart", "bend", "parent_ordinal"]);
    assert_eq!(columns, [["top", "0", "0", "0", "-"]]);
}

#[test]
fn assignments_uses_and_globals() {
    let source =
        "import a.b, c as d\nx: int = 1\ny: str\ndef f(p, *q, r=x, **s):\n  global g\n  g = p; len(t)\n  t = 1\n";
    assert_eq!(
        table(Py313, source),
        "module top: a=LOCAL(imported) d=LOCAL(imported) x=LOCAL(used assigned annotated) int=GLOBAL_IMPLICIT(used) \
         y=LOCAL(assigned annotated) str=GLOBAL_IMPLICIT(used) f=LOCAL(assigned) g=GLOBAL_EXPLICIT()\n\
         function f: p=LOCAL(used parameter) r=LOCAL(parameter) q=LOCAL(parameter) s=LOCAL(parameter) \
         g=GLOBAL_EXPLICIT(assigned) len=GLOBAL_IMPLICIT(used) t=LOCAL(used assigned)\n"
    );
}

#[test]
fn free_names_are_handed_down_and_cells_made() {
    let source = "def f(x):\n  def g():\n    def h():\n      nonlocal x\n      x = x\n";
    assert_eq!(
        table(Py313, source),
        "module top: f=LOCAL(assigned)\n\
         function f: x=CELL(parameter) g=LOCAL(assigned)\n\
         function f.g: h=LOCAL(assigned) x=FREE()\n\
         function f.g.h: x=FREE(used assigned nonlocal)\n"
    );
}

#[test]
fn classes_are_no_part_of_their_methods_sight() {
    let source = "class A:\n  x = 1\n  def f(self):\n    return x, super()\n  def __g(self): self.__y; __z\n";
    assert_eq!(
        table(Py313, source),
        "module top: A=LOCAL(assigned)\n\
         class A: x=LOCAL(assigned) f=LOCAL(assigned) _A__g=LOCAL(assigned)\n\
         function A.f: self=LOCAL(parameter) x=GLOBAL_IMPLICIT(used) super=GLOBAL_IMPLICIT(used) __class__=FREE(used)\n\
         function A.__g: self=LOCAL(used parameter) _A__z=GLOBAL_IMPLICIT(used)\n"
    );
    // A method that takes a name through a class.
    let source = "def f(x):\n  class A:\n    x\n    def g(self): x\n";
    assert!(table(Py311, source).contains("class f.A: x=FREE(used) "));
    assert!(table(Py312, source).contains("class f.A: x=FREE(used free_class) "));
}

#[test]
fn methods_are_what_the_version_calls_so() {
    let source = "class A:\n  def f(self): pass\n  x = (q for q in y)\n  class B: pass\n  def __p(self): pass\n";
    assert_eq!(column(&run(Py312, source), "symtable_class_methods", "name"), ["f", "genexpr", "B", "__p"]);
    assert_eq!(column(&run(Py313, source), "symtable_class_methods", "name"), ["f"]);
}

#[test]
fn namespaces_are_bound_to_their_names() {
    let output =
        run(Py313, "def f(): pass\nif 1:\n  class f: pass\nf = 1\nlambda = 1\n".replace("lambda = 1\n", "").as_str());
    let edges = ["symbol_ordinal", "scope_ordinal", "namespace_ordinal", "namespace_index"];
    let edges = columns(&output, "symtable_namespace_edges", edges);
    assert_eq!(edges, [["0", "0", "1", "0"], ["0", "0", "2", "1"]]);
    assert_eq!(column(&output, "symtable_symbols", "namespace_count"), ["2"]);
    assert_eq!(column(&output, "symtable_scope_edges", "child_ordinal"), ["1", "2"]);
}

#[test]
fn partitions_are_those_of_the_function() {
    let output = run(Py313, "def f(a):\n  b = len\n  def g():\n    nonlocal a\n    a = c\n");
    let partitions = columns(&output, "symtable_function_partitions", ["scope_ordinal", "partition", "name"]);
    let text: Vec<String> = partitions.iter().map(|row| row.join(" ")).collect();
    let expected = [
        "1 parameters a",
        "1 locals a",
        "1 locals b",
        "1 locals g",
        "1 globals len",
        "2 globals c",
        "2 nonlocals a",
        "2 frees a",
    ];
    assert_eq!(text, expected);
}

#[test]
fn comprehensions_are_scopes_until_3_12() {
    let source = "def f(y):\n  return [lambda: x for x in y], {z for z in y}, (v for v in y)\n";
    assert_eq!(
        table(Py311, source),
        "module top: f=LOCAL(assigned)\n\
         function f: y=LOCAL(used parameter)\n\
         function f.listcomp: .0=LOCAL(parameter) x=CELL(assigned iteration)\n\
         function f.listcomp.lambda: x=FREE(used)\n\
         function f.setcomp: .0=LOCAL(parameter) z=LOCAL(used assigned iteration)\n\
         function f.genexpr: .0=LOCAL(parameter) v=LOCAL(used assigned iteration)\n"
    );
    assert_eq!(
        table(Py312, source),
        "module top: f=LOCAL(assigned)\n\
         function f: y=LOCAL(used parameter) x=CELL(assigned iteration comprehension_cell) \
         z=LOCAL(used assigned iteration)\n\
         function f.lambda: x=FREE(used)\n\
         function f.genexpr: .0=LOCAL(parameter) v=LOCAL(used assigned iteration)\n"
    );
    assert!(table(Py313, "class A:\n  x = [__class__ for y in z]\n").contains("__class__=GLOBAL_IMPLICIT(used)"));
}

#[test]
fn lines_in_f_strings_are_those_of_the_version() {
    let sources = [
        ("f'''\n{[x for x in y]}\n {[z for z in w]} '''", ["2", "3"], ["2", "3"]),
        ("(f'a'\n f'{[x for x in y]}'\n f'{[x for x in y]}')", ["1", "1"], ["2", "3"]),
        ("f'''{[x for x in y]}\n{[x for x in y]}'''", ["1", "1"], ["1", "2"]),
        ("f'''\n{ f'{[x for x in y]}' } { (lambda: x)}'''", ["2", "2"], ["2", "2"]),
    ];
    for (source, in_38, in_39) in sources {
        assert_eq!(column(&run(Py38, source), "symtable_scopes", "lineno")[1..], in_38, "{source}");
        assert_eq!(column(&run(Py39, source), "symtable_scopes", "lineno")[1..], in_39, "{source}");
    }
}

#[test]
fn assignment_expressions_bind_outside_of_comprehensions() {
    let source = "def f(y):\n  [n := x for x in y]\n[m := 1 for _ in f]\n";
    assert_eq!(
        table(Py311, source),
        "module top: f=LOCAL(used assigned) m=GLOBAL_EXPLICIT()\n\
         function f: y=LOCAL(used parameter) n=CELL(assigned)\n\
         function f.listcomp: .0=LOCAL(parameter) x=LOCAL(used assigned iteration) n=FREE(assigned nonlocal)\n\
         function listcomp: .0=LOCAL(parameter) _=LOCAL(assigned iteration) m=GLOBAL_EXPLICIT(assigned)\n"
    );
    assert!(table(Py313, source).contains("n=LOCAL(assigned)"), "a cell no more");
}

#[test]
fn type_parameters_have_scopes() {
    let source = "class A[T: int](B[T]):\n  def f[U](self, x: U = 1): return T, U\ntype C[V] = V\n";
    assert_eq!(
        table(Py312, source),
        "module top: A=LOCAL(assigned) C=LOCAL(assigned)\n\
         type parameter A: .type_params=CELL(used assigned) .generic_base=LOCAL(used assigned) \
         T=CELL(used assigned type_parameter) B=GLOBAL_IMPLICIT(used)\n\
         TypeVar bound A.T: int=GLOBAL_IMPLICIT(used)\n\
         class A.A: __type_params__=LOCAL(assigned) .type_params=FREE(used) f=LOCAL(assigned) T=FREE()\n\
         type parameter A.A.f: __classdict__=FREE(used) .defaults=LOCAL(parameter) \
         U=CELL(used assigned type_parameter) T=FREE()\n\
         function A.A.f.f: self=LOCAL(parameter) x=LOCAL(parameter) T=FREE(used) U=FREE(used)\n\
         type parameter C: V=CELL(assigned type_parameter)\n\
         type alias C.C: V=FREE(used)\n"
    );
    let text = table(Py313, "def f[T = int](*, a = 1): pass\n");
    assert!(text.contains("type parameters f: .defaults=LOCAL(parameter) .kwdefaults=LOCAL(parameter) T="), "{text}");
    assert!(text.contains("type variable f.T: int="), "{text}");
}

#[test]
fn names_of_type_parameters_are_mangled_in_the_class_alone() {
    let source = "class A[__T: __U](__W):\n  def f(self): __T\n__x = 1\n";
    for version in [Py312, Py313] {
        let text = table(version, source);
        assert!(text.starts_with("module top: A=LOCAL(assigned) __x=LOCAL(assigned)\n"), "{text}");
        assert!(text.contains("_A__T=CELL(assigned type_parameter) __W=GLOBAL_IMPLICIT(used)"), "{text}");
        assert!(text.contains("A.__T: __U=GLOBAL_IMPLICIT(used)"), "{text}");
        assert!(text.contains("function A.A.f: self=LOCAL(parameter) _A__T=FREE(used)"), "{text}");
    }
}

#[test]
fn annotations_are_evaluated_lazily_since_3_14() {
    let source = "x: int\nclass A:\n  y: x\n  def f(self, a: y) -> A:\n    b: c\n";
    assert_eq!(
        table(Py314, source),
        "module top: x=LOCAL(assigned annotated) __conditional_annotations__=GLOBAL_IMPLICIT(used) A=LOCAL(assigned)\n\
         annotation __annotate__: .format=LOCAL(used parameter) int=GLOBAL_IMPLICIT(used)\n\
         class A: y=LOCAL(assigned annotated) f=LOCAL(assigned)\n\
         annotation A.__annotate__: .format=LOCAL(used parameter) __classdict__=FREE(used) x=GLOBAL_IMPLICIT(used)\n\
         annotation A.__annotate__: .format=LOCAL(used parameter) __classdict__=FREE(used) y=GLOBAL_IMPLICIT(used) \
         A=GLOBAL_IMPLICIT(used)\n\
         function A.f: self=LOCAL(parameter) a=LOCAL(parameter) b=LOCAL(assigned annotated)\n\
         annotation A.f.__annotate__: .format=LOCAL(used parameter)\n"
    );
}

#[test]
fn annotations_that_stay_text_leave_no_trace() {
    let source = "from __future__ import annotations\nx: int\ndef f(a: b): pass\n";
    for version in [Py310, Py313, Py314] {
        assert!(!table(version, source).contains("int="), "{version}");
        assert!(resolutions(version, source).contains(&"int load in top: - of -".to_owned()), "{version}");
    }
    assert!(table(Py39, source).contains("int="), "3.9 doesn't tell them apart");
}

#[test]
fn names_resolve_to_the_scope_that_binds_them() {
    let source = "import m\ndef f(a):\n  class C(m.B):\n    a = a\n    def g(self): return a, C, m, len\n";
    assert_eq!(
        resolutions(Py313, source),
        [
            "m import in top: LOCAL of top",
            "f definition in top: LOCAL of top",
            "a parameter in f: CELL of f",
            "C definition in f: CELL of f",
            "m load in f: GLOBAL_IMPLICIT of top",
            "a store in f.C: LOCAL of f.C",
            "a load in f.C: LOCAL of f.C",
            "g definition in f.C: LOCAL of f.C",
            "self parameter in f.C.g: LOCAL of f.C.g",
            "a load in f.C.g: FREE of f",
            "C load in f.C.g: FREE of f",
            "m load in f.C.g: GLOBAL_IMPLICIT of top",
            "len load in f.C.g: GLOBAL_IMPLICIT of -",
        ]
    );
    let source = "def f(y):\n  x = 1\n  return [x + y for x in y]\n";
    let inlined = resolutions(Py313, source);
    assert_eq!(inlined[3], "x load in f: LOCAL of f in a comprehension");
    assert_eq!(inlined[4], "y load in f: LOCAL of f");
    let scoped = resolutions(Py311, source);
    assert_eq!(scoped[3], "x load in f.listcomp: LOCAL of f.listcomp");
    assert_eq!(scoped[4], "y load in f.listcomp: FREE of f");
}

#[test]
fn occurrences_lie_where_the_name_is_written() {
    let source = "import a . b\nfrom c import d as é\ndel é\ntry: pass\nexcept E as e: pass\nmatch a:\n case {'k': k, **r}: pass\n";
    let output = run(Py313, source);
    for [name, start, end] in columns(&output, "symtable_resolutions", ["name", "bstart", "bend"]) {
        assert_eq!(source[start.parse().unwrap()..end.parse().unwrap()], *name);
    }
    let names = column(&output, "symtable_resolutions", "name");
    assert_eq!(names, ["a", "é", "é", "E", "e", "a", "k", "r"]);
}

#[test]
fn identifiers_are_normalized() {
    assert_eq!(column(&run(Py313, "ﬁn = 1\nfin\n"), "symtable_symbols", "name"), ["fin"]);
}

#[test]
fn what_makes_no_sense_of_its_names_is_refused() {
    let cases = [
        ("def f(a, a): pass", "1:9-10 duplicate argument 'a' in function definition"),
        ("x = 1; global x", "1:7-15 name 'x' is assigned to before global declaration"),
        ("def f(): x; global x", "1:12-20 name 'x' is used prior to global declaration"),
        ("def f(x): global x", "1:10-18 name 'x' is parameter and global"),
        ("def f(): x: int; global x", "1:17-25 annotated name 'x' can't be global"),
        ("def f():\n global x\n x: int", "3:1-7 annotated name 'x' can't be global"),
        ("def f(x): nonlocal x", "1:10-20 name 'x' is parameter and nonlocal"),
        ("def f(): nonlocal x", "1:9-19 no binding for nonlocal 'x' found"),
        ("nonlocal x", "1:0-10 nonlocal declaration not allowed at module level"),
        ("def f(x):\n def g(): global x; nonlocal x", "2:10-18 name 'x' is nonlocal and global"),
        ("def f(): from m import *", "1:23-24 import * only allowed at module level"),
        ("[x := 1 for x in y]", "1:1-2 assignment expression cannot rebind comprehension iteration variable 'x'"),
        (
            "[i for i in y if (j := 0) for j in y]",
            "1:30-31 comprehension inner loop cannot rebind assignment expression target 'j'",
        ),
        (
            "[x for x in (y := z)]",
            "1:13-19 assignment expression cannot be used in a comprehension iterable expression",
        ),
        (
            "class A: z = [q := 1 for x in y]",
            "1:14-15 assignment expression within a comprehension cannot be used in a class body",
        ),
        ("def f(): return [(yield) for x in y]", "1:18-23 'yield' inside list comprehension"),
        ("def f[T, T](): pass", "1:9-10 duplicate type parameter 'T'"),
        ("def f[T](): nonlocal T", "1:12-22 nonlocal binding not allowed for type parameter 'T'"),
        ("class A[T: (yield)]: pass", "1:12-17 yield expression cannot be used within a TypeVar bound"),
        ("class A[T = (yield)]: pass", "1:13-18 yield expression cannot be used within a TypeVar default"),
        ("type A = (x := 1)", "1:10-16 named expression cannot be used within a type alias"),
        (
            "type A = [x := 1 for y in z]",
            "1:10-11 assignment expression within a comprehension cannot be used in a type alias",
        ),
        ("class B[T]((x := 1)): pass", "1:12-18 named expression cannot be used within the definition of a generic"),
        ("from __future__ import nope", "1:0-27 future feature nope is not defined"),
        ("from __future__ import braces", "1:0-29 not a chance"),
        (
            "from __future__ import annotations\nx: (yield)",
            "2:4-9 yield expression cannot be used within an annotation",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(refused(Py313, source), format!("symtable {expected}"), "{source}");
    }
    assert!(refused(Py313, "x = (").starts_with("parse "));
}

#[test]
fn versions_refuse_differently() {
    assert!(refused(Py38, "def f(b): lambda a, a: 0").starts_with("symtable 1:10-24 duplicate argument"));
    assert!(
        refused(Py312, "class C:\n type A = lambda: 1")
            .ends_with("Cannot use lambda in annotation scope within class scope")
    );
    assert!(error(&run(Py313, "class C:\n type A = lambda: 1")).is_none());
    let cases = [
        ("await x", "1:0-7 'await' outside function"),
        ("def f(): await x", "1:9-16 'await' outside async function"),
        ("async with a: pass", "1:0-18 'async with' outside async function"),
        ("[x async for x in y]", "1:0-20 asynchronous comprehension outside of an asynchronous function"),
        ("__debug__ = 1", "1:0-9 cannot assign to __debug__"),
        ("f(__debug__=1)", "1:2-13 cannot assign to __debug__"),
        ("del __debug__", "1:4-13 cannot delete __debug__"),
        ("x.__debug__ = 1", "1:0-11 cannot assign to __debug__"),
        (
            "x = 1\nfrom __future__ import division",
            "2:0-31 from __future__ imports must occur at the beginning of the file",
        ),
        ("x: (yield)", "1:4-9 yield expression cannot be used within an annotation"),
        ("class A[__classdict__]: pass", "1:8-21 reserved name '__classdict__' cannot be used for type parameter"),
    ];
    for (source, expected) in cases {
        assert_eq!(refused(Py314, source), format!("symtable {expected}"), "{source}");
        assert!(error(&run(Py313, source)).is_none(), "{source}");
    }
}

/// On a thread as small as a runtime's, so that what recurses is seen to.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(512 * 1024).spawn(test).unwrap().join().unwrap();
}

#[test]
fn depth_ends_in_a_row() {
    on_a_small_stack(|| {
        let n = 100_000;
        let sources = [
            format!("a{}", ".a".repeat(n)),
            format!("{}1", "-".repeat(n)),
            format!("1{}", "+1".repeat(n)),
            format!("{}1", "not ".repeat(n)),
            format!("{}1", "lambda: ".repeat(n)),
            format!("{}1", "lambda a, b: ".repeat(n)),
            format!("a{}", "()".repeat(n)),
            format!("a{}", "[0]".repeat(n)),
            format!("{}1", "1 if a else ".repeat(n)),
            format!("if a: pass\n{}", "elif b: pass\n".repeat(n)),
            format!("{}1{}", "(".repeat(n), ")".repeat(n)),
            format!("{}1{}", "[".repeat(n), "]".repeat(n)),
            format!("x: {}1", "lambda: ".repeat(n)),
            format!("match x:\n case {}1{}: pass\n", "[".repeat(n), "]".repeat(n)),
            format!("f'{}{}'", "{x:".repeat(n), "}".repeat(n)),
        ];
        for (source, version) in sources.iter().flat_map(|source| [(source, Py38), (source, Py314)]) {
            let output = run(version, source);
            let errors = column(&output, "symtable_errors", "error_type");
            let kinds = ["RecursionError", "SyntaxError", "MemoryError"];
            assert!(errors.len() == 1 && kinds.contains(&errors[0].as_str()), "{}: {errors:?}", &source[..20]);
        }
    });
}

#[test]
fn depth_within_cpythons_limit_is_walked() {
    on_a_small_stack(|| {
        let n = 9_900;
        let output = run(Py313, &format!("def f(x): return {}x", "lambda: ".repeat(n)));
        let scopes = column(&output, "symtable_scopes", "name");
        assert_eq!(scopes.len(), n + 2);
        assert_eq!(column(&output, "symtable_symbols", "scope")[2..], vec!["FREE"; n]);
    });
}

#[test]
fn tables_that_are_not_wanted_stay_empty() {
    use crate::extract::{Extractor, FileRequest, LaneRequest};
    let mut extractor = Extractor::new(&Options::default(), &crate::options::Limits::default());
    let lanes = vec![LaneRequest { lane: LaneId::Symtable, datasets: vec![SymtableSymbols::DATASET.name.into()] }];
    extractor.extract(&FileRequest { meta: file("f.py"), lanes }, Some(b"def f(x): return x\n"));
    let names: Vec<&str> = extractor.finish().unwrap().tables.iter().map(|(dataset, _)| dataset.name).collect();
    assert_eq!(names, ["symtable_symbols"]);
}
