//! The errors of a stage, in words.

use std::fmt;
use std::time::Duration;

/// A stage refused its configuration, its columns or its input, or it broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageError {
    /// The configuration is wrong. `key` may be empty.
    Config { key: String, reason: String },
    /// A column that reaches the stage is wrong.
    Schema { column: String, reason: String },
    /// The file or the batch cannot be used.
    Input {
        line: Option<u64>,
        column: Option<String>,
        reason: String,
    },
    /// It took longer than it may.
    Time { limit: Duration },
    /// It wanted more memory than it may have.
    Memory { limit_bytes: u64 },
    /// It trapped. `said` is what it logged or wrote to standard error last.
    Trap {
        reason: String,
        said: Option<String>,
    },
    /// It returned something that the contract does not allow.
    Malformed { reason: String },
    /// Its exports lack a function of its world, or have another in its place.
    Incomplete { reason: String },
}

impl StageError {
    /// Whether the stage broke, rather than said no. Nothing that it holds can be
    /// trusted then.
    pub fn is_break(&self) -> bool {
        match self {
            Self::Config { .. } | Self::Schema { .. } | Self::Input { .. } => false,
            Self::Time { .. }
            | Self::Memory { .. }
            | Self::Trap { .. }
            | Self::Malformed { .. }
            | Self::Incomplete { .. } => true,
        }
    }

    /// The error as one word, for machines: what quarantine calls a row that breaks
    /// a stage.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } | Self::Schema { .. } | Self::Input { .. } => "stage-refused",
            Self::Time { .. } => "stage-timed-out",
            Self::Memory { .. } => "stage-out-of-memory",
            Self::Trap { .. } => "stage-trapped",
            Self::Malformed { .. } => "stage-malformed-output",
            Self::Incomplete { .. } => "stage-incomplete",
        }
    }

    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed {
            reason: reason.into(),
        }
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { key, reason } if key.is_empty() => write!(formatter, "config: {reason}"),
            Self::Config { key, reason } => write!(formatter, "config key `{key}`: {reason}"),
            Self::Schema { column, reason } => write!(formatter, "column `{column}`: {reason}"),
            Self::Input {
                line,
                column,
                reason,
            } => {
                match (line, column) {
                    (Some(line), Some(column)) => {
                        write!(formatter, "line {line}, column `{column}`: ")?;
                    }
                    (Some(line), None) => write!(formatter, "line {line}: ")?,
                    (None, Some(column)) => write!(formatter, "column `{column}`: ")?,
                    (None, None) => {}
                }
                formatter.write_str(reason)
            }
            Self::Time { limit } => write!(
                formatter,
                "took longer than {limit:?} for one batch (`time-per-batch`)"
            ),
            Self::Memory { limit_bytes } => write!(
                formatter,
                "wanted more than {limit_bytes} bytes of memory (`memory`)"
            ),
            Self::Trap { reason, said } => {
                write!(formatter, "trapped: {reason}")?;
                if let Some(said) = said {
                    write!(formatter, "\nit said: {said}")?;
                }
                Ok(())
            }
            Self::Malformed { reason } => write!(
                formatter,
                "returned something that the contract does not allow: {reason}"
            ),
            Self::Incomplete { reason } => {
                write!(formatter, "is not a complete stage: {reason}")
            }
        }
    }
}

impl std::error::Error for StageError {}
