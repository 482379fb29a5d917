//! The lake: hours of generations as Parquet files in object storage, or in a folder, for as
//! long as Trino needs them to fold them into days.
//!
//! It writes files and removes them, and knows nothing of Trino nor of Postgres. Each
//! generation's report has a [`Place`], which whoever asks for files has recorded before.

mod files;
mod place;
mod store;
pub(crate) mod tls;

use std::fs;
use std::io;
use std::path::{Path as FolderPath, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use futures_util::stream;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub use self::files::{FileWriters, FilesWritten};
pub use self::place::{Place, PlaceError};
use crate::diagnostics::engine_error::{EngineError, EngineResult};
use crate::diagnostics::failure::Failure;
use crate::pipeline::plan::{LakeLocation, LakePlan, LakeStore};

/// How often what is left below a place is removed: who was about to write something there
/// when it began may have done so since.
const ROUNDS_MAX: u32 = 3;

/// Files in a store. A clone is another handle of the same.
#[derive(Clone)]
pub struct Lake {
    shared: Arc<Shared>,
    /// Threads ask the store, and wait for the answer.
    runtime: Handle,
}

struct Shared {
    store: Arc<dyn ObjectStore>,
    location: LakeLocation,
    /// The beginning of all names in a bucket.
    prefix: String,
    /// The folder, where it is one.
    folder: Option<PathBuf>,
    open_files: Arc<Semaphore>,
}

impl Lake {
    /// Opens the store; it is asked for nothing yet. The functions of a lake wait on the
    /// thread that calls them, which must not be one of the runtime's.
    ///
    /// # Errors
    /// A key is not where the definition says, or the folder cannot be made.
    pub fn open(plan: &LakePlan, runtime: Handle) -> EngineResult<Lake> {
        let (prefix, folder) = match &plan.location.store {
            LakeStore::Folder(folder) => (String::new(), Some(folder.clone())),
            LakeStore::Bucket { prefix, .. } => (prefix.clone(), None),
        };
        // A store's client belongs to the runtime that it is made in.
        let _guard = runtime.enter();
        let store = store::open(plan)?;
        Ok(Lake {
            shared: Arc::new(Shared {
                store,
                location: plan.location.clone(),
                prefix,
                folder,
                open_files: Arc::new(Semaphore::new(plan.open_files)),
            }),
            runtime: runtime.clone(),
        })
    }

    /// Where it is, for messages.
    pub fn location(&self) -> &str {
        &self.shared.location.shown
    }

    /// Writers of one worker for a place.
    pub fn files(&self, place: &Place) -> FileWriters {
        FileWriters::new(self, place)
    }

    /// What Trino calls the folder of a place's files.
    pub fn data_in_trino(&self, place: &Place) -> String {
        format!("{}/{}", self.shared.location.in_trino, place.data())
    }

    /// What Trino calls the folder of a place's table.
    pub fn table_in_trino(&self, place: &Place) -> String {
        format!("{}/{}", self.shared.location.in_trino, place.table_folder())
    }

    /// Removes everything below a place, and says how many files there were. Where nothing is,
    /// that is as well.
    ///
    /// # Errors
    /// The store does not answer, or something is there again and again.
    pub fn remove(&self, place: &Place) -> EngineResult<u64> {
        if let Some(folder) = &self.shared.folder {
            return remove_folder(folder, place).map_err(|error| {
                EngineError::wrong(format!("cannot remove files below `{}`", self.location()))
                    .saying(error.to_string())
                    .hint("see that gristmill has the right to remove what Trino writes there")
            });
        }
        let path = self.path(&place.to_string())?;
        let mut removed = 0;
        for _ in 0..ROUNDS_MAX {
            let found = self.list(&path)?;
            if found.is_empty() {
                return Ok(removed);
            }
            removed += found.len() as u64;
            let store = &self.shared.store;
            let deleted = store.delete_stream(Box::pin(stream::iter(found.into_iter().map(Ok))));
            self.wait(deleted.try_for_each(|_| async { Ok(()) }))
                .or_else(|error| match error {
                    object_store::Error::NotFound { .. } => Ok(()),
                    error => Err(store::error(self.location(), "remove files", &error)),
                })?;
        }
        match self.list(&path)?.is_empty() {
            true => Ok(removed),
            false => Err(EngineError::passing(format!(
                "files below `{}/{place}` come again as they are removed",
                self.location()
            ))),
        }
    }

    /// The names of all files below a place.
    ///
    /// # Errors
    /// The store does not answer.
    pub fn files_below(&self, place: &Place) -> EngineResult<Vec<String>> {
        let found = self.list(&self.path(&place.to_string())?)?;
        Ok(found.into_iter().map(String::from).collect())
    }

    /// Writes a file, reads it and removes it.
    ///
    /// # Errors
    /// It cannot do one of these.
    pub fn probe(&self, place: &Place) -> EngineResult<()> {
        let failed = |what: &'static str| move |error| store::error(self.location(), what, &error);
        let path = self.path(&format!("{place}/probe"))?;
        let store = &self.shared.store;
        let words = b"gristmill".as_slice();
        self.wait(store.put(&path, PutPayload::from_static(words)))
            .map_err(failed("write a file"))?;
        let read = self
            .wait(async { store.get(&path).await?.bytes().await })
            .map_err(failed("read a file"))?;
        if read != words {
            let message = format!(
                "a file below `{}` has not what was written",
                self.location()
            );
            return Err(EngineError::wrong(message));
        }
        self.remove(place).map(drop)
    }

    fn list(&self, path: &Path) -> EngineResult<Vec<Path>> {
        let listed = self.shared.store.list(Some(path));
        self.wait(listed.map_ok(|object| object.location).try_collect())
            .map_err(|error| store::error(self.location(), "list files", &error))
    }

    /// The name in the store of what is at a path below the location.
    fn path(&self, below: &str) -> EngineResult<Path> {
        let whole = match self.shared.prefix.is_empty() {
            true => below.to_owned(),
            false => format!("{}/{below}", self.shared.prefix),
        };
        Ok(Path::parse(&whole).map_err(|error| {
            Failure::bug(format!("`{whole}` is no name of a file")).because(error)
        })?)
    }

    fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.runtime.block_on(asked)
    }
}

/// Folders go as they are, with files that were begun and with what Trino left. The folders
/// above go too, when nothing is in them any more.
fn remove_folder(location: &FolderPath, place: &Place) -> io::Result<u64> {
    let folder = location.join(place.to_string());
    let removed = count_files(&folder)?;
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for above in folder.ancestors().skip(1) {
        if above == location || fs::remove_dir(above).is_err() {
            break;
        }
    }
    Ok(removed)
}

fn count_files(folder: &FolderPath) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut count = 0;
    for entry in entries {
        let entry = entry?;
        count += match entry.file_type()?.is_dir() {
            true => count_files(&entry.path())?,
            false => 1,
        };
    }
    Ok(count)
}
