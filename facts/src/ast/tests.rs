//! The lane over files that are hard to read, hard to parse, or hard to walk.

use proptest::prelude::*;

use crate::extract::GroupOutput;
use crate::lane::LaneId;
use crate::options::Options;
use crate::testing::{extract, file, texts};

fn run(content: &[u8]) -> GroupOutput {
    extract(&Options::default(), &file("f.py"), LaneId::Ast, Some(content))
}

fn column(output: &GroupOutput, dataset: &str, name: &str) -> Vec<Option<String>> {
    let table = output.tables.iter().find(|(d, _)| d.name == dataset);
    table.map(|(_, batch)| texts(batch, name)).unwrap_or_default()
}

fn one(output: &GroupOutput, dataset: &str, name: &str) -> String {
    let values = column(output, dataset, name);
    assert_eq!(values.len(), 1, "{dataset}.{name}: {values:?}");
    values[0].clone().unwrap_or_default()
}

/// The exception of a file that CPython refuses; such a file has no other rows.
fn error(content: &[u8]) -> String {
    let output = run(content);
    assert_eq!(output.tables.len(), 1, "a refused file has an error row and nothing else");
    one(&output, "ast_errors", "error_type")
}

fn nodes(content: &[u8]) -> usize {
    column(&run(content), "ast_nodes", "kind").len()
}

#[test]
fn an_empty_file_is_a_module() {
    assert_eq!(column(&run(b""), "ast_nodes", "kind"), [Some("Module".to_owned())]);
    assert_eq!(nodes(b"\xef\xbb\xbf"), 1);
    assert_eq!(nodes(b"\n\n# nothing\n"), 1);
}

#[test]
fn positions_are_bytes_of_the_file_and_columns_of_the_text() {
    let output = run(b"# coding: latin-1\r\n\xe9 = '\xe9'; x = 1\r\n");
    assert_eq!(column(&output, "ast_nodes", "name")[2].as_deref(), Some("é"));
    let last = |name| column(&output, "ast_nodes", name).pop().flatten().unwrap();
    assert_eq!((last("value"), last("bstart"), last("bend")), ("1".into(), "32".into(), "33".into()));
    assert_eq!((last("lineno"), last("col_offset"), last("end_col_offset")), ("2".into(), "15".into(), "16".into()));
    let output = run(b"\xef\xbb\xbfx = 1\ry = 2\r");
    let name = |index: usize, column_name| column(&output, "ast_nodes", column_name)[index].clone().unwrap();
    assert_eq!((name(2, "bstart"), name(2, "col_offset")), ("3".into(), "0".into()));
    assert_eq!((name(5, "bstart"), name(5, "lineno")), ("9".into(), "2".into()));
}

#[test]
fn what_cpython_refuses_is_an_error_row() {
    assert_eq!(error(b"x = 1\0"), "SyntaxError");
    assert_eq!(error(b"x = '\xff'"), "SyntaxError");
    assert_eq!(error(b"# coding: nope\n"), "SyntaxError");
    assert_eq!(error(b"\xef\xbb\xbf# coding: latin-1\n"), "SyntaxError");
    assert_eq!(error(b"x = (\n"), "SyntaxError");
    assert_eq!(error(b"if x:\npass\n"), "IndentationError");
    assert_eq!(error(b"if x:\n  a\n b\n"), "IndentationError");
    assert_eq!(error(b"x = t'{y}'\n"), "SyntaxError", "newer than the target version");
    assert_eq!(error(format!("x = {}", "1".repeat(5_000)).as_bytes()), "SyntaxError");
    assert_eq!(error(b"f'{x:{x:{x:{x}}}}'"), "SyntaxError");
    assert_eq!(nodes(b"f'{x:{x:{x}}}'"), 11);
}

#[test]
fn limits_of_cpythons_tokenizer_are_kept() {
    let brackets = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(nodes(brackets(200).as_bytes()), 3);
    assert_eq!(error(brackets(201).as_bytes()), "SyntaxError");
    let blocks = |n: usize| {
        let heads: String = (0..n).map(|level| format!("{}if 1:\n", " ".repeat(level))).collect();
        format!("{heads}{}pass\n", " ".repeat(n))
    };
    assert_eq!(nodes(blocks(99).as_bytes()), 1 + 2 * 99 + 1);
    assert_eq!(error(blocks(100).as_bytes()), "IndentationError");
}

/// On a thread as small as a runtime's, so that what recurses is seen to.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(512 * 1024).spawn(test).unwrap().join().unwrap();
}

#[test]
fn depth_ends_in_an_error_row() {
    on_a_small_stack(|| {
        let n = 100_000;
        assert_eq!(error(format!("a{}", ".a".repeat(n)).as_bytes()), "RecursionError");
        assert_eq!(error(format!("{}1", "-".repeat(n)).as_bytes()), "RecursionError");
        assert_eq!(error(format!("1{}", "+1".repeat(n)).as_bytes()), "RecursionError");
        assert_eq!(error(format!("{}1", "not ".repeat(n)).as_bytes()), "RecursionError");
        assert_eq!(error(format!("{}1", "lambda: ".repeat(n)).as_bytes()), "RecursionError");
        assert_eq!(error(format!("a{}", "()".repeat(n)).as_bytes()), "RecursionError");
        assert_eq!(error(format!("if a: pass\n{}", "elif b: pass\n".repeat(n)).as_bytes()), "RecursionError");
        assert_eq!(error(format!("{}1{}", "(".repeat(n), ")".repeat(n)).as_bytes()), "SyntaxError");
        assert_eq!(error("[".repeat(n).as_bytes()), "SyntaxError");
        assert_eq!(error(format!("{}1", "lambda a, b: ".repeat(n)).as_bytes()), "RecursionError");
        assert_eq!(
            error(format!("match x:\n case {}1{}: pass\n", "[".repeat(n), "]".repeat(n)).as_bytes()),
            "SyntaxError"
        );
    });
}

#[test]
fn depth_within_cpythons_limit_is_walked() {
    on_a_small_stack(|| {
        let n = 9_900;
        assert_eq!(nodes(format!("a{}", ".a".repeat(n)).as_bytes()), n + 3);
        assert_eq!(nodes(format!("1{}", "+1".repeat(n)).as_bytes()), 2 * n + 3);
    });
}

#[test]
fn format_specifications_do_not_exhaust_the_parser() {
    on_a_small_stack(|| {
        let n = 20_000;
        assert_eq!(error(format!("f'{}{}'", "{x:".repeat(n), "}".repeat(n)).as_bytes()), "SyntaxError");
    });
}

#[test]
fn one_long_line_is_walked() {
    let n = 200_000;
    assert_eq!(nodes(format!("x = [{}]", "1, ".repeat(n)).as_bytes()), n + 4);
}

#[test]
fn definitions_keep_their_sources() {
    let output = run(
        b"@d.e(1)\nasync def f(a, /, b: int = 2, *c, d: 'x' = {}, **k) -> None:\n  'doc'\nclass A[T](B, m=C): pass\n",
    );
    let of = |name| column(&output, "ast_defs", name);
    let text = |s: &str| Some(s.to_owned());
    assert_eq!(of("kind"), [text("AsyncFunctionDef"), text("ClassDef")]);
    assert_eq!(of("decorator_sources"), [text(r#"["d.e(1)"]"#), None]);
    assert_eq!(of("default_sources"), [text(r#"["2","{}"]"#), None]);
    assert_eq!(of("annotation_sources"), [text(r#"["int","'x'"]"#), None]);
    assert_eq!(of("returns_source"), [text("None"), None]);
    assert_eq!(of("base_sources"), [None, text(r#"["B"]"#)]);
    assert_eq!(one(&output, "ast_docstrings", "docstring"), "doc");
    assert_eq!(one(&output, "ast_calls", "func_name"), "d.e");
}

#[test]
fn docstrings_are_cut_at_the_limit_and_said_to_be() {
    let options = Options { max_docstring_bytes: 4, ..Options::default() };
    let output = extract(&options, &file("f.py"), LaneId::Ast, Some("'abcé'".as_bytes()));
    assert_eq!(one(&output, "ast_docstrings", "docstring"), "abc");
    assert_eq!(output.files[0].diagnostics[0].code, "truncated_text");
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let output = run(&bytes);
        prop_assert_eq!(output.tables.iter().any(|(d, _)| d.name == "ast_nodes"), output.tables.len() > 1 || output.tables[0].0.name == "ast_nodes");
    }

    #[test]
    fn no_text_is_too_strange(text in "([a-z]{1,3}|[0-9]{1,3}|f\"|\"|'|\\{|\\}|[:=,.()\\[\\]@;\\\\#*-]|\n|\r\n|\n {0,6}|if |def |class |lambda |é|match |case ){0,60}") {
        let output = run(text.as_bytes());
        let refused = output.tables.iter().any(|(d, _)| d.name == "ast_errors");
        prop_assert_eq!(refused, !output.tables.iter().any(|(d, _)| d.name == "ast_nodes"));
    }
}
