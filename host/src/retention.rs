//! What is past retention, and its end: staged rows and [`records`] by days; summaries
//! and the archive by calendar months.
//!
//! What must not go is decided in SQL, here is the order. The archive's part is
//! `archive/cleaning`.

mod records;

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::FromRow;

pub use self::records::OldRecords;
use crate::archive::cleaning::{self, ArchiveCleaned, OldPayload};
use crate::database::{Database, SqlError};
use crate::failure::Result;
use crate::plan::RecordRetention;
use crate::step::{self, Step};

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Days that staged rows are kept at the least.
    pub days: i32,
    /// Calendar months before the current one; the last of them goes. Without it
    /// nothing that is kept by months goes.
    pub months: Option<i32>,
    /// How long records are kept.
    pub records: RecordRetention,
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
    pub records: OldRecords,
    /// Files of the archive that were not recorded to the end.
    pub stray_files: Vec<String>,
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
/// What would leave the archive is another database's; then nothing is removed. Or a
/// statement fails; what was removed before it stays removed.
pub async fn clean(database: &Database, retention: Retention) -> Result<Cleaned> {
    let dry_run = retention.dry_run;
    if let Some(months) = retention.months {
        cleaning::check(database, months).await?;
    }
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
    step::passed(Step::GenerationsCleaned);
    let Some(months) = retention.months else {
        cleaned.records = records::clean(database, retention.records, dry_run).await?;
        return Ok(cleaned);
    };
    ArchiveCleaned {
        payloads: cleaned.payloads,
        stray_files: cleaned.stray_files,
        files_left: cleaned.files_left,
    } = cleaning::clean(database, months, dry_run).await?;
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
    step::passed(Step::PartitionsDropped);
    // What manifests held has gone by now.
    cleaned.records = records::clean(database, retention.records, dry_run).await?;
    Ok(cleaned)
}
