//! What a part of a run costs, as a sum of terms that grow with the job, and how it is fitted.

use serde::{Deserialize, Serialize};

/// The size of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Files that are scanned and extracted.
    pub files: f64,
    /// Their content, in 10⁶ bytes.
    pub megabytes: f64,
    /// Shards, hence tasks.
    pub shards: f64,
    /// Executors.
    pub executors: f64,
    /// Whether content travels through the lake.
    pub staged: bool,
}

/// What a cost grows with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// Nothing: it is there once a run.
    Run,
    /// Files.
    File,
    /// Megabytes of content.
    Megabyte,
    /// Megabytes of content, where it travels through the lake.
    Staged,
    /// Shards.
    Shard,
    /// Shards, and for each of them all shards: what every task has a place for in its plan.
    ShardOfShards,
    /// Shards, and for each of them all executors: what the scheduler looks through for every task.
    ShardOfExecutors,
    /// Executors.
    Executor,
}

impl Term {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Run,
        Self::File,
        Self::Megabyte,
        Self::Staged,
        Self::Shard,
        Self::ShardOfShards,
        Self::ShardOfExecutors,
        Self::Executor,
    ];

    /// How much of it a job has.
    pub fn of(self, job: &Job) -> f64 {
        match self {
            Self::Run => 1.0,
            Self::File => job.files,
            Self::Megabyte => job.megabytes,
            Self::Staged => f64::from(u8::from(job.staged)) * job.megabytes,
            Self::Shard => job.shards,
            Self::ShardOfShards => job.shards * job.shards,
            Self::ShardOfExecutors => job.shards * job.executors,
            Self::Executor => job.executors,
        }
    }
}

/// A cost in whatever unit it was fitted in: seconds, core-seconds or bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost(Vec<(Term, f64)>);

impl Cost {
    /// So much of each term.
    pub fn new(terms: &[(Term, f64)]) -> Self {
        Self(terms.to_vec())
    }

    /// The cost of these terms that is nearest to the points, none of its terms below zero.
    ///
    /// Points differ by orders of magnitude, so it is the relative error that counts. Nothing gets cheaper with size: a
    /// term that noise would push below zero is left out, and the others are fitted without it.
    ///
    /// # Errors
    /// If there are no points: nothing is made up.
    pub fn fit(what: &str, terms: &[Term], points: &[(Job, f64)]) -> Result<Self, String> {
        if points.is_empty() {
            return Err(format!("{what} was measured at no point that is fitted"));
        }
        let mut best: Option<(f64, Self)> = None;
        // From few terms to many: more are taken only if they are really nearer.
        let mut subsets: Vec<u32> = (1..1 << terms.len()).collect();
        subsets.sort_by_key(|subset| (subset.count_ones(), *subset));
        for subset in subsets {
            let chosen: Vec<Term> =
                terms.iter().enumerate().filter(|(at, _)| subset & (1 << at) != 0).map(|(_, term)| *term).collect();
            let Some(factors) = least_squares(&chosen, points) else { continue };
            if factors.iter().any(|factor| *factor < 0.0) {
                continue;
            }
            let cost = Self(chosen.into_iter().zip(factors).collect());
            let error =
                points.iter().map(|(job, value)| ((cost.of(job) - value) / scale(*value, points)).powi(2)).sum();
            if best.as_ref().is_none_or(|(least, _)| error < least - 1e-12) {
                best = Some((error, cost));
            }
        }
        Ok(best.map(|(_, cost)| cost).unwrap_or_default())
    }

    /// The cost of a job.
    pub fn of(&self, job: &Job) -> f64 {
        self.0.iter().map(|(term, factor)| factor * term.of(job)).sum()
    }

    /// What one of that term costs.
    pub fn each(&self, term: Term) -> f64 {
        self.0.iter().filter(|(known, _)| *known == term).map(|(_, factor)| factor).sum()
    }

    /// So many times as much, in these terms.
    #[must_use]
    pub fn times(&self, factor: f64, terms: &[Term]) -> Self {
        let scaled = |(term, each): &(Term, f64)| (*term, if terms.contains(term) { each * factor } else { *each });
        Self(self.0.iter().map(scaled).collect())
    }

    /// The terms, for a report.
    pub fn terms(&self) -> &[(Term, f64)] {
        &self.0
    }
}

/// What an error at a point is measured by: its value, unless that is next to nothing among the others.
fn scale(value: f64, points: &[(Job, f64)]) -> f64 {
    let largest = points.iter().map(|(_, value)| value.abs()).fold(0.0, f64::max);
    value.abs().max(1e-4 * largest).max(f64::MIN_POSITIVE)
}

/// Factors of the terms that are nearest to the points; `None` where the points can't tell the terms apart.
fn least_squares(terms: &[Term], points: &[(Job, f64)]) -> Option<Vec<f64>> {
    let count = terms.len();
    if count > points.len() {
        return None;
    }
    // Files are millions and runs are one: each term is taken in units of its largest.
    let largest = |term: &Term| points.iter().map(|(job, _)| term.of(job)).fold(0.0, f64::max);
    let units: Vec<f64> = terms.iter().map(largest).collect();
    if units.contains(&0.0) {
        return None;
    }
    // Normal equations: one line a term, the right side last.
    let mut lines = vec![vec![0.0; count + 1]; count];
    for (job, value) in points {
        let weight = 1.0 / scale(*value, points);
        let row: Vec<f64> = terms.iter().zip(&units).map(|(term, unit)| weight * term.of(job) / unit).collect();
        for (line, left) in lines.iter_mut().zip(&row) {
            for (cell, right) in line.iter_mut().zip(row.iter().chain([&(weight * value)])) {
                *cell += left * right;
            }
        }
    }
    let heaviest = lines.iter().enumerate().map(|(at, line)| line[at]).fold(0.0, f64::max);
    for at in 0..count {
        let pivot = (at..count).max_by(|a, b| lines[*a][at].abs().total_cmp(&lines[*b][at].abs()))?;
        lines.swap(at, pivot);
        if lines[at][at].abs() <= 1e-12 * heaviest {
            return None;
        }
        let line = lines[at].clone();
        for (_, cells) in lines.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            let share = cells[at] / line[at];
            cells.iter_mut().zip(&line).for_each(|(cell, of)| *cell -= share * of);
        }
    }
    Some((0..count).map(|at| lines[at][count] / lines[at][at] / units[at]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(shards: f64, megabytes: f64) -> Job {
        Job { files: 2_000.0, megabytes, shards, executors: 2.0, staged: false }
    }

    fn points(cost: &Cost, jobs: &[Job]) -> Vec<(Job, f64)> {
        jobs.iter().map(|job| (*job, cost.of(job))).collect()
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let truth = Cost::new(&[(Term::Run, 0.4), (Term::Shard, 5e-4), (Term::ShardOfShards, 2e-8)]);
        let jobs = [10.0, 100.0, 500.0, 1_000.0].map(|shards| job(shards, 0.0));
        let fitted = Cost::fit("it", &[Term::Run, Term::Shard, Term::ShardOfShards], &points(&truth, &jobs)).unwrap();
        let (far, expected) = (fitted.of(&job(31_250.0, 0.0)), truth.of(&job(31_250.0, 0.0)));
        assert!((far / expected - 1.0).abs() < 1e-6, "{far} instead of {expected}: {fitted:?}");
    }

    #[test]
    fn no_term_falls_below_zero() {
        let falling = [10.0, 100.0, 1_000.0].map(|shards| (job(shards, 0.0), 3.0 - shards / 1_000.0));
        let fitted = Cost::fit("it", &[Term::Run, Term::Shard], &falling).unwrap();
        assert_eq!(fitted.each(Term::Shard), 0.0);
        assert!((2.0..3.0).contains(&fitted.each(Term::Run)));
    }

    #[test]
    fn points_that_cant_tell_terms_apart_give_one_of_them() {
        let same = [(job(10.0, 100.0), 7.0), (job(10.0, 100.0), 7.0)];
        let fitted = Cost::fit("it", &[Term::Shard, Term::Megabyte], &same).unwrap();
        assert_eq!(fitted.terms().len(), 1);
        assert!((fitted.of(&job(10.0, 100.0)) - 7.0).abs() < 1e-9);
        assert!(Cost::fit("it", &[Term::Run], &[]).unwrap_err().contains("it was measured at no point"));
    }

    #[test]
    fn small_points_count_as_much_as_large_ones() {
        // A large point that is off by a tenth does not hide what a run costs.
        let points = [(job(1.0, 0.0), 1.001), (job(2.0, 0.0), 1.002), (job(1_000_000.0, 0.0), 1_100.0)];
        let fitted = Cost::fit("it", &[Term::Run, Term::Shard], &points).unwrap();
        assert!((fitted.each(Term::Run) - 1.0).abs() < 0.01, "{fitted:?}");
    }
}
