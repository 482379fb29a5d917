//! Stages that turn the bytes of a report file into rows.

use serde::de::DeserializeOwned;

use crate::{Column, ColumnType, Fact, Failure, Sets};

/// A stage that turns the bytes of a report file into rows.
///
/// One value serves one file: `open`, `parse` for every chunk in order, `finish`.
pub trait Parser: Sized {
    /// The `config` of the stage in the pipeline file.
    type Config: DeserializeOwned;

    /// Makes the parser, or says why that configuration cannot work.
    fn open(config: Self::Config, context: OpenParser) -> Result<Self, Failure>;

    /// Takes the next chunk of the file and returns the rows that it completes.
    /// `last` is true for the last chunk, which may be empty.
    fn parse(&mut self, chunk: Vec<u8>, last: bool) -> Result<Parsed, Failure>;

    /// Ends the file: what the parser learned.
    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        Ok(Vec::new())
    }
}

/// What a [`Parser`] is opened with, besides its configuration.
#[derive(Clone, Debug, Default)]
pub struct OpenParser {
    /// The columns to produce, in this order.
    pub columns: Vec<WantedColumn>,
    /// The sets bound to the stage.
    pub sets: Sets,
}

/// A column that the pipeline wants from the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedColumn {
    /// Its name in the file.
    pub name: String,
    /// The type that it must get. Never `Json`.
    pub column_type: ColumnType,
    /// Whether a file without this column is refused.
    pub required: bool,
    /// Whether an empty cell is null rather than 0 or the empty text.
    pub empty_is_null: bool,
}

impl WantedColumn {
    /// A required column whose empty cells are 0 or the empty text.
    pub fn new(name: impl Into<String>, column_type: ColumnType) -> WantedColumn {
        WantedColumn {
            name: name.into(),
            column_type,
            required: true,
            empty_is_null: false,
        }
    }

    /// The same, but a file without it has nulls instead.
    #[must_use]
    pub fn optional(mut self) -> WantedColumn {
        self.required = false;
        self
    }

    /// The same, but an empty cell is null.
    #[must_use]
    pub fn empty_is_null(mut self) -> WantedColumn {
        self.empty_is_null = true;
        self
    }
}

/// A record of the file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// The line where the record begins, counted from 1.
    pub line: u64,
    /// Where the record begins, in bytes from the start of the file.
    pub start: u64,
    /// Its length in bytes.
    pub length: u32,
    /// The column at fault, where there is one.
    pub column: Option<String>,
    /// What is wrong, as one kebab-case word.
    pub code: String,
    /// What is wrong, as a lowercase sentence.
    pub message: String,
}

/// The rows of the records that one chunk completed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// How many rows.
    pub rows: usize,
    /// One per wanted column, in that order.
    pub columns: Vec<Column>,
    /// For each row, the line where its record begins, counted from 1.
    pub lines: Vec<u64>,
    /// For each row, where its record begins, in bytes from the start of the file.
    pub starts: Vec<u64>,
    /// For each row, the length of its record in bytes.
    pub lengths: Vec<u32>,
    /// The records that did not become a row.
    pub rejects: Vec<RejectedRecord>,
    /// Bytes that were left out on purpose, such as lines of comments, not counting
    /// white space and the header. The host counts them too.
    pub left_out_bytes: u64,
}
