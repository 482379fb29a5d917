//! The state of a store: the limits of its stage, its log lines, and its WASI.

use wasmtime::{ResourceLimiter, Result as WasmtimeResult};

use super::bindings::gristmill::stage::log;
use super::limits::{
    INSTANCES_MAX, LOG_LINE_BYTES_MAX, Limits, MEMORIES_MAX, REJECT_TEXT_BYTES_MAX,
    TABLE_ELEMENTS_MAX, TABLES_MAX,
};
use super::wasi::Wasi;
use crate::diagnostics::log_line::{LogLevel, LogLine, LoggedBy};
use crate::diagnostics::printable;

pub(super) struct State {
    memory_bytes_max: u64,
    memory_bytes: u64,
    /// A growth was refused: the trap that follows is about memory.
    pub(super) memory_refused: bool,
    log: Vec<LogLine>,
    logged: u64,
    log_lines_max: u64,
    /// Its last error message, also when that is one message too many.
    last_error: Option<String>,
    pub(super) wasi: Wasi,
}

impl State {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes_max: limits.memory_bytes,
            memory_bytes: 0,
            memory_refused: false,
            log: Vec::new(),
            logged: 0,
            log_lines_max: limits.log_lines,
            last_error: None,
            wasi: Wasi::empty(limits.log_lines),
        }
    }

    /// The linear memory that the stage has; it never gives any back.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// The lines that the stage logged, or wrote, since the last call.
    pub(super) fn take_log(&mut self) -> Vec<LogLine> {
        self.log_written(true);
        std::mem::take(&mut self.log)
    }

    /// Logs what the stage wrote to standard output and error.
    fn log_written(&mut self, end: bool) {
        let (lines, dropped) = self.wasi.take_lines(end);
        for (level, line) in lines {
            self.log_line(level, &line);
        }
        for _ in 0..dropped.min(self.log_lines_max + 1) {
            // There was no room for its words, nor is there now.
            self.log_line(LogLevel::Info, "");
        }
        self.logged += dropped.saturating_sub(self.log_lines_max + 1);
    }

    fn log_line(&mut self, level: LogLevel, message: &str) {
        self.logged += 1;
        if self.logged == self.log_lines_max + 1 {
            self.log.push(LogLine::cut(self.log_lines_max));
        }
        if self.logged <= self.log_lines_max {
            self.log.push(LogLine {
                level,
                message: printable(message),
                by: LoggedBy::Stage,
            });
        }
    }

    /// Messages so far, also those that were too many.
    pub(super) fn logged(&self) -> u64 {
        self.logged
    }

    pub(super) fn has_logged(&mut self, messages: u64) {
        self.logged += messages;
    }

    /// The last thing that the stage said, for the message of a trap.
    pub(super) fn last_words(&mut self) -> Option<String> {
        let logged = self.last_error.take();
        let written = printable(&String::from_utf8_lossy(&self.wasi.take_end()));
        logged.or_else(|| Some(written.trim().to_string()).filter(|text| !text.is_empty()))
    }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> WasmtimeResult<()> {
        // What was written before comes before.
        self.log_written(false);
        if level == log::Level::Error {
            self.last_error = Some(printable(&message));
        }
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.log_line(level, &message);
        Ok(())
    }
}

impl super::bindings::gristmill::stage::types::Host for State {}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> WasmtimeResult<bool> {
        let growth = desired.saturating_sub(current) as u64;
        let total = self.memory_bytes.saturating_add(growth);
        if total > self.memory_bytes_max {
            self.memory_refused = true;
            return Ok(false);
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> WasmtimeResult<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

/// Text from a stage, fit for a terminal and of bounded length.
pub(super) fn printable(text: &str) -> String {
    printable::line(cut(text, LOG_LINE_BYTES_MAX))
}

/// Text of which there is one for each row, so of a length that many rows can have.
pub fn printable_of_row(text: &str) -> String {
    let shown = printable::line(cut(text, REJECT_TEXT_BYTES_MAX));
    // Invisible characters are longer when they are shown.
    cut(&shown, REJECT_TEXT_BYTES_MAX).to_string()
}

/// The beginning of a text.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\nc\u{202e}"), "a [31mb c\\u{202e}");
    }

    #[test]
    fn what_is_said_of_a_row_is_short_however_it_is_shown() {
        assert_eq!(printable_of_row("a\u{1b}b"), "a b");
        for text in [
            "x".repeat(1 << 20),
            "\u{202e}".repeat(1 << 18),
            "é".repeat(999),
        ] {
            let shown = printable_of_row(&text);
            assert!((REJECT_TEXT_BYTES_MAX - 3..=REJECT_TEXT_BYTES_MAX).contains(&shown.len()));
        }
    }

    #[test]
    fn a_flood_of_messages_is_cut_off() {
        let limits = Limits {
            log_lines: 3,
            ..Limits::default()
        };
        let mut state = State::new(&limits);
        // An instance before this one has said something.
        state.has_logged(1);
        for number in 0..5 {
            let message = format!("message {number}");
            log::Host::write(&mut state, log::Level::Error, message).unwrap();
        }
        let messages: Vec<String> = state
            .take_log()
            .into_iter()
            .map(|line| line.message)
            .collect();
        assert_eq!(
            messages,
            [
                "message 0",
                "message 1",
                "more than 3 messages (`log-lines`); the rest is dropped"
            ]
        );
        assert_eq!(state.last_words().as_deref(), Some("message 4"));
    }
}
