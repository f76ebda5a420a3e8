//! What can hold a run up, and what does.

use super::cost::Term;
use super::run::{Outcome, Run};

/// What can hold a run up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The client's memory: a run that needs more does not end at all.
    Memory,
    /// The client's scan.
    Scan,
    /// The client's planning, and the submission.
    Plan,
    /// The client's way to the store, for content.
    Staging,
    /// The scheduler's event loop.
    Scheduler,
    /// Executors: there are too few.
    Executors,
    /// Shards: there are too few for the executors.
    Shards,
    /// The executors' way to the store.
    Uplink,
    /// Requests that the store takes a second.
    Requests,
    /// The time that the store takes for a request.
    Latency,
    /// The commit, a single task.
    Commit,
}

impl Resource {
    /// All of them, in the order of a run.
    pub const ALL: [Self; 11] = [
        Self::Memory,
        Self::Scan,
        Self::Plan,
        Self::Staging,
        Self::Scheduler,
        Self::Executors,
        Self::Shards,
        Self::Uplink,
        Self::Requests,
        Self::Latency,
        Self::Commit,
    ];

    /// Its name, in tables and in `model.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Scan => "scan",
            Self::Plan => "plan",
            Self::Staging => "staging",
            Self::Scheduler => "scheduler",
            Self::Executors => "executors",
            Self::Shards => "shards",
            Self::Uplink => "uplink",
            Self::Requests => "requests",
            Self::Latency => "latency",
            Self::Commit => "commit",
        }
    }
}

impl Run {
    /// The run with so many times as much of a resource, everything else being the same.
    #[must_use]
    pub fn with(&self, resource: Resource, factor: f64) -> Self {
        let Self { mut costs, mut job, mut site } = self.clone();
        let less = 1.0 / factor;
        let unstaged: Vec<Term> = Term::ALL.into_iter().filter(|term| *term != Term::Staged).collect();
        match resource {
            Resource::Memory => site.client_memory *= factor,
            Resource::Scan => costs.scan = costs.scan.times(less, &Term::ALL),
            Resource::Plan => {
                costs.plan = costs.plan.times(less, &unstaged);
                costs.submit = costs.submit.times(less, &unstaged);
            }
            Resource::Staging => {
                costs.plan = costs.plan.times(less, &[Term::Staged]);
                site.store.client_uplink *= factor;
            }
            Resource::Scheduler => costs.scheduler = costs.scheduler.times(less, &Term::ALL),
            Resource::Executors => {
                job.executors *= factor;
                site.cores = (site.cores as f64 * factor) as usize;
            }
            Resource::Shards => job.shards *= factor,
            Resource::Uplink => site.store.uplink *= factor,
            Resource::Requests => site.store.requests *= factor,
            Resource::Latency => site.store.request *= less,
            Resource::Commit => costs.commit = costs.commit.times(less, &Term::ALL),
        }
        Self { costs, job, site }
    }

    /// The resource that binds: memory that is too small, before all else; then the one that slows the run most.
    pub fn binding(&self, outcome: &Outcome) -> Resource {
        if outcome.memory[0] > self.site.client_memory { Resource::Memory } else { self.slowest(outcome).0 }
    }

    /// The resource of which twice as much makes the run shorter than twice as much of any other. With it, the share of the
    /// run that this saves.
    pub fn slowest(&self, outcome: &Outcome) -> (Resource, f64) {
        let saved = |resource| 1.0 - self.with(resource, 2.0).simulate().phases.ended / outcome.phases.ended;
        let savings = Resource::ALL.into_iter().map(|resource| (resource, saved(resource)));
        savings.fold((Resource::Scan, f64::MIN), |most, other| if other.1 > most.1 { other } else { most })
    }
}
