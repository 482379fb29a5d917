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
    Timestamp(CachingBuilder),
    Utf8(Utf8Builder),
    Dictionary(DictionaryBuilder),
}

/// Builds a column of timestamps, and keeps the one of the row before, which is
/// nearly always this row's too.
struct CachingBuilder {
    builder: TimestampBuilder,
    bytes: [u8; TIMESTAMP_BYTES_MAX],
    length: usize,
    microseconds: i64,
}

impl CachingBuilder {
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

/// A builder of one type of column.
trait TakesCells {
    /// Adds a row with a cell that is not empty.
    fn push_cell(&mut self, cell: &[u8]) -> Result<(), Box<Fault>>;

    /// Adds a row with what an empty cell means where it is no null.
    fn push_empty(&mut self) -> Result<(), Box<Fault>>;

    /// Adds a row without a value.
    fn push_null(&mut self);

    #[inline(always)]
    fn push_or_null(&mut self, cell: &[u8], empty_is_null: bool) -> Result<(), Box<Fault>> {
        match (cell.is_empty(), empty_is_null) {
            (false, _) => self.push_cell(cell),
            (true, false) => self.push_empty(),
            (true, true) => {
                self.push_null();
                Ok(())
            }
        }
    }
}

impl TakesCells for Float64Builder {
    #[inline(always)]
    fn push_cell(&mut self, cell: &[u8]) -> Result<(), Box<Fault>> {
        Float64Builder::push(self, values::float64(cell)?);
        Ok(())
    }

    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        Float64Builder::push(self, 0.0);
        Ok(())
    }

    fn push_null(&mut self) {
        Float64Builder::push_null(self);
    }
}

impl TakesCells for Int64Builder {
    #[inline(always)]
    fn push_cell(&mut self, cell: &[u8]) -> Result<(), Box<Fault>> {
        Int64Builder::push(self, values::int64(cell)?);
        Ok(())
    }

    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        Int64Builder::push(self, 0);
        Ok(())
    }

    fn push_null(&mut self) {
        Int64Builder::push_null(self);
    }
}

impl TakesCells for DictionaryBuilder {
    #[inline(always)]
    fn push_cell(&mut self, cell: &[u8]) -> Result<(), Box<Fault>> {
        self.push_bytes(cell, values::checked_text)?;
        Ok(())
    }

    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        DictionaryBuilder::push(self, "");
        Ok(())
    }

    fn push_null(&mut self) {
        DictionaryBuilder::push_null(self);
    }
}

impl TakesCells for Utf8Builder {
    #[inline(always)]
    fn push_cell(&mut self, cell: &[u8]) -> Result<(), Box<Fault>> {
        Utf8Builder::push(self, values::text(cell)?);
        Ok(())
    }

    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        Utf8Builder::push(self, "");
        Ok(())
    }

    fn push_null(&mut self) {
        Utf8Builder::push_null(self);
    }
}

impl TakesCells for BooleanBuilder {
    #[inline(always)]
    fn push_cell(&mut self, cell: &[u8]) -> Result<(), Box<Fault>> {
        BooleanBuilder::push(self, values::boolean(cell)?);
        Ok(())
    }

    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        Err(Fault::empty("a boolean"))
    }

    fn push_null(&mut self) {
        BooleanBuilder::push_null(self);
    }
}

impl TakesCells for CachingBuilder {
    #[inline(always)]
    fn push_cell(&mut self, cell: &[u8]) -> Result<(), Box<Fault>> {
        let microseconds = self.read(cell)?;
        self.builder.push(microseconds);
        Ok(())
    }

    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        Err(Fault::empty("a timestamp"))
    }

    fn push_null(&mut self) {
        self.builder.push_null();
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
            ColumnType::Timestamp => Values::Timestamp(CachingBuilder {
                builder: TimestampBuilder::with_capacity(capacity),
                bytes: [0; TIMESTAMP_BYTES_MAX],
                length: 0,
                microseconds: 0,
            }),
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
    pub(crate) fn push(&mut self, cell: &[u8]) -> Result<(), Box<Fault>> {
        self.push_all([cell].into_iter())
    }

    /// Adds a row for each cell, up to the first that does not fit.
    #[inline]
    pub(crate) fn push_all<'a>(
        &mut self,
        cells: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Box<Fault>> {
        // Chosen once, so that each loop below is one of its type.
        match &mut self.values {
            Values::Float64(builder) => push_all(builder, self.empty_is_null, cells),
            Values::Timestamp(builder) => push_all(builder, self.empty_is_null, cells),
            Values::Dictionary(builder) => push_all(builder, self.empty_is_null, cells),
            Values::Utf8(builder) => push_all(builder, self.empty_is_null, cells),
            Values::Int64(builder) => push_all(builder, self.empty_is_null, cells),
            Values::Boolean(builder) => push_all(builder, self.empty_is_null, cells),
        }
    }

    pub(crate) fn push_null(&mut self) {
        match &mut self.values {
            Values::Float64(builder) => builder.push_null(),
            Values::Int64(builder) => builder.push_null(),
            Values::Utf8(builder) => builder.push_null(),
            Values::Dictionary(builder) => builder.push_null(),
            Values::Timestamp(builder) => builder.push_null(),
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
            Values::Timestamp(caching) => caching.builder.truncate(rows),
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
            Values::Timestamp(caching) => caching.builder.finish(),
            Values::Boolean(builder) => builder.finish(),
        }
    }
}

#[inline]
fn push_all<'a>(
    builder: &mut impl TakesCells,
    empty_is_null: bool,
    cells: impl Iterator<Item = &'a [u8]>,
) -> Result<(), Box<Fault>> {
    for cell in cells {
        builder.push_or_null(cell, empty_is_null)?;
    }
    Ok(())
}
