//! Builders of output columns.
//!
//! Each takes one value per row, or a null, and ends as a [`Column`]. Rows can be
//! taken back, which a parser needs when it finds in a later column that a record
//! cannot be used. The builder of dictionaries is in `dictionary`.

use std::marker::PhantomData;

use crate::{Bitmap, Column, Utf8Values, Values};

/// Which rows have a value. No bitmap exists until the first null.
#[derive(Clone, Debug, Default)]
pub(crate) struct Validity {
    bitmap: Option<Bitmap>,
}

impl Validity {
    /// Says of row `row`, the next one, whether it has a value.
    #[inline]
    pub(crate) fn push(&mut self, row: usize, has_value: bool) {
        match &mut self.bitmap {
            Some(bitmap) => bitmap.set(row, has_value),
            None if has_value => {}
            None => {
                let mut bitmap = Bitmap::filled(row, true);
                bitmap.set(row, false);
                self.bitmap = Some(bitmap);
            }
        }
    }

    /// Says of `count` rows from `row` on, the next one, that they have values.
    #[inline]
    pub(crate) fn push_values(&mut self, row: usize, count: usize) {
        if self.bitmap.is_some() {
            (row..row + count).for_each(|row| self.push(row, true));
        }
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        if let Some(bitmap) = &mut self.bitmap {
            bitmap.truncate(rows);
        }
    }

    pub(crate) fn finish(self) -> Option<Bitmap> {
        self.bitmap
    }
}

/// What kind of column a [`PrimitiveBuilder`] ends as.
pub trait Primitive {
    /// The type of one value.
    type Value: Copy + Default;

    /// The values as those of a column.
    fn values(values: Vec<Self::Value>) -> Values;
}

/// Marks builders of `float64` columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Float64;

/// Marks builders of `int64` columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Int64;

/// Marks builders of `timestamp` columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timestamp;

impl Primitive for Float64 {
    type Value = f64;

    fn values(values: Vec<f64>) -> Values {
        Values::Float64(values)
    }
}

impl Primitive for Int64 {
    type Value = i64;

    fn values(values: Vec<i64>) -> Values {
        Values::Int64(values)
    }
}

impl Primitive for Timestamp {
    type Value = i64;

    fn values(values: Vec<i64>) -> Values {
        Values::Timestamp(values)
    }
}

/// Builds a column of numbers.
pub type Float64Builder = PrimitiveBuilder<Float64>;
/// Builds a column of whole numbers.
pub type Int64Builder = PrimitiveBuilder<Int64>;
/// Builds a column of instants, in microseconds since 1970-01-01 00:00:00 UTC.
pub type TimestampBuilder = PrimitiveBuilder<Timestamp>;

/// Builds a column whose values have a fixed size.
#[derive(Clone, Debug)]
pub struct PrimitiveBuilder<K: Primitive> {
    values: Vec<K::Value>,
    validity: Validity,
    kind: PhantomData<K>,
}

impl<K: Primitive> Default for PrimitiveBuilder<K> {
    fn default() -> PrimitiveBuilder<K> {
        PrimitiveBuilder::with_capacity(0)
    }
}

impl<K: Primitive> PrimitiveBuilder<K> {
    /// An empty one, with room for so many rows.
    pub fn with_capacity(rows: usize) -> PrimitiveBuilder<K> {
        PrimitiveBuilder {
            values: Vec::with_capacity(rows),
            validity: Validity::default(),
            kind: PhantomData,
        }
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: K::Value) {
        self.validity.push(self.values.len(), true);
        self.values.push(value);
    }

    /// Adds a row for each value.
    #[inline]
    pub fn push_all(&mut self, values: &[K::Value]) {
        self.validity.push_values(self.values.len(), values.len());
        self.values.extend_from_slice(values);
    }

    /// Adds a row without a value.
    pub fn push_null(&mut self) {
        self.validity.push(self.values.len(), false);
        self.values.push(K::Value::default());
    }

    /// Adds a row that may have no value.
    pub fn push_option(&mut self, value: Option<K::Value>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }

    /// Takes back the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.validity.truncate(rows);
    }

    /// The column.
    pub fn finish(self) -> Column {
        Column {
            validity: self.validity.finish(),
            values: K::values(self.values),
        }
    }
}

/// Builds a column of booleans.
#[derive(Clone, Debug, Default)]
pub struct BooleanBuilder {
    values: Bitmap,
    rows: usize,
    validity: Validity,
}

impl BooleanBuilder {
    /// Adds a row.
    pub fn push(&mut self, value: bool) {
        self.push_row(value, true);
    }

    /// Adds a row without a value.
    pub fn push_null(&mut self) {
        self.push_row(false, false);
    }

    fn push_row(&mut self, value: bool, has_value: bool) {
        self.values.set(self.rows, value);
        self.validity.push(self.rows, has_value);
        self.rows += 1;
    }

    /// Takes back the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        self.values.truncate(self.rows);
        self.validity.truncate(self.rows);
    }

    /// The column.
    pub fn finish(self) -> Column {
        Column {
            validity: self.validity.finish(),
            values: Values::Boolean(self.values),
        }
    }
}

/// Builds a column of text, one value per row.
#[derive(Clone, Debug, Default)]
pub struct Utf8Builder {
    values: Utf8Values,
    validity: Validity,
}

impl Utf8Builder {
    /// Adds a row.
    pub fn push(&mut self, value: &str) {
        self.validity.push(self.values.len(), true);
        self.values.push_bytes(value.as_bytes());
    }

    /// Adds a row without a value.
    pub fn push_null(&mut self) {
        self.validity.push(self.values.len(), false);
        self.values.push_bytes(b"");
    }

    /// Takes back the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.validity.truncate(rows);
    }

    /// The column.
    pub fn finish(self) -> Column {
        Column {
            validity: self.validity.finish(),
            values: Values::Utf8(self.values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BooleanBuilder, Float64Builder, Utf8Builder};
    use crate::{Bitmap, Column, Utf8Values, Values};

    #[test]
    fn no_bitmap_without_a_null() {
        let mut builder = Float64Builder::with_capacity(1);
        builder.push(1.0);
        assert_eq!(builder.finish(), Column::new(Values::Float64(vec![1.0])));
    }

    #[test]
    fn rows_can_be_added_together() {
        let mut builder = Float64Builder::default();
        builder.push_all(&[1.0, 2.0]);
        builder.push_null();
        builder.push_all(&[3.0, 4.0]);
        let column = builder.finish();
        let values: Vec<Option<f64>> = column.as_float64().iter().collect();
        assert_eq!(values, [Some(1.0), Some(2.0), None, Some(3.0), Some(4.0)]);
    }

    #[test]
    fn rows_can_be_taken_back() {
        let mut builder = Float64Builder::default();
        builder.push(1.0);
        builder.push_null();
        builder.push(2.0);
        builder.truncate(1);
        builder.push(3.0);
        let column = builder.finish();
        assert_eq!(column.values, Values::Float64(vec![1.0, 3.0]));
        assert_eq!(column.validity, Some(Bitmap::filled(2, true)));

        let mut builder = Utf8Builder::default();
        builder.push("one");
        builder.push("two");
        builder.truncate(1);
        builder.push("2");
        let expected = Utf8Values {
            offsets: vec![0, 3, 4],
            data: b"one2".to_vec(),
        };
        assert_eq!(builder.finish().values, Values::Utf8(expected));

        let mut builder = BooleanBuilder::default();
        builder.push(true);
        builder.push(true);
        builder.truncate(1);
        builder.push(false);
        assert_eq!(
            builder.finish().values,
            Values::Boolean(Bitmap::from_bytes(vec![1]))
        );
    }
}
