//! Writes a payload into the archive. Its file is recorded before it is written and named
//! before it is placed, each in a commit of its own. A run may die anywhere: a record
//! then tells `clean` what to remove.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::root::{Digest, FileCondition, Root};
use super::{Archive, ArchivedPayload, Owner};
use crate::database::SqlError;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::hindrance;
use crate::payload::Payload;

/// A file of the archive that is recorded and not yet part of a payload's record.
#[derive(Debug)]
pub struct ArchiveWrite {
    id: Uuid,
    owner: Owner,
    root: Root,
    /// Under which digest its record has it.
    named: OnceLock<Digest>,
}

/// The file that was written of a payload.
#[derive(Clone, Debug)]
pub struct WrittenFile {
    digest: Digest,
    bytes: u64,
}

impl ArchiveWrite {
    /// Records a file for the payload, in an archive that is made where there is none.
    ///
    /// # Errors
    /// The archive is another's or cannot be written, or the database fails.
    pub async fn begin(
        connection: &mut PgConnection,
        archive: &Archive,
        payload: &Payload,
        run_id: i64,
    ) -> Result<Self> {
        let unwritable = |error| cannot_keep(payload, &archive.directory, error);
        let claimed = archive
            .owner
            .claim(connection, &archive.directory, &unwritable);
        let (owner, root) = claimed.await?;
        let id = Uuid::new_v4();
        sqlx::query(include_str!(
            "../../../../sql/gristmill_archive_pending.insert.sql"
        ))
        .bind(id)
        .bind(archive.directory.to_string_lossy())
        .bind(run_id)
        .execute(connection)
        .await
        .map_err(failed)?;
        failpoint::passed(Failpoint::ArchiveBegun);
        Ok(Self {
            id,
            owner,
            root,
            named: OnceLock::new(),
        })
    }

    /// Writes the payload to disk, under a name that nobody looks for, unless told to
    /// `stop`. Needs no database.
    ///
    /// # Errors
    /// The payload cannot be read, or the archive not be written.
    pub fn write(&self, payload: &Payload, stop: &AtomicBool) -> Result<WrittenFile> {
        self.try_write(payload, stop)
            .map_err(|error| cannot_keep(payload, self.root.path(), error))
    }

    fn try_write(&self, payload: &Payload, stop: &AtomicBool) -> io::Result<WrittenFile> {
        let mut writer = HashingWriter {
            inner: BufWriter::with_capacity(1 << 16, self.root.begin(self.id)?),
            hasher: Sha256::new(),
            bytes: 0,
            stop,
        };
        payload.pack(&mut writer)?;
        writer.flush()?;
        let file = writer
            .inner
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        failpoint::passed(Failpoint::ArchiveWritten);
        let digest = hex::encode(writer.hasher.finalize());
        Ok(WrittenFile {
            digest: Digest::parse(&digest).ok_or_else(|| io::Error::other("no digest"))?,
            bytes: writer.bytes,
        })
    }

    /// Gives the file its place, unless its bytes are there already: what is damaged there
    /// is replaced. `files` are those of the payload's manifest that it brings.
    ///
    /// # Errors
    /// The archive was taken by another database or cannot be written, or the database
    /// fails.
    pub async fn place(
        &self,
        connection: &mut PgConnection,
        written: &WrittenFile,
        payload: &Payload,
        files: Vec<String>,
    ) -> Result<ArchivedPayload> {
        let digest = &written.digest;
        // `watch` runs for days, in which the archive may change hands.
        self.owner.open(self.root.path())?;
        let _ = self.named.set(digest.clone());
        sqlx::query(include_str!(
            "../../../../sql/gristmill_archive_pending.update.sql"
        ))
        .bind(self.id)
        .bind(digest.as_str())
        .execute(connection)
        .await
        .map_err(failed)?;
        failpoint::passed(Failpoint::ArchiveNamed);
        self.try_place(digest)
            .map_err(|error| cannot_keep(payload, self.root.path(), error))?;
        failpoint::passed(Failpoint::ArchivePlaced);
        let name = payload.path.file_name().unwrap_or_default();
        Ok(ArchivedPayload {
            digest: digest.as_str().to_string(),
            payload: name.to_string_lossy().into_owned(),
            files,
            bytes: written.bytes,
            directory: self.root.path().to_path_buf(),
        })
    }

    fn try_place(&self, digest: &Digest) -> io::Result<()> {
        if self.root.examine(digest)? == FileCondition::Whole {
            return self.root.remove_begun(self.id).map(drop);
        }
        self.root.place(self.id, digest)
    }

    /// Records the payload in the caller's transaction; its file is no longer pending
    /// then.
    pub async fn record(
        &self,
        connection: &mut PgConnection,
        manifest_id: i32,
        source_uuid: Uuid,
        kept: &ArchivedPayload,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(include_str!("../../../../sql/gristmill_archive.insert.sql"))
            .bind(manifest_id)
            .bind(&kept.digest)
            .bind(source_uuid)
            .bind(&kept.payload)
            .bind(&kept.files)
            .bind(kept.bytes as i64)
            .bind(kept.directory.to_string_lossy())
            .bind(self.id)
            .execute(connection)
            .await
            .map(drop)
    }

    /// Removes what was written and is not wanted.
    ///
    /// # Errors
    /// The file cannot be removed, or the database fails; then `clean` removes it.
    pub async fn discard(self, connection: &mut PgConnection) -> Result<()> {
        remove(connection, &self.root, self.id, self.named.get()).await?;
        failpoint::passed(Failpoint::ArchiveDiscarded);
        Ok(())
    }
}

/// Removes a pending file and its row; the tarball of a digest that is wanted by others
/// stays.
///
/// # Errors
/// The file cannot be removed, or the database fails.
pub(super) async fn remove(
    connection: &mut PgConnection,
    root: &Root,
    id: Uuid,
    digest: Option<&Digest>,
) -> Result<()> {
    let directory = root.path().display();
    let unremovable = |error: io::Error| {
        Failure::environment(format!("cannot remove a file of archive `{directory}`"))
            .because(error)
    };
    let mut transaction = connection.begin().await.map_err(failed)?;
    root.remove_begun(id).map_err(unremovable)?;
    if let Some(digest) = digest {
        lock(&mut transaction, digest).await.map_err(failed)?;
        let wanted: bool = sqlx::query_scalar(include_str!(
            "../../../../sql/gristmill_archive_pending.is_wanted.sql"
        ))
        .bind(id)
        .bind(root.path().to_string_lossy())
        .bind(digest.as_str())
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
        if !wanted {
            root.remove(digest).map_err(unremovable)?;
            failpoint::passed(Failpoint::ArchiveRemoved);
        }
    }
    sqlx::query(include_str!(
        "../../../../sql/gristmill_archive_pending.delete.sql"
    ))
    .bind(id)
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

async fn lock(connection: &mut PgConnection, digest: &Digest) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!(
        "../../../../sql/gristmill_archive_pending.lock.sql"
    ))
    .bind(digest.as_str())
    .execute(connection)
    .await
    .map(drop)
}

fn cannot_keep(payload: &Payload, directory: &Path, error: io::Error) -> Failure {
    let message = format!(
        "cannot archive payload `{}` in `{}`",
        payload.path.display(),
        directory.display()
    );
    Failure::hindered(hindrance::of_our_place(&error), message)
    .because(error)
    .hint("`directory` in `[archive]` names another place; `keep = false` does without, and without `gristmill replay`")
}

fn failed(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot record the file of the archive")
}

/// A writer that knows the digest of what went through it.
struct HashingWriter<'s, W> {
    inner: W,
    hasher: Sha256,
    bytes: u64,
    stop: &'s AtomicBool,
}

impl<W: Write> Write for HashingWriter<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the payload failed meanwhile"));
        }
        let written = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
