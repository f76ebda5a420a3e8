//! How content reaches executors: whichever way, the tables are the same.

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;

#[test]
fn staged_content_gives_the_same_tables_and_goes_after_the_commit() {
    let repo = Repo::sample(40);
    repo.write("twice/a.py", "import os\n").write("twice/b.py", "import os\n").write("big.py", "x = 1\n".repeat(4000));
    repo.symlink("link.py", "big.py");
    let limits = ["--shards", "5", "--max-file-bytes", "20000"];
    let (shared, staged) =
        (Lake::of(&repo, &limits), Lake::of(&repo, &[&limits[..], &["--source", "staged"]].concat()));
    repo.write("core/m1.py", "changed = True\n").remove("api/m0.py");
    shared.extract(&repo, &limits);
    staged.extract(&repo, &[&limits[..], &["--source", "staged"]].concat());
    staged.verify();
    staged.assert_same_facts(&shared);
    assert_eq!(staged.tables().texts("SELECT DISTINCT source FROM runs"), ["staged"]);
    assert_eq!(shared.tables().texts("SELECT DISTINCT source FROM runs"), ["shared"]);
    assert_eq!(packs(&staged), 0, "content goes after its commit");
}

#[test]
fn staged_content_needs_no_source() {
    let repo = Repo::sample(40);
    let shared = Lake::of(&repo, &["--shards", "5"]);
    let lake = Lake::default();
    let asked = ["--shards", "5", "--source", "staged", "--run-id", "there"];
    let output = Output::of(lake.extraction(repo.root(), &asked).env("LODE_FAULT", "data.before"));
    assert_eq!(output.code, None, "{output}");
    assert!(packs(&lake) > 0, "content is on the lake");
    std::fs::rename(repo.root(), repo.root().with_extension("away")).unwrap();
    let output = lake.resume("there").ok();
    assert_eq!(output.summary().files.failed, 0, "{output}");
    lake.verify();
    lake.assert_same_facts(&shared);
    assert_eq!(packs(&lake), 0);
}

#[test]
fn a_bare_repository_elsewhere_gives_the_commit() {
    let repo = Repo::sample(20);
    repo.commit("first");
    let bare = tempfile::tempdir().unwrap();
    let bare = bare.path().join("mirror.git");
    repo.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    let here = Lake::of(&repo, &["--ref", "HEAD", "--shards", "3"]);
    let source = format!("git={}", bare.display());
    let there = Lake::of(&repo, &["--ref", "HEAD", "--shards", "3", "--source", &source]);
    there.assert_same_facts(&here);
    let staged = Lake::of(&repo, &["--ref", "HEAD", "--shards", "3", "--source", "staged"]);
    staged.assert_same_facts(&here);
    for (args, words) in [(&["--source", "git"][..], "--ref"), (&["--source", "shared", "--ref", "HEAD"], "staged")] {
        Lake::default().try_extract(&repo, args).fails_with(&[words]);
    }
}

/// Objects of staged content.
fn packs(lake: &Lake) -> usize {
    let mut folders = vec![lake.root().join("_runs")];
    let mut packs = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            packs += usize::from(entry.extension().is_some_and(|extension| extension == "pack"));
            if entry.is_dir() {
                folders.push(entry);
            }
        }
    }
    packs
}
