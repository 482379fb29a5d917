//! The sink: takes batches when their chains are through with them. Ingest is given one
//! as a value and does not know how it is made.

use std::collections::BTreeMap;

use crate::diagnostics::failure::Result;
use crate::pipeline::plan::LoadPlan;
use crate::rows::batch::{Batch, RejectedRow};

/// Takes the rows of a payload.
pub trait Sink: Sync {
    /// Opens a writer for a worker's share of a report.
    fn writer<'s>(&'s self, plan: &'s LoadPlan) -> Box<dyn SinkWriter + 's>;

    /// Ends the payload, whose shares have ended; the sink has every row then.
    ///
    /// # Errors
    /// As [`SinkWriter::finish`].
    fn end(&self) -> Result<()>;
}

/// A worker's share of a report on its way into a sink. Used from a thread of its own.
pub trait SinkWriter {
    /// Sends a batch on its way; returns the rows that the sink cannot hold.
    ///
    /// # Errors
    /// The sink refuses something, or the batch is not of the plan's schema.
    fn send(&mut self, batch: &Batch) -> Result<Vec<RejectedRow>>;

    /// Ends the share; the sink may keep rows of it until its own end.
    ///
    /// # Errors
    /// The sink refuses something, or counts other rows than were sent.
    fn finish(self: Box<Self>) -> Result<LoadTally>;
}

/// The rows that reached the sink.
#[derive(Debug)]
pub struct LoadTally {
    pub rows: u64,
    /// Rows by hour, in microseconds since the epoch.
    pub hours: BTreeMap<i64, u64>,
}
