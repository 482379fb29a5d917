//! The threshold for rejected rows: a share beside a number, which many small reports need.

use std::fmt;
use std::ops::RangeInclusive;

use toml::Spanned;

use super::resolve::Resolver;
use crate::diagnostics::problem::Problem;
use crate::pipeline::definition;

/// The share of rows that may be rejected where the definition is silent.
pub(super) const REJECTED_ROWS_MAX: f64 = 0.01;

/// Rejected rows that are borne whatever their share is, where the definition is silent:
/// whoever may create a pod can make some bad rows, in a report of a few.
pub(super) const REJECTED_ROWS_FLOOR: u64 = 10;

/// More are no longer some bad rows.
const FLOOR_RANGE: RangeInclusive<u64> = 0..=10_000_000;

/// The rejected rows of a payload, or of a file, that are too many: more than either.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RejectedRowsThreshold {
    pub share: f64,
    pub floor: u64,
}

impl RejectedRowsThreshold {
    /// The threshold of a share and, where one is said, a floor.
    fn of(share: f64, floor: Option<u64>, default: u64) -> Self {
        // Who allows no share allows no row.
        let default = if share > 0.0 { default } else { 0 };
        Self {
            share,
            floor: floor.unwrap_or(default),
        }
    }

    /// Whether these are too many of the rows that were read.
    pub fn is_exceeded(self, rejected: u64, read: u64) -> bool {
        rejected > self.floor && rejected as f64 > self.share * read as f64
    }
}

impl fmt::Display for RejectedRowsThreshold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "more than {} %", self.share * 100.0)?;
        match self.floor {
            0 => Ok(()),
            1 => formatter.write_str(" and more than 1 row"),
            rows => write!(formatter, " and more than {rows} rows"),
        }
    }
}

impl Resolver<'_> {
    pub(super) fn rejected_rows(&mut self) -> Option<RejectedRowsThreshold> {
        let limits = &self.definition.limits;
        let share = limits
            .rejected_rows
            .map_or(REJECTED_ROWS_MAX, |share| share.0);
        let floor = self.floor(limits.rejected_rows_floor.as_ref())?;
        Some(RejectedRowsThreshold::of(share, floor, REJECTED_ROWS_FLOOR))
    }

    /// The threshold of a stage; `Some(None)` where it has none of its own.
    pub(super) fn rejected_rows_of(
        &mut self,
        limits: Option<&Spanned<definition::Limits>>,
    ) -> Option<Option<RejectedRowsThreshold>> {
        let Some(limits) = limits else {
            return Some(None);
        };
        let own = limits.get_ref();
        let floor = self.floor(own.rejected_rows_floor.as_ref())?;
        let Some(share) = own.rejected_rows else {
            if floor.is_some() {
                self.add(
                    Problem::new(
                        limits.span(),
                        "`rejected-rows-floor` of a stage stands beside a share of its own",
                    )
                    .hint("say `rejected-rows` of the stage, too"),
                );
                return None;
            }
            return Some(None);
        };
        let default = self.rejected_rows()?.floor;
        Some(Some(RejectedRowsThreshold::of(share.0, floor, default)))
    }

    fn floor(&mut self, floor: Option<&Spanned<u64>>) -> Option<Option<u64>> {
        self.count("rejected-rows-floor", floor, FLOOR_RANGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_are_more_than_both() {
        let usual = RejectedRowsThreshold::of(0.01, None, REJECTED_ROWS_FLOOR);
        assert!(!usual.is_exceeded(1, 48));
        assert!(!usual.is_exceeded(10, 10));
        assert!(usual.is_exceeded(11, 48));
        assert!(!usual.is_exceeded(11, 1_100));
        assert!(usual.is_exceeded(12, 1_100));
        assert_eq!(usual.to_string(), "more than 1 % and more than 10 rows");
    }

    #[test]
    fn no_share_is_no_row_unless_one_is_said() {
        let none = RejectedRowsThreshold::of(0.0, None, REJECTED_ROWS_FLOOR);
        assert!(none.is_exceeded(1, 1_000_000));
        assert_eq!(none.to_string(), "more than 0 %");
        let said = RejectedRowsThreshold::of(0.0, Some(1), REJECTED_ROWS_FLOOR);
        assert!(!said.is_exceeded(1, 1));
        assert!(said.is_exceeded(2, 1_000_000));
    }
}
