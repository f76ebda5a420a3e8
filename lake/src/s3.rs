//! Buckets of S3 and of what speaks like it: opened from this process's environment, and safe to repeat.
//!
//! `object_store` repeats what failed with 5xx, 429 or before it was sent. Three things are left to do here. A creation
//! whose answer got lost may have happened: what stands then is compared with what was to be written. A `409` on a
//! creation says that another one is under way, not how it ends. And what a server sends with an error can repeat the
//! request's token: only its code and message are passed on.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::client::HttpError;
use object_store::path::Path;
use object_store::{
    BackoffConfig, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, RetryConfig, UploadPart,
};

/// How often a request is repeated here, after `object_store` has given up or could not know whether it may.
const ATTEMPTS: u32 = 6;
/// Deletions under way at once.
const DELETIONS: usize = 16;
/// How long a request is repeated, unless the environment says otherwise.
const PATIENCE: Duration = Duration::from_secs(180);
/// The variable that says otherwise.
const PATIENCE_VARIABLE: &str = "AWS_RETRY_TIMEOUT";

/// The store of a bucket. A process has one a bucket, so that all lakes in it share connections.
///
/// # Errors
/// If the environment's settings are unusable.
pub(crate) fn bucket(name: &str) -> Result<Arc<dyn ObjectStore>> {
    static BUCKETS: Mutex<BTreeMap<String, Arc<Bucket>>> = Mutex::new(BTreeMap::new());
    let mut buckets = BUCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bucket) = buckets.get(name) {
        return Ok(bucket.clone());
    }
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(8), ..BackoffConfig::default() };
    let patience = patience()?;
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(name)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig { backoff, retry_timeout: patience, ..RetryConfig::default() })
        .build()
        .map_err(plain)?;
    let bucket = Arc::new(Bucket { name: name.to_owned(), patience, store: Arc::new(store) });
    buckets.insert(name.to_owned(), bucket.clone());
    Ok(bucket)
}

fn patience() -> Result<Duration> {
    let Ok(text) = std::env::var(PATIENCE_VARIABLE) else { return Ok(PATIENCE) };
    humantime::parse_duration(&text).map_err(|error| Error::Generic {
        store: "S3",
        source: format!("{PATIENCE_VARIABLE}={text} is no time such as `180s`: {error}").into(),
    })
}

struct Bucket {
    name: String,
    patience: Duration,
    store: Arc<AmazonS3>,
}

// The settings hold credentials.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.name).finish()
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)
    }
}

impl Bucket {
    /// Creates an object unless another one is there. An equal one counts as created: its writer may have been this one.
    async fn create(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mut attempt = 0;
        let started = Instant::now();
        loop {
            let error = match self.store.put_opts(location, payload.clone(), options.clone()).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            attempt += 1;
            match &error {
                Error::AlreadyExists { .. } | Error::Precondition { .. } => {
                    match self.standing(location).await? {
                        Some((put, bytes)) if bytes == bytes::Bytes::from(payload.clone()) => return Ok(put),
                        Some(_) => return Err(plain(error)),
                        // The other creation has not ended, or was undone.
                        None if attempt < ATTEMPTS => {}
                        None => return Err(undecided(error)),
                    }
                }
                _ if is_transport(&error) && attempt < ATTEMPTS && started.elapsed() < self.patience => {}
                _ => return Err(plain(error)),
            }
            tokio::time::sleep(pause(attempt)).await;
        }
    }

    async fn standing(&self, location: &Path) -> Result<Option<(PutResult, bytes::Bytes)>> {
        let found = match self.store.get(location).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(plain(error)),
        };
        let put = PutResult { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        Ok(Some((put, found.bytes().await.map_err(plain)?)))
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match options.mode {
            PutMode::Create => self.create(location, payload, options).await,
            _ => self.store.put_opts(location, payload, options).await.map_err(plain),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.store.put_multipart_opts(location, options).await.map_err(plain)?;
        let (store, location) = (Arc::clone(&self.store), location.clone());
        Ok(Box::new(Upload { inner: Some(inner), store, location, size: 0 }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await.map_err(plain)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (store, patience) = (Arc::clone(&self.store), self.patience);
        let delete = move |location: Result<Path>| {
            let store = Arc::clone(&store);
            async move {
                let location = location?;
                let mut attempt = 0;
                let started = Instant::now();
                loop {
                    attempt += 1;
                    match store.delete(&location).await {
                        Ok(()) => return Ok(location),
                        Err(error) if is_transport(&error) && attempt < ATTEMPTS && started.elapsed() < patience => {}
                        Err(error) => return Err(plain(error)),
                    }
                    tokio::time::sleep(pause(attempt)).await;
                }
            }
        };
        locations.map(delete).buffered(DELETIONS).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix).map_err(plain).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list_with_offset(prefix, offset).map_err(plain).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await.map_err(plain)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await.map_err(plain)
    }
}

/// An upload in parts, to a name that nobody else writes. One that is dropped before it is complete is given up: the store
/// would keep its parts, and be paid for them.
#[derive(Debug)]
struct Upload {
    /// Until it is complete or given up.
    inner: Option<Box<dyn MultipartUpload>>,
    store: Arc<AmazonS3>,
    location: Path,
    size: u64,
}

impl Upload {
    fn inner(&mut self) -> Result<&mut Box<dyn MultipartUpload>> {
        let ended = || Error::Generic { store: "S3", source: "the upload has ended".into() };
        self.inner.as_mut().ok_or_else(ended)
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.size += data.content_length() as u64;
        let part = self.inner().map(|inner| inner.put_part(data));
        Box::pin(async move { part?.await.map_err(plain) })
    }

    /// A completion whose answer got lost finds no upload when it is repeated, but the object.
    async fn complete(&mut self) -> Result<PutResult> {
        let done = match self.inner()?.complete().await {
            Ok(done) => done,
            Err(error) => match self.store.head(&self.location).await {
                Ok(meta) if meta.size == self.size => PutResult { e_tag: meta.e_tag, version: meta.version },
                _ => return Err(plain(error)),
            },
        };
        self.inner = None;
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        match self.inner.take() {
            Some(mut inner) => inner.abort().await.map_err(plain),
            None => Ok(()),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(mut inner), Ok(runtime)) = (self.inner.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let location = self.location.clone();
        runtime.spawn(async move {
            if let Err(error) = inner.abort().await {
                tracing::warn!(%location, error = %plain(error), "an upload in parts can't be given up");
            }
        });
    }
}

/// Whether the connection failed, so that nobody knows what the server did.
fn is_transport(error: &Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<HttpError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Grows with the attempts, and differs from writer to writer.
fn pause(attempt: u32) -> Duration {
    let base = 50u64 << attempt.min(6);
    Duration::from_millis(base + uuid::Uuid::new_v4().as_u128() as u64 % base)
}

/// A creation that neither happened nor was refused for good: it is worth another try.
fn undecided(error: Error) -> Error {
    Error::Generic { store: "S3", source: said(&error).into() }
}

/// The error with nothing of the server's text but its code and message.
fn plain(error: Error) -> Error {
    let source = || said(&error).into();
    match &error {
        Error::NotFound { path, .. } => Error::NotFound { path: path.clone(), source: source() },
        Error::AlreadyExists { path, .. } => Error::AlreadyExists { path: path.clone(), source: source() },
        Error::Precondition { path, .. } => Error::Precondition { path: path.clone(), source: source() },
        Error::NotModified { path, .. } => Error::NotModified { path: path.clone(), source: source() },
        Error::PermissionDenied { path, .. } => Error::PermissionDenied { path: path.clone(), source: source() },
        Error::Unauthenticated { path, .. } => Error::Unauthenticated { path: path.clone(), source: source() },
        Error::Generic { store, .. } => Error::Generic { store, source: source() },
        _ => error,
    }
}

fn said(error: &Error) -> String {
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let Some((before, document)) = cause.split_once('<') else { return cause };
    let mut text = before.trim_end_matches([' ', ':', '-']).to_owned();
    for element in ["Code", "Message"] {
        if let Some(value) = element_text(document, element) {
            text.push_str(": ");
            text.push_str(value);
        }
    }
    text
}

fn element_text<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    Some(rest.split_once('<')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_can_not_make_us_repeat_a_token() {
        let body = "Error performing PUT https://h/b/k in 1ms - Server returned non-2xx status code: 400 Bad Request: \
                    <?xml version=\"1.0\"?>\n<Error><Code>InvalidToken</Code><Message>The token is malformed</Message>\
                    <Token-0>c4n4ry</Token-0></Error>";
        let error = plain(Error::PermissionDenied { path: "k".into(), source: body.into() });
        let text = format!("{error} {error:?}");
        assert!(!text.contains("c4n4ry"), "{text}");
        assert!(text.contains("400 Bad Request: InvalidToken: The token is malformed"), "{text}");
        let error = plain(Error::Generic { store: "S3", source: "connection refused".into() });
        assert!(error.to_string().contains("connection refused"), "{error}");
    }
}
