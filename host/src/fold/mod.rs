//! The fold of hours into days: what grows with the size of a cluster and its hours becomes
//! day parts, which grow with its objects alone.
//!
//! `declaration` says what becomes of which staging table; all else follows from it: the
//! fold in this process (`in_process`), the statements of Trino and the rows of the parts.
//! A part of a generation is final, and parts of one key merge: sums add up, maxima are
//! compared. Nothing here knows a database.

mod declaration;
mod in_process;
mod numbers;
mod packed;
mod part_rows;
mod stored_rows;

pub use self::declaration::{
    FOLDS, FoldColumn, FoldColumnKind, Grain, Part, ROWS_COLUMN, TableFold, Word,
};
pub use self::in_process::InProcessFold;
pub use self::part_rows::{PartKey, PartRow};
pub use self::stored_rows::{DAY_COLUMN, INTERVAL_COLUMN, StoredColumn, StoredRows, StoredValues};

/// The microseconds of a day.
const DAY_MICROSECONDS: i64 = 24 * 60 * 60 * 1_000_000;

/// The first instant of the UTC day of an instant, in microseconds since the epoch.
pub fn day_of(microseconds: i64) -> i64 {
    microseconds - microseconds.rem_euclid(DAY_MICROSECONDS)
}
