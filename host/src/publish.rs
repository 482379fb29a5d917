//! The ledger: which upload there is, what of it is loaded, which days it wins.
//!
//! `Upload::begin` opens a generation for a payload; `Upload::complete` makes it
//! count and, when every file that the manifest lists is there, publishes its days
//! and their summaries. That is one transaction: readers see all of it or nothing.

mod recording;
pub mod replace;

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate, NaiveTime};
use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

use self::recording::UploadIds;
use crate::archive::{self, Kept};
use crate::database::{Database, SqlError};
use crate::failure::{Failure, Result};
use crate::ingest::IngestedFile;
use crate::payload::Manifest;
use crate::plan::{AggregationEngine, Plan};
use crate::run_record::{RunState, RunSums};
use crate::source::Source;
use crate::step::{self, Step};
use crate::summarize::{self, Summarized};
use crate::takeover::Earlier;

/// A payload being loaded, with its source locked against other runs.
pub struct Upload {
    /// Holds the lock of the source; it is let go when this closes.
    lock: PgConnection,
    source: Source,
    pub manifest_id: i32,
    pub generation: i64,
    run_id: i64,
    /// Files of the manifest that are not loaded yet.
    pub open_files: Vec<String>,
    /// All files of the manifest.
    known_files: Vec<String>,
}

/// What came of a claim on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayOutcome {
    pub day: NaiveDate,
    pub hours: i32,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The day is this upload's now.
    Won,
    /// It was before, and nothing about it changed.
    Kept,
    /// Another upload covers it better.
    Lost,
}

/// What completing a generation takes besides its files.
#[derive(Clone, Copy, Debug)]
pub struct Completing<'a> {
    /// The payload in the archive.
    pub kept: Option<&'a Kept>,
    pub engine: AggregationEngine,
    /// Those of the run, whose record says so too.
    pub sums: RunSums,
    /// Of the plan by which it was loaded.
    pub fingerprint: &'a str,
    /// What it takes over.
    pub earlier: &'a Earlier,
}

/// What completing a generation did.
#[derive(Debug)]
pub enum Completed {
    /// Files that other tarballs of the payload have yet to bring.
    Waiting { missing: Vec<String> },
    Published {
        days: Vec<DayOutcome>,
        summarized: Summarized,
    },
}

impl Upload {
    /// Waits for the source, clears away what dead runs left, and opens a
    /// generation of this manifest.
    ///
    /// # Errors
    /// The database fails.
    pub async fn begin(
        database: &Database,
        plan: &Plan,
        source: Source,
        manifest: &Manifest,
        run_id: i64,
        say: &dyn Fn(&str),
    ) -> Result<Self> {
        let upload = Self::try_begin(database, plan, source, manifest, run_id, say)
            .await
            .map_err(|error| SqlError(error).failure("cannot open the upload"))?;
        let (known, listed) = (upload.known_files.iter(), manifest.files.iter());
        if known.collect::<BTreeSet<_>>() != listed.collect() {
            let uuid = manifest.uuid;
            upload.abandon(&[]).await?;
            return Err(Failure::run(format!(
                "an upload {uuid} is known with another list of files"
            ))
            .hint("one of the two is not from the operator; nothing of this one was loaded"));
        }
        Ok(upload)
    }

    async fn try_begin(
        database: &Database,
        plan: &Plan,
        source: Source,
        manifest: &Manifest,
        run_id: i64,
        say: &dyn Fn(&str),
    ) -> Result<Self, sqlx::Error> {
        let mut lock = database.pool().acquire().await?.detach();
        let locked: bool =
            sqlx::query_scalar(include_str!("../../sql/gristmill_source.try_lock.sql"))
                .bind(source.source_uuid.to_string())
                .fetch_one(&mut lock)
                .await?;
        if !locked {
            say(&format!(
                "waiting for another run at work on cluster `{}`",
                source.cluster_id
            ));
            sqlx::query(include_str!("../../sql/gristmill_source.lock.sql"))
                .bind(source.source_uuid.to_string())
                .execute(&mut lock)
                .await?;
        }
        step::passed(Step::SourceLocked);
        let dead: Vec<i64> = sqlx::query_scalar(include_str!(
            "../../sql/gristmill_generation.select_unfinished.sql"
        ))
        .bind(source.source_uuid)
        .fetch_all(&mut lock)
        .await?;
        for generation in dead {
            forget(&mut lock, generation).await?;
        }
        let manifest_id = insert_manifest(&mut lock, plan, &source, manifest).await?;
        let files: Vec<(String, bool)> = sqlx::query_as(include_str!(
            "../../sql/reporting_common_costusagereportstatus.select.sql"
        ))
        .bind(manifest_id)
        .fetch_all(&mut lock)
        .await?;
        let generation = open_generation(&mut lock, manifest_id, run_id, &source).await?;
        Ok(Self {
            lock,
            source,
            manifest_id,
            generation,
            run_id,
            open_files: files
                .iter()
                .filter(|(_, complete)| !complete)
                .map(|(name, _)| name.clone())
                .collect(),
            known_files: files.into_iter().map(|(name, _)| name).collect(),
        })
    }

    /// The uploads before this one that it may take over, if nothing of it is loaded.
    /// `fingerprint` is that of the plan.
    ///
    /// # Errors
    /// The database fails.
    pub async fn earlier(&mut self, manifest: &Manifest, fingerprint: &str) -> Result<Earlier> {
        if self.open_files.len() < self.known_files.len() {
            return Ok(Earlier::default());
        }
        Earlier::find(&mut self.lock, self.manifest_id, manifest, fingerprint)
            .await
            .map_err(|error| SqlError(error).failure("cannot look for earlier uploads"))
    }

    /// Takes back what was loaded, and opens a new generation in its place.
    ///
    /// # Errors
    /// The database fails.
    pub async fn begin_again(&mut self) -> Result<()> {
        let begun = async {
            forget(&mut self.lock, self.generation).await?;
            open_generation(&mut self.lock, self.manifest_id, self.run_id, &self.source).await
        };
        self.generation = begun
            .await
            .map_err(|error| SqlError(error).failure("cannot load the upload anew"))?;
        Ok(())
    }

    /// Whether these are all the files of the manifest.
    pub fn is_whole(&self, files: &[IngestedFile]) -> bool {
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let mut known = self.known_files.iter();
        known.all(|file| names.contains(file.as_str()))
    }

    /// Makes the generation count, and publishes when nothing is missing, together with
    /// what is taken over.
    ///
    /// # Errors
    /// A statement fails; then nothing has changed.
    pub async fn complete(
        &mut self,
        files: &[IngestedFile],
        completing: &Completing<'_>,
    ) -> Result<Completed> {
        let Completing {
            kept,
            engine,
            sums,
            fingerprint,
            earlier,
        } = *completing;
        let failed = |error| SqlError(error).failure("cannot publish");
        let ids = self.ids();
        let mut transaction = self.lock.begin().await.map_err(failed)?;
        recording::generation(&mut transaction, &ids, files, true, Some(fingerprint))
            .await
            .map_err(failed)?;
        if !earlier.is_empty() {
            take_over(&mut transaction, self.manifest_id, earlier).await?;
        }
        if let Some(kept) = kept {
            archive::record(
                &mut transaction,
                self.manifest_id,
                self.source.source_uuid,
                kept,
            )
            .await
            .map_err(failed)?;
            step::passed(Step::ArchiveRecorded);
        }
        let loaded: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let missing: Vec<String> = self
            .open_files
            .iter()
            .filter(|file| !loaded.contains(file.as_str()))
            .cloned()
            .collect();
        let completed = if missing.is_empty() {
            publish(&mut transaction, &self.source, self.manifest_id, engine).await?
        } else {
            Completed::Waiting { missing }
        };
        let state = match &completed {
            Completed::Waiting { .. } => RunState::Loaded,
            Completed::Published { .. } => RunState::Published,
        };
        ids.close_run(&mut transaction, state, sums)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        step::passed(Step::PublishCommitted);
        Ok(completed)
    }

    /// Records that the payload is in the archive, when nothing else of it is new.
    ///
    /// # Errors
    /// The database fails.
    pub async fn record_kept(&mut self, kept: &Kept) -> Result<()> {
        let source_uuid = self.source.source_uuid;
        archive::record(&mut self.lock, self.manifest_id, source_uuid, kept)
            .await
            .map_err(|error| SqlError(error).failure("cannot record the archived payload"))
    }

    pub fn source_uuid(&self) -> Uuid {
        self.source.source_uuid
    }

    fn ids(&self) -> UploadIds {
        UploadIds {
            run_id: self.run_id,
            manifest_id: self.manifest_id,
            generation: self.generation,
        }
    }

    /// Lets other runs at the source.
    pub async fn close(self) {
        // The lock goes with the connection, however that ends.
        let _ = self.lock.close().await;
    }

    /// Takes back what was loaded, after a failure.
    ///
    /// # Errors
    /// The database fails; the next run of the source clears away the rest.
    pub async fn abandon(mut self, here: &[String]) -> Result<()> {
        let failed = |error| SqlError(error).failure("cannot take back what was loaded");
        sqlx::query(include_str!(
            "../../sql/reporting_common_costusagereportstatus.fail.sql"
        ))
        .bind(self.manifest_id)
        .bind(here)
        // Of the failed transaction, which holds these files until it is rolled back:
        // another connection would wait for ever.
        .execute(&mut self.lock)
        .await
        .map_err(failed)?;
        step::passed(Step::FilesFailed);
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
pub async fn loaded_by(database: &Database, manifest_id: i32) -> Result<Option<String>> {
    sqlx::query_scalar(include_str!("../../sql/gristmill_run.select_pipeline.sql"))
        .bind(manifest_id)
        .fetch_optional(database.pool())
        .await
        .map_err(|error| SqlError(error).failure("cannot read the runs"))
}

/// The days that an upload holds, won by an earlier run.
///
/// # Errors
/// The database fails.
pub async fn held_days(database: &Database, manifest_id: i32) -> Result<Vec<DayOutcome>> {
    let days: Vec<(NaiveDate, i32)> =
        sqlx::query_as(include_str!("../../sql/gristmill_day.select.sql"))
            .bind(manifest_id)
            .fetch_all(database.pool())
            .await
            .map_err(|error| SqlError(error).failure("cannot read the ledger"))?;
    Ok(days
        .into_iter()
        .map(|(day, hours)| DayOutcome {
            day,
            hours,
            outcome: Outcome::Kept,
        })
        .collect())
}

/// The enabled tag keys.
///
/// # Errors
/// The database fails.
pub async fn enabled_tag_keys(database: &Database) -> Result<Vec<String>> {
    sqlx::query_scalar(include_str!(
        "../../sql/reporting_enabledtagkeys.select_enabled.sql"
    ))
    .fetch_all(database.pool())
    .await
    .map_err(|error| SqlError(error).failure("cannot read the enabled tag keys"))
}

/// Opens a generation of a manifest.
async fn open_generation(
    connection: &mut PgConnection,
    manifest_id: i32,
    run_id: i64,
    source: &Source,
) -> Result<i64, sqlx::Error> {
    let generation = sqlx::query_scalar(include_str!("../../sql/gristmill_generation.insert.sql"))
        .bind(manifest_id)
        .bind(run_id)
        .bind(source.source_uuid)
        .fetch_one(connection)
        .await?;
    step::passed(Step::GenerationOpened);
    Ok(generation)
}

/// Makes what earlier uploads brought the manifest's.
async fn take_over(
    connection: &mut PgConnection,
    manifest_id: i32,
    earlier: &Earlier,
) -> Result<()> {
    let generations = earlier.generations();
    let taken = sqlx::query(include_str!("../../sql/gristmill_generation.take_over.sql"))
        .bind(manifest_id)
        .bind(&generations)
        .execute(connection)
        .await
        .map_err(|error| SqlError(error).failure("cannot publish"))?;
    // The source is locked, so that nobody removes one; a day without it would lose rows.
    if taken.rows_affected() != generations.len() as u64 {
        return Err(
            Failure::run("what an earlier upload brought of the day is gone")
                .hint("run the payload again: it is loaded whole then"),
        );
    }
    step::passed(Step::GenerationsTakenOver);
    Ok(())
}

/// Takes a generation back, when the server is done with what its run sent.
async fn forget(connection: &mut PgConnection, generation: i64) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/gristmill_generation.lock.sql"))
        .bind(generation)
        .execute(&mut *connection)
        .await?;
    sqlx::query("SELECT forget_generation($1)")
        .bind(generation)
        .execute(connection)
        .await
        .map(|_| step::passed(Step::GenerationForgotten))
}

async fn insert_manifest(
    connection: &mut PgConnection,
    plan: &Plan,
    source: &Source,
    manifest: &Manifest,
) -> Result<i32, sqlx::Error> {
    let month = manifest.start.unwrap_or(manifest.date);
    let month = month
        .date_naive()
        .with_day(1)
        .map_or(month, |day| day.and_time(NaiveTime::MIN).and_utc());
    let uploads = manifest.operator_says(&["upload", "upload"]);
    // The generator writes the text "True" where the operator writes true.
    let uploads = uploads.map(|value| *value != false && *value != "False");
    let channel = manifest.operator_says(&["clusterVersion"]);
    let manifest_id = sqlx::query_scalar(include_str!(
        "../../sql/reporting_common_costusagereportmanifest.upsert.sql"
    ))
    .bind(manifest.uuid.to_string())
    .bind(source.source_uuid)
    .bind(&source.cluster_id)
    .bind(manifest.date)
    .bind(month)
    .bind(manifest.files.len() as i32)
    .bind(&plan.coverage)
    .bind(&manifest.version)
    .bind(channel.and_then(|channel| channel.as_str()))
    .bind(manifest.certified)
    .bind(uploads.map(|uploads| !uploads))
    .bind(manifest.daily_reports)
    .bind(manifest.is_additive())
    .fetch_one(&mut *connection)
    .await?;
    step::passed(Step::ManifestRecorded);
    sqlx::query(include_str!(
        "../../sql/reporting_common_costusagereportstatus.insert.sql"
    ))
    .bind(manifest_id)
    .bind(&manifest.files)
    .execute(connection)
    .await?;
    step::passed(Step::FilesListed);
    Ok(manifest_id)
}

/// Claims the days of a manifest.
async fn claim(connection: &mut PgConnection, manifest_id: i32) -> Result<Vec<DayOutcome>> {
    let failed = |error| SqlError(error).failure("cannot publish");
    let rows = sqlx::query(include_str!("../../sql/gristmill_day.claim.sql"))
        .bind(manifest_id)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let mut days = Vec::with_capacity(rows.len());
    for row in rows {
        let outcome: String = row.try_get(2).map_err(failed)?;
        let day: NaiveDate = row.try_get(0).map_err(failed)?;
        if outcome == "unstaged" {
            return Err(Failure::run(format!(
                "cannot add to {day}: the staged rows that it is made of are no longer kept"
            ))
            .hint("`gristmill replay` of the day brings them back; then run this payload again"));
        }
        days.push(DayOutcome {
            day,
            hours: row.try_get(1).map_err(failed)?,
            outcome: match outcome.as_str() {
                "won" => Outcome::Won,
                "kept" => Outcome::Kept,
                _ => Outcome::Lost,
            },
        });
    }
    step::passed(Step::DaysClaimed);
    Ok(days)
}

async fn publish(
    connection: &mut PgConnection,
    source: &Source,
    manifest_id: i32,
    engine: AggregationEngine,
) -> Result<Completed> {
    let failed = |error| SqlError(error).failure("cannot publish");
    let days = claim(connection, manifest_id).await?;
    let won: Vec<NaiveDate> = days
        .iter()
        .filter(|day| day.outcome == Outcome::Won)
        .map(|day| day.day)
        .collect();
    let summarized = summarize::days(connection, engine, source.source_uuid, &won).await?;
    sqlx::query(include_str!(
        "../../sql/reporting_common_costusagereportmanifest.complete.sql"
    ))
    .bind(manifest_id)
    .execute(connection)
    .await
    .map_err(failed)?;
    step::passed(Step::ManifestCompleted);
    Ok(Completed::Published { days, summarized })
}
