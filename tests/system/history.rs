//! Ballista's event log is complete for every job that was planned, and Ballista's history shows it.

use std::collections::BTreeMap;
use std::path::Path;

use lode_tests::cluster::{Cluster, get, until};
use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;
use serde_json::Value;

/// How each run ends, which is its name, and what Ballista calls that.
const RUNS: [(&str, &str); 3] = [("fails", "Failed"), ("cancelled", "Cancelled"), ("succeeds", "Completed")];

/// The finished logs of a directory, by the names of their jobs.
fn logs(directory: &Path) -> BTreeMap<String, Vec<Value>> {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let finished = files.filter(|path| path.extension().is_some_and(|extension| extension == "eventlog"));
    let read = finished.map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (records[0]["data"]["job_name"].as_str().unwrap().to_owned(), records)
    });
    read.collect()
}

/// What an interface of a scheduler answers with.
#[track_caller]
fn answer(cluster: &Cluster, path: &str) -> String {
    let answer = get(&cluster.address().replace("df://", ""), path, &[]);
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn each_job_has_a_log_that_the_history_shows() {
    let repo = Repo::sample(20);
    let lake = Lake::default();
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("logs");
    let variables =
        [("LODE_SCHEDULER_EVENT_LOG_DIR", directory.to_str().unwrap()), ("LODE_SCHEDULER_BALLISTA_API", "true")];
    let mut cluster = Cluster::with(&[], &variables);
    let submit = |cluster: &Cluster, run: &str, more: &[&str]| {
        let args = [&["--shards", "3"][..], more].concat();
        Output::of(&mut cluster.submission(repo.root(), &lake, run, &args))
    };

    cluster.add_executor_on_a_full_disk();
    cluster.executors[0].says("the executor takes tasks");
    submit(&cluster, "fails", &[]).fails_with(&["No space left on device"]);
    cluster.executors[0].signal(libc::SIGTERM);
    cluster.executors[0].wait();

    cluster.add_executor(&[("LODE_FAULT", "data.after!")]);
    submit(&cluster, "cancelled", &["--no-wait"]).ok();
    until("the executor stops", || cluster.executors[1].is_stopped());
    Output::of(&mut cluster.lode(&["cancel", "cancelled"])).ok();
    cluster.executors[1].signal(libc::SIGCONT);
    submit(&cluster, "succeeds", &[]).ok();

    until("all logs are finished", || logs(&directory).len() == RUNS.len());
    let logs = logs(&directory);
    let history: Vec<Value> = serde_json::from_str(&answer(&cluster, "/history/api/jobs")).unwrap();
    assert_eq!(history.len(), RUNS.len(), "{history:?}");
    for (run, end) in RUNS {
        let records = &logs[run];
        let kinds: Vec<&str> = records.iter().map(|record| record["ev"].as_str().unwrap()).collect();
        assert_eq!((kinds.first(), kinds.last()), (Some(&"JobStart"), Some(&"JobEnd")), "{run}");
        let tasks = kinds.iter().filter(|kind| **kind == "TaskEnd").count();
        assert_eq!(tasks + 2, kinds.len(), "{run}: {kinds:?}");
        let last = &records[kinds.len() - 1]["data"];
        assert!(
            last["status"].to_string().contains(if end == "Completed" { "Succeeded" } else { end }),
            "{run}: {last}"
        );
        if run == "succeeds" {
            assert_eq!(cluster.status(run)["tasks_done"], tasks, "{records:?}");
        }

        let job = history.iter().find(|job| job["job_name"] == run).unwrap();
        let id = job["job_id"].as_str().unwrap();
        assert!(job["job_status"].to_string().contains(end), "{run}: {job}");
        let stages = answer(&cluster, &format!("/history/api/job/{id}/stages"));
        assert!(stages.contains("ExtractExec"), "{run}: {stages}");
        let config: BTreeMap<String, String> =
            serde_json::from_str(&answer(&cluster, &format!("/history/api/job/{id}/config"))).unwrap();
        assert_eq!(config["ballista.job.name"], run);
    }
    // Jobs that the scheduler remembers are shown beside them.
    assert!(answer(&cluster, "/api/jobs").contains("succeeds"));
    assert_eq!(answer(&cluster, "/api/executors").matches("\"id\"").count(), 1);
}

#[test]
fn ballistas_interface_is_served_on_request_alone() {
    let cluster = Cluster::start(&[]);
    for path in ["/", "/api/state", "/api/jobs", "/api/job/0/config", "/history/api/jobs", "/history/api/state"] {
        let answer = get(&cluster.address().replace("df://", ""), path, &[]);
        // What is no path of HTTP is one of gRPC, which has no such method.
        let absent = answer.starts_with("HTTP/1.1 404") || answer.contains("grpc-status: 12");
        assert!(absent, "{path} is served: {answer}");
    }
}
