//! Secrets stay where they were given: they are looked for in everything that a cluster writes or answers.

use std::path::Path;

use lode_tests::cluster::{Cluster, free_port, get, until};
use lode_tests::command::Output;
use lode_tests::otlp::Collector;
use lode_tests::repo::Repo;
use lode_tests::s3::{S3, SECRET, TOKEN};

const CLUSTER_TOKEN: &str = "c4n4ry-of-the-members";
const CLIENT_TOKEN: &str = "c4n4ry-of-the-clients";
const SECRETS: [&str; 4] = [SECRET, TOKEN, CLUSTER_TOKEN, CLIENT_TOKEN];

/// Tables about runs: their files are compressed, so that their rows are read.
const TABLES: [&str; 4] = ["plan_artifacts", "runs", "run_stages", "run_tasks"];

/// What Ballista's own interface serves.
const BALLISTA: [&str; 7] = [
    "/api/state",
    "/api/version",
    "/api/executors",
    "/api/jobs",
    "/api/metrics",
    "/history/api/jobs",
    "/history/api/state",
];

/// What it serves of a job.
const BALLISTA_JOB: [&str; 4] = ["", "/config", "/stages", "/dot"];

#[track_caller]
fn quiet(bytes: &[u8], what: &str) {
    for secret in SECRETS {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in {what}");
    }
}

#[track_caller]
fn quiet_output(output: &Output, what: &str) {
    quiet(output.stdout.as_bytes(), &format!("the output of {what}"));
    quiet(output.stderr.as_bytes(), &format!("the log of {what}"));
}

fn each_file(directory: &Path, visit: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => each_file(&path, visit),
            false => visit(&path, &std::fs::read(&path).unwrap()),
        }
    }
}

/// The lake itself and the rows of its tables.
fn quiet_lake(s3: &S3) {
    let (_home, root) = s3.download("a");
    each_file(&root, &mut |path, bytes| quiet(bytes, &path.display().to_string()));
    for table in TABLES {
        let sql = format!("SELECT * FROM {table}");
        let rows = Output::of(s3.command("query", "a").args(["--format", "jsonl", &sql])).ok();
        assert!(!rows.stdout.is_empty(), "{table} has rows");
        quiet(rows.stdout.as_bytes(), table);
    }
}

#[test]
fn secrets_are_in_no_lake_log_or_message() {
    let s3 = S3::default();
    let repo = Repo::sample(10);
    s3.disturb(11, 60);
    let output = Output::of(&mut s3.extraction("a", repo.root(), &["--log-level", "debug", "--run-id", "r"])).ok();
    s3.calm();
    quiet_output(&output, "a run");
    quiet_lake(&s3);
    // The server repeats the token in its refusal, as S3 does.
    s3.lock();
    let refused = Output::of(&mut s3.command("verify", "a")).fails_with(&["InvalidToken", "permissions"]);
    quiet_output(&refused, "a refused command");
    let refused = Output::of(&mut s3.extraction("a", repo.root(), &["--log-level", "debug"]));
    assert_eq!(refused.code, Some(1), "{refused}");
    quiet_output(&refused, "a refused run");
}

#[test]
fn secrets_are_in_nothing_that_a_cluster_writes_or_answers() {
    let s3 = S3::default();
    let repo = Repo::sample(10);
    let home = tempfile::tempdir().unwrap();
    let (events, work) = (home.path().join("events"), home.path().join("work"));
    let loopback = [127, 0, 0, 1];
    let status = [free_port(loopback), free_port(loopback)].map(|port| format!("127.0.0.1:{port}"));
    let mut variables: Vec<(&str, String)> = s3.environment().into();
    variables.extend([
        ("LODE_CLUSTER_TOKEN", CLUSTER_TOKEN.into()),
        ("LODE_TOKEN", CLIENT_TOKEN.into()),
        ("LODE_SCHEDULER_BALLISTA_API", "true".into()),
        ("LODE_SCHEDULER_EVENT_LOG_DIR", events.display().to_string()),
        ("LODE_SCHEDULER_LOG_LEVEL", "debug".into()),
        ("LODE_SCHEDULER_STATUS_BIND", status[0].clone()),
        ("LODE_EXECUTOR_LOG_LEVEL", "debug".into()),
        ("LODE_EXECUTOR_STATUS_BIND", status[1].clone()),
        ("LODE_EXECUTOR_WORK_DIR", work.display().to_string()),
    ]);
    let collector = Collector::default();
    variables.extend([("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()), ("NO_PROXY", "127.0.0.1".into())]);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let cluster = Cluster::with(&[""], &variables);
    let submit = |run: &str| {
        let args = ["--shards", "2", "--log-level", "debug"];
        Output::of(&mut cluster.submission_to(repo.root(), &s3.url("a"), run, &args))
    };
    let output = submit("good");
    assert_eq!(output.code, Some(0), "{output}\n{}", cluster.logs());
    quiet_output(&output, "a submission");
    quiet_lake(&s3);

    // A job that fails of the store, which repeats the token.
    repo.write("core/m1.py", "changed = True\n");
    s3.lock_at_first_attempt();
    let failed = submit("bad").fails_with(&["InvalidToken"]);
    quiet_output(&failed, "a submission that fails");

    for args in [&["list"][..], &["status", "bad"], &["status", "good"], &["logs", "bad"], &["cancel", "bad"]] {
        let output = Output::of(&mut cluster.lode(args));
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{output}");
        quiet_output(&output, &args.join(" "));
    }
    let scheduler = cluster.address().replace("df://", "");
    let bearer = format!("Bearer {CLIENT_TOKEN}");
    let paths = ["about", "jobs", "jobs/good", "jobs/bad", "jobs/good/record", "jobs/bad/record", "jobs/none"];
    for path in paths {
        let path = format!("/lode/v1/{path}");
        let answer = get(&scheduler, &path, &[("authorization", &bearer)]);
        let expected = if path.ends_with("none") { "HTTP/1.1 404" } else { "HTTP/1.1 200" };
        assert!(answer.starts_with(expected), "{path}: {answer}");
        quiet(answer.as_bytes(), &path);
        let refused = get(&scheduler, &path, &[("authorization", "Bearer c4n4ry-of-nobody")]);
        assert!(refused.starts_with("HTTP/1.1 401"), "{path}: {refused}");
        quiet(refused.as_bytes(), &path);
    }
    let mut logs = 0;
    each_file(&events, &mut |path, bytes| {
        quiet(bytes, &path.display().to_string());
        assert!(String::from_utf8_lossy(bytes).contains("JobEnd"), "{} is complete", path.display());
        logs += 1;
    });
    assert_eq!(logs, 2, "each job has a log");
    let of_jobs = ["good", "bad"].map(|run| cluster.status(run)["job_id"].as_str().unwrap().to_owned());
    let of_jobs = of_jobs.iter().flat_map(|id| BALLISTA_JOB.map(|what| format!("/api/job/{id}{what}")));
    let of_jobs = of_jobs.flat_map(|path| [format!("/history{path}"), path]);
    for path in BALLISTA.map(str::to_owned).into_iter().chain(of_jobs) {
        let answer = get(&scheduler, &path, &[("authorization", &bearer)]);
        assert!(answer.starts_with("HTTP/1.1 20"), "{path}: {answer}");
        quiet(answer.as_bytes(), &path);
        let refused = get(&scheduler, &path, &[("authorization", "Bearer c4n4ry-of-nobody")]);
        assert!(refused.starts_with("HTTP/1.1 401"), "{path}: {refused}");
        quiet(refused.as_bytes(), &path);
    }
    for address in &status {
        for path in ["/healthz", "/readyz", "/metrics"] {
            quiet(get(address, path, &[]).as_bytes(), path);
        }
    }
    let sent = |service: &str| collector.spans().iter().any(|span| span.service == service);
    until("all have sent spans", || ["lode", "lode-scheduler", "lode-executor"].into_iter().all(sent));
    quiet(&collector.bytes(), "the spans");
    each_file(&work, &mut |path, bytes| quiet(bytes, &path.display().to_string()));
    let logs = cluster.logs();
    assert!(logs.contains("DEBUG") && logs.len() > 10_000, "{logs}");
    quiet(logs.as_bytes(), "the logs");
}
