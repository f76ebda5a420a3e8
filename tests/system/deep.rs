//! Python that nests 100,000 deep costs no file more than its own rows, also where real interpreters compile it.

#[path = "../../facts/tests/deep/kinds.rs"]
mod kinds;

use std::collections::BTreeSet;

use kinds::{KINDS, blocks};
use lode_tests::interpreters::pythons;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;

#[test]
#[allow(clippy::print_stderr, reason = "what a machine can't test is said")]
fn depth_ends_in_a_row_of_every_lane() {
    let repo = Repo::of(&[("blocks.py", blocks(2_000)), ("plain.py", "x = 1\n".into())]);
    for kind in KINDS {
        repo.write(format!("{}.py", kind.name), kind.source(100_000));
    }
    // The oldest and the newest: the one recurses where the other counts.
    let mut found = pythons();
    let newest = found.pop();
    let oldest = found.into_iter().next();
    let programs: Vec<String> = oldest.into_iter().chain(newest).map(|python| python.program).collect();
    let mut args = vec!["--datasets", "repo_files,ast_*,cst_*,symtable_*,agreement*"];
    match programs.is_empty() {
        true => eprintln!("bytecode skipped: the machine has no CPython, 3.8 to 3.14; LODE_PYTHONS names some"),
        false => args = vec!["--datasets", "repo_files,ast_*,cst_*,symtable_*,agreement*,bytecode_*"],
    }
    args.extend(programs.iter().flat_map(|program| ["--python", program.as_str()]));
    let lake = Lake::default();
    lake.extract(&repo, &args);
    lake.verify();

    let tables = lake.tables();
    let files = KINDS.len() as i64 + 2;
    let lanes = 5 + i64::from(!programs.is_empty());
    assert_eq!(tables.number("SELECT count(*) FROM extract_state"), lanes * files);
    let broken =
        "SELECT lane || ' ' || path || ' ' || coalesce(reason, '') FROM extract_state WHERE status <> 'extracted'";
    let broken = tables.texts(&format!("{broken} ORDER BY path, lane"));
    // An interpreter that dies of a file takes the lanes with it that read its code; no other lane ends so.
    let of = |lane: &str| broken.iter().filter_map(|what| what.strip_prefix(lane)).collect::<BTreeSet<_>>();
    let (code, views) = (of("bytecode "), of("agreement "));
    assert_eq!(code.len() + views.len(), broken.len(), "{broken:?}");
    assert!(views.is_subset(&code), "{broken:?}");
    let kept = tables.texts("SELECT lane || ' ' || path || ' ' || limit_name FROM quarantine ORDER BY path, lane");
    assert_eq!(broken, kept);
    for (errors, facts) in [
        ("ast_errors", "ast_nodes"),
        ("cst_parse_errors", "cst_parse_manifest"),
        ("symtable_errors", "symtable_scopes"),
    ] {
        let ended =
            format!("SELECT count(DISTINCT path) FROM (SELECT path FROM {errors} UNION SELECT path FROM {facts})");
        assert_eq!(tables.number(&ended), files, "{errors}");
    }
    if programs.is_empty() {
        return;
    }
    // Each interpreter has said something of each file: its code, or why there is none.
    let said =
        "SELECT path, python_version FROM bytecode_errors UNION SELECT path, python_version FROM bytecode_code_units";
    let said = tables.number(&format!("SELECT count(*) FROM ({said})"));
    let expected = programs.len() as i64 * (files - code.len() as i64);
    assert_eq!(said, expected, "{code:?}");
    assert_eq!(
        tables.number("SELECT count(*) FROM bytecode_code_units WHERE path = 'plain.py'"),
        programs.len() as i64
    );
}
