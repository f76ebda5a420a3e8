//! How content reaches executors: whichever way, the tables are the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lode_tests::cluster::Cluster;
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

#[test]
fn a_cluster_gets_each_content_that_is_new_once_and_nothing_else() {
    let repo = Repo::sample(12);
    let content = |n: u32, times: usize| format!("unique_{n} = {n}\n").repeat(times);
    repo.write("twice/a.py", content(1, 300)).write("twice/b.py", content(1, 300));
    repo.write("core/other.py", content(2, 200)).write("core/stays.py", content(3, 100));
    let lake = Lake::default();
    let mut cluster = Cluster::start(&[]);
    let elsewhere = repo.root().with_extension("away");

    // Nobody runs the job until the repository is out of reach.
    let run = |cluster: &mut Cluster, run: &str| {
        let args = ["--shards", "3", "--no-wait"];
        Output::of(&mut cluster.submission(repo.root(), &lake, run, &args)).ok();
        let staged = staged(&lake);
        std::fs::rename(repo.root(), &elsewhere).unwrap();
        cluster.add_executor(&[]);
        let watched = Output::of(&mut cluster.lode(&["watch", run])).ok();
        assert!(watched.stdout.contains("\"outcome\":\"committed\""), "{watched}\n{}", cluster.logs());
        let executor = cluster.executors.last_mut().unwrap();
        executor.signal(libc::SIGTERM);
        executor.wait();
        std::fs::rename(&elsewhere, repo.root()).unwrap();
        assert_eq!(packs(&lake), 0, "content goes after its commit");
        staged
    };
    let first = run(&mut cluster, "first");
    let times = |text: &[u8], n: u32| {
        let word = format!("unique_{n} = ");
        text.windows(word.len()).filter(|window| *window == word.as_bytes()).count()
    };
    assert_eq!([1, 2, 3].map(|n| times(&first, n)), [300, 200, 100], "equal content travels once");
    assert_eq!(first.len(), distinct_bytes(repo.root()), "all content, and nothing else");

    // One content that is new, in two files, and a file that goes.
    repo.write("core/other.py", content(4, 50)).write("core/same.py", content(4, 50)).remove("twice/b.py");
    let second = run(&mut cluster, "second");
    assert_eq!(times(&second, 4), 50);
    assert_eq!(second.len(), content(4, 50).len(), "only what is new travels");
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &["--shards", "3"]));
    assert_eq!(lake.tables().texts("SELECT DISTINCT source FROM runs"), ["staged"]);
}

/// Bytes of the different contents of a repository's files.
fn distinct_bytes(root: &Path) -> usize {
    let (mut folders, mut contents) = (vec![root.to_owned()], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true if path.ends_with(".git") => {}
                true => folders.push(path),
                false => drop(contents.insert(std::fs::read(path).unwrap())),
            }
        }
    }
    contents.iter().map(Vec::len).sum()
}

/// The staged content.
fn staged(lake: &Lake) -> Vec<u8> {
    let paths = pack_paths(lake);
    paths.iter().flat_map(|path| std::fs::read(path).unwrap()).collect()
}

/// Objects of staged content.
fn packs(lake: &Lake) -> usize {
    pack_paths(lake).len()
}

fn pack_paths(lake: &Lake) -> Vec<PathBuf> {
    let mut folders = vec![lake.root().join("_runs")];
    let mut packs = vec![];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "pack") {
                packs.push(entry);
            }
        }
    }
    packs
}
