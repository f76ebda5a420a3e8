use super::*;

fn help(command: &clap::Command) -> String {
    command.clone().term_width(100).render_long_help().to_string()
}

#[test]
fn the_definition_holds_together() {
    command().debug_assert();
}

#[test]
fn help_of_every_command() {
    let mut all = help(&command());
    let mut command = command().term_width(100);
    command.build();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        all.push_str(&format!("\n==== {}\n{}", sub.get_name(), help(sub)));
        for leaf in sub.get_subcommands().filter(|leaf| leaf.get_name() != "help") {
            all.push_str(&format!("\n==== {} {}\n{}", sub.get_name(), leaf.get_name(), help(leaf)));
        }
    }
    insta::assert_snapshot!(all);
}

/// What a person sees.
fn told(failure: Failure) -> String {
    error::install();
    format!("{:?}", miette::Report::new(failure))
}

#[test]
fn errors_say_what_to_do() {
    let unknown = datasets::select(&["repo_flies".into()]).unwrap_err();
    assert_eq!(unknown.exit(), Exit::Usage);
    insta::assert_snapshot!(told(unknown), @r"
    error: no dataset is called `repo_flies`
    hint: did you mean repo_files or repo_file_blobs? `lode tables` lists all
    ");

    let io = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "permission denied");
    insta::assert_snapshot!(told(Failure::new("can't write out.csv", io)), @r"
    error: can't write out.csv
      cause: permission denied
    ");

    let lake = lode_lake::LakeError::NoLake { location: "nowhere".into() };
    insta::assert_snapshot!(told(lake.into()), @r"
    error: there is no lake at nowhere
    hint: run `lode extract` with this location first, or check its spelling
    ");
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let parse = |args: &[&str]| command().try_get_matches_from([&["lode"], args].concat());
    let with_lake = ["--lake", "l"];
    for wrong in [
        &["extract", "."][..],
        &["extract", ".", "--cpu-limit-ms", "0"],
        &["extract", ".", "--fail-on", "often"],
        &["query", "SELECT 1", "--run", "a", "--as-of", "1"],
        &["query", "SELECT 1", "--format", "xml"],
        &["quarantine", "retry"],
        &["maintain", "--grace", "soon"],
        &["nonsense"],
    ] {
        // The first is wrong because it has no lake.
        let lake: &[&str] = if wrong == ["extract", "."] { &[] } else { &with_lake };
        if std::env::var_os("LODE_LAKE").is_some() && lake.is_empty() {
            continue;
        }
        let error = parse(&[wrong, lake].concat()).unwrap_err();
        assert!(error.use_stderr(), "{wrong:?}");
    }
    for right in [
        &["extract", ".", "--datasets", "ast_*,repo_files", "--fail-on", "failed,quarantined=3", "--quiet"][..],
        &["resume", "r", "--output", "json"],
        &["verify", "--rebuild", "."],
        &["query", "SELECT 1", "--as-of", "2026-01-31", "--format", "csv"],
        &["quarantine", "retry", "--all"],
        &["maintain", "--dry-run", "--keep-runs", "3"],
        &["runs"],
        &["explain", "last"],
        &["changes", "repo_files", "--since", "r"],
    ] {
        parse(&[right, &with_lake[..]].concat()).unwrap();
    }
}
