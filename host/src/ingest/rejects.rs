//! The rejected rows of a payload: counts them, bounds them, and hands them on as they
//! are found, so that never many are in memory.
//!
//! This file does not know where they are kept: it is given a [`RejectSink`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use super::lock;
use crate::diagnostics::failure::{Failure, Result};
use crate::ingest::chain::{Reject, RejectedBy};
use crate::pipeline::plan::PayloadBudget;

/// Rows that wait to be handed on together: few statements, and little memory.
const WAITING_ROWS_MAX: usize = 1_000;
const WAITING_BYTES_MAX: u64 = 1 << 20;

/// Bytes that a row takes besides its texts.
const ROW_BYTES: u64 = 64;

/// Rows of each stage that are remembered of a file, for a message.
const FIRST_ROWS_MAX: usize = 3;

/// Takes rejected rows to where they are kept.
pub trait RejectSink: Sync {
    /// Keeps some rows, in this order.
    ///
    /// # Errors
    /// They cannot be kept.
    fn keep(&self, rejects: &[FoundReject]) -> Result<()>;
}

/// A rejected row, and where it was found.
#[derive(Clone, Debug)]
pub struct FoundReject {
    pub report: String,
    pub file: String,
    /// Counted from 1.
    pub batch: u64,
    pub reject: Reject,
}

/// The rejected rows of a payload, as far as its budget allows.
pub struct Rejects<'s> {
    rows_max: u64,
    bytes_max: u64,
    sink: &'s dyn RejectSink,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rows: u64,
    bytes: u64,
    waiting: Vec<FoundReject>,
    waiting_bytes: u64,
    exceeded: Option<ExceededLimit>,
}

/// A limit that more rows would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceededLimit {
    Rows(u64),
    Bytes { total: u64, most: u64 },
}

impl fmt::Display for ExceededLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(most) => write!(
                formatter,
                "more than {most} rows of the payload were rejected (`quarantine-rows` in `[limits]`)"
            ),
            Self::Bytes { total, most } => {
                let units = [(1 << 20, "MiB"), (1 << 10, "KiB")];
                let unit = units.into_iter().find(|(bytes, _)| most >= bytes);
                let (bytes, unit) = unit.unwrap_or((1, "B"));
                // Rounded apart, so that the two never read the same.
                let total = thousandths(*total, bytes, f64::ceil);
                let most = thousandths(*most, bytes, f64::floor);
                write!(
                    formatter,
                    "the rejected rows of the payload take {total} {unit}, more than \
                     {most} {unit} (`quarantine-bytes` in `[limits]`)"
                )
            }
        }
    }
}

/// A number of units, to the thousandth.
fn thousandths(bytes: u64, unit: u64, rounded: fn(f64) -> f64) -> f64 {
    rounded(bytes as f64 * 1_000.0 / unit as f64) / 1_000.0
}

/// Why rows could not be taken.
pub(super) enum RejectRefusal {
    Exceeded(ExceededLimit),
    Failure(Failure),
}

impl<'s> Rejects<'s> {
    pub fn new(budget: &PayloadBudget, sink: &'s dyn RejectSink) -> Self {
        Self {
            rows_max: budget.quarantine_rows,
            bytes_max: budget.quarantine_bytes,
            sink,
            state: Mutex::default(),
        }
    }

    /// Takes the rows that a batch lost. Those that the budget allows are kept, also
    /// when the others are not.
    pub(super) fn take(
        &self,
        report: &str,
        file: &str,
        batch: u64,
        rejects: Vec<Reject>,
    ) -> Result<(), RejectRefusal> {
        // One at a time: whoever finds more rows than can be kept waits.
        let mut state = lock(&self.state);
        for reject in rejects {
            let bytes = bytes_of(&reject);
            if state.rows == self.rows_max {
                state.exceeded = Some(ExceededLimit::Rows(self.rows_max));
            } else if state.bytes + bytes > self.bytes_max {
                state.exceeded = Some(ExceededLimit::Bytes {
                    total: state.bytes + bytes,
                    most: self.bytes_max,
                });
            }
            if let Some(exceeded) = state.exceeded {
                return Err(RejectRefusal::Exceeded(exceeded));
            }
            state.rows += 1;
            state.bytes += bytes;
            state.waiting_bytes += bytes;
            state.waiting.push(FoundReject {
                report: report.to_string(),
                file: file.to_string(),
                batch,
                reject,
            });
            if state.waiting.len() >= WAITING_ROWS_MAX || state.waiting_bytes >= WAITING_BYTES_MAX {
                self.hand_on(&mut state).map_err(RejectRefusal::Failure)?;
            }
        }
        Ok(())
    }

    /// Hands on what still waits.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn flush(&self) -> Result<()> {
        self.hand_on(&mut lock(&self.state))
    }

    /// The limit that there were too many rows for.
    pub fn exceeded(&self) -> Option<ExceededLimit> {
        lock(&self.state).exceeded
    }

    /// The rows that were taken.
    pub fn rows(&self) -> u64 {
        lock(&self.state).rows
    }

    fn hand_on(&self, state: &mut State) -> Result<()> {
        if !state.waiting.is_empty() {
            self.sink.keep(&state.waiting)?;
        }
        state.waiting.clear();
        state.waiting_bytes = 0;
        Ok(())
    }
}

fn bytes_of(reject: &Reject) -> u64 {
    let row = &reject.row;
    let column = row.column.as_ref().map_or(0, String::len);
    (row.raw.len() + row.message.len() + row.code.len() + column) as u64 + ROW_BYTES
}

/// The rejected rows of one file, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectTally {
    by: BTreeMap<RejectedBy, OfRejecter>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfRejecter {
    rows: u64,
    /// The first of the file, without their raw text, in its order.
    first: Vec<(u64, Reject)>,
}

impl RejectTally {
    /// Counts the rows that a batch lost.
    pub(super) fn add(&mut self, batch: u64, rejects: &[Reject]) {
        for reject in rejects {
            let of = self.by.entry(reject.by.clone()).or_default();
            of.rows += 1;
            let place = place_of(batch, reject);
            let position = of
                .first
                .partition_point(|(batch, first)| place_of(*batch, first) <= place);
            if position < FIRST_ROWS_MAX {
                let mut remembered = reject.clone();
                remembered.row.raw = Vec::new();
                of.first.insert(position, (batch, remembered));
                of.first.truncate(FIRST_ROWS_MAX);
            }
        }
    }

    /// How many there are.
    pub fn rows(&self) -> u64 {
        self.by.values().map(|of| of.rows).sum()
    }

    /// How many the table could not hold.
    pub fn rows_by_load(&self) -> u64 {
        self.of(|by| *by == RejectedBy::Load)
    }

    /// How many a stage rejected.
    pub fn rows_by(&self, stage: &str) -> u64 {
        self.of(|by| is_stage(by, stage))
    }

    /// The first rows, without their raw text: of one stage, or of all.
    pub fn first(&self, stage: Option<&str>) -> Vec<&Reject> {
        let wanted = |by| stage.is_none_or(|stage| is_stage(by, stage));
        let of = self.by.iter().filter(|(by, _)| wanted(by));
        let mut first: Vec<&(u64, Reject)> = of.flat_map(|(_, of)| &of.first).collect();
        first.sort_by_key(|(batch, reject)| place_of(*batch, reject));
        first.truncate(FIRST_ROWS_MAX);
        first.into_iter().map(|(_, reject)| reject).collect()
    }

    fn of(&self, wanted: impl Fn(&RejectedBy) -> bool) -> u64 {
        let of = self.by.iter().filter(|(by, _)| wanted(by));
        of.map(|(_, of)| of.rows).sum()
    }
}

fn is_stage(by: &RejectedBy, stage: &str) -> bool {
    matches!(by, RejectedBy::Stage { name, .. } if name == stage)
}

/// What the rows of a file are ordered by.
fn place_of(batch: u64, reject: &Reject) -> (Option<u64>, u64) {
    (reject.row.line, batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::batch::RejectedRow;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Vec<u64>>>);

    impl RejectSink for Kept {
        fn keep(&self, rejects: &[FoundReject]) -> Result<()> {
            let lines = rejects.iter().filter_map(|found| found.reject.row.line);
            lock(&self.0).push(lines.collect());
            Ok(())
        }
    }

    fn reject(stage: &str, line: u64, raw: &[u8]) -> Reject {
        Reject {
            by: match stage {
                "load" => RejectedBy::Load,
                name => RejectedBy::Stage {
                    name: name.into(),
                    digest: "d".into(),
                },
            },
            row: RejectedRow {
                line: Some(line),
                column: None,
                code: "odd".into(),
                message: "is odd".into(),
                raw: raw.to_vec(),
            },
        }
    }

    fn budget(quarantine_rows: u64, quarantine_bytes: u64) -> PayloadBudget {
        PayloadBudget {
            quarantine_rows,
            quarantine_bytes,
            ..PayloadBudget::default()
        }
    }

    fn take(rejects: &Rejects<'_>, lines: std::ops::Range<u64>) -> bool {
        let rows = lines.map(|line| reject("a", line, b"raw")).collect();
        rejects.take("pods", "pods.csv", 1, rows).is_ok()
    }

    #[test]
    fn rows_are_handed_on_before_there_are_many() {
        let kept = Kept::default();
        let rejects = Rejects::new(&PayloadBudget::default(), &kept);
        assert!(take(&rejects, 0..2_500));
        let sizes = || lock(&kept.0).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(), [1_000, 1_000]);
        rejects.flush().unwrap();
        rejects.flush().unwrap();
        assert_eq!(sizes(), [1_000, 1_000, 500]);
        assert_eq!(lock(&kept.0).concat(), (0..2_500).collect::<Vec<_>>());
        // Few rows that are large are not kept for long either.
        let large = vec![0; 600 << 10];
        let rows = (0..2).map(|line| reject("a", line, &large)).collect();
        assert!(rejects.take("pods", "pods.csv", 2, rows).is_ok());
        assert_eq!(sizes(), [1_000, 1_000, 500, 2]);
    }

    #[test]
    fn what_the_budget_allows_is_kept_and_no_more() {
        let bytes = bytes_of(&reject("a", 1, b"raw"));
        for (budget, exceeded) in [
            (budget(7, 1 << 20), ExceededLimit::Rows(7)),
            (
                budget(100, 7 * bytes + 1),
                ExceededLimit::Bytes {
                    total: 8 * bytes,
                    most: 7 * bytes + 1,
                },
            ),
        ] {
            let kept = Kept::default();
            let rejects = Rejects::new(&budget, &kept);
            assert!(take(&rejects, 0..7));
            assert_eq!(rejects.exceeded(), None);
            assert!(!take(&rejects, 7..9));
            assert!(!take(&rejects, 9..10), "it stays exceeded");
            rejects.flush().unwrap();
            assert_eq!(rejects.exceeded(), Some(exceeded));
            assert_eq!(rejects.rows(), 7);
            assert_eq!(lock(&kept.0).concat(), [0, 1, 2, 3, 4, 5, 6]);
        }
    }

    #[test]
    fn bytes_are_told_as_people_count_them() {
        let words = |total, most| ExceededLimit::Bytes { total, most }.to_string();
        assert_eq!(
            words((64 << 20) + 1, 64 << 20),
            "the rejected rows of the payload take 64.001 MiB, more than 64 MiB \
             (`quarantine-bytes` in `[limits]`)"
        );
        assert!(words(3 << 19, 1 << 20).contains("take 1.5 MiB, more than 1 MiB "));
        assert!(words(2049, 2048).contains("take 2.001 KiB, more than 2 KiB "));
        assert!(words(9, 7).contains("take 9 B, more than 7 B "));
    }

    #[test]
    fn the_first_rows_are_those_of_the_file_whoever_was_first() {
        let mut rejected = RejectTally::default();
        rejected.add(2, &[reject("a", 20, b"raw"), reject("load", 21, b"raw")]);
        rejected.add(1, &[reject("a", 2, b"raw"), reject("a", 3, b"raw")]);
        rejected.add(3, &[reject("a", 30, b"raw"), reject("load", 31, b"raw")]);
        let lines = |stage| {
            let first = rejected.first(stage);
            assert!(first.iter().all(|reject| reject.row.raw.is_empty()));
            first
                .iter()
                .filter_map(|reject| reject.row.line)
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(None), [2, 3, 20]);
        assert_eq!(lines(Some("a")), [2, 3, 20]);
        assert_eq!(lines(Some("load")), [] as [u64; 0], "no stage is called so");
        assert_eq!(
            (
                rejected.rows(),
                rejected.rows_by("a"),
                rejected.rows_by_load()
            ),
            (6, 4, 2)
        );
    }
}
