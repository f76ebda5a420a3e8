//! The questions of `model.toml`: how near the model comes to runs that it was not fitted to, what a grid of clusters would
//! take and what holds each up, what hangs on constants that were not measured, and what would be done about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::cost::{Job, Term};
use super::measured::{Figure, Point, predicted};
use super::resource::Resource;
use super::run::{Costs, Run, Site, Store};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Measured points.
    pub series: Vec<Series>,
    /// What can't be measured on one machine.
    pub given: BTreeMap<String, Given>,
    /// Clusters and jobs.
    pub grid: Grid,
    /// The cluster and the job that the rest is about.
    pub headline: Headline,
    /// What there is to do.
    pub reliefs: Vec<Relief>,
}

/// Runs of a workload in more and more of something: some are fitted, the others are foretold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The workload that measures it.
    pub workload: String,
    /// What there is more and more of.
    by: By,
    /// The runs that constants are fitted to.
    fit: Vec<f64>,
    /// The runs that they must foretell.
    held: Vec<f64>,
    /// What is fitted.
    figures: Vec<Figure>,
    /// What is foretold: what depends on that of which there is more.
    foretold: Vec<Figure>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Files,
    Shards,
    Executors,
}

impl By {
    fn of(self, job: &Job) -> f64 {
        match self {
            Self::Files => job.files,
            Self::Shards => job.shards,
            Self::Executors => job.executors,
        }
    }
}

/// A constant and where it comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Its value, in the unit of its name.
    pub value: f64,
    /// Who says so.
    pub source: String,
}

/// Every number of executors with every number of files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    executors: Vec<f64>,
    files: Vec<f64>,
}

/// One of them.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headline {
    executors: f64,
    files: f64,
}

/// What is done about a resource that binds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relief {
    resource: String,
    /// In words.
    pub what: String,
    /// So many times as many clients, each with a part of the repository.
    clients: Option<usize>,
    /// Whether content travels through the lake.
    staged: Option<bool>,
    /// Shards so many times as large.
    shard_size: Option<f64>,
    /// So many times as much of the resource itself.
    times: Option<f64>,
}

/// How near the model comes to a run that it was not fitted to.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The run.
    pub point: String,
    /// What of it.
    pub figure: Figure,
    /// What was measured.
    pub measured: f64,
    /// What the simulation says.
    pub predicted: f64,
    /// The difference, as a share of what was measured.
    pub error: f64,
}

/// A simulated run.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// What is special about it, if anything.
    pub case: String,
    /// Executors.
    pub executors: f64,
    /// Files.
    pub files: f64,
    /// Shards.
    pub shards: f64,
    /// Seconds.
    pub seconds: f64,
    /// The resource that binds.
    pub binds: &'static str,
    /// The resource that takes the most time: the same one, unless memory binds.
    pub slows: &'static str,
    /// What twice as much of that saves, as a share of the time.
    pub saves: f64,
    /// Share of the time for which each resource is busy, in the order of a run.
    #[serde(serialize_with = "as_map")]
    pub busy: Vec<(&'static str, f64)>,
    /// Bytes of a client and of the scheduler, at the peak.
    pub memory: [f64; 2],
    /// Bytes of the plan that a client submits, and of those that tasks are sent.
    pub plans: [f64; 2],
    /// What would be done about it.
    pub relief: Option<String>,
}

fn as_map<S: Serializer>(pairs: &[(&'static str, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

impl Study {
    /// Reads the file.
    ///
    /// # Errors
    /// If it says something else than it can, or if a run is fitted and foretold at once.
    pub fn parse(text: &str) -> Result<Self, String> {
        let study: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for Series { workload, fit, held, .. } in &study.series {
            if let Some(both) = fit.iter().find(|value| held.contains(value)) {
                return Err(format!("{workload}: {both} is fitted, so foretelling it is no check"));
            }
        }
        let known = |name: &str| Resource::ALL.iter().any(|resource| resource.name() == name);
        if let Some(relief) = study.reliefs.iter().find(|relief| !known(&relief.resource)) {
            return Err(format!("no resource `{}`", relief.resource));
        }
        let job = Job { files: 1.0, megabytes: 1.0, shards: 1.0, executors: 1.0, staged: false };
        study.site(&job)?;
        Ok(study)
    }

    /// The points that are fitted, and those that are foretold; each with the figures of its series alone.
    ///
    /// # Errors
    /// If a point is missing.
    pub fn split(&self, points: &[Point]) -> Result<[Vec<Point>; 2], String> {
        let mut sides = [vec![], vec![]];
        for series in &self.series {
            let asked = [(&series.fit, &series.figures), (&series.held, &series.foretold)];
            for (side, (values, wanted)) in sides.iter_mut().zip(asked) {
                for value in values {
                    let is_asked = |p: &&Point| p.workload == series.workload && series.by.of(&p.job) == *value;
                    let before = side.len();
                    side.extend(points.iter().filter(is_asked).map(|point| {
                        let figures = point.figures.iter().filter(|(figure, _)| wanted.contains(figure));
                        Point { figures: figures.map(|(f, v)| (*f, *v)).collect(), ..point.clone() }
                    }));
                    if side.len() == before {
                        return Err(format!(
                            "nothing was measured of {} by {:?} at {value}",
                            series.workload, series.by
                        ));
                    }
                }
            }
        }
        Ok(sides)
    }

    /// Foretells points.
    pub fn checks(&self, costs: &Costs, held: &[Point]) -> Vec<Check> {
        let of_point = |point: &Point| {
            let outcome = point.run(costs).simulate();
            let checks = point.figures.iter().filter_map(|(figure, measured)| {
                let predicted = predicted(*figure, &outcome)?;
                let error = predicted / measured - 1.0;
                Some(Check { point: point.name(), figure: *figure, measured: *measured, predicted, error })
            });
            checks.collect::<Vec<_>>()
        };
        held.iter().flat_map(of_point).collect()
    }

    /// Every cell of the grid, content staged, as is the default on a cluster. `target` is the size of a shard for a
    /// repository of so many bytes.
    pub fn grid(&self, costs: &Costs, target: fn(u64) -> u64) -> Result<Vec<Answer>, String> {
        let cells = self.grid.files.iter().flat_map(|files| self.grid.executors.iter().map(|count| (*count, *files)));
        cells.map(|(executors, files)| Ok(self.answer("", &self.run(costs, executors, files, target)?))).collect()
    }

    /// The headline with each given constant halved and doubled.
    pub fn sensitivity(&self, costs: &Costs, target: fn(u64) -> u64) -> Result<Vec<Answer>, String> {
        let mut answers = vec![];
        for (name, given) in &self.given {
            for factor in [0.5, 2.0] {
                let mut other = self.clone();
                let value = given.value * factor;
                other.given.insert(name.clone(), Given { value, ..given.clone() });
                let run = other.run(costs, self.headline.executors, self.headline.files, target)?;
                answers.push(self.answer(&format!("{name} = {value}"), &run));
            }
        }
        Ok(answers)
    }

    /// The headline, then with one relief after the other, each for the resource that binds then, until nothing is left to
    /// do about it or all that binds is executors.
    pub fn relieved(&self, costs: &Costs, target: fn(u64) -> u64) -> Result<Vec<Answer>, String> {
        const MOST: usize = 8;
        let mut run = self.run(costs, self.headline.executors, self.headline.files, target)?;
        let mut answers = vec![self.answer("as it is", &run)];
        while answers.len() <= MOST {
            let binds = answers[answers.len() - 1].binds;
            let Some(relief) = self.reliefs.iter().find(|relief| relief.resource == binds) else { break };
            let next = relief.applied(&run);
            if next == run || binds == Resource::Executors.name() {
                break;
            }
            run = next;
            answers.push(self.answer(&relief.what, &run));
        }
        Ok(answers)
    }

    fn answer(&self, case: &str, run: &Run) -> Answer {
        let outcome = run.simulate();
        let (binds, (slows, saves)) = (run.binding(&outcome), run.slowest(&outcome));
        let relief = self.reliefs.iter().find(|relief| relief.resource == binds.name());
        Answer {
            case: case.to_owned(),
            executors: run.job.executors,
            files: run.job.files,
            shards: run.job.shards,
            seconds: outcome.phases.ended,
            binds: binds.name(),
            slows: slows.name(),
            saves,
            busy: outcome.busy.iter().map(|(resource, busy)| (resource.name(), *busy)).collect(),
            memory: outcome.memory,
            plans: [outcome.plan_bytes, outcome.task_bytes],
            relief: relief.map(|relief| relief.what.clone()),
        }
    }

    fn run(&self, costs: &Costs, executors: f64, files: f64, target: fn(u64) -> u64) -> Result<Run, String> {
        let bytes = files * self.value("bytes_a_file")?;
        let shards = (bytes / target(bytes as u64) as f64).ceil().max(1.0);
        let job = Job { files, megabytes: bytes / 1e6, shards, executors, staged: true };
        Ok(Run { costs: costs.clone(), job, site: self.site(&job)? })
    }

    fn site(&self, job: &Job) -> Result<Site, String> {
        let slots = self.value("slots_an_executor")?;
        let store = Store {
            request: self.value("request_ms")? / 1e3,
            requests: self.value("requests_a_second")?,
            uplink: self.value("uplink_megabytes_a_second")?,
            client_uplink: self.value("client_uplink_megabytes_a_second")?,
            reads: self.value("reads_a_task")?,
            commit_requests: self.value("requests_a_commit")?,
            at_once: self.value("requests_at_once")?,
        };
        let cores = (job.executors * slots) as usize;
        // Half a slot is none: what is halved and doubled of it is rounded up.
        Ok(Site {
            cores: cores.max(1),
            one_machine: false,
            slots: slots.ceil() as usize,
            clients: 1,
            client_memory: self.value("client_gigabytes")? * 1e9,
            store,
        })
    }

    fn value(&self, name: &str) -> Result<f64, String> {
        self.given.get(name).map(|given| given.value).ok_or_else(|| format!("`{name}` is not given"))
    }
}

impl Relief {
    /// The run with it.
    fn applied(&self, run: &Run) -> Run {
        let mut run = run.clone();
        run.site.clients *= self.clients.unwrap_or(1);
        run.job.staged = self.staged.unwrap_or(run.job.staged);
        run.job.shards = (run.job.shards / self.shard_size.unwrap_or(1.0)).ceil();
        let resource = Resource::ALL.into_iter().find(|resource| resource.name() == self.resource);
        match resource.zip(self.times) {
            Some((resource, times)) => run.with(resource, times),
            None => run,
        }
    }
}

/// What was fitted, by what it is of and what it grows with, for a report.
pub fn constants(costs: &Costs) -> Vec<(&'static str, Vec<(Term, f64)>)> {
    let named = [
        ("scan, s", &costs.scan),
        ("plan, s", &costs.plan),
        ("submit, s", &costs.submit),
        ("commit, s", &costs.commit),
        ("end, s", &costs.end),
        ("client, core-s", &costs.client_core),
        ("scheduler, core-s", &costs.scheduler),
        ("executors, core-s", &costs.task),
        ("client, bytes", &costs.client_memory),
        ("scheduler, bytes", &costs.scheduler_memory),
        ("submitted plan, bytes", &costs.plan_bytes),
        ("plans of tasks, bytes", &costs.task_bytes),
        ("scan and worklist, MB", &costs.kept),
        ("written by tasks, MB", &costs.written),
        ("objects", &costs.objects),
    ];
    named.into_iter().map(|(name, cost)| (name, cost.terms().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::{costs, tests::points};

    const FILE: &str = include_str!("../../model.toml");

    fn target(bytes: u64) -> u64 {
        (bytes / 64).clamp(2 << 20, 32 << 20)
    }

    fn measured() -> Vec<Point> {
        points()
            .into_iter()
            .map(|point| Point { workload: point.workload.replace("worklist", "worklist-ast"), ..point })
            .collect()
    }

    #[test]
    fn what_is_fitted_is_not_foretold() {
        let study = Study::parse(FILE).unwrap();
        let [fitted, held] = study.split(&measured()).unwrap();
        assert!(held.len() >= 3 && held.iter().all(|point| fitted.iter().all(|other| other.job != point.job)));
        let text = FILE.replace("held = [2_000]", "held = [1_000]");
        assert!(Study::parse(&text).unwrap_err().contains("foretelling it is no check"));
        let few: Vec<Point> = measured().into_iter().filter(|point| point.job.executors != 4.0).collect();
        assert!(study.split(&few).unwrap_err().contains("cluster by Executors at 4"));
    }

    #[test]
    fn names_that_nobody_knows_are_refused() {
        assert!(
            Study::parse(&FILE.replace("[given.request_ms]", "[given.request_s]")).unwrap_err().contains("request_ms")
        );
        assert!(
            Study::parse(&FILE.replace("resource = \"scan\"", "resource = \"luck\"")).unwrap_err().contains("luck")
        );
    }

    #[test]
    fn noise_of_a_few_per_cent_is_not_blown_up() {
        let mut points = measured();
        for (at, value) in points.iter_mut().flat_map(|point| point.figures.values_mut()).enumerate() {
            *value *= 1.0 + 0.04 * (at as f64).sin();
        }
        let study = Study::parse(FILE).unwrap();
        let [fitted, held] = study.split(&points).unwrap();
        for check in study.checks(&costs(&fitted).unwrap(), &held) {
            assert!(check.error.abs() < 0.2, "{check:?}");
        }
    }

    #[test]
    fn every_question_has_its_answer() {
        let mut study = Study::parse(FILE).unwrap();
        // Large enough to be held up, small enough for a test.
        (study.grid.files, study.headline.files) = (vec![1e4, 1e6], 1e6);
        let [fitted, held] = study.split(&measured()).unwrap();
        let costs = costs(&fitted).unwrap();
        let checks = study.checks(&costs, &held);
        assert!(checks.iter().all(|check| check.error.abs() < 0.03), "{checks:?}");
        assert!(
            ["scheduling", "cluster", "worklist-ast", "files"]
                .iter()
                .all(|workload| { checks.iter().any(|check| check.point.starts_with(workload)) })
        );
        let cells = study.grid(&costs, target).unwrap();
        assert_eq!(cells.len(), study.grid.executors.len() * 2);
        assert_eq!((cells[0].binds, cells[5].binds), ("executors", "executors"));
        assert!(cells.iter().all(|cell| cell.relief.is_some() && cell.saves > 0.0));
        let sensitivity = study.sensitivity(&costs, target).unwrap();
        assert_eq!(sensitivity.len(), 2 * study.given.len());
        let chain = study.relieved(&costs, target).unwrap();
        assert!(chain.windows(2).all(|pair| pair[1].seconds < pair[0].seconds), "a relief relieves: {chain:?}");
        assert_eq!(study.relieved(&costs, target).unwrap()[0].seconds, chain[0].seconds);
    }
}
