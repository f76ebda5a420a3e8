//! A run, from its scan to its commit: what its parts cost, where it happens, and what comes of it.

use super::cost::{Cost, Job, Term};
use super::resource::Resource;
use super::tasks::Tasks;

/// What the parts of a run cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    /// Client: seconds until the scan is kept.
    pub scan: Cost,
    /// Client: seconds from there until the epoch's plan stands, staging included.
    pub plan: Cost,
    /// Client and scheduler: seconds from there until the job can start.
    pub submit: Cost,
    /// Client: core-seconds of the whole run.
    pub client_core: Cost,
    /// Client: bytes at the peak.
    pub client_memory: Cost,
    /// Lake: megabytes of scan and worklist.
    pub kept: Cost,
    /// Scheduler: core-seconds. Those of a shard are spent half when its task starts and half when it ends.
    pub scheduler: Cost,
    /// Scheduler: bytes at the peak.
    pub scheduler_memory: Cost,
    /// Bytes of the plan that is submitted.
    pub plan_bytes: Cost,
    /// Bytes of the plans of all tasks.
    pub task_bytes: Cost,
    /// Executors: core-seconds; those of an executor are spent before its first task.
    pub task: Cost,
    /// Share of a task's core-seconds that pass one after the other; the rest passes beside it where there is a core.
    pub serial: f64,
    /// Seconds that a task waits for what is neither a core, the scheduler nor the store.
    pub wait: f64,
    /// Lake: objects that the tasks write.
    pub objects: Cost,
    /// Lake: megabytes that the tasks write.
    pub written: Cost,
    /// Commit task: seconds, from the last manifest until all tables are rolled forward.
    pub commit: Cost,
    /// Client: seconds from there until it ends.
    pub end: Cost,
}

/// Where a run happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Cores of all executors.
    pub cores: usize,
    /// Whether client and scheduler work on these cores as well: one machine has it all.
    pub one_machine: bool,
    /// Tasks that an executor works on at a time.
    pub slots: usize,
    /// Clients that scan, plan and commit a part each.
    pub clients: usize,
    /// Bytes of memory that each of them has.
    pub client_memory: f64,
    /// The object store.
    pub store: Store,
}

/// What the object store and the way to it can do.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// Seconds that a request takes.
    pub request: f64,
    /// Requests a second, below all prefixes together.
    pub requests: f64,
    /// Megabytes a second between an executor and the store.
    pub uplink: f64,
    /// Megabytes a second between a client and the store, and between the scheduler and the executors.
    pub client_uplink: f64,
    /// Requests of a task besides one for each object that it writes.
    pub reads: f64,
    /// Requests of a commit besides two for each manifest.
    pub commit_requests: f64,
    /// Requests that clients and the commit have under way at once.
    pub at_once: f64,
}

impl Store {
    /// The file system of one machine: what it costs is in what was measured there.
    pub fn local() -> Self {
        let far = f64::INFINITY;
        Self {
            request: 0.0,
            requests: far,
            uplink: far,
            client_uplink: far,
            reads: 0.0,
            commit_requests: 0.0,
            at_once: 1.0,
        }
    }
}

/// When things were over, in seconds from the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Phases {
    /// The scan is kept.
    pub scanned: f64,
    /// The plan stands.
    pub planned: f64,
    /// Every shard has its manifest.
    pub extracted: f64,
    /// Every table is rolled forward.
    pub committed: f64,
    /// The client has ended.
    pub ended: f64,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// When its phases ended.
    pub phases: Phases,
    /// Share of the run for which each resource was busy; of executors, of their slots, and of memory, how full it was.
    pub busy: Vec<(Resource, f64)>,
    /// Core-seconds of clients, scheduler and executors.
    pub core_seconds: [f64; 3],
    /// Bytes at the peak of one client and of the scheduler.
    pub memory: [f64; 2],
    /// Bytes of the plan that a client submits.
    pub plan_bytes: f64,
    /// Bytes of the plans that tasks are sent.
    pub task_bytes: f64,
}

/// A job, what its parts cost, and where it happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What its parts cost.
    pub costs: Costs,
    /// How large it is.
    pub job: Job,
    /// Where it happens.
    pub site: Site,
}

impl Run {
    /// Plays it.
    pub fn simulate(&self) -> Outcome {
        let Self { costs, job, site } = self;
        let clients = site.clients.max(1) as f64;
        let part = Job {
            files: job.files / clients,
            megabytes: job.megabytes / clients,
            shards: (job.shards / clients).ceil().max(1.0),
            ..*job
        };
        let store = &site.store;
        let scan = costs.scan.of(&part);
        let staging =
            costs.plan.each(Term::Staged) * Term::Staged.of(&part) + Term::Staged.of(&part) / store.client_uplink;
        let planning = costs.plan.of(&Job { staged: false, ..part })
            + costs.kept.of(&part) / store.client_uplink
            + part.shards * store.request / store.at_once;
        let submit = costs.submit.of(&part);
        let commit =
            costs.commit.of(&part) + store.request * (2.0 * part.shards / store.at_once + store.commit_requests);

        let planned = scan + planning + staging;
        let tasks = Tasks::new(costs, &part, site).play(planned + submit, commit);
        let ended = tasks.committed + costs.end.of(&part);
        let slots = (job.executors.max(1.0) as usize * site.slots.max(1)) as f64;
        let shared = |seconds: f64| seconds / (slots * ended);
        let shards = part.shards * clients;
        let objects = costs.objects.of(&part) / part.shards;
        let memory = costs.client_memory.of(&part);
        let busy = |resource| match resource {
            Resource::Memory => memory / site.client_memory,
            Resource::Scan => scan / ended,
            Resource::Plan => (planning + submit) / ended,
            Resource::Staging => staging / ended,
            Resource::Scheduler => tasks.scheduler.spent / ended,
            Resource::Executors => shared(tasks.held),
            Resource::Shards => tasks.step.alone() / ended,
            Resource::Uplink => shared(shards * tasks.step.transfer),
            Resource::Requests => tasks.store.spent / ended,
            Resource::Latency => shared(shards * (store.reads + objects) * store.request),
            Resource::Commit => commit / ended,
        };
        Outcome {
            phases: Phases { scanned: scan, planned, extracted: tasks.extracted, committed: tasks.committed, ended },
            busy: Resource::ALL.into_iter().map(|resource| (resource, busy(resource))).collect(),
            core_seconds: [
                clients * costs.client_core.of(&part),
                clients * costs.scheduler.of(&part),
                costs.task.of(job),
            ],
            memory: [memory, costs.scheduler_memory.of(job)],
            plan_bytes: costs.plan_bytes.of(&part),
            task_bytes: clients * costs.task_bytes.of(&part),
        }
    }
}
