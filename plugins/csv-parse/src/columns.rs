//! Builders that take cells as they stand in the file.

use gristmill_stage::{
    BooleanBuilder, Column, ColumnType, DictionaryBuilder, DictionarySize, Float64Builder,
    Int64Builder, TimestampBuilder, Utf8Builder, WantedColumn, same_bytes,
};

use crate::values::{self, Fault};

/// The longest form of a timestamp.
const TIMESTAMP_BYTES_MAX: usize = 29;

/// One wanted column of one batch.
pub(crate) struct ColumnBuilder {
    empty_is_null: bool,
    values: Values,
}

enum Values {
    Boolean(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Timestamp {
        builder: TimestampBuilder,
        last: LastTimestamp,
    },
    Utf8(Utf8Builder),
    Dictionary(DictionaryBuilder),
}

/// The timestamp of the row before, which is nearly always this row's too.
#[derive(Default)]
struct LastTimestamp {
    bytes: [u8; TIMESTAMP_BYTES_MAX],
    length: usize,
    microseconds: i64,
}

impl LastTimestamp {
    #[inline]
    fn read(&mut self, cell: &[u8]) -> Result<i64, Box<Fault>> {
        if same_bytes(cell, &self.bytes[..self.length]) && !cell.is_empty() {
            return Ok(self.microseconds);
        }
        let microseconds = values::timestamp(cell)?;
        self.bytes[..cell.len()].copy_from_slice(cell);
        self.length = cell.len();
        self.microseconds = microseconds;
        Ok(microseconds)
    }
}

impl ColumnBuilder {
    /// An empty one with room for so many rows and, if it is a dictionary, values.
    pub(crate) fn new(
        wanted: &WantedColumn,
        capacity: usize,
        dictionary: DictionarySize,
    ) -> ColumnBuilder {
        let values = match wanted.column_type {
            ColumnType::Boolean => Values::Boolean(BooleanBuilder::default()),
            ColumnType::Int64 => Values::Int64(Int64Builder::with_capacity(capacity)),
            ColumnType::Float64 => Values::Float64(Float64Builder::with_capacity(capacity)),
            ColumnType::Timestamp => Values::Timestamp {
                builder: TimestampBuilder::with_capacity(capacity),
                last: LastTimestamp::default(),
            },
            ColumnType::Utf8 => Values::Utf8(Utf8Builder::default()),
            // The contract rules JSON out; text is the nearest thing.
            ColumnType::Dictionary | ColumnType::Json => {
                Values::Dictionary(DictionaryBuilder::with_capacities(capacity, dictionary))
            }
        };
        ColumnBuilder {
            empty_is_null: wanted.empty_is_null,
            values,
        }
    }

    /// Adds a row.
    #[inline]
    pub(crate) fn push(&mut self, cell: &[u8]) -> Result<(), Box<Fault>> {
        if cell.is_empty() {
            return self.push_empty();
        }
        match &mut self.values {
            Values::Float64(builder) => builder.push(values::float64(cell)?),
            Values::Timestamp { builder, last } => builder.push(last.read(cell)?),
            Values::Dictionary(builder) => builder.push_bytes(cell, values::checked_text)?,
            Values::Utf8(builder) => builder.push(values::text(cell)?),
            Values::Int64(builder) => builder.push(values::int64(cell)?),
            Values::Boolean(builder) => builder.push(values::boolean(cell)?),
        }
        Ok(())
    }

    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        if self.empty_is_null {
            self.push_null();
            return Ok(());
        }
        match &mut self.values {
            Values::Float64(builder) => builder.push(0.0),
            Values::Int64(builder) => builder.push(0),
            Values::Utf8(builder) => builder.push(""),
            Values::Dictionary(builder) => builder.push(""),
            Values::Timestamp { .. } => return Err(Fault::empty("a timestamp")),
            Values::Boolean(_) => return Err(Fault::empty("a boolean")),
        }
        Ok(())
    }

    pub(crate) fn push_null(&mut self) {
        match &mut self.values {
            Values::Float64(builder) => builder.push_null(),
            Values::Int64(builder) => builder.push_null(),
            Values::Utf8(builder) => builder.push_null(),
            Values::Dictionary(builder) => builder.push_null(),
            Values::Timestamp { builder, .. } => builder.push_null(),
            Values::Boolean(builder) => builder.push_null(),
        }
    }

    /// Takes back the rows from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Float64(builder) => builder.truncate(rows),
            Values::Int64(builder) => builder.truncate(rows),
            Values::Utf8(builder) => builder.truncate(rows),
            Values::Dictionary(builder) => builder.truncate(rows),
            Values::Timestamp { builder, .. } => builder.truncate(rows),
            Values::Boolean(builder) => builder.truncate(rows),
        }
    }

    /// How much the distinct values of a dictionary take.
    pub(crate) fn dictionary_size(&self) -> DictionarySize {
        match &self.values {
            Values::Dictionary(builder) => builder.size(),
            _ => DictionarySize::default(),
        }
    }

    pub(crate) fn finish(self) -> Column {
        match self.values {
            Values::Float64(builder) => builder.finish(),
            Values::Int64(builder) => builder.finish(),
            Values::Utf8(builder) => builder.finish(),
            Values::Dictionary(builder) => builder.finish(),
            Values::Timestamp { builder, .. } => builder.finish(),
            Values::Boolean(builder) => builder.finish(),
        }
    }
}
