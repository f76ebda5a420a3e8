//! As which version of Python files are read: what the command says, else what the project requires.

use lode_tests::lake::Lake;
use lode_tests::repo::Repo;

/// Syntax by the version that it came with.
const SYNTAX: [(&str, &str); 7] = [
    ("3.08.py", "def f(x, /): return (y := x)\n"),
    ("3.09.py", "@decorators[0].of\ndef f(): pass\n"),
    ("3.10.py", "match x:\n    case [1, *rest]: pass\n"),
    ("3.11.py", "try: pass\nexcept* ValueError: pass\n"),
    ("3.12.py", "type X[T] = list[T]\n"),
    ("3.13.py", "class A[T = int]: pass\n"),
    ("3.14.py", "try: pass\nexcept TypeError, ValueError: pass\n"),
];

fn refused(lake: &Lake, errors: &str) -> Vec<String> {
    lake.tables().texts(&format!("SELECT path FROM {errors} ORDER BY path"))
}

#[test]
fn every_version_reads_the_syntax_it_has() {
    let repo = Repo::of(&SYNTAX);
    let lake = Lake::default();
    for (newest, minor) in (8..=14).enumerate() {
        let version = format!("3.{minor}");
        let args = ["--python-version", &version, "--datasets", "ast_*,cst_*,symtable_*"];
        lake.extract(&repo, &args);
        let newer: Vec<&str> = SYNTAX[newest + 1..].iter().map(|(path, _)| *path).collect();
        for errors in ["ast_errors", "cst_parse_errors", "symtable_errors"] {
            assert_eq!(refused(&lake, errors), newer, "{errors} of {version}");
        }
        // A project that asks for this version and no other is read in the same way.
        let project = format!("[project]\nname = 'x'\nrequires-python = '=={version}.*'\n");
        repo.write("pyproject.toml", project);
        let summary = lake.extract(&repo, &args[2..]);
        assert_eq!(summary.files.unchanged as usize, SYNTAX.len(), "{version}: {summary:?}");
        std::fs::remove_file(repo.root().join("pyproject.toml")).unwrap();
    }
    let outside = lake.try_extract(&repo, &["--python-version", "3.15"]);
    assert!(outside.stderr.contains("give one from 3.8 to 3.14"), "{outside}");
}

#[test]
fn the_project_says_which_python_it_is() {
    let repo = Repo::of(&[
        ("pyproject.toml", "[project]\nname = 'x'\nrequires-python = '>=3.9,<3.12'\n"),
        ("a.py", "def f[T](x: T): return x\n"),
        ("b.py", "print(f'{f(1)}')\n"),
        ("c.rs", "fn main() {}\n"),
    ]);
    let lake = Lake::default();
    let said = lake.try_extract(&repo, &[]).ok();
    let source = r#"requires ">=3.9,<3.12" in pyproject.toml"#;
    assert_eq!(said.json_lines()[0]["python"], serde_json::json!({ "version": "3.11", "source": source }), "{said}");
    assert_eq!(refused(&lake, "ast_errors"), ["a.py"], "3.11 knows no type parameters");
    lake.assert_same_facts(&Lake::of(&repo, &["--python-version", "3.11"]));

    // The same version by other words: nothing depends on them.
    repo.write("pyproject.toml", "[project]\nname = 'x'\nrequires-python = '<3.12'\n");
    let summary = lake.extract(&repo, &[]);
    assert_eq!([summary.files.extracted, summary.files.unchanged], [1, 3], "{summary:?}");

    // Another version: the Python files are done again, and no other file but the one that changed.
    repo.write("pyproject.toml", "[project]\nname = 'x'\nrequires-python = '<3.13'\n");
    let summary = lake.extract(&repo, &[]);
    assert_eq!([summary.files.extracted, summary.files.unchanged], [3, 1], "{summary:?}");
    assert_eq!(refused(&lake, "ast_errors"), [""; 0]);
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &[]));

    // What the command says counts more.
    let summary = lake.extract(&repo, &["--python-version", "3.11"]);
    assert_eq!([summary.files.extracted, summary.files.unchanged], [2, 2], "{summary:?}");
    assert_eq!(refused(&lake, "ast_errors"), ["a.py"]);
}
