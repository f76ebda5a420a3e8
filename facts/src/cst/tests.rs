//! The lane over small files, and over files that are hard to read or to walk; `tests/cst_oracle.rs` compares it with
//! LibCST over real ones.

use proptest::prelude::*;

use crate::extract::GroupOutput;
use crate::lane::LaneId;
use crate::options::Options;
use crate::testing::{extract, file, texts};

fn run(content: &[u8]) -> GroupOutput {
    extract(&Options::default(), &file("pkg/sub/mod.py"), LaneId::Cst, Some(content))
}

fn column(output: &GroupOutput, dataset: &str, name: &str) -> Vec<String> {
    let table = output.tables.iter().find(|(d, _)| d.name == dataset);
    let values = table.map(|(_, batch)| texts(batch, name)).unwrap_or_default();
    values.into_iter().map(|value| value.unwrap_or_else(|| "-".into())).collect()
}

/// Pairs of text and qualified names of all references.
fn names(content: &str) -> Vec<(String, String)> {
    let output = run(content.as_bytes());
    let texts = column(&output, "cst_refs", "ref_text");
    texts.into_iter().zip(column(&output, "cst_refs", "qnames")).collect()
}

fn name_of(content: &str, text: &str) -> Vec<String> {
    names(content).into_iter().filter(|(name, _)| name == text).map(|(_, qnames)| qnames).collect()
}

/// The exception of a file that is refused; such a file has no other rows.
fn error(content: &[u8]) -> String {
    let output = run(content);
    let tables: Vec<&str> = output.tables.iter().map(|(dataset, _)| dataset.name).collect();
    assert_eq!(tables, ["cst_parse_errors"]);
    column(&output, "cst_parse_errors", "error_type").remove(0)
}

#[test]
fn an_empty_file_has_a_manifest_and_a_module() {
    let output = run(b"");
    assert_eq!(output.tables.len(), 2);
    assert_eq!(column(&output, "cst_nodes", "kind"), ["Module"]);
    assert_eq!(column(&output, "cst_parse_manifest", "module_name"), ["pkg.sub.mod"]);
    assert_eq!(column(&output, "cst_parse_manifest", "package_name"), ["pkg.sub"]);
    assert_eq!(column(&output, "cst_parse_manifest", "has_trailing_newline"), ["false"]);
}

#[test]
fn package_roots_name_modules() {
    let options = Options { package_roots: vec!["pkg".into()], ..Options::default() };
    let output = extract(&options, &file("pkg/sub/mod.py"), LaneId::Cst, Some(b"class A: pass\n"));
    assert_eq!(column(&output, "cst_defs", "def_fqns"), ["[sub.mod.A]"]);
}

#[test]
fn spans_are_bytes_of_the_file() {
    let output = run(b"# coding: latin-1\r\nif 1:\r\n\t\xe9 = f((x))\r\n");
    assert_eq!(column(&output, "cst_parse_manifest", "encoding"), ["iso-8859-1"]);
    assert_eq!(column(&output, "cst_parse_manifest", "default_newline"), ["\r\n"]);
    assert_eq!(column(&output, "cst_parse_manifest", "default_indent"), ["\t"]);
    assert_eq!(column(&output, "cst_refs", "ref_text"), ["é", "f", "x"]);
    assert_eq!(column(&output, "cst_refs", "bstart"), ["27", "31", "34"]);
    assert_eq!(column(&output, "cst_call_args", "arg_text"), ["(x)"]);
    assert_eq!(column(&output, "cst_call_args", "bend"), ["35"]);
}

#[test]
fn an_access_sees_what_comes_before_it() {
    assert_eq!(name_of("x = 1\nx = x\n", "x"), ["[x]", "[x]", "[x]"]);
    assert_eq!(name_of("len\nlen = 1\nlen\n", "len"), ["[builtins.len]", "[len]", "[len]"]);
    assert_eq!(name_of("def f():\n  g()\ndef g(): pass\n", "g"), ["[g]", "[g]"]);
    assert_eq!(name_of("if a:\n  from b import c\nelse:\n  from d import c\nc\n", "c")[2], "[b.c, d.c]");
}

#[test]
fn scopes_give_names_their_prefix() {
    assert_eq!(name_of("class A:\n  def f(self, p=1): q = p\n", "q"), ["[A.f.<locals>.q]"]);
    assert_eq!(name_of("[i for i in j]\n", "i"), ["[<comprehension>.i]", "[<comprehension>.i]"]);
    assert_eq!(name_of("def f():\n  global g\n  g = 1\n", "g"), ["[]", "[g]"]);
    assert_eq!(name_of("class A:\n  x = 1\n  def f(self): x\n", "x"), ["[A.x]", "[]"]);
    assert_eq!(name_of("lambda a: a\n", "a"), ["[<locals>.a]", "[<locals>.a]"]);
    assert_eq!(name_of("def f[T](a: T): pass\n", "T"), ["[]", "[T]"]);
}

#[test]
fn imports_are_followed_through_dots() {
    assert_eq!(name_of("import a.b\na.b.c\n", "a.b.c"), ["[a.b.c]"]);
    assert_eq!(name_of("import a.b as c\nc.d()\n", "c.d"), ["[a.b.d]"]);
    assert_eq!(name_of("from . import a\na.b\n", "a.b"), ["[.a.b]"]);
    assert_eq!(name_of("''.join(x)\n", "None.join"), ["[builtins.None]"]);
    let output = run(b"from ..x import y\nfrom .... import z\ny.f(z())\n");
    assert_eq!(column(&output, "cst_callsites", "callee_fqns"), ["[pkg.x.y.f]", "[]"]);
    assert_eq!(column(&output, "callsite_qname_candidates", "qname"), ["pkg.x.y.f"]);
}

#[test]
fn parentheses_are_text_and_no_span() {
    let output = run(b"@(d)\ndef f(a: (int)) -> ((str)): return g((1, 2, ), *(b), k=( c ))\n");
    assert_eq!(column(&output, "cst_decorators", "decorator_text"), ["(d)"]);
    assert_eq!(column(&output, "cst_type_exprs", "expr_text"), ["(int)", "((str))"]);
    assert_eq!(column(&output, "cst_type_exprs", "bstart"), ["15", "26"]);
    assert_eq!(column(&output, "cst_call_args", "arg_text"), ["(1, 2, )", "(b)", "( c )"]);
    assert_eq!(column(&output, "cst_call_args", "bstart"), ["43", "54", "62"]);
    assert_eq!(column(&output, "cst_call_args", "bend"), ["48", "55", "63"]);
}

#[test]
fn nodes_have_spans_with_and_without_what_they_own() {
    let output = run(b"# head\n\nif a:\n    # lead\n    b ( (c) , )  # trail\n    # foot\n# next\nd\n");
    let of = |kind: &str| {
        let kinds = column(&output, "cst_nodes", "kind");
        let at = kinds.iter().position(|k| k == kind).unwrap();
        let value = |name| column(&output, "cst_nodes", name)[at].parse::<usize>().unwrap();
        (value("bstart"), value("bend"), value("owned_bstart"), value("owned_bend"))
    };
    assert_eq!(of("If"), (8, 40, 8, 61));
    assert_eq!(of("IndentedBlock"), (29, 40, 13, 61));
    assert_eq!(of("SimpleStatementLine"), (29, 40, 14, 50));
    assert_eq!(of("Arg"), (33, 36, 33, 39));
    assert_eq!(of("Comma"), (37, 38, 36, 39));
}

#[test]
fn long_texts_are_cut_and_said_to_be() {
    let options = Options { max_docstring_bytes: 3, max_expression_bytes: 4, ..Options::default() };
    let output = extract(&options, &file("f.py"), LaneId::Cst, Some("'abé'\nf(abcdef)\n".as_bytes()));
    assert_eq!(column(&output, "cst_docstrings", "docstring"), ["ab"]);
    assert_eq!(column(&output, "cst_call_args", "arg_text"), ["abcd"]);
    assert_eq!(output.files[0].diagnostics.len(), 2);
}

#[test]
fn what_does_not_parse_is_an_error_row() {
    assert_eq!(error(b"x = (\n"), "ParserSyntaxError");
    assert_eq!(error(b"if x:\npass\n"), "ParserSyntaxError");
    let output = run("é\n\té = = 1\n".as_bytes());
    assert_eq!(column(&output, "cst_parse_errors", "raw_line"), ["2"]);
    let output = run("é = 1 1\n".as_bytes());
    assert_eq!(column(&output, "cst_parse_errors", "raw_column"), ["6"]);
    assert_eq!(column(&output, "cst_parse_errors", "context"), ["é = 1 1\n      ^"]);
}

/// On a thread as small as a runtime's, so that what recurses is seen to.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(512 * 1024).spawn(test).unwrap().join().unwrap();
}

#[test]
fn depth_ends_in_an_error_row() {
    on_a_small_stack(|| {
        let n = 100_000;
        let text = |start: &str, middle: &str, end: &str| format!("{}{start}{}{end}", "", middle.repeat(n));
        for deep in [
            text("a", ".a", ""),
            text("", "-", "1"),
            text("1", "+1", ""),
            text("", "not ", "1"),
            text("", "lambda: ", "1"),
            text("", "lambda a, b: ", "1"),
            text("a", "()", ""),
            text("a", "[0]", ""),
            text("", "1 if a else ", "1"),
        ] {
            assert_eq!(error(deep.as_bytes()), "RecursionError", "{}", &deep[..20]);
        }
        for deep in [text("", "(", "1"), text("", "[", ""), text("f'", "{x:", "'"), text("", "{", "")] {
            assert_eq!(error(deep.as_bytes()), "ParserSyntaxError");
        }
        // Flat, however long.
        let chain = format!("if a: pass\n{}", "elif b: pass\n".repeat(n));
        assert_eq!(column(&run(chain.as_bytes()), "cst_refs", "ordinal").len(), n + 1);
    });
}

#[test]
fn depth_within_the_limit_is_walked() {
    on_a_small_stack(|| {
        assert_eq!(
            column(&run("a()".replace("()", &"()".repeat(3_000)).as_bytes()), "cst_callsites", "ordinal").len(),
            3_000
        );
        assert_eq!(column(&run(format!("a{}", ".b".repeat(3_000)).as_bytes()), "cst_refs", "ordinal").len(), 3_001);
        let lambdas = format!("{}a", "lambda a: ".repeat(999));
        assert_eq!(column(&run(lambdas.as_bytes()), "cst_refs", "ordinal").len(), 1_000);
    });
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let output = run(&bytes);
        let has = |name: &str| output.tables.iter().any(|(d, _)| d.name == name);
        prop_assert!(has("cst_parse_manifest") != has("cst_parse_errors"));
    }

    #[test]
    fn no_text_is_too_strange(text in "([a-z]{1,3}|[0-9]{1,3}|f\"|\"|'|\\{|\\}|[:=,.()\\[\\]@;\\\\#*-]|\n|\r\n|\n {0,6}|if |def |class |lambda |import |from |for |in |é|match |case ){0,60}") {
        let output = run(text.as_bytes());
        let has = |name: &str| output.tables.iter().any(|(d, _)| d.name == name);
        prop_assert!(has("cst_parse_manifest") != has("cst_parse_errors"));
        prop_assert!(has("cst_nodes") == has("cst_parse_manifest"), "a shape that is not known: {:?}", text);
    }
}
