//! The number of shards changes nothing but where rows lie.

use lode_tests::lake::Lake;
use lode_tests::repo::{Repo, python_module};

#[test]
fn any_number_of_shards_gives_every_file_once() {
    let repo = Repo::sample(210);
    let one = Lake::of(&repo, &["--shards", "1"]);
    assert_eq!(one.tables().count("repo_files"), 210);
    for shards in [2, 17, 200] {
        let lake = Lake::default();
        let summary = lake.extract(&repo, &["--shards", &shards.to_string()]);
        assert_eq!(summary.files.extracted, 210, "{shards} shards");
        let tables = lake.tables();
        assert_eq!(tables.number("SELECT count(DISTINCT shard) FROM repo_files"), shards);
        lake.verify();
        lake.assert_same_facts(&one);
    }
}

#[test]
fn one_shard_of_40_mb() {
    let repo = Repo::default();
    let module = python_module(1);
    let large = module.repeat((1 << 20) / module.len());
    for n in 0..40 {
        repo.write(format!("p{}/m{n}.py", n % 4), format!("# {n}\n{large}"));
    }
    let lake = Lake::default();
    let datasets = ["--shards", "1", "--datasets", "repo_files,file_line_index,ast_defs"];
    let summary = lake.extract(&repo, &datasets);
    assert_eq!(summary.files.extracted, 40);
    let tables = lake.tables();
    assert_eq!(tables.number("SELECT count(DISTINCT path) FROM file_line_index"), 40);
    let lines = 40 * (1 + large.lines().count());
    assert_eq!(tables.count("file_line_index"), lines);
    lake.verify();
}

#[test]
fn a_growing_repository_splits_its_shards() {
    let repo = Repo::sample(12);
    let lake = Lake::of(&repo, &["--shards", "1"]);
    for n in 0..60 {
        repo.write(format!("core/grown{n}.py"), python_module(n));
    }
    lake.extract(&repo, &["--shards", "5"]);
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &[]));
}
