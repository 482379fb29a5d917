//! Batches: columns as Arrow arrays, and for every row its place in the report file.
//!
//! A batch trusts its arrays; `stage::crossing` checks the columns that a stage returns
//! before it makes a batch of them.

use std::sync::Arc;

use arrow_array::types::UInt32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use arrow_select::dictionary::garbage_collect_dictionary;
use bytes::Bytes;

use crate::rows::column::{ColumnType, Field, Schema};

/// Text that repeats: a key per row, every distinct value once.
pub type TextDictionary = DictionaryArray<UInt32Type>;

/// Some rows.
#[derive(Clone, Debug)]
pub struct Batch {
    pub schema: Arc<Schema>,
    /// One per field of the schema, each with `rows` values.
    pub columns: Vec<ArrayRef>,
    pub rows: usize,
    pub places: Places,
}

/// Where each row of a batch stands in its file. A clone shares everything: places
/// stay the same from stage to stage.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The line where the row's record begins, counted from 1.
    pub lines: ScalarBuffer<u64>,
    /// The offset of the record in the file, in bytes.
    pub starts: ScalarBuffer<u64>,
    /// The length of the record, in bytes.
    pub lengths: ScalarBuffer<u32>,
    /// The part of the file that holds the records.
    pub raw: Arc<Raw>,
}

/// A part of a report file: a chunk of it, and before that the beginning of the
/// record that ends in the chunk.
#[derive(Debug, Default)]
pub struct Raw {
    /// Where the head begins.
    pub start: u64,
    pub head: Vec<u8>,
    pub chunk: Bytes,
}

/// A row that a stage, or the load, could not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    pub line: Option<u64>,
    pub column: Option<String>,
    pub code: String,
    pub message: String,
    pub raw: Vec<u8>,
}

impl Raw {
    /// A record's bytes; what lies outside of this part is left out.
    pub fn record(&self, start: u64, length: u32) -> Vec<u8> {
        self.pieces(start, start.saturating_add(u64::from(length)))
            .concat()
    }

    /// The bytes from one place of the file to another, as far as they are here: what
    /// of them is in the head and what is in the chunk.
    pub fn pieces(&self, start: u64, end: u64) -> [&[u8]; 2] {
        let from = start.saturating_sub(self.start);
        let to = end.saturating_sub(self.start);
        let head = self.head.len() as u64;
        [
            part(&self.head, from, to),
            part(
                &self.chunk,
                from.saturating_sub(head),
                to.saturating_sub(head),
            ),
        ]
    }

    /// One byte of the file, if it is here.
    #[inline]
    pub fn byte(&self, at: u64) -> Option<u8> {
        let at = usize::try_from(at.checked_sub(self.start)?).ok()?;
        match at.checked_sub(self.head.len()) {
            Some(at) => self.chunk.get(at).copied(),
            None => self.head.get(at).copied(),
        }
    }

    /// Where it ends in the file.
    pub fn end(&self) -> u64 {
        self.start + (self.head.len() + self.chunk.len()) as u64
    }
}

/// The bytes from one place to another, as far as they are there.
fn part(bytes: &[u8], from: u64, to: u64) -> &[u8] {
    let end = bytes.len() as u64;
    &bytes[from.min(end) as usize..to.min(end) as usize]
}

impl Places {
    /// The place of one row, for the rejects.
    pub fn reject(
        &self,
        row: usize,
        column: Option<String>,
        code: String,
        message: String,
    ) -> RejectedRow {
        let raw = match (self.starts.get(row), self.lengths.get(row)) {
            (Some(start), Some(length)) => self.raw.record(*start, *length),
            _ => Vec::new(),
        };
        RejectedRow {
            line: self.lines.get(row).copied(),
            column,
            code,
            message,
            raw,
        }
    }

    fn take(&self, rows: &[u32]) -> Self {
        let pick = |row: &u32| *row as usize;
        let known = !self.lines.is_empty();
        let rows: &[u32] = if known { rows } else { &[] };
        Self {
            lines: rows.iter().map(|row| self.lines[pick(row)]).collect(),
            starts: rows.iter().map(|row| self.starts[pick(row)]).collect(),
            lengths: rows.iter().map(|row| self.lengths[pick(row)]).collect(),
            raw: Arc::clone(&self.raw),
        }
    }
}

impl Batch {
    pub fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.schema
            .position(name)
            .map(|position| &self.columns[position])
    }

    /// The rows named, in the order named; a row may be named more than once.
    ///
    /// # Errors
    /// A row is out of range.
    pub fn take(&self, rows: &[u32]) -> Result<Self, ArrowError> {
        let indices = UInt32Array::from(rows.to_vec());
        let columns = self
            .columns
            .iter()
            .map(|column| arrow_select::take::take(column, &indices, None))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            schema: Arc::clone(&self.schema),
            columns,
            rows: rows.len(),
            places: self.places.take(rows),
        })
    }

    /// Some rows in a row, and of dictionaries only what these rows name: a value of
    /// another row is none of their business.
    ///
    /// # Errors
    /// A row is out of range.
    pub fn part(&self, start: usize, rows: usize) -> Result<Self, ArrowError> {
        let rows: Vec<u32> = (start as u32..(start + rows) as u32).collect();
        self.take(&rows)?.compact()
    }

    /// The same rows, and of dictionaries only what they name.
    ///
    /// # Errors
    /// A dictionary has a key of no value.
    pub fn compact(mut self) -> Result<Self, ArrowError> {
        for column in &mut self.columns {
            if let Some(keys) = column.as_any().downcast_ref::<TextDictionary>() {
                let compact = garbage_collect_dictionary(keys)?;
                *column = Arc::new(compact);
            }
        }
        Ok(self)
    }

    /// Parts one after another; all of them of this schema.
    ///
    /// # Errors
    /// They are of different schemas.
    pub fn joined(schema: &Arc<Schema>, parts: &[Self]) -> Result<Self, ArrowError> {
        let mut columns = Vec::with_capacity(schema.fields.len());
        for (position, field) in schema.fields.iter().enumerate() {
            let column: Vec<&dyn Array> = parts
                .iter()
                .map(|part| part.columns[position].as_ref())
                .collect();
            columns.push(match column.is_empty() {
                true => nulls(field.column_type, 0),
                false => arrow_select::concat::concat(&column)?,
            });
        }
        let places = || parts.iter().map(|part| &part.places);
        Ok(Self {
            schema: Arc::clone(schema),
            columns,
            rows: parts.iter().map(|part| part.rows).sum(),
            places: Places {
                lines: places()
                    .flat_map(|places| &places.lines[..])
                    .copied()
                    .collect(),
                starts: places()
                    .flat_map(|places| &places.starts[..])
                    .copied()
                    .collect(),
                lengths: places()
                    .flat_map(|places| &places.lengths[..])
                    .copied()
                    .collect(),
                raw: parts
                    .first()
                    .map(|part| Arc::clone(&part.places.raw))
                    .unwrap_or_default(),
            },
        })
    }

    /// These columns alone, without places.
    #[must_use]
    pub fn only(&self, fields: &[Field]) -> Self {
        let (fields, columns) = fields
            .iter()
            .filter_map(|field| {
                let position = self.schema.position(&field.name)?;
                let field = self.schema.fields[position].clone();
                Some((field, Arc::clone(&self.columns[position])))
            })
            .unzip();
        Self {
            schema: Arc::new(Schema { fields }),
            columns,
            rows: self.rows,
            places: Places::default(),
        }
    }

    /// The memory of its columns.
    pub fn memory_bytes(&self) -> usize {
        self.columns
            .iter()
            .map(|column| column.get_array_memory_size())
            .sum()
    }

    /// Without the rows named, which need no order.
    ///
    /// # Errors
    /// As `take`.
    pub fn without(&self, rejected: &[u32]) -> Result<Self, ArrowError> {
        if rejected.is_empty() {
            return Ok(self.clone());
        }
        let mut kept = vec![true; self.rows];
        for row in rejected {
            if let Some(slot) = kept.get_mut(*row as usize) {
                *slot = false;
            }
        }
        let rows: Vec<u32> = (0..self.rows as u32)
            .filter(|row| kept[*row as usize])
            .collect();
        self.take(&rows)
    }
}

/// A typed look at one column.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int64(&'a Int64Array),
    Float64(&'a Float64Array),
    Timestamp(&'a TimestampMicrosecondArray),
    Utf8(&'a StringArray),
    Dictionary(&'a TextDictionary, &'a StringArray),
}

impl<'a> Values<'a> {
    /// `None` when the array is of a kind that no batch holds.
    pub fn of(array: &'a ArrayRef) -> Option<Self> {
        let any = array.as_any();
        if let Some(values) = any.downcast_ref() {
            return Some(Self::Float64(values));
        }
        if let Some(keys) = any.downcast_ref::<TextDictionary>() {
            let values = keys.values().as_any().downcast_ref()?;
            return Some(Self::Dictionary(keys, values));
        }
        if let Some(values) = any.downcast_ref() {
            return Some(Self::Timestamp(values));
        }
        if let Some(values) = any.downcast_ref() {
            return Some(Self::Utf8(values));
        }
        if let Some(values) = any.downcast_ref() {
            return Some(Self::Int64(values));
        }
        any.downcast_ref().map(Self::Boolean)
    }

    pub fn rows(&self) -> usize {
        match self {
            Self::Boolean(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Float64(values) => values.len(),
            Self::Timestamp(values) => values.len(),
            Self::Utf8(values) => values.len(),
            Self::Dictionary(keys, _) => keys.len(),
        }
    }

    pub fn is_null(&self, row: usize) -> bool {
        self.nulls().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Which rows are null, if any may be.
    pub fn nulls(&self) -> Option<&'a NullBuffer> {
        match *self {
            Self::Boolean(values) => values.nulls(),
            Self::Int64(values) => values.nulls(),
            Self::Float64(values) => values.nulls(),
            Self::Timestamp(values) => values.nulls(),
            Self::Utf8(values) => values.nulls(),
            Self::Dictionary(keys, _) => keys.nulls(),
        }
    }

    /// The text of a row; `None` for null and for columns that are not text.
    pub fn text(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Utf8(values) => values.is_valid(row).then(|| values.value(row)),
            Self::Dictionary(keys, values) => keys
                .key(row)
                .and_then(|key| values.is_valid(key).then(|| values.value(key))),
            _ => None,
        }
    }

    /// A row as a CSV cell: shortest numbers, RFC 3339 instants, empty for null.
    pub fn cell(&self, row: usize) -> String {
        match self {
            Self::Boolean(values) if values.is_valid(row) => values.value(row).to_string(),
            Self::Int64(values) if values.is_valid(row) => values.value(row).to_string(),
            Self::Float64(values) if values.is_valid(row) => values.value(row).to_string(),
            Self::Timestamp(values) if values.is_valid(row) => instant(values.value(row)),
            Self::Utf8(_) | Self::Dictionary(..) => self.text(row).unwrap_or("").to_string(),
            _ => String::new(),
        }
    }
}

/// Microseconds since the epoch as RFC 3339; the number where no calendar reaches.
pub fn instant(microseconds: i64) -> String {
    chrono::DateTime::from_timestamp_micros(microseconds).map_or_else(
        || microseconds.to_string(),
        |instant| instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
    )
}

/// A column of nothing but nulls.
pub fn nulls(column_type: ColumnType, rows: usize) -> ArrayRef {
    match column_type {
        ColumnType::Boolean => Arc::new(BooleanArray::new_null(rows)),
        ColumnType::Int64 => Arc::new(Int64Array::new_null(rows)),
        ColumnType::Float64 => Arc::new(Float64Array::new_null(rows)),
        ColumnType::Timestamp => Arc::new(TimestampMicrosecondArray::new_null(rows)),
        ColumnType::Utf8 => Arc::new(StringArray::new_null(rows)),
        ColumnType::Dictionary | ColumnType::Json => Arc::new(TextDictionary::new(
            UInt32Array::new_null(rows),
            Arc::new(StringArray::from(vec![""])),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(texts: &[Option<&str>]) -> Batch {
        let texts: TextDictionary = texts.iter().copied().collect();
        let rows = texts.len();
        Batch {
            schema: Arc::new(Schema {
                fields: vec![Field {
                    name: "pod".into(),
                    column_type: ColumnType::Dictionary,
                }],
            }),
            columns: vec![Arc::new(texts)],
            rows,
            places: Places {
                lines: (2..).take(rows).collect(),
                starts: (0..).take(rows).collect(),
                lengths: vec![1; rows].into(),
                ..Places::default()
            },
        }
    }

    fn cells(batch: &Batch) -> Vec<String> {
        let values = Values::of(&batch.columns[0]).unwrap();
        (0..batch.rows).map(|row| values.cell(row)).collect()
    }

    #[test]
    fn a_part_holds_no_text_of_other_rows() {
        let whole = batch(&[Some("a"), Some("b"), None, Some("a"), Some("c")]);
        let part = whole.part(1, 3).unwrap();
        assert_eq!(cells(&part), ["b", "", "a"]);
        assert_eq!(part.places.lines, [3, 4, 5]);
        let Some(Values::Dictionary(_, values)) = Values::of(&part.columns[0]) else {
            panic!("a dictionary");
        };
        assert_eq!(values.len(), 2);
        assert_eq!(whole.part(2, 1).unwrap().columns[0].null_count(), 1);
    }

    #[test]
    fn parts_join_to_the_whole() {
        let whole = batch(&[Some("a"), Some("b"), None, Some("a"), Some("c")]);
        let parts = [whole.part(0, 2).unwrap(), whole.part(2, 3).unwrap()];
        let joined = Batch::joined(&whole.schema, &parts).unwrap();
        assert_eq!(cells(&joined), cells(&whole));
        assert_eq!(joined.places.lines, whole.places.lines);
        let nothing = Batch::joined(&whole.schema, &[]).unwrap();
        assert_eq!((nothing.rows, nothing.columns[0].len()), (0, 0));
    }
}
