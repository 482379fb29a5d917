//! The budget of a payload: how much its files, stages and workers together may leave
//! besides rows that load.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;

use super::resolve::Resolver;
use crate::diagnostics::problem::Problem;
use crate::pipeline::definition;
use crate::stage::limits::LOG_LINES_OF_RUN_MAX;

/// None is a choice; more are no longer some bad rows.
const ROWS_RANGE: RangeInclusive<u64> = 0..=10_000_000;

/// From one row to what a table can bear of one payload.
const BYTES_RANGE: RangeInclusive<u64> = 1 << 10..=4 << 30;

/// From what any statement takes to an hour, for which the day's other payloads wait.
const TIME_MILLISECONDS_RANGE: RangeInclusive<u64> = 10..=3_600_000;

/// More words are no vocabulary but data.
const WORDS_RANGE: RangeInclusive<u64> = 0..=10_000_000;

/// More is no log but data.
const LOG_LINES_RANGE: RangeInclusive<u64> = 0..=100_000;

/// The budget of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadBudget {
    /// Rows that go to quarantine.
    pub quarantine_rows: u64,
    /// Bytes of them, and of what is said of them.
    pub quarantine_bytes: u64,
    /// The time that putting them there may take.
    pub quarantine_time: Duration,
    /// Words that stages learn, each counted once.
    pub learned_words: u64,
    /// Messages of one stage that are shown.
    pub log_lines: u64,
}

impl Default for PayloadBudget {
    fn default() -> Self {
        Self {
            // One in a hundred rows of the largest payloads, of ten million; nobody
            // looks at more.
            quarantine_rows: 100_000,
            // So many rows of some 600 bytes, as those of reports with their labels.
            quarantine_bytes: 64 << 20,
            // They take seconds; a slow server with other work, a minute.
            quarantine_time: Duration::from_secs(60),
            // A cluster has hundreds of label keys. A hundred thousand take 10 MB.
            learned_words: 100_000,
            // A person reads all of it.
            log_lines: LOG_LINES_OF_RUN_MAX as u64,
        }
    }
}

impl Resolver<'_> {
    pub(super) fn budget(&mut self) -> Option<PayloadBudget> {
        let limits = &self.definition.limits;
        let default = PayloadBudget::default();
        let rows = limits.quarantine_rows.as_ref();
        let words = limits.learned_words.as_ref();
        let lines = limits.log_lines_of_payload.as_ref();
        Some(PayloadBudget {
            quarantine_rows: self
                .count("quarantine-rows", rows, ROWS_RANGE)?
                .unwrap_or(default.quarantine_rows),
            quarantine_bytes: match &limits.quarantine_bytes {
                Some(bytes) => {
                    let key = "quarantine-bytes";
                    self.within(key, bytes.span(), bytes.get_ref().0, BYTES_RANGE)?
                }
                None => default.quarantine_bytes,
            },
            quarantine_time: match &limits.quarantine_time {
                Some(time) => {
                    let milliseconds = time.get_ref().0.as_millis() as u64;
                    let range = TIME_MILLISECONDS_RANGE;
                    self.within("quarantine-time", time.span(), milliseconds, range)?;
                    time.get_ref().0
                }
                None => default.quarantine_time,
            },
            learned_words: self
                .count("learned-words", words, WORDS_RANGE)?
                .unwrap_or(default.learned_words),
            log_lines: self
                .count("log-lines-of-payload", lines, LOG_LINES_RANGE)?
                .unwrap_or(default.log_lines),
        })
    }

    /// `Some(None)` where nothing is said.
    pub(super) fn count(
        &mut self,
        key: &str,
        count: Option<&Spanned<u64>>,
        range: RangeInclusive<u64>,
    ) -> Option<Option<u64>> {
        let Some(count) = count else {
            return Some(None);
        };
        self.within(key, count.span(), *count.get_ref(), range)
            .map(Some)
    }

    /// A payload's budget is not a stage's.
    pub(super) fn has_no_budget(&mut self, limits: &Spanned<definition::Limits>) {
        let own = limits.get_ref();
        let of_the_payload = [
            ("quarantine-rows", own.quarantine_rows.is_some()),
            ("quarantine-bytes", own.quarantine_bytes.is_some()),
            ("quarantine-time", own.quarantine_time.is_some()),
            ("learned-words", own.learned_words.is_some()),
            ("log-lines-of-payload", own.log_lines_of_payload.is_some()),
        ];
        for (key, is_said) in of_the_payload {
            if is_said {
                self.add(Problem::new(
                    limits.span(),
                    format!("`{key}` is a limit of the pipeline, not of a stage"),
                ));
            }
        }
    }
}
