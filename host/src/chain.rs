//! One report file on its way through the stages of its kind: bytes in, batches
//! out, with every row accounted for.
//!
//! A file has one [`Reader`], whose parser takes its chunks in order, and as many
//! [`Chain`]s as there are workers: a transform gives the same output for the same
//! batch, so it does not matter which of them a batch goes through.
//!
//! Nothing here knows of archives or tables. All of it lives for one file.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::batch::{Batch, RejectedRow};
use crate::definition::{BoundSet, LearnedSet};
use crate::plan::{LoadPlan, StagePlan};
use crate::stage::{Fact, LogLine, Parser, StageError, Transform};

/// The parser of a report, opened.
pub struct Reader<'p> {
    plan: &'p LoadPlan,
    parser: Parser,
    batches: u64,
}

/// The transforms of a report, opened.
pub struct Chain<'p> {
    plan: &'p LoadPlan,
    transforms: Vec<Transform>,
}

/// What the parser made of a chunk.
#[derive(Debug)]
pub struct Read {
    /// Counted from 1.
    pub number: u64,
    pub batch: Batch,
    /// Records of the chunk: rows, and what the parser rejected.
    pub records: u64,
    pub rejects: Vec<Reject>,
    pub log: Vec<(String, LogLine)>,
    pub stage_time: Duration,
}

/// A row that a stage rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub stage: String,
    /// Digest of the stage's component.
    pub digest: String,
    pub row: RejectedRow,
}

/// What a batch became.
#[derive(Debug)]
pub struct Output {
    pub batch: Batch,
    pub rejects: Vec<Reject>,
    pub log: Vec<(String, LogLine)>,
    pub rows_filtered: u64,
    /// Time in each transform, in the order of the chain.
    pub stage_time: Vec<Duration>,
}

/// What a file taught.
#[derive(Debug, Default)]
pub struct Learned {
    /// Words by the set that they go to.
    pub words: BTreeMap<LearnedSet, Vec<String>>,
    /// Columns of the file that nobody wanted.
    pub ignored_columns: Vec<String>,
    pub log: Vec<(String, LogLine)>,
}

/// A stage could not go on.
#[derive(Debug)]
pub struct ChainError {
    pub stage: String,
    /// The batch, counted from 1; `None` before the first and after the last.
    pub batch: Option<u64>,
    /// The lines of the file that the batch begins and ends with.
    pub lines: Option<(u64, u64)>,
    pub error: StageError,
}

impl fmt::Display for ChainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.error {
            StageError::Input { .. } | StageError::Config { .. } | StageError::Schema { .. } => {
                "refused"
            }
            _ => "broke at",
        };
        write!(formatter, "stage `{}` {verb} ", self.stage)?;
        match (self.batch, self.lines) {
            (Some(batch), Some((first, last))) => {
                write!(formatter, "batch {batch} (lines {first} to {last})")?;
            }
            (Some(batch), None) => write!(formatter, "batch {batch}")?,
            (None, _) => write!(formatter, "the file")?,
        }
        write!(formatter, ": {}", self.error)
    }
}

impl std::error::Error for ChainError {}

impl<'p> Reader<'p> {
    /// Opens the parser. `words` gives the words of the sets bound to it.
    ///
    /// # Errors
    /// It refuses what the plan opens it with.
    pub fn open(
        plan: &'p LoadPlan,
        words: &dyn Fn(BoundSet) -> Vec<String>,
    ) -> Result<Self, ChainError> {
        let parser = plan
            .parser
            .component
            .open_parser(&plan.parser.settings(words), &plan.columns)
            .map_err(at_file(&plan.parser))?;
        Ok(Self {
            plan,
            parser,
            batches: 0,
        })
    }

    /// The number of the batch that comes next.
    pub fn next_number(&self) -> u64 {
        self.batches + 1
    }

    /// Parses the next chunk of the file.
    ///
    /// # Errors
    /// The parser refuses the file or breaks.
    pub fn read(&mut self, chunk: &[u8], last: bool) -> Result<Read, ChainError> {
        self.batches += 1;
        let started = Instant::now();
        let parsed = self.parser.parse(chunk, last);
        let stage_time = started.elapsed();
        let parsed = parsed.map_err(|error| ChainError {
            stage: self.plan.parser.name.clone(),
            batch: Some(self.batches),
            lines: None,
            error,
        })?;
        let rejects = labelled_rejects(&self.plan.parser, parsed.rejects);
        Ok(Read {
            number: self.batches,
            records: (parsed.batch.rows + rejects.len()) as u64,
            batch: parsed.batch,
            rejects,
            log: labelled(&self.plan.parser, self.parser.take_log()),
            stage_time,
        })
    }

    /// Ends the file and collects what the parser learned.
    ///
    /// # Errors
    /// The parser breaks.
    pub fn finish(&mut self) -> Result<Learned, ChainError> {
        let mut learned = Learned::default();
        let facts = self.parser.finish().map_err(at_file(&self.plan.parser))?;
        learned.log = labelled(&self.plan.parser, self.parser.take_log());
        for fact in &facts {
            if fact.topic == "ignored-columns" {
                learned.ignored_columns.extend(fact.words.iter().cloned());
            }
        }
        learn(&self.plan.parser, facts, &mut learned);
        Ok(learned)
    }
}

impl<'p> Chain<'p> {
    /// Opens every transform. `words` gives the words of the sets bound to them.
    ///
    /// # Errors
    /// A stage refuses what the plan opens it with.
    pub fn open(
        plan: &'p LoadPlan,
        words: &dyn Fn(BoundSet) -> Vec<String>,
    ) -> Result<Self, ChainError> {
        let mut schema = &plan.parsed;
        let mut transforms = Vec::with_capacity(plan.transforms.len());
        for transform in &plan.transforms {
            let stage = &transform.stage;
            let opened = stage
                .component
                .open_transform(&stage.settings(words), schema)
                .map_err(at_file(stage))?;
            if *opened.contract() != transform.contract {
                return Err(at_file(stage)(StageError::Malformed {
                    reason: "its contract is not the one that the pipeline was checked with".into(),
                }));
            }
            transforms.push(opened);
            schema = &transform.output;
        }
        Ok(Self { plan, transforms })
    }

    /// Sends a batch through all transforms.
    ///
    /// # Errors
    /// A stage refuses the batch or breaks.
    pub fn feed(&mut self, read: Read) -> Result<Output, ChainError> {
        let mut log = read.log;
        let mut rejects = read.rejects;
        let mut rows_filtered = 0;
        let mut stage_time = Vec::with_capacity(self.transforms.len());
        let mut batch = read.batch;
        for (position, transform) in self.transforms.iter_mut().enumerate() {
            let stage = &self.plan.transforms[position].stage;
            let started = Instant::now();
            let processed = transform.process(&batch);
            stage_time.push(started.elapsed());
            log.extend(labelled(stage, transform.take_log()));
            let processed = processed.map_err(|error| ChainError {
                stage: stage.name.clone(),
                batch: Some(read.number),
                lines: lines(&batch),
                error,
            })?;
            rejects.extend(labelled_rejects(stage, processed.rejects));
            rows_filtered += processed.filtered;
            batch = processed.batch;
        }
        Ok(Output {
            batch,
            rejects,
            log,
            rows_filtered,
            stage_time,
        })
    }

    /// Ends the file and collects what the transforms learned.
    ///
    /// # Errors
    /// A stage breaks.
    pub fn finish(&mut self) -> Result<Learned, ChainError> {
        let mut learned = Learned::default();
        for (transform, planned) in self.transforms.iter_mut().zip(&self.plan.transforms) {
            let facts = transform.finish().map_err(at_file(&planned.stage))?;
            learned
                .log
                .extend(labelled(&planned.stage, transform.take_log()));
            learn(&planned.stage, facts, &mut learned);
        }
        Ok(learned)
    }
}

/// An error of a stage outside of any batch.
fn at_file(stage: &StagePlan) -> impl FnOnce(StageError) -> ChainError + use<> {
    let stage = stage.name.clone();
    move |error| ChainError {
        stage,
        batch: None,
        lines: None,
        error,
    }
}

fn learn(stage: &StagePlan, facts: Vec<Fact>, learned: &mut Learned) {
    for fact in facts {
        let set = stage.learn.iter().find(|(topic, _)| *topic == fact.topic);
        if let Some((_, set)) = set {
            learned.words.entry(*set).or_default().extend(fact.words);
        }
    }
}

fn labelled(stage: &StagePlan, log: Vec<LogLine>) -> Vec<(String, LogLine)> {
    log.into_iter()
        .map(|line| (stage.name.clone(), line))
        .collect()
}

fn labelled_rejects(stage: &StagePlan, rows: Vec<RejectedRow>) -> Vec<Reject> {
    rows.into_iter()
        .map(|row| Reject {
            stage: stage.name.clone(),
            digest: stage.component.digest.clone(),
            row,
        })
        .collect()
}

fn lines(batch: &Batch) -> Option<(u64, u64)> {
    Some((*batch.places.lines.first()?, *batch.places.lines.last()?))
}
