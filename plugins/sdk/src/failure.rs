//! What a stage says when something is wrong, and what it learned.
//!
//! A [`Reject`] costs one row, a [`Failure`] stops the stage. Each constructor
//! here is one sentence's shape; the host puts the stage, the file and the row in
//! front.

use std::fmt;

/// Why a stage cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The configuration is wrong. From `open` only.
    Config {
        /// The key at fault, with dots between levels; empty for all of it.
        key: String,
        /// A lowercase sentence.
        reason: String,
    },
    /// A column is missing or has a type that the stage cannot use. From `open`
    /// only.
    Schema {
        /// The column at fault.
        column: String,
        /// A lowercase sentence.
        reason: String,
    },
    /// The file, or this batch as a whole, cannot be used.
    Input {
        /// The line in the file, counted from 1, where there is one.
        line: Option<u64>,
        /// The column at fault, where there is one.
        column: Option<String>,
        /// A lowercase sentence.
        reason: String,
    },
}

impl Failure {
    /// A configuration key has a value that it must not have.
    pub fn config(key: impl Into<String>, reason: impl Into<String>) -> Failure {
        Failure::Config {
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// A column cannot be used, or is missing.
    pub fn schema(column: impl Into<String>, reason: impl Into<String>) -> Failure {
        Failure::Schema {
            column: column.into(),
            reason: reason.into(),
        }
    }

    /// The input as a whole cannot be used.
    pub fn input(reason: impl Into<String>) -> Failure {
        Failure::Input {
            line: None,
            column: None,
            reason: reason.into(),
        }
    }

    /// The input cannot be used from this line on.
    pub fn input_at(line: u64, reason: impl Into<String>) -> Failure {
        Failure::Input {
            line: Some(line),
            column: None,
            reason: reason.into(),
        }
    }

    /// The same, and this column is why. Only an input failure has room for it.
    #[must_use]
    pub fn in_column(mut self, name: impl Into<String>) -> Failure {
        if let Failure::Input { column, .. } = &mut self {
            *column = Some(name.into());
        }
        self
    }
}

impl fmt::Display for Failure {
    /// As case files spell it: the place, where there is one, and the reason.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Config { key, reason } if key.is_empty() => formatter.write_str(reason),
            Failure::Config { key, reason } => write!(formatter, "config key `{key}`: {reason}"),
            Failure::Schema { column, reason } => write!(formatter, "column `{column}`: {reason}"),
            Failure::Input {
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
        }
    }
}

impl std::error::Error for Failure {}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The row, counted from 0 in the batch that came in.
    pub row: u32,
    /// The column at fault, where there is one.
    pub column: Option<String>,
    /// What is wrong, as one kebab-case word.
    pub code: String,
    /// What is wrong, as a lowercase sentence without the row number.
    pub message: String,
}

impl Reject {
    /// The row as a whole cannot be used.
    pub fn row(row: usize, code: impl Into<String>, message: impl Into<String>) -> Reject {
        // A batch has at most as many rows as its `rows`, which is 32 bits wide.
        Reject {
            row: row as u32,
            column: None,
            code: code.into(),
            message: message.into(),
        }
    }

    /// The same, and this column is why.
    #[must_use]
    pub fn in_column(mut self, name: impl Into<String>) -> Reject {
        self.column = Some(name.into());
        self
    }
}

/// Something the stage learned, told at the end of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What kind of fact, in kebab-case.
    pub topic: String,
    /// What was learned.
    pub words: Vec<String>,
}

impl Fact {
    /// A fact of that topic.
    pub fn new<W: Into<String>>(
        topic: impl Into<String>,
        words: impl IntoIterator<Item = W>,
    ) -> Fact {
        Fact {
            topic: topic.into(),
            words: words.into_iter().map(Into::into).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn a_failure_names_its_place_where_it_has_one() {
        let check = |failure: Failure, expected: &str| assert_eq!(failure.to_string(), expected);
        check(
            Failure::config("method", "no such method"),
            "config key `method`: no such method",
        );
        check(Failure::config("", "not an object"), "not an object");
        check(
            Failure::schema("price", "is missing"),
            "column `price`: is missing",
        );
        check(Failure::input("empty"), "empty");
        check(Failure::input_at(3, "too long"), "line 3: too long");
        check(
            Failure::input_at(1, "missing").in_column("pod"),
            "line 1, column `pod`: missing",
        );
        check(
            Failure::input("missing").in_column("pod"),
            "column `pod`: missing",
        );
    }
}
