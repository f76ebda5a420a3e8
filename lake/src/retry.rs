//! Requests to take files out of quarantine: markers that the repository's next run honours.
//!
//! `_quarantine/retry/<repo_key>/<file_id>-<lane>`, an empty object; the run that commits removes those it has seen.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use lode_facts::lane::LaneId;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::error::Result;
use crate::shard::repo_key;
use crate::store::{Lake, failed};

const FOLDER: &str = "_quarantine/retry";

fn folder(repo: &str) -> String {
    format!("{FOLDER}/{}", repo_key(repo))
}

fn marker(repo: &str, (file_id, lane): &(i64, LaneId)) -> String {
    format!("{}/{:016x}-{}", folder(repo), *file_id as u64, lane.name())
}

fn parse(name: &str) -> Option<(i64, LaneId)> {
    let (file_id, lane) = name.split_once('-')?;
    Some((u64::from_str_radix(file_id, 16).ok()? as i64, LaneId::by_name(lane)?))
}

/// Asks for lanes of files to be tried again by the repository's next run.
///
/// # Errors
/// If the lake can't be written.
pub async fn request(lake: &Lake, repo: &str, files: &BTreeSet<(i64, LaneId)>) -> Result<()> {
    for file in files {
        lake.put_new(&marker(repo, file), Bytes::new()).await?;
    }
    Ok(())
}

/// What is asked for.
///
/// # Errors
/// If the lake can't be read.
pub async fn retried(lake: &Lake, repo: &str) -> Result<BTreeSet<(i64, LaneId)>> {
    let markers = lake.list(&folder(repo)).await?;
    Ok(markers.iter().filter_map(|marker| parse(marker.location.filename()?)).collect())
}

/// Removes requests that a committed run has honoured. Those it did not see stay.
///
/// # Errors
/// If the lake can't be written.
pub async fn clear(lake: &Lake, repo: &str, honoured: &BTreeSet<(i64, LaneId)>) -> Result<()> {
    let remove = |file| {
        let path = marker(repo, file);
        async move {
            match lake.store().delete(&Path::from(path.as_str())).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(failed("delete", &path, source)),
            }
        }
    };
    stream::iter(honoured).map(remove).buffer_unordered(16).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_stays_until_a_run_has_seen_it() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_or_create(dir.path().to_str().unwrap()).await.unwrap();
        let [old, new] = [(-1, LaneId::Ast), (7, LaneId::Ts)];
        request(&lake, "r", &[old].into()).await.unwrap();
        let seen = retried(&lake, "r").await.unwrap();
        assert_eq!(seen, [old].into());
        request(&lake, "r", &[old, new].into()).await.unwrap();
        clear(&lake, "r", &seen).await.unwrap();
        clear(&lake, "r", &seen).await.unwrap();
        assert_eq!(retried(&lake, "r").await.unwrap(), [new].into());
        assert!(retried(&lake, "other").await.unwrap().is_empty());
    }
}
