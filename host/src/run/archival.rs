//! Archives a payload while it is loaded. At the end, files that are not in the records
//! are removed.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::database::Database;
use crate::diagnostics::failure::Result;
use crate::ledger::archive::{Archive, ArchiveWrite, ArchivedPayload, FileCondition, WrittenFile};
use crate::ledger::publish::{ArchiveEntry, Upload};
use crate::payload::Payload;
use crate::terminal;

/// The part of a payload that the archive has so far.
#[derive(Debug, Default)]
pub(super) struct Archival {
    pending: Option<ArchiveWrite>,
    written: Option<WrittenFile>,
}

impl Archival {
    /// Begins with a payload that has something new.
    ///
    /// # Errors
    /// The archive is another's or cannot be written, or the database fails.
    pub(super) fn begin(
        archive: Option<&Archive>,
        payload: &Payload,
        upload: &mut Upload<'_>,
    ) -> Result<Self> {
        let pending = archive
            // Files that were loaded before are in the archive, but for accidents.
            .filter(|_| !upload.open_files.is_empty())
            .map(|archive| upload.begin_archiving(archive, payload))
            .transpose()?;
        Ok(Self {
            pending,
            written: None,
        })
    }

    /// Does the work while the payload is written, which is the disk's work more than a
    /// processor's.
    ///
    /// # Errors
    /// The work fails, or the archive cannot be written.
    pub(super) fn beside<T>(
        &mut self,
        payload: &Payload,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let Some(pending) = &self.pending else {
            return work();
        };
        let stop = AtomicBool::new(false);
        let (worked, written) = thread::scope(|scope| {
            let writing = scope.spawn(|| pending.write(payload, &stop));
            let worked = work();
            stop.store(worked.is_err(), Ordering::Relaxed);
            let written = writing.join();
            (worked, written.unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let worked = worked?;
        self.written = Some(written?);
        Ok(worked)
    }

    /// Puts the payload in its place, unless its files are there, whole, already. `here`
    /// are those that it brings.
    ///
    /// # Errors
    /// The archive cannot be written, or the database fails.
    pub(super) fn place(
        &mut self,
        archive: Option<&Archive>,
        database: &Database,
        payload: &Payload,
        upload: &mut Upload<'_>,
        here: Vec<String>,
    ) -> Result<Option<ArchiveEntry<'_>>> {
        let Some(archive) = archive else {
            return Ok(None);
        };
        let held = archive.held(database, upload.manifest_id, &here)?;
        if held.covers {
            return Ok(None);
        }
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => upload.begin_archiving(archive, payload)?,
        };
        let pending = self.pending.insert(pending);
        let written = match self.written.take() {
            Some(written) => written,
            None => pending.write(payload, &AtomicBool::new(false))?,
        };
        let written = self.written.insert(written);
        let kept = upload.place(pending, written, payload, here)?;
        for (bad, found) in &held.bad {
            terminal::say(&healed(bad, found, &kept));
        }
        let superseded = held.superseded_by(&kept);
        Ok(Some(ArchiveEntry {
            pending,
            kept,
            superseded,
        }))
    }

    /// The payload is in the records.
    pub(super) fn recorded(&mut self) {
        self.pending = None;
    }

    /// Removes files that are not in the records; `result` is that of the payload.
    ///
    /// # Errors
    /// The payload failed, or a file cannot be removed.
    pub(super) fn end<T>(self, upload: &mut Upload<'_>, result: Result<T>) -> Result<T> {
        let Some(pending) = self.pending else {
            return result;
        };
        match (result, upload.discard(pending)) {
            (Ok(came), discarded) => discarded.map(|()| came),
            (Err(failure), Ok(())) => Err(failure),
            (Err(failure), Err(also)) => Err(failure.followed_by(&also)),
        }
    }
}

/// Tells how a damaged or missing archived payload was replaced.
fn healed(bad: &ArchivedPayload, found: &FileCondition, kept: &ArchivedPayload) -> String {
    let shown = match bad.path() {
        Ok(path) => path.display().to_string(),
        Err(_) => bad.payload.clone(),
    };
    let was = match found {
        FileCondition::Damaged(reason) => format!("was damaged ({reason})"),
        _ => "was missing".to_string(),
    };
    match bad.digest == kept.digest {
        true => format!("archived payload `{shown}` {was}; its bytes are put back"),
        false => format!("archived payload `{shown}` {was}; this payload is kept in its place"),
    }
}
