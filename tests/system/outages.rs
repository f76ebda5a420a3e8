//! Outages of what a cluster stands on: the way to the lake, and disks.

use std::path::Path;
use std::process::{Child, Stdio};

use lode_tests::cluster::{Cluster, until};
use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::link::Link;
use lode_tests::mounts::FILLER;
use lode_tests::repo::Repo;
use lode_tests::s3::S3;

const RUN: &str = "troubled";
const SHARDS: &str = "4";

/// A lake in a bucket, an undisturbed one of the same repository, and an executor whose way to the bucket can be cut.
struct Far {
    s3: S3,
    repo: Repo,
    undisturbed: Lake,
    cluster: Cluster,
    way: Link,
}

impl Far {
    /// The executor stands still before it writes data.
    fn new() -> Self {
        let s3 = S3::default();
        let repo = Repo::sample(24);
        let undisturbed = Lake::of(&repo, &["--shards", SHARDS]);
        let variables = s3.environment();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut cluster = Cluster::with(&[], &variables);
        let way = Link::new(([127, 0, 0, 1], 0).into(), s3.address());
        let endpoint = format!("http://{}", way.address());
        cluster.add_executor(&[
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_TIMEOUT", "2s"),
            ("AWS_RETRY_TIMEOUT", "6s"),
            ("LODE_FAULT", "data.before:2!"),
        ]);
        Self { s3, repo, undisturbed, cluster, way }
    }

    /// Submits a run, and cuts the way to the lake when there is data to write.
    fn submit_and_cut(&self) -> Child {
        let lake = self.s3.url("a");
        let mut submission = self.cluster.submission_to(self.repo.root(), &lake, RUN, &["--shards", SHARDS]);
        let client = submission.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("lode is built");
        until("the executor stops", || self.cluster.executors[0].is_stopped());
        self.way.cut();
        self.cluster.executors[0].signal(libc::SIGCONT);
        client
    }

    fn assert_whole(&self) {
        Output::of(&mut self.s3.command("verify", "a")).ok();
        let (_home, root) = self.s3.download("a");
        let tables = lode_tests::tables::Tables::open(&root);
        tables.assert_same_facts(&self.undisturbed.tables());
        assert_eq!(tables.count("runs"), 1, "one commit");
    }
}

#[test]
fn a_way_to_the_lake_that_comes_back_costs_time() {
    let far = Far::new();
    let mut client = far.submit_and_cut();
    until("the executor has given up a request", || far.way.abandoned() > 0);
    far.way.mend();
    let status = client.wait().expect("it is a child");
    assert!(status.success(), "{}", far.cluster.logs());
    far.assert_whole();
}

#[test]
fn a_way_to_the_lake_that_stays_cut_costs_one_executor() {
    let mut far = Far::new();
    let mut client = far.submit_and_cut();
    far.cluster.add_executor(&[]);
    let status = client.wait().expect("it is a child");
    // The tasks that can't be done there are tried again, and may come there again: then the run is resumed.
    if !status.success() {
        far.cluster.executors[0].kill();
        Output::of(&mut far.cluster.resumption(&far.s3.url("a"), RUN)).ok();
    }
    far.assert_whole();
}

#[test]
fn a_full_disk_loses_nothing() {
    let repo = Repo::sample(24);
    let undisturbed = Lake::of(&repo, &["--shards", SHARDS]);
    let lake = Lake::default();
    let mut cluster = Cluster::start(&[]);
    let disk = cluster.add_executor_on_a_full_disk();
    cluster.executors[0].says("the executor takes tasks");
    let output = Output::of(&mut cluster.submission(repo.root(), &lake, RUN, &["--shards", SHARDS]));
    let output = output.fails_with(&["No space left on device", "lode resume troubled"]);
    assert_eq!(output.summary().state, "resumable", "{output}");
    let written = data_files(lake.root());

    // What the lake has is not done again, wherever the run goes on.
    std::fs::remove_file(cluster.executors[0].sees(&disk).join(FILLER)).expect("the disk can be freed");
    let output = Output::of(&mut cluster.resumption(lake.root().to_str().expect("a plain name"), RUN)).ok();
    assert_eq!(output.summary().state, "committed", "{output}");
    lake.verify();
    lake.assert_same_facts(&undisturbed);
    let after = data_files(lake.root());
    assert!(written.iter().all(|path| after.contains(path)), "data files stay: {written:?} {after:?}");
}

/// Data files of `file_line_index`, of which each shard has one.
fn data_files(lake: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![];
    for shard in std::fs::read_dir(lake.join("file_line_index")).into_iter().flatten() {
        let shard = shard.expect("an entry").path();
        if shard.file_name().is_some_and(|name| name.to_string_lossy().starts_with("shard=")) {
            found.extend(std::fs::read_dir(shard).expect("a folder").map(|file| file.expect("an entry").path()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_job_that_loses_executors_for_ever_is_given_up() {
    let repo = Repo::sample(12);
    let lake = Lake::default();
    let mut cluster = Cluster::with(&[], &[("LODE_SCHEDULER_LOSSES_PER_JOB", "3")]);
    // Nothing says which file it is: each one dies when it is about to write.
    let deadly = [("LODE_FAULT", "data.before")];
    let mut submission = cluster.submission(repo.root(), &lake, RUN, &["--shards", "2"]);
    let client = submission.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("lode is built");
    let mut lost = 0;
    until("the job is given up", || {
        if cluster.executors.last_mut().is_none_or(|last| last.has_ended()) && lost < 6 {
            lost += usize::from(!cluster.executors.is_empty());
            cluster.add_executor(&deadly);
        }
        cluster.scheduler.log().contains("it is given up")
    });
    let output = client.wait_with_output().expect("it is a child");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("resumable"), "{said}\n{}", cluster.logs());
    let logs = Output::of(&mut cluster.lode(&["logs", RUN])).ok();
    assert!(logs.stdout.contains("executors were lost while the job ran: it is given up"), "{logs}");

    // It was not the run's fault: on other executors it ends.
    let last = cluster.executors.last_mut().expect("there is one");
    if !last.has_ended() {
        last.kill();
    }
    cluster.add_executor(&[]);
    let resumed = Output::of(&mut cluster.resumption(lake.root().to_str().expect("a plain name"), RUN)).ok();
    assert_eq!(resumed.summary().state, "committed", "{resumed}");
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &["--shards", "2"]));
}
