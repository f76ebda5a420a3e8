//! The same job on a cluster of several processes: a scheduler here, executors elsewhere.

use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use lode::run::{codecs, scheduler_options};
use lode_executor::wire::Wire;
use lode_lake::plan::{EpochPlan, RunPlan};
use lode_lake::store::Lake as Store;
use lode_plan::epoch::{job, resumed_epoch};
use lode_plan::session::session_state;
use lode_scheduler::server::{self, SchedulerHandle};
use lode_scheduler::submit::{SubmitOptions, submit_logical};
use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;
use tokio::runtime::Runtime;

/// A scheduler and executors that end with it.
struct Cluster {
    scheduler: SchedulerHandle,
    wire: Wire,
    executors: Vec<Child>,
    context: SessionContext,
}

impl Cluster {
    async fn start(executors: usize) -> Self {
        let wire = Wire::private();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let scheduler = server::start(listener, scheduler_options(&wire)).await.unwrap();
        let executors = (0..executors).map(|_| executor(&scheduler.url(), &wire)).collect();
        let state = session_state(wire.apply(SessionConfig::new()), Arc::default(), None).unwrap();
        Self { scheduler, wire, executors, context: SessionContext::new_with_state(state) }
    }

    async fn run(&self, name: &str, plan: &LogicalPlan) -> Vec<RecordBatch> {
        let options = SubmitOptions {
            scheduler: self.scheduler.url(),
            job_name: name.into(),
            codecs: codecs(),
            wire: self.wire.clone(),
            settings: vec![],
        };
        submit_logical(plan, &self.context, options).await.unwrap()
    }

    async fn sql(&self, name: &str, sql: &str) -> String {
        let plan = self.context.state().create_logical_plan(sql).await.unwrap();
        pretty_format_batches(&self.run(name, &plan).await).unwrap().to_string()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for executor in &mut self.executors {
            executor.kill().and_then(|()| executor.wait()).unwrap();
        }
    }
}

fn executor(scheduler: &str, wire: &Wire) -> Child {
    let program = lode_tests::profile_directory().join("executor-under-test");
    let token = wire.token.as_ref().unwrap().expose();
    Command::new(program).args([scheduler, token]).stdin(Stdio::piped()).spawn().unwrap()
}

/// A run that is planned and has no shard done.
fn planned(repo: &Repo, shards: &str) -> Lake {
    let lake = Lake::default();
    let mut command = lake.extraction(repo.root(), &["--shards", shards, "--run-id", "there"]);
    let output = Output::of(command.env("LODE_FAULT", "data.before"));
    assert_eq!(output.code, None, "{output}");
    lake
}

#[test]
fn executors_in_other_processes_do_the_same_job() {
    let repo = Repo::sample(40);
    let undisturbed = Lake::of(&repo, &["--shards", "5"]);
    let lake = planned(&repo, "5");
    Runtime::new().unwrap().block_on(async {
        let store = Store::open(lake.root().to_str().unwrap()).await.unwrap();
        let run = RunPlan::load(&store, "there").await.unwrap().unwrap();
        let request = serde_json::from_value(run.request).unwrap();
        let plan = EpochPlan::last(&store, "there").await.unwrap().unwrap();
        assert_eq!(plan.tasks.len(), 5);
        let epoch = resumed_epoch(&store, plan, &request);
        let plan = job(&store, &epoch).await.unwrap();
        let cluster = Cluster::start(2).await;
        let outcome = pretty_format_batches(&cluster.run("there", &plan).await).unwrap().to_string();
        assert!(outcome.contains("committed"), "{outcome}");
        // A second submission of the job finds it done.
        let outcome = pretty_format_batches(&cluster.run("there", &plan).await).unwrap().to_string();
        assert!(outcome.contains("committed"), "{outcome}");
    });
    lake.verify();
    lake.assert_same_facts(&undisturbed);
}

#[test]
fn functions_run_on_executors() {
    let repo = Repo::sample(6);
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff.py");
    std::fs::write(repo.root().join(odd), "x = 1\n").unwrap();
    repo.write("api/only.py", "import os\n\ndef one(a, b):\n    return os.getcwd()\n");
    Runtime::new().unwrap().block_on(async {
        let cluster = Cluster::start(1).await;
        let sql = "SELECT d['name'] AS name FROM (SELECT unnest(ast_defs('def f(): pass\nclass C: pass')) AS d)";
        let rows = cluster.sql("scalar", sql).await;
        assert!(rows.contains("| f ") && rows.contains("| C "), "{rows}");
        let sql = format!("SELECT path, name FROM extract('ast_defs', '{}', 'only.py')", repo.root().display());
        let rows = cluster.sql("table", &sql).await;
        assert!(rows.contains("api/only.py") && rows.contains("one"), "{rows}");
        let sql = format!("SELECT count(*) AS files FROM files('{}', 'only.py')", repo.root().display());
        let rows = cluster.sql("files", &sql).await;
        assert!(rows.contains("| 1 "), "{rows}");
        let rows = cluster.sql("odd", &format!("SELECT path FROM files('{}', 'odd-*')", repo.root().display())).await;
        assert!(rows.contains(r"odd-\xff.py"), "a name that is not UTF-8 is a row: {rows}");
    });
}
