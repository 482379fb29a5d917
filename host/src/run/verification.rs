//! Verifies an engine on a site's own payloads: loads those that are archived of some days
//! into two scratch schemas, by engine `postgres` and by the one in question, and compares
//! what consumers would read.
//!
//! There are two, and the site's own tables are none of them: these may have been made by an
//! earlier gristmill, with other tags, or by the very engine. Nothing of the site is changed,
//! nor locked.

use std::time::Instant;

use chrono::NaiveDate;
use serde::Serialize;
use uuid::Uuid;

use super::ingestion::Ingestion;
use super::lake_folds::LakeFolds;
use super::payload::PayloadTask;
use super::replay::{Replay, Replayable};
use crate::database::{Database, SchemaName};
use crate::diagnostics::days::Days;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::ledger::comparison::{self, RowDifference, Scope};
use crate::ledger::fold_record;
use crate::ledger::scratch::{self, Scratch};
use crate::pipeline::plan::{AggregationEngine, Plan};

/// Both engines, the one that the other is measured by first.
pub struct Verification<'a> {
    pub engines: [VerifiedEngine<'a>; 2],
    pub access: &'a dyn ScratchAccess,
}

/// An engine, and the pipeline with it.
#[derive(Clone, Copy)]
pub struct VerifiedEngine<'a> {
    pub engine: AggregationEngine,
    pub plan: &'a Plan,
    /// The servers of engine `trino`.
    pub lake: Option<&'a LakeFolds>,
}

/// How a scratch schema is opened.
pub trait ScratchAccess {
    /// For a payload, with as many workers as it may have.
    ///
    /// # Errors
    /// The database cannot be reached.
    fn to_load(&self, schema: &SchemaName) -> Result<(Database, usize)>;

    /// For what reads alone.
    ///
    /// # Errors
    /// The database cannot be reached.
    fn to_read(&self, schema: &SchemaName) -> Result<Database>;
}

/// The result of a verification.
#[derive(Debug, Serialize)]
pub struct VerificationResult {
    cluster_id: String,
    source_uuid: Uuid,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
    pub payloads: usize,
    pub engines: Vec<EngineLoad>,
    /// Consumers' tables, and the rows that both have, as far as there was no difference.
    pub tables: usize,
    pub rows: u64,
    pub equal: bool,
    /// The first difference; `left` is what the first of the engines made.
    pub difference: Option<RowDifference>,
}

/// The load of all payloads by one engine.
#[derive(Debug, Serialize)]
pub struct EngineLoad {
    pub engine: &'static str,
    pub rows_loaded: u64,
    /// Hourly rows that it folded before they were published.
    pub rows_folded: u64,
    /// Time of the fold alone, where it is not part of publishing.
    pub fold_seconds: Option<f64>,
    pub seconds: f64,
}

impl Verification<'_> {
    /// Loads and compares.
    ///
    /// # Errors
    /// A payload fails, or the database does.
    pub fn run(
        &self,
        site: &Replay<'_>,
        payloads: &[Replayable],
        days: Days,
        scratch: &mut Scratch,
    ) -> Result<VerificationResult> {
        self.copy_settings(site, scratch)?;
        let mut loads = Vec::new();
        for number in 0..self.engines.len() {
            loads.push(self.load(number, site, payloads, scratch)?);
            failpoint::passed(Failpoint::ScratchLoaded);
        }
        let left = scratch.open(0, |schema| self.access.to_read(schema))?;
        let right = scratch.open(1, |schema| self.access.to_read(schema))?;
        if loads.iter().all(|load| load.rows_loaded == 0) {
            return Err(Failure::run(format!(
                "the archived payloads of {days} have no row, so there is nothing to compare"
            )));
        }
        // A payload is loaded with all of its days; what is of a month is compared, too.
        let compared = comparison::compare(&left, &right, &Scope::default())?;
        Ok(VerificationResult {
            cluster_id: site.source.cluster_id.clone(),
            source_uuid: site.source.source_uuid,
            first_day: days.first,
            last_day: days.last,
            payloads: payloads.len(),
            engines: loads,
            tables: compared.tables,
            rows: compared.rows,
            equal: compared.difference.is_none(),
            difference: compared.difference,
        })
    }

    /// Both get the settings that the site has at one moment.
    fn copy_settings(&self, site: &Replay<'_>, scratch: &mut Scratch) -> Result<()> {
        let mut other = site.ingestion.database.schema().clone();
        for number in 0..self.engines.len() {
            let database = scratch.open(number, |schema| self.access.to_read(schema))?;
            scratch::copy_settings(&database, &other, site.source.source_uuid)?;
            other = database.schema().clone();
            close(&database);
            failpoint::passed(Failpoint::ScratchPrepared);
        }
        Ok(())
    }

    /// Loads the payloads as `run` would, in the order in which they were made.
    fn load(
        &self,
        number: usize,
        site: &Replay<'_>,
        payloads: &[Replayable],
        scratch: &mut Scratch,
    ) -> Result<EngineLoad> {
        let VerifiedEngine { engine, plan, lake } = self.engines[number];
        let (database, workers) = scratch.open(number, |schema| self.access.to_load(schema))?;
        let ingestion = Ingestion {
            plan,
            database: &database,
            workers,
            lake,
            capture: None,
            turn: None,
        };
        let started = Instant::now();
        let mut rows_loaded = 0;
        for replayable in payloads.iter().rev() {
            let failed = |failure: Failure| {
                let name = replayable.name();
                failure.within(format!("engine `{engine}`: the {name} failed"))
            };
            for payload in replayable.open(&site.source).map_err(failed)? {
                let path = payload.path.clone();
                let (result, failure) =
                    PayloadTask::new(&path, None, None).run(ingestion, Ok(payload));
                if let Some(failure) = failure {
                    return Err(failed(failure));
                }
                rows_loaded += result.sums.rows_loaded;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let folded = fold_record::sums(&database)?;
        close(&database);
        if let Some(other) = folded.engines.iter().find(|name| *name != engine.as_str()) {
            return Err(Failure::run(format!(
                "engine `{engine}` was not verified, since `{other}` folded in its place"
            ))
            .hint("`when-unreachable` of the pipeline has the host fold while Trino is away; run it again when it is there"));
        }
        Ok(EngineLoad {
            engine: engine.as_str(),
            rows_loaded,
            rows_folded: folded.rows.unsigned_abs(),
            fold_seconds: folded.seconds,
            seconds,
        })
    }
}

/// Leaves its connections to what comes next.
fn close(database: &Database) {
    database.wait(database.pool().close());
}
