//! A file that takes too long, eats memory or floods its output costs itself, and stays in quarantine until something changes.

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::{Repo, python_module};

/// The limit each file broke, by path.
fn quarantined(lake: &Lake) -> Vec<String> {
    lake.tables().texts("SELECT DISTINCT path || ' ' || limit_name AS held FROM quarantine ORDER BY held")
}

fn with(path: &str, content: String) -> Repo {
    let repo = Repo::of(&[("good.py", python_module(1)), ("also/good.py", python_module(2))]);
    repo.write(path, content);
    repo
}

#[test]
fn a_file_that_takes_too_long() {
    let function = "export function f(x) { return g(x, [1, 2, { a: `b${x}` }]).then(y => y ?? h); }\n";
    let repo = with("slow.js", function.repeat((16 << 20) / function.len()));
    let lake = Lake::default();
    let summary = lake.extract(&repo, &["--cpu-limit-ms", "200"]);
    assert_eq!((summary.files.extracted, summary.files.quarantined), (2, 1), "{summary:?}");
    assert_eq!(quarantined(&lake), ["slow.js cpu"]);
    lake.verify();
}

#[test]
fn a_file_that_eats_memory() {
    let repo = with("large.py", format!("x = [{}]\n", "1,".repeat(4 << 20)));
    let lake = Lake::default();
    let summary = lake.extract(&repo, &["--memory-limit", "300M"]);
    assert_eq!((summary.files.extracted, summary.files.quarantined), (2, 1), "{summary:?}");
    assert_eq!(quarantined(&lake), ["large.py memory"]);
    lake.verify();
}

#[test]
fn quarantine_holds_until_something_changes() {
    let repo = with("large.py", format!("x = [{}]\n", "1,".repeat(100_000)));
    let limited = ["--output-limit", "1M", "--datasets", "repo_files,ast_nodes,ast_defs"];
    let lake = Lake::default();
    assert_eq!(lake.extract(&repo, &limited).files.quarantined, 1);
    assert_eq!(quarantined(&lake), ["large.py output"]);

    let again = lake.extract(&repo, &limited);
    assert_eq!((again.files.quarantined, again.files.extracted), (1, 0), "{again:?}");
    assert_eq!(again.bytes, 0, "it is not tried again: {again:?}");
    let strict = lake.try_extract(&repo, &[&limited[..], &["--fail-on", "quarantined"]].concat());
    assert_eq!(strict.code, Some(4), "{strict}");

    let mut lode = lode_tests::command::lode();
    let list = Output::of(lode.args(["quarantine", "list", "--lake"]).arg(lake.root())).ok();
    assert!(list.stdout.contains("large.py"), "{list}");

    // Asked for: tried once, with the same end.
    let mut lode = lode_tests::command::lode();
    Output::of(lode.args(["quarantine", "retry", "--all", "--lake"]).arg(lake.root())).ok();
    let retried = lake.extract(&repo, &limited);
    assert_eq!(retried.files.quarantined, 1);
    assert!(retried.bytes > 0, "{retried:?}");

    // Other limits, then other content.
    let wider = lake.extract(&repo, &["--datasets", "repo_files,ast_nodes,ast_defs"]);
    assert_eq!((wider.files.quarantined, wider.files.extracted), (0, 1), "{wider:?}");
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &["--datasets", "repo_files,ast_nodes,ast_defs"]));
}

#[test]
fn old_rows_go_when_a_file_is_quarantined() {
    let repo = with("grows.py", "x = 1\n".into());
    let limited = ["--output-limit", "1M"];
    let lake = Lake::of(&repo, &limited);
    repo.write("grows.py", format!("x = [{}]\n", "1,".repeat(100_000)));
    assert_eq!(lake.extract(&repo, &limited).files.quarantined, 1);
    assert_eq!(lake.tables().number("SELECT count(*) FROM ast_nodes WHERE path = 'grows.py'"), 0);
    lake.verify();
}
