//! How long the month is that an instant is in.

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// Lengths of months. Remembers the last one: rows of a file are of one month,
/// with few exceptions.
#[derive(Debug, Default)]
pub(crate) struct MonthLengths {
    /// The days, counted from 1970-01-01, from the first of the month up to the
    /// first of the next. Empty at the beginning.
    month: std::ops::Range<i64>,
}

impl MonthLengths {
    /// The days of the UTC month of an instant.
    pub(crate) fn days(&mut self, microseconds: i64) -> f64 {
        let day = microseconds.div_euclid(MICROSECONDS_PER_DAY);
        if !self.month.contains(&day) {
            self.month = month_of(day);
        }
        (self.month.end - self.month.start) as f64
    }
}

/// The month of a day of the Gregorian calendar. Eras are 400 years, 146,097
/// days; years begin in March, so that the leap day is the last.
fn month_of(day: i64) -> std::ops::Range<i64> {
    let since_era_zero = day + 719_468;
    let day_of_era = since_era_zero.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let first_day_of_year = (153 * month + 2) / 5;
    let start = day - (day_of_year - first_day_of_year);
    let length = match month {
        // April, June, September, November.
        1 | 3 | 6 | 8 => 30,
        // February belongs to the year that began in March before it.
        11 if is_leap(year_of_era + 1) => 29,
        11 => 28,
        _ => 31,
    };
    start..start + length
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[cfg(test)]
mod tests {
    use super::{MICROSECONDS_PER_DAY, MonthLengths};

    #[test]
    fn months_of_eight_centuries() {
        // From 1600-01-01 on, day by day, against the plain rule.
        let mut day = -135_140;
        let mut months = MonthLengths::default();
        for year in 1600..2400 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                for _ in 0..length {
                    let midnight = day * MICROSECONDS_PER_DAY;
                    for at in [midnight, midnight + MICROSECONDS_PER_DAY - 1] {
                        assert_eq!(months.days(at), f64::from(length), "{year}, day {day}");
                    }
                    day += 1;
                }
            }
        }
    }
}
