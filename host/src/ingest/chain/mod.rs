//! Takes one report through the stages of its kind: bytes in, batches out, with every row
//! accounted for.
//!
//! A file has one [`Reader`], whose parser takes its chunks in order, and as many
//! [`Chain`]s as there are workers. A transform gives the same output for the same batch,
//! so it does not matter which chain a batch goes through.
//!
//! Nothing here knows archives or tables. All of it lives for one file.

mod containment;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use self::containment::Breaks;
use self::containment::ContainedTransform;
use crate::diagnostics::log_line::LogLine;
use crate::ingest::row_accounting::{LOAD_STAGE, StageAccount};
use crate::pipeline::definition::{BoundSet, LearnedSet};
use crate::pipeline::plan::{LoadPlan, StagePlan};
use crate::rows::batch::{Batch, RejectedRow};
use crate::stage::{Fact, Parser, StageError, WantedColumn};

/// Cases captured of one file: what is wrong with a stage shows in the first few.
const CAPTURES_MAX: usize = 20;

/// Bytes of their rows and chunks, which are held until the run is over.
const CAPTURED_BYTES_MAX: usize = 64 << 20;

/// The parser of a report, opened.
pub struct Reader<'p> {
    plan: &'p LoadPlan,
    parser: Parser,
    batches: u64,
    capturing: CaptureSink<'p>,
}

/// The transforms of a report, opened.
pub struct Chain<'p> {
    plan: &'p LoadPlan,
    transforms: Vec<ContainedTransform<'p>>,
    capturing: CaptureSink<'p>,
}

/// The rows that a stage broke at or refused, to be kept as a case.
#[derive(Debug)]
pub struct Capture {
    pub stage: StagePlan,
    /// The sets that were bound to it, by name.
    pub sets: Vec<(String, Vec<String>)>,
    pub input: CapturedInput,
    /// As the stage's error says it.
    pub error: String,
    /// The line of the file where it begins, if it is known.
    pub line: Option<u64>,
}

#[derive(Debug)]
pub enum CapturedInput {
    /// Rows for a transform, with every column that reaches it.
    Rows(Batch),
    /// The first bytes of a file, for a parser that wants these columns.
    Bytes(Bytes, Vec<WantedColumn>),
}

impl CapturedInput {
    /// What it takes.
    fn bytes(&self) -> usize {
        match self {
            Self::Rows(batch) => batch.memory_bytes(),
            Self::Bytes(bytes, _) => bytes.len(),
        }
    }
}

/// Where cases are kept, if they are.
struct CaptureSink<'p> {
    captures: Option<&'p Mutex<Vec<Capture>>>,
    /// The sets that each stage is opened with, by its name.
    sets: BTreeMap<String, Vec<(String, Vec<String>)>>,
}

/// A row that broke a stage, and how.
struct StageBreak {
    batch: Batch,
    error: StageError,
}

/// A stage ended the file.
struct Stop {
    error: StageError,
    /// Why what is wrong with it cannot be left to some rows.
    why: Option<String>,
    /// The part of the batch that shows it, when that is not the whole.
    batch: Option<Batch>,
}

impl From<StageError> for Stop {
    fn from(error: StageError) -> Self {
        Self {
            error,
            why: None,
            batch: None,
        }
    }
}

/// The output of the parser for a chunk.
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

/// A row that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub by: RejectedBy,
    pub row: RejectedRow,
}

/// Who rejected a row. A stage may be called as the load is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RejectedBy {
    Stage {
        name: String,
        /// Digest of its component.
        digest: String,
    },
    /// The table cannot hold the row.
    Load,
}

impl RejectedBy {
    /// The name that people are told.
    pub fn name(&self) -> &str {
        match self {
            Self::Stage { name, .. } => name,
            Self::Load => LOAD_STAGE,
        }
    }

    /// The digest of the component; the load has none.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Self::Stage { digest, .. } => Some(digest),
            Self::Load => None,
        }
    }
}

/// What a batch became.
#[derive(Debug)]
pub struct Output {
    pub batch: Batch,
    pub rejects: Vec<Reject>,
    pub log: Vec<(String, LogLine)>,
    pub rows_filtered: u64,
    /// The row accounting of each transform, in the order of the chain.
    pub accounts: Vec<StageAccount>,
    /// Time in each transform, in the order of the chain.
    pub stage_time: Vec<Duration>,
}

/// The facts that stages learned from a file.
#[derive(Debug, Default)]
pub struct LearnedFacts {
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
    /// Why that cannot be left to some rows.
    pub why: Option<String>,
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
        write!(formatter, ": {}", self.error)?;
        match &self.why {
            Some(why) => write!(formatter, "\n{why}"),
            None => Ok(()),
        }
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
            capturing: CaptureSink::new(plan, words),
        })
    }

    /// Keeps what the parser breaks at or refuses.
    pub fn capture(&mut self, captures: &'p Mutex<Vec<Capture>>) {
        self.capturing.captures = Some(captures);
    }

    /// The number of the batch that comes next.
    pub fn next_number(&self) -> u64 {
        self.batches + 1
    }

    /// Parses the next chunk of the file.
    ///
    /// # Errors
    /// The parser refuses the file or breaks.
    pub fn read(&mut self, chunk: Bytes, last: bool) -> Result<Read, ChainError> {
        self.batches += 1;
        // Later rows do not show without the ones before them.
        let kept = (self.batches == 1 && self.capturing.captures.is_some()).then(|| chunk.clone());
        let started = Instant::now();
        let parsed = self.parser.parse(chunk, last);
        let stage_time = started.elapsed();
        let parsed = parsed.map_err(|error| {
            if let Some(chunk) = kept {
                let input = CapturedInput::Bytes(chunk, self.plan.columns.clone());
                self.capturing.keep(&self.plan.parser, input, &error, None);
            }
            ChainError {
                batch: Some(self.batches),
                ..at_file(&self.plan.parser)(error)
            }
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

    /// The heading of the file, once it ended; see `Parser::heading`.
    pub fn heading(&self) -> Option<&[u8]> {
        self.parser.heading()
    }

    /// Ends the file and collects what the parser learned.
    ///
    /// # Errors
    /// The parser breaks.
    pub fn finish(&mut self) -> Result<LearnedFacts, ChainError> {
        let mut learned = LearnedFacts::default();
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

impl<'p> CaptureSink<'p> {
    fn new(plan: &LoadPlan, words: &dyn Fn(BoundSet) -> Vec<String>) -> Self {
        Self {
            captures: None,
            sets: plan
                .stages()
                .map(|stage| (stage.name.clone(), stage.settings(words).sets))
                .collect(),
        }
    }

    /// Keeps a case, once for each stage and error.
    fn keep(&self, stage: &StagePlan, input: CapturedInput, error: &StageError, line: Option<u64>) {
        let Some(captures) = self.captures else {
            return;
        };
        let mut captures = captures.lock().unwrap_or_else(|poison| poison.into_inner());
        let error = error.to_string();
        let known = |other: &Capture| other.stage.name == stage.name && other.error == error;
        if captures.len() >= CAPTURES_MAX || captures.iter().any(known) {
            return;
        }
        let held: usize = captures.iter().map(|other| other.input.bytes()).sum();
        if held + input.bytes() > CAPTURED_BYTES_MAX {
            return;
        }
        captures.push(Capture {
            stage: stage.clone(),
            sets: self.sets.get(&stage.name).cloned().unwrap_or_default(),
            input,
            error,
            line,
        });
    }
}

impl<'p> Chain<'p> {
    /// Opens every transform. `words` gives the words of the sets bound to them;
    /// `breaks` counts over all chains of the file.
    ///
    /// # Errors
    /// A stage refuses what the plan opens it with.
    pub fn open(
        plan: &'p LoadPlan,
        words: &dyn Fn(BoundSet) -> Vec<String>,
        breaks: &'p Breaks,
    ) -> Result<Self, ChainError> {
        let mut schema = &plan.parsed;
        let mut transforms = Vec::with_capacity(plan.transforms.len());
        for (transform, counts) in plan.transforms.iter().zip(breaks.stages()) {
            let stage = &transform.stage;
            let opened = ContainedTransform::open(transform, schema, stage.settings(words), counts)
                .map_err(at_file(stage))?;
            transforms.push(opened);
            schema = &transform.output;
        }
        Ok(Self {
            plan,
            transforms,
            capturing: CaptureSink::new(plan, words),
        })
    }

    /// Keeps what stages break at or refuse.
    pub fn capture(&mut self, captures: &'p Mutex<Vec<Capture>>) {
        self.capturing.captures = Some(captures);
    }

    /// Sends a batch through all transforms. Rows that break one are among the
    /// rejects.
    ///
    /// # Errors
    /// A stage refuses the batch, or breaks at more than some rows.
    pub fn feed(&mut self, read: Read) -> Result<Output, ChainError> {
        let mut log = read.log;
        let mut rejects = read.rejects;
        let mut rows_filtered = 0;
        let mut accounts = Vec::with_capacity(self.transforms.len());
        let mut stage_time = Vec::with_capacity(self.transforms.len());
        let mut batch = read.batch;
        for (position, transform) in self.transforms.iter_mut().enumerate() {
            let stage = &self.plan.transforms[position].stage;
            let mut broken = Vec::new();
            let started = Instant::now();
            let processed = transform.process(&batch, &mut broken);
            stage_time.push(started.elapsed());
            log.extend(labelled(stage, transform.take_log()));
            for row in broken {
                let line = row.batch.places.lines.first().copied();
                let input = CapturedInput::Rows(row.batch);
                self.capturing.keep(stage, input, &row.error, line);
            }
            let processed = processed.map_err(|stop| {
                let part = stop.batch.unwrap_or_else(|| batch.clone());
                let line = part.places.lines.first().copied();
                let input = CapturedInput::Rows(part);
                self.capturing.keep(stage, input, &stop.error, line);
                ChainError {
                    batch: Some(read.number),
                    lines: lines(&batch),
                    why: stop.why,
                    ..at_file(stage)(stop.error)
                }
            })?;
            let mut account = StageAccount::of(&stage.name);
            account.add(
                batch.rows as u64,
                processed.batch.rows,
                processed.rejects.len(),
            );
            account.rows_filtered = processed.filtered;
            account.rows_repeated = processed.repeated;
            accounts.push(account);
            rejects.extend(labelled_rejects(stage, processed.rejects));
            rows_filtered += processed.filtered;
            batch = processed.batch;
        }
        Ok(Output {
            batch,
            rejects,
            log,
            rows_filtered,
            accounts,
            stage_time,
        })
    }

    /// Ends the file and collects what the transforms learned.
    ///
    /// # Errors
    /// A stage breaks.
    pub fn finish(&mut self) -> Result<LearnedFacts, ChainError> {
        let mut learned = LearnedFacts::default();
        for (transform, planned) in self.transforms.iter_mut().zip(&self.plan.transforms) {
            let facts = transform.finish().map_err(|stop| ChainError {
                why: stop.why,
                ..at_file(&planned.stage)(stop.error)
            })?;
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
        why: None,
    }
}

fn learn(stage: &StagePlan, facts: Vec<Fact>, learned: &mut LearnedFacts) {
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
            by: RejectedBy::Stage {
                name: stage.name.clone(),
                digest: stage.component.digest.clone(),
            },
            row,
        })
        .collect()
}

fn lines(batch: &Batch) -> Option<(u64, u64)> {
    Some((*batch.places.lines.first()?, *batch.places.lines.last()?))
}
