//! A COPY under way, seen from a thread outside of the runtime: bytes go in, and its end
//! says how many rows that were.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Loader;
use super::copy::{CopyError, CopyOf};
use super::encode;
use crate::diagnostics::failure::{Failure, Result};
use crate::pipeline::staging::SYSTEM_COLUMNS;

/// Buffers on their way to Postgres per COPY; with more, memory grows and nothing
/// is faster, since the chain or Postgres waits anyway.
const BUFFERS_MAX: usize = 2;

/// A COPY under way.
pub(super) struct CopyStream {
    loader: Loader,
    table: String,
    buffers: mpsc::Sender<Vec<u8>>,
    task: JoinHandle<Result<u64, CopyError>>,
    sent: u64,
    /// The months that have a partition as this COPY sees it: it sees those that
    /// were there when it began.
    months: BTreeSet<NaiveDate>,
}

impl CopyStream {
    /// Begins a COPY of rows of some months, which have partitions.
    pub(super) fn begin(
        loader: &Loader,
        table: &str,
        statement: String,
        months: BTreeSet<NaiveDate>,
    ) -> Self {
        let (buffers, receiver) = mpsc::channel(BUFFERS_MAX);
        let copy = CopyOf {
            database: loader.database.clone(),
            generation: loader.generation,
            table: table.to_owned(),
            statement,
            months: months.clone(),
        };
        Self {
            loader: loader.clone(),
            table: table.to_owned(),
            buffers,
            task: loader.database.runtime().spawn(copy.run(receiver)),
            sent: 0,
            months,
        }
    }

    /// Whether it sees the partitions of these months.
    pub(super) fn sees(&self, months: &BTreeSet<NaiveDate>) -> bool {
        months.is_subset(&self.months)
    }

    /// Counts rows whose bytes are sent.
    pub(super) fn count(&mut self, rows: u64) {
        self.sent += rows;
    }

    /// Sends bytes; `false` when the COPY ended early: then its end says why.
    pub(super) fn send(&self, bytes: Vec<u8>) -> bool {
        self.buffers.blocking_send(bytes).is_ok()
    }

    /// Ends it; returns its rows, which are in the table then.
    ///
    /// # Errors
    /// Postgres refuses something, or counts other rows than were sent.
    pub(super) fn end(self) -> Result<u64> {
        // When the COPY is gone already, its result says so.
        let _ = self.buffers.blocking_send(encode::TRAILER.to_vec());
        drop(self.buffers);
        let doing = || doing(&self.table);
        let rows = self
            .loader
            .database
            .wait(self.task)
            .map_err(|error| Failure::bug(doing()).because(error))?
            .map_err(|error| error.failure(doing()))?;
        match rows == self.sent {
            true => Ok(rows),
            false => Err(Failure::run(format!(
                "sent {} rows to `{}`, but Postgres counted {rows}",
                self.sent, self.table
            ))),
        }
    }

    /// Ends it, and nothing of it stays. Waits, so that nothing of it is left under way.
    pub(super) fn abandon(self) {
        drop(self.buffers);
        // Without the trailer the COPY is aborted; that it may fail besides changes nothing.
        let _ = self.loader.database.wait(self.task);
    }

    /// Ends a COPY that took no more; the failure is that of the COPY.
    pub(super) fn broken(self) -> Failure {
        let table = self.table.clone();
        match self.end() {
            Err(failure) => failure,
            Ok(_) => Failure::bug(format!(
                "the load into `{table}` ended before its rows, and does not say why"
            )),
        }
    }
}

pub(super) fn doing(table: &str) -> String {
    format!("cannot load into `{table}`")
}

/// The statement of a COPY. Identifiers come from `staging::TABLES`, by way of the plan, and from `fold::FOLDS`; they
/// are quoted.
pub(super) fn copy_statement<'c>(table: &str, columns: impl Iterator<Item = &'c str>) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = SYSTEM_COLUMNS
        .iter()
        .copied()
        .chain(columns)
        .map(quoted)
        .collect();
    format!(
        "COPY {} ({}) FROM STDIN (FORMAT binary)",
        quoted(table),
        columns.join(", ")
    )
}
