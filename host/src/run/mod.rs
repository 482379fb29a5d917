//! Runs payloads: a payload from open to published, a replay, a replay of rows in
//! quarantine. Each is a [`task`] that goes through one skeleton.

mod archival;
mod engine;
mod ingestion;
mod lake_folds;
mod payload;
mod quarantine;
mod queue;
mod replay;
mod reuse;
mod task;
mod verification;

use std::path::Path;

pub use self::ingestion::{Ingestion, workers};
pub use self::lake_folds::LakeFolds;
use self::payload::PayloadTask;
pub use self::payload::{Day, PayloadEnd, PayloadResult};
pub use self::quarantine::{QuarantineReplay, ReplayedRows};
use self::queue::Queue;
pub use self::queue::QueuedPayload;
pub use self::replay::{Replay, ReplayResult};
pub use self::verification::{ScratchAccess, Verification, VerificationResult, VerifiedEngine};
use crate::database::{self, Database};
use crate::diagnostics::failure::Result;
use crate::ledger::archive::{Archive, Archives};
use crate::payload::Payload;
use crate::pipeline::plan::Plan;
use crate::terminal::Turn;

/// All that running payloads needs, several of them at a time.
pub struct Runner<'a> {
    plan: &'a Plan,
    database: Database,
    /// Workers of each payload.
    workers: usize,
    archive: Option<Archive>,
    /// The servers of engine `trino`, where the pipeline has them.
    lake: Option<LakeFolds>,
    /// The folder for cases of rows that stages break at.
    pub capture: Option<&'a Path>,
}

impl<'a> Runner<'a> {
    /// # Errors
    /// The pipeline's archive is another database's, or cannot be read.
    pub fn new(plan: &'a Plan, database: Database, workers: usize) -> Result<Self> {
        Ok(Self {
            archive: archive_of(plan, &database)?,
            lake: LakeFolds::of(plan, &database)?,
            plan,
            database,
            workers,
            capture: None,
        })
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The servers of engine `trino`, where the pipeline has them.
    pub fn lake(&self) -> Option<&LakeFolds> {
        self.lake.as_ref()
    }

    /// How many payloads may be at work side by side.
    pub fn payloads_at_once(&self) -> usize {
        self.database.connections().payloads()
    }

    /// Runs a payload, which was opened or could not be; returns its result, and why it
    /// failed.
    pub fn run(&self, path: &Path, payload: Result<Payload>, turn: Option<Turn>) -> PayloadEnd {
        let ingestion = Ingestion {
            turn,
            ..self.ingestion()
        };
        PayloadTask::new(path, self.archive.as_ref(), None).run(ingestion, payload)
    }

    /// Runs payloads, of which there are so many, one after another; returns the result of
    /// each, and why it failed. Growing uploads of a source are published together.
    pub fn run_all(
        &self,
        payloads: impl Iterator<Item = QueuedPayload>,
        of: usize,
    ) -> Vec<PayloadEnd> {
        Queue::new(payloads, of).run(self.ingestion(), self.archive.as_ref())
    }

    fn ingestion(&self) -> Ingestion<'_> {
        Ingestion {
            plan: self.plan,
            database: &self.database,
            workers: self.workers,
            lake: self.lake.as_ref(),
            capture: self.capture,
            turn: None,
        }
    }
}

/// The archive of a pipeline, if it has one; refused when it is another database's.
fn archive_of(plan: &Plan, database: &Database) -> Result<Option<Archive>> {
    if !plan.archive.keep {
        return Ok(None);
    }
    let directory = match &plan.archive.directory {
        Some(directory) => directory.clone(),
        None => database::default_archive(),
    };
    Archive::of(database, &directory).map(Some)
}

/// Where the archived payloads of this database are; refused when it is a copy that has
/// records of another's.
///
/// # Errors
/// It is such a copy, or the database fails.
pub fn archives_of(plan: &Plan, database: &Database) -> Result<Archives> {
    let archive = archive_of(plan, database)?;
    Archives::of(database, archive.as_ref())
}
