//! Replaces days of a manifest by rows of a new generation.
//!
//! The old rows of these days, and the summaries made of them, stay until the one
//! transaction that puts the new ones in their place. Until then the new generation is as
//! invisible as any that is being loaded, and is cleared away like those when its run
//! dies.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::{Connection, FromRow, PgConnection};
use uuid::Uuid;

use super::claims::claim;
use super::clash::Tries;
use super::recording::{self, UploadIds, UploadName};
use super::{Outcome, Upload, generations, source_lock};
use crate::database::{Database, SqlError};
use crate::diagnostics::days::Days;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::ingest::IngestedFile;
use crate::ledger::difference::{self, DayDifference};
use crate::ledger::run_record::{RunState, RunSums};
use crate::ledger::source::Source;
use crate::ledger::summarize;
use crate::pipeline::plan::Plan;

/// A manifest and days that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub manifest_id: i32,
    pub assembly_id: String,
    pub days: Vec<NaiveDate>,
}

#[derive(FromRow)]
struct HeldDay {
    usage_day: NaiveDate,
    manifest_id: i32,
    assembly_id: String,
}

/// The manifests that hold these days, the latest first, as additive ones are to be
/// replaced.
///
/// # Errors
/// The database fails.
pub fn holders(database: &Database, source_uuid: Uuid, days: Days) -> Result<Vec<Holder>> {
    database.wait(async {
        let mut connection = database.pool().acquire().await.map_err(failed)?;
        let mut holders: Vec<Holder> = Vec::new();
        for held in held_days(&mut connection, source_uuid, days, None).await? {
            let known = holders
                .iter_mut()
                .find(|holder| holder.manifest_id == held.manifest_id);
            match known {
                Some(holder) => holder.days.push(held.usage_day),
                None => holders.push(Holder {
                    manifest_id: held.manifest_id,
                    assembly_id: held.assembly_id,
                    days: vec![held.usage_day],
                }),
            }
        }
        Ok(holders)
    })
}

/// Every file that a manifest lists.
///
/// # Errors
/// The database fails.
pub fn files_of_manifest(database: &Database, manifest_id: i32) -> Result<Vec<String>> {
    database.wait(async {
        let files: Vec<(String, bool)> = sqlx::query_as(include_str!(
            "../../../../sql/reporting_common_costusagereportstatus.select.sql"
        ))
        .bind(manifest_id)
        .fetch_all(database.pool())
        .await
        .map_err(failed)?;
        Ok(files.into_iter().map(|(name, _)| name).collect())
    })
}

impl Upload<'_> {
    /// The days that the manifest holds now, while nobody else can take them.
    ///
    /// # Errors
    /// The database fails.
    async fn held(&mut self, days: Days) -> Result<Vec<NaiveDate>> {
        let source_uuid = self.session.source.source_uuid;
        let held = held_days(
            &mut self.session.connection,
            source_uuid,
            days,
            Some(self.manifest_id),
        )
        .await?;
        Ok(held.into_iter().map(|held| held.usage_day).collect())
    }

    /// As [`Upload::held`].
    ///
    /// # Errors
    /// As there.
    pub fn held_days(&mut self, days: Days) -> Result<Vec<NaiveDate>> {
        let database = self.session.database.clone();
        database.wait(self.held(days))
    }

    /// As [`SourceSession::prepare`], for what the manifest is about to have.
    async fn prepare(&mut self, days: BTreeSet<NaiveDate>) -> Result<()> {
        let name = UploadName::new(self.uuid, &days);
        self.session
            .prepare(self.manifest_id, &name, &[], days)
            .await
    }

    /// Puts what was loaded in the place of what the manifest had of these days,
    /// and summarizes them; its other days stay as they are. After a failure
    /// nothing has changed, and the upload is to be abandoned.
    ///
    /// # Errors
    /// A statement fails, or a day would be left without a row.
    pub fn replace(
        &mut self,
        files: &[IngestedFile],
        days: &[NaiveDate],
        plan: &Plan,
        sums: RunSums,
    ) -> Result<Vec<DayDifference>> {
        let database = self.session.database.clone();
        database.wait(async {
            let process = self.session.process;
            let replaced = self.replace_in_tries(files, days, plan, sums);
            database.telling(process, replaced).await
        })
    }

    async fn replace_in_tries(
        &mut self,
        files: &[IngestedFile],
        days: &[NaiveDate],
        plan: &Plan,
        sums: RunSums,
    ) -> Result<Vec<DayDifference>> {
        self.prepare(days.iter().copied().collect()).await?;
        let mut tries = Tries::new();
        loop {
            match self.try_replace(files, days, plan, sums).await {
                Err(failure) if tries.again(&failure).await => {}
                replaced => return replaced,
            }
        }
    }

    async fn try_replace(
        &mut self,
        files: &[IngestedFile],
        days: &[NaiveDate],
        plan: &Plan,
        sums: RunSums,
    ) -> Result<Vec<DayDifference>> {
        let source_uuid = self.session.source.source_uuid;
        let loaded = recording::days(files);
        let ids = self.ids(&loaded);
        // A file that counts for some of its days only resolves nothing.
        let all_of_it = loaded.iter().all(|day| days.contains(day));
        let mut transaction = self.session.connection.begin().await.map_err(failed)?;
        let before = difference::totals(&mut transaction, source_uuid, days).await?;
        let time = plan.budget.quarantine_time;
        if !self.open_files.is_empty() {
            // Some of its files may be back: they count with the others or not at all.
            generations::give_up(&mut transaction, source_uuid, self.manifest_id)
                .await
                .map_err(failed)?;
        }
        recording::generation(&mut transaction, &ids, files, all_of_it, time, None).await?;
        if !self.open_files.is_empty() {
            // Days of it were removed: running it again shall bring them back, as before.
            generations::reopen(&mut transaction, self.manifest_id)
                .await
                .map_err(failed)?;
        }
        replace_days(&mut transaction, &ids, days, days, plan).await?;
        summarize::days(&mut transaction, source_uuid, days).await?;
        let after = difference::totals(&mut transaction, source_uuid, days).await?;
        ids.close_run(&mut transaction, RunState::Published, sums)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        failpoint::passed(Failpoint::PublishCommitted);
        Ok(difference::between(days, &before, &after))
    }

    /// Puts what was loaded in the place of all that the manifest had, and claims the
    /// days as if it had come now: a day may have had nothing but rows in quarantine.
    ///
    /// # Errors
    /// As `replace`.
    pub fn replace_whole(
        &mut self,
        files: &[IngestedFile],
        plan: &Plan,
        sums: RunSums,
    ) -> Result<Vec<DayDifference>> {
        let database = self.session.database.clone();
        database.wait(async {
            let process = self.session.process;
            let replaced = self.replace_whole_in_tries(files, plan, sums);
            database.telling(process, replaced).await
        })
    }

    async fn replace_whole_in_tries(
        &mut self,
        files: &[IngestedFile],
        plan: &Plan,
        sums: RunSums,
    ) -> Result<Vec<DayDifference>> {
        let held = self.held(Days::all()).await?;
        let mut days = recording::days(files);
        days.extend(held.iter().copied());
        self.prepare(days.clone()).await?;
        let days: Vec<NaiveDate> = days.into_iter().collect();
        let mut tries = Tries::new();
        loop {
            let tried = self.try_replace_whole(files, &days, &held, plan, sums);
            match tried.await {
                Err(failure) if tries.again(&failure).await => {}
                replaced => return replaced,
            }
        }
    }

    async fn try_replace_whole(
        &mut self,
        files: &[IngestedFile],
        days: &[NaiveDate],
        held: &[NaiveDate],
        plan: &Plan,
        sums: RunSums,
    ) -> Result<Vec<DayDifference>> {
        let source_uuid = self.session.source.source_uuid;
        let ids = self.ids(&recording::days(files));
        let mut transaction = self.session.connection.begin().await.map_err(failed)?;
        let before = difference::totals(&mut transaction, source_uuid, days).await?;
        let time = plan.budget.quarantine_time;
        recording::generation(&mut transaction, &ids, files, true, time, None).await?;
        replace_days(&mut transaction, &ids, days, held, plan).await?;
        let won: Vec<NaiveDate> = claim(&mut transaction, &ids)
            .await?
            .into_iter()
            .filter(|day| day.outcome == Outcome::Won || held.contains(&day.day))
            .map(|day| day.day)
            .collect();
        summarize::days(&mut transaction, source_uuid, &won).await?;
        let after = difference::totals(&mut transaction, source_uuid, &won).await?;
        ids.close_run(&mut transaction, RunState::Published, sums)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        failpoint::passed(Failpoint::PublishCommitted);
        Ok(difference::between(&won, &before, &after))
    }
}

/// `held` are those of the days that the manifest holds.
async fn replace_days(
    connection: &mut PgConnection,
    ids: &UploadIds,
    days: &[NaiveDate],
    held: &[NaiveDate],
    plan: &Plan,
) -> Result<()> {
    let replaced: Vec<NaiveDate> = sqlx::query_scalar("SELECT replace_days($1, $2, $3, $4)")
        .bind(ids.manifest_id)
        .bind(ids.generation)
        .bind(days)
        .bind(&plan.coverage)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    failpoint::passed(Failpoint::DaysReplaced);
    match held.iter().find(|day| !replaced.contains(day)) {
        None => Ok(()),
        Some(lost) => Err(Failure::run(format!(
            "the pipeline makes no row of {lost}, which has rows now"
        ))
        .hint("nothing of the day was changed")),
    }
}

/// The result of summarizing a source again.
#[derive(Debug)]
pub struct Resummary {
    pub days: Vec<DayDifference>,
    /// Days whose staged rows are no longer kept; they stay as they are.
    pub unstaged: Vec<NaiveDate>,
}

/// Makes the summaries of these days again from staging, in one transaction and
/// beside no other run of the source.
///
/// # Errors
/// A statement fails; then nothing has changed.
pub fn summarize_again(database: &Database, source: &Source, days: Days) -> Result<Resummary> {
    database.wait(async {
        let mut lock = database.pool().acquire().await.map_err(failed)?.detach();
        let process = source_lock::take(database, &mut lock, source).await?;
        let again = summarize_locked(&mut lock, source, days);
        let again = database.telling(process, again).await;
        let _ = lock.close().await;
        again.map_err(|failure| source_lock::in_its_session(source, failure))
    })
}

/// The rest of `summarize_again`, once the session `lock` has the source.
async fn summarize_locked(
    lock: &mut PgConnection,
    source: &Source,
    days: Days,
) -> Result<Resummary> {
    let source_uuid = source.source_uuid;
    let held = held_days(lock, source_uuid, days, None).await?;
    let staged: Vec<NaiveDate> = sqlx::query_scalar(include_str!(
        "../../../../sql/gristmill_day.select_staged.sql"
    ))
    .bind(source_uuid)
    .bind(days.first)
    .bind(days.last)
    .fetch_all(&mut *lock)
    .await
    .map_err(failed)?;
    for day in &staged {
        // The partitions of a summary may be gone, or be new with this version.
        sqlx::query("SELECT ensure_summaries($1)")
            .bind(day)
            .execute(&mut *lock)
            .await
            .map_err(failed)?;
    }
    let mut tries = Tries::new();
    let days = loop {
        match try_summarize(lock, source_uuid, &staged).await {
            Err(failure) if tries.again(&failure).await => {}
            days => break days?,
        }
    };
    let held: BTreeSet<NaiveDate> = held.into_iter().map(|held| held.usage_day).collect();
    Ok(Resummary {
        unstaged: held
            .into_iter()
            .filter(|day| !staged.contains(day))
            .collect(),
        days,
    })
}

async fn try_summarize(
    connection: &mut PgConnection,
    source_uuid: Uuid,
    days: &[NaiveDate],
) -> Result<Vec<DayDifference>> {
    let mut transaction = connection.begin().await.map_err(failed)?;
    let before = difference::totals(&mut transaction, source_uuid, days).await?;
    summarize::days(&mut transaction, source_uuid, days).await?;
    let after = difference::totals(&mut transaction, source_uuid, days).await?;
    summarize::restore_tags_values(&mut transaction).await?;
    transaction.commit().await.map_err(failed)?;
    failpoint::passed(Failpoint::PublishCommitted);
    Ok(difference::between(days, &before, &after))
}

/// A day of which rows changed in place.
#[derive(Debug, FromRow, Serialize)]
pub struct DayReclassification {
    pub day: NaiveDate,
    pub rows_recategorized: i64,
    pub rows_renamed: i64,
}

/// Gives the rows of these days the cost categories and tag mappings of now, beside
/// no other run of the source. Needs no staged rows; a mapping that was taken away
/// does not undo itself.
///
/// # Errors
/// The statement fails; then nothing has changed.
pub fn reclassify(
    database: &Database,
    source: &Source,
    days: Days,
) -> Result<Vec<DayReclassification>> {
    database.wait(async {
        let mut lock = database.pool().acquire().await.map_err(failed)?.detach();
        let source_uuid = source.source_uuid;
        let process = source_lock::take(database, &mut lock, source).await?;
        let reclassified = async {
            let mut tries = Tries::new();
            loop {
                let tried =
                    sqlx::query_as(include_str!("../../../../sql/gristmill_day.reclassify.sql"))
                        .bind(days.first)
                        .bind(days.last)
                        .bind(source_uuid)
                        .fetch_all(&mut lock)
                        .await
                        .map_err(failed);
                match tried {
                    Err(failure) if tries.again(&failure).await => {}
                    tried => break tried,
                }
            }
        };
        let reclassified = database.telling(process, reclassified).await;
        let _ = lock.close().await;
        reclassified.map_err(|failure| source_lock::in_its_session(source, failure))
    })
}

async fn held_days(
    connection: &mut PgConnection,
    source_uuid: Uuid,
    days: Days,
    manifest_id: Option<i32>,
) -> Result<Vec<HeldDay>> {
    sqlx::query_as(include_str!(
        "../../../../sql/gristmill_day.select_held.sql"
    ))
    .bind(source_uuid)
    .bind(days.first)
    .bind(days.last)
    .bind(manifest_id)
    .fetch_all(connection)
    .await
    .map_err(failed)
}

fn failed(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot replace published days")
}
