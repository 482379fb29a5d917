//! Computes the size of a batch in the host when the text of each row is written out,
//! before anything is. One text of a megabyte for all rows is a megabyte as it comes out
//! of a stage, and gigabytes for a reader that wants it row by row: a stage that reads
//! `utf8`, the table, a case file.

use arrow_array::{Array as _, ArrayRef, StringArray};

use super::StageError;
use super::limits::ROW_BYTES;
use crate::rows::batch::{Batch, RejectedRow, Values};

/// Rows and columns that are about to be a batch, or a part of one.
pub(super) struct Weight<'a> {
    rows: u64,
    columns: Vec<Column<'a>>,
    /// The part that is known already.
    bytes: u64,
}

struct Column<'a> {
    values: Values<'a>,
    /// The rows that it will have; its own when there is nothing here.
    rows: Option<&'a [u32]>,
}

impl<'a> Weight<'a> {
    pub(super) fn of_rows(rows: usize) -> Self {
        Self {
            rows: rows as u64,
            columns: Vec::new(),
            bytes: (rows as u64).saturating_mul(ROW_BYTES),
        }
    }

    /// A column as it is.
    pub(super) fn column(&mut self, array: &'a ArrayRef) {
        self.add(array, None);
    }

    /// A column of which these rows will be taken; all of them are in range.
    pub(super) fn rows_of(&mut self, array: &'a ArrayRef, rows: &'a [u32]) {
        self.add(array, Some(rows));
    }

    fn add(&mut self, array: &'a ArrayRef, rows: Option<&'a [u32]>) {
        // `crossing` has made it, so it is of a kind that there is.
        if let Some(values) = Values::of(array) {
            self.columns.push(Column { values, rows });
        }
    }

    /// Bytes of something else that comes with it.
    pub(super) fn bytes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// # Errors
    /// It is more than a batch may be.
    pub(super) fn within(&self, bytes_max: u64) -> Result<(), StageError> {
        // Nearly all batches are seen to fit without a look at each row.
        let at_most = self.columns.iter().fold(self.bytes, |sum, column| {
            let of_column = self.rows.saturating_mul(column.widest());
            sum.saturating_add(of_column)
        });
        if at_most <= bytes_max || self.exactly() <= bytes_max {
            return Ok(());
        }
        Err(too_large(bytes_max))
    }

    fn exactly(&self) -> u64 {
        let columns = self.columns.iter().map(Column::bytes);
        columns.fold(self.bytes, u64::saturating_add)
    }
}

impl Column<'_> {
    /// The most that one of its rows takes.
    fn widest(&self) -> u64 {
        match self.values {
            Values::Boolean(_) => 1,
            Values::Int64(_) | Values::Float64(_) | Values::Timestamp(_) => 8,
            Values::Utf8(texts) | Values::Dictionary(_, texts) => {
                let lengths = texts.value_offsets().windows(2);
                let longest = lengths.map(|ends| ends[1] - ends[0]).max();
                4 + longest.unwrap_or_default() as u64
            }
        }
    }

    fn bytes(&self) -> u64 {
        let row_bytes = |row: usize| {
            let text = match self.values {
                Values::Utf8(texts) => length_of(texts, row),
                Values::Dictionary(keys, texts) => {
                    keys.key(row).map_or(0, |key| length_of(texts, key))
                }
                Values::Boolean(_) => return 1,
                Values::Int64(_) | Values::Float64(_) | Values::Timestamp(_) => return 8,
            };
            4 + text
        };
        match self.rows {
            Some(rows) => rows.iter().map(|row| row_bytes(*row as usize)).sum(),
            None => (0..self.values.rows()).map(row_bytes).sum(),
        }
    }
}

fn length_of(texts: &StringArray, index: usize) -> u64 {
    // A dictionary of nulls alone may have no value that a key could mean.
    let is_there = index < texts.len();
    match is_there {
        true => texts.value_length(index) as u64,
        false => 0,
    }
}

/// The memory of a batch with the texts of each row written out.
pub fn written_out_bytes(batch: &Batch) -> u64 {
    let mut weight = Weight::of_rows(batch.rows);
    batch
        .columns
        .iter()
        .for_each(|column| weight.column(column));
    weight.exactly()
}

/// The memory of rejected rows.
pub fn rejected_bytes(rejects: &[RejectedRow]) -> u64 {
    let of_row = |row: &RejectedRow| {
        let column = row.column.as_ref().map_or(0, String::len);
        ROW_BYTES + (column + row.code.len() + row.message.len() + row.raw.len()) as u64
    };
    rejects.iter().map(of_row).sum()
}

/// More came of a batch than a batch may be.
pub fn too_large(bytes_max: u64) -> StageError {
    StageError::malformed(format!(
        "rows of more than {bytes_max} bytes for one batch, with their texts written out \
        (`batch-memory`)"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, UInt32Array};

    use super::*;
    use crate::rows::batch::TextDictionary;

    fn dictionary(texts: &[&str], keys: &[Option<u32>]) -> ArrayRef {
        let keys = UInt32Array::from(keys.to_vec());
        let values = Arc::new(StringArray::from(texts.to_vec()));
        Arc::new(TextDictionary::try_new(keys, values).unwrap())
    }

    fn bytes(columns: &[&ArrayRef], rows: usize) -> u64 {
        let mut weight = Weight::of_rows(rows);
        columns.iter().for_each(|column| weight.column(column));
        let bytes = weight.exactly();
        // It is exact where the widest row says too little.
        assert!(weight.within(bytes).is_ok());
        assert!(weight.within(bytes - 1).is_err());
        bytes - rows as u64 * ROW_BYTES
    }

    #[test]
    fn a_text_counts_for_each_row_that_has_it() {
        let long = "x".repeat(1_000);
        let texts = dictionary(&["a", &long], &[Some(1), Some(0), None, Some(1)]);
        assert_eq!(bytes(&[&texts], 4), 4 * 4 + 2 * 1_000 + 1);
        let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), None]));
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
        assert_eq!(bytes(&[&plain, &numbers], 2), 2 * 4 + 2 + 2 * 8);
    }

    #[test]
    fn rows_that_are_taken_again_count_again() {
        let texts = dictionary(&["abc", "d"], &[Some(0), Some(1)]);
        let rows = [0, 0, 0, 1];
        let mut weight = Weight::of_rows(rows.len());
        weight.rows_of(&texts, &rows);
        weight.bytes(5);
        assert_eq!(weight.exactly(), 4 * ROW_BYTES + 4 * 4 + 3 * 3 + 1 + 5);
    }

    #[test]
    fn what_is_too_large_names_key_and_limit() {
        let words = Weight::of_rows(usize::MAX)
            .within(7)
            .unwrap_err()
            .to_string();
        assert!(words.contains("more than 7 bytes"), "{words}");
        assert!(words.contains("(`batch-memory`)"), "{words}");
    }
}
