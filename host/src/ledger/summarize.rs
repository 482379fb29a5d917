//! Makes the summaries of the days that a publish changed, from hours and day parts alike.

use chrono::{Datelike, NaiveDate};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::database::{Database, SqlError, waiting};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::Result;

/// The rows that the summaries of some days gained and lost.
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

/// Makes the values of all tags anew, of all label summaries: who asks for summaries
/// again wants all of them right, whatever happened to them. Others wait for the end of
/// the caller's transaction, so it comes last in one.
///
/// # Errors
/// The statement fails.
pub fn restore_all_tags_values(database: &Database) -> Result<()> {
    let failed = |error| SqlError(error).failure("cannot reach the database");
    database.wait(async {
        let mut connection = database.pool().acquire().await.map_err(failed)?;
        let process = waiting::process(&mut connection).await.map_err(failed)?;
        let restored = restore_tags_values(&mut connection);
        database.telling(process, restored).await
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

/// The totals of a namespace in the daily summary of some days.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamespaceTotal {
    pub namespace: String,
    pub rows: u64,
    /// CPU used and charged for in core-hours, memory charged for in gigabyte-hours,
    /// volumes used in gigabyte-months.
    pub measures: [f64; 4],
}

impl NamespaceTotal {
    /// Several namespaces as one, of another name.
    pub fn sum(name: String, totals: &[NamespaceTotal]) -> NamespaceTotal {
        let mut sum = NamespaceTotal {
            namespace: name,
            ..NamespaceTotal::default()
        };
        for total in totals {
            sum.rows += total.rows;
            for (measure, more) in sum.measures.iter_mut().zip(total.measures) {
                *measure += more;
            }
        }
        sum
    }
}

/// The daily summary of some days of some sources by namespace, the one that CPU is
/// charged most to first.
///
/// # Errors
/// The database fails.
pub fn by_namespace(
    database: &Database,
    days: &[(Uuid, NaiveDate)],
) -> Result<Vec<NamespaceTotal>> {
    fn total(row: &PgRow) -> Result<NamespaceTotal, sqlx::Error> {
        Ok(NamespaceTotal {
            namespace: row.try_get(0)?,
            rows: row.try_get::<i64, _>(1)? as u64,
            measures: [
                row.try_get(2)?,
                row.try_get(3)?,
                row.try_get(4)?,
                row.try_get(5)?,
            ],
        })
    }
    let (sources, days): (Vec<Uuid>, Vec<NaiveDate>) = days.iter().copied().unzip();
    let rows = sqlx::query(include_str!(
        "../../../sql/reporting_ocpusagelineitem_daily_summary.select_by_namespace.sql"
    ))
    .bind(sources)
    .bind(days)
    .fetch_all(database.pool());
    database
        .wait(rows)
        .and_then(|rows| rows.iter().map(total).collect())
        .map_err(|error| SqlError(error).failure("cannot read the daily summary"))
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
