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
use crate::fold::{Grain, InProcessFold, StoredRows, TableFold};
use crate::ingest::hours::hour_of;
use crate::pipeline::plan::LoadPlan;

/// Memory of the fold of one table: some 200,000 objects.
const FOLD_BYTES_MAX: usize = 44 << 20;

/// A staging table that is folded.
pub(super) struct Folding {
    loader: Loader,
    fold: &'static TableFold,
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
        let mut stored = encoder.stored_columns(plan, text_ids);
        let columns = self.fold.columns();
        let rows = StoredRows {
            interval_starts: encoder.interval_starts(),
            columns: columns
                .iter()
                .map(|column| stored.remove(column.name))
                .collect(),
        };
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
        self.account(&state.hours)?;
        let days: BTreeSet<NaiveDate> = state
            .hours
            .keys()
            .filter_map(|hour| DateTime::from_timestamp_micros(*hour))
            .map(|hour| hour.date_naive())
            .collect();
        Ok(Some(FoldTally {
            staging_table: self.fold.table,
            days: days.into_iter().collect(),
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

    /// Every row must be in every part, where it says hours by hour.
    fn account(&self, hours: &BTreeMap<i64, u64>) -> Result<()> {
        for part in self.fold.parts {
            let expected = by_grain(part.grain, hours);
            let counted = self.rows_of(part.table, &expected)?;
            if counted != expected {
                let sum = |rows: &BTreeMap<i64, u64>| rows.values().sum::<u64>();
                return Err(Failure::run(format!(
                    "the fold has {} of {} rows in `{}`",
                    sum(&counted),
                    sum(&expected),
                    part.table
                ))
                .hint("nothing of the payload was published; run it again, and report this as a bug of gristmill if it fails in the same way"));
            }
        }
        Ok(())
    }

    /// The rows that the generation's rows of a part count, by hour or day.
    fn rows_of(&self, part: &str, expected: &BTreeMap<i64, u64>) -> Result<BTreeMap<i64, u64>> {
        let instant = |microseconds: Option<&i64>| {
            DateTime::<Utc>::from_timestamp_micros(microseconds.copied().unwrap_or_default())
        };
        let counted = self.loader.database.wait(async {
            sqlx::query_as::<_, (DateTime<Utc>, i64)>(include_str!(
                "../../../sql/rows_of_day_part.select.sql"
            ))
            .bind(part)
            .bind(self.loader.generation)
            .bind(instant(expected.keys().next()))
            .bind(instant(expected.keys().next_back()))
            .fetch_all(self.loader.database.pool())
            .await
        });
        let counted = counted.map_err(|error| {
            SqlError(error).failure(format!("cannot count the rows of `{part}`"))
        })?;
        Ok(counted
            .into_iter()
            .map(|(start, rows)| (start.timestamp_micros(), rows as u64))
            .collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn months_of(hours: &BTreeMap<i64, u64>) -> BTreeSet<NaiveDate> {
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
