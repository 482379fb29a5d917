//! Folds rows of one staging table by Trino: workers write them into files of the lake, and
//! when all are there, Trino folds these, and its rows go to Postgres as day parts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Loader;
use super::encode::Encoder;
use super::folding::{FoldTally, account, days_of, months_of, stored_rows};
use super::parts::PartsLoad;
use super::stored_texts::TextIds;
use crate::diagnostics::engine_error::{EngineError, EngineFault};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::fold::{FoldColumn, Part, TableFold};
use crate::lake::{FileWriters, FilesWritten, Lake, Place};
use crate::pipeline::plan::LoadPlan;
use crate::trino::{Progress, Trino};

/// How often a fold is begun whose rows had come in part.
const FOLDS_MAX: u32 = 3;

/// A staging table that Trino folds.
pub(super) struct LakeFolding {
    loader: Loader,
    fold: &'static TableFold,
    columns: Vec<FoldColumn>,
    lake: Lake,
    trino: Trino,
    place: Place,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    written: FilesWritten,
    /// Rows by hour.
    hours: BTreeMap<i64, u64>,
    time: Duration,
    fault: Option<EngineFault>,
}

impl LakeFolding {
    pub(super) fn new(
        loader: &Loader,
        fold: &'static TableFold,
        lake: &Lake,
        trino: &Trino,
        place: Place,
    ) -> Self {
        Self {
            loader: loader.clone(),
            fold,
            columns: fold.columns(),
            lake: lake.clone(),
            trino: trino.clone(),
            place,
            state: Mutex::default(),
        }
    }

    pub(super) fn takes(&self, table: &str) -> bool {
        self.fold.table == table
    }

    /// The files of one worker.
    pub(super) fn files(&self) -> FileWriters {
        self.lake.files(&self.place)
    }

    /// Adds rows whose texts are stored to a worker's files.
    ///
    /// # Errors
    /// The lake does not take them.
    pub(super) fn add(
        &self,
        files: &mut FileWriters,
        encoder: &Encoder<'_>,
        plan: &LoadPlan,
        text_ids: &TextIds,
    ) -> Result<()> {
        let started = Instant::now();
        let rows = stored_rows(&self.columns, encoder, plan, text_ids);
        let rows = rows.record_batch(&self.columns).map_err(|error| {
            Failure::bug(format!("rows of `{}` make no batch", self.fold.table)).because(error)
        })?;
        files.write(&rows).map_err(|error| self.note(error))?;
        let mut state = self.lock();
        for (hour, rows) in encoder.hours() {
            *state.hours.entry(hour).or_default() += rows;
        }
        state.time += started.elapsed();
        Ok(())
    }

    /// Ends the files of a worker.
    ///
    /// # Errors
    /// The lake does not take them.
    pub(super) fn finish(&self, files: FileWriters) -> Result<()> {
        let written = files.finish().map_err(|error| self.note(error))?;
        failpoint::passed(Failpoint::LakeFilesWritten);
        let mut state = self.lock();
        state.written.rows += written.rows;
        state.written.bytes += written.bytes;
        state.written.files += written.files;
        Ok(())
    }

    /// Lets Trino fold the files, loads what comes out, and checks that it has every row.
    /// `None` when there was none.
    ///
    /// # Errors
    /// Trino or the lake fails, the database refuses a part, or one has other rows than
    /// were written.
    pub(super) fn end(&self, progress: &dyn Fn(&Progress)) -> Result<Option<FoldTally>> {
        let (written, hours, time) = {
            let state = self.lock();
            (state.written, state.hours.clone(), state.time)
        };
        let rows: u64 = hours.values().sum();
        if rows == 0 {
            return Ok(None);
        }
        let started = Instant::now();
        self.trino
            .create_and_add(&self.lake, &self.place, self.fold, &written)
            .map_err(|error| self.note(error))?;
        failpoint::passed(Failpoint::TrinoTableMade);
        let mut part_rows = 0;
        for part in self.fold.parts {
            part_rows += self.fold_part(part, &hours, progress)?;
            failpoint::passed(Failpoint::TrinoFolded);
        }
        account(
            &self.loader,
            self.fold,
            &hours,
            &|part, counted, expected| {
                let place = format!("{}/{}", self.lake.location(), self.place);
                Failure::run(format!(
                "Trino read {counted} of {expected} rows below `{place}`, by those of `{part}`"
            ))
            .hint("nothing of the payload was published; see that nobody else writes or removes files there, and run it again")
            },
        )?;
        Ok(Some(FoldTally {
            staging_table: self.fold.table,
            days: days_of(&hours),
            rows,
            part_rows,
            time: time + started.elapsed(),
        }))
    }

    /// Loads a part; returns its rows.
    fn fold_part(
        &self,
        part: &'static Part,
        hours: &BTreeMap<i64, u64>,
        progress: &dyn Fn(&Progress),
    ) -> Result<u64> {
        let months = months_of(hours);
        let mut folds = 0;
        loop {
            folds += 1;
            // What was loaded of a fold that broke off is never committed.
            let mut load = PartsLoad::new(&self.loader, &months);
            let mut part_rows = 0;
            let folded = self.trino.fold(
                &self.place,
                self.fold,
                part,
                &mut |rows| {
                    part_rows += rows.len() as u64;
                    rows.iter().try_for_each(|row| load.send(part, row))
                },
                &mut |state| progress(state),
            );
            match folded {
                Ok(_) => {
                    load.end()?;
                    return Ok(part_rows);
                }
                Err(error) if error.fault == EngineFault::Passing && folds < FOLDS_MAX => {
                    load.abandon();
                    tracing::warn!("Trino broke off, and is asked again: {error}");
                }
                Err(error) => {
                    load.abandon();
                    return Err(self.note(error));
                }
            }
        }
    }

    /// What was wrong with the lake or Trino, if anything was.
    pub(super) fn fault(&self) -> Option<EngineFault> {
        self.lock().fault
    }

    fn note(&self, error: EngineError) -> Failure {
        self.lock().fault = Some(error.fault);
        error.failure
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
