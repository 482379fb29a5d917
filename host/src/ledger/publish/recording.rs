//! Records a generation in the ledger: its files with their hours and row accounting, the
//! rejected rows, and the words that stages learned.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::SqlError;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::hindrance::Hindrance;
use crate::ingest::{FileKind, IngestedFile};
use crate::ledger::quarantine;
use crate::ledger::reuse;
use crate::ledger::run_record::{self, RunState, RunSums};
use crate::pipeline::definition::LearnedSet;

/// The rows of the ledger that an upload writes to.
pub(super) struct UploadIds {
    pub(super) run_id: i64,
    pub(super) manifest_id: i32,
    pub(super) generation: i64,
    pub(super) name: UploadName,
}

/// An upload as the failures of its statements name it: by its uuid and its days.
pub(super) struct UploadName(String);

impl UploadName {
    pub(super) fn new(uuid: Uuid, days: &BTreeSet<NaiveDate>) -> Self {
        Self(match (days.first(), days.last()) {
            (Some(first), Some(last)) if first == last => format!("upload {uuid} of {first}"),
            (Some(first), Some(last)) => format!("upload {uuid} of {first} to {last}"),
            // All of its hours are reused, or none has a row.
            _ => format!("upload {uuid}"),
        })
    }

    /// The failure of the statement that was to do this.
    pub(super) fn failed(&self, statement: &str) -> impl FnOnce(sqlx::Error) -> Failure + use<> {
        let message = format!("cannot publish {}", self.0);
        let statement = format!("cannot {statement}");
        move |error| SqlError(error).failure(statement).within(message)
    }

    /// The failure of an upload whose rows somebody has removed, who had no right to.
    fn forgotten(&self) -> Failure {
        let message = format!("cannot publish {}", self.0);
        Failure::hindered(Some(Hindrance::Lost), message)
            .because(anyhow::anyhow!("the rows that it had loaded were removed"))
            .hint("run it again, which does nothing twice")
    }
}

impl UploadIds {
    /// Writes that the run did what the transaction does.
    pub(super) async fn close_run(
        &self,
        connection: &mut PgConnection,
        state: RunState,
        sums: RunSums,
    ) -> Result<(), sqlx::Error> {
        let manifest_id = Some(self.manifest_id);
        run_record::write(connection, self.run_id, state, manifest_id, sums, None).await
    }
}

/// The UTC days that files have rows of.
pub(super) fn days(files: &[IngestedFile]) -> BTreeSet<NaiveDate> {
    files
        .iter()
        .flat_map(|file| file.hours.keys())
        .filter_map(|hour| DateTime::from_timestamp_micros(*hour))
        .map(|hour| hour.date_naive())
        .collect()
}

/// Records what a generation has of each file and what the files taught, puts what it
/// rejected into quarantine within this time, and makes it count. `resolves` is that of
/// [`quarantine::settle`]. Without a fingerprint no other upload may reuse it.
pub(super) async fn generation(
    connection: &mut PgConnection,
    upload: &UploadIds,
    files: &[IngestedFile],
    resolves: bool,
    quarantine_time: Duration,
    fingerprint: Option<&str>,
) -> Result<()> {
    let origin = quarantine::RejectOrigin {
        run_id: upload.run_id,
        manifest_id: upload.manifest_id,
        generation: upload.generation,
        time_max: quarantine_time,
    };
    quarantine::settle(connection, origin, files, resolves).await?;
    record_files(connection, upload, files)
        .await
        .map_err(upload.name.failed("record its files"))?;
    tag_keys(connection, files)
        .await
        .map_err(upload.name.failed("record the tag keys of its rows"))?;
    let read = fingerprint.zip(reuse::read_of(files));
    if let Some((_, read)) = &read {
        reuse::record(connection, upload.generation, read)
            .await
            .map_err(upload.name.failed("record the hours that were read"))?;
    }
    let completed = sqlx::query(include_str!(
        "../../../../sql/gristmill_generation.complete.sql"
    ))
    .bind(upload.generation)
    .bind(read.map(|(fingerprint, _)| fingerprint))
    .execute(connection)
    .await
    .map_err(upload.name.failed("complete its generation"))?;
    if completed.rows_affected() == 0 {
        return Err(upload.name.forgotten());
    }
    failpoint::passed(Failpoint::GenerationRecorded);
    Ok(())
}

/// A file, as the ledger has it.
#[derive(Serialize)]
struct LoadedFile<'f> {
    report_name: &'f str,
    /// `None` for one of no known kind, or without a byte.
    report: Option<&'f str>,
    started: DateTime<Utc>,
    rows_loaded: u64,
    rows_rejected: u64,
    rows_reused: u64,
    /// Those of a file of no known kind.
    unknown_columns: Option<Vec<String>>,
}

impl<'f> LoadedFile<'f> {
    fn of(file: &'f IngestedFile) -> Self {
        let (report, unknown_columns) = match &file.kind {
            FileKind::Report(report) | FileKind::Ignored(report) => (Some(report.as_str()), None),
            FileKind::Unknown(columns) => {
                // Postgres has no text with a zero byte.
                let columns = columns.iter().map(|name| name.replace('\0', "\u{fffd}"));
                (None, Some(columns.collect()))
            }
            FileKind::Empty => (None, None),
        };
        Self {
            report_name: &file.name,
            report,
            started: file.started,
            rows_loaded: file.rows_loaded,
            rows_rejected: file.rejected.rows(),
            rows_reused: file.rows_reused,
            unknown_columns,
        }
    }
}

async fn record_files(
    connection: &mut PgConnection,
    upload: &UploadIds,
    files: &[IngestedFile],
) -> Result<(), sqlx::Error> {
    let loaded: Vec<LoadedFile<'_>> = files.iter().map(LoadedFile::of).collect();
    sqlx::query(include_str!(
        "../../../../sql/reporting_common_costusagereportstatus.complete.sql"
    ))
    .bind(upload.manifest_id)
    .bind(upload.generation)
    .bind(Json(&loaded))
    .execute(&mut *connection)
    .await?;
    let mut reports = Vec::new();
    let mut hours = Vec::new();
    let mut rows = Vec::new();
    let mut accounts = Vec::new();
    for (file, loaded) in files.iter().zip(&loaded) {
        let Some(report) = loaded.report else {
            continue;
        };
        accounts.push(file.account());
        for (hour, count) in &file.hours {
            if let Some(hour) = DateTime::from_timestamp_micros(*hour) {
                reports.push(report);
                hours.push(hour);
                rows.push(*count as i64);
            }
        }
    }
    if !hours.is_empty() {
        sqlx::query(include_str!(
            "../../../../sql/gristmill_coverage.insert.sql"
        ))
        .bind(upload.generation)
        .bind(reports)
        .bind(hours)
        .bind(rows)
        .execute(&mut *connection)
        .await?;
    }
    run_record::keep_accounts(connection, upload.run_id, &accounts).await
}

/// Makes the tag keys known that the stages saw.
async fn tag_keys(
    connection: &mut PgConnection,
    files: &[IngestedFile],
) -> Result<(), sqlx::Error> {
    let keys: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.learned.words.get(&LearnedSet::TagKeys))
        .flatten()
        .map(String::as_str)
        .filter(|key| !key.contains('\0'))
        .collect();
    sqlx::query(include_str!(
        "../../../../sql/reporting_enabledtagkeys.insert.sql"
    ))
    .bind(keys.into_iter().collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
}
