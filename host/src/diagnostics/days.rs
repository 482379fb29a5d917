//! Ranges of days as they are typed: days `2026-10-03`, or months `2026-10`.

use std::fmt;
use std::str::FromStr;

use chrono::{Months, NaiveDate};

use crate::diagnostics::failure::{Failure, Result};

/// A day, or all days of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayOrMonth {
    first: NaiveDate,
    last: NaiveDate,
}

/// Days without a gap, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    pub first: NaiveDate,
    pub last: NaiveDate,
}

impl FromStr for DayOrMonth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Ok(Self {
                first: day,
                last: day,
            });
        }
        NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d")
            .ok()
            .and_then(|first| {
                let last = first.checked_add_months(Months::new(1))?.pred_opt()?;
                Some(Self { first, last })
            })
            .ok_or_else(|| "write a day as 2026-10-03, or a month as 2026-10".to_string())
    }
}

impl Days {
    /// Every day that a report can be from.
    pub fn all() -> Self {
        let century = Months::new(12 * 100);
        let first = NaiveDate::default()
            .checked_add_months(Months::new(12 * 30))
            .unwrap_or_default();
        Self {
            first,
            last: first.checked_add_months(century).unwrap_or(first),
        }
    }

    /// From the first day of `from` to the last one of `to`, or of `from` itself.
    ///
    /// # Errors
    /// The end is before the beginning.
    pub fn between(from: DayOrMonth, to: Option<DayOrMonth>) -> Result<Self> {
        let (first, last) = (from.first, to.unwrap_or(from).last);
        if last < first {
            return Err(Failure::definition(format!(
                "`--to` ends with {last}, before `--from` begins with {first}"
            )));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for Days {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(formatter, "{}", self.first),
            false => write!(formatter, "{} to {}", self.first, self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn days(from: &str, to: Option<&str>) -> String {
        let to = to.map(|to| to.parse().unwrap());
        match Days::between(from.parse().unwrap(), to) {
            Ok(days) => days.to_string(),
            Err(failure) => failure.message,
        }
    }

    #[test]
    fn ends_are_days_or_months() {
        assert_eq!(days("2026-10-03", None), "2026-10-03");
        assert_eq!(days("2028-02", None), "2028-02-01 to 2028-02-29");
        assert_eq!(
            days("2026-10-03", Some("2026-11")),
            "2026-10-03 to 2026-11-30"
        );
        assert_eq!(
            days("2026-10", Some("2026-09-30")),
            "`--to` ends with 2026-09-30, before `--from` begins with 2026-10-01"
        );
        for text in ["", "2026", "2026-13", "2026-02-30", "yesterday"] {
            assert!(text.parse::<DayOrMonth>().is_err(), "{text}");
        }
    }
}
