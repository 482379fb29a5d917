//! The months that rows may be of, counted from the present one. Each month that is
//! loaded costs partitions of many tables, so a stray row or a made-up payload must not
//! open one.

use arrow_array::Array as _;
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};

use crate::database::{Database, SqlError};
use crate::diagnostics::failure::{Failure, Result};
use crate::payload::Payload;
use crate::pipeline::plan::MonthLimits;
use crate::pipeline::staging::PARTITION_COLUMN;
use crate::rows::batch::{Batch, RejectedRow, Values, instant};

/// The months that can be loaded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadableMonths {
    /// The first days of the first and the last of them.
    first: NaiveDate,
    last: NaiveDate,
    limits: MonthLimits,
}

impl LoadableMonths {
    /// As it is now by the clock of the database, which retention goes by as well.
    ///
    /// # Errors
    /// The database fails.
    pub fn now(database: &Database, limits: MonthLimits) -> Result<Self> {
        database.wait(async {
            sqlx::query_scalar(include_str!("../../../sql/today.select.sql"))
                .fetch_one(database.pool())
                .await
                .map(|today| Self::on(today, limits))
                .map_err(|error| SqlError(error).failure("cannot read the clock of the database"))
        })
    }

    /// As it is on a day. Years that no table has are never among them.
    pub fn on(today: NaiveDate, limits: MonthLimits) -> Self {
        let day = |year, month| NaiveDate::from_ymd_opt(year, month, 1).unwrap_or_default();
        let this = day(today.year(), today.month());
        let first = this.checked_sub_months(Months::new(limits.back));
        let last = this.checked_add_months(Months::new(limits.ahead));
        let (least, most) = (day(2000, 1), day(2099, 12));
        Self {
            first: first.map_or(least, |first| first.max(least)),
            last: last.map_or(most, |last| last.min(most)),
            limits,
        }
    }

    /// Refuses a payload whose manifest says that it is of other months.
    ///
    /// # Errors
    /// It does.
    pub fn check(&self, payload: &Payload) -> Result<()> {
        let manifest = &payload.manifest;
        let bounds = [("start", manifest.start), ("end", manifest.end)];
        for (name, bound) in bounds {
            let Some(bound) = bound else {
                continue;
            };
            if let Some(reason) = self.refusal(bound.timestamp_micros()) {
                return Err(Failure::run(format!(
                    "payload `{}` is refused",
                    payload.path.display()
                ))
                .because(anyhow::anyhow!("`{name}` of its manifest, {reason}"))
                .hint(
                    "nothing of it was published; if it is right, raise the limit in the pipeline file",
                ));
            }
        }
        Ok(())
    }

    /// Takes out the rows of other months; `None` when there are none. The reason is
    /// that of a batch that cannot be taken apart.
    pub(super) fn split(&self, batch: &Batch) -> Result<Option<(Batch, Vec<RejectedRow>)>, String> {
        let Some(Values::Timestamp(starts)) = batch.column(PARTITION_COLUMN).and_then(Values::of)
        else {
            return Ok(None);
        };
        let is_null = |row: usize| starts.nulls().is_some_and(|nulls| nulls.is_null(row));
        let loadable = self.microseconds();
        let others: Vec<u32> = starts
            .values()
            .iter()
            .enumerate()
            .filter(|(row, start)| !loadable.contains(start) && !is_null(*row))
            .map(|(row, _)| row as u32)
            .collect();
        if others.is_empty() {
            return Ok(None);
        }
        let rejects = others
            .iter()
            .filter_map(|row| {
                let row = *row as usize;
                let reason = self.refusal(starts.value(row))?;
                let column = Some(PARTITION_COLUMN.to_string());
                let code = "out-of-range".to_string();
                Some(batch.places.reject(row, column, code, reason))
            })
            .collect();
        batch
            .without(&others)
            .and_then(Batch::compact)
            .map(|kept| Some((kept, rejects)))
            .map_err(|error| error.to_string())
    }

    /// Why an instant is not in these months.
    fn refusal(&self, microseconds: i64) -> Option<String> {
        let loadable = self.microseconds();
        let (key, limit) = if microseconds < loadable.start {
            ("months-back", self.limits.back)
        } else if microseconds >= loadable.end {
            ("months-ahead", self.limits.ahead)
        } else {
            return None;
        };
        Some(format!(
            "{} is not in the months {} to {}: `{key}` in `[limits]` is {limit}",
            instant(microseconds),
            self.first.format("%Y-%m"),
            self.last.format("%Y-%m"),
        ))
    }

    fn microseconds(&self) -> std::ops::Range<i64> {
        let begin = |day: NaiveDate| -> DateTime<Utc> { day.and_time(NaiveTime::MIN).and_utc() };
        let end = self.last.checked_add_months(Months::new(1));
        let end = end.map_or(i64::MAX, |end| begin(end).timestamp_micros());
        begin(self.first).timestamp_micros()..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(year: i32, month: u32, back: u32, ahead: u32) -> LoadableMonths {
        let today = NaiveDate::from_ymd_opt(year, month, 29).unwrap();
        LoadableMonths::on(today, MonthLimits { back, ahead })
    }

    fn reason(months: LoadableMonths, at: &str) -> Option<String> {
        let at: DateTime<Utc> = at.parse().unwrap();
        months.refusal(at.timestamp_micros())
    }

    #[test]
    fn months_are_counted_from_the_present_one() {
        let months = on(2026, 11, 120, 2);
        assert_eq!(reason(months, "2016-11-01T00:00:00Z"), None);
        assert_eq!(reason(months, "2027-01-31T23:59:59Z"), None);
        assert_eq!(
            reason(months, "2016-10-31T23:59:59Z").as_deref(),
            Some(
                "2016-10-31T23:59:59Z is not in the months 2016-11 to 2027-01: \
                `months-back` in `[limits]` is 120"
            )
        );
        assert_eq!(
            reason(months, "2027-02-01T00:00:00Z").as_deref(),
            Some(
                "2027-02-01T00:00:00Z is not in the months 2016-11 to 2027-01: \
                `months-ahead` in `[limits]` is 2"
            )
        );
    }

    #[test]
    fn there_may_be_one_month_and_never_one_that_no_table_has() {
        let one = on(2026, 11, 0, 0);
        assert_eq!(reason(one, "2026-11-30T23:59:59Z"), None);
        assert!(reason(one, "2026-10-31T23:59:59Z").is_some());
        assert!(reason(one, "2026-12-01T00:00:00Z").is_some());
        for months in [on(2026, 11, 1200, 1200), on(2026, 11, u32::MAX, u32::MAX)] {
            assert_eq!(reason(months, "2000-01-01T00:00:00Z"), None);
            assert_eq!(reason(months, "2099-12-31T23:59:59Z"), None);
            assert!(reason(months, "1999-12-31T23:59:59Z").is_some());
            assert!(reason(months, "2100-01-01T00:00:00Z").is_some());
        }
    }
}
