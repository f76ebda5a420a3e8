//! The same job on a cluster of several processes: a scheduler, executors and clients that share nothing but the lake.

use std::os::unix::ffi::OsStrExt;

use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::{SessionConfig, SessionContext};
use lode_executor::cluster;
use lode_executor::host::LocalHost;
use lode_executor::node::{codecs, executor_options};
use lode_executor::wire::Wire;
use lode_plan::host::HostHandle;
use lode_plan::session::session_state;
use lode_scheduler::server::{self, SchedulerOptions};
use lode_scheduler::submit::{SubmitOptions, submit_logical};
use lode_tests::cluster::{Cluster, free_port, get};
use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;
use tokio::runtime::Runtime;

#[test]
fn executors_in_other_processes_do_the_same_job() {
    let repo = Repo::sample(40);
    let undisturbed = Lake::of(&repo, &["--shards", "5"]);
    let cluster = Cluster::start(&["", ""]);
    let lake = Lake::default();
    let output = Output::of(&mut cluster.submission(repo.root(), &lake, "there", &["--shards", "5"])).ok();
    assert_eq!(output.summary().state, "committed", "{output}");
    lake.verify();
    lake.assert_same_facts(&undisturbed);

    // A second submission finds the run done.
    let again = Output::of(&mut cluster.submission(repo.root(), &lake, "there", &["--shards", "5"])).ok();
    assert_eq!(again.summary().state, "committed", "{again}");

    // `lode extract` with a scheduler is the same job.
    repo.write("api/new.py", "def new(): pass\n");
    let mut extract = cluster.lode(&["extract"]);
    Output::of(extract.arg(repo.root()).arg("--lake").arg(lake.root())).ok();
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &[]));

    let status = cluster.status("there");
    assert_eq!(
        (&status["state"], &status["outcome"]["outcome"]),
        (&"successful".into(), &"committed".into()),
        "{status}"
    );
    let jobs = Output::of(&mut cluster.lode(&["list"])).ok();
    let jobs: Vec<serde_json::Value> = serde_json::from_str(&jobs.stdout).unwrap();
    assert_eq!(jobs.len(), 2, "{jobs:?}");
    let latest = cluster.status("@latest");
    assert_eq!(latest["run_id"], jobs[1]["run_id"]);
    let logs = Output::of(&mut cluster.lode(&["logs", "there"])).ok().json_lines();
    assert!(logs.iter().any(|event| event["text"] == "run there: committed"), "{logs:?}");
    Output::of(&mut cluster.lode(&["status", "nobody"])).fails_with(&["no job of run nobody", "lode list"]);
    // What the scheduler saw of the job is kept on the lake, as that of a job inside the client is.
    let stages = lake.tables().number("SELECT count(*) FROM run_stages WHERE run_id = 'there'");
    assert_eq!(stages, 2);
}

#[test]
fn a_job_goes_on_without_its_client() {
    let repo = Repo::sample(20);
    let cluster = Cluster::start(&[""]);
    let lake = Lake::default();
    let args = ["--no-wait", "--shards", "3"];
    let output = Output::of(&mut cluster.submission(repo.root(), &lake, "alone", &args)).ok();
    assert_eq!(output.summary().state, "submitted", "{output}");
    let watched = Output::of(&mut cluster.lode(&["watch", "alone"])).ok();
    assert!(watched.stdout.contains("\"outcome\":\"committed\""), "{watched}");
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &[]));
}

#[test]
fn only_extractions_are_taken() {
    let cluster = Cluster::start(&[""]);
    Runtime::new().unwrap().block_on(async {
        let wire = Wire::default();
        let state = session_state(wire.apply(SessionConfig::new()), Default::default(), None).unwrap();
        let context = SessionContext::new_with_state(state);
        let plan = context.state().create_logical_plan("SELECT * FROM files('/', 'passwd')").await.unwrap();
        let client = lode_scheduler::client::Client::connect(&cluster.address(), &wire).await.unwrap();
        let error = client.submit("curious", &plan, &context, &codecs()).await.unwrap_err().to_string();
        assert!(error.contains("extractions alone"), "{error}");
    });
}

#[test]
fn health_and_metrics_are_served() {
    let status = format!("127.0.0.1:{}", free_port([127, 0, 0, 1]));
    let cluster = Cluster::with(&[""], &[("LODE_SCHEDULER_STATUS_BIND", &status)]);
    assert!(get(&status, "/healthz", &[]).starts_with("HTTP/1.1 200"));
    assert!(get(&status, "/readyz", &[]).starts_with("HTTP/1.1 200"));
    let metrics = get(&status, "/metrics", &[]);
    for line in ["lode_partitions 0", "lode_executors 1", "lode_slots 1", "lode_jobs{state=\"running\"} 0"] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    drop(cluster);
}

#[test]
fn functions_run_on_executors() {
    let repo = Repo::sample(6);
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff.py");
    std::fs::write(repo.root().join(odd), "x = 1\n").unwrap();
    repo.write("api/only.py", "import os\n\ndef one(a, b):\n    return os.getcwd()\n");
    Runtime::new().unwrap().block_on(async {
        let wire = Wire::private();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let scheduler = server::start(listener, SchedulerOptions::lode(&wire)).await.unwrap();
        // Worker processes are the program that starts them again: `lode`, here.
        let host = HostHandle(std::sync::Arc::new(
            LocalHost::new(1, None).with_program(lode_tests::profile_directory().join("cluster-under-test")),
        ));
        let executor = cluster::start(executor_options(scheduler.url(), &wire, 1, &host)).await.unwrap();
        let state = session_state(wire.apply(SessionConfig::new()), Default::default(), None).unwrap();
        let context = SessionContext::new_with_state(state);
        let sql = async |name: &str, sql: String| {
            let plan = context.state().create_logical_plan(&sql).await.unwrap();
            let options = SubmitOptions {
                scheduler: scheduler.url(),
                job_name: name.into(),
                codecs: codecs(),
                wire: wire.clone(),
                settings: vec![],
            };
            let rows = submit_logical(&plan, &context, options).await.unwrap();
            pretty_format_batches(&rows).unwrap().to_string()
        };
        let scalar = "SELECT d['name'] AS name FROM (SELECT unnest(ast_defs('def f(): pass\nclass C: pass')) AS d)";
        let rows = sql("scalar", scalar.into()).await;
        assert!(rows.contains("| f ") && rows.contains("| C "), "{rows}");
        let root = repo.root().display();
        let rows = sql("table", format!("SELECT path, name FROM extract('ast_defs', '{root}', 'only.py')")).await;
        assert!(rows.contains("api/only.py") && rows.contains("one"), "{rows}");
        let rows = sql("files", format!("SELECT count(*) AS files FROM files('{root}', 'only.py')")).await;
        assert!(rows.contains("| 1 "), "{rows}");
        let rows = sql("odd", format!("SELECT path FROM files('{root}', 'odd-*')")).await;
        assert!(rows.contains(r"odd-\xff.py"), "a name that is not UTF-8 is a row: {rows}");
        repo.write("api/tool", "#!/usr/bin/env python3\nimport os\n");
        let scalar = "SELECT d['def_fqns'] AS names FROM (SELECT unnest(cst_defs('def f(): pass', 'pkg/m.py')) AS d)";
        let rows = sql("names", scalar.into()).await;
        assert!(rows.contains("[pkg.m.f]"), "{rows}");
        let scalar = "SELECT d['name'] AS name FROM (SELECT unnest(symtable_symbols('left = right')) AS d)";
        let rows = sql("symbols", scalar.into()).await;
        assert!(rows.contains("| left ") && rows.contains("| right "), "{rows}");
        for dataset in ["cst_refs", "symtable_scopes"] {
            let sql_text = format!("SELECT DISTINCT path FROM extract('{dataset}', '{root}', 'only.py,tool')");
            let rows = sql(dataset, sql_text).await;
            assert!(rows.contains("api/only.py"), "{dataset}: {rows}");
            // A file without names in it has a scope, and imports are references.
            assert!(rows.contains("api/tool"), "{dataset}: {rows}");
        }
        executor.shutdown().await;
    });
}
