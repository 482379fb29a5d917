//! Writes a manifest and its generations into the ledger, and takes generations back.

use chrono::{Datelike, NaiveDate, NaiveTime};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::diagnostics::failpoint::{self, Failpoint};
use crate::ledger::source::Source;
use crate::ledger::staged_rows;
use crate::payload::Manifest;
use crate::pipeline::plan::Plan;

/// Writes down a manifest and its files; returns its id, and whether it adds to its days.
pub(super) async fn insert_manifest(
    connection: &mut PgConnection,
    plan: &Plan,
    source: &Source,
    manifest: &Manifest,
) -> Result<(i32, bool), sqlx::Error> {
    let month = manifest.start.unwrap_or(manifest.date);
    let month = month
        .date_naive()
        .with_day(1)
        .map_or(month, |day| day.and_time(NaiveTime::MIN).and_utc());
    let uploads = manifest.operator_says(&["upload", "upload"]);
    // The generator writes the text "True" where the operator writes true.
    let uploads = uploads.map(|value| *value != false && *value != "False");
    let channel = manifest.operator_says(&["clusterVersion"]);
    let recorded: (i32, bool) = sqlx::query_as(include_str!(
        "../../../../sql/reporting_common_costusagereportmanifest.upsert.sql"
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
    failpoint::passed(Failpoint::ManifestRecorded);
    sqlx::query(include_str!(
        "../../../../sql/reporting_common_costusagereportstatus.insert.sql"
    ))
    .bind(recorded.0)
    .bind(&manifest.files)
    .execute(connection)
    .await?;
    failpoint::passed(Failpoint::FilesListed);
    Ok(recorded)
}

/// Settles files that were read past as unknown, and are of kinds that the plan ignores.
pub(super) async fn settle_unknown(
    connection: &mut PgConnection,
    plan: &Plan,
    source: &Source,
) -> Result<(), sqlx::Error> {
    let kinds: (Vec<&str>, Vec<String>) = plan
        .ignored_reports()
        .map(|report| (report.name.as_str(), json!(report.detect).to_string()))
        .unzip();
    if kinds.0.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!(
        "../../../../sql/reporting_common_costusagereportstatus.settle_unknown.sql"
    ))
    .bind(source.source_uuid)
    .bind(kinds.0)
    .bind(kinds.1)
    .execute(connection)
    .await
    .map(drop)
}

/// Opens a generation of a manifest.
pub(super) async fn open_generation(
    connection: &mut PgConnection,
    manifest_id: i32,
    run_id: i64,
    source: &Source,
) -> Result<i64, sqlx::Error> {
    let generation = sqlx::query_scalar(include_str!(
        "../../../../sql/gristmill_generation.insert.sql"
    ))
    .bind(manifest_id)
    .bind(run_id)
    .bind(source.source_uuid)
    .fetch_one(connection)
    .await?;
    failpoint::passed(Failpoint::GenerationOpened);
    Ok(generation)
}

/// Takes a generation back.
pub(super) async fn forget(
    connection: &mut PgConnection,
    generation: i64,
) -> Result<(), sqlx::Error> {
    staged_rows::forget(connection, &[generation])
        .await
        .map(|()| failpoint::passed(Failpoint::GenerationForgotten))
}

/// Makes the summaries' partitions for the months of these days and for those of what the
/// manifest has and reuses, before the transaction that publishes; what is staged is indexed.
pub(super) async fn ensure_summaries(
    connection: &mut PgConnection,
    manifest_id: i32,
    reused: &[i64],
    days: &[NaiveDate],
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!(
        "../../../../sql/gristmill_generation.ensure_summaries.sql"
    ))
    .bind(manifest_id)
    .bind(reused)
    .bind(days)
    .execute(connection)
    .await
    .map(drop)
}

/// The days that a manifest has still, although its files are to be loaded once more.
pub(super) async fn kept_days(
    connection: &mut PgConnection,
    manifest_id: i32,
) -> Result<Vec<NaiveDate>, sqlx::Error> {
    sqlx::query_scalar(include_str!(
        "../../../../sql/gristmill_day_manifest.select_kept.sql"
    ))
    .bind(manifest_id)
    .fetch_all(connection)
    .await
}

/// Removes the rows of these days from a generation that has just been loaded.
pub(super) async fn forget_days(
    connection: &mut PgConnection,
    generation: i64,
    days: &[NaiveDate],
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT forget_days($1, $2)")
        .bind(generation)
        .bind(days)
        .execute(connection)
        .await
        .map(drop)
}

/// Says that the files of a manifest may be loaded once more.
pub(super) async fn reopen(
    connection: &mut PgConnection,
    manifest_id: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!(
        "../../../../sql/reporting_common_costusagereportstatus.reopen.sql"
    ))
    .bind(manifest_id)
    .execute(connection)
    .await
    .map(drop)
}

/// Takes back what is loaded of a manifest that waits for files; its rows go with the next
/// `clean`.
pub(super) async fn give_up(
    connection: &mut PgConnection,
    source_uuid: Uuid,
    manifest_id: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT give_up_uploads($1, $2)")
        .bind(source_uuid)
        .bind(vec![manifest_id])
        .execute(connection)
        .await
        .map(drop)
}
