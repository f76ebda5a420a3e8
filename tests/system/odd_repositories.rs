//! Repositories, lakes and requests out of the ordinary: a clear error, or a run that works.

use lode_tests::command::{Output, lode};
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;

#[test]
fn repositories_without_files_or_commits() {
    let empty = Repo::default();
    let summary = Lake::default().extract(&empty, &[]);
    assert_eq!((summary.files.scanned, summary.state.as_str()), (0, "committed"));

    let unborn = Repo::sample(4);
    unborn.git(&["init", "--quiet"]);
    assert_eq!(Lake::default().extract(&unborn, &[]).files.extracted, 4);
}

#[test]
fn what_git_ignores_is_no_part_of_the_scan() {
    let repo = Repo::sample(10);
    repo.write(".gitignore", "tools/\n*.log\n").write("a.log", "x").write("kept.py", "x = 1\n");
    repo.write("core/.gitignore", "m1.py\n").write(".hidden.py", "x = 1\n");
    repo.git(&["init", "--quiet"]);
    let lake = Lake::default();
    let summary = lake.extract(&repo, &[]);
    assert_eq!(summary.files.scanned as usize, repo.git_files());
    let tables = lake.tables();
    assert_eq!(
        tables.number("SELECT count(*) FROM scope_manifest WHERE path LIKE 'tools/%' OR path = 'core/m1.py'"),
        0
    );
    assert_eq!(tables.number("SELECT count(*) FROM repo_files WHERE path = '.hidden.py'"), 1);
}

#[test]
fn a_lake_inside_its_repository_is_no_part_of_it() {
    let repo = Repo::sample(6);
    for _ in 0..2 {
        let mut command = lode();
        command.arg("extract").arg(repo.root()).arg("--lake").arg(repo.root().join("lake")).args(["--output", "json"]);
        assert_eq!(Output::of(&mut command).ok().summary().files.scanned, 6);
    }
}

#[test]
fn a_corrupt_index_is_an_error() {
    let repo = Repo::sample(4);
    repo.commit("first");
    repo.write(".git/index", "not an index");
    Lake::default().try_extract(&repo, &[]).fails_with(&["index"]);
}

#[test]
fn a_bare_repository_is_read_at_a_commit() {
    let repo = Repo::sample(6);
    repo.commit("first");
    let bare = Repo::default();
    bare.git(&["clone", "--quiet", "--bare", repo.root().to_str().unwrap(), "."]);
    let said = Lake::default().try_extract(&bare, &[]).ok();
    assert!(said.stderr.contains("bare"), "{said}");
    assert_eq!(said.summary().files.extracted, 6);
    let lake = Lake::of(&bare, &["--ref", "main"]);
    lake.assert_same_facts(&Lake::of(&repo, &["--ref", "main"]));
}

#[test]
fn a_shallow_clone_works_as_far_as_it_goes() {
    let repo = Repo::sample(6);
    let first = repo.commit("first");
    repo.write("api/m0.py", "x = 1\n").commit("second");
    let shallow = Repo::default();
    let url = format!("file://{}", repo.root().display());
    shallow.git(&["clone", "--quiet", "--depth", "1", &url, "."]);
    let lake = Lake::default();
    assert_eq!(lake.extract(&shallow, &["--repo", "demo"]).files.extracted, 6);
    lake.try_extract(&shallow, &["--repo", "demo", "--changed-since", &first]).fails_with(&[&first[..7]]);
}

#[test]
fn paths_that_are_no_repository() {
    let repo = Repo::sample(1);
    let lake = Lake::default();
    let extract = |path: &std::path::Path| Output::of(&mut lake.extraction(path, &[]));
    extract(&repo.root().join("nowhere")).fails_with(&["nowhere"]);
    extract(&repo.root().join("api/m0.py")).fails_with(&["m0.py"]);
    assert!(!lake.root().exists(), "there is nothing to put into a lake");
}

#[test]
fn requests_that_make_no_sense() {
    let repo = Repo::sample(2);
    let lake = Lake::default();
    lake.try_extract(&repo, &["--datasets", "ast_node"]).fails_with(&["ast_node", "ast_nodes"]);
    lake.try_extract(&repo, &["--include", "a[", "--exclude", "{"]).fails_with(&["a["]);
    lake.try_extract(&repo, &["--ref", "no-such-ref"]).fails_with(&[]);
    assert!(!lake.root().join("runs").exists(), "a refused request leaves no run");
}

#[test]
fn lakes_that_cannot_be_written() {
    let repo = Repo::sample(2);
    let mut command = lode();
    let output = Output::of(command.args(["extract", "--lake", "/proc/lake"]).arg(repo.root()));
    output.fails_with(&["/proc/lake"]);

    let file = repo.root().join("api/m0.py");
    let output = Output::of(lode().arg("extract").arg(repo.root()).arg("--lake").arg(&file));
    output.fails_with(&["m0.py"]);
}

#[test]
fn a_newer_lake_is_left_alone() {
    let repo = Repo::sample(2);
    let lake = Lake::of(&repo, &[]);
    let format = lake.root().join("_lode/format.json");
    let text = std::fs::read_to_string(&format).unwrap();
    let newer = text.replace("\"format_version\":1", "\"format_version\":99").replace(": 1,", ": 99,");
    assert_ne!(newer, text);
    std::fs::write(&format, newer).unwrap();
    lake.try_extract(&repo, &[]).fails_with(&["99"]);
    lake.try_verify().fails_with(&["99"]);
    Output::of(lake.command("query").arg("SELECT 1")).fails_with(&["99"]);
}

#[test]
fn a_lake_that_is_not_there() {
    let lake = Lake::default();
    Output::of(&mut lake.command("tables")).fails_with(&["lake"]);
    assert!(!lake.root().exists(), "reading makes no lake");
}

#[test]
fn one_name_stands_for_one_repository() {
    let (first, second) = (Repo::sample(2), Repo::sample(3));
    first.commit("first");
    second.commit("second");
    first.git(&["remote", "add", "origin", "https://example.org/team/one.git"]);
    second.git(&["remote", "add", "origin", "https://example.org/team/two.git"]);
    let lake = Lake::default();
    lake.extract(&first, &["--repo", "shared"]);
    lake.try_extract(&second, &["--repo", "shared"]).fails_with(&["shared", "--repo"]);
}

#[test]
fn nothing_of_a_repository_is_executed() {
    let repo = Repo::sample(3);
    repo.commit("first");
    let marker = repo.root().parent().unwrap().join("executed");
    let touch = format!("touch {}", marker.display());
    repo.git(&["config", "core.fsmonitor", &touch]);
    repo.git(&["config", "filter.evil.clean", &touch]);
    repo.git(&["config", "filter.evil.smudge", &touch]);
    repo.write(".gitattributes", "*.py filter=evil\n").write("api/m0.py", "changed = 1\n");
    Lake::of(&repo, &[]);
    Lake::of(&repo, &["--ref", "HEAD"]);
    assert!(!marker.exists());
}
