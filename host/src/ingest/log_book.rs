//! The log lines of the stages of a run, and a limit on them.
//!
//! Every instance of a stage has its own limit. But a file has as many instances as there
//! are workers, which are to log no more than one would, and a payload has many files,
//! each of which opens its stages anew. So files and runs have limits too, for each
//! stage.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::log_line::{LogLevel, LogLine, LoggedBy};
use crate::stage::limits::LOG_LINES_OF_RUN_MAX;

/// Keeps the lines of one file, each under its stage, in the order of its batches. All
/// instances together keep no more lines than one may log, since they mostly log the
/// same.
pub fn of_file(
    lines: Vec<(String, LogLine)>,
    log_lines_max: impl Fn(&str) -> u64,
) -> Vec<(String, LogLine)> {
    let mut said = BTreeSet::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut kept = Vec::new();
    for (stage, line) in lines {
        let is_echo = !said.insert((stage.clone(), line.message.clone()));
        if is_echo {
            continue;
        }
        let max = log_lines_max(&stage);
        let count = counts.entry(stage.clone()).or_default();
        match line.by {
            LoggedBy::Host => kept.push((stage, line)),
            LoggedBy::Stage if *count < max => {
                *count += 1;
                kept.push((stage, line));
            }
            // The first that is too many, here or in an instance.
            LoggedBy::Stage | LoggedBy::Limit if *count <= max => {
                *count = max + 1;
                kept.push((stage, LogLine::cut(max)));
            }
            LoggedBy::Stage | LoggedBy::Limit => {}
        }
    }
    kept
}

/// The lines of one payload's run, each under its stage.
#[derive(Clone, Debug)]
pub struct LogBook {
    lines: Vec<(String, LogLine)>,
    /// Lines that are kept of one stage.
    lines_max: usize,
    /// Lines by stage, kept or not.
    counts: BTreeMap<String, usize>,
}

impl Default for LogBook {
    fn default() -> Self {
        Self::with_room(LOG_LINES_OF_RUN_MAX as u64)
    }
}

impl LogBook {
    /// With room for so many lines of one stage.
    pub fn with_room(lines_max: u64) -> Self {
        Self {
            lines: Vec::new(),
            lines_max: usize::try_from(lines_max).unwrap_or(usize::MAX),
            counts: BTreeMap::new(),
        }
    }

    /// Takes lines over, as far as their stages have room.
    pub fn append(&mut self, lines: &mut Vec<(String, LogLine)>) {
        for (stage, line) in lines.drain(..) {
            // Nobody is shown these, so they take no room.
            if line.level == LogLevel::Debug {
                continue;
            }
            let count = self.counts.entry(stage.clone()).or_default();
            *count += 1;
            if *count <= self.lines_max {
                self.lines.push((stage, line));
            }
        }
    }

    /// The lines that were kept, and one for each stage that had more to say.
    pub fn lines(&self) -> Vec<(String, LogLine)> {
        let more = self.counts.iter().filter_map(|(stage, count)| {
            let dropped = count.checked_sub(self.lines_max)?;
            let line = LogLine {
                level: LogLevel::Warn,
                message: format!(
                    "{dropped} more messages are not shown: \
                    `log-lines-of-payload` in `[limits]` is {}",
                    self.lines_max
                ),
                by: LoggedBy::Host,
            };
            (dropped > 0).then(|| (stage.clone(), line))
        });
        self.lines.iter().cloned().chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_a_file_say_no_more_than_one_would() {
        let of = |stage: &str, by, message: String| {
            let level = LogLevel::Info;
            (stage.to_string(), LogLine { level, message, by })
        };
        let mut lines = Vec::new();
        // Each instance says hello, and something of each batch, until it may not.
        for instance in 0..3 {
            lines.push(of("loud", LoggedBy::Stage, "hello".into()));
            for batch in 0..3 {
                lines.push(of("loud", LoggedBy::Stage, format!("{instance} {batch}")));
                lines.push(of(
                    "loud",
                    LoggedBy::Host,
                    format!("broke {instance} {batch}"),
                ));
            }
            lines.push(("loud".into(), LogLine::cut(4)));
        }
        lines.push(of("quiet", LoggedBy::Stage, "hello".into()));
        let kept = of_file(lines, |stage| if stage == "loud" { 4 } else { 100 });
        let said: Vec<&str> = kept
            .iter()
            .filter(|(_, line)| line.by != LoggedBy::Host)
            .map(|(_, line)| line.message.as_str())
            .collect();
        assert_eq!(
            said,
            [
                "hello",
                "0 0",
                "0 1",
                "0 2",
                "more than 4 messages (`log-lines`); the rest is dropped",
                "hello"
            ]
        );
        assert_eq!(kept.len() - said.len(), 9, "what the host says");
    }

    #[test]
    fn a_stage_that_says_too_much_does_not_silence_another() {
        let line = |level, message: &str| LogLine {
            level,
            message: message.into(),
            by: LoggedBy::Stage,
        };
        let mut book = LogBook::default();
        for _ in 0..LOG_LINES_OF_RUN_MAX + 7 {
            book.append(&mut vec![
                ("loud".into(), line(LogLevel::Info, "hear me")),
                ("loud".into(), line(LogLevel::Debug, "a detail")),
            ]);
        }
        book.append(&mut vec![("quiet".into(), line(LogLevel::Error, "help"))]);
        let lines = book.lines();
        let of = |stage: &str| lines.iter().filter(|(name, _)| name == stage).count();
        assert_eq!((of("loud"), of("quiet")), (LOG_LINES_OF_RUN_MAX + 1, 1));
        assert_eq!(
            lines.last().unwrap().1.message,
            "7 more messages are not shown: `log-lines-of-payload` in `[limits]` is 200"
        );
    }
}
