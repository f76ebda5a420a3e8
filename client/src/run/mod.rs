//! A run, from a repository to committed tables: scan, plan, submit, follow, report.

mod agreement;
mod cluster;
mod job;
mod record;
mod request;
mod usage;

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lode_executor::host::Listener;
use lode_executor::telemetry;
use lode_facts::python::Version;
use lode_lake::base::Base;
use lode_lake::error::with_causes;
use lode_lake::plan::{EpochPlan, RunPlan};
use lode_lake::shard::repo_key;
use lode_lake::store::Lake;
use lode_lake::trace::SPANS;
use lode_lake::{commit, history, layout, retry};
use lode_plan::host::ShardEvent;
use lode_plan::inputs::{KeptRun, RunRequest, inputs, kept_files};
use lode_plan::worklist::lanes_of;
use tracing::{Instrument, info_span};

pub use cluster::{Cluster, EmbeddedCluster, Ended, Place, ended, follow};
pub use request::{ExtractRequest, Source};

use crate::report::{Phase, Progress, PythonChoice, RunError, RunObserver, RunState, RunSummary};
use crate::scan::{RequiresPython, Scan, cached_scan, check_root};
use job::Job;
use usage::Usage;

type Failure = Box<dyn Error + Send + Sync>;

/// Something that is wrong with what was asked, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    message: String,
    hint: Option<String>,
}

impl Refusal {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// What to do.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// What a run carries along until its summary.
struct Run {
    run_id: String,
    lake: Option<Lake>,
    /// Its plan stands on the lake: it can be resumed.
    kept: bool,
    /// The scheduler elsewhere that executes it.
    scheduler: Option<String>,
    observer: Arc<dyn RunObserver>,
    usage: Usage,
    summary: RunSummary,
}

/// Extracts a repository into a lake.
///
/// # Errors
/// When the run did not commit; the error holds the summary all the same.
pub async fn extract(request: ExtractRequest, observer: Arc<dyn RunObserver>) -> Result<RunSummary, RunError> {
    let run_id = request.run_id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let mut run = Run::new(run_id, &request.place, observer);
    let result = traced(&run.run_id.clone(), "extract", run.extract(request)).await;
    run.end(result).await
}

/// Finishes a run that was stopped. Shards that are done are not done again.
///
/// # Errors
/// When the run did not commit, or there is nothing to resume.
pub async fn resume(
    lake: &str,
    run_id: &str,
    place: Place,
    observer: Arc<dyn RunObserver>,
) -> Result<RunSummary, RunError> {
    let mut run = Run::new(run_id.to_owned(), &place, observer);
    let result = traced(run_id, "resume", run.resume(lake, place)).await;
    run.end(result).await
}

/// Runs again what another run was asked for and did not finish, as a new run and without a new scan: for a run that was
/// cancelled.
///
/// # Errors
/// When the new run did not commit, or there is nothing to run again.
pub async fn retry(
    lake: &str,
    run_id: &str,
    new_id: Option<String>,
    place: Place,
    observer: Arc<dyn RunObserver>,
) -> Result<RunSummary, RunError> {
    let mut run = Run::new(new_id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()), &place, observer);
    let result = traced(&run.run_id.clone(), "retry", run.retry(lake, run_id, place)).await;
    run.end(result).await
}

/// Does what a command does for a run within the span of it.
async fn traced(run_id: &str, command: &str, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let span = telemetry::run(run_id, command);
    let result = work.instrument(span.clone()).await;
    if result.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    result
}

impl Run {
    fn new(run_id: String, place: &Place, observer: Arc<dyn RunObserver>) -> Self {
        let summary = RunSummary::new(run_id.clone(), "");
        let scheduler = place.scheduler().map(str::to_owned);
        Self { run_id, lake: None, kept: false, scheduler, observer, usage: Usage::start(), summary }
    }

    async fn extract(&mut self, request: ExtractRequest) -> Result<(), Failure> {
        check_run_id(&self.run_id)?;
        // Before the lake, so that a mistyped path makes none.
        check_root(&request.path)?;
        let lake = Lake::open_or_create(&request.lake).await?;
        self.lake = Some(lake.clone());
        // The cluster comes up while the repository is scanned.
        let progress = Arc::new(Mutex::new(Progress::default()));
        let cluster = tokio::spawn(Cluster::start(request.place.clone(), self.listener(&progress)));
        self.observer.phase(Phase::Scanning);
        let scanned = {
            let (root, options) = (request.path.clone(), request.scan_options(&lake));
            let span = info_span!(target: SPANS, "scan");
            tokio::task::spawn_blocking(move || cached_scan(&root, options)).instrument(span).await?
        };
        let cluster = cluster.await?;
        let scanned = match scanned {
            Ok(scanned) => scanned,
            Err(error) => {
                if let Ok(cluster) = cluster {
                    cluster.stop().await;
                }
                return Err(error.into());
            }
        };
        let cluster = cluster?;
        let result = self.plan_and_run(&lake, request, scanned, &cluster, &progress).await;
        cluster.stop().await;
        result
    }

    async fn plan_and_run(
        &mut self,
        lake: &Lake,
        request: ExtractRequest,
        scanned: Scan,
        cluster: &Cluster,
        progress: &Arc<Mutex<Progress>>,
    ) -> Result<(), Failure> {
        self.summary.repo.clone_from(&scanned.repo);
        for warning in &scanned.warnings {
            self.warn(warning);
        }
        let request = self.with_python_version(request, &scanned);
        self.observer.phase(Phase::Planning);
        let base = Base::load(lake, &scanned.repo).await?;
        check_origin(&base, &scanned)?;
        let retried = retry::retried(lake, &scanned.repo).await?;
        let asked = request.planned(&scanned, retried)?;
        if base.last.is_none() {
            cluster.prepare(&asked);
        }
        // What the scan remembers of every file is on disk by now.
        drop(scanned.cache);
        let lanes = lanes_of(&asked, &base);
        let inputs = inputs(&asked, &lanes, scanned.files.into_iter().map(|file| file.meta))?;
        if self.already_committed(lake, &asked.repo).await? {
            let kept = RunPlan::load(lake, &self.run_id).await?;
            if kept.is_some_and(|plan| plan.digest != inputs.digest) {
                return Err(lode_lake::LakeError::RunConflict { run_id: self.run_id.clone() }.into());
            }
            return Ok(());
        }
        let records = layout::scan(&self.run_id, &inputs.digest);
        let wanted = layout::wanted(&self.run_id, &inputs.digest, lanes.iter().map(|lane| lane.name()));
        tokio::try_join!(lake.put_new(&records, inputs.records), lake.put_new(&wanted, inputs.wanted))?;
        RunPlan {
            run_id: self.run_id.clone(),
            repo: asked.repo.clone(),
            repo_key: repo_key(&asked.repo),
            origin: asked.origin.clone(),
            digest: inputs.digest.clone(),
            created_at: now_micros(),
            request: serde_json::to_value(&asked)?,
        }
        .publish(lake)
        .await?;
        self.kept = true;
        self.observer.started(&self.run_id, &asked.repo);
        let kept = EpochPlan::last(lake, &self.run_id).await?;
        let run = KeptRun { run_id: &self.run_id, digest: &inputs.digest, request: &asked };
        let ended = Job { lake, run, cluster, observer: self.observer.as_ref(), progress }
            .run(&inputs.files, kept, Some(base))
            .await?;
        self.conclude(lake, &asked, ended).await
    }

    /// Decides as which version of Python files are read, and says so if the project did.
    fn with_python_version(&mut self, mut request: ExtractRequest, scanned: &Scan) -> ExtractRequest {
        let default = Version::default();
        request.options.python_version = match (request.python_version, &scanned.requires_python) {
            (Some(given), _) => given,
            (None, None) => default,
            (None, Some(required)) => {
                let RequiresPython { file, specifiers, .. } = required;
                if let Some(version) = required.version() {
                    let source = format!("requires {specifiers:?} in {file}");
                    self.summary.python = Some(PythonChoice { version, source });
                    version
                } else {
                    let [oldest, .., newest] = Version::ALL;
                    self.warn(&format!(
                        "{file} requires Python {specifiers:?}, of which Lode knows none ({oldest} to {newest}): files \
                         are read as {default}"
                    ));
                    default
                }
            }
        };
        request
    }

    /// Reports what a job ended with.
    async fn conclude(&mut self, lake: &Lake, asked: &RunRequest, ended: Ended) -> Result<(), Failure> {
        if ended == Ended::Detached {
            self.summary.state = RunState::Submitted;
            return Ok(());
        }
        retry::clear(lake, &asked.repo, &asked.retried).await?;
        self.report_commit(lake).await
    }

    async fn retry(&mut self, lake: &str, run_id: &str, place: Place) -> Result<(), Failure> {
        check_run_id(&self.run_id)?;
        let store = Lake::open(lake).await?;
        let old = RunPlan::load(&store, run_id).await?.ok_or_else(|| no_run(run_id))?;
        if history::run(&store, run_id).await?.is_some() {
            return Err(Refusal::new(format!("run {run_id} is committed"), "use `lode extract` for a new one").into());
        }
        let scan = layout::scan(run_id, &old.digest);
        let scanned = store.get(&scan).await?.ok_or_else(|| format!("the scan of run {run_id} is gone ({scan})"))?;
        store.put_new(&layout::scan(&self.run_id, &old.digest), scanned).await?;
        RunPlan { run_id: self.run_id.clone(), created_at: now_micros(), ..old }.publish(&store).await?;
        self.resume(lake, place).await
    }

    async fn resume(&mut self, lake: &str, place: Place) -> Result<(), Failure> {
        check_run_id(&self.run_id)?;
        let lake = Lake::open(lake).await?;
        self.lake = Some(lake.clone());
        let Some(plan) = RunPlan::load(&lake, &self.run_id).await? else {
            return Err(no_run(&self.run_id).into());
        };
        self.summary.repo.clone_from(&plan.repo);
        let asked: RunRequest = serde_json::from_value(plan.request)?;
        if self.already_committed(&lake, &asked.repo).await? {
            return Ok(());
        }
        self.kept = true;
        self.observer.started(&self.run_id, &asked.repo);
        self.observer.phase(Phase::Planning);
        let run_id = self.run_id.clone();
        let run = KeptRun { run_id: &run_id, digest: &plan.digest, request: &asked };
        let files = kept_files(&lake, &run).await?;
        let kept = EpochPlan::last(&lake, &self.run_id).await?;
        let progress = Arc::new(Mutex::new(Progress::default()));
        let cluster = Cluster::start(place, self.listener(&progress)).await?;
        let job = Job { lake: &lake, run, cluster: &cluster, observer: self.observer.as_ref(), progress: &progress };
        let result = job.run(&files, kept, None).await;
        cluster.stop().await;
        self.conclude(&lake, &asked, result?).await
    }

    /// Whether the run has been committed before; completes its tables if they are not.
    async fn already_committed(&mut self, lake: &Lake, repo: &str) -> Result<bool, Failure> {
        if RunPlan::load(lake, &self.run_id).await?.is_none() {
            return Ok(false);
        }
        commit::roll_forward(lake, &repo_key(repo)).await?;
        if history::run(lake, &self.run_id).await?.is_none() {
            return Ok(false);
        }
        self.warn("this run was committed before: nothing was done");
        self.report_commit(lake).await?;
        Ok(true)
    }

    async fn report_commit(&mut self, lake: &Lake) -> Result<(), Failure> {
        let run = history::run(lake, &self.run_id).await?.ok_or("the committed run has no row in `runs`")?;
        let summary = &mut self.summary;
        summary.state = RunState::Committed;
        summary.sequence = Some(run.sequence);
        summary.files = serde_json::from_value(run.counts)?;
        summary.rows = serde_json::from_value(run.rows)?;
        summary.rows_written = serde_json::from_value(run.rows_written)?;
        summary.bytes = run.bytes.max(0) as u64;
        summary.tables = run.table_versions;
        let is_filled = run.datasets.iter().any(|dataset| dataset == agreement::COUNTS);
        if is_filled && summary.rows.contains_key(agreement::COUNTS) {
            // The run is committed; a rate that can't be read does not change that.
            match agreement::rate(lake, &self.run_id, &run.repo).await {
                Ok(rate) => self.summary.agreement = Some(rate),
                Err(error) => self.warn(&format!("the rate of agreement can't be read: {}", with_causes(&error))),
            }
        }
        Ok(())
    }

    fn warn(&mut self, message: &str) {
        self.observer.warning(message);
        self.summary.warnings.push(message.to_owned());
    }

    fn listener(&self, progress: &Arc<Mutex<Progress>>) -> Listener {
        let (observer, progress) = (Arc::clone(&self.observer), Arc::clone(progress));
        Arc::new(move |event| {
            let ShardEvent::Group { files, bytes, failures, slowest } = event else { return };
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.files_done += files;
            progress.bytes_done += bytes;
            progress.failures += failures;
            if let Some((path, time)) = slowest
                && progress.slowest.as_ref().is_none_or(|(_, most)| time > most)
            {
                progress.slowest = Some((path.clone(), *time));
            }
            observer.progress(&progress);
        })
    }

    async fn end(mut self, result: Result<(), Failure>) -> Result<RunSummary, RunError> {
        self.observer.finished();
        let spent = self.usage.spent();
        self.summary.elapsed_ms = spent.elapsed.as_millis() as u64;
        self.summary.core_seconds = spent.core_seconds;
        self.summary.peak_rss_bytes = spent.peak_rss;
        let Err(source) = result else { return Ok(self.summary) };
        self.summary.state = match (&self.lake, self.kept) {
            (Some(lake), true) if is_cancelled(lake, &self.run_id).await => RunState::Cancelled,
            (Some(_), true) => RunState::Resumable,
            _ => RunState::Failed,
        };
        self.summary.error = Some(with_causes(source.as_ref()));
        self.summary.hint = match self.summary.state {
            RunState::Resumable => {
                let lake = self.lake.as_ref().map(location).unwrap_or_default();
                let scheduler = self.scheduler.map(|address| format!(" --scheduler {address}")).unwrap_or_default();
                Some(format!("lode resume {} --lake {lake}{scheduler}", self.run_id))
            }
            _ => hint(source.as_ref()),
        };
        Err(RunError { summary: Box::new(self.summary), source })
    }
}

fn no_run(run_id: &str) -> Refusal {
    let message = format!("there is no run {run_id} in this lake");
    Refusal::new(message, "`lode runs` lists the runs of a lake, also those that can be resumed")
}

/// The same name from elsewhere would mix two repositories' files.
fn check_origin(base: &Base, scanned: &Scan) -> Result<(), Refusal> {
    match (base.origin.as_ref().and_then(Option::as_ref), &scanned.origin) {
        (Some(known), Some(origin)) if known != origin => Err(Refusal::new(
            format!("the lake has a repository {:?} from {known}, this one is from {origin}", scanned.repo),
            "give this one another name with --repo",
        )),
        _ => Ok(()),
    }
}

/// The lake as a person names it.
fn location(lake: &Lake) -> String {
    match lake.url().to_file_path() {
        Ok(path) => path.display().to_string(),
        Err(()) => lake.url().to_string(),
    }
}

/// Whether a run can't be committed any more. A lake that does not answer says nothing.
async fn is_cancelled(lake: &Lake, run_id: &str) -> bool {
    let decision = lake.get_json::<commit::Decision>(&layout::decision(run_id)).await;
    decision.is_ok_and(|decision| decision == Some(commit::Decision::Cancelled))
}

/// What a person can do about an error.
fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return refusal.hint().map(str::to_owned);
    }
    error.downcast_ref::<lode_lake::LakeError>().and_then(|error| error.hint()).map(|hint| hint.to_string())
}

/// A run's id names objects of the lake.
fn check_run_id(run_id: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if run_id.is_empty() || run_id.len() > 128 || run_id.starts_with('.') || !run_id.chars().all(plain) {
        return Err(Refusal::new(
            format!("{run_id:?} can't be the id of a run"),
            "use at most 128 letters, digits, `-`, `_` and `.`, and no `.` first",
        ));
    }
    Ok(())
}

fn workers(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}

/// Microseconds since the Unix epoch.
fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as i64)
}
