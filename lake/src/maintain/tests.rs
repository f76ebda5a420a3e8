use std::path::PathBuf;

use super::*;
use crate::commit::{self, Decision};
use crate::fixture::{Repo, TABLE};
use crate::snapshot::{Pin, Snapshot};
use crate::verify::verify;

fn now(dry_run: bool) -> Upkeep {
    Upkeep { dry_run, keep_runs: None, grace: Duration::ZERO }
}

fn folder(repo: &Repo, path: &str) -> PathBuf {
    repo.lake.url().to_file_path().unwrap().join(path)
}

async fn clean(repo: &Repo, pin: Pin) -> bool {
    let snapshot = match pin {
        Pin::Last => Snapshot::newest(&repo.lake).await.unwrap(),
        pin => Snapshot::pin(&repo.lake, pin).await.unwrap(),
    };
    verify(&snapshot).await.unwrap().is_clean()
}

async fn three_runs() -> Repo {
    let mut repo = Repo::new(2).await;
    repo.run("r1", &[("a", "1\n"), ("b", "2\n"), ("c", "3\n")]).await;
    repo.run("r2", &[("a", "one\n"), ("b", "2\n"), ("c", "3\n")]).await;
    repo.run("r3", &[("a", "uno\n"), ("c", "3\n")]).await;
    repo
}

#[tokio::test]
async fn every_kept_run_stays_readable() {
    let repo = three_runs().await;
    let report = maintain(&repo.lake, &now(false)).await.unwrap();
    assert_eq!(report.removed, []);
    for run in ["r1", "r2", "r3"] {
        assert!(clean(&repo, Pin::Run(run.into())).await, "{run}");
    }
}

#[tokio::test]
async fn orphans_and_staged_input_go() {
    let repo = three_runs().await;
    let orphan = folder(&repo, TABLE).join("shard=x");
    std::fs::create_dir_all(&orphan).unwrap();
    std::fs::write(orphan.join("part-lost.parquet"), b"x").unwrap();
    repo.lake.put_new(&layout::scan("r2", "0"), "scan").await.unwrap();

    let patient = Upkeep { grace: GRACE, ..now(false) };
    let report = maintain(&repo.lake, &patient).await.unwrap();
    let reasons = |report: &Report| report.removed.iter().map(|r| r.reason).collect::<Vec<_>>();
    assert_eq!((reasons(&report), report.in_grace), (vec![Reason::Staged], 1));

    let report = maintain(&repo.lake, &now(true)).await.unwrap();
    assert_eq!(reasons(&report), [Reason::Unreached]);
    assert!(orphan.join("part-lost.parquet").exists(), "a dry run removes nothing");
    maintain(&repo.lake, &now(false)).await.unwrap();
    assert!(!orphan.join("part-lost.parquet").exists());
    assert!(clean(&repo, Pin::Last).await);
}

#[tokio::test]
async fn runs_that_are_not_kept_can_not_be_read_and_say_so() {
    let repo = three_runs().await;
    let report = maintain(&repo.lake, &Upkeep { keep_runs: Some(1), ..now(false) }).await.unwrap();
    assert!(report.removed.iter().any(|r| r.reason == Reason::Unreached), "{report:?}");
    assert!(clean(&repo, Pin::Last).await && clean(&repo, Pin::Run("r3".into())).await);
    let gone = Snapshot::pin(&repo.lake, Pin::Run("r1".into())).await.unwrap_err();
    assert!(matches!(gone, LakeError::NoRun { .. }), "{gone}");
}

#[tokio::test]
async fn a_run_that_can_be_resumed_loses_nothing() {
    let mut repo = three_runs().await;
    let plan = repo.prepare("r4", &[("a", "eins\n"), ("d", "4\n")]).await;
    let keep_one = Upkeep { keep_runs: Some(1), ..now(false) };
    maintain(&repo.lake, &keep_one).await.unwrap();
    commit::commit(&repo.lake, &plan).await.unwrap();
    assert!(clean(&repo, Pin::Last).await);

    let plan = repo.prepare("r5", &[("a", "zwei\n"), ("d", "4\n")]).await;
    commit::decide(&repo.lake, "r5", Decision::Cancelled).await.unwrap();
    let report = maintain(&repo.lake, &now(false)).await.unwrap();
    assert!(report.removed.iter().any(|r| r.reason == Reason::Unreached), "a cancelled run's files go: {report:?}");
    assert!(commit::commit(&repo.lake, &plan).await.is_err());
    assert!(clean(&repo, Pin::Last).await);
}
