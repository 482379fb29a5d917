//! Builds what a parser returns, row by row, from cells of any kind.
//!
//! For parsers whose records have values of their own, such as JSON. A cell that
//! does not fit its column rejects its row, as the contract wants it.

use std::borrow::Cow;

use crate::lines::Line;
use crate::{
    BooleanBuilder, Column, ColumnType, DictionaryBuilder, Float64Builder, Int64Builder, Parsed,
    RejectedRecord, TimestampBuilder, Utf8Builder, WantedColumn,
};

/// The value of a column in a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// The record has no such column.
    Missing,
    /// The record has the column, and nothing in it.
    Empty,
    /// Text, from which numbers, times and booleans are read too.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// True or false.
    Boolean(bool),
}

/// The rows of one chunk.
pub struct Rows<'a> {
    wanted: &'a [WantedColumn],
    builders: Vec<Builder>,
    parsed: Parsed,
}

/// Why a cell does not fit.
struct Misfit {
    code: &'static str,
    message: String,
}

impl<'a> Rows<'a> {
    /// No rows of those columns.
    pub fn new(wanted: &'a [WantedColumn]) -> Rows<'a> {
        Rows {
            wanted,
            builders: wanted.iter().map(Builder::new).collect(),
            parsed: Parsed::default(),
        }
    }

    /// Adds the row of a line; `cell` is asked for each wanted column. The row is
    /// rejected when one does not fit.
    pub fn push<'c>(&mut self, line: Line<'_>, cell: impl Fn(&WantedColumn) -> Cell<'c>) {
        for (index, wanted) in self.wanted.iter().enumerate() {
            if let Err(misfit) = self.builders[index].push(wanted, cell(wanted)) {
                for builder in &mut self.builders[..index] {
                    builder.truncate(self.parsed.rows);
                }
                self.reject_column(line, Some(&wanted.name), misfit.code, misfit.message);
                return;
            }
        }
        self.parsed.rows += 1;
        self.parsed.lines.push(line.number);
        self.parsed.starts.push(line.start);
        self.parsed.lengths.push(line.bytes.len() as u32);
    }

    /// The line is left out on purpose, and nobody is to miss it.
    pub fn leave_out(&mut self, line: Line<'_>) {
        self.parsed.left_out_bytes += line.bytes_told();
    }

    /// The line is no record: `code` is a kebab-case word, `message` a sentence.
    pub fn reject(&mut self, line: Line<'_>, code: &str, message: impl Into<String>) {
        self.reject_column(line, None, code, message.into());
    }

    fn reject_column(&mut self, line: Line<'_>, column: Option<&str>, code: &str, message: String) {
        self.parsed.rejects.push(RejectedRecord {
            line: line.number,
            start: line.start,
            length: line.bytes.len() as u32,
            column: column.map(str::to_owned),
            code: code.to_owned(),
            message,
        });
    }

    /// What `parse` returns.
    pub fn finish(self) -> Parsed {
        Parsed {
            columns: self.builders.into_iter().map(Builder::finish).collect(),
            ..self.parsed
        }
    }
}

enum Builder {
    Boolean(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Timestamp(TimestampBuilder),
    Utf8(Utf8Builder),
    Dictionary(DictionaryBuilder),
}

/// Calls a method that every builder has.
macro_rules! each {
    ($self:expr, $builder:ident => $call:expr) => {
        match $self {
            Builder::Boolean($builder) => $call,
            Builder::Int64($builder) => $call,
            Builder::Float64($builder) => $call,
            Builder::Timestamp($builder) => $call,
            Builder::Utf8($builder) => $call,
            Builder::Dictionary($builder) => $call,
        }
    };
}

impl Builder {
    fn new(wanted: &WantedColumn) -> Builder {
        match wanted.column_type {
            ColumnType::Boolean => Builder::Boolean(BooleanBuilder::default()),
            ColumnType::Int64 => Builder::Int64(Int64Builder::default()),
            ColumnType::Float64 => Builder::Float64(Float64Builder::default()),
            ColumnType::Timestamp => Builder::Timestamp(TimestampBuilder::default()),
            ColumnType::Utf8 => Builder::Utf8(Utf8Builder::default()),
            // The contract rules JSON out; text is the nearest thing.
            ColumnType::Dictionary | ColumnType::Json => {
                Builder::Dictionary(DictionaryBuilder::default())
            }
        }
    }

    fn push(&mut self, wanted: &WantedColumn, cell: Cell<'_>) -> Result<(), Misfit> {
        let cell = match cell {
            Cell::Text(text) if text.is_empty() => Cell::Empty,
            cell => cell,
        };
        match (self, cell) {
            (_, Cell::Missing) if wanted.required => {
                return Err(misfit("missing", "is missing in this record"));
            }
            (builder, Cell::Missing) => each!(builder, builder => builder.push_null()),
            (builder, Cell::Empty) if wanted.empty_is_null => {
                each!(builder, builder => builder.push_null());
            }
            (Builder::Float64(builder), cell) => builder.push(number(&cell)?),
            (Builder::Int64(builder), cell) => builder.push(whole_number(&cell)?),
            (Builder::Utf8(builder), cell) => builder.push(&text(cell)?),
            (Builder::Dictionary(builder), cell) => builder.push(&text(cell)?),
            (Builder::Timestamp(builder), cell) => builder.push(timestamp(&cell)?),
            (Builder::Boolean(builder), cell) => builder.push(boolean(&cell)?),
        }
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        each!(self, builder => builder.truncate(rows));
    }

    fn finish(self) -> Column {
        each!(self, builder => builder.finish())
    }
}

fn misfit(code: &'static str, message: impl Into<String>) -> Misfit {
    Misfit {
        code,
        message: message.into(),
    }
}

/// Says what was expected instead of the cell, of which it quotes the beginning.
fn unexpected(code: &'static str, what: &str, cell: &Cell<'_>) -> Misfit {
    let found = match cell {
        Cell::Missing | Cell::Empty => {
            return misfit("empty", format!("expected {what}, found nothing"));
        }
        Cell::Text(text) => text.chars().take(40).flat_map(shown).collect(),
        Cell::Number(number) => number.to_string(),
        Cell::Boolean(boolean) => boolean.to_string(),
    };
    misfit(code, format!("expected {what}, found `{found}`"))
}

fn shown(character: char) -> Vec<char> {
    match character.is_control() {
        true => character.escape_default().collect(),
        false => vec![character],
    }
}

fn number(cell: &Cell<'_>) -> Result<f64, Misfit> {
    let number = match cell {
        Cell::Empty => Some(0.0),
        Cell::Number(number) => Some(*number),
        Cell::Text(text) => text.trim().parse().ok(),
        Cell::Missing | Cell::Boolean(_) => None,
    };
    number
        .filter(|number: &f64| number.is_finite())
        .ok_or_else(|| unexpected("not-a-number", "a number", cell))
}

fn whole_number(cell: &Cell<'_>) -> Result<i64, Misfit> {
    /// Above this not every whole number is a double.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match cell {
        Cell::Empty => Some(0),
        Cell::Number(number) if number.fract() == 0.0 && number.abs() <= EXACT_MAX => {
            Some(*number as i64)
        }
        Cell::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
    .ok_or_else(|| unexpected("not-a-whole-number", "a whole number", cell))
}

fn boolean(cell: &Cell<'_>) -> Result<bool, Misfit> {
    match cell {
        Cell::Boolean(boolean) => Some(*boolean),
        Cell::Text(text) if text == "true" => Some(true),
        Cell::Text(text) if text == "false" => Some(false),
        _ => None,
    }
    .ok_or_else(|| unexpected("not-a-boolean", "true or false", cell))
}

/// Text that PostgreSQL can hold.
fn text(cell: Cell<'_>) -> Result<Cow<'_, str>, Misfit> {
    match cell {
        Cell::Text(text) if text.contains('\0') => Err(unexpected(
            "nul-byte",
            "text without NUL bytes",
            &Cell::Text(text),
        )),
        Cell::Text(text) => Ok(text),
        Cell::Number(number) => Ok(number.to_string().into()),
        Cell::Boolean(boolean) => Ok(boolean.to_string().into()),
        Cell::Missing | Cell::Empty => Ok("".into()),
    }
}

fn timestamp(cell: &Cell<'_>) -> Result<i64, Misfit> {
    match cell {
        Cell::Text(text) => microseconds(text),
        _ => None,
    }
    .ok_or_else(|| {
        let what = "a time such as `2026-01-10T05:00:00Z`";
        unexpected("not-a-timestamp", what, cell)
    })
}

/// Microseconds since 1970 of `2026-01-10T05:00:00Z`.
fn microseconds(text: &str) -> Option<i64> {
    let bytes = text.strip_suffix('Z')?.as_bytes();
    if bytes.len() != 19 {
        return None;
    }
    for (at, separator) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if bytes[at] != separator {
            return None;
        }
    }
    let digits = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0_i64, |number, byte| {
            byte.is_ascii_digit()
                .then(|| number * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years begin in March here, so that the leap day is the last.
    let (year, month) = match month > 2 {
        true => (year, month - 3),
        false => (year - 1, month + 9),
    };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        // From 0000-03-01 to 1970-01-01, and the day counts from 1.
        - 719_469;
    Some(((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::{Cell, Rows, microseconds};
    use crate::{ColumnType, Line, WantedColumn};

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(microseconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            microseconds("2026-01-10T05:00:01Z"),
            Some(1_768_021_201_000_000)
        );
        assert_eq!(
            microseconds("2024-02-29T23:59:59Z"),
            Some(1_709_251_199_000_000)
        );
        for wrong in [
            "2026-02-29T00:00:00Z",
            "2026-01-10T24:00:00Z",
            "2026-01-10 05:00:00Z",
            "2026-01-10T05:00:00",
            "2026-13-10T05:00:00Z",
        ] {
            assert_eq!(microseconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_misfit_costs_its_row_and_no_other() {
        let wanted = [
            WantedColumn::new("pod", ColumnType::Dictionary),
            WantedColumn::new("usage", ColumnType::Float64),
        ];
        let mut rows = Rows::new(&wanted);
        let usages = [Cell::Number(1.5), Cell::Text("much".into()), Cell::Empty];
        for (number, usage) in usages.into_iter().enumerate() {
            let line = Line {
                bytes: b"?",
                number: number as u64 + 1,
                start: number as u64 * 2,
            };
            rows.push(line, |column| match column.name.as_str() {
                "pod" => Cell::Text("a".into()),
                _ => usage.clone(),
            });
        }
        let parsed = rows.finish();
        assert_eq!(parsed.lines, [1, 3]);
        assert_eq!(parsed.columns[0].as_dictionary().keys().count(), 2);
        let usages: Vec<Option<f64>> = parsed.columns[1].as_float64().iter().collect();
        assert_eq!(usages, [Some(1.5), Some(0.0)]);
        let rejects: Vec<(u64, &str, &str)> = parsed
            .rejects
            .iter()
            .map(|reject| (reject.line, reject.code.as_str(), reject.message.as_str()))
            .collect();
        assert_eq!(
            rejects,
            [(2, "not-a-number", "expected a number, found `much`")]
        );
    }
}
