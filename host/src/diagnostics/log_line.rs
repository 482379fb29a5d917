//! One line of a log: a stage's own words, or the host's about a stage.

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// The word for it in front of a line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warning",
            Self::Error => "error",
        }
    }
}

/// One message of a stage, or about it, fit for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub level: LogLevel,
    pub message: String,
    pub by: LoggedBy,
}

/// The author of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedBy {
    Stage,
    /// We do, of a stage that said more than it may.
    Limit,
    /// We do, of what became of it.
    Host,
}

impl LogLine {
    /// Stands where messages of a stage end that may say no more.
    pub fn cut(log_lines_max: u64) -> Self {
        Self {
            level: LogLevel::Warn,
            message: format!(
                "more than {log_lines_max} messages (`log-lines`); the rest is dropped"
            ),
            by: LoggedBy::Limit,
        }
    }
}
