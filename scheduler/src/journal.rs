//! What was captured of jobs that are not over, on their lakes: for a scheduler that gets no time to say goodbye.
//!
//! `_runs/<run>/<epoch>/captured/<job>.json` is the record of a job as it was a moment ago. It is written beside the event
//! loop, at most once an [`INTERVAL`] for all that has changed since, and goes when the record is kept for good. One that
//! is left belongs to a scheduler that died: `lode explain` shows it, and whoever keeps the records of the run's next job
//! keeps it, too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lode_lake::plan::EpochPlan;
use lode_lake::store::Lake;
use lode_lake::{LakeError, layout};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::capture::Captures;
use crate::job::JobRecord;
use crate::outcome::JobAddress;
use crate::records::{self, RecordError};

/// The time between two looks at what has changed.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a lake may take before the next job has its turn.
const PATIENCE: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn folder(run_id: &str, epoch: u32) -> String {
    format!("{}/{epoch}/captured", layout::run(run_id))
}

fn path(job: &JobRecord, address: &JobAddress) -> Path {
    Path::from(format!("{}/{}.json", folder(&job.job_name, address.epoch), job.job_id))
}

/// Writes down what has changed of the jobs that are not over, until the scheduler ends.
pub(crate) async fn write(mut captures: Captures) {
    let mut written: BTreeMap<String, JobRecord> = BTreeMap::new();
    loop {
        let jobs: Vec<JobRecord> = captures.jobs().into_iter().filter(|job| !job.state.is_terminal()).collect();
        let open: BTreeSet<String> = jobs.iter().map(|job| job.job_id.clone()).collect();
        written.retain(|job, _| open.contains(job));
        for job in jobs {
            if written.get(&job.job_id) == Some(&job) {
                continue;
            }
            let Some(address) = job.address.clone() else { continue };
            match tokio::time::timeout(PATIENCE, put(&job, &address)).await {
                Ok(Ok(())) => drop(written.insert(job.job_id.clone(), job.clone())),
                Ok(Err(error)) => tracing::debug!(run_id = job.job_name, error, "the job's captures are not written"),
                Err(_) => tracing::debug!(run_id = job.job_name, "the lake takes the job's captures too slowly"),
            }
            // Whoever kept the record for good may have looked before this was written.
            if !captures.is_at_work(&job.job_id) {
                forget(&job, &address).await;
            }
        }
        tokio::time::sleep(INTERVAL).await;
        if !captures.next_change().await {
            return;
        }
    }
}

async fn put(job: &JobRecord, address: &JobAddress) -> Result<(), Failure> {
    let lake = Lake::open(&address.lake).await?;
    lake.store().put(&path(job, address), serde_json::to_vec(job)?.into()).await?;
    Ok(())
}

/// Removes what was written of a job whose record is kept. What can't be removed is shown twice at most.
async fn forget(job: &JobRecord, address: &JobAddress) {
    let removed = async {
        let lake = Lake::open(&address.lake).await?;
        match lake.store().delete(&path(job, address)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Failure::from(error)),
        }
    };
    if let Err(error) = removed.await {
        tracing::debug!(run_id = job.job_name, error, "the job's captures stay on the lake");
    }
}

/// The records that are left of a run's jobs, in the order of their acceptance: of those that run, and of those whose
/// scheduler died.
///
/// # Errors
/// If the lake can't be read.
pub async fn left(lake: &Lake, run_id: &str) -> Result<Vec<JobRecord>, LakeError> {
    let mut jobs: Vec<JobRecord> = vec![];
    let epochs = EpochPlan::last(lake, run_id).await?.map_or(0, |plan| plan.epoch + 1);
    for epoch in 0..epochs {
        for object in lake.list(&folder(run_id, epoch)).await? {
            // One that went in between is kept elsewhere.
            jobs.extend(lake.get_json::<JobRecord>(object.location.as_ref()).await?);
        }
    }
    jobs.sort_by(|a, b| (a.accepted_ms, &a.job_id).cmp(&(b.accepted_ms, &b.job_id)));
    Ok(jobs)
}

/// Keeps what was captured of a run's jobs for good, but for those that are at work.
///
/// # Errors
/// If the lake can't be read or written.
pub async fn adopt(lake: &Lake, run_id: &str, is_at_work: impl Fn(&JobRecord) -> bool) -> Result<(), RecordError> {
    for job in left(lake, run_id).await?.into_iter().filter(|job| !is_at_work(job)) {
        let Some(address) = &job.address else { continue };
        if let Some(plan) = EpochPlan::load(lake, run_id, address.epoch).await? {
            records::keep_plans(lake, &plan, &job).await?;
        }
        forget(&job, address).await;
    }
    Ok(())
}
