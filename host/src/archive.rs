//! The archive: every payload that was loaded, kept under the SHA-256 of its bytes.
//!
//! A tarball is in place, whole and on disk, before the transaction that records
//! it commits: what a crash leaves is at worst a file that nothing refers to. Files are
//! never changed, and readable by their owner alone.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::database::{Database, SqlError};
use crate::digest::hexadecimal;
use crate::failure::{Failure, Result};
use crate::payload::Payload;
use crate::step::{self, Step};
use crate::transience;

/// Where payloads of one schema are kept.
#[derive(Clone, Debug)]
pub struct Archive {
    directory: PathBuf,
}

/// A payload that was put into an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub digest: String,
    pub payload: String,
    /// The files of its manifest that are in it.
    pub files: Vec<String>,
    pub bytes: u64,
    pub directory: PathBuf,
}

#[derive(FromRow)]
struct KeptRow {
    digest: String,
    payload: String,
    files: Vec<String>,
    bytes: i64,
    directory: String,
}

impl From<KeptRow> for Kept {
    fn from(row: KeptRow) -> Self {
        Self {
            digest: row.digest,
            payload: row.payload,
            files: row.files,
            bytes: row.bytes as u64,
            directory: row.directory.into(),
        }
    }
}

impl Kept {
    /// The tarball's place.
    pub fn path(&self) -> PathBuf {
        place(&self.directory, &self.digest)
    }

    /// Whether the tarball is what was put there.
    ///
    /// # Errors
    /// It cannot be read, or has other bytes.
    pub fn verify(&self) -> Result<()> {
        let path = self.path();
        let shown = path.display();
        let digest = digest_of(&path).map_err(|error| {
            Failure::run(format!("cannot read archived payload `{shown}`")).because(error)
        })?;
        if digest == self.digest {
            return Ok(());
        }
        Err(Failure::run(format!(
            "archived payload `{shown}` is damaged: its SHA-256 is {digest}"
        ))
        .hint("put the payload's own file in its place, or run that payload again"))
    }
}

impl Archive {
    /// The archive of a schema below a directory that several schemas may share.
    ///
    /// # Errors
    /// The place of the directory cannot be made out.
    pub fn below(directory: &Path, schema: &str) -> Result<Self> {
        let directory = std::path::absolute(directory).map_err(|error| {
            Failure::environment(format!("cannot use archive `{}`", directory.display()))
                .because(error)
        })?;
        Ok(Self {
            directory: directory.join(schema),
        })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A tarball as if it had been put here.
    #[must_use]
    pub fn kept(&self, kept: Kept) -> Kept {
        Kept {
            directory: self.directory.clone(),
            ..kept
        }
    }

    /// Puts a payload into the archive. `files` are those of its manifest that it
    /// brings.
    ///
    /// # Errors
    /// The payload cannot be read, or the archive not be written.
    pub fn keep(&self, payload: &Payload, files: Vec<String>) -> Result<Kept> {
        let (digest, bytes) = self.try_keep(payload).map_err(|error| {
            let message = format!(
                "cannot archive payload `{}` in `{}`",
                payload.path.display(),
                self.directory.display()
            );
            Failure::hindered(transience::of_our_place(&error), message)
            .because(error)
            .hint("`directory` in `[archive]` names another place; `keep = false` does without, and without `gristmill replay`")
        })?;
        let name = payload.path.file_name().unwrap_or_default();
        Ok(Kept {
            digest,
            payload: name.to_string_lossy().into_owned(),
            files,
            bytes,
            directory: self.directory.clone(),
        })
    }

    fn try_keep(&self, payload: &Payload) -> io::Result<(String, u64)> {
        let base = self.directory.parent().and_then(Path::parent);
        // The local server lives beside the archive, and may be another user's.
        base.map_or(Ok(()), |base| create_directory(base, 0o711))?;
        create_directory(&self.directory, 0o700)?;
        let unfinished = Unfinished(
            self.directory
                .join(format!(".{}.unfinished", Uuid::new_v4())),
        );
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished.0)?;
        let mut writer = Hashing {
            inner: BufWriter::with_capacity(1 << 16, file),
            hasher: Sha256::new(),
            bytes: 0,
        };
        payload.pack(&mut writer)?;
        writer.flush()?;
        let file = writer
            .inner
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        step::passed(Step::ArchiveWritten);
        let digest = hexadecimal(&writer.hasher.finalize());
        let place = place(&self.directory, &digest);
        if place.is_file() {
            // It is in use from now on, should nobody have recorded it before.
            File::open(&place)?.set_modified(SystemTime::now())?;
        } else {
            file.sync_all()?;
            let folder = place.parent().unwrap_or(&self.directory);
            create_directory(folder, 0o700)?;
            fs::rename(&unfinished.0, &place)?;
            File::open(folder)?.sync_all()?;
            File::open(&self.directory)?.sync_all()?;
            step::passed(Step::ArchivePlaced);
        }
        Ok((digest, writer.bytes))
    }
}

/// The archived tarballs of a manifest, in the order in which they came.
///
/// # Errors
/// The database fails.
pub async fn of_manifest(database: &Database, manifest_id: i32) -> Result<Vec<Kept>> {
    let rows: Vec<KeptRow> = sqlx::query_as(include_str!("../../sql/gristmill_archive.select.sql"))
        .bind(manifest_id)
        .fetch_all(database.pool())
        .await
        .map_err(|error| SqlError(error).failure("cannot read the archive's records"))?;
    Ok(rows.into_iter().map(Kept::from).collect())
}

/// Whether every one of these files is in the archive already.
///
/// # Errors
/// The database fails.
pub async fn holds(database: &Database, manifest_id: i32, files: &[String]) -> Result<bool> {
    let kept = of_manifest(database, manifest_id).await?;
    let held: BTreeSet<&String> = kept
        .iter()
        .filter(|kept| kept.path().is_file())
        .flat_map(|kept| &kept.files)
        .collect();
    Ok(files.iter().all(|file| held.contains(file)))
}

/// Records what was kept, in the caller's transaction.
///
/// # Errors
/// The database fails.
pub async fn record(
    connection: &mut PgConnection,
    manifest_id: i32,
    source_uuid: Uuid,
    kept: &Kept,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/gristmill_archive.insert.sql"))
        .bind(manifest_id)
        .bind(&kept.digest)
        .bind(source_uuid)
        .bind(&kept.payload)
        .bind(&kept.files)
        .bind(kept.bytes as i64)
        .bind(kept.directory.to_string_lossy())
        .execute(connection)
        .await
        .map(drop)
}

/// Where a directory holds a tarball.
pub fn place(directory: &Path, digest: &str) -> PathBuf {
    directory
        .join(digest.get(..2).unwrap_or_default())
        .join(format!("{digest}.tar.gz"))
}

/// What is there stays as it is.
fn create_directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

fn digest_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// A file that is gone when this is dropped, unless it got another name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        let _ = fs::remove_file(&self.0);
    }
}

/// A writer that knows the digest of what went through it.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
