//! Containment: a transform that breaks loses only the rows that break it.
//!
//! A stage that breaks (traps, takes too long or too much, returns what it may not) loses
//! its instance. The batch is halved until single rows are left that break a fresh
//! instance alone. These are rejected, and all others go on. Which rows these are depends
//! on the rows and the stage alone, since a stage gives the same output for the same
//! input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{StageBreak, Stop};
use crate::diagnostics::log_line::{LogLevel, LogLine, LoggedBy};
use crate::pipeline::plan::{LoadPlan, TransformPlan};
use crate::rows::batch::{Batch, RejectedRow};
use crate::rows::column::Schema;
use crate::stage::{
    Fact, MemoizedOutput, Settings, StageError, Transform, TransformOutput, cut_for_row,
    rejected_bytes, too_large, written_out_bytes,
};

/// Times that a stage may break in one file. One guilty row among 8,000 takes 14,
/// a hundred of them about 800; a stage that breaks more often is not one with some
/// bad rows.
const BREAKS_MAX: u32 = 1_000;

/// Of those, times that it may run out of time, which cost the whole
/// `time-per-batch` each: two guilty rows, and at most a minute by default.
const TIMEOUTS_MAX: u32 = 30;

/// Rows, spread over a batch, that are tried alone before it is halved. When the
/// stage breaks at each of them, it breaks at everything, and halving would find
/// that out a thousand times later.
const PROBES: usize = 5;

/// Batches of fewer rows are halved at once.
const PROBED_ROWS_MIN: usize = 100;

/// Bytes of what a stage has read that are kept to teach another instance; beyond
/// it, the instance is asked for its facts and a new one goes on.
const LESSONS_BYTES_MAX: usize = 8 << 20;

/// Why facts can be beyond recovery.
const LOST_FACTS: &str = "it broke before, and what it had learned was lost with it; it broke again \
    at rows that it had taken, so it cannot learn that anew";

/// How often the stages of a file broke, over all of its chains.
#[derive(Debug)]
pub struct Breaks(Vec<Counts>);

#[derive(Debug, Default)]
pub(super) struct Counts {
    breaks: AtomicU32,
    timeouts: AtomicU32,
}

impl Breaks {
    pub fn of(plan: &LoadPlan) -> Self {
        Self(plan.transforms.iter().map(|_| Counts::default()).collect())
    }

    pub(super) fn stages(&self) -> &[Counts] {
        &self.0
    }
}

/// One transform of a file, and what is needed to open it again.
pub(super) struct ContainedTransform<'p> {
    planned: &'p TransformPlan,
    schema: &'p Arc<Schema>,
    settings: Settings,
    /// `None` after it broke, until the next batch.
    transform: Option<Transform>,
    counts: &'p Counts,
    /// Messages logged by the instances before this one.
    logged: u64,
    log: Vec<LogLine>,
    lessons: Lessons,
}

/// The batches that the instances of a stage with `learn` have read since facts were
/// collected.
#[derive(Default)]
struct Lessons {
    batches: Vec<Batch>,
    bytes: usize,
    /// The first so many were read by instances that are gone.
    lost: usize,
    facts: Facts,
}

/// The words that the instances of a stage told and that somebody wants, each word once.
#[derive(Default)]
struct Facts {
    topics: BTreeMap<String, BTreeSet<String>>,
    bytes: u64,
}

impl Facts {
    /// # Errors
    /// They are more than one call may return.
    fn add(
        &mut self,
        facts: Vec<Fact>,
        is_wanted: impl Fn(&str) -> bool,
        bytes_max: u64,
    ) -> Result<(), StageError> {
        for fact in facts.into_iter().filter(|fact| is_wanted(&fact.topic)) {
            let words = self.topics.entry(fact.topic).or_default();
            for word in fact.words {
                let bytes = (size_of::<String>() + word.len()) as u64;
                if words.insert(word) {
                    self.bytes += bytes;
                }
            }
        }
        match self.bytes > bytes_max {
            true => Err(StageError::malformed(format!(
                "facts of more than {bytes_max} bytes for one file (`output-per-batch`)"
            ))),
            false => Ok(()),
        }
    }
}

impl<'p> ContainedTransform<'p> {
    /// Opens the stage.
    ///
    /// # Errors
    /// It refuses what the plan opens it with.
    pub(super) fn open(
        planned: &'p TransformPlan,
        schema: &'p Arc<Schema>,
        settings: Settings,
        counts: &'p Counts,
    ) -> Result<Self, StageError> {
        let mut contained = Self {
            planned,
            schema,
            settings,
            transform: None,
            counts,
            logged: 0,
            log: Vec::new(),
            lessons: Lessons::default(),
        };
        contained.transform()?;
        Ok(contained)
    }

    /// Processes one batch; rows that break the stage are among the rejects and in
    /// `broken`.
    ///
    /// # Errors
    /// The stage refuses the batch, cannot be opened again, or breaks too often.
    pub(super) fn process(
        &mut self,
        batch: &Batch,
        broken: &mut Vec<StageBreak>,
    ) -> Result<TransformOutput, Stop> {
        match self.attempt(batch)? {
            Ok(processed) => Ok(processed),
            Err(error) => self.halve(batch, error, broken),
        }
    }

    /// Ends the report.
    ///
    /// # Errors
    /// The stage breaks: alone, or at what it has learned from before.
    pub(super) fn finish(&mut self) -> Result<Vec<Fact>, Stop> {
        self.collect_facts()?;
        let facts = std::mem::take(&mut self.lessons.facts);
        Ok(facts
            .topics
            .into_iter()
            .map(|(topic, words)| Fact {
                topic,
                words: words.into_iter().collect(),
            })
            .collect())
    }

    /// The lines that the stage logged since the last call. Its words while it breaks are
    /// in the message of that.
    pub(super) fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.log)
    }

    /// The instance at work, or a new one.
    fn transform(&mut self) -> Result<&mut Transform, StageError> {
        let transform = match self.transform.take() {
            Some(transform) => transform,
            None => {
                let component = &self.planned.stage.component;
                let mut opened = component.open_transform(&self.settings, self.schema)?;
                if *opened.contract() != self.planned.contract {
                    return Err(StageError::malformed(
                        "its contract is not the one that the pipeline was checked with",
                    ));
                }
                opened.has_logged(self.logged);
                opened
            }
        };
        Ok(self.transform.insert(transform))
    }

    /// One call: what came of it, or how the stage broke. A single row is to blame
    /// only for what it does to an instance that has seen no other.
    fn attempt(&mut self, batch: &Batch) -> Result<Result<TransformOutput, StageError>, Stop> {
        let fresh = self.transform.is_none();
        let transform = self.transform()?;
        match transform.process_once(batch) {
            Ok(MemoizedOutput { processed, shown }) => {
                let log = transform.take_log();
                self.log.extend(log);
                self.remember(batch, shown)?;
                Ok(Ok(processed))
            }
            Err(error) if error.is_break() => {
                self.broke(&error);
                match batch.rows == 1 && !fresh {
                    true => self.attempt(batch),
                    false => Ok(Err(error)),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Drops the instance, and with it what it has learned and was about to say: its
    /// last words are in the error.
    fn broke(&mut self, error: &StageError) {
        if let Some(transform) = self.transform.take() {
            self.logged = transform.logged();
        }
        self.lessons.lost = self.lessons.batches.len();
        self.counts.breaks.fetch_add(1, Ordering::Relaxed);
        if matches!(error, StageError::Time { .. }) {
            self.counts.timeouts.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn halve(
        &mut self,
        batch: &Batch,
        first: StageError,
        broken: &mut Vec<StageBreak>,
    ) -> Result<TransformOutput, Stop> {
        if batch.rows == 0 {
            return Err(first.into());
        }
        self.probe(batch)?;
        let mut whole = Whole::default();
        let mut guilty_rows = 0_u64;
        let mut open = vec![(0, batch.rows, Some(first))];
        // Depth first and from the left, so that parts and rejects stay in order.
        while let Some((start, rows, known)) = open.pop() {
            let part = part(batch, start, rows)?;
            let attempted = match known {
                Some(error) => Err(error),
                None => self.attempt(&part)?,
            };
            match attempted {
                Ok(processed) => {
                    whole.add(processed);
                    // Each part was small enough; together they must be, too.
                    let bytes_max = self.settings.limits.batch_bytes;
                    if whole.bytes > bytes_max {
                        return Err(too_large(bytes_max).into());
                    }
                }
                Err(error) if rows == 1 => {
                    guilty_rows += 1;
                    whole.rejects.push(guilty(&part, &error));
                    broken.push(StageBreak { batch: part, error });
                }
                Err(error) => {
                    self.within_bounds(error, &part)?;
                    let half = rows.div_ceil(2);
                    open.push((start + half, rows - half, None));
                    open.push((start, half, None));
                }
            }
        }
        self.log.push(LogLine {
            level: LogLevel::Warn,
            message: said_of(batch, guilty_rows),
            by: LoggedBy::Host,
        });
        Ok(whole.processed(&self.planned.output)?)
    }

    /// Tries some rows alone, to know a stage that breaks at everything.
    fn probe(&mut self, batch: &Batch) -> Result<(), Stop> {
        if batch.rows < PROBED_ROWS_MIN {
            return Ok(());
        }
        for probe in 0..PROBES {
            let row = probe * (batch.rows - 1) / (PROBES - 1);
            let alone = part(batch, row, 1)?;
            let Err(error) = self.attempt(&alone)? else {
                return Ok(());
            };
            if probe + 1 == PROBES {
                return Err(Stop {
                    error,
                    why: Some(format!(
                        "it broke at each of {PROBES} rows tried alone, so at more than some bad rows"
                    )),
                    batch: Some(alone),
                });
            }
        }
        Ok(())
    }

    fn within_bounds(&self, error: StageError, part: &Batch) -> Result<(), Stop> {
        let why = if self.counts.breaks.load(Ordering::Relaxed) > BREAKS_MAX {
            format!("it broke more than {BREAKS_MAX} times at this file")
        } else if self.counts.timeouts.load(Ordering::Relaxed) > TIMEOUTS_MAX {
            format!("it ran out of time more than {TIMEOUTS_MAX} times at this file")
        } else {
            return Ok(());
        };
        Err(Stop {
            error,
            why: Some(why),
            batch: Some(part.clone()),
        })
    }

    /// Keeps what a stage with `learn` was shown of a batch, until its facts are
    /// collected.
    fn remember(&mut self, batch: &Batch, shown: Option<Batch>) -> Result<(), Stop> {
        if self.planned.stage.learn.is_empty() {
            return Ok(());
        }
        let lesson = shown.unwrap_or_else(|| batch.only(&self.planned.contract.reads));
        if lesson.rows == 0 {
            return Ok(());
        }
        self.lessons.bytes += lesson.memory_bytes();
        self.lessons.batches.push(lesson);
        match self.lessons.bytes > LESSONS_BYTES_MAX {
            true => self.collect_facts(),
            false => Ok(()),
        }
    }

    /// Ends the instance for its facts. What instances learned that are gone is
    /// taught to it first: facts are united, so it does not matter which instance
    /// tells them.
    fn collect_facts(&mut self) -> Result<(), Stop> {
        let lessons = std::mem::take(&mut self.lessons);
        let transform = self.transform()?;
        let mut log = transform.take_log();
        for lesson in &lessons.batches[..lessons.lost] {
            transform.learn(lesson).map_err(|error| Stop {
                error,
                why: Some(LOST_FACTS.into()),
                batch: None,
            })?;
        }
        // It has logged about batches that it had before already.
        transform.take_log();
        let facts = transform.finish()?;
        log.extend(transform.take_log());
        let logged = transform.logged();
        self.transform = None;
        self.log.extend(log);
        self.logged = logged;
        self.lessons.facts = lessons.facts;
        let stage = &self.planned.stage;
        let is_wanted = |topic: &str| stage.learn.iter().any(|(wanted, _)| wanted == topic);
        let bytes_max = stage.limits.output_bytes;
        self.lessons.facts.add(facts, is_wanted, bytes_max)?;
        Ok(())
    }
}

/// The parts of a batch that came through, and the rows that did not.
#[derive(Default)]
struct Whole {
    parts: Vec<Batch>,
    rejects: Vec<RejectedRow>,
    filtered: u64,
    repeated: u64,
    /// The memory that all of that takes in the host.
    bytes: u64,
}

impl Whole {
    fn add(&mut self, part: TransformOutput) {
        self.bytes += written_out_bytes(&part.batch).max(rejected_bytes(&part.rejects));
        self.parts.push(part.batch);
        self.rejects.extend(part.rejects);
        self.filtered += part.filtered;
        self.repeated += part.repeated;
    }

    fn processed(self, schema: &Arc<Schema>) -> Result<TransformOutput, StageError> {
        let batch = Batch::joined(schema, &self.parts)
            .map_err(|error| StageError::malformed(error.to_string()))?;
        Ok(TransformOutput {
            batch,
            rejects: self.rejects,
            filtered: self.filtered,
            repeated: self.repeated,
        })
    }
}

fn part(batch: &Batch, start: usize, rows: usize) -> Result<Batch, StageError> {
    batch
        .part(start, rows)
        .map_err(|error| StageError::malformed(error.to_string()))
}

fn said_of(batch: &Batch, guilty_rows: u64) -> String {
    let lines = match (batch.places.lines.first(), batch.places.lines.last()) {
        (Some(first), Some(last)) => format!(" (lines {first} to {last})"),
        _ => String::new(),
    };
    let rows = batch.rows;
    match guilty_rows {
        0 => format!("broke at {rows} rows{lines}, but not at fewer of them"),
        guilty => format!("broke at {guilty} of {rows} rows{lines}, which go to quarantine"),
    }
}

/// A row that breaks the stage alone.
fn guilty(row: &Batch, error: &StageError) -> RejectedRow {
    let message = cut_for_row(&error.to_string().replace('\n', "; "));
    row.places.reject(0, None, error.code().into(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_all_instances_are_bounded_together() {
        let told = |topic: &str, words: &[&str]| {
            vec![Fact {
                topic: topic.into(),
                words: words.iter().map(ToString::to_string).collect(),
            }]
        };
        let word_bytes = size_of::<String>() as u64 + 1;
        let mut facts = Facts::default();
        let mut add = |told| facts.add(told, |topic| topic == "keys", 2 * word_bytes);
        assert_eq!(add(told("keys", &["a", "b", "a"])), Ok(()));
        // Words that another instance has told, or that nobody learns, take no room.
        assert_eq!(add(told("keys", &["b"])), Ok(()));
        assert_eq!(add(told("noise", &["c", "d"])), Ok(()));
        let refused = add(told("keys", &["c"])).unwrap_err().to_string();
        assert!(refused.contains("facts of more than 50 bytes"), "{refused}");
        assert!(refused.contains("(`output-per-batch`)"), "{refused}");
    }
}
