//! Columns and their types, as a stage sees them.
//!
//! These mirror the records of `wit/stage.wit`. The buffers are the ones that
//! crossed, so nothing is copied per value on the way in or out.

use std::fmt;

use crate::{Bitmap, Text};

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// Whole numbers of 64 bits.
    Int64,
    /// Numbers of double precision.
    Float64,
    /// Microseconds since 1970-01-01 00:00:00 UTC.
    Timestamp,
    /// Text, one value per row.
    Utf8,
    /// Text that repeats: every distinct value once, and a key per row.
    Dictionary,
    /// Like `Dictionary`, and every value is one JSON document.
    Json,
}

impl ColumnType {
    /// Whether it can be read as text. JSON can, though text is no JSON.
    pub fn is_text(self) -> bool {
        matches!(
            self,
            ColumnType::Utf8 | ColumnType::Dictionary | ColumnType::Json
        )
    }

    /// Whether a stage that asks for `wanted` can be given a column of this type.
    pub fn is_readable_as(self, wanted: ColumnType) -> bool {
        self == wanted
            || self.is_text() && matches!(wanted, ColumnType::Utf8 | ColumnType::Dictionary)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ColumnType::Boolean => "boolean",
            ColumnType::Int64 => "int64",
            ColumnType::Float64 => "float64",
            ColumnType::Timestamp => "timestamp",
            ColumnType::Utf8 => "utf8",
            ColumnType::Dictionary => "dictionary",
            ColumnType::Json => "json",
        })
    }
}

/// A named column without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name, as in the report's header or as a stage before wrote it.
    pub name: String,
    /// The type of its values.
    pub column_type: ColumnType,
}

impl Field {
    /// A field of that name and type.
    pub fn new(name: impl Into<String>, column_type: ColumnType) -> Field {
        Field {
            name: name.into(),
            column_type,
        }
    }
}

/// Text values, end to end: value `i` is `offsets[i]..offsets[i + 1]` of `data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utf8Values {
    /// One more than there are values; the first is 0.
    pub offsets: Vec<u32>,
    /// The bytes of all values.
    pub data: Vec<u8>,
}

impl Default for Utf8Values {
    fn default() -> Utf8Values {
        Utf8Values {
            offsets: vec![0],
            data: Vec::new(),
        }
    }
}

impl Utf8Values {
    /// How many values there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a value at the end.
    pub fn push(&mut self, value: Text<'_>) {
        self.push_bytes(value.as_bytes());
    }

    /// Adds a value at the end. The bytes must be UTF-8.
    pub(crate) fn push_bytes(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.offsets.push(offset(self.data.len()));
    }

    /// Forgets the values from `length` on.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.offsets.truncate(length + 1);
        self.data.truncate(self.offsets[length] as usize);
    }
}

/// A length as an offset of the contract.
///
/// # Panics
///
/// When a batch holds 4 GiB of text in one column, far above any batch limit.
fn offset(length: usize) -> u32 {
    u32::try_from(length).expect("a column of one batch holds less than 4 GiB of text")
}

/// Text values by reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DictionaryValues {
    /// One per row: the index of its value in `values`.
    pub keys: Vec<u32>,
    /// The distinct values.
    pub values: Utf8Values,
}

/// The values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// True or false, one bit per row.
    Boolean(Bitmap),
    /// Whole numbers.
    Int64(Vec<i64>),
    /// Numbers of double precision.
    Float64(Vec<f64>),
    /// Microseconds since 1970-01-01 00:00:00 UTC.
    Timestamp(Vec<i64>),
    /// Text, one value per row.
    Utf8(Utf8Values),
    /// Text by reference; also the form of JSON columns.
    Dictionary(DictionaryValues),
}

impl Values {
    /// What to call values of this form in a message.
    pub(crate) fn form(&self) -> &'static str {
        match self {
            Values::Boolean(_) => "boolean",
            Values::Int64(_) => "int64",
            Values::Float64(_) => "float64",
            Values::Timestamp(_) => "timestamp",
            Values::Utf8(_) => "utf8",
            Values::Dictionary(_) => "dictionary",
        }
    }
}

/// One column of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Which rows have a value; absent when all have.
    pub validity: Option<Bitmap>,
    /// One value per row. What stands at a null row does not matter.
    pub values: Values,
}

impl Column {
    /// A column without nulls.
    pub fn new(values: Values) -> Column {
        Column {
            validity: None,
            values,
        }
    }

    /// Whether a row has no value.
    pub fn is_null(&self, row: usize) -> bool {
        self.validity
            .as_ref()
            .is_some_and(|validity| !validity.get(row))
    }
}
