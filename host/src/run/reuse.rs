//! Reuse by a payload: hours that earlier uploads brought are not loaded again. Only the
//! whole payload shows whether it repeats them, so loading may take several attempts.

use super::ingestion::{IngestOutput, Selection, Words};
use super::task::OpenUpload;
use crate::diagnostics::failure::Result;
use crate::diagnostics::hindrance::Hindrance;
use crate::ingest::Rejects;
use crate::ledger::quarantine::RejectWriter;
use crate::ledger::reuse::Reuse;
use crate::payload::Payload;
use crate::terminal;

/// Finds the earlier uploads that the payload may reuse.
///
/// # Errors
/// The database fails.
pub(super) fn find(
    open: &mut OpenUpload<'_>,
    payload: &Payload,
    fingerprint: &str,
) -> Result<Reuse> {
    // A capture is of every row that a stage breaks at, so the stages must see all rows.
    match open.ingestion.capture {
        Some(_) => Ok(Reuse::default()),
        None => {
            let earlier = open.earlier.waiting();
            let manifest = &payload.manifest;
            match open.upload.reusable(manifest, fingerprint, earlier) {
                // What is wrong may be with the earlier one: this one need not share it.
                Err(failure) if earlier.is_some() && failure.hindrance != Some(Hindrance::Lost) => {
                    open.settle_earlier(None);
                    open.upload.reusable(manifest, fingerprint, None)
                }
                found => found,
            }
        }
    }
}

/// Loads the payload without the hours of the uploads in `reuse`, and leaves those in it
/// that the payload repeats. `None` when it repeats none of them: then nothing is loaded.
///
/// # Errors
/// The database fails.
pub(super) fn ingest(
    open: &mut OpenUpload<'_>,
    payload: &Payload,
    words: &Words,
    reuse: &mut Reuse,
) -> Result<Option<IngestOutput>> {
    let ingestion = open.ingestion;
    while !reuse.is_empty() {
        let loader = open.loader([payload])?;
        let sink = RejectWriter::of(ingestion.database, open.upload.generation);
        let rejects = Rejects::new(&ingestion.plan.budget, &sink);
        let selection = Selection {
            name: &open.name,
            file: &|name| open.upload.is_open(name),
            reused: &reuse.hours(),
        };
        let (log, ingested) = ingestion.attempt(payload, &loader, words, selection, &rejects);
        let failure = match ingested {
            Ok(ingested) if open.upload.is_whole(&ingested.files) => {
                if !reuse.drop_unlike(&ingested.files) {
                    terminal::log(Some(&open.name), &log);
                    return Ok(Some(ingested));
                }
                None
            }
            Ok(_) => {
                *reuse = Reuse::default();
                None
            }
            // The user is told what is wrong with the payload as if there had been no
            // earlier upload.
            Err(failure) => {
                *reuse = Reuse::default();
                Some(failure)
            }
        };
        open.upload.begin_again().map_err(|also| match failure {
            Some(failure) => failure.followed_by(&also),
            None => also,
        })?;
    }
    Ok(None)
}
