//! Rows of small reports, which are kept until the payload is read and then share one
//! transaction: one for each would take longer than their rows.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Mutex, PoisonError};

use chrono::NaiveDate;

use super::copy::{self, CopyError, hold_generation};
use super::encode;
use super::stream::{CopyStream, doing};
use crate::database::Database;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};

/// The most that a worker keeps of a report, in bytes: some thousand rows.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// The most that is kept of all reports.
const SHARED_BYTES_MAX: usize = 1 << 20;

/// Rows of one table that a COPY is to load, encoded.
pub(super) struct KeptRows {
    pub(super) table: String,
    pub(super) statement: String,
    /// The months that it needs partitions of.
    pub(super) months: BTreeSet<NaiveDate>,
    pub(super) rows: u64,
    pieces: Vec<Vec<u8>>,
    bytes: usize,
    bytes_max: usize,
}

/// The way of a worker's rows of one report.
pub(super) enum Rows {
    None,
    /// They are few so far.
    Kept(KeptRows),
    Copied(Box<CopyStream>),
}

impl KeptRows {
    fn new(table: &str, statement: String, bytes_max: usize) -> Self {
        Self {
            table: table.to_owned(),
            statement,
            months: BTreeSet::new(),
            rows: 0,
            pieces: Vec::new(),
            bytes: 0,
            bytes_max,
        }
    }

    fn partitions(&self) -> impl Iterator<Item = (&str, NaiveDate)> {
        let months = self.months.iter();
        months.map(|month| (self.table.as_str(), *month))
    }
}

impl Rows {
    /// Takes encoded rows on their way; `begin` begins a COPY of such rows. `false`
    /// when the COPY ended early: then its end says why.
    pub(super) fn take(&mut self, piece: Vec<u8>, begin: &dyn Fn(&KeptRows) -> CopyStream) -> bool {
        if let Self::Kept(kept) = self {
            kept.bytes += piece.len();
            kept.pieces.push(piece);
            if kept.bytes <= kept.bytes_max {
                return true;
            }
            let mut copy = begin(kept);
            copy.count(kept.rows);
            let pieces = mem::take(&mut kept.pieces);
            *self = Self::Copied(Box::new(copy));
            return pieces.into_iter().all(|piece| self.send(piece));
        }
        self.send(piece)
    }

    fn send(&self, piece: Vec<u8>) -> bool {
        match self {
            Self::Copied(copy) => copy.send(piece),
            Self::None | Self::Kept(_) => false,
        }
    }

    /// Counts rows that were taken.
    pub(super) fn count(&mut self, rows: u64) {
        match self {
            Self::None => {}
            Self::Kept(kept) => kept.rows += rows,
            Self::Copied(copy) => copy.count(rows),
        }
    }
}

/// What is kept of the reports of a generation.
pub(super) struct SharedCopy {
    database: Database,
    generation: i64,
    kept_bytes_max: usize,
    kept: Mutex<Vec<KeptRows>>,
}

impl SharedCopy {
    pub(super) fn new(database: Database, generation: i64) -> Self {
        Self {
            database,
            generation,
            kept_bytes_max: failpoint::limit("GRISTMILL_TEST_KEPT_BYTES", KEPT_BYTES_MAX),
            kept: Mutex::default(),
        }
    }

    /// Begins to keep rows of a table; `statement` is that of their COPY.
    pub(super) fn begin_rows(&self, table: &str, statement: String) -> KeptRows {
        KeptRows::new(table, statement, self.kept_bytes_max)
    }

    /// Keeps a worker's rows of a report until the end, unless they are too many with those
    /// of others.
    ///
    /// # Errors
    /// As `end`.
    pub(super) fn keep(&self, rows: KeptRows) -> Result<()> {
        let bytes = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(rows);
            kept.iter().map(|kept| kept.bytes).sum::<usize>()
        };
        match bytes > SHARED_BYTES_MAX {
            true => self.end(),
            false => Ok(()),
        }
    }

    /// Loads what is kept.
    ///
    /// # Errors
    /// Postgres refuses something, or counts other rows than were sent.
    pub(super) fn end(&self) -> Result<()> {
        let mut kept = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            mem::take(&mut *kept)
        };
        if kept.is_empty() {
            return Ok(());
        }
        // Whoever locks several tables locks them in one order.
        kept.sort_by(|one, other| one.table.cmp(&other.table));
        self.database.wait(self.load(kept))
    }

    async fn load(&self, kept: Vec<KeptRows>) -> Result<()> {
        let tables: Vec<&str> = kept.iter().map(|rows| rows.table.as_str()).collect();
        let all = || match &tables[..] {
            [table] => doing(table),
            [first, others @ ..] => format!("{} and {} more", doing(first), others.len()),
            [] => String::new(),
        };
        let failed = |error: CopyError| error.failure(all());
        let permit = self.database.copy_permit().await;
        let _permit = permit.map_err(|error| failed(error.into()))?;
        let partitions = kept.iter().flat_map(KeptRows::partitions).collect();
        let begun = copy::begin(&self.database, &partitions).await;
        let mut transaction = begun.map_err(failed)?;
        for rows in &kept {
            let failed = |error: sqlx::Error| CopyError::from(error).failure(doing(&rows.table));
            let mut copy = transaction
                .copy_in_raw(&rows.statement)
                .await
                .map_err(failed)?;
            failpoint::passed(Failpoint::CopyBegun);
            let mut bytes = rows.pieces.concat();
            bytes.extend_from_slice(&encode::TRAILER);
            copy.send(bytes).await.map_err(failed)?;
            failpoint::passed(Failpoint::CopySent);
            failpoint::passed(Failpoint::CopyEnding);
            let counted = copy.finish().await.map_err(failed)?;
            if counted != rows.rows {
                return Err(Failure::run(format!(
                    "sent {} rows to `{}`, but Postgres counted {counted}",
                    rows.rows, rows.table
                )));
            }
        }
        let held = hold_generation(&mut transaction, self.generation);
        held.await.map_err(failed)?;
        failpoint::passed(Failpoint::CopyHeld);
        let committed = transaction.commit().await;
        committed.map_err(|error| failed(error.into()))?;
        failpoint::passed(Failpoint::CopyEnded);
        Ok(())
    }
}
