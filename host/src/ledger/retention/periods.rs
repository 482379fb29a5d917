//! Removes the months of clusters that are past retention: their report periods and tags.

use sqlx::PgConnection;

use super::{CleanSummary, OldReportPeriod};
use crate::database::SqlError;
use crate::diagnostics::failure::Result;

/// Forgets them one at a time, and then what they alone had of the values of tags.
pub(super) async fn clean(
    connection: &mut PgConnection,
    months: i32,
    cleaned: &mut CleanSummary,
) -> Result<()> {
    let failed = |error| SqlError(error).failure("cannot forget old report periods");
    let old: Vec<OldReportPeriod> = sqlx::query_as(include_str!(
        "../../../../sql/old_report_periods.select.sql"
    ))
    .bind(months)
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    if !cleaned.dry_run {
        for period in &old {
            sqlx::query("SELECT forget_report_period($1)")
                .bind(period.report_period_id)
                .execute(&mut *connection)
                .await
                .map_err(failed)?;
        }
        // Also what a command left that ended between the two.
        sqlx::query("SELECT settle_tags_values()")
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    cleaned.report_periods = old;
    Ok(())
}
