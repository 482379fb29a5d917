//! Completes uploads: makes their generations count and, where no file is missing, publishes
//! them, in one transaction.
//!
//! An upload that repeats all of the one before it may be published together with that: the
//! summaries of their days are made once, and come out as if each had been made in turn,
//! since the later upload has every row of the earlier one.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::NaiveDate;
use sqlx::{Connection, PgConnection};

use super::archival::ArchiveEntry;
use super::clash::Tries;
use super::recording::{self, UploadIds, UploadName};
use super::source_session::SourceSession;
use super::{DayOutcome, Outcome, Upload, claims, generations};
use crate::database::SqlError;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::hindrance::Hindrance;
use crate::ingest::IngestedFile;
use crate::ledger::reuse::{self, Reuse};
use crate::ledger::run_record::{RunState, RunSums};
use crate::ledger::source::Source;
use crate::ledger::summarize::{self, SummaryCounts};
use crate::payload::Manifest;

/// The terms on which a generation is completed, besides its files.
#[derive(Clone, Copy, Debug)]
pub struct CompletionTerms<'a> {
    /// The sums of the run, for its record.
    pub sums: RunSums,
    /// The time that putting its rejected rows into quarantine may take.
    pub quarantine_time: Duration,
    /// The fingerprint of the plan by which it was loaded.
    pub fingerprint: &'a str,
    /// The earlier uploads whose generations it gets.
    pub reuse: &'a Reuse,
}

/// The result of completing a generation.
#[derive(Debug)]
pub enum Completion {
    /// Files that other tarballs of the payload have yet to bring.
    Waiting { missing: Vec<String> },
    Published {
        days: Vec<DayOutcome>,
        summarized: SummaryCounts,
    },
}

/// An upload that is loaded, and not completed yet.
pub struct LoadedUpload<'a> {
    ids: UploadIds,
    files: &'a [IngestedFile],
    terms: CompletionTerms<'a>,
    /// The payload in the archive, if it is new there.
    archived: Option<&'a ArchiveEntry<'a>>,
    missing: Vec<String>,
    kept_days: Vec<NaiveDate>,
    /// The one before it, all of which it repeats, to be published with it.
    earlier: Option<&'a LoadedUpload<'a>>,
}

/// What came of completing an upload and those before it.
pub struct Completed {
    /// Those before it, in their order; `None` where they are not complete either.
    pub earlier: Option<Result<Vec<Completion>>>,
    pub own: Result<Completion>,
}

impl<'a> LoadedUpload<'a> {
    /// Whether this upload is one that a later one may be published with: nothing of it is
    /// missing or rejected, and it has no days but those that it was loaded for.
    pub fn may_wait(&self) -> bool {
        let rejected = |file: &IngestedFile| file.rejected.rows() > 0;
        self.missing.is_empty() && self.kept_days.is_empty() && !self.files.iter().any(rejected)
    }

    /// Whether the upload of this manifest, of the same source, may come to repeat it.
    pub fn may_be_repeated_by(&self, manifest: &Manifest) -> bool {
        let (first, last) = reuse::window(manifest);
        let hours = self.files.iter().flat_map(|file| file.hours.keys());
        let mut hours = hours.peekable();
        !manifest.is_additive()
            && hours.peek().is_some()
            && hours.all(|hour| (first..=last).contains(hour))
    }

    /// Whether a later upload, which has this to reuse, repeats all of it.
    pub fn is_repeated_by(&self, reuse: &Reuse) -> bool {
        let reused = reuse.generations();
        let mut own = self.terms.reuse.generations();
        own.push(self.ids.generation);
        own.iter().all(|generation| reused.contains(generation))
    }

    /// How many wait, with this one.
    pub fn count(&self) -> usize {
        1 + self.earlier.map_or(0, LoadedUpload::count)
    }

    /// Those before it and itself, in their order.
    fn in_order<'l>(&'l self) -> Vec<&'l LoadedUpload<'a>> {
        let mut uploads = match self.earlier {
            Some(earlier) => earlier.in_order(),
            None => Vec::new(),
        };
        uploads.push(self);
        uploads
    }

    fn days(&self) -> BTreeSet<NaiveDate> {
        recording::days(self.files)
    }

    /// Makes the generation count and claims its days; `None` while files are missing.
    async fn count_in(&self, transaction: &mut PgConnection) -> Result<Option<Vec<DayOutcome>>> {
        let CompletionTerms {
            quarantine_time,
            fingerprint,
            reuse,
            ..
        } = self.terms;
        let ids = &self.ids;
        // Others may take over what is all that was read, and nothing else.
        let fingerprint = self.kept_days.is_empty().then_some(fingerprint);
        recording::generation(
            transaction,
            ids,
            self.files,
            true,
            quarantine_time,
            fingerprint,
        )
        .await?;
        if !self.kept_days.is_empty() {
            // An upload has each of its days once.
            let forgotten = generations::forget_days(transaction, ids.generation, &self.kept_days);
            forgotten
                .await
                .map_err(ids.name.failed("leave out the days that it has"))?;
        }
        let given = reuse.give_to(transaction, ids.manifest_id).await;
        // The source is locked, so that nobody removes one; a day without it would lose rows.
        if !given.map_err(ids.name.failed("reuse the generations of earlier uploads"))? {
            return Err(
                Failure::run("the generations that the upload was to reuse are gone")
                    .hint("run the payload again: it is loaded whole then"),
            );
        }
        match self.missing.is_empty() {
            true => claims::claim(transaction, ids).await.map(Some),
            false => Ok(None),
        }
    }

    /// Writes that it is published, or loaded.
    async fn close_in(
        &self,
        transaction: &mut PgConnection,
        source: &Source,
        is_published: bool,
    ) -> Result<()> {
        let ids = &self.ids;
        if is_published {
            claims::complete(transaction, ids).await?;
        }
        if let Some(archived) = self.archived {
            let recorded = archived.record(transaction, ids.manifest_id, source.source_uuid);
            recorded.await?;
        }
        let state = match is_published {
            true => RunState::Published,
            false => RunState::Loaded,
        };
        ids.close_run(transaction, state, self.terms.sums)
            .await
            .map_err(ids.name.failed("close the record of its run"))
    }
}

impl Upload<'_> {
    /// What is loaded of it. `earlier` is the upload before it, all of which it repeats.
    pub fn loaded<'a>(
        &self,
        files: &'a [IngestedFile],
        terms: CompletionTerms<'a>,
        archived: Option<&'a ArchiveEntry<'a>>,
        earlier: Option<&'a LoadedUpload<'a>>,
    ) -> LoadedUpload<'a> {
        LoadedUpload {
            ids: self.ids(&recording::days(files)),
            files,
            terms,
            archived,
            missing: self.missing(files),
            kept_days: self.kept_days.clone(),
            earlier,
        }
    }

    /// Files that other tarballs of the payload have yet to bring, when these are loaded.
    fn missing(&self, files: &[IngestedFile]) -> Vec<String> {
        let loaded: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let open = self.open_files.iter();
        open.filter(|file| !loaded.contains(file.as_str()))
            .cloned()
            .collect()
    }
}

impl SourceSession {
    /// Makes the generation of an upload count, and publishes when nothing is missing, together
    /// with what it reuses and with the uploads before it; when that fails, those before it by
    /// themselves first. Nothing is waited for while others wait for us. A transaction that
    /// meets another one is tried again; what waits for others says so.
    pub fn complete(&mut self, upload: &LoadedUpload<'_>) -> Completed {
        let together = self.complete_in_order(&upload.in_order());
        match (together, upload.earlier) {
            (Ok(mut completions), earlier) => {
                let own = completions.pop();
                Completed {
                    earlier: earlier.map(|_| Ok(completions)),
                    own: own.ok_or_else(|| Failure::bug("an upload was completed as none")),
                }
            }
            // Whoever is next to use the session says that it is lost.
            (Err(failure), Some(_)) if failure.hindrance == Some(Hindrance::Lost) => Completed {
                earlier: None,
                own: Err(failure),
            },
            (Err(failure), None) => Completed {
                earlier: None,
                own: Err(failure),
            },
            // Any of them may be what failed.
            (Err(failure), Some(earlier)) => {
                let earlier = self.complete_in_order(&earlier.in_order());
                let own = match &earlier {
                    Ok(_) => self
                        .complete_in_order(&[upload])
                        .and_then(|mut own| own.pop().ok_or(failure)),
                    Err(_) => Err(failure),
                };
                Completed {
                    earlier: Some(earlier),
                    own,
                }
            }
        }
    }

    /// Completes an upload and those before it, and nothing that comes after it.
    ///
    /// # Errors
    /// A statement fails; then nothing has changed.
    pub fn complete_earlier(&mut self, upload: &LoadedUpload<'_>) -> Result<Vec<Completion>> {
        self.complete_in_order(&upload.in_order())
    }

    fn complete_in_order(&mut self, uploads: &[&LoadedUpload<'_>]) -> Result<Vec<Completion>> {
        let database = self.database.clone();
        database.wait(async {
            let process = self.process;
            let completed = self.complete_in_tries(uploads);
            database.telling(process, completed).await
        })
    }

    async fn complete_in_tries(
        &mut self,
        uploads: &[&LoadedUpload<'_>],
    ) -> Result<Vec<Completion>> {
        match uploads.last() {
            Some(last) if last.missing.is_empty() => {
                let reused = last.terms.reuse.generations();
                let days = uploads.iter().flat_map(|upload| upload.days()).collect();
                self.prepare(last.ids.manifest_id, &last.ids.name, &reused, days)
                    .await?;
            }
            _ => self.held_still().await?,
        }
        let mut tries = Tries::new();
        loop {
            match self.try_complete(uploads).await {
                Err(failure) if tries.again(&failure).await => {}
                completed => return completed,
            }
        }
    }

    async fn try_complete(&mut self, uploads: &[&LoadedUpload<'_>]) -> Result<Vec<Completion>> {
        let Some(last) = uploads.last() else {
            return Ok(Vec::new());
        };
        let begun = self.connection.begin().await;
        let mut transaction = begun.map_err(last.ids.name.failed("begin the transaction"))?;
        let mut claimed = Vec::new();
        for upload in uploads {
            claimed.push(upload.count_in(&mut transaction).await?);
        }
        let won: BTreeSet<NaiveDate> = claimed
            .iter()
            .flatten()
            .flatten()
            .filter(|day| day.outcome == Outcome::Won)
            .map(|day| day.day)
            .collect();
        let won: Vec<NaiveDate> = won.into_iter().collect();
        let source_uuid = self.source.source_uuid;
        let mut summarized = summarize::days(&mut transaction, source_uuid, &won).await?;
        let mut completions = Vec::new();
        for (upload, days) in uploads.iter().zip(claimed).rev() {
            upload
                .close_in(&mut transaction, &self.source, days.is_some())
                .await?;
            completions.push(match days {
                Some(days) => Completion::Published {
                    days,
                    // All of it is the last one's.
                    summarized: std::mem::take(&mut summarized),
                },
                None => Completion::Waiting {
                    missing: upload.missing.clone(),
                },
            });
        }
        completions.reverse();
        let committed = transaction.commit().await;
        committed.map_err(last.ids.name.failed("commit the transaction"))?;
        failpoint::passed(Failpoint::PublishCommitted);
        Ok(completions)
    }

    /// Finds the uploads that the manifest may reuse, as if those that wait had been
    /// completed.
    pub(super) async fn reusable(
        &mut self,
        earlier: Option<&LoadedUpload<'_>>,
        find: impl AsyncFnOnce(&mut PgConnection) -> Result<Reuse, sqlx::Error>,
    ) -> Result<Reuse> {
        let failed = |error| SqlError(error).failure("cannot look for earlier uploads");
        let Some(earlier) = earlier else {
            return find(&mut self.connection).await.map_err(failed);
        };
        let mut transaction = self.connection.begin().await.map_err(failed)?;
        for upload in earlier.in_order() {
            upload.count_in(&mut transaction).await?;
            claims::complete(&mut transaction, &upload.ids).await?;
        }
        let found = find(&mut transaction).await.map_err(failed)?;
        transaction.rollback().await.map_err(failed)?;
        Ok(found)
    }

    /// Looks whether the source is still locked, and makes the summaries' partitions for
    /// what is about to be published.
    pub(super) async fn prepare(
        &mut self,
        manifest_id: i32,
        name: &UploadName,
        reused: &[i64],
        days: BTreeSet<NaiveDate>,
    ) -> Result<()> {
        self.held_still().await?;
        let days: Vec<NaiveDate> = days.into_iter().collect();
        let mut tries = Tries::new();
        loop {
            let lock = &mut self.connection;
            let ensured = generations::ensure_summaries(lock, manifest_id, reused, &days).await;
            match ensured.map_err(name.failed("make the partitions of its summaries")) {
                Err(failure) if tries.again(&failure).await => {}
                ensured => return ensured,
            }
        }
    }
}
