//! Folds rows of one staging table while they are loaded, in place of storing them.
//!
//! All workers add to one fold. Beyond a limit of memory its rows go to Postgres as day
//! parts, and it begins anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};

use super::encode::Encoder;
use super::parts::PartsLoad;
use super::stored_texts::TextIds;
use super::{Loader, month_of};
use crate::database::SqlError;
use crate::diagnostics::failpoint;
use crate::diagnostics::failure::{Failure, Result};
use crate::fold::{FoldColumn, Grain, InProcessFold, StoredRows, TableFold};
use crate::ingest::hours::hour_of;
use crate::pipeline::plan::LoadPlan;

/// Memory of the fold of one table: some 230,000 pods.
const FOLD_BYTES_MAX: usize = 44 << 20;

/// A staging table that is folded.
pub(super) struct Folding {
    loader: Loader,
    fold: &'static TableFold,
    columns: Vec<FoldColumn>,
    bytes_max: usize,
    state: Mutex<State>,
}

/// A fold that is over.
#[derive(Debug)]
pub struct FoldTally {
    pub staging_table: &'static str,
    /// The UTC days that it has rows of.
    pub days: Vec<NaiveDate>,
    pub rows: u64,
    /// The rows of parts that they became.
    pub part_rows: u64,
    pub time: Duration,
}

struct State {
    fold: InProcessFold,
    part_rows: u64,
    time: Duration,
    /// Rows by hour, those that are parts already among them.
    hours: BTreeMap<i64, u64>,
}

impl Folding {
    pub(super) fn new(loader: &Loader, fold: &'static TableFold) -> Self {
        Self {
            loader: loader.clone(),
            fold,
            columns: fold.columns(),
            bytes_max: failpoint::limit("GRISTMILL_TEST_FOLD_BYTES", FOLD_BYTES_MAX),
            state: Mutex::new(State {
                fold: InProcessFold::new(fold),
                part_rows: 0,
                time: Duration::ZERO,
                hours: BTreeMap::new(),
            }),
        }
    }

    pub(super) fn takes(&self, table: &str) -> bool {
        self.fold.table == table
    }

    /// Adds rows whose texts are stored.
    ///
    /// # Errors
    /// The database refuses parts that were written out.
    pub(super) fn add(
        &self,
        encoder: &Encoder<'_>,
        plan: &LoadPlan,
        text_ids: &TextIds,
    ) -> Result<()> {
        let rows = stored_rows(&self.columns, encoder, plan, text_ids);
        let mut state = self.lock();
        let started = Instant::now();
        state.fold.add(&rows);
        state.time += started.elapsed();
        for (hour, rows) in encoder.hours() {
            *state.hours.entry(hour).or_default() += rows;
        }
        match state.fold.bytes() > self.bytes_max {
            true => self.write_out(&mut state),
            false => Ok(()),
        }
    }

    /// Writes out what is left, and checks that the parts have every row. `None` when there
    /// was none.
    ///
    /// # Errors
    /// The database refuses a part, or one has other rows than were added.
    pub(super) fn end(&self) -> Result<Option<FoldTally>> {
        let mut state = self.lock();
        if state.hours.is_empty() {
            return Ok(None);
        }
        self.write_out(&mut state)?;
        account(
            &self.loader,
            self.fold,
            &state.hours,
            &|part, counted, expected| {
                Failure::bug(format!(
                    "the fold has {counted} of {expected} rows in `{part}`"
                ))
                .hint("nothing of the payload was published; run it again")
            },
        )?;
        Ok(Some(FoldTally {
            staging_table: self.fold.table,
            days: days_of(&state.hours),
            rows: state.hours.values().sum(),
            part_rows: state.part_rows,
            time: state.time,
        }))
    }

    fn write_out(&self, state: &mut State) -> Result<()> {
        let started = Instant::now();
        let months = months_of(&state.hours);
        let mut parts = PartsLoad::new(&self.loader, &months);
        let mut rows = 0;
        state.fold.take(|part, row| {
            rows += 1;
            parts.send(part, &row)
        })?;
        parts.end()?;
        state.part_rows += rows;
        state.time += started.elapsed();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch as a fold reads it, by the fold's columns.
pub(super) fn stored_rows<'b>(
    columns: &[FoldColumn],
    encoder: &'b Encoder<'_>,
    plan: &LoadPlan,
    text_ids: &TextIds,
) -> StoredRows<'b> {
    let mut stored = encoder.stored_columns(plan, text_ids);
    StoredRows {
        interval_starts: encoder.interval_starts(),
        columns: columns
            .iter()
            .map(|column| stored.remove(column.name))
            .collect(),
    }
}

/// Every row must be in every part, hour by hour where the part says hours. `unequal` makes
/// the failure of a part that has another number of rows than were loaded.
pub(super) fn account(
    loader: &Loader,
    fold: &TableFold,
    hours: &BTreeMap<i64, u64>,
    unequal: &dyn Fn(&str, u64, u64) -> Failure,
) -> Result<()> {
    for part in fold.parts {
        let expected = by_grain(part.grain, hours);
        let counted = rows_of(loader, part.table, &expected)?;
        if counted != expected {
            let sum = |rows: &BTreeMap<i64, u64>| rows.values().sum::<u64>();
            return Err(unequal(part.table, sum(&counted), sum(&expected)));
        }
    }
    Ok(())
}

/// The rows that the generation's rows of a part count, by hour or day.
fn rows_of(
    loader: &Loader,
    part: &str,
    expected: &BTreeMap<i64, u64>,
) -> Result<BTreeMap<i64, u64>> {
    let instant = |microseconds: Option<&i64>| {
        DateTime::<Utc>::from_timestamp_micros(microseconds.copied().unwrap_or_default())
    };
    let counted = loader.database.wait(async {
        sqlx::query_as::<_, (DateTime<Utc>, i64)>(include_str!(
            "../../../sql/rows_of_day_part.select.sql"
        ))
        .bind(part)
        .bind(loader.generation)
        .bind(instant(expected.keys().next()))
        .bind(instant(expected.keys().next_back()))
        .fetch_all(loader.database.pool())
        .await
    });
    let counted = counted
        .map_err(|error| SqlError(error).failure(format!("cannot count the rows of `{part}`")))?;
    Ok(counted
        .into_iter()
        .map(|(start, rows)| (start.timestamp_micros(), rows as u64))
        .collect())
}

/// The UTC days of hours, in order.
pub(super) fn days_of(hours: &BTreeMap<i64, u64>) -> Vec<NaiveDate> {
    let mut days: Vec<NaiveDate> = hours
        .keys()
        .filter_map(|hour| DateTime::from_timestamp_micros(*hour))
        .map(|hour| hour.date_naive())
        .collect();
    days.dedup();
    days
}

pub(super) fn months_of(hours: &BTreeMap<i64, u64>) -> BTreeSet<NaiveDate> {
    hours.keys().copied().filter_map(month_of).collect()
}

/// Rows by the hours or days of a part.
fn by_grain(grain: Grain, hours: &BTreeMap<i64, u64>) -> BTreeMap<i64, u64> {
    let mut rows = BTreeMap::new();
    for (hour, count) in hours {
        let start = match grain {
            Grain::Day => grain.start_of(*hour),
            Grain::Interval => hour_of(*hour),
        };
        *rows.entry(start).or_default() += count;
    }
    rows
}
