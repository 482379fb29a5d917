//! Records an upload's payload in the archive, in the session that has its source locked.

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::Upload;
use crate::database::SqlError;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::archive::{self, Archive, ArchiveWrite, ArchivedPayload, WrittenFile};
use crate::payload::Payload;

/// A payload in its place in the archive, about to be recorded.
#[derive(Debug)]
pub struct ArchiveEntry<'a> {
    pub pending: &'a ArchiveWrite,
    pub kept: ArchivedPayload,
    /// Tarballs of the manifest in whose place it is.
    pub superseded: Vec<String>,
}

impl ArchiveEntry<'_> {
    pub(super) async fn record(
        &self,
        connection: &mut PgConnection,
        manifest_id: i32,
        source_uuid: Uuid,
    ) -> Result<()> {
        let recorded = async {
            if !self.superseded.is_empty() {
                archive::forget(&mut *connection, manifest_id, &self.superseded).await?;
            }
            let pending = self.pending;
            pending
                .record(connection, manifest_id, source_uuid, &self.kept)
                .await
        };
        recorded.await.map_err(failed)?;
        failpoint::passed(Failpoint::ArchiveRecorded);
        Ok(())
    }
}

impl Upload<'_> {
    /// As [`ArchiveWrite::begin`].
    ///
    /// # Errors
    /// As there.
    pub fn begin_archiving(
        &mut self,
        archive: &Archive,
        payload: &Payload,
    ) -> Result<ArchiveWrite> {
        let database = self.session.database.clone();
        database.wait(async {
            ArchiveWrite::begin(&mut self.session.connection, archive, payload, self.run_id).await
        })
    }

    /// As [`ArchiveWrite::place`].
    ///
    /// # Errors
    /// As there.
    pub fn place(
        &mut self,
        pending: &ArchiveWrite,
        written: &WrittenFile,
        payload: &Payload,
        files: Vec<String>,
    ) -> Result<ArchivedPayload> {
        let database = self.session.database.clone();
        database.wait(async {
            pending
                .place(&mut self.session.connection, written, payload, files)
                .await
        })
    }

    /// As [`ArchiveWrite::discard`].
    ///
    /// # Errors
    /// As there.
    pub fn discard(&mut self, pending: ArchiveWrite) -> Result<()> {
        let database = self.session.database.clone();
        database.wait(async { pending.discard(&mut self.session.connection).await })
    }

    /// Records that the payload is in the archive, when nothing else of it is new.
    ///
    /// # Errors
    /// The database fails.
    pub fn record_archived(&mut self, archived: &ArchiveEntry<'_>) -> Result<()> {
        let database = self.session.database.clone();
        database.wait(async {
            let mut transaction = self.session.connection.begin().await.map_err(failed)?;
            let (manifest_id, source_uuid) = (self.manifest_id, self.session.source.source_uuid);
            archived
                .record(&mut transaction, manifest_id, source_uuid)
                .await?;
            transaction.commit().await.map_err(failed)
        })
    }
}

fn failed(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot record the archived payload")
}
