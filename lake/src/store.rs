//! The lake as a place: where it is, its format marker, and objects that are created once.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::Path as FsPath;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
pub use object_store::PutPayload;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    Error as StoreError, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;

use crate::error::{LakeError, Result};
use crate::layout;
use crate::s3;

/// Newest format of a lake this binary reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// A lake: cheap to clone, and found again by its url in another process.
#[derive(Clone)]
pub struct Lake {
    url: Url,
    store: Arc<dyn ObjectStore>,
    /// The store that `url`'s path is a path of: what Delta wants to be given.
    root: Arc<dyn ObjectStore>,
}

/// Whether an object was created or was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Created,
    /// Somebody else created it first.
    Exists,
}

#[derive(Serialize, Deserialize)]
struct Format {
    format_version: u32,
    created_by: String,
}

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lake").field(&self.url.as_str()).finish()
    }
}

impl fmt::Display for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

impl Lake {
    /// Opens a lake by the path of its directory or by its url.
    ///
    /// # Errors
    /// If there is no lake, it can't be read, or it is newer than this binary.
    pub async fn open(location: &str) -> Result<Self> {
        let lake = Self::at(location, false)?;
        match lake.check_format().await? {
            true => Ok(lake),
            false => Err(LakeError::NoLake { location: location.to_owned() }),
        }
    }

    /// Opens a lake, or makes one where there is nothing.
    ///
    /// # Errors
    /// If it can't be read or written, is newer than this binary, or there are other files at the location: a repository
    /// that holds them would lose them, since a lake is no part of the repository it lies in.
    pub async fn open_or_create(location: &str) -> Result<Self> {
        let lake = Self::at(location, true)?;
        if !lake.check_format().await? {
            // Looked at once more: another run may have made the lake, and tables in it, since.
            if let Some(found) = lake.foreign().await?
                && !lake.check_format().await?
            {
                return Err(LakeError::Occupied { location: location.to_owned(), found });
            }
            let format = Format {
                format_version: FORMAT_VERSION,
                created_by: concat!("lode ", env!("CARGO_PKG_VERSION")).into(),
            };
            if lake.put_new_json(layout::FORMAT, &format).await? == Put::Exists {
                lake.check_format().await?;
            }
        }
        Ok(lake)
    }

    /// Its url, ending in a slash.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The object store, rooted at the lake.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The object store that the path of [`Lake::url`] is a path of.
    pub fn root_store(&self) -> &Arc<dyn ObjectStore> {
        &self.root
    }

    /// The object store rooted at a table.
    pub(crate) fn table_store(&self, table: &str) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(self.store.clone(), Path::from(table)))
    }

    /// The url of a table, ending in a slash.
    pub fn table_url(&self, table: &str) -> Url {
        self.url.join(&format!("{table}/")).expect("a table's name is a path segment")
    }

    fn at(location: &str, create: bool) -> Result<Self> {
        let url = address(location)?;
        let refuse = |reason: String| LakeError::Location { location: url.to_string(), reason };
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| refuse("not a local path".into()))?;
            prepare(&path, create, location)?;
        }
        let root = root(&url).map_err(|e| refuse(e.to_string()))?;
        let root = root.ok_or_else(|| refuse(format!("this build has no `{}` store", url.scheme())))?;
        let prefix = Path::from_url_path(url.path()).map_err(|e| refuse(e.to_string()))?;
        Ok(Self { url, store: Arc::new(PrefixStore::new(root.clone(), prefix)), root })
    }

    /// The first thing at the location that nobody would leave where a lake is to be: neither hidden, nor of a lake that is
    /// being made, nor of the file system.
    async fn foreign(&self) -> Result<Option<String>> {
        let listed = self.store.list_with_delimiter(None).await.map_err(|e| failed("list", self.url.path(), e))?;
        let names = listed.common_prefixes.iter().chain(listed.objects.iter().map(|object| &object.location));
        let foreign =
            names.filter_map(Path::filename).filter(|name| !name.starts_with(['.', '_']) && *name != "lost+found");
        Ok(foreign.min().map(str::to_owned))
    }

    /// Whether the lake has its marker.
    async fn check_format(&self) -> Result<bool> {
        let Some(format) = self.get_json::<Format>(layout::FORMAT).await? else { return Ok(false) };
        if format.format_version > FORMAT_VERSION {
            return Err(LakeError::NewerFormat {
                found: format.format_version,
                known: FORMAT_VERSION,
                created_by: format.created_by,
            });
        }
        Ok(true)
    }

    /// Creates an object unless there is one of that name.
    ///
    /// # Errors
    /// If the lake can't be written.
    pub async fn put_new(&self, path: &str, bytes: impl Into<PutPayload>) -> Result<Put> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&Path::from(path), bytes.into(), options).await {
            Ok(_) => Ok(Put::Created),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(Put::Exists),
            Err(source) => Err(failed("create", path, source)),
        }
    }

    /// Creates an object as JSON unless there is one of that name.
    ///
    /// # Errors
    /// If the lake can't be written.
    pub async fn put_new_json<T: Serialize>(&self, path: &str, value: &T) -> Result<Put> {
        let bytes = serde_json::to_vec(value).expect("records of the lake are plain data");
        self.put_new(path, bytes).await
    }

    /// The bytes of an object, if it exists.
    ///
    /// # Errors
    /// If the lake can't be read.
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>> {
        let read = async { self.store.get(&Path::from(path)).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed("read", path, source)),
        }
    }

    /// Whether there is such an object.
    ///
    /// # Errors
    /// If the lake can't be read.
    pub async fn exists(&self, path: &str) -> Result<bool> {
        match self.store.head(&Path::from(path)).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(source) => Err(failed("find", path, source)),
        }
    }

    /// An object as JSON, if it exists.
    ///
    /// # Errors
    /// If the lake can't be read or the object is something else.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let Some(bytes) = self.get(path).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| LakeError::damaged(path, e))
    }

    /// An object as JSON that must exist.
    ///
    /// # Errors
    /// If it doesn't, the lake can't be read, or the object is something else.
    pub async fn require_json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.get_json(path).await?.ok_or_else(|| LakeError::damaged(path, "the object is missing"))
    }

    /// Parts of an object.
    ///
    /// # Errors
    /// If the lake can't be read or the object is missing.
    pub async fn get_ranges(&self, path: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(&Path::from(path), ranges).await.map_err(|source| failed("read", path, source))
    }

    /// An object as an open file, if the lake is a directory of this machine.
    ///
    /// # Errors
    /// If the lake can't be read or the object is missing.
    pub async fn open_file(&self, path: &str) -> Result<Option<File>> {
        if self.url.scheme() != "file" {
            return Ok(None);
        }
        match self.store.get(&Path::from(path)).await.map_err(|source| failed("read", path, source))?.payload {
            GetResultPayload::File(file, _) => Ok(Some(file)),
            GetResultPayload::Stream(_) => Ok(None),
        }
    }

    /// Removes every object below a folder.
    ///
    /// # Errors
    /// If the lake can't be read or written.
    pub async fn remove_all(&self, prefix: &str) -> Result<()> {
        let objects = self.list(prefix).await?;
        let locations = stream::iter(objects.into_iter().map(|object| Ok(object.location))).boxed();
        let mut removed = self.store.delete_stream(locations);
        while let Some(removed) = removed.next().await {
            match removed {
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(source) => return Err(failed("delete", prefix, source)),
            }
        }
        Ok(())
    }

    /// The objects below a folder, by name.
    ///
    /// # Errors
    /// If the lake can't be read.
    pub async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let listed = self.store.list(Some(&Path::from(prefix))).try_collect::<Vec<_>>().await;
        let mut objects = listed.map_err(|source| failed("list", prefix, source))?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }
}

pub(crate) fn failed(action: &'static str, path: &str, source: StoreError) -> LakeError {
    LakeError::Store { action, path: path.to_owned(), source }
}

/// The url of a location, which ends in a slash and is nothing but an address: it travels in plans and lies in lakes.
fn address(location: &str) -> Result<Url> {
    let mut url = match Url::parse(location) {
        // `c:\lake` parses as a url with a scheme of one letter.
        Ok(url) if url.scheme().len() > 1 => url,
        _ => {
            let refuse = |reason: String| LakeError::Location { location: location.to_owned(), reason };
            let path = std::path::absolute(location).map_err(|e| refuse(e.to_string()))?;
            Url::from_directory_path(path).map_err(|()| refuse("not a path".into()))?
        }
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        let location = format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
        let reason = "credentials and options come from the environment, not from the address".into();
        return Err(LakeError::Location { location, reason });
    }
    if url.scheme() == "s3" && url.host_str().is_none_or(str::is_empty) {
        return Err(LakeError::Location { location: url.to_string(), reason: "it names no bucket".into() });
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// The store that the paths of such urls are paths of; `None` for a scheme that no lake has.
pub(crate) fn root(url: &Url) -> Result<Option<Arc<dyn ObjectStore>>, StoreError> {
    Ok(Some(match url.scheme() {
        "file" => Arc::new(LocalFileSystem::new()),
        "memory" => memory::store(url),
        "s3" => s3::bucket(url.host_str().unwrap_or_default())?,
        _ => return Ok(None),
    }))
}

fn prepare(path: &FsPath, create: bool, location: &str) -> Result<()> {
    if create {
        std::fs::create_dir_all(path).map_err(|error| {
            failed("create", location, StoreError::Generic { store: "LocalFileSystem", source: Box::new(error) })
        })
    } else if path.is_dir() {
        Ok(())
    } else {
        Err(LakeError::NoLake { location: location.to_owned() })
    }
}

/// Lakes in memory, for tests and throw-away runs: one store a host name, within the process.
mod memory {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use object_store::ObjectStore;
    use object_store::memory::InMemory;
    use url::Url;

    static STORES: Mutex<BTreeMap<String, Arc<InMemory>>> = Mutex::new(BTreeMap::new());

    pub(super) fn store(url: &Url) -> Arc<dyn ObjectStore> {
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        stores.entry(url.host_str().unwrap_or_default().to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lake_is_found_again_and_a_missing_one_is_said_to_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lake");
        let location = path.to_str().unwrap();
        assert!(matches!(Lake::open(location).await, Err(LakeError::NoLake { .. })));
        let lake = Lake::open_or_create(location).await.unwrap();
        assert_eq!(lake.put_new("a/b.json", Bytes::from_static(b"1")).await.unwrap(), Put::Created);
        let again = Lake::open(lake.url().as_str()).await.unwrap();
        assert_eq!(again.put_new("a/b.json", Bytes::from_static(b"2")).await.unwrap(), Put::Exists);
        assert_eq!(again.get("a/b.json").await.unwrap().unwrap(), "1");
        assert_eq!(again.get("a/c.json").await.unwrap(), None);
        assert_eq!(again.list("a").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_lake_is_made_where_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let location = dir.path().to_str().unwrap();
        std::fs::create_dir(dir.path().join("lost+found")).unwrap();
        std::fs::write(dir.path().join(".gitkeep"), "").unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("src/lib.rs"), "").unwrap();
        let error = Lake::open_or_create(location).await.unwrap_err();
        assert!(
            matches!(&error, LakeError::Occupied { found, .. } if found == "src") && error.hint().is_some(),
            "{error}"
        );
        assert!(!dir.path().join("_lode").exists());
        std::fs::remove_dir_all(dir.path().join("src")).unwrap();
        Lake::open_or_create(location).await.unwrap();
        std::fs::write(dir.path().join("notes.txt"), "").unwrap();
        Lake::open_or_create(location).await.unwrap();
    }

    #[tokio::test]
    async fn a_newer_lake_is_refused() {
        let lake = Lake::at("memory://newer/x", true).unwrap();
        let newer = Format { format_version: FORMAT_VERSION + 1, created_by: "lode 9".into() };
        lake.put_new_json(layout::FORMAT, &newer).await.unwrap();
        let error = Lake::open_or_create("memory://newer/x").await.unwrap_err();
        assert!(matches!(error, LakeError::NewerFormat { .. }) && error.hint().is_some(), "{error}");
    }

    #[tokio::test]
    async fn an_address_holds_no_secret() {
        for location in ["s3://key:c4n4ry@bucket/lake", "s3://bucket/lake?secret=c4n4ry", "s3://c4n4ry@bucket/lake"] {
            let error = Lake::open(location).await.unwrap_err();
            assert!(error.to_string().contains("bucket/lake") && !format!("{error:?}").contains("c4n4ry"), "{error}");
        }
        assert!(matches!(Lake::open("s3:///lake").await, Err(LakeError::Location { .. })));
    }

    #[tokio::test]
    async fn an_unknown_scheme_is_named() {
        let error = Lake::open("gopher://x/y").await.unwrap_err();
        assert!(error.to_string().contains("gopher"), "{error}");
    }
}
