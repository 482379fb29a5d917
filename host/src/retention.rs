//! What is past retention, and its end: staged rows by days; summaries and the
//! archive by calendar months.
//!
//! What must not go is decided in SQL. Here is the order: of a payload its record
//! first and then its file, since a file that nothing refers to harms nobody.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::FromRow;

use crate::archive;
use crate::database::{Database, SqlError};
use crate::failure::{Failure, Result};

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Days that staged rows are kept at the least.
    pub days: i32,
    /// Calendar months before the current one; the last of them goes. Without it
    /// nothing that is kept by months goes.
    pub months: Option<i32>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What went, or would.
#[derive(Debug, Default, Serialize)]
pub struct Cleaned {
    pub dry_run: bool,
    pub generations: Vec<OldGeneration>,
    pub payloads: Vec<OldPayload>,
    pub partitions: Vec<OldPartition>,
    pub report_periods: Vec<OldReportPeriod>,
    /// Archived files that could not be removed, and why.
    pub files_left: Vec<String>,
}

#[derive(Debug, FromRow, Serialize)]
pub struct OldGeneration {
    pub generation: i64,
    pub manifest_id: i32,
    pub reason: String,
    pub rows: i64,
}

#[derive(Debug, FromRow, Serialize)]
pub struct OldPayload {
    pub manifest_id: i32,
    pub digest: String,
    pub payload: String,
    pub bytes: i64,
    pub directory: String,
}

#[derive(Debug, FromRow, Serialize)]
pub struct OldPartition {
    pub table_name: String,
    pub partition_name: String,
    /// Null where nobody has counted.
    pub rows_estimate: Option<i64>,
}

/// A month of a cluster, which goes with its tags.
#[derive(Debug, FromRow, Serialize)]
pub struct OldReportPeriod {
    pub report_period_id: i32,
    pub cluster_id: String,
    pub month: NaiveDate,
}

/// Removes what is past retention.
///
/// # Errors
/// A statement fails; what was removed before it stays removed.
pub async fn clean(database: &Database, retention: Retention) -> Result<Cleaned> {
    let dry_run = retention.dry_run;
    let mut cleaned = Cleaned {
        dry_run,
        generations: sqlx::query_as(include_str!(
            "../../sql/gristmill_generation.forget_old.sql"
        ))
        .bind(retention.days)
        .bind(dry_run)
        .fetch_all(database.pool())
        .await
        .map_err(|error| SqlError(error).failure("cannot forget old staged rows"))?,
        ..Cleaned::default()
    };
    let Some(months) = retention.months else {
        return Ok(cleaned);
    };
    clean_archive(database, months, &mut cleaned).await?;
    cleaned.partitions = sqlx::query_as(include_str!("../../sql/reporting_ocp.drop_old.sql"))
        .bind(months)
        .bind(dry_run)
        .fetch_all(database.pool())
        .await
        .map_err(|error| SqlError(error).failure("cannot drop old summaries"))?;
    cleaned.report_periods = sqlx::query_as(include_str!(
        "../../sql/reporting_ocpusagereportperiod.forget_old.sql"
    ))
    .bind(months)
    .bind(dry_run)
    .fetch_all(database.pool())
    .await
    .map_err(|error| SqlError(error).failure("cannot forget old report periods"))?;
    Ok(cleaned)
}

async fn clean_archive(database: &Database, months: i32, cleaned: &mut Cleaned) -> Result<()> {
    let failed = |error| -> Failure { SqlError(error).failure("cannot clean the archive") };
    cleaned.payloads = sqlx::query_as(include_str!("../../sql/gristmill_archive.select_old.sql"))
        .bind(months)
        .fetch_all(database.pool())
        .await
        .map_err(failed)?;
    if cleaned.dry_run {
        return Ok(());
    }
    let old = &cleaned.payloads;
    let manifests: Vec<i32> = old.iter().map(|payload| payload.manifest_id).collect();
    let digests: Vec<&str> = old.iter().map(|payload| payload.digest.as_str()).collect();
    let unreferenced: Vec<(String, String)> =
        sqlx::query_as(include_str!("../../sql/gristmill_archive.delete.sql"))
            .bind(manifests)
            .bind(digests)
            .fetch_all(database.pool())
            .await
            .map_err(failed)?;
    for (digest, directory) in unreferenced {
        let path = archive::place(Path::new(&directory), &digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => cleaned
                .files_left
                .push(format!("cannot remove `{}`: {error}", path.display())),
            _ => {}
        }
    }
    Ok(())
}
