//! The ledger of a shard's attempts: what finds the file that kills whoever has it in hand.
//!
//! A file that breaks a worker process is dealt with by the pool of workers. One that takes the whole executor with it
//! leaves nobody behind to say so, and a cluster that starts the task again on the next executor loses that one, too. So
//! an attempt writes itself down before it begins: `_runs/<run>/<epoch>/attempts/<shard>/<attempt>.json`. A shard that has
//! lost some attempts is done carefully, file by file, each written down before it is touched. A file that two attempts
//! ended with is poison, and is put into quarantine by the next.

use std::collections::BTreeMap;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{LakeError, Result};
use crate::layout;
use crate::store::{Lake, failed};

/// After how many lost attempts a shard is done file by file.
pub const CAREFUL_AFTER: usize = 2;

/// How many attempts must have ended with a file for it to be poison. One may be slow and alive.
pub const DEATHS: usize = 2;

/// How many attempts a shard has. Three files can be found in so many.
pub const MOST: usize = CAREFUL_AFTER + 3 * DEATHS + 1;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The file that is being worked on, where an attempt says so.
    in_hand: Option<i64>,
}

/// An attempt that has begun.
#[derive(Debug)]
pub struct Attempt {
    lake: Lake,
    path: String,
    earlier: usize,
    deaths: BTreeMap<i64, usize>,
}

impl Attempt {
    /// Begins an attempt at a shard.
    ///
    /// # Errors
    /// [`LakeError::Attempts`] if there were too many; or if the lake can't be read or written.
    pub async fn begin(lake: &Lake, run_id: &str, epoch: u32, shard: &str) -> Result<Self> {
        let folder = layout::attempts(run_id, epoch, shard);
        let mut deaths = BTreeMap::new();
        let listed = lake.list(&folder).await?;
        let earlier = listed.len();
        if earlier >= MOST {
            return Err(LakeError::Attempts { shard: shard.to_owned(), attempts: earlier });
        }
        if earlier >= CAREFUL_AFTER {
            for object in listed {
                let entry = lake.get_json::<Entry>(object.location.as_ref()).await?.unwrap_or_default();
                if let Some(file) = entry.in_hand {
                    *deaths.entry(file).or_default() += 1;
                }
            }
            tracing::warn!(run_id, shard, earlier, "attempts at the shard were lost: it is done file by file");
        }
        let path = format!("{folder}/{}.json", Uuid::new_v4().simple());
        lake.put_new_json(&path, &Entry::default()).await?;
        Ok(Self { lake: lake.clone(), path, earlier, deaths })
    }

    /// How many attempts there were before that left their entry.
    pub fn earlier(&self) -> usize {
        self.earlier
    }

    /// Whether the shard is to be done file by file.
    pub fn is_careful(&self) -> bool {
        self.earlier >= CAREFUL_AFTER
    }

    /// How many attempts ended with the file in hand, if it is poison.
    pub fn poison(&self, file_id: i64) -> Option<usize> {
        self.deaths.get(&file_id).copied().filter(|deaths| *deaths >= DEATHS)
    }

    /// Writes down which file is worked on from now on.
    ///
    /// # Errors
    /// If the lake can't be written.
    pub async fn take(&self, file_id: i64) -> Result<()> {
        let entry = serde_json::to_vec(&Entry { in_hand: Some(file_id) }).expect("an entry is plain data");
        let path = Path::from(self.path.as_str());
        let put = self.lake.store().put(&path, Bytes::from(entry).into()).await;
        put.map(drop).map_err(|source| failed("write", &self.path, source))
    }

    /// Takes the attempt back: it ended with an error that is reported, and nobody died.
    ///
    /// # Errors
    /// If the lake can't be written.
    pub async fn withdraw(self) -> Result<()> {
        match self.lake.store().delete(&Path::from(self.path.as_str())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed("delete", &self.path, source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn begin(lake: &Lake) -> Result<Attempt> {
        Attempt::begin(lake, "run", 0, "s").await
    }

    #[tokio::test]
    async fn a_file_that_attempts_end_with_is_poison() {
        let lake = Lake::open_or_create("memory://attempts/a").await.unwrap();
        for _ in 0..CAREFUL_AFTER {
            assert!(!begin(&lake).await.unwrap().is_careful());
        }
        for _ in 0..DEATHS {
            let attempt = begin(&lake).await.unwrap();
            assert!(attempt.is_careful());
            assert_eq!(attempt.poison(8), None);
            attempt.take(7).await.unwrap();
            attempt.take(8).await.unwrap();
        }
        let attempt = begin(&lake).await.unwrap();
        assert_eq!((attempt.poison(7), attempt.poison(8)), (None, Some(DEATHS)));
    }

    #[tokio::test]
    async fn attempts_are_bounded_and_errors_don_t_count() {
        let lake = Lake::open_or_create("memory://attempts/b").await.unwrap();
        for _ in 0..2 * MOST {
            begin(&lake).await.unwrap().withdraw().await.unwrap();
        }
        for _ in 0..MOST {
            begin(&lake).await.unwrap();
        }
        assert!(matches!(begin(&lake).await, Err(LakeError::Attempts { attempts: MOST, .. })));
    }
}
