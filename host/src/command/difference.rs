//! Shows how a change altered the daily summary, as a small table.

use crate::ledger::difference::{DayDifference, Totals};
use crate::terminal::{self, grouped};

/// One line per day: a value where it stayed, `before → after` where it did not.
pub(super) fn show(days: &[DayDifference]) {
    let rows: Vec<Vec<String>> = days
        .iter()
        .map(|day| {
            let mut row = vec![day.day.to_string()];
            let (before, after) = (cells(&day.before), cells(&day.after));
            row.extend(before.into_iter().zip(after).map(|(before, after)| {
                match before == after {
                    true => after,
                    false => format!("{before} → {after}"),
                }
            }));
            row
        })
        .collect();
    terminal::table(
        &[
            "day",
            "rows",
            "labels",
            "core-hours used",
            "effective",
            "GiB-hours effective",
            "claims, GiB-months used",
        ],
        &[1, 2, 3, 4, 5, 6],
        &rows,
    );
}

fn cells(totals: &Totals) -> [String; 6] {
    let count = |count: i64| grouped(count.unsigned_abs());
    let number = |number: f64| format!("{number:.3}");
    [
        count(totals.rows),
        count(totals.labels),
        number(totals.usage_cpu_core_hours),
        number(totals.effective_cpu_core_hours),
        number(totals.effective_memory_gigabyte_hours),
        number(totals.volume_usage_gigabyte_months),
    ]
}
