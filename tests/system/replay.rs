//! Successive releases of real packages as git history: at every step the incremental lake equals a rebuild.

use std::path::Path;

use lode_tests::lake::Lake;
use lode_tests::releases;
use lode_tests::repo::Repo;

#[test]
fn incremental_equals_rebuild_at_every_release() {
    let repo = Repo::default();
    let lake = Lake::default();
    for step in 0..releases::RELEASES[0].1.len() {
        let directories = releases::step(step);
        repo.replace_with(&directories.iter().map(AsRef::as_ref).collect::<Vec<&Path>>());
        repo.commit(&format!("release {step}"));
        let summary = lake.extract(&repo, &[]);
        assert_eq!(summary.files.scanned as usize, repo.git_files());
        assert_eq!(summary.files.failed + summary.files.quarantined, 0, "{summary:?}");
        if step > 0 {
            assert!(summary.files.unchanged > 0 && summary.files.deleted > 0, "{summary:?}");
        }
        lake.verify();
        lake.assert_same_facts(&Lake::of(&repo, &[]));
    }
}

#[test]
fn a_commit_reads_the_same_from_git_as_from_its_checkout() {
    let repo = Repo::sample(12);
    let commit = repo.commit("first");
    let checkout = Lake::of(&repo, &[]);
    repo.write("core/later.py", "x = 1\n").remove("api/m0.py");
    repo.commit("second");
    let objects = Lake::of(&repo, &["--ref", &commit]);
    checkout.assert_same_facts(&objects);
}
