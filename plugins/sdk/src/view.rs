//! Typed, null-aware ways to read a column.
//!
//! A view borrows the buffers that crossed. Views of a type that the column does
//! not have cannot be made: the host keeps to the contract that the stage
//! declared, so asking for another type is a mistake in the stage and panics.

use std::str;

use crate::{Bitmap, Column, Utf8Values, Values};

/// Whether a row has a value.
fn has_value(validity: Option<&Bitmap>, row: usize) -> bool {
    validity.is_none_or(|validity| validity.get(row))
}

/// A column of `float64`, `int64` or `timestamp` values.
#[derive(Clone, Copy, Debug)]
pub struct PrimitiveView<'a, T> {
    values: &'a [T],
    validity: Option<&'a Bitmap>,
}

impl<'a, T: Copy> PrimitiveView<'a, T> {
    /// The value of a row, or `None` when it is null.
    pub fn get(&self, row: usize) -> Option<T> {
        has_value(self.validity, row).then(|| self.values[row])
    }

    /// Every row's value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<T>> + use<'a, T> {
        let view = *self;
        (0..view.values.len()).map(move |row| view.get(row))
    }

    /// Every row's value, and `default` for those that are null.
    pub fn iter_or(&self, default: T) -> impl ExactSizeIterator<Item = T> + use<'a, T> {
        self.iter().map(move |value| value.unwrap_or(default))
    }

    /// The bare values; what stands at a null row is arbitrary.
    pub fn values(&self) -> &'a [T] {
        self.values
    }

    /// Whether any row may be null. Without nulls, `values` is all there is.
    pub fn has_nulls(&self) -> bool {
        self.validity.is_some()
    }
}

/// A column of booleans.
#[derive(Clone, Copy, Debug)]
pub struct BooleanView<'a> {
    values: &'a Bitmap,
    validity: Option<&'a Bitmap>,
    rows: usize,
}

impl<'a> BooleanView<'a> {
    /// The value of a row, or `None` when it is null.
    pub fn get(&self, row: usize) -> Option<bool> {
        has_value(self.validity, row).then(|| self.values.get(row))
    }

    /// Every row's value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<bool>> + use<'a> {
        let view = *self;
        (0..view.rows).map(move |row| view.get(row))
    }
}

/// A column of text, one value per row; also the distinct values of a dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Utf8View<'a> {
    offsets: &'a [u32],
    data: &'a str,
    validity: Option<&'a Bitmap>,
}

impl<'a> Utf8View<'a> {
    fn new(values: &'a Utf8Values, validity: Option<&'a Bitmap>) -> Utf8View<'a> {
        // Checked once for the buffer, so that each value is only a slice of it.
        let data = str::from_utf8(&values.data).expect("the host passes text as UTF-8");
        Utf8View {
            offsets: &values.offsets,
            data,
            validity,
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of all values together.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// The value of a row, or `None` when it is null.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        has_value(self.validity, row).then(|| self.value(row))
    }

    /// The text at a row, null or not.
    pub fn value(&self, row: usize) -> &'a str {
        &self.data[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// Every row's value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&'a str>> + use<'a> {
        let view = *self;
        (0..view.len()).map(move |row| view.get(row))
    }
}

/// A column of text by reference.
#[derive(Clone, Copy, Debug)]
pub struct DictionaryView<'a> {
    keys: &'a [u32],
    values: Utf8View<'a>,
    validity: Option<&'a Bitmap>,
}

impl<'a> DictionaryView<'a> {
    /// The distinct values. Work done once for each of them is done once per
    /// batch, however many rows there are.
    pub fn values(&self) -> Utf8View<'a> {
        self.values
    }

    /// The key of a row, or `None` when it is null.
    pub fn key(&self, row: usize) -> Option<usize> {
        has_value(self.validity, row).then(|| self.keys[row] as usize)
    }

    /// Every row's key.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = Option<usize>> + use<'a> {
        let view = *self;
        (0..view.keys.len()).map(move |row| view.key(row))
    }

    /// The value of a row, or `None` when it is null.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        self.key(row).map(|key| self.values.value(key))
    }

    /// Every row's value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&'a str>> + use<'a> {
        let view = *self;
        (0..view.keys.len()).map(move |row| view.get(row))
    }
}

impl Column {
    /// Reads it as numbers of double precision.
    ///
    /// # Panics
    ///
    /// Like its sisters below: when the column has another type.
    pub fn as_float64(&self) -> PrimitiveView<'_, f64> {
        match &self.values {
            Values::Float64(values) => PrimitiveView {
                values,
                validity: self.validity.as_ref(),
            },
            other => wrong_type("float64", other),
        }
    }

    /// Reads it as whole numbers.
    pub fn as_int64(&self) -> PrimitiveView<'_, i64> {
        match &self.values {
            Values::Int64(values) => PrimitiveView {
                values,
                validity: self.validity.as_ref(),
            },
            other => wrong_type("int64", other),
        }
    }

    /// Reads it as microseconds since 1970-01-01 00:00:00 UTC.
    pub fn as_timestamp(&self) -> PrimitiveView<'_, i64> {
        match &self.values {
            Values::Timestamp(values) => PrimitiveView {
                values,
                validity: self.validity.as_ref(),
            },
            other => wrong_type("timestamp", other),
        }
    }

    /// Reads it as `rows` booleans.
    pub fn as_boolean(&self, rows: usize) -> BooleanView<'_> {
        match &self.values {
            Values::Boolean(values) => BooleanView {
                values,
                validity: self.validity.as_ref(),
                rows,
            },
            other => wrong_type("boolean", other),
        }
    }

    /// Reads it as text, one value per row.
    pub fn as_utf8(&self) -> Utf8View<'_> {
        match &self.values {
            Values::Utf8(values) => Utf8View::new(values, self.validity.as_ref()),
            other => wrong_type("utf8", other),
        }
    }

    /// Reads it as text by reference.
    pub fn as_dictionary(&self) -> DictionaryView<'_> {
        match &self.values {
            Values::Dictionary(dictionary) => DictionaryView {
                keys: &dictionary.keys,
                values: Utf8View::new(&dictionary.values, None),
                validity: self.validity.as_ref(),
            },
            other => wrong_type("dictionary", other),
        }
    }
}

/// The stage asked for a type that its contract does not name.
fn wrong_type(wanted: &str, found: &Values) -> ! {
    panic!(
        "a column was read as {wanted}, but its values are {}",
        found.form()
    )
}

#[cfg(test)]
mod tests {
    use crate::{BooleanBuilder, DictionaryBuilder, Float64Builder, Utf8Builder};

    #[test]
    fn nulls_are_none() {
        let mut builder = Float64Builder::default();
        builder.push(1.5);
        builder.push_null();
        let column = builder.finish();
        let view = column.as_float64();
        assert_eq!(view.iter().collect::<Vec<_>>(), [Some(1.5), None]);
        assert_eq!(view.iter_or(0.0).collect::<Vec<_>>(), [1.5, 0.0]);
    }

    #[test]
    fn booleans_and_text_are_null_aware() {
        let mut builder = BooleanBuilder::default();
        builder.push(true);
        builder.push_null();
        let column = builder.finish();
        assert_eq!(
            column.as_boolean(2).iter().collect::<Vec<_>>(),
            [Some(true), None]
        );

        let mut builder = Utf8Builder::default();
        builder.push("é");
        builder.push_null();
        builder.push("");
        let column = builder.finish();
        assert_eq!(
            column.as_utf8().iter().collect::<Vec<_>>(),
            [Some("é"), None, Some("")]
        );
    }

    #[test]
    fn a_dictionary_reads_as_its_rows() {
        let mut builder = DictionaryBuilder::default();
        builder.push("a");
        builder.push("b");
        builder.push("a");
        builder.push_null();
        let column = builder.finish();
        let view = column.as_dictionary();
        assert_eq!(view.values().len(), 2);
        assert_eq!(
            view.iter().collect::<Vec<_>>(),
            [Some("a"), Some("b"), Some("a"), None]
        );
    }

    #[test]
    #[should_panic(expected = "a column was read as int64, but its values are float64")]
    fn another_type_is_a_mistake_of_the_stage() {
        Float64Builder::default().finish().as_int64();
    }
}
