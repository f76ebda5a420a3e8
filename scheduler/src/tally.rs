//! Metrics of tasks, summed as they come in.
//!
//! Ballista keeps each metric of each task and copies all of them whenever a task ends, so that the cost of a task grows
//! with the number of tasks. Here they are taken out of the reports on their way, and a stage has one value a metric
//! however many tasks it has. A task that was done twice counts twice: so much was done.

use std::collections::BTreeMap;
use std::mem::{discriminant, take};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ballista_core::serde::protobuf::task_status::Status;
use ballista_core::serde::protobuf::{OperatorMetricsSet, TaskStatus};
use datafusion::physical_plan::Metric;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};

/// Jobs whose sums are kept at most. A job's are forgotten with the job; this is for reports that come later still.
const JOBS: usize = 256;

/// The sums of the jobs that run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    jobs: Arc<Mutex<BTreeMap<String, Stages>>>,
    copies: bool,
}

/// By stage: the operators in pre-order, each with its metrics.
type Stages = BTreeMap<usize, Vec<Vec<MetricValue>>>;

impl Tally {
    /// With `copies`, the metrics stay in the reports as well: Ballista's event log wants them.
    pub fn new(copies: bool) -> Self {
        Self { jobs: Arc::default(), copies }
    }

    /// Takes the metrics out of reports and adds them up.
    pub fn take(&self, reports: &mut [TaskStatus]) {
        for report in reports.iter_mut().filter(|r| matches!(r.status, Some(Status::Successful(_)))) {
            let operators: Vec<_> = match self.copies {
                true => report.metrics.clone(),
                // An empty set for each operator says that nothing is missing.
                false => report.metrics.iter_mut().map(take).collect(),
            };
            if operators.is_empty() {
                continue;
            }
            let mut jobs = self.lock();
            if jobs.len() >= JOBS && !jobs.contains_key(&report.job_id) {
                jobs.pop_first();
            }
            let stages = jobs.entry(report.job_id.clone()).or_default();
            add(stages.entry(report.stage_id as usize).or_default(), operators);
        }
    }

    /// The sums of a stage, a set for each operator; none before its first task has ended.
    pub fn stage(&self, job_id: &str, stage_id: usize) -> Vec<MetricsSet> {
        let jobs = self.lock();
        let operators = jobs.get(job_id).and_then(|stages| stages.get(&stage_id));
        let set = |values: &Vec<MetricValue>| {
            let mut set = MetricsSet::new();
            values.iter().for_each(|value| set.push(Arc::new(Metric::new(copy(value), None))));
            set
        };
        operators.into_iter().flatten().map(set).collect()
    }

    /// Forgets a job.
    pub fn forget(&self, job_id: &str) {
        self.lock().remove(job_id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Stages>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(sums: &mut Vec<Vec<MetricValue>>, operators: Vec<OperatorMetricsSet>) {
    sums.resize_with(sums.len().max(operators.len()), Vec::new);
    for (sums, operator) in sums.iter_mut().zip(operators) {
        for metric in operator.metrics {
            // A kind of metric that this version does not know is left out.
            let Some(Ok(value)) = metric.metric.map(TryInto::<MetricValue>::try_into) else { continue };
            let same =
                |sum: &&mut MetricValue| sum.name() == value.name() && discriminant(*sum) == discriminant(&value);
            match sums.iter_mut().find(same) {
                Some(sum) => sum.aggregate(&value),
                None => sums.push(value),
            }
        }
    }
}

/// Values share their counters when they are cloned.
fn copy(value: &MetricValue) -> MetricValue {
    let mut copy = value.new_empty();
    copy.aggregate(value);
    copy
}

#[cfg(test)]
mod tests {
    use ballista_core::serde::protobuf::operator_metric;
    use ballista_core::serde::protobuf::{NamedCount, OperatorMetric, SuccessfulTask};

    use super::*;

    fn report(job: &str, task: u32, rows: u64) -> TaskStatus {
        let named = |name: &str, value| operator_metric::Metric::Count(NamedCount { name: name.into(), value });
        let metric = |metric| OperatorMetric { metric: Some(metric), partition: Some(0) };
        let first = vec![metric(operator_metric::Metric::OutputRows(rows)), metric(named("visits", 1))];
        TaskStatus {
            job_id: job.into(),
            stage_id: 1,
            task_id: task,
            status: Some(Status::Successful(SuccessfulTask::default())),
            metrics: vec![OperatorMetricsSet { metrics: first }, OperatorMetricsSet { metrics: vec![] }],
            ..TaskStatus::default()
        }
    }

    fn value(set: &MetricsSet, name: &str) -> usize {
        set.iter().find(|metric| metric.value().name() == name).unwrap().value().as_usize()
    }

    #[test]
    fn a_stage_has_one_value_a_metric_however_many_tasks() {
        let tally = Tally::default();
        for task in 0..100 {
            let mut reports = [report("job", task, 7)];
            tally.take(&mut reports);
            assert!(reports[0].metrics.iter().all(|operator| operator.metrics.is_empty()));
            assert_eq!(reports[0].metrics.len(), 2, "the operators are still there");
        }
        let sets = tally.stage("job", 1);
        assert_eq!(sets.iter().map(|set| set.iter().count()).collect::<Vec<_>>(), [2, 0]);
        assert_eq!((value(&sets[0], "output_rows"), value(&sets[0], "visits")), (700, 100));
        // What was handed out does not change any more.
        tally.take(&mut [report("job", 100, 7)]);
        assert_eq!(value(&sets[0], "visits"), 100);
        assert_eq!(value(&tally.stage("job", 1)[0], "visits"), 101);
        tally.forget("job");
        assert!(tally.stage("job", 1).is_empty());
    }

    #[test]
    fn reports_after_the_end_of_their_jobs_cost_little() {
        let tally = Tally::new(true);
        let mut late: Vec<_> = (0..3 * JOBS as u32).map(|n| report(&format!("{n:04}"), 0, 1)).collect();
        tally.take(&mut late);
        assert_eq!(tally.lock().len(), JOBS);
        assert_eq!(late[0].metrics[0].metrics.len(), 2, "the event log has them, too");
    }
}
