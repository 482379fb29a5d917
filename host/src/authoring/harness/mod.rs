//! The harness: runs one stage on its own, without a pipeline or a database. It opens the
//! stage with a configuration, gives it rows, and tells what became of them and what that
//! took.
//!
//! `stage test`, `run` and `bench` differ in what they do with an `Outcome`.

pub mod measure;
pub mod run_path;
pub mod table;
pub mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;

use self::table::Table;
use crate::diagnostics::log_line::LogLine;
use crate::pipeline::definition::Column;
use crate::rows::batch::{Batch, RejectedRow};
use crate::rows::column::{ColumnType, Schema};
use crate::stage::{
    Component, Contract, Cost, Fact, Parser, Settings, StageError, Transform, TransformOutput,
    WantedColumn, World,
};

/// The settings with which the harness opens a stage.
#[derive(Clone, Debug, Default)]
pub struct Harness {
    pub settings: Settings,
    /// Types of input columns that shall not be guessed. Transforms only.
    pub types: BTreeMap<String, ColumnType>,
    /// The columns wanted of the file. Parsers only.
    pub columns: IndexMap<String, Column>,
    /// Hand the input over in chunks of this size; whole when absent. Parsers only.
    pub chunk_bytes: Option<usize>,
    /// Hand the input over in batches of so many rows; whole when absent.
    /// Transforms only.
    pub batch_rows: Option<usize>,
}

/// The outcome of the input.
#[derive(Debug)]
pub struct Outcome {
    /// The input, and the contract of the stage. Transforms only.
    pub input: Option<(Batch, Contract)>,
    /// The columns of the output.
    pub schema: Arc<Schema>,
    pub batches: Vec<Batch>,
    /// Their lines are rows counted from 0 for a transform, lines counted from 1
    /// for a parser.
    pub rejects: Vec<RejectedRow>,
    /// Rows left out on purpose.
    pub filtered: u64,
    pub facts: BTreeMap<String, Vec<String>>,
    /// The cost of the batches alone, without opening the stage; the memory is its whole
    /// memory.
    pub cost: Cost,
    /// Its memory when it was open and had seen no row.
    pub opened_memory_bytes: u64,
}

/// Why there is no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The input cannot be handed to a stage at all.
    Input(String),
    /// The stage said no, or broke.
    Stage(StageError),
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(reason) => formatter.write_str(reason),
            Self::Stage(error) => write!(formatter, "{error}"),
        }
    }
}

impl Fault {
    /// Whether it is an answer of the stage rather than a failure to give one.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Stage(
                StageError::Config { .. } | StageError::Schema { .. } | StageError::Input { .. }
            )
        )
    }

    /// Whether the stage opened and refused the rows.
    fn is_of_input(&self) -> bool {
        matches!(self, Self::Stage(StageError::Input { .. }))
    }
}

impl From<StageError> for Fault {
    fn from(error: StageError) -> Self {
        Self::Stage(error)
    }
}

impl Harness {
    /// Gives the input to the stage.
    ///
    /// # Errors
    /// The input is no table, or the stage refuses it or breaks.
    pub fn run(&self, component: &Component, input: &str) -> Result<Outcome, Fault> {
        self.run_logged(component, input, &mut Vec::new())
    }

    /// As `run`; `log` gets what the stage logged, also when it broke later.
    ///
    /// # Errors
    /// As `run`.
    pub fn run_logged(
        &self,
        component: &Component,
        input: &str,
        log: &mut Vec<LogLine>,
    ) -> Result<Outcome, Fault> {
        match component.world {
            World::Parser => {
                let mut parser = component.open_parser(&self.settings, &self.wanted())?;
                let parsed = self.parse(&mut parser, input.as_bytes());
                log.extend(parser.take_log());
                parsed
            }
            World::Transform => {
                let input = self.batch(input)?;
                let batches = split(&input, self.batch_rows)?;
                let opened = component.open_transform(&self.settings, &input.schema);
                let mut transform = opened?;
                let transformed = through(&mut transform, input, &batches, Transform::process);
                log.extend(transform.take_log());
                transformed
            }
        }
    }

    /// The columns wanted of the file, as a parser is told of them.
    pub fn wanted(&self) -> Vec<WantedColumn> {
        self.columns
            .iter()
            .map(|(name, column)| WantedColumn {
                name: name.clone(),
                column_type: column.column_type,
                required: !column.optional,
                empty_is_null: column.empty_is_null,
            })
            .collect()
    }

    fn batch(&self, input: &str) -> Result<Batch, Fault> {
        Table::read(input)
            .and_then(|table| table.batch(&self.types))
            .map_err(Fault::Input)
    }

    fn parse(&self, parser: &mut Parser, bytes: &[u8]) -> Result<Outcome, Fault> {
        let opened = parser.cost();
        let mut batches = Vec::new();
        let mut rejects = Vec::new();
        for (chunk, last) in chunks(bytes, self.chunk_bytes) {
            let parsed = parser.parse(Bytes::copy_from_slice(chunk), last)?;
            batches.push(parsed.batch);
            rejects.extend(parsed.rejects);
        }
        let cost = since(opened, parser.cost());
        let facts = by_topic(parser.finish()?);
        Ok(Outcome {
            input: None,
            schema: Arc::clone(parser.schema()),
            batches,
            rejects,
            filtered: 0,
            facts,
            cost,
            opened_memory_bytes: opened.memory_bytes,
        })
    }
}

/// Takes batches through an opened transform.
fn through(
    transform: &mut Transform,
    input: Batch,
    batches_in: &[Batch],
    process: impl Fn(&mut Transform, &Batch) -> Result<TransformOutput, StageError>,
) -> Result<Outcome, Fault> {
    let opened = transform.cost();
    let mut batches = Vec::new();
    let mut rejects = Vec::new();
    let mut filtered = 0;
    for batch in batches_in {
        let processed = process(transform, batch)?;
        batches.push(processed.batch);
        rejects.extend(processed.rejects);
        filtered += processed.filtered;
    }
    let cost = since(opened, transform.cost());
    let facts = by_topic(transform.finish()?);
    Ok(Outcome {
        schema: Arc::clone(transform.output()),
        batches,
        rejects,
        filtered,
        facts,
        cost,
        opened_memory_bytes: opened.memory_bytes,
        input: Some((input, transform.contract().clone())),
    })
}

impl Outcome {
    /// The rows that came out.
    pub fn output(&self) -> Table {
        let mut table = Table::new(self.schema.names());
        for batch in &self.batches {
            table.add(batch);
        }
        table
    }

    /// The rows that were rejected.
    pub fn rejected(&self) -> Table {
        let place = if self.input.is_some() { "row" } else { "line" };
        Table::of_rejects(place, &self.rejects)
    }

    pub fn rows_out(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows).sum()
    }

    /// Rows that went in; for a parser the records that it made something of.
    pub fn rows_in(&self) -> usize {
        match &self.input {
            Some((batch, _)) => batch.rows,
            None => self.rows_out() + self.rejects.len(),
        }
    }
}

/// The file in chunks of that size, each with whether it is the last; one chunk of
/// nothing for a file of nothing.
fn chunks(bytes: &[u8], size: Option<usize>) -> impl Iterator<Item = (&[u8], bool)> {
    let size = size.unwrap_or(bytes.len()).max(1);
    let count = bytes.len().div_ceil(size).max(1);
    (0..count).map(move |position| {
        let end = bytes.len().min((position + 1) * size);
        (&bytes[position * size..end], position + 1 == count)
    })
}

/// The rows in batches of that many.
fn split(input: &Batch, rows: Option<usize>) -> Result<Vec<Batch>, Fault> {
    let size = match rows {
        Some(rows) if rows < input.rows => rows.max(1) as u32,
        _ => return Ok(vec![input.clone()]),
    };
    let count = input.rows as u32;
    (0..count.div_ceil(size))
        .map(|position| {
            let rows: Vec<u32> = (position * size..count.min((position + 1) * size)).collect();
            input
                .take(&rows)
                .map_err(|error| Fault::Input(error.to_string()))
        })
        .collect()
}

fn since(before: Cost, after: Cost) -> Cost {
    Cost {
        fuel: after
            .fuel
            .zip(before.fuel)
            .map(|(after, before)| after - before),
        memory_bytes: after.memory_bytes,
        bytes_in: after.bytes_in - before.bytes_in,
        bytes_out: after.bytes_out - before.bytes_out,
    }
}

fn by_topic(facts: Vec<Fact>) -> BTreeMap<String, Vec<String>> {
    let mut topics: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for fact in facts {
        topics.entry(fact.topic).or_default().extend(fact.words);
    }
    for words in topics.values_mut() {
        words.sort();
        words.dedup();
    }
    topics
}
