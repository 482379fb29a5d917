//! The store that has the files: opened from settings, and its errors told apart.

use std::fs;
use std::io;
use std::path::Path as FolderPath;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, Error as StoreError, ObjectStore, RetryConfig};

use crate::diagnostics::engine_error::{EngineError, EngineResult};
use crate::diagnostics::secret::Secret;
use crate::pipeline::plan::{LakePlan, LakeStore};

/// A server that is there takes a connection at once.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// One request: a file of some megabytes over a slow line.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// Tries come sooner than these allow for; time is what bounds them.
const TRIES_MAX: usize = 1_000;

pub(super) fn open(plan: &LakePlan) -> EngineResult<Arc<dyn ObjectStore>> {
    match &plan.location.store {
        LakeStore::Folder(folder) => open_folder(folder),
        LakeStore::Bucket { name, .. } => open_bucket(plan, name),
    }
}

fn open_folder(folder: &FolderPath) -> EngineResult<Arc<dyn ObjectStore>> {
    let shown = folder.display();
    // Its parent must be there: a disk that is not mounted is not to be written beside.
    if let Err(error) = fs::create_dir(folder)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(
            EngineError::wrong(format!("cannot make folder `{shown}` of the lake"))
                .saying(error.to_string())
                .hint(
                    "make it, with rights for gristmill and for Trino, or change `[lake] location`",
                ),
        );
    }
    match LocalFileSystem::new_with_prefix(folder) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(
            EngineError::wrong(format!("cannot use folder `{shown}` of the lake"))
                .saying(error.to_string()),
        ),
    }
}

fn open_bucket(plan: &LakePlan, name: &str) -> EngineResult<Arc<dyn ObjectStore>> {
    super::tls::install();
    let read = |place: &crate::diagnostics::secret::SecretPlace, what| -> EngineResult<Secret> {
        Ok(place.read(what)?)
    };
    let builder = match &plan.keys {
        Some((access, secret)) => AmazonS3Builder::new()
            .with_access_key_id(read(access, "the access key of `[lake]`")?.exposed())
            .with_secret_access_key(read(secret, "the secret key of `[lake]`")?.exposed()),
        None => AmazonS3Builder::from_env(),
    };
    let in_the_clear = plan
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    let client = ClientOptions::new()
        .with_timeout(REQUEST_TIME)
        .with_connect_timeout(CONNECT_TIME)
        .with_allow_http(in_the_clear)
        // Where no certificate is looked at none need be there.
        .with_no_system_certificates(in_the_clear);
    let mut builder = builder
        .with_bucket_name(name)
        .with_region(&plan.region)
        .with_virtual_hosted_style_request(false)
        .with_client_options(client)
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(5),
                base: 2.0,
            },
            max_retries: TRIES_MAX,
            retry_timeout: plan.patience,
        });
    if let Some(endpoint) = &plan.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    match builder.build() {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(
            EngineError::wrong("cannot use the object storage of `[lake]`")
                .saying(error.to_string()),
        ),
    }
}

/// An error of the store, on the way to do something with something of it.
pub(super) fn error(location: &str, what: &str, error: &StoreError) -> EngineError {
    let words = error.to_string();
    let message = |reason: &str| format!("cannot {what} below `{location}`: {reason}");
    if let Some(found) = cause::<HttpError>(error) {
        let made = match found.kind() {
            HttpErrorKind::Connect
            | HttpErrorKind::Request
            | HttpErrorKind::Timeout
            | HttpErrorKind::Interrupted => {
                EngineError::unreachable(message("the object storage does not answer"))
                    .hint("see that it runs and that `[lake] endpoint` is right")
            }
            _ => EngineError::passing(message("the object storage answers with something else")),
        };
        return made.saying(words);
    }
    let made = match error {
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            EngineError::wrong(message("it may not"))
                .hint("see that the keys of `[lake]` are right and may write, read, list and delete there")
        }
        StoreError::NotFound { .. } => EngineError::wrong(message("there is no such place"))
            .hint("see that the bucket, or the folder, of `[lake] location` is there"),
        _ => match cause::<io::Error>(error) {
            Some(_) => EngineError::wrong(message("the folder does not take it"))
                .hint("see that the disk has room and gristmill has the right to write"),
            None if words.contains("status code: 5") || words.contains("SlowDown") => {
                EngineError::unreachable(message("the object storage is out of order"))
            }
            None => EngineError::wrong(message("the object storage refuses"))
                .hint("see that `[lake]` has the right endpoint, region and keys"),
        },
    };
    made.saying(words)
}

fn cause<E: std::error::Error + 'static>(error: &StoreError) -> Option<&E> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
