//! Measures what a stage costs, by the size of its batches. A timed run gives the speed;
//! a run of its own gives fuel, bytes and memory, which are the same on every machine.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Fault, Harness, since};
use crate::rows::batch::Batch;
use crate::stage::{Component, Cost, Parser, StageError, Transform, World};

/// A timed round goes on for so long, but for one batch at least.
const ROUND: Duration = Duration::from_millis(100);

/// Openings of the stage, of which the median counts.
const OPENINGS: usize = 11;

/// The same stage twice: as pipelines run it, and counting fuel.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub timed: &'a Component,
    pub metered: &'a Component,
}

/// The measurements with batches of one size.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    pub rows_per_second: f64,
    /// How far the medians of two halves of the rounds lie apart, as a part of the
    /// speed. They ran the same, so no smaller difference means anything.
    pub spread: f64,
    pub fuel_per_row: f64,
    pub bytes_in_per_row: f64,
    pub bytes_out_per_row: f64,
    pub memory_bytes: u64,
}

/// Where an input of any size comes from.
pub struct Supply<'a> {
    harness: &'a Harness,
    source: Source,
}

enum Source {
    /// Repeated to any number of rows.
    Rows(Batch),
    /// The heading of the file, and its records repeated to any length.
    File {
        header: Bytes,
        records: Vec<u8>,
        bytes_per_row: f64,
    },
}

/// A stage at work on batches of one size.
enum Worker {
    Transform(Box<Transform>, Batch),
    Parser {
        parser: Box<Parser>,
        stream: Bytes,
        /// Where the stream repeats itself.
        period: usize,
        chunk_bytes: usize,
        at: usize,
    },
}

impl fmt::Debug for Supply<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Supply").finish_non_exhaustive()
    }
}

impl<'a> Supply<'a> {
    /// Reads the input; a parser is run over it once, to know how long its records
    /// are. The first line of a file is its header and is not repeated.
    ///
    /// # Errors
    /// The stage cannot use the input, or there are no rows in it.
    pub fn of(harness: &'a Harness, component: &Component, input: &str) -> Result<Self, Fault> {
        let nothing = || Fault::Input("the input has no rows to measure with".into());
        let source = match component.world {
            World::Transform => {
                let batch = harness.batch(input)?;
                if batch.rows == 0 {
                    return Err(nothing());
                }
                Source::Rows(batch)
            }
            World::Parser => {
                let rows = harness.run(component, input)?.rows_in();
                let header = input.find('\n').map_or(input.len(), |end| end + 1);
                let (header, records) = input.as_bytes().split_at(header);
                if rows == 0 || records.is_empty() {
                    return Err(nothing());
                }
                let mut records = records.to_vec();
                if !records.ends_with(b"\n") {
                    records.push(b'\n');
                }
                Source::File {
                    header: Bytes::copy_from_slice(header),
                    bytes_per_row: records.len() as f64 / rows as f64,
                    records,
                }
            }
        };
        Ok(Self { harness, source })
    }

    /// How long it takes to make an instance and open the stage in it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn opening(&self, component: &Component) -> Result<Duration, Fault> {
        let mut times = Vec::with_capacity(OPENINGS);
        for _ in 0..OPENINGS {
            let started = Instant::now();
            match &self.source {
                Source::Rows(batch) => {
                    component.open_transform(&self.harness.settings, &batch.schema)?;
                }
                Source::File { .. } => {
                    component.open_parser(&self.harness.settings, &self.harness.wanted())?;
                }
            }
            times.push(started.elapsed().as_secs_f64());
        }
        Ok(Duration::from_secs_f64(median(&mut times)))
    }

    /// Measures with batches of that many rows, about `rows` in all where that is
    /// counted, in `rounds` pairs of rounds where it is timed.
    ///
    /// # Errors
    /// The stage refuses a batch of that size or breaks at it.
    pub fn measure(
        &self,
        subject: Subject<'_>,
        batch_rows: usize,
        rows: usize,
        rounds: usize,
    ) -> Result<Measurement, Fault> {
        let (cost, counted) = self.count(subject.metered, batch_rows, rows)?;
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            first.push(self.time(subject.timed, batch_rows)?);
            second.push(self.time(subject.timed, batch_rows)?);
        }
        let mut all: Vec<f64> = first.iter().chain(&second).copied().collect();
        let rows_per_second = median(&mut all);
        let spread = (median(&mut first) - median(&mut second)).abs() / rows_per_second;
        let per_row = |total: u64| total as f64 / counted as f64;
        Ok(Measurement {
            rows_per_second,
            spread,
            fuel_per_row: per_row(cost.fuel.unwrap_or_default()),
            bytes_in_per_row: per_row(cost.bytes_in),
            bytes_out_per_row: per_row(cost.bytes_out),
            memory_bytes: cost.memory_bytes,
        })
    }

    /// Measures the cost of so many batches, and of the rows in them.
    fn count(
        &self,
        component: &Component,
        batch_rows: usize,
        rows: usize,
    ) -> Result<(Cost, usize), Fault> {
        let mut worker = self.worker(component, batch_rows)?;
        let opened = worker.cost();
        let mut counted = 0;
        for _ in 0..rows.div_ceil(batch_rows).max(1) {
            counted += worker.work()?;
        }
        Ok((since(opened, worker.cost()), counted.max(1)))
    }

    /// Rows a second in one round of a fresh instance.
    fn time(&self, component: &Component, batch_rows: usize) -> Result<f64, Fault> {
        let mut worker = self.worker(component, batch_rows)?;
        // The first batch grows the memory; the ones behind it find it there.
        worker.work()?;
        let started = Instant::now();
        let mut rows = 0;
        loop {
            rows += worker.work()?;
            let elapsed = started.elapsed();
            if elapsed >= ROUND {
                return Ok(rows as f64 / elapsed.as_secs_f64());
            }
        }
    }

    fn worker(&self, component: &Component, batch_rows: usize) -> Result<Worker, Fault> {
        let settings = &self.harness.settings;
        match &self.source {
            Source::Rows(batch) => {
                let rows: Vec<u32> = (0..batch_rows)
                    .map(|row| (row % batch.rows) as u32)
                    .collect();
                let batch = batch
                    .take(&rows)
                    .map_err(|error| Fault::Input(error.to_string()))?;
                let transform = component.open_transform(settings, &batch.schema)?;
                Ok(Worker::Transform(Box::new(transform), batch))
            }
            Source::File {
                header,
                records,
                bytes_per_row,
            } => {
                let mut parser = component.open_parser(settings, &self.harness.wanted())?;
                parser.parse(header.clone(), false)?;
                let chunk_bytes = (bytes_per_row * batch_rows as f64).ceil() as usize;
                let mut stream = records.clone();
                while stream.len() < records.len() + chunk_bytes {
                    stream.extend_from_slice(records);
                }
                Ok(Worker::Parser {
                    parser: Box::new(parser),
                    stream: stream.into(),
                    period: records.len(),
                    chunk_bytes,
                    at: 0,
                })
            }
        }
    }
}

impl Worker {
    /// Does the next batch; the rows that it had.
    fn work(&mut self) -> Result<usize, StageError> {
        match self {
            Self::Transform(transform, batch) => {
                transform.process(batch)?;
                Ok(batch.rows)
            }
            Self::Parser {
                parser,
                stream,
                period,
                chunk_bytes,
                at,
            } => {
                let parsed = parser.parse(stream.slice(*at..*at + *chunk_bytes), false)?;
                *at = (*at + *chunk_bytes) % *period;
                Ok(parsed.batch.rows + parsed.rejects.len())
            }
        }
    }

    fn cost(&self) -> Cost {
        match self {
            Self::Transform(transform, _) => transform.cost(),
            Self::Parser { parser, .. } => parser.cost(),
        }
    }
}

/// The one in the middle; of an even number the upper one.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
