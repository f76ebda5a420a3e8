//! Points that were measured, and the costs that are fitted to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cost::{Cost, Job, Term};
use super::run::{Costs, Outcome, Run, Site, Store};

/// What is measured of a run: seconds of its parts, core-seconds and bytes of its roles, and what it leaves on the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Seconds until the scan is kept.
    Scan,
    /// Seconds from there until the plan of the epoch stands.
    Plan,
    /// Seconds that the submission takes, where it is seen apart.
    Submit,
    /// Seconds from the plan to the last manifest.
    Extract,
    /// Seconds from there until all tables are rolled forward.
    Commit,
    /// Seconds from there until the client ends.
    End,
    /// Seconds in all.
    Elapsed,
    /// Core-seconds of the client.
    ClientCore,
    /// Core-seconds of the scheduler.
    SchedulerCore,
    /// Core-seconds of executors and their workers.
    ExecutorCore,
    /// Bytes of the client at its peak.
    ClientMemory,
    /// Bytes of the scheduler at its peak.
    SchedulerMemory,
    /// Bytes of the plan that is submitted.
    PlanBytes,
    /// Bytes of the plans of all tasks.
    TaskBytes,
    /// Megabytes of scan and worklist.
    Kept,
    /// Megabytes that tasks write.
    Written,
    /// Objects that tasks write.
    Objects,
}

/// A run that was measured on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The workload that measured it.
    pub workload: String,
    /// How large it was.
    pub job: Job,
    /// Cores of the machine.
    pub cores: usize,
    /// What was measured.
    pub figures: BTreeMap<Figure, f64>,
}

impl Point {
    /// Its size, its source and its workload.
    pub fn name(&self) -> String {
        let Job { files, shards, executors, staged, .. } = self.job;
        let source = if staged { ", staged" } else { "" };
        format!("{}: {files} files, {shards} shards, {executors} executors{source}", self.workload)
    }

    /// The same run, as these costs have it.
    pub fn run(&self, costs: &Costs) -> Run {
        let site = Site {
            cores: self.cores,
            one_machine: true,
            slots: 1,
            clients: 1,
            client_memory: f64::INFINITY,
            store: Store::local(),
        };
        Run { costs: costs.clone(), job: self.job, site }
    }
}

/// The figure of a simulated run, where a simulation has it.
pub fn predicted(figure: Figure, outcome: &Outcome) -> Option<f64> {
    let phases = &outcome.phases;
    Some(match figure {
        Figure::Scan => phases.scanned,
        Figure::Plan => phases.planned - phases.scanned,
        Figure::Extract => phases.extracted - phases.planned,
        Figure::Commit => phases.committed - phases.extracted,
        Figure::End => phases.ended - phases.committed,
        Figure::Elapsed => phases.ended,
        Figure::ClientCore => outcome.core_seconds[0],
        Figure::SchedulerCore => outcome.core_seconds[1],
        Figure::ExecutorCore => outcome.core_seconds[2],
        Figure::ClientMemory => outcome.memory[0],
        Figure::SchedulerMemory => outcome.memory[1],
        Figure::PlanBytes => outcome.plan_bytes,
        Figure::TaskBytes => outcome.task_bytes,
        Figure::Submit | Figure::Kept | Figure::Written | Figure::Objects => return None,
    })
}

/// Fits all costs to points.
///
/// # Errors
/// If something was not measured at any of them.
pub fn costs(points: &[Point]) -> Result<Costs, String> {
    use Term::{Executor, File, Megabyte, Run, Shard, ShardOfExecutors, ShardOfShards, Staged};
    let fit = |figure: Figure, terms: &[Term]| {
        let known = points.iter().filter_map(|point| Some((point.job, *point.figures.get(&figure)?)));
        Cost::fit(&format!("{figure:?}"), terms, &known.collect::<Vec<_>>())
    };
    let costs = Costs {
        scan: fit(Figure::Scan, &[Run, File, Megabyte])?,
        plan: fit(Figure::Plan, &[Run, File, Shard, Staged])?,
        submit: fit(Figure::Submit, &[Run, Shard])?,
        client_core: fit(Figure::ClientCore, &[Run, File, Megabyte, Shard, Staged])?,
        client_memory: fit(Figure::ClientMemory, &[Run, File])?,
        kept: fit(Figure::Kept, &[File])?,
        scheduler: fit(Figure::SchedulerCore, &[Run, Executor, Shard, ShardOfShards, ShardOfExecutors])?,
        scheduler_memory: fit(Figure::SchedulerMemory, &[Run, Executor, Shard])?,
        plan_bytes: fit(Figure::PlanBytes, &[Run, Shard])?,
        task_bytes: fit(Figure::TaskBytes, &[Shard, ShardOfShards])?,
        task: fit(Figure::ExecutorCore, &[Executor, Shard, Megabyte, Staged])?,
        serial: 1.0,
        wait: 0.0,
        objects: fit(Figure::Objects, &[Shard])?,
        written: fit(Figure::Written, &[Shard, Megabyte])?,
        commit: fit(Figure::Commit, &[Run, Shard])?,
        end: fit(Figure::End, &[Run])?,
    };
    Ok(calibrated(costs, points))
}

/// How often each of the two is looked for while the other stands.
const ROUNDS: usize = 3;

/// Settles what no clock shows: how much of a task's work goes side by side, and how long tasks wait. They are those with
/// which the simulation comes nearest to the time that extraction took.
fn calibrated(mut costs: Costs, points: &[Point]) -> Costs {
    let known: Vec<(&Point, f64)> =
        points.iter().filter_map(|point| Some((point, *point.figures.get(&Figure::Extract)?))).collect();
    let error = |costs: &Costs| {
        let relative = |(point, seconds): &(&Point, f64)| {
            let outcome = point.run(costs).simulate();
            let found = outcome.phases.extracted - outcome.phases.planned;
            (found / seconds.max(1e-9) - 1.0).powi(2)
        };
        known.iter().map(relative).sum::<f64>()
    };
    let slot_seconds = known.iter().map(|(point, seconds)| seconds * point.job.executors / point.job.shards);
    let longest = slot_seconds.fold(0.0, f64::max);
    for _ in 0..ROUNDS {
        costs.wait = least(0.0, longest, |wait| error(&Costs { wait, ..costs.clone() }));
        costs.serial = least(0.5, 1.0, |serial| error(&Costs { serial, ..costs.clone() }));
    }
    costs
}

/// Where between two bounds a function that falls and then rises is least, by golden section.
fn least(mut low: f64, mut high: f64, function: impl Fn(f64) -> f64) -> f64 {
    const STEPS: usize = 24;
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    for _ in 0..STEPS {
        let span = golden * (high - low);
        if function(high - span) <= function(low + span) { high = low + span } else { low = high - span }
    }
    (low + high) / 2.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Points of a machine on which everything costs what it should.
    pub(crate) fn points() -> Vec<Point> {
        let each = |term, cost| Cost::new(&[(term, cost)]);
        let truth = Costs {
            scan: Cost::new(&[(Term::Run, 0.05), (Term::File, 2e-5), (Term::Megabyte, 1e-3)]),
            plan: Cost::new(&[(Term::Run, 0.1), (Term::File, 1.2e-5), (Term::Shard, 2e-4), (Term::Staged, 4e-3)]),
            submit: Cost::new(&[(Term::Run, 0.02), (Term::Shard, 1e-4)]),
            client_core: Cost::new(&[(Term::Run, 0.3), (Term::File, 3e-5)]),
            client_memory: Cost::new(&[(Term::Run, 5e7), (Term::File, 600.0)]),
            kept: each(Term::File, 2e-4),
            scheduler: Cost::new(&[
                (Term::Run, 0.1),
                (Term::Shard, 5e-4),
                (Term::ShardOfShards, 1e-8),
                (Term::ShardOfExecutors, 2e-7),
            ]),
            scheduler_memory: Cost::new(&[(Term::Run, 6e7), (Term::Shard, 1e4)]),
            plan_bytes: Cost::new(&[(Term::Run, 2e3), (Term::Shard, 150.0)]),
            task_bytes: Cost::new(&[(Term::Shard, 4e3), (Term::ShardOfShards, 2.0)]),
            task: Cost::new(&[
                (Term::Executor, 0.3),
                (Term::Shard, 0.015),
                (Term::Megabyte, 0.1),
                (Term::Staged, 5e-3),
            ]),
            serial: 0.8,
            wait: 0.01,
            objects: each(Term::Shard, 5.0),
            written: Cost::new(&[(Term::Shard, 0.02), (Term::Megabyte, 0.4)]),
            commit: Cost::new(&[(Term::Run, 0.3), (Term::Shard, 4e-4)]),
            end: each(Term::Run, 0.2),
        };
        let job = |files, megabytes, shards, executors, staged| Job { files, megabytes, shards, executors, staged };
        let mut jobs = vec![];
        jobs.extend([10.0, 100.0, 500.0, 1_000.0, 2_000.0].map(|n| ("scheduling", job(2_000.0, 0.02, n, 2.0, false))));
        for staged in [false, true] {
            jobs.extend([1.0, 2.0, 4.0].map(|n| ("cluster", job(8_000.0, 100.0, 48.0, n, staged))));
        }
        jobs.extend([
            ("files", job(10_000.0, 0.1, 1.0, 1.0, false)),
            ("files", job(20_000.0, 150.0, 64.0, 1.0, false)),
        ]);
        let planned = [(5e5, 149.0), (1e6, 299.0), (2e6, 597.0), (4e6, 1_193.0)];
        jobs.extend(planned.map(|(files, shards)| ("worklist", job(files, files / 100.0, shards, 0.0, false))));
        let crowds = [(10.0, 1e3), (100.0, 4e3), (400.0, 2e3), (1_000.0, 8e3)];
        jobs.extend(crowds.map(|(executors, shards)| ("crowd", job(10.0 * shards, 1.0, shards, executors, false))));
        let point = |(workload, job): (&str, Job)| {
            let run = Point { workload: workload.into(), job, cores: 2, figures: BTreeMap::new() };
            let mut figures = BTreeMap::new();
            if workload == "crowd" {
                figures.extend([
                    (Figure::SchedulerCore, truth.scheduler.of(&job)),
                    (Figure::SchedulerMemory, truth.scheduler_memory.of(&job)),
                    (Figure::TaskBytes, truth.task_bytes.of(&job)),
                ]);
            } else if workload == "worklist" {
                figures.extend([
                    (Figure::Plan, truth.plan.of(&job)),
                    (Figure::Submit, truth.submit.of(&job)),
                    (Figure::ClientMemory, truth.client_memory.of(&job)),
                    (Figure::Kept, truth.kept.of(&job)),
                    (Figure::PlanBytes, truth.plan_bytes.of(&job)),
                ]);
            } else {
                let outcome = run.run(&truth).simulate();
                let of_run = [
                    Figure::Scan,
                    Figure::Plan,
                    Figure::Extract,
                    Figure::Commit,
                    Figure::End,
                    Figure::Elapsed,
                    Figure::ClientCore,
                    Figure::SchedulerCore,
                    Figure::ExecutorCore,
                    Figure::SchedulerMemory,
                ];
                figures.extend(of_run.map(|figure| (figure, predicted(figure, &outcome).unwrap())));
                figures.extend([(Figure::Objects, truth.objects.of(&job)), (Figure::Written, truth.written.of(&job))]);
            }
            Point { figures, ..run }
        };
        jobs.into_iter().map(point).collect()
    }

    #[test]
    fn a_machine_that_keeps_to_the_model_is_found_again() {
        let points = points();
        let held = |point: &&Point| (point.job.shards, point.job.executors, point.job.files);
        let (left, fitted): (Vec<&Point>, Vec<&Point>) = points.iter().partition(|point| {
            let (shards, executors, files) = held(point);
            shards == 2_000.0 && executors == 2.0 || [4.0, 1_000.0].contains(&executors) || files >= 2e6
        });
        let costs = costs(&fitted.into_iter().cloned().collect::<Vec<_>>()).unwrap();
        assert!((costs.wait - 0.01).abs() < 1e-3 && (costs.serial - 0.8).abs() < 0.02, "{costs:?}");
        for point in left {
            let outcome = point.run(&costs).simulate();
            for (figure, measured) in &point.figures {
                let Some(found) = predicted(*figure, &outcome) else { continue };
                assert!((found / measured - 1.0).abs() < 0.03, "{}: {figure:?} {found}, not {measured}", point.name());
            }
        }
    }

    #[test]
    fn what_was_not_measured_is_not_made_up() {
        let points: Vec<Point> = points().into_iter().filter(|point| point.workload != "worklist").collect();
        assert!(costs(&points).unwrap_err().contains("Submit was measured at no point"));
    }

    #[test]
    fn points_survive_a_file() {
        let points = points();
        let text = serde_json::to_string(&points).unwrap();
        assert!(text.contains(r#""scheduler_core":"#));
        let read: Vec<Point> = serde_json::from_str(&text).unwrap();
        assert!(read.iter().zip(&points).all(|(read, point)| read.name() == point.name()));
        assert!(read.iter().zip(&points).all(|(read, point)| read.figures.keys().eq(point.figures.keys())));
    }
}
