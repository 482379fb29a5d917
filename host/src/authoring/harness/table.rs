//! Rows as CSV: cells into a typed batch for a transform, and batches and rejects
//! into cells again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use chrono::{DateTime, NaiveDateTime};

use crate::rows::batch::{Batch, Places, RejectedRow, TextDictionary, Values};
use crate::rows::column::{ColumnType, Field, Schema};

/// How an operator's reports write an instant.
const REPORT_TIME: &str = "%Y-%m-%d %H:%M:%S +0000 UTC";

/// Cells under a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub header: Vec<String>,
    /// Each as long as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<'n>(header: impl IntoIterator<Item = &'n str>) -> Self {
        Self {
            header: header.into_iter().map(str::to_string).collect(),
            rows: Vec::new(),
        }
    }

    /// Reads CSV. Text of nothing is a table of nothing.
    ///
    /// # Errors
    /// A row is longer or shorter than the header, or no text.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_bytes())
            .into_records()
            .map(|record| {
                record
                    .map(|record| record.iter().map(str::to_string).collect())
                    .map_err(|error| error.to_string())
            })
            .collect::<Result<Vec<Vec<String>>, _>>()?
            .into_iter();
        Ok(Self {
            header: rows.next().unwrap_or_default(),
            rows: rows.collect(),
        })
    }

    /// As CSV.
    ///
    /// # Errors
    /// None that memory allows.
    pub fn text(&self) -> Result<String, String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for record in std::iter::once(&self.header).chain(&self.rows) {
            writer
                .write_record(record)
                .map_err(|error| error.to_string())?;
        }
        let bytes = writer.into_inner().map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }

    /// Adds the rows of a batch, whose columns are those of the header.
    pub fn add(&mut self, batch: &Batch) {
        let columns: Vec<Values<'_>> = batch.columns.iter().filter_map(Values::of).collect();
        self.rows.extend(
            (0..batch.rows).map(|row| columns.iter().map(|values| values.cell(row)).collect()),
        );
    }

    /// Rejected rows; `place` says what their numbers are: rows or lines.
    pub fn of_rejects(place: &str, rejects: &[RejectedRow]) -> Self {
        let mut table = Self::new([place, "column", "code", "message"]);
        table.rows = rejects
            .iter()
            .map(|reject| {
                vec![
                    reject.line.map_or(String::new(), |line| line.to_string()),
                    reject.column.clone().unwrap_or_default(),
                    reject.code.clone(),
                    reject.message.clone(),
                ]
            })
            .collect();
        table
    }

    /// The types of its columns: as declared, else guessed from their cells.
    pub fn schema(&self, types: &BTreeMap<String, ColumnType>) -> Schema {
        let field = |(position, name): (usize, &String)| Field {
            name: name.clone(),
            column_type: types
                .get(name)
                .copied()
                .unwrap_or_else(|| guess(&self.cells(position))),
        };
        Schema {
            fields: self.header.iter().enumerate().map(field).collect(),
        }
    }

    /// As a batch. The lines of its rows are their positions, counted from 0.
    ///
    /// # Errors
    /// There is no header, or a cell does not fit the declared type of its column.
    pub fn batch(&self, types: &BTreeMap<String, ColumnType>) -> Result<Batch, String> {
        if self.header.is_empty() {
            return Err("the input has no header".into());
        }
        if let Some(name) = types.keys().find(|name| !self.header.contains(name)) {
            return Err(format!("the input has no column `{name}`"));
        }
        let schema = self.schema(types);
        let columns = schema
            .fields
            .iter()
            .enumerate()
            .map(|(position, field)| {
                array(&self.cells(position), field.column_type).ok_or_else(|| {
                    format!(
                        "input column `{}` does not hold {}",
                        field.name, field.column_type
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        let rows = self.rows.len();
        Ok(Batch {
            schema: Arc::new(schema),
            columns,
            rows,
            places: Places {
                lines: (0..rows as u64).collect(),
                starts: vec![0; rows].into(),
                lengths: vec![0; rows].into(),
                ..Places::default()
            },
        })
    }

    fn cells(&self, position: usize) -> Vec<&str> {
        self.rows.iter().map(|row| row[position].as_str()).collect()
    }
}

fn guess(cells: &[&str]) -> ColumnType {
    let filled = || cells.iter().filter(|cell| !cell.is_empty());
    if filled().next().is_none() {
        ColumnType::Dictionary
    } else if filled().all(|cell| cell.parse::<f64>().is_ok()) {
        ColumnType::Float64
    } else if filled().all(|cell| microseconds(cell).is_some()) {
        ColumnType::Timestamp
    } else {
        ColumnType::Dictionary
    }
}

/// An empty cell is null, but in text, where it is the empty text.
fn array(cells: &[&str], column_type: ColumnType) -> Option<ArrayRef> {
    fn parsed<T>(cells: &[&str], parse: impl Fn(&str) -> Option<T>) -> Option<Vec<Option<T>>> {
        cells
            .iter()
            .map(|cell| match cell.is_empty() {
                true => Some(None),
                false => parse(cell).map(Some),
            })
            .collect()
    }
    Some(match column_type {
        ColumnType::Float64 => {
            Arc::new(Float64Array::from(parsed(cells, |cell| cell.parse().ok())?))
        }
        ColumnType::Int64 => Arc::new(Int64Array::from(parsed(cells, |cell| cell.parse().ok())?)),
        ColumnType::Boolean => {
            Arc::new(BooleanArray::from(parsed(cells, |cell| cell.parse().ok())?))
        }
        ColumnType::Timestamp => Arc::new(TimestampMicrosecondArray::from(parsed(
            cells,
            microseconds,
        )?)),
        ColumnType::Utf8 => Arc::new(StringArray::from(cells.to_vec())),
        ColumnType::Dictionary | ColumnType::Json => {
            Arc::new(cells.iter().copied().map(Some).collect::<TextDictionary>())
        }
    })
}

/// An instant in RFC 3339, or as reports write it.
fn microseconds(cell: &str) -> Option<i64> {
    let instant = DateTime::parse_from_rfc3339(cell).map(|instant| instant.timestamp_micros());
    let in_report = || NaiveDateTime::parse_from_str(cell, REPORT_TIME);
    instant
        .or_else(|_| in_report().map(|instant| instant.and_utc().timestamp_micros()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_guessed_from_the_cells() {
        assert_eq!(guess(&["1.5", "", "2e3"]), ColumnType::Float64);
        assert_eq!(guess(&["2026-01-10T05:00:00Z"]), ColumnType::Timestamp);
        let in_report = ["2026-01-10 05:00:00 +0000 UTC"];
        assert_eq!(guess(&in_report), ColumnType::Timestamp);
        assert_eq!(guess(&["1.5", "web"]), ColumnType::Dictionary);
        assert_eq!(guess(&["", ""]), ColumnType::Dictionary);
    }

    #[test]
    fn a_batch_gives_back_the_cells_it_was_made_of() {
        let text = "pod,x,t\nweb,1.5,2026-01-10T05:00:00Z\n,,\n";
        let table = Table::read(text).unwrap();
        let batch = table.batch(&BTreeMap::new()).unwrap();
        let mut again = Table::new(batch.schema.names());
        again.add(&batch);
        assert_eq!(again.text().unwrap(), text);
    }

    #[test]
    fn a_type_of_no_column_is_a_mistake() {
        let table = Table::read("a\n1\n").unwrap();
        let types = BTreeMap::from([("b".to_string(), ColumnType::Int64)]);
        assert_eq!(
            table.batch(&types).unwrap_err(),
            "the input has no column `b`"
        );
    }
}
