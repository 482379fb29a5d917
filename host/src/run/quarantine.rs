//! Replays payloads that have rows in quarantine, each in place of all that it made. Rows
//! that the pipeline takes now are resolved.

use serde::Serialize;

use super::ingestion::Ingestion;
use super::replay::Replay;
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::archive::Archives;
use crate::ledger::publish::replace::Holder;
use crate::ledger::quarantine::{self, OpenUpload};
use crate::ledger::source;
use crate::terminal::Turn;

/// The settings of replaying payloads with rows in quarantine.
pub struct QuarantineReplay<'a> {
    pub ingestion: Ingestion<'a>,
    pub archives: Archives,
}

/// The result for the rows of a payload.
#[derive(Debug, Serialize)]
pub struct ReplayedRows {
    pub payload: String,
    upload: String,
    pub run: Option<i64>,
    pub rows_open_before: i64,
    pub rows_open: i64,
    error: Option<String>,
}

impl QuarantineReplay<'_> {
    /// Replays the payloads of uploads, one after another, and goes on when one fails.
    pub fn uploads(&self, uploads: Vec<OpenUpload>) -> (Vec<ReplayedRows>, Vec<Failure>) {
        let mut replayed = Vec::new();
        let mut failures = Vec::new();
        let of = uploads.len();
        for (before, upload) in uploads.into_iter().enumerate() {
            let number = before + 1;
            let turn = Turn { number, of };
            let mut rows = ReplayedRows {
                payload: upload.payload.clone(),
                upload: upload.assembly_id.clone(),
                run: None,
                rows_open_before: upload.rows_open,
                rows_open: upload.rows_open,
                error: None,
            };
            match self.upload(&upload, turn) {
                Ok((run, rows_open)) => {
                    rows.run = Some(run);
                    rows.rows_open = rows_open;
                }
                Err(failure) => {
                    rows.error = Some(failure.to_string());
                    failures.push(failure);
                }
            }
            replayed.push(rows);
        }
        (replayed, failures)
    }

    /// Replays the payload of an upload; returns the run, and the rows that are open still.
    fn upload(&self, upload: &OpenUpload, turn: Turn) -> Result<(i64, i64)> {
        let database = self.ingestion.database;
        let run = self.payload(upload, turn)?;
        let still = quarantine::open_uploads(database, Some(upload.source_uuid), None)?;
        let mut same = still.iter();
        let same = same.find(|one| one.manifest_id == upload.manifest_id);
        Ok((run, same.map_or(0, |one| one.rows_open)))
    }

    fn payload(&self, upload: &OpenUpload, turn: Turn) -> Result<i64> {
        let again = || {
            format!(
                "`gristmill run` of payload `{}` with the pipeline as it is now does the same",
                upload.payload
            )
        };
        if !upload.published {
            return Err(Failure::run(format!(
                "upload {} was never published, so there is nothing to put its rows to",
                upload.assembly_id
            ))
            .hint(again()));
        }
        let replay = Replay {
            ingestion: self.ingestion,
            archives: self.archives.clone(),
            source: source::of_uuid(self.ingestion.database, upload.source_uuid)?,
        };
        let holder = Holder {
            manifest_id: upload.manifest_id,
            assembly_id: upload.assembly_id.clone(),
            days: Vec::new(),
        };
        let replayable = replay.replayable(holder)?.map_err(|_| {
            Failure::run(format!(
                "the archive lacks the payload of upload {}",
                upload.assembly_id
            ))
            .hint("`gristmill run` of the payload puts it into the archive")
        })?;
        let (_, _, run) = replay.run(replayable, None, Some(turn));
        run.map(|(run, _)| run)
    }
}
