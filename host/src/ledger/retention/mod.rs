//! Retention: removes staged rows and [`records`] that are past their days, and summaries
//! and archived payloads that are past their months.
//!
//! SQL decides what must stay; this room decides the order. `archive/clean` has the
//! archive's part.

mod partitions;
mod periods;
mod records;
mod staging;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::json;
use sqlx::FromRow;

pub use self::records::OldRecords;
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::Result;
use crate::ledger::action;
use crate::ledger::archive::clean::{self, OldPayload};
use crate::ledger::scratch;
use crate::pipeline::plan::RecordRetention;

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

/// The things that were removed, or would be.
#[derive(Debug, Default, Serialize)]
pub struct CleanSummary {
    pub dry_run: bool,
    pub generations: Vec<OldGeneration>,
    pub payloads: Vec<OldPayload>,
    pub partitions: Vec<OldPartition>,
    /// Partitions of any month, with no row that counts.
    pub empty_partitions: Vec<OldPartition>,
    /// Partitions that others used all the time, which the next `clean` may find free.
    pub partitions_in_use: BTreeSet<String>,
    /// Staged rows of no generation.
    pub orphaned_rows: i64,
    pub report_periods: Vec<OldReportPeriod>,
    pub records: OldRecords,
    /// Schemas that a `verify` left that died.
    pub scratch_schemas: Vec<String>,
    /// Files of the archive that were not recorded to the end.
    pub stray_files: Vec<String>,
    /// Archived files that could not be removed, and why.
    pub files_left: Vec<String>,
    /// Places in the lake that no run needs, with their tables in Trino.
    pub lake_places: Vec<String>,
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
pub fn clean(database: &Database, retention: Retention) -> Result<CleanSummary> {
    let mut cleaned = database.wait(clean_schema(database, retention))?;
    cleaned.scratch_schemas = scratch::remove_left(database, retention.dry_run)?;
    Ok(cleaned)
}

async fn clean_schema(database: &Database, retention: Retention) -> Result<CleanSummary> {
    if let Some(months) = retention.months {
        clean::check(database, months).await?;
    }
    let mut cleaned = CleanSummary {
        dry_run: retention.dry_run,
        ..CleanSummary::default()
    };
    staging::clean(database, retention, &mut cleaned).await?;
    if let Some(months) = retention.months {
        clean_months(database, months, &mut cleaned).await?;
    }
    // The partitions that were emptied above are among them.
    let mut connection = partitions::connection(database).await?;
    partitions::drop_unused(&mut connection, None, &mut cleaned).await?;
    failpoint::passed(Failpoint::EmptyPartitionsDropped);
    drop(connection);
    // The generations and days of old manifests are gone by now.
    cleaned.records = records::clean(database, retention.records, retention.dry_run).await?;
    record(database, &cleaned).await?;
    Ok(cleaned)
}

/// Records what went, where something did.
async fn record(database: &Database, cleaned: &CleanSummary) -> Result<()> {
    let details = json!({
        "generations": cleaned.generations.len(),
        "payloads": cleaned.payloads.len(),
        "partitions": cleaned.partitions.len(),
        "empty_partitions": cleaned.empty_partitions.len(),
        "orphaned_rows": cleaned.orphaned_rows,
        "report_periods": cleaned.report_periods.len(),
        "records": cleaned.records,
        "stray_files": cleaned.stray_files.len(),
    });
    let nothing = json!({
        "generations": 0,
        "payloads": 0,
        "partitions": 0,
        "empty_partitions": 0,
        "orphaned_rows": 0,
        "report_periods": 0,
        "records": OldRecords::default(),
        "stray_files": 0,
    });
    if cleaned.dry_run || details == nothing {
        return Ok(());
    }
    let failed = |error| SqlError(error).failure("cannot record what was removed");
    let mut connection = database.pool().acquire().await.map_err(failed)?;
    action::record(&mut connection, "clean", "what was past retention", details)
        .await
        .map_err(failed)
}

/// Removes what is kept by calendar months.
async fn clean_months(database: &Database, months: i32, cleaned: &mut CleanSummary) -> Result<()> {
    let archive = clean::clean(database, months, cleaned.dry_run).await?;
    cleaned.payloads = archive.payloads;
    cleaned.stray_files = archive.stray_files;
    cleaned.files_left = archive.files_left;
    let mut connection = partitions::connection(database).await?;
    partitions::drop_old(&mut connection, months, cleaned).await?;
    periods::clean(&mut connection, months, cleaned).await?;
    failpoint::passed(Failpoint::PartitionsDropped);
    Ok(())
}
