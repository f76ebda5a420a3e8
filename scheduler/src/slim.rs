//! Plans of tasks that name the files of the task and no others.
//!
//! Ballista copies the plan of a stage for each of its tasks and then takes the files of the other tasks out: the cost of
//! a task grows with the number of tasks. Here the copy is made of a plan without files, to which those of the task are
//! put back in their places; what Ballista copies after that has as many places, but next to nothing in them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

/// Stages whose scans are remembered at most.
const STAGES: usize = 64;

/// Stage of a job, and which attempt it is.
type Stage = (String, usize, usize);

/// Remembers the scans of stages without their files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slim(Arc<Mutex<BTreeMap<Stage, FileScanConfig>>>);

impl Slim {
    /// The plan of a task over these partitions of a stage. A plan that reads no files is given back as it is.
    pub fn plan(&self, stage: Stage, plan: &Arc<dyn ExecutionPlan>, partitions: &[usize]) -> Arc<dyn ExecutionPlan> {
        // What can't be made smaller works as it is.
        self.of(&stage, plan, partitions).ok().flatten().unwrap_or_else(|| Arc::clone(plan))
    }

    fn of(
        &self,
        stage: &Stage,
        plan: &Arc<dyn ExecutionPlan>,
        partitions: &[usize],
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let [child] = plan.children().as_slice() {
            return match self.of(stage, child, partitions)? {
                Some(child) => replace_children_if_necessary(Arc::clone(plan), vec![child]).map(Some),
                None => Ok(None),
            };
        }
        let Some(scan) = files(plan).filter(|scan| scan.output_partitioning.is_none()) else { return Ok(None) };
        let mut groups = vec![FileGroup::default(); scan.file_groups.len()];
        for partition in partitions {
            if let (Some(slot), Some(group)) = (groups.get_mut(*partition), scan.file_groups.get(*partition)) {
                slot.clone_from(group);
            }
        }
        let mut slim = self.without_files(stage, scan);
        slim.file_groups = groups;
        Ok(Some(DataSourceExec::from_data_source(slim)))
    }

    fn without_files(&self, stage: &Stage, scan: &FileScanConfig) -> FileScanConfig {
        let mut stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = stages.get(stage) {
            return known.clone();
        }
        let mut empty = scan.clone();
        empty.file_groups.clear();
        if stages.len() >= STAGES {
            stages.pop_first();
        }
        stages.insert(stage.clone(), empty.clone());
        empty
    }
}

/// The scan of files that a leaf is.
fn files(leaf: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    let source: &dyn std::any::Any = leaf.downcast_ref::<DataSourceExec>()?.data_source().as_ref();
    source.downcast_ref::<FileScanConfig>()
}

#[cfg(test)]
mod tests {
    use ballista_scheduler::state::task_builder::restrict_plan_to_partitions;
    use datafusion::arrow::datatypes::Schema;
    use datafusion::datasource::listing::PartitionedFile;
    use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
    use datafusion::execution::object_store::ObjectStoreUrl;
    use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
    use datafusion::physical_plan::displayable;
    use datafusion::physical_plan::empty::EmptyExec;

    use super::*;

    fn plan(files: usize) -> Arc<dyn ExecutionPlan> {
        let source = Arc::new(ParquetSource::new(Arc::new(Schema::empty())));
        let groups = (0..files).map(|n| FileGroup::new(vec![PartitionedFile::new(format!("{n}.parquet"), n as u64)]));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups.collect())
            .with_preserve_order(true)
            .build();
        Arc::new(CoalescePartitionsExec::new(DataSourceExec::from_data_source(config)))
    }

    fn show(plan: &Arc<dyn ExecutionPlan>) -> String {
        displayable(plan.as_ref()).indent(true).to_string()
    }

    #[test]
    fn what_is_left_for_a_task_is_the_same() {
        let slim = Slim::default();
        for attempt in 0..2 * STAGES {
            let whole = Arc::clone(plan(7).children()[0]);
            for partitions in [vec![0], vec![6], vec![2, 5]] {
                let small = slim.plan(("job".into(), 1, attempt), &whole, &partitions);
                let expected = restrict_plan_to_partitions(Arc::clone(&whole), &partitions).unwrap();
                assert_eq!(show(&restrict_plan_to_partitions(small, &partitions).unwrap()), show(&expected));
            }
        }
        assert_eq!(slim.0.lock().unwrap().len(), STAGES);
    }

    #[test]
    fn a_plan_keeps_its_shape_and_its_places() {
        let slim = Slim::default();
        let whole = plan(5);
        let small = slim.plan(("job".into(), 1, 0), &whole, &[3]);
        let scan = files(small.children()[0]).unwrap();
        let sizes: Vec<usize> = scan.file_groups.iter().map(FileGroup::len).collect();
        assert_eq!((small.name(), sizes), (whole.name(), vec![0, 0, 0, 1, 0]));
        let other: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(Arc::new(Schema::empty())));
        assert!(Arc::ptr_eq(&slim.plan(("job".into(), 1, 0), &other, &[0]), &other));
    }
}
