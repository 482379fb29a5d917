//! What the stages of a run logged, and how much of it is kept.
//!
//! Every opened stage is limited by itself; but a payload has many files, and each
//! opens its stages anew. So the book of a run has a limit of its own, by stage.

use std::collections::BTreeMap;

use crate::stage::limits::LOG_LINES_OF_RUN_MAX;
use crate::stage::{LogLevel, LogLine};

/// The lines of one payload's run, each under its stage.
#[derive(Clone, Debug, Default)]
pub struct LogBook {
    lines: Vec<(String, LogLine)>,
    /// Lines by stage, kept or not.
    counts: BTreeMap<String, usize>,
}

impl LogBook {
    /// Takes lines over, as far as their stages have room.
    pub fn append(&mut self, lines: &mut Vec<(String, LogLine)>) {
        for (stage, line) in lines.drain(..) {
            // Nobody is shown these, so they take no room.
            if line.level == LogLevel::Debug {
                continue;
            }
            let count = self.counts.entry(stage.clone()).or_default();
            *count += 1;
            if *count <= LOG_LINES_OF_RUN_MAX {
                self.lines.push((stage, line));
            }
        }
    }

    /// The lines that were kept, and one for each stage that had more to say.
    pub fn lines(&self) -> Vec<(String, LogLine)> {
        let more = self.counts.iter().filter_map(|(stage, count)| {
            let dropped = count.checked_sub(LOG_LINES_OF_RUN_MAX)?;
            let line = LogLine {
                level: LogLevel::Warn,
                message: format!("{dropped} more messages are not shown"),
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
    fn a_stage_that_says_too_much_does_not_silence_another() {
        let line = |level, message: &str| LogLine {
            level,
            message: message.into(),
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
            "7 more messages are not shown"
        );
    }
}
