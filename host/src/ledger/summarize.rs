//! The aggregates over the days that a publish changed. The engine is the plan's;
//! only Postgres exists.

use chrono::{Datelike, NaiveDate};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::database::{Database, SqlError, waiting};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::Result;
use crate::pipeline::plan::AggregationEngine;

/// What the summaries of some days gained and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SummaryCounts {
    pub rows_inserted: u64,
    pub rows_deleted: u64,
}

/// Makes the summaries of these days again, in the caller's transaction. `days`
/// are in order.
///
/// # Errors
/// A statement fails.
pub async fn days(
    connection: &mut PgConnection,
    engine: AggregationEngine,
    source_uuid: Uuid,
    days: &[NaiveDate],
) -> Result<SummaryCounts> {
    match engine {
        AggregationEngine::Postgres => postgres(connection, source_uuid, days).await,
    }
}

/// Makes the values of all tags anew, of all label summaries: who asks for summaries
/// again wants all of them right, whatever happened to them. Others wait for the end of
/// the caller's transaction, so it comes last in one.
///
/// # Errors
/// The statement fails.
pub fn restore_all_tags_values(database: &Database, say: &dyn Fn(&str)) -> Result<()> {
    let failed = |error| SqlError(error).failure("cannot reach the database");
    database.wait(async {
        let mut connection = database.pool().acquire().await.map_err(failed)?;
        let process = waiting::process(&mut connection).await.map_err(failed)?;
        let restored = restore_tags_values(&mut connection);
        database.telling(process, say, restored).await
    })
}

/// As [`restore_all_tags_values`], in the caller's transaction if there is one.
///
/// # Errors
/// The statement fails.
pub(super) async fn restore_tags_values(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT restore_tags_values()")
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| SqlError(error).failure("cannot make the values of tags anew"))
}

/// A row of the daily summary, as far as it is shown.
#[derive(Clone, Debug)]
pub struct SummaryRow {
    pub day: NaiveDate,
    /// Data source, namespace, node, claim, labels.
    pub texts: [Option<String>; 5],
    /// CPU used, requested and effective in core-hours, effective memory in
    /// gigabyte-hours, node capacity in core-hours, claim capacity and use in
    /// gigabyte-months.
    pub measures: [Option<f64>; 7],
}

/// The daily summary of some days of a source.
///
/// # Errors
/// The database fails.
pub fn daily_summary(
    database: &Database,
    source_uuid: Uuid,
    days: &[NaiveDate],
) -> Result<Vec<SummaryRow>> {
    database.wait(async {
        fn shown(row: &PgRow) -> Result<SummaryRow, sqlx::Error> {
            let text = |index| row.try_get(index);
            let number = |index| row.try_get(index);
            Ok(SummaryRow {
                day: row.try_get(0)?,
                texts: [text(1)?, text(2)?, text(3)?, text(4)?, text(5)?],
                measures: [
                    number(6)?,
                    number(7)?,
                    number(8)?,
                    number(9)?,
                    number(10)?,
                    number(11)?,
                    number(12)?,
                ],
            })
        }
        sqlx::query(include_str!(
            "../../../sql/reporting_ocpusagelineitem_daily_summary.select.sql"
        ))
        .bind(source_uuid)
        .bind(days)
        .fetch_all(database.pool())
        .await
        .and_then(|rows| rows.iter().map(shown).collect())
        .map_err(|error| SqlError(error).failure("cannot read the daily summary"))
    })
}

async fn postgres(
    connection: &mut PgConnection,
    source_uuid: Uuid,
    days: &[NaiveDate],
) -> Result<SummaryCounts> {
    let mut summarized = SummaryCounts::default();
    for range in days.chunk_by(|day, next| is_next(*day, *next)) {
        let (first, last) = (range[0], range[range.len() - 1]);
        let row = sqlx::query(include_str!("../../../sql/gristmill_day.summarize.sql"))
            .bind(first)
            .bind(last)
            .bind(source_uuid)
            .fetch_one(&mut *connection)
            .await
            .and_then(|row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?)))
            .map_err(|error| {
                SqlError(error).failure(format!("cannot summarize {first} to {last}"))
            })?;
        failpoint::passed(Failpoint::DaysSummarized);
        summarized.rows_inserted += row.0 as u64;
        summarized.rows_deleted += row.1 as u64;
    }
    Ok(summarized)
}

/// Whether two days are made in one call: neighbours of one month.
fn is_next(day: NaiveDate, next: NaiveDate) -> bool {
    day.succ_opt() == Some(next) && day.month() == next.month()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_days_ends_with_its_month() {
        let day = |month, day| NaiveDate::from_ymd_opt(2026, month, day).unwrap();
        let days = [day(9, 29), day(9, 30), day(10, 1), day(10, 3), day(10, 4)];
        let ranges: Vec<usize> = days
            .chunk_by(|day, next| is_next(*day, *next))
            .map(<[_]>::len)
            .collect();
        assert_eq!(ranges, [2, 1, 2]);
    }
}
