//! Compares the daily summary before and after a change, day by day.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::database::SqlError;
use crate::diagnostics::failure::Result;

/// The daily summary of one day in numbers. Unused capacity counts among the
/// rows, not in the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    pub rows: i64,
    /// Labels on all rows together.
    pub labels: i64,
    pub usage_cpu_core_hours: f64,
    pub effective_cpu_core_hours: f64,
    pub effective_memory_gigabyte_hours: f64,
    pub volume_usage_gigabyte_months: f64,
}

/// One day before and after.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DayDifference {
    pub day: NaiveDate,
    pub before: Totals,
    pub after: Totals,
}

#[derive(FromRow)]
struct DayTotals {
    day: NaiveDate,
    rows: i64,
    labels: i64,
    usage_cpu_core_hours: f64,
    effective_cpu_core_hours: f64,
    effective_memory_gigabyte_hours: f64,
    volume_usage_gigabyte_months: f64,
}

/// The totals of these days as the connection sees them.
///
/// # Errors
/// The database fails.
pub async fn totals(
    connection: &mut PgConnection,
    source_uuid: Uuid,
    days: &[NaiveDate],
) -> Result<BTreeMap<NaiveDate, Totals>> {
    let rows: Vec<DayTotals> = sqlx::query_as(include_str!(
        "../../../sql/reporting_ocpusagelineitem_daily_summary.total.sql"
    ))
    .bind(source_uuid)
    .bind(days)
    .fetch_all(connection)
    .await
    .map_err(|error| SqlError(error).failure("cannot add up the daily summary"))?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let totals = Totals {
                rows: row.rows,
                labels: row.labels,
                usage_cpu_core_hours: row.usage_cpu_core_hours,
                effective_cpu_core_hours: row.effective_cpu_core_hours,
                effective_memory_gigabyte_hours: row.effective_memory_gigabyte_hours,
                volume_usage_gigabyte_months: row.volume_usage_gigabyte_months,
            };
            (row.day, totals)
        })
        .collect())
}

/// One difference a day, in the order of days: of several changes of a day, what was
/// before the first and after the last.
pub fn joined(changes: Vec<DayDifference>) -> Vec<DayDifference> {
    let mut days: BTreeMap<NaiveDate, DayDifference> = BTreeMap::new();
    for change in changes {
        days.entry(change.day)
            .and_modify(|day| day.after = change.after)
            .or_insert(change);
    }
    days.into_values().collect()
}

/// The days with what they were and what they are.
pub fn between(
    days: &[NaiveDate],
    before: &BTreeMap<NaiveDate, Totals>,
    after: &BTreeMap<NaiveDate, Totals>,
) -> Vec<DayDifference> {
    days.iter()
        .map(|day| DayDifference {
            day: *day,
            before: before.get(day).copied().unwrap_or_default(),
            after: after.get(day).copied().unwrap_or_default(),
        })
        .collect()
}
