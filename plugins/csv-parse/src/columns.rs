//! Builders that take cells as they stand in the file.

use gristmill_stage::{
    BooleanBuilder, Column, ColumnType, DictionaryBuilder, DictionarySize, Float64Builder,
    Int64Builder, TimestampBuilder, Utf8Builder, WantedColumn, same_bytes,
};

use crate::values::{self, Fault};

/// How many values are added together.
const TOGETHER: usize = 64;

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
    #[inline(never)]
    fn read_another(&mut self, cell: &[u8]) -> Result<i64, Box<Fault>> {
        let microseconds = values::timestamp(cell)?;
        self.bytes[..cell.len()].copy_from_slice(cell);
        self.length = cell.len();
        self.microseconds = microseconds;
        Ok(microseconds)
    }
}

/// A builder of one type of column.
trait TakesCells {
    /// Adds a row with what an empty cell means where it is no null.
    fn push_empty(&mut self) -> Result<(), Box<Fault>>;

    /// Adds a row without a value.
    fn push_null(&mut self);

    #[inline]
    fn push_empty_or_null(&mut self, empty_is_null: bool) -> Result<(), Box<Fault>> {
        match empty_is_null {
            false => self.push_empty(),
            true => {
                self.push_null();
                Ok(())
            }
        }
    }
}

/// One whose rows are added one by one.
trait TakesEach: TakesCells {
    /// Adds a row with a cell that is not empty.
    fn push_cell(&mut self, cell: &[u8]) -> Result<(), Box<Fault>>;
}

/// One whose values have a fixed size, so that many are read before they are added.
trait TakesTogether: TakesCells {
    type Value: Copy + Default;

    /// What a cell that is not empty holds.
    fn read(&mut self, cell: &[u8]) -> Result<Self::Value, Box<Fault>>;

    /// Adds a row for each value.
    fn push_values(&mut self, values: &[Self::Value]);
}

impl TakesCells for Float64Builder {
    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        Float64Builder::push(self, 0.0);
        Ok(())
    }

    fn push_null(&mut self) {
        Float64Builder::push_null(self);
    }
}

impl TakesTogether for Float64Builder {
    type Value = f64;

    #[inline(always)]
    fn read(&mut self, cell: &[u8]) -> Result<f64, Box<Fault>> {
        values::float64(cell)
    }

    #[inline]
    fn push_values(&mut self, values: &[f64]) {
        self.push_all(values);
    }
}

impl TakesCells for Int64Builder {
    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        Int64Builder::push(self, 0);
        Ok(())
    }

    fn push_null(&mut self) {
        Int64Builder::push_null(self);
    }
}

impl TakesTogether for Int64Builder {
    type Value = i64;

    #[inline]
    fn read(&mut self, cell: &[u8]) -> Result<i64, Box<Fault>> {
        values::int64(cell)
    }

    #[inline]
    fn push_values(&mut self, values: &[i64]) {
        self.push_all(values);
    }
}

impl TakesCells for DictionaryBuilder {
    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        DictionaryBuilder::push(self, "");
        Ok(())
    }

    fn push_null(&mut self) {
        DictionaryBuilder::push_null(self);
    }
}

impl TakesTogether for DictionaryBuilder {
    type Value = u32;

    #[inline(always)]
    fn read(&mut self, cell: &[u8]) -> Result<u32, Box<Fault>> {
        self.intern_bytes(cell, values::checked_text)
    }

    #[inline]
    fn push_values(&mut self, keys: &[u32]) {
        self.push_keys(keys);
    }
}

impl TakesCells for CachingBuilder {
    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        Err(Fault::empty("a timestamp"))
    }

    fn push_null(&mut self) {
        self.builder.push_null();
    }
}

impl TakesTogether for CachingBuilder {
    type Value = i64;

    #[inline(always)]
    fn read(&mut self, cell: &[u8]) -> Result<i64, Box<Fault>> {
        match same_bytes(cell, &self.bytes[..self.length]) {
            true => Ok(self.microseconds),
            false => self.read_another(cell),
        }
    }

    #[inline]
    fn push_values(&mut self, values: &[i64]) {
        self.builder.push_all(values);
    }
}

impl TakesCells for Utf8Builder {
    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        Utf8Builder::push(self, "");
        Ok(())
    }

    fn push_null(&mut self) {
        Utf8Builder::push_null(self);
    }
}

impl TakesEach for Utf8Builder {
    #[inline]
    fn push_cell(&mut self, cell: &[u8]) -> Result<(), Box<Fault>> {
        Utf8Builder::push(self, values::text(cell)?);
        Ok(())
    }
}

impl TakesCells for BooleanBuilder {
    fn push_empty(&mut self) -> Result<(), Box<Fault>> {
        Err(Fault::empty("a boolean"))
    }

    fn push_null(&mut self) {
        BooleanBuilder::push_null(self);
    }
}

impl TakesEach for BooleanBuilder {
    #[inline]
    fn push_cell(&mut self, cell: &[u8]) -> Result<(), Box<Fault>> {
        BooleanBuilder::push(self, values::boolean(cell)?);
        Ok(())
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

    /// Adds a row for each cell; where one does not fit, for some of those before it.
    #[inline]
    pub(crate) fn push_all<'a>(
        &mut self,
        cells: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Box<Fault>> {
        // Chosen once, so that each loop below is one of its type.
        match &mut self.values {
            Values::Float64(builder) => push_together(builder, self.empty_is_null, cells),
            Values::Timestamp(builder) => push_together(builder, self.empty_is_null, cells),
            Values::Dictionary(builder) => push_together(builder, self.empty_is_null, cells),
            Values::Int64(builder) => push_together(builder, self.empty_is_null, cells),
            Values::Utf8(builder) => push_each(builder, self.empty_is_null, cells),
            Values::Boolean(builder) => push_each(builder, self.empty_is_null, cells),
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
fn push_each<'a>(
    builder: &mut impl TakesEach,
    empty_is_null: bool,
    cells: impl Iterator<Item = &'a [u8]>,
) -> Result<(), Box<Fault>> {
    for cell in cells {
        match cell.is_empty() {
            true => builder.push_empty_or_null(empty_is_null)?,
            false => builder.push_cell(cell)?,
        }
    }
    Ok(())
}

#[inline]
fn push_together<'a, B: TakesTogether>(
    builder: &mut B,
    empty_is_null: bool,
    cells: impl Iterator<Item = &'a [u8]>,
) -> Result<(), Box<Fault>> {
    let mut values = [B::Value::default(); TOGETHER];
    let mut count = 0;
    for cell in cells {
        if cell.is_empty() || count == TOGETHER {
            builder.push_values(&values[..count]);
            count = 0;
        }
        if cell.is_empty() {
            builder.push_empty_or_null(empty_is_null)?;
            continue;
        }
        values[count] = builder.read(cell)?;
        count += 1;
    }
    builder.push_values(&values[..count]);
    Ok(())
}
