//! Uploads: their files, their generations, and the days that they win.
//!
//! `Upload::begin` opens a generation for a payload. `Upload::complete` makes it count
//! and, when every file that the manifest lists is there, publishes its days and their
//! summaries. That is one transaction: readers see all of it or nothing.

mod archival;
mod claims;
pub(super) mod clash;
mod generations;
mod recording;
pub mod replace;
pub(super) mod source_lock;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::NaiveDate;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

pub use self::archival::ArchiveEntry;
pub use self::claims::{DayOutcome, Outcome, held_days};
use self::clash::Tries;
use self::generations::{
    ensure_summaries, forget, insert_manifest, open_generation, settle_unknown,
};
use self::recording::{UploadIds, UploadName};
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::hindrance::Hindrance;
use crate::ingest::IngestedFile;
use crate::ledger::reuse::Reuse;
use crate::ledger::run_record::{RunState, RunSums};
use crate::ledger::source::Source;
use crate::ledger::summarize::SummaryCounts;
use crate::payload::Manifest;
use crate::pipeline::definition::EngineName;
use crate::pipeline::plan::Plan;

/// A payload being loaded, with its source locked against other runs.
pub struct Upload {
    /// Holds the lock of the source; it is let go when this closes.
    lock: PgConnection,
    /// The number of the server process of this session.
    process: i32,
    database: Database,
    source: Source,
    /// The uuid of the manifest.
    uuid: Uuid,
    pub manifest_id: i32,
    /// Whether the ledger holds the manifest as one that adds to its days.
    pub is_additive: bool,
    pub generation: i64,
    run_id: i64,
    /// Files of the manifest that are not loaded yet.
    pub open_files: Vec<String>,
    /// All files of the manifest.
    known_files: Vec<String>,
    /// Days that the manifest still has, while its files are loaded once more for others
    /// that were removed.
    kept_days: Vec<NaiveDate>,
}

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

impl Upload {
    /// Waits for the source, clears away what dead runs left, and opens a
    /// generation of this manifest.
    ///
    /// # Errors
    /// The database fails.
    pub fn begin(
        database: &Database,
        plan: &Plan,
        source: Source,
        manifest: &Manifest,
        run_id: i64,
    ) -> Result<Self> {
        database.wait(async {
            let failed = |error| SqlError(error).failure("cannot open the upload");
            let mut lock = database.hold_session().await.map_err(failed)?;
            let process = source_lock::take(database, &mut lock, &source).await?;
            failpoint::passed(Failpoint::SourceLocked);
            let upload = Self::locked(
                database,
                (lock, process),
                plan,
                source.clone(),
                manifest,
                run_id,
            )
            .await
            .map_err(|error| source_lock::in_its_session(&source, failed(error)))?;
            let (known, listed) = (upload.known_files.iter(), manifest.files.iter());
            if known.collect::<BTreeSet<_>>() != listed.collect() {
                let uuid = manifest.uuid;
                let refused = Failure::run(format!(
                    "an upload {uuid} is known with another list of files"
                ))
                .hint("one of the two is not from the operator; nothing of this one was loaded");
                return Err(upload.failed(refused, &[]).await);
            }
            Ok(upload)
        })
    }

    /// The rest of `begin`, once the session `lock` has the source.
    async fn locked(
        database: &Database,
        (mut lock, process): (PgConnection, i32),
        plan: &Plan,
        source: Source,
        manifest: &Manifest,
        run_id: i64,
    ) -> Result<Self, sqlx::Error> {
        let dead: Vec<i64> = sqlx::query_scalar(include_str!(
            "../../../../sql/gristmill_generation.select_unfinished.sql"
        ))
        .bind(source.source_uuid)
        .fetch_all(&mut lock)
        .await?;
        for generation in dead {
            forget(&mut lock, generation).await?;
        }
        settle_unknown(&mut lock, plan, &source).await?;
        let (manifest_id, is_additive) =
            insert_manifest(&mut lock, plan, &source, manifest).await?;
        let files: Vec<(String, bool)> = sqlx::query_as(include_str!(
            "../../../../sql/reporting_common_costusagereportstatus.select.sql"
        ))
        .bind(manifest_id)
        .fetch_all(&mut lock)
        .await?;
        let open_files: Vec<String> = files
            .iter()
            .filter(|(_, complete)| !complete)
            .map(|(name, _)| name.clone())
            .collect();
        let kept_days = match open_files.is_empty() {
            true => Vec::new(),
            false => generations::kept_days(&mut lock, manifest_id).await?,
        };
        let generation = open_generation(&mut lock, manifest_id, run_id, &source).await?;
        Ok(Self {
            lock,
            process,
            database: database.clone(),
            source,
            uuid: manifest.uuid,
            manifest_id,
            is_additive,
            generation,
            run_id,
            open_files,
            known_files: files.into_iter().map(|(name, _)| name).collect(),
            kept_days,
        })
    }

    /// Finds the earlier uploads that this one may reuse; none when a part of it is loaded
    /// already, or it still has some of its days. `fingerprint` is that of the plan.
    ///
    /// # Errors
    /// The database fails.
    pub fn reusable(&mut self, manifest: &Manifest, fingerprint: &str) -> Result<Reuse> {
        let database = self.database.clone();
        database.wait(async {
            if self.open_files.len() < self.known_files.len() || !self.kept_days.is_empty() {
                return Ok(Reuse::default());
            }
            Reuse::find(&mut self.lock, self.manifest_id, manifest, fingerprint)
                .await
                .map_err(|error| SqlError(error).failure("cannot look for earlier uploads"))
        })
    }

    /// Takes back what was loaded, and opens a new generation in its place.
    ///
    /// # Errors
    /// The database fails.
    pub fn begin_again(&mut self) -> Result<()> {
        let database = self.database.clone();
        database.wait(async {
            let begun = async {
                forget(&mut self.lock, self.generation).await?;
                open_generation(&mut self.lock, self.manifest_id, self.run_id, &self.source).await
            };
            self.generation = begun
                .await
                .map_err(|error| SqlError(error).failure("cannot load the upload anew"))?;
            Ok(())
        })
    }

    /// Whether a file of the manifest is not loaded yet.
    pub fn is_open(&self, name: &str) -> bool {
        self.open_files.iter().any(|open| open == name)
    }

    /// Whether these are all the files of the manifest.
    pub fn is_whole(&self, files: &[IngestedFile]) -> bool {
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let mut known = self.known_files.iter();
        known.all(|file| names.contains(file.as_str()))
    }

    /// Makes the generation count, and publishes when nothing is missing, together with
    /// what it reuses. `archived` is the payload in the archive, if it is new there:
    /// nothing is waited for while others wait for us. A transaction that meets another
    /// one is tried again; what waits for others says so.
    ///
    /// # Errors
    /// A statement fails; then nothing has changed.
    pub fn complete(
        &mut self,
        files: &[IngestedFile],
        terms: &CompletionTerms<'_>,
        archived: Option<&ArchiveEntry<'_>>,
    ) -> Result<Completion> {
        let database = self.database.clone();
        database.wait(async {
            let process = self.process;
            let completed = self.complete_in_tries(files, terms, archived);
            database.telling(process, completed).await
        })
    }

    async fn complete_in_tries(
        &mut self,
        files: &[IngestedFile],
        terms: &CompletionTerms<'_>,
        archived: Option<&ArchiveEntry<'_>>,
    ) -> Result<Completion> {
        let missing = self.missing(files);
        match missing.is_empty() {
            true => {
                let reused = terms.reuse.generations();
                let days = recording::days(files);
                self.prepare(&reused, days).await?;
            }
            false => self.held_still().await?,
        }
        let mut tries = Tries::new();
        loop {
            let tried = self.try_complete(files, &missing, terms, archived);
            match tried.await {
                Err(failure) if tries.again(&failure).await => {}
                completed => return completed,
            }
        }
    }

    async fn try_complete(
        &mut self,
        files: &[IngestedFile],
        missing: &[String],
        terms: &CompletionTerms<'_>,
        archived: Option<&ArchiveEntry<'_>>,
    ) -> Result<Completion> {
        let CompletionTerms {
            sums,
            quarantine_time,
            fingerprint,
            reuse,
        } = *terms;
        let ids = self.ids(&recording::days(files));
        let begun = self.lock.begin().await;
        let mut transaction = begun.map_err(ids.name.failed("begin the transaction"))?;
        // Others may take over what is all that was read, and nothing else.
        let fingerprint = self.kept_days.is_empty().then_some(fingerprint);
        recording::generation(
            &mut transaction,
            &ids,
            files,
            true,
            quarantine_time,
            fingerprint,
        )
        .await?;
        if !self.kept_days.is_empty() {
            // An upload has each of its days once.
            let forgotten =
                generations::forget_days(&mut transaction, self.generation, &self.kept_days);
            forgotten
                .await
                .map_err(ids.name.failed("leave out the days that it has"))?;
        }
        let given = reuse.give_to(&mut transaction, self.manifest_id).await;
        // The source is locked, so that nobody removes one; a day without it would lose rows.
        if !given.map_err(ids.name.failed("reuse the generations of earlier uploads"))? {
            return Err(
                Failure::run("the generations that the upload was to reuse are gone")
                    .hint("run the payload again: it is loaded whole then"),
            );
        }
        let completed = if missing.is_empty() {
            let published = claims::publish(&mut transaction, &self.source, &ids);
            let (days, summarized) = published.await?;
            Completion::Published { days, summarized }
        } else {
            Completion::Waiting {
                missing: missing.to_vec(),
            }
        };
        if let Some(archived) = archived {
            let source_uuid = self.source.source_uuid;
            let recorded = archived.record(&mut transaction, self.manifest_id, source_uuid);
            recorded.await?;
        }
        let state = match &completed {
            Completion::Waiting { .. } => RunState::Loaded,
            Completion::Published { .. } => RunState::Published,
        };
        ids.close_run(&mut transaction, state, sums)
            .await
            .map_err(ids.name.failed("close the record of its run"))?;
        let committed = transaction.commit().await;
        committed.map_err(ids.name.failed("commit the transaction"))?;
        failpoint::passed(Failpoint::PublishCommitted);
        Ok(completed)
    }

    /// All files of the manifest.
    pub fn known_files(&self) -> &[String] {
        &self.known_files
    }

    /// Files that other tarballs of the payload have yet to bring, when these are loaded.
    fn missing(&self, files: &[IngestedFile]) -> Vec<String> {
        let loaded: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let open = self.open_files.iter();
        open.filter(|file| !loaded.contains(file.as_str()))
            .cloned()
            .collect()
    }

    /// Looks whether the source is still locked, and makes the summaries' partitions for
    /// what is about to be published.
    async fn prepare(&mut self, reused: &[i64], days: BTreeSet<NaiveDate>) -> Result<()> {
        self.held_still().await?;
        let name = UploadName::new(self.uuid, &days);
        let days: Vec<NaiveDate> = days.into_iter().collect();
        let mut tries = Tries::new();
        loop {
            let ensured = ensure_summaries(&mut self.lock, self.manifest_id, reused, &days).await;
            match ensured.map_err(name.failed("make the partitions of its summaries")) {
                Err(failure) if tries.again(&failure).await => {}
                ensured => return ensured,
            }
        }
    }

    /// Whether other runs are still kept out of the source. What publishes does so in the
    /// session that keeps them out, and fails with it; this says so in better words, and
    /// before anything is written on another connection.
    ///
    /// # Errors
    /// The session that has the lock has ended.
    pub(super) async fn held_still(&mut self) -> Result<()> {
        let held: Result<bool, sqlx::Error> = sqlx::query_scalar(include_str!(
            "../../../../sql/gristmill_source.holds_lock.sql"
        ))
        .bind(self.source.source_uuid.to_string())
        .fetch_one(&mut self.lock)
        .await;
        let cause = match held {
            Ok(true) => return Ok(()),
            Ok(false) => "another session was given in its place".to_string(),
            Err(error) => SqlError(error).to_string(),
        };
        Err(source_lock::lost(&self.source, Failure::run(cause)))
    }

    /// As [`Upload::held_still`].
    ///
    /// # Errors
    /// As there.
    pub fn check_lock(&mut self) -> Result<()> {
        let database = self.database.clone();
        database.wait(self.held_still())
    }

    /// As [`Upload::failed`].
    pub fn fail(self, failure: Failure, here: &[String]) -> Failure {
        let database = self.database.clone();
        database.wait(self.failed(failure, here))
    }

    /// Ends an upload that brought nothing new.
    ///
    /// # Errors
    /// The database fails; the next run of the source clears away the rest.
    pub fn abandon(self) -> Result<()> {
        let database = self.database.clone();
        database.wait(self.take_back(&[]))
    }

    pub fn cluster_id(&self) -> &str {
        &self.source.cluster_id
    }

    /// The choice of an engine that its source has of its own.
    pub fn engine(&self) -> Option<EngineName> {
        EngineName::named(self.source.engine.as_deref()?)
    }

    pub fn source_uuid(&self) -> Uuid {
        self.source.source_uuid
    }

    /// `days` are those that it has rows of.
    fn ids(&self, days: &BTreeSet<NaiveDate>) -> UploadIds {
        UploadIds {
            run_id: self.run_id,
            manifest_id: self.manifest_id,
            generation: self.generation,
            name: UploadName::new(self.uuid, days),
        }
    }

    /// Lets other runs at the source.
    pub fn close(self) {
        let database = self.database;
        database.wait(database.release_session(self.lock));
    }

    /// Ends an upload after a failure, and takes back what was loaded. Returns what there
    /// is to say: whatever a lost lock made fail, that it is lost.
    async fn failed(mut self, failure: Failure, here: &[String]) -> Failure {
        // Another connection may be what was lost.
        if failure.hindrance == Some(Hindrance::Lost) && self.held_still().await.is_err() {
            return source_lock::lost(&self.source, failure);
        }
        match self.take_back(here).await {
            Ok(()) => failure,
            Err(also) => failure.followed_by(&also),
        }
    }

    /// Takes back what was loaded.
    ///
    /// # Errors
    /// The database fails; the next run of the source clears away the rest.
    async fn take_back(mut self, here: &[String]) -> Result<()> {
        let source = self.source.clone();
        let failed = |error| {
            let failure = SqlError(error).failure("cannot remove the rows of the failed upload");
            source_lock::in_its_session(&source, failure)
        };
        sqlx::query(include_str!(
            "../../../../sql/reporting_common_costusagereportstatus.fail.sql"
        ))
        .bind(self.manifest_id)
        .bind(here)
        // The session of the failed transaction, which holds these files until it is
        // rolled back: another connection would wait for ever.
        .execute(&mut self.lock)
        .await
        .map_err(failed)?;
        failpoint::passed(Failpoint::FilesFailed);
        forget(&mut self.lock, self.generation)
            .await
            .map_err(failed)?;
        let _ = self.lock.close().await;
        Ok(())
    }
}

/// The pipeline that loaded an upload last.
///
/// # Errors
/// The database fails.
pub fn loaded_by(database: &Database, manifest_id: i32) -> Result<Option<String>> {
    database.wait(async {
        sqlx::query_scalar(include_str!(
            "../../../../sql/gristmill_run.select_pipeline.sql"
        ))
        .bind(manifest_id)
        .fetch_optional(database.pool())
        .await
        .map_err(|error| SqlError(error).failure("cannot read the runs"))
    })
}

/// The enabled tag keys.
///
/// # Errors
/// The database fails.
pub fn enabled_tag_keys(database: &Database) -> Result<Vec<String>> {
    database.wait(async {
        sqlx::query_scalar(include_str!(
            "../../../../sql/reporting_enabledtagkeys.select_enabled.sql"
        ))
        .fetch_all(database.pool())
        .await
        .map_err(|error| SqlError(error).failure("cannot read the enabled tag keys"))
    })
}
