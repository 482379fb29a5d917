//! Uploads: their files, their generations, and the days that they win.
//!
//! `Upload::begin` opens a generation for a payload. `SourceSession::complete` makes it count
//! and, when every file that the manifest lists is there, publishes its days and their
//! summaries. That is one transaction: readers see all of it or nothing.

mod archival;
mod claims;
pub(super) mod clash;
mod completion;
mod generations;
mod recording;
pub mod replace;
pub(super) mod source_lock;
mod source_session;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use uuid::Uuid;

pub use self::archival::ArchiveEntry;
pub use self::claims::{DayOutcome, Outcome, held_days};
pub use self::completion::{Completed, Completion, CompletionTerms, LoadedUpload};
use self::generations::{forget, insert_manifest, open_generation};
use self::recording::{UploadIds, UploadName};
pub use self::source_session::SourceSession;
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::hindrance::Hindrance;
use crate::ingest::IngestedFile;
use crate::ledger::reuse::Reuse;
use crate::ledger::source::Source;
use crate::payload::Manifest;
use crate::pipeline::definition::EngineName;
use crate::pipeline::plan::Plan;

/// A payload being loaded, with its source locked against other runs.
pub struct Upload<'s> {
    session: &'s mut SourceSession,
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

impl<'s> Upload<'s> {
    /// Opens a generation of this manifest.
    ///
    /// # Errors
    /// The database fails, or knows the manifest with other files.
    pub fn begin(
        session: &'s mut SourceSession,
        plan: &Plan,
        manifest: &Manifest,
        run_id: i64,
    ) -> Result<Self> {
        let database = session.database.clone();
        database.wait(async {
            let begun = Self::locked(session, plan, manifest, run_id).await;
            let mut upload = begun.map_err(|(source, error)| {
                let failure = SqlError(error).failure("cannot open the upload");
                source_lock::in_its_session(&source, failure)
            })?;
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

    /// The rest of `begin`; with an error comes the source.
    async fn locked(
        session: &'s mut SourceSession,
        plan: &Plan,
        manifest: &Manifest,
        run_id: i64,
    ) -> Result<Self, (Source, sqlx::Error)> {
        let source = session.source.clone();
        let opened = async {
            let lock = &mut session.connection;
            let (manifest_id, is_additive) = insert_manifest(lock, plan, &source, manifest).await?;
            let files: Vec<(String, bool)> = sqlx::query_as(include_str!(
                "../../../../sql/reporting_common_costusagereportstatus.select.sql"
            ))
            .bind(manifest_id)
            .fetch_all(&mut *lock)
            .await?;
            let open_files: Vec<String> = files
                .iter()
                .filter(|(_, complete)| !complete)
                .map(|(name, _)| name.clone())
                .collect();
            let kept_days = match open_files.is_empty() {
                true => Vec::new(),
                false => generations::kept_days(lock, manifest_id).await?,
            };
            let generation = open_generation(lock, manifest_id, run_id, &source).await?;
            let known_files = files.into_iter().map(|(name, _)| name).collect();
            Ok((
                manifest_id,
                is_additive,
                open_files,
                known_files,
                kept_days,
                generation,
            ))
        };
        let (manifest_id, is_additive, open_files, known_files, kept_days, generation) =
            opened.await.map_err(|error| (source, error))?;
        Ok(Self {
            session,
            uuid: manifest.uuid,
            manifest_id,
            is_additive,
            generation,
            run_id,
            open_files,
            known_files,
            kept_days,
        })
    }

    /// Finds the earlier uploads that this one may reuse; none when a part of it is loaded
    /// already, or it still has some of its days. `fingerprint` is that of the plan, and
    /// `earlier` the upload before it that waits for it.
    ///
    /// # Errors
    /// The database fails.
    pub fn reusable(
        &mut self,
        manifest: &Manifest,
        fingerprint: &str,
        earlier: Option<&LoadedUpload<'_>>,
    ) -> Result<Reuse> {
        if self.open_files.len() < self.known_files.len() || !self.kept_days.is_empty() {
            return Ok(Reuse::default());
        }
        let database = self.session.database.clone();
        let manifest_id = self.manifest_id;
        database.wait(self.session.reusable(earlier, async |connection| {
            Reuse::find(connection, manifest_id, manifest, fingerprint).await
        }))
    }

    /// Takes back what was loaded, and opens a new generation in its place.
    ///
    /// # Errors
    /// The database fails.
    pub fn begin_again(&mut self) -> Result<()> {
        let database = self.session.database.clone();
        database.wait(async {
            let begun = async {
                let SourceSession {
                    connection, source, ..
                } = &mut *self.session;
                forget(connection, self.generation).await?;
                open_generation(connection, self.manifest_id, self.run_id, source).await
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

    /// All files of the manifest.
    pub fn known_files(&self) -> &[String] {
        &self.known_files
    }

    /// The session that has the source locked, for what comes after this upload.
    pub fn session(&mut self) -> &mut SourceSession {
        self.session
    }

    /// Whether other runs are still kept out of the source.
    ///
    /// # Errors
    /// The session that keeps them out has ended.
    pub fn check_lock(&mut self) -> Result<()> {
        let database = self.session.database.clone();
        database.wait(self.session.held_still())
    }

    /// As [`Upload::failed`].
    pub fn fail(mut self, failure: Failure, here: &[String]) -> Failure {
        let database = self.session.database.clone();
        database.wait(self.failed(failure, here))
    }

    /// Ends an upload that brought nothing new.
    ///
    /// # Errors
    /// The database fails; the next run of the source clears away the rest.
    pub fn abandon(mut self) -> Result<()> {
        let database = self.session.database.clone();
        database.wait(self.take_back(&[]))
    }

    pub fn cluster_id(&self) -> &str {
        &self.session.source.cluster_id
    }

    /// The choice of an engine that its source has of its own.
    pub fn engine(&self) -> Option<EngineName> {
        EngineName::named(self.session.source.engine.as_deref()?)
    }

    pub fn source_uuid(&self) -> Uuid {
        self.session.source.source_uuid
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

    /// Ends an upload after a failure, and takes back what was loaded. Returns what there
    /// is to say: whatever a lost lock made fail, that it is lost.
    async fn failed(&mut self, failure: Failure, here: &[String]) -> Failure {
        // Another connection may be what was lost.
        if failure.hindrance == Some(Hindrance::Lost) && self.session.held_still().await.is_err() {
            return source_lock::lost(&self.session.source, failure);
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
    async fn take_back(&mut self, here: &[String]) -> Result<()> {
        let source = self.session.source.clone();
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
        .execute(&mut self.session.connection)
        .await
        .map_err(failed)?;
        failpoint::passed(Failpoint::FilesFailed);
        forget(&mut self.session.connection, self.generation)
            .await
            .map_err(failed)?;
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
