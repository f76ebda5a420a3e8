//! The worklist of a large repository, a range of paths after the other: memory follows the range, not the repository.

use std::collections::HashSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::query::{PathRange, worklist_within};
use super::records::records_within;
use super::row::with_records;

/// Files of the scan that a window has.
pub(super) const WINDOW_FILES: usize = 16 * 1024;
/// Windows that are planned at once.
const AT_ONCE: usize = 2;

/// Ranges that cover every path, in order, each with so many of these paths, which are sorted.
pub fn windows<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<PathRange> {
    let mut windows = vec![PathRange::default()];
    let mut files = 0;
    for path in paths {
        let window = windows.last_mut().expect("there is one from the start");
        // Paths that are not UTF-8 may be out of order: a range never begins before the last one.
        if files >= WINDOW_FILES && window.lower.as_deref().is_none_or(|lower| lower < path) {
            window.upper = Some(path.to_owned());
            windows.push(PathRange { lower: Some(path.to_owned()), upper: None });
            files = 0;
        }
        files += 1;
    }
    windows
}

/// The rows of the worklist, in order of path and lane, each file's first with the scan's record of it.
pub fn worklist_rows(
    context: &SessionContext,
    repo: &str,
    gone: Option<Vec<i64>>,
    windows: Vec<PathRange>,
) -> impl Stream<Item = Result<RecordBatch>> + Send + use<> {
    // A window is small: it is the windows that go side by side.
    let mut state = context.state();
    *state.config_mut() = state.config().clone().with_target_partitions(1);
    let context = SessionContext::new_with_state(state);
    let repo = repo.to_owned();
    let planned = stream::iter(windows).map(move |range| {
        let (context, repo, gone) = (context.clone(), repo.clone(), gone.clone());
        let rows = SpawnedTask::spawn(async move { window(&context, &repo, gone.as_deref(), &range).await });
        async move { rows.join().await.map_err(|e| DataFusionError::External(Box::new(e)))? }
    });
    planned.buffered(AT_ONCE).map_ok(|batches| stream::iter(batches.into_iter().map(Ok))).try_flatten()
}

async fn window(
    context: &SessionContext,
    repo: &str,
    gone: Option<&[i64]>,
    range: &PathRange,
) -> Result<Vec<RecordBatch>> {
    let rows = worklist_within(context, repo, gone, range).await?.collect().await?;
    if rows.iter().all(|batch| batch.num_rows() == 0) {
        return Ok(vec![]);
    }
    let ids = rows.iter().filter_map(|batch| batch.column_by_name("file_id")?.as_primitive_opt::<Int64Type>());
    let files: HashSet<i64> = ids.flat_map(|ids| ids.values().iter().copied()).collect();
    let records = records_within(context, range, &files).await?;
    let mut last = None;
    rows.iter().map(|batch| Ok(with_records(batch, &records, &mut last)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_path_once() {
        let paths: Vec<String> = (0..3 * WINDOW_FILES + 5).map(|n| format!("{n:08}")).collect();
        let found = windows(paths.iter().map(String::as_str));
        assert_eq!(found.len(), 4);
        assert_eq!((&found[0].lower, &found[3].upper), (&None, &None));
        assert!(found.windows(2).all(|pair| pair[0].upper.is_some() && pair[0].upper == pair[1].lower));
        assert_eq!(found[1].lower.as_deref(), Some(paths[WINDOW_FILES].as_str()));
        assert_eq!(windows([]), [PathRange::default()]);
        // The same path again and again, or one that is out of order, cuts nothing.
        assert_eq!(windows(std::iter::repeat_n("a", 3 * WINDOW_FILES)).len(), 2);
    }
}
