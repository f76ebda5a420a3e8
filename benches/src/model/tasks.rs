//! The tasks of a run, event by event: the scheduler hands them out one at a time, executors work on them and write to the
//! store, the scheduler hears of each, and one task commits.
//!
//! A slot is held from the moment its task waits for the scheduler until the scheduler has heard of its end. Shards of a
//! run are of one size. Nothing is random: the same run takes the same time, to the last bit.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use super::cost::{Job, Term};
use super::run::{Costs, Site};

/// Seconds of each step of a task.
pub(super) struct Step {
    /// The scheduler at the start, with the sending of the plan.
    launch: f64,
    /// The scheduler's work at the start, and again at the end.
    scheduler: f64,
    /// Requests and content, before there is anything to do.
    read: f64,
    /// Core-seconds of an executor's start.
    start: f64,
    /// Core-seconds of the task.
    core: f64,
    /// The store's own time for the task's requests.
    store: f64,
    /// Requests and facts, and whatever else it waits for.
    write: f64,
    /// The bytes of both ways alone.
    pub transfer: f64,
}

impl Step {
    /// What a task takes if it waits for nobody: no number of executors makes a run shorter.
    pub fn alone(&self) -> f64 {
        self.launch + self.scheduler + self.read + self.start + self.core + self.store + self.write
    }

    fn new(costs: &Costs, part: &Job, site: &Site) -> Self {
        let (store, shards) = (&site.store, part.shards);
        let slot_uplink = store.uplink / site.slots.max(1) as f64;
        let (incoming, outgoing) = (Term::Staged.of(part) / shards, costs.written.of(part) / shards);
        let objects = costs.objects.of(part) / shards;
        let (start, scheduler) = (costs.task.each(Term::Executor), &costs.scheduler);
        let scheduler = (scheduler.each(Term::Shard)
            + scheduler.each(Term::ShardOfShards) * shards
            + scheduler.each(Term::ShardOfExecutors) * part.executors)
            / 2.0;
        Self {
            launch: scheduler + costs.task_bytes.of(part) / shards / 1e6 / store.client_uplink,
            scheduler,
            read: store.reads * store.request + incoming / slot_uplink,
            start,
            core: (costs.task.of(part) - start * part.executors).max(0.0) / shards,
            store: (store.reads + objects) / store.requests,
            write: objects * store.request + outgoing / slot_uplink + costs.wait,
            transfer: (incoming + outgoing) / slot_uplink,
        }
    }
}

/// Something that serves so many at a time, in the order of their coming.
#[derive(Default)]
pub(super) struct Station {
    servers: usize,
    busy: usize,
    queue: VecDeque<(Option<usize>, f64)>,
    pub spent: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Scheduler,
    Cores,
    Store,
}

#[derive(Clone, Copy)]
enum Event {
    /// A station is through with what a shard wants of it, or with what nobody waits for.
    Served(At, Option<usize>),
    /// A shard has waited.
    Waited(usize),
}

struct Timed(f64, u64, Event);

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Timed {}
impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timed {
    /// What was foreseen first comes first, at the same time.
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

/// How far a shard is.
#[derive(Clone, Copy, Default)]
struct Shard {
    steps: u8,
    /// Works of the step that are not over.
    open: u8,
    dispatched: f64,
    first_of_executor: bool,
}

/// The steps of a task: scheduler, read, cores, store, write, scheduler.
const STEPS: u8 = 6;

/// All tasks of a run.
pub(super) struct Tasks {
    pub step: Step,
    serial: f64,
    one_machine: bool,
    pub scheduler: Station,
    cores: Station,
    pub store: Station,
    shards: Vec<Shard>,
    next: usize,
    free: usize,
    unstarted: usize,
    now: f64,
    events: BinaryHeap<Reverse<Timed>>,
    foreseen: u64,
    /// Seconds for which slots were held.
    pub held: f64,
    /// When the scheduler knew of the end of all shards.
    pub extracted: f64,
    /// When the commit was over.
    pub committed: f64,
}

impl Tasks {
    /// Tasks of clients that have a part of the job each.
    pub fn new(costs: &Costs, part: &Job, site: &Site) -> Self {
        let station = |servers| Station { servers, ..Station::default() };
        let executors = part.executors.max(1.0) as usize;
        Self {
            step: Step::new(costs, part, site),
            serial: costs.serial,
            one_machine: site.one_machine,
            scheduler: station(1),
            cores: station(site.cores.max(1)),
            store: station(1),
            shards: vec![Shard::default(); part.shards as usize * site.clients.max(1)],
            next: 0,
            free: executors * site.slots.max(1),
            unstarted: executors,
            now: 0.0,
            events: BinaryHeap::new(),
            foreseen: 0,
            held: 0.0,
            extracted: 0.0,
            committed: 0.0,
        }
    }

    /// From the submission to the commit.
    pub fn play(mut self, submitted: f64, commit: f64) -> Self {
        self.now = submitted;
        self.dispatch();
        while let Some(Reverse(Timed(time, _, event))) = self.events.pop() {
            self.now = time;
            match event {
                Event::Waited(shard) => self.go_on(shard),
                Event::Served(at, shard) => {
                    self.station(at).busy -= 1;
                    if let Some((next, seconds)) = self.station(at).queue.pop_front() {
                        self.serve(at, next, seconds);
                    }
                    if let Some(shard) = shard {
                        self.shards[shard].open -= 1;
                        if self.shards[shard].open == 0 {
                            self.go_on(shard);
                        }
                    }
                }
            }
        }
        debug_assert!(self.shards.iter().all(|shard| shard.steps == STEPS), "every shard is done, once");
        // The commit is a task as well: the scheduler hands it out and hears of its end.
        self.committed = self.extracted + self.step.launch + self.step.scheduler + commit;
        self
    }

    /// Gives free slots to shards that wait for one; executors without a task come first.
    fn dispatch(&mut self) {
        while self.free > 0 && self.next < self.shards.len() {
            let shard = self.next;
            self.free -= 1;
            self.next += 1;
            self.shards[shard].dispatched = self.now;
            self.shards[shard].first_of_executor = self.unstarted > 0;
            self.unstarted = self.unstarted.saturating_sub(1);
            self.begin(shard);
        }
    }

    /// Ends a step of a shard and begins the next.
    fn go_on(&mut self, shard: usize) {
        self.shards[shard].steps += 1;
        if self.shards[shard].steps < STEPS {
            return self.begin(shard);
        }
        self.held += self.now - self.shards[shard].dispatched;
        self.extracted = self.now;
        self.free += 1;
        self.dispatch();
    }

    fn begin(&mut self, shard: usize) {
        let Shard { steps, first_of_executor, .. } = self.shards[shard];
        match steps {
            0 | 5 => {
                if self.one_machine {
                    self.visit(At::Cores, None, self.step.scheduler);
                }
                let seconds = if steps == 0 { self.step.launch } else { self.step.scheduler };
                self.enter(At::Scheduler, shard, &[seconds]);
            }
            1 => self.wait(shard, self.step.read),
            2 => {
                let seconds = self.step.core + if first_of_executor { self.step.start } else { 0.0 };
                // Workers extract while the sink encodes: two works that go side by side if there are two cores.
                self.enter(At::Cores, shard, &[self.serial * seconds, (1.0 - self.serial) * seconds]);
            }
            3 => self.enter(At::Store, shard, &[self.step.store]),
            _ => self.wait(shard, self.step.write),
        }
    }

    fn enter(&mut self, at: At, shard: usize, works: &[f64]) {
        let works = works.iter().filter(|seconds| **seconds > 0.0);
        self.shards[shard].open = works.clone().count() as u8;
        if self.shards[shard].open == 0 {
            return self.wait(shard, 0.0);
        }
        works.for_each(|seconds| self.visit(at, Some(shard), *seconds));
    }

    fn visit(&mut self, at: At, shard: Option<usize>, seconds: f64) {
        let station = self.station(at);
        if station.busy < station.servers {
            self.serve(at, shard, seconds);
        } else {
            station.queue.push_back((shard, seconds));
        }
    }

    fn serve(&mut self, at: At, shard: Option<usize>, seconds: f64) {
        let station = self.station(at);
        station.busy += 1;
        station.spent += seconds;
        self.foresee(seconds, Event::Served(at, shard));
    }

    fn wait(&mut self, shard: usize, seconds: f64) {
        self.foresee(seconds, Event::Waited(shard));
    }

    fn foresee(&mut self, seconds: f64, event: Event) {
        self.foreseen += 1;
        self.events.push(Reverse(Timed(self.now + seconds, self.foreseen, event)));
    }

    fn station(&mut self, at: At) -> &mut Station {
        match at {
            At::Scheduler => &mut self.scheduler,
            At::Cores => &mut self.cores,
            At::Store => &mut self.store,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Cost;
    use crate::resource::Resource;
    use crate::run::{Run, Store};

    /// A job whose parts all cost something.
    fn run(executors: usize, shards: f64) -> Run {
        let each = |term, cost| Cost::new(&[(term, cost)]);
        let costs = Costs {
            scan: each(Term::File, 1e-5),
            plan: Cost::new(&[(Term::File, 1e-5), (Term::Staged, 1e-3)]),
            submit: each(Term::Shard, 1e-4),
            client_core: each(Term::File, 2e-5),
            client_memory: each(Term::File, 600.0),
            kept: each(Term::File, 1e-4),
            scheduler: Cost::new(&[(Term::Shard, 5e-4), (Term::ShardOfShards, 1e-9), (Term::ShardOfExecutors, 1e-8)]),
            scheduler_memory: each(Term::Shard, 1e4),
            plan_bytes: each(Term::Shard, 150.0),
            task_bytes: each(Term::Shard, 4e3),
            task: Cost::new(&[(Term::Executor, 0.2), (Term::Shard, 0.02), (Term::Megabyte, 0.1)]),
            serial: 0.8,
            wait: 0.005,
            objects: each(Term::Shard, 4.0),
            written: each(Term::Megabyte, 0.5),
            commit: Cost::new(&[(Term::Run, 0.3), (Term::Shard, 1e-4)]),
            end: each(Term::Run, 0.2),
        };
        let store = Store {
            request: 0.03,
            requests: 3_500.0,
            uplink: 600.0,
            client_uplink: 600.0,
            reads: 5.0,
            commit_requests: 20.0,
            at_once: 8.0,
        };
        let job = Job { files: 1e5, megabytes: 1e3, shards, executors: executors as f64, staged: true };
        Run {
            costs,
            job,
            site: Site { cores: executors, one_machine: false, slots: 1, clients: 1, client_memory: 1e9, store },
        }
    }

    fn near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9 * right.abs(), "{left} instead of {right}");
    }

    #[test]
    fn every_shard_is_done_exactly_once() {
        for (executors, shards, clients) in [(1, 1.0, 1), (3, 17.0, 1), (8, 500.0, 4), (1_000, 64.0, 1)] {
            let Run { costs, job, mut site } = run(executors, shards);
            site.clients = clients;
            let tasks = Tasks::new(&costs, &job, &site).play(1.0, 1.0);
            let all = shards * clients as f64;
            assert_eq!(tasks.shards.len() as f64, all);
            assert!(tasks.shards.iter().all(|shard| (shard.steps, shard.open) == (STEPS, 0)));
            assert_eq!((tasks.next, tasks.free), (tasks.shards.len(), executors), "all slots are free again");
            let stations = [&tasks.scheduler, &tasks.cores, &tasks.store];
            assert!(stations.iter().all(|station| station.busy == 0 && station.queue.is_empty()));
            // What the stations did is what the shards wanted of them, no more and no less.
            near(tasks.scheduler.spent, all * (tasks.step.launch + tasks.step.scheduler));
            near(tasks.store.spent, all * tasks.step.store);
            let started = all.min(executors as f64);
            near(tasks.cores.spent, all * tasks.step.core + started * tasks.step.start);
        }
    }

    #[test]
    fn one_executor_takes_what_the_closed_form_says() {
        let run = run(1, 40.0);
        let Run { costs, job, site } = &run;
        let step = Step::new(costs, job, site);
        let all = step.start + 40.0 * (step.alone() - step.start);
        let request = site.store.request;
        let client = 1.0 + 1.0 + 1e3 * 1e-3 + 1e3 / 600.0 + 10.0 / 600.0 + 40.0 * request / 8.0 + 40.0 * 1e-4;
        let commit = 0.3 + 40.0 * 1e-4 + request * (2.0 * 40.0 / 8.0 + 20.0) + step.launch + step.scheduler;
        near(run.simulate().phases.ended, client + all + commit + 0.2);
        near(step.core, 0.02 + 1e3 / 40.0 * 0.1);
    }

    #[test]
    fn more_executors_never_take_longer_until_another_resource_binds() {
        let mut before = f64::INFINITY;
        let mut named = None;
        for executors in [1, 2, 3, 5, 8, 16, 64, 128, 256] {
            let run = run(executors, 256.0);
            let outcome = run.simulate();
            let binding = run.binding(&outcome);
            if named.is_none() {
                assert!(outcome.phases.ended <= before, "{executors} executors take longer than fewer");
                before = outcome.phases.ended;
            }
            named = named.or(Some(binding).filter(|binding| *binding != Resource::Executors));
        }
        assert!(named.is_some(), "executors do not bind for ever");
        assert_eq!(run(1, 256.0).binding(&run(1, 256.0).simulate()), Resource::Executors);
    }

    #[test]
    fn what_there_is_too_little_of_is_what_binds() {
        let slow = |change: fn(&mut Run)| {
            let mut run = run(64, 1_024.0);
            change(&mut run);
            run.binding(&run.simulate())
        };
        assert_eq!(slow(|run| run.costs.scheduler = Cost::new(&[(Term::Shard, 0.1)])), Resource::Scheduler);
        assert_eq!(slow(|run| run.site.client_memory = 1e6), Resource::Memory);
        assert_eq!(slow(|run| run.costs.scan = Cost::new(&[(Term::File, 1e-3)])), Resource::Scan);
        assert_eq!(slow(|run| run.costs.plan = Cost::new(&[(Term::File, 1e-3)])), Resource::Plan);
        assert_eq!(slow(|run| run.site.store.client_uplink = 1.0), Resource::Staging);
        assert_eq!(slow(|run| run.site.store.requests = 10.0), Resource::Requests);
        assert_eq!(slow(|run| run.site.store.request = 30.0), Resource::Latency);
        assert_eq!(slow(|run| run.costs.commit = Cost::new(&[(Term::Shard, 1.0)])), Resource::Commit);
        assert_eq!(slow(|run| run.job.shards = 2.0), Resource::Shards);
        // Each executor brings a way of its own to the store: it is executors that bind, and this is what they do.
        let mut run = run(8, 64.0);
        run.site.store.uplink = 0.01;
        let outcome = run.simulate();
        assert_eq!(run.binding(&outcome), Resource::Executors);
        assert!(outcome.busy.iter().any(|(resource, busy)| *resource == Resource::Uplink && *busy > 0.9));
    }

    #[test]
    fn the_same_run_takes_the_same_time() {
        let run = run(7, 333.0);
        assert_eq!(run.simulate(), run.simulate());
    }

    #[test]
    fn cores_that_all_share_are_not_given_twice() {
        let mut run = run(4, 100.0);
        (run.site.cores, run.site.one_machine, run.site.store) = (2, true, Store::local());
        let outcome = run.simulate();
        let Run { costs, job, .. } = &run;
        let spent = costs.task.of(job) + costs.scheduler.of(job);
        assert!(outcome.phases.extracted - outcome.phases.planned >= spent / 2.0 * 0.99);
        // With a core for every slot it is the work of a slot that counts.
        run.site.cores = 8;
        assert!(run.simulate().phases.ended < outcome.phases.ended);
    }
}
