//! Shards: contiguous ranges of paths that the rows of a repository are stored by.
//!
//! They work like tablets: new files fall into a range, and a range that has grown too large is split when a run is
//! planned. A shard keeps its id for life; ids are never used again.

use lode_facts::hash::stable_hash;
use serde::{Deserialize, Serialize};

/// Smallest target size of a shard, in bytes of source: a task has to be worth what it costs the cluster, some five
/// milliseconds.
pub const MIN_TARGET: u64 = 4 << 20;
/// Largest target size of a shard, in bytes of source.
pub const MAX_TARGET: u64 = 32 << 20;
/// Shards a repository is spread over, between those two.
pub const SPREAD: u64 = 64;

/// Short key of a repository: names its shards and commits.
pub fn repo_key(repo: &str) -> String {
    format!("{:08x}", stable_hash(repo.as_bytes()) as u32)
}

/// Target size of a shard for a repository of that size.
pub fn target_bytes(total: u64) -> u64 {
    (total / SPREAD).clamp(MIN_TARGET, MAX_TARGET)
}

/// A range of paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its id, the partition value of the fact tables.
    pub id: String,
    /// First path of the range; empty for the start.
    pub lower: String,
    /// First path after the range; `None` for the end.
    pub upper: Option<String>,
    /// Files in the range.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// Shards that hold old rows of the range, besides this one: set by the plan that splits, forgotten after its run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

/// The shards of a repository, by range: contiguous, disjoint, and covering every path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardMap {
    repo_key: String,
    next: u64,
    shards: Vec<Shard>,
}

/// How large shards are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizing {
    /// About this many bytes of source each.
    Target(u64),
    /// Exactly this many shards, as far as there are files.
    Count(usize),
}

impl ShardMap {
    /// The first map of a repository, over its files sorted by path.
    pub fn initial(repo_key: &str, files: &[(&str, u64)], sizing: Sizing) -> Self {
        let mut map = Self { repo_key: repo_key.to_owned(), next: 0, shards: vec![] };
        let cuts = match sizing {
            Sizing::Target(target) => cuts(files, target),
            Sizing::Count(count) => even_cuts(files.len(), count),
        };
        let bounds = [0].into_iter().chain(cuts).chain([files.len()]).collect::<Vec<_>>();
        for pair in bounds.windows(2) {
            let lower = if pair[0] == 0 { String::new() } else { files[pair[0]].0.to_owned() };
            let upper = files.get(pair[1]).filter(|_| pair[1] < files.len()).map(|f| f.0.to_owned());
            let shard = map.fresh(lower, upper, &files[pair[0]..pair[1]]);
            map.shards.push(shard);
        }
        map
    }

    /// The map as it is stored; `None` when the shards are not contiguous or don't cover every path.
    pub fn from_stored(repo_key: &str, mut shards: Vec<Shard>) -> Option<Self> {
        shards.sort_by(|a, b| a.lower.cmp(&b.lower));
        let starts = shards.first().is_some_and(|s| s.lower.is_empty());
        let ends = shards.last().is_some_and(|s| s.upper.is_none());
        let joined =
            shards.windows(2).all(|w| w[0].upper.as_deref() == Some(w[1].lower.as_str()) && w[0].lower < w[1].lower);
        let numbers = shards.iter().map(|s| number(repo_key, &s.id)).collect::<Option<Vec<_>>>()?;
        let next = numbers.into_iter().max()? + 1;
        (starts && ends && joined).then(|| Self { repo_key: repo_key.to_owned(), next, shards })
    }

    /// The shards, by range.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The shards, by range.
    pub fn into_shards(self) -> Vec<Shard> {
        self.shards
    }

    /// Position of the shard whose range holds the path.
    pub fn assign(&self, path: &str) -> usize {
        self.shards.partition_point(|s| s.lower.as_str() <= path).saturating_sub(1)
    }

    /// The map for the files as they are now, sorted by path: sizes are counted again, and every shard above twice the
    /// target is split into ranges near it. The lowest range keeps the id; the others get fresh ids and remember whose rows
    /// they take over.
    #[must_use]
    pub fn split(&self, files: &[(&str, u64)], target: u64) -> Self {
        let mut map = Self { repo_key: self.repo_key.clone(), next: self.next, shards: vec![] };
        let mut rest = files;
        for shard in &self.shards {
            let end = shard.upper.as_deref().map_or(rest.len(), |upper| rest.partition_point(|f| f.0 < upper));
            let (mine, after) = rest.split_at(end);
            rest = after;
            let bytes: u64 = mine.iter().map(|f| f.1).sum();
            let cuts = if bytes > target.saturating_mul(2) { cuts(mine, target) } else { vec![] };
            let first = cuts.first().copied().unwrap_or(mine.len());
            let mut kept = Shard { sources: vec![], ..shard.clone() };
            (kept.files, kept.bytes) = size(&mine[..first]);
            if let Some(cut) = cuts.first() {
                kept.upper = Some(mine[*cut].0.to_owned());
            }
            map.shards.push(kept);
            let bounds = cuts.iter().copied().chain([mine.len()]).collect::<Vec<_>>();
            for pair in bounds.windows(2) {
                let upper = mine.get(pair[1]).map(|f| f.0.to_owned()).or_else(|| shard.upper.clone());
                let mut part = map.fresh(mine[pair[0]].0.to_owned(), upper, &mine[pair[0]..pair[1]]);
                part.sources = vec![shard.id.clone()];
                map.shards.push(part);
            }
        }
        map
    }

    fn fresh(&mut self, lower: String, upper: Option<String>, files: &[(&str, u64)]) -> Shard {
        let id = format!("{}-{:05}", self.repo_key, self.next);
        self.next += 1;
        let (files, bytes) = size(files);
        Shard { id, lower, upper, files, bytes, sources: vec![] }
    }
}

fn number(repo_key: &str, id: &str) -> Option<u64> {
    id.strip_prefix(repo_key)?.strip_prefix('-')?.parse().ok()
}

fn size(files: &[(&str, u64)]) -> (u64, u64) {
    (files.len() as u64, files.iter().map(|f| f.1).sum())
}

/// Where to cut so that the parts are near the target: a cut falls before the file that would carry a part past it.
fn cuts(files: &[(&str, u64)], target: u64) -> Vec<usize> {
    let mut cuts = vec![];
    let mut bytes = 0u64;
    let mut start = 0;
    for (index, file) in files.iter().enumerate() {
        if index > start && bytes + file.1 > target && files[index - 1].0 < file.0 {
            cuts.push(index);
            start = index;
            bytes = 0;
        }
        bytes += file.1;
    }
    cuts
}

fn even_cuts(files: usize, count: usize) -> Vec<usize> {
    let count = count.clamp(1, files.max(1));
    (1..count).map(|n| n * files / count).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(map: &ShardMap) {
        let stored = ShardMap::from_stored(&map.repo_key, map.shards.clone()).expect("contiguous, disjoint, covering");
        assert!(stored.next <= map.next);
        let ids = map.shards.iter().map(|s| &s.id).collect::<BTreeSet<_>>();
        assert_eq!(ids.len(), map.shards.len());
    }

    fn view(files: &std::collections::BTreeMap<String, u64>) -> Vec<(&str, u64)> {
        files.iter().map(|(path, size)| (path.as_str(), *size)).collect()
    }

    proptest! {
        #[test]
        fn every_path_has_one_shard_through_any_growth(
            first in prop::collection::btree_map("[a-c/é]{1,5}", 0u64..100, 0..40),
            later in prop::collection::vec(prop::collection::btree_map("[a-e/é]{1,5}", 0u64..300, 0..60), 0..4),
            count in prop::option::of(1usize..250),
            target in 1u64..200,
            probe in "[a-f/é]{0,5}",
        ) {
            let sizing = count.map_or(Sizing::Target(target), Sizing::Count);
            let mut map = ShardMap::initial("k", &view(&first), sizing);
            check(&map);
            if let Some(count) = count {
                prop_assert_eq!(map.shards.len(), count.min(first.len()).max(1));
            }
            let mut used = map.shards.iter().map(|s| s.id.clone()).collect::<BTreeSet<_>>();
            for files in &later {
                let files = view(files);
                let next = map.split(&files, target);
                check(&next);
                for (old, shard) in map.shards.iter().map(|old| (old, next.shards.iter().find(|s| s.id == old.id))) {
                    let shard = shard.expect("a shard keeps its id");
                    prop_assert!(shard.lower == old.lower && shard.sources.is_empty());
                }
                for shard in &next.shards {
                    let mine = files.iter().filter(|f| next.shards[next.assign(f.0)].id == shard.id).collect::<Vec<_>>();
                    prop_assert_eq!(shard.files as usize, mine.len());
                    prop_assert_eq!(shard.bytes, mine.iter().map(|f| f.1).sum::<u64>());
                    prop_assert!(shard.bytes <= 2 * target || mine.len() == 1, "only one large file can exceed twice the target");
                    if !map.shards.iter().any(|old| old.id == shard.id) {
                        prop_assert!(used.insert(shard.id.clone()), "a fresh id was never used");
                        let source = map.shards.iter().find(|old| old.id == shard.sources[0]).expect("a source is an old shard");
                        prop_assert!(source.lower <= shard.lower && (source.upper.is_none() || shard.upper <= source.upper && shard.upper.is_some()));
                    }
                }
                map = next;
            }
            let at = map.assign(&probe);
            let shard = &map.shards[at];
            prop_assert!(shard.lower <= probe && shard.upper.as_ref().is_none_or(|upper| probe < *upper));
        }
    }

    #[test]
    fn small_repositories_still_spread() {
        assert_eq!(target_bytes(0), MIN_TARGET);
        assert_eq!(target_bytes(640 << 20), 10 << 20);
        assert_eq!(target_bytes(1 << 40), MAX_TARGET);
        assert_eq!(repo_key("example/repo").len(), 8);
    }

    #[test]
    fn a_gap_or_an_overlap_is_refused() {
        let map = ShardMap::initial("k", &[("a", 1), ("b", 1), ("c", 1)], Sizing::Count(3));
        let mut gap = map.shards.clone();
        gap.remove(1);
        assert_eq!(ShardMap::from_stored("k", gap), None);
        let mut overlap = map.shards.clone();
        overlap[0].upper = Some("c".into());
        assert_eq!(ShardMap::from_stored("k", overlap), None);
        assert_eq!(ShardMap::from_stored("other", map.shards), None);
    }
}
