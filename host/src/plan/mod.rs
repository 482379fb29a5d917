//! A definition made ready to run: every path, component, column and table
//! resolved, and the types of every chain checked down to the table.
//!
//! All problems are found before any is reported. A plan never changes once made,
//! and making it needs no database.

mod resolve;
mod stages;

use std::path::PathBuf;
use std::sync::Arc;

pub use self::resolve::{Surroundings, resolve};
use crate::definition::{BoundSet, LearnedSet};
use crate::schema::Schema;
use crate::stage::{Component, Contract, Limits, Settings, WantedColumn};
use crate::staging::Storage;

/// What to run.
#[derive(Debug)]
pub struct Plan {
    pub name: String,
    pub path: PathBuf,
    pub engine: AggregationEngine,
    /// The report kind whose distinct hours decide who wins a day.
    pub coverage: String,
    /// The share of a payload's rows that may go to quarantine.
    pub rejected_rows_max: f64,
    pub chunk_bytes: usize,
    /// Whether an unknown cluster registers itself.
    pub register_sources: bool,
    pub archive: ArchivePlan,
    pub reports: Vec<ReportPlan>,
}

/// What is done with payloads once they are loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivePlan {
    pub keep: bool,
    /// Where; in the data directory when the definition does not say.
    pub directory: Option<PathBuf>,
}

/// What runs the SQL of the summaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregationEngine {
    Postgres,
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
    pub component: Component,
    /// As JSON.
    pub config: String,
    /// Name in the stage → set.
    pub bind: Vec<(String, BoundSet)>,
    /// Topic → set.
    pub learn: Vec<(String, LearnedSet)>,
    pub limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Column of the table.
    pub column: String,
    pub storage: Storage,
    pub required: bool,
}

impl StagePlan {
    /// What the stage is opened with, given the words of the sets.
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

    /// Every stage in the order of the chain.
    pub fn stages(&self) -> impl Iterator<Item = &StagePlan> {
        std::iter::once(&self.parser).chain(self.transforms.iter().map(|next| &next.stage))
    }
}
