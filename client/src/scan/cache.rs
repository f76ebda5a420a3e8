//! What earlier scans learned, so that unchanged files need not be read again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lode_facts::language::Language;
use serde::{Deserialize, Serialize};

use super::walk::FileStat;
use super::{Scan, ScanError, ScanOptions, scan};

/// Changes when what is cached, or the rules it was found by, change.
const REVISION: u32 = 1;

/// Hashes and languages of files by path, valid as long as `lstat` says that they did not change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanCache {
    revision: u32,
    /// When the scan began that filled it.
    created_ns: i64,
    entries: BTreeMap<String, CacheEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CacheEntry {
    size: i64,
    mtime_ns: i64,
    ctime_ns: i64,
    inode: u64,
    sha256: String,
    language: Option<Language>,
}

impl ScanCache {
    /// An empty cache of a scan that begins now.
    pub(super) fn begin() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { revision: REVISION, created_ns: now.as_nanos() as i64, entries: BTreeMap::new() }
    }

    /// Reads a cache. One that is missing, damaged or of another revision counts as empty: it only costs time.
    pub fn load(path: &Path) -> Self {
        let cache: Option<Self> = fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        cache.filter(|cache| cache.revision == REVISION).unwrap_or_default()
    }

    /// Writes the cache, all of it or nothing.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = fs::write(&temporary, serde_json::to_vec(self)?).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            // The first error is the one to tell; a left-over is harmless.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Whether another scan's cache adds nothing to it that will hold: not worth writing down.
    pub fn knows_as_much_as(&self, later: &Self) -> bool {
        self.entries == later.entries
            && !self.entries.values().any(|entry| self.is_racy(entry.mtime_ns.max(entry.ctime_ns)))
    }

    /// Files it knows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Hash and language of a file that did not change since.
    pub(super) fn get(&self, path: &str, stat: &FileStat) -> Option<(&str, Option<Language>)> {
        let entry = self.entries.get(path)?;
        let same = (entry.size, entry.mtime_ns, entry.ctime_ns, entry.inode)
            == (stat.size, stat.mtime_ns, stat.ctime_ns, stat.inode);
        (same && !self.is_racy(stat.mtime_ns.max(stat.ctime_ns))).then_some((entry.sha256.as_str(), entry.language))
    }

    /// Takes over what an earlier scan knew of files that this one did not look at.
    pub(super) fn carry(&mut self, earlier: &Self) {
        for (path, entry) in &earlier.entries {
            // Under this cache's later time, what was racy would no longer look so.
            if !earlier.is_racy(entry.mtime_ns.max(entry.ctime_ns)) {
                self.entries.entry(path.clone()).or_insert_with(|| entry.clone());
            }
        }
    }

    /// Whether the file may have changed after it was hashed without its times telling: they are as new as the cache,
    /// give or take the clock of the file system (whole seconds on some).
    fn is_racy(&self, changed: i64) -> bool {
        let tick = if changed % 1_000_000_000 == 0 { 2_000_000_000 } else { 100_000_000 };
        changed.saturating_add(tick) >= self.created_ns
    }

    pub(super) fn insert(&mut self, path: String, stat: &FileStat, sha256: String, language: Option<Language>) {
        let FileStat { size, mtime_ns, ctime_ns, inode, .. } = *stat;
        self.entries.insert(path, CacheEntry { size, mtime_ns, ctime_ns, inode, sha256, language });
    }
}

/// Scans with what this machine remembers of the directory, and remembers what it saw.
///
/// # Errors
/// As [`scan`] has.
pub fn cached_scan(root: &Path, options: ScanOptions) -> Result<Scan, ScanError> {
    let cache = cache_file(root);
    let options = ScanOptions { cache: cache.as_deref().map(ScanCache::load), ..options };
    let scanned = scan(root, &options)?;
    if let Some(path) = cache
        && options.cache.is_none_or(|known| !known.knows_as_much_as(&scanned.cache))
        && let Err(error) = scanned.cache.save(&path)
    {
        tracing::debug!(path = %path.display(), %error, "the scan's cache is not kept");
    }
    Ok(scanned)
}

/// Where this machine remembers what it saw of a directory; `None` without a place for caches.
fn cache_file(root: &Path) -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let directory = base.join("lode").join("scan");
    std::fs::create_dir_all(&directory).ok()?;
    let root = root.canonicalize().ok()?;
    let name = lode_facts::hash::stable_hash(root.as_os_str().as_encoded_bytes());
    Some(directory.join(format!("{name:016x}.json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_unchanged_is_reused() {
        let mut cache = ScanCache { revision: REVISION, created_ns: 10_000_000_000, entries: BTreeMap::new() };
        let stat = FileStat { size: 1, mode: 0, mtime_ns: 5_000_000_001, ctime_ns: 5_000_000_001, inode: 7 };
        cache.insert("a".into(), &stat, "h".into(), None);
        assert_eq!(cache.get("a", &stat), Some(("h", None)));
        assert_eq!(cache.get("b", &stat), None);
        for changed in [
            FileStat { size: 2, ..stat },
            FileStat { mtime_ns: 4, ..stat },
            FileStat { ctime_ns: 6_000_000_000, ..stat },
            FileStat { inode: 8, ..stat },
        ] {
            assert_eq!(cache.get("a", &changed), None, "{changed:?}");
        }
        for racy in [9_950_000_001, 9_000_000_000, 11_000_000_001] {
            let stat = FileStat { mtime_ns: racy, ctime_ns: racy, ..stat };
            cache.insert("a".into(), &stat, "h".into(), None);
            assert_eq!(cache.get("a", &stat), None, "{racy}");
        }
    }

    #[test]
    fn only_what_is_not_racy_is_carried_on() {
        let mut earlier = ScanCache { created_ns: 10_000_000_000, ..ScanCache::begin() };
        for (path, mtime_ns) in [("old", 1), ("racy", 9_950_000_001), ("seen", 1)] {
            earlier.insert(path.into(), &FileStat { mtime_ns, ..FileStat::default() }, "earlier".into(), None);
        }
        let mut later = ScanCache::begin();
        later.insert("seen".into(), &FileStat::default(), "later".into(), None);
        later.carry(&earlier);
        let hashes: Vec<_> = later.entries.iter().map(|(path, entry)| (path.as_str(), entry.sha256.as_str())).collect();
        assert_eq!(hashes, [("old", "earlier"), ("seen", "later")]);
    }

    #[test]
    fn damaged_caches_are_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.json");
        assert_eq!(ScanCache::load(&path), ScanCache::default());
        let mut cache = ScanCache::begin();
        cache.insert("a".into(), &FileStat::default(), "h".into(), Some(Language::Python));
        cache.save(&path).unwrap();
        assert_eq!(ScanCache::load(&path), cache);
        fs::write(&path, b"{").unwrap();
        assert!(ScanCache::load(&path).is_empty());
    }
}
