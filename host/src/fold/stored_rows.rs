//! Rows as a staging table would hold them: the input of a fold.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::declaration::{FoldColumn, FoldColumnKind};
use super::{DAY_MICROSECONDS, day_of};
use crate::rows::batch::TextDictionary;

/// The columns of the time of each row, in a record batch.
pub const INTERVAL_COLUMN: &str = "interval_start_us";
pub const DAY_COLUMN: &str = "usage_day";

/// Some rows of one staging table.
#[derive(Debug)]
pub struct StoredRows<'b> {
    /// Microseconds since the epoch, by row.
    pub interval_starts: &'b [i64],
    /// By the fold's columns; `None` where the batch has none: all null.
    pub columns: Vec<Option<StoredColumn<'b>>>,
}

/// A column of some rows.
#[derive(Debug)]
pub struct StoredColumn<'b> {
    pub nulls: Option<&'b NullBuffer>,
    pub values: StoredValues<'b>,
}

/// The values of a column.
#[derive(Debug)]
pub enum StoredValues<'b> {
    /// By row.
    Int64(Vec<i64>),
    /// By row a key, and the value of each key.
    KeyedInt64(&'b [u32], Vec<i64>),
    /// By row.
    Text(&'b StringArray),
    /// By row a key, and the text of each key.
    KeyedText(&'b TextDictionary, &'b StringArray),
}

impl StoredColumn<'_> {
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    fn array(&self, rows: usize) -> ArrayRef {
        match &self.values {
            StoredValues::Int64(values) => {
                Arc::new(Int64Array::new(values.clone().into(), self.nulls.cloned()))
            }
            StoredValues::KeyedInt64(keys, values) => {
                let value = |row: usize| (!self.is_null(row)).then(|| values[keys[row] as usize]);
                Arc::new((0..rows).map(value).collect::<Int64Array>())
            }
            StoredValues::Text(texts) => Arc::new((*texts).clone()),
            StoredValues::KeyedText(keyed, _) => Arc::new((*keyed).clone()),
        }
    }
}

impl StoredRows<'_> {
    /// The rows as Arrow has them: [`INTERVAL_COLUMN`] (Int64), [`DAY_COLUMN`] (Date32),
    /// then the fold's columns, which these are, by name.
    ///
    /// # Errors
    /// A column has another length than the others.
    pub fn record_batch(&self, declared: &[FoldColumn]) -> Result<RecordBatch, ArrowError> {
        let rows = self.interval_starts.len();
        let day = |start: &i64| (day_of(*start) / DAY_MICROSECONDS) as i32;
        let mut fields = vec![
            Field::new(INTERVAL_COLUMN, DataType::Int64, false),
            Field::new(DAY_COLUMN, DataType::Date32, false),
        ];
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(self.interval_starts.to_vec())),
            Arc::new(Date32Array::from_iter_values(
                self.interval_starts.iter().map(day),
            )),
        ];
        for (column, known) in self.columns.iter().zip(declared) {
            let array: ArrayRef = match (column, known.kind) {
                (Some(column), _) => column.array(rows),
                (None, FoldColumnKind::Int64) => Arc::new(Int64Array::new_null(rows)),
                (None, FoldColumnKind::Text) => Arc::new(StringArray::new_null(rows)),
            };
            fields.push(Field::new(known.name, array.data_type().clone(), true));
            arrays.push(array);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }
}
