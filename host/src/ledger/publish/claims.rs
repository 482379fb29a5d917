//! Claims the days of an upload.

use chrono::NaiveDate;
use sqlx::{PgConnection, Row};

use super::recording::UploadIds;
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};

/// The result of a claim on a day.
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

/// The days that an upload holds, won by an earlier run.
///
/// # Errors
/// The database fails.
pub fn held_days(database: &Database, manifest_id: i32) -> Result<Vec<DayOutcome>> {
    database.wait(async {
        let days: Vec<(NaiveDate, i32)> =
            sqlx::query_as(include_str!("../../../../sql/gristmill_day.select.sql"))
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
    })
}

/// Claims the days of a manifest.
pub(super) async fn claim(
    connection: &mut PgConnection,
    upload: &UploadIds,
) -> Result<Vec<DayOutcome>> {
    let failed = |error| upload.name.failed("claim its days")(error);
    let rows = sqlx::query(include_str!("../../../../sql/gristmill_day.claim.sql"))
        .bind(upload.manifest_id)
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
    failpoint::passed(Failpoint::DaysClaimed);
    Ok(days)
}

/// Writes that a manifest is published.
pub(super) async fn complete(connection: &mut PgConnection, upload: &UploadIds) -> Result<()> {
    sqlx::query(include_str!(
        "../../../../sql/reporting_common_costusagereportmanifest.complete.sql"
    ))
    .bind(upload.manifest_id)
    .execute(connection)
    .await
    .map_err(upload.name.failed("complete its manifest"))?;
    failpoint::passed(Failpoint::ManifestCompleted);
    Ok(())
}
