//! A definition made ready to run: every path, component, column and table
//! resolved, and the types of every chain checked down to the table.
//!
//! All problems are found before any is reported. A plan never changes once made,
//! and making it needs no database.

mod budget;
#[cfg(test)]
mod defaults;
mod engine;
mod fingerprint;
mod load_version;
mod location;
mod patience;
mod resolve;
mod retention;
mod servers;
mod stages;
mod threshold;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use self::budget::PayloadBudget;
pub use self::engine::{
    AggregationEngine, EngineBySize, EngineChoice, EnginePlan, WhenUnreachable,
};
pub use self::load_version::LOAD_VERSION;
pub use self::location::{LakeLocation, LakeStore, LocationError};
pub use self::patience::{LOCK_WAIT, WatchPlan};
pub use self::resolve::{Surroundings, resolve, resolve_servers};
pub use self::retention::{RETENTION_DAYS_RANGE, RecordRetention};
pub use self::servers::{Credentials, LakePlan, TrinoPlan};
pub use self::threshold::RejectedRowsThreshold;
use crate::pipeline::definition::{BoundSet, LearnedSet, UnknownReports};
use crate::pipeline::staging::Storage;
use crate::rows::column::Schema;
use crate::stage::{Component, Contract, Limits, Settings, WantedColumn};

/// The plan of a pipeline.
#[derive(Debug)]
pub struct Plan {
    pub name: String,
    pub path: PathBuf,
    pub engines: EnginePlan,
    /// Object storage and Trino, where the definition has them.
    pub lake: Option<LakePlan>,
    pub trino: Option<TrinoPlan>,
    /// The report kind whose distinct hours decide who wins a day.
    pub coverage: String,
    pub unknown_reports: UnknownReports,
    /// The rows of a payload that may go to quarantine.
    pub rejected_rows: RejectedRowsThreshold,
    pub budget: PayloadBudget,
    pub chunk_bytes: usize,
    pub months: MonthLimits,
    /// Whether an unknown cluster registers itself.
    pub register_sources: bool,
    pub archive: ArchivePlan,
    /// How long a lock of somebody else is waited for.
    pub lock_wait: Duration,
    pub watch: WatchPlan,
    /// Every stage that is defined, in a chain or not.
    pub stages: Vec<StagePlan>,
    pub reports: Vec<ReportPlan>,
}

/// Which months may be loaded, counted from the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthLimits {
    pub back: u32,
    pub ahead: u32,
}

/// The place for payloads once they are loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivePlan {
    pub keep: bool,
    /// Where; in the data directory when the definition does not say.
    pub directory: Option<PathBuf>,
}

/// One report kind.
#[derive(Debug)]
pub struct ReportPlan {
    pub name: String,
    /// A file whose header holds all of these is of this kind.
    pub detect: Vec<String>,
    pub action: ReportAction,
}

#[derive(Debug)]
pub enum ReportAction {
    /// Read past on purpose.
    Ignore,
    Load(Box<LoadPlan>),
}

/// The way of a report kind from its file to its table.
#[derive(Debug)]
pub struct LoadPlan {
    pub parser: StagePlan,
    pub columns: Vec<WantedColumn>,
    /// The schema that the parser gives.
    pub parsed: Arc<Schema>,
    pub transforms: Vec<TransformPlan>,
    pub table: String,
    /// For each column of the last schema, the table's column and its storage.
    pub targets: Vec<Target>,
    /// Columns of the table that no column of the last schema goes to.
    pub left_null: Vec<String>,
}

/// A transform and what it makes of the schema.
#[derive(Debug)]
pub struct TransformPlan {
    pub stage: StagePlan,
    pub contract: Contract,
    pub output: Arc<Schema>,
}

/// A stage ready to be opened.
#[derive(Clone, Debug)]
pub struct StagePlan {
    pub name: String,
    /// The component's path as the definition has it.
    pub named: String,
    pub component: Component,
    /// As JSON.
    pub config: String,
    /// Name in the stage → set.
    pub bind: Vec<(String, BoundSet)>,
    /// Topic → set.
    pub learn: Vec<(String, LearnedSet)>,
    pub limits: Limits,
    /// The rows of a payload that this stage may reject; as many as the pipeline allows
    /// when absent.
    pub rejected_rows: Option<RejectedRowsThreshold>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Column of the table.
    pub column: String,
    pub storage: Storage,
    pub required: bool,
}

impl Target {
    /// The name of the column in batches.
    pub fn batch_name(&self) -> &str {
        self.storage.batch_name(&self.column)
    }
}

impl Plan {
    /// The kinds that are read past on purpose, with the columns that they are known by.
    pub fn ignored_reports(&self) -> impl Iterator<Item = &ReportPlan> {
        let ignored = |report: &&ReportPlan| matches!(report.action, ReportAction::Ignore);
        self.reports.iter().filter(ignored)
    }

    /// Every stage of every chain; one that is in several comes several times.
    pub fn stages(&self) -> impl Iterator<Item = &StagePlan> {
        self.reports
            .iter()
            .filter_map(|report| match &report.action {
                ReportAction::Load(load) => Some(load),
                ReportAction::Ignore => None,
            })
            .flat_map(|load| load.stages())
    }
}

impl StagePlan {
    /// The settings with which the stage is opened, given the words of the sets.
    pub fn settings(&self, words: &dyn Fn(BoundSet) -> Vec<String>) -> Settings {
        Settings {
            config: self.config.clone(),
            sets: self
                .bind
                .iter()
                .map(|(name, set)| (name.clone(), words(*set)))
                .collect(),
            limits: self.limits,
        }
    }
}

impl LoadPlan {
    /// The schema that reaches the table.
    pub fn output(&self) -> &Arc<Schema> {
        self.transforms
            .last()
            .map_or(&self.parsed, |transform| &transform.output)
    }

    /// The schema that reaches a transform, by its place among the transforms.
    pub fn input_of(&self, position: usize) -> &Arc<Schema> {
        let before = position.checked_sub(1);
        before
            .and_then(|before| self.transforms.get(before))
            .map_or(&self.parsed, |before| &before.output)
    }

    /// The last stage that writes a column.
    pub fn writer_of(&self, column: &str) -> &StagePlan {
        let writes = |transform: &&TransformPlan| {
            let mut written = transform.contract.writes.iter();
            written.any(|field| field.name == column)
        };
        let last = self.transforms.iter().rev().find(writes);
        last.map_or(&self.parser, |transform| &transform.stage)
    }

    /// Every stage in the order of the chain.
    pub fn stages(&self) -> impl Iterator<Item = &StagePlan> {
        std::iter::once(&self.parser).chain(self.transforms.iter().map(|next| &next.stage))
    }
}
