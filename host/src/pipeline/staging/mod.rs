//! The columns of the staging tables, and how columns of batches map to them.

mod tables;

use std::fmt;

use crate::rows::column::ColumnType;

pub use self::tables::TABLES;

/// Columns that the load fills in itself.
pub const SYSTEM_COLUMNS: [&str; 3] = ["generation", "source_uuid", "report_period_id"];

/// The column that staging tables are partitioned by.
pub const PARTITION_COLUMN: &str = "interval_start";

/// The length of a name in `gristmill_name`.
pub const NAME_CHARACTERS_MAX: usize = 253;

/// The ending of the name of a column that refers to `gristmill_name`.
const NAME_SUFFIX: &str = "_name_id";

/// A staging table's columns, in order, without the system columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StagingTable {
    pub name: &'static str,
    pub columns: &'static [StagingColumn],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StagingColumn {
    pub name: &'static str,
    pub storage: Storage,
    pub required: bool,
}

/// How a column of a batch is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    Boolean,
    Int64,
    Float64,
    /// A number as a whole count of 10^-scale, so that sums are exact.
    FixedPoint {
        scale: u32,
        counts: Counts,
    },
    Timestamp,
    Text {
        characters_max: Option<usize>,
    },
    /// A JSON document stored once, and its id in the row.
    LabelSet,
    /// A text stored once, and its id in the row.
    Name {
        characters_max: usize,
    },
}

/// The counts that a column of whole counts holds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub least: i64,
    pub most: i64,
}

impl Counts {
    /// The values that the column's type holds.
    pub const ALL: Counts = Counts {
        least: i64::MIN,
        most: i64::MAX,
    };

    pub fn hold(self, count: i64) -> bool {
        (self.least..=self.most).contains(&count)
    }
}

impl StagingTable {
    /// Where a batch column of this name and type goes; `Err` says why nowhere.
    ///
    /// # Errors
    /// The table has no such column, or one of another type.
    pub fn place(&self, name: &str, column_type: ColumnType) -> Result<&StagingColumn, String> {
        let mut other = None;
        for column in self.columns {
            if column.batch_name() != name {
                continue;
            }
            if column.storage.takes(column_type) {
                return Ok(column);
            }
            other = Some(column);
        }
        Err(match other {
            Some(column) => format!(
                "table `{}` stores `{}` as {}, but it is {column_type}",
                self.name,
                column.name,
                column.storage.describe()
            ),
            None => format!("table `{}` has no column for `{name}`", self.name),
        })
    }

    /// The names by which batches may call the table's columns.
    pub fn batch_names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(StagingColumn::batch_name)
    }
}

impl StagingColumn {
    /// The name by which batches may call the column.
    pub fn batch_name(&self) -> &str {
        self.storage.batch_name(self.name)
    }
}

impl Storage {
    /// The name in batches of a column that is stored so.
    pub fn batch_name(self, column: &str) -> &str {
        let stem = match self {
            Self::FixedPoint { scale, .. } => column.strip_suffix(&format!("_e{scale}")),
            Self::LabelSet => column.strip_suffix("_id"),
            Self::Name { .. } => column.strip_suffix(NAME_SUFFIX),
            _ => None,
        };
        stem.unwrap_or(column)
    }

    fn takes(self, column_type: ColumnType) -> bool {
        match self {
            Self::Boolean => column_type == ColumnType::Boolean,
            Self::Int64 => column_type == ColumnType::Int64,
            Self::Float64 | Self::FixedPoint { .. } => column_type == ColumnType::Float64,
            Self::Timestamp => column_type == ColumnType::Timestamp,
            Self::Text { .. } | Self::Name { .. } => column_type.is_text(),
            Self::LabelSet => column_type == ColumnType::Json,
        }
    }

    /// With its article, for a sentence.
    fn describe(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Int64 => "a whole number",
            Self::Float64 | Self::FixedPoint { .. } => "a number (float64)",
            Self::Timestamp => "a timestamp",
            Self::Text { .. } => "text",
            Self::LabelSet => "a label set (json)",
            Self::Name { .. } => "a name (text)",
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => formatter.write_str("boolean"),
            Self::Int64 => formatter.write_str("int64"),
            Self::Float64 => formatter.write_str("float64"),
            Self::FixedPoint { scale, .. } => write!(formatter, "whole count of 1e-{scale}"),
            Self::Timestamp => formatter.write_str("timestamp"),
            Self::Text {
                characters_max: None,
            } => formatter.write_str("text"),
            Self::Text {
                characters_max: Some(most),
            } => write!(formatter, "text of at most {most} characters"),
            Self::LabelSet => formatter.write_str("label set"),
            Self::Name { characters_max } => {
                write!(formatter, "name of at most {characters_max} characters")
            }
        }
    }
}
