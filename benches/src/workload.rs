//! Workloads, as `workloads.toml` describes them.

use std::collections::BTreeMap;
use std::io;

use lode_facts::lane::LaneId;
use serde::Deserialize;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workloads {
    corpora: BTreeMap<String, CorpusSpec>,
    workloads: Vec<Workload>,
}

/// Where a corpus comes from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusSpec {
    /// Pinned wheels.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Files of a line instead, so many.
    pub lines: Option<usize>,
    /// Whether the standard library comes first.
    #[serde(default)]
    pub stdlib: bool,
    /// Size at which a copy is full.
    pub megabytes: Option<u64>,
    /// How often the same files are there, each time below a directory of their own.
    #[serde(default = "once")]
    pub copies: usize,
    /// Number of files; the packages are repeated until there are as many.
    pub files: Option<usize>,
}

/// What to measure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Name.
    pub name: String,
    /// Corpora it runs over.
    #[serde(default)]
    pub corpora: Vec<String>,
    /// Datasets that are extracted; the default ones when no lanes are named either.
    #[serde(default)]
    datasets: Vec<String>,
    /// Lanes whose default datasets are extracted too; of bytecode, all.
    #[serde(default)]
    lanes: Vec<String>,
    /// Whether the interpreter of the oracles compiles for `bytecode_*`.
    #[serde(default)]
    pub interpreter: bool,
    /// Throughput that is asked of a core, in MB/s.
    pub asked: Option<f64>,
    /// How often each of what is compared runs; the best counts.
    #[serde(default = "thrice")]
    pub repeat: usize,
    /// Whether the bare loop runs too.
    #[serde(default)]
    pub ceiling: bool,
    /// Whether the Python pipeline runs too.
    #[serde(default)]
    pub peer: bool,
    /// Whether it is a series of runs over one lake.
    #[serde(default)]
    pub incremental: bool,
    /// Whether it compares extraction in worker processes with extraction in place.
    #[serde(default)]
    pub isolation: bool,
    /// Whether it also runs on clusters of so many executors.
    #[serde(default)]
    pub executors: Vec<usize>,
    /// Whether it runs in so many shards, one number after the other.
    #[serde(default)]
    pub shards: Vec<usize>,
    /// Whether it only plans and submits scans of so many files.
    #[serde(default)]
    pub synthetic_files: Vec<usize>,
    /// Jobs that are handed out to executors that do nothing.
    #[serde(default)]
    pub crowds: Vec<Crowd>,
    /// Whether it is the model of larger clusters, which others measure for.
    #[serde(default)]
    pub model: bool,
}

/// Executors that do nothing, and a job for them.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crowd {
    /// Executors.
    pub executors: usize,
    /// Shards of the job.
    pub shards: usize,
}

fn once() -> usize {
    1
}

fn thrice() -> usize {
    3
}

impl Workload {
    /// Names of the datasets that are extracted.
    pub fn datasets(&self) -> io::Result<Vec<&str>> {
        let mut names: Vec<&str> = self.datasets.iter().map(String::as_str).collect();
        for name in &self.lanes {
            let unknown = || io::Error::other(format!("no lane `{name}` of workload `{}`", self.name));
            let lane = LaneId::by_name(name).ok_or_else(unknown)?;
            names.extend(lane.datasets().filter(|d| d.default || lane == LaneId::Bytecode).map(|d| d.name));
        }
        Ok(names)
    }
}

impl Workloads {
    /// Reads the file.
    pub fn load() -> io::Result<Self> {
        toml::from_str(include_str!("../workloads.toml")).map_err(io::Error::other)
    }

    /// Has every workload run so often.
    pub fn repeat(&mut self, times: usize) {
        self.workloads.iter_mut().for_each(|workload| workload.repeat = times);
    }

    /// The workloads of these names; the first one if none is named.
    pub fn chosen(&self, names: &[String], all: bool) -> io::Result<Vec<&Workload>> {
        if all || names.is_empty() {
            return Ok(self.workloads.iter().take(if all { usize::MAX } else { 1 }).collect());
        }
        let named = |name: &String| {
            let known = || self.workloads.iter().map(|w| w.name.as_str()).collect::<Vec<_>>().join(", ");
            let found = self.workloads.iter().find(|workload| workload.name == *name);
            found.ok_or_else(|| io::Error::other(format!("no workload `{name}`; there are {}", known())))
        };
        names.iter().map(named).collect()
    }

    /// The corpus of that name.
    pub fn corpus(&self, name: &str) -> io::Result<&CorpusSpec> {
        self.corpora.get(name).ok_or_else(|| io::Error::other(format!("no corpus `{name}` in workloads.toml")))
    }
}
