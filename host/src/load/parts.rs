//! Loads rows of day parts, whichever engine made them: a COPY for each part, in turn.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;

use super::encode::{self, POSTGRES_EPOCH_MICROSECONDS, put};
use super::stream::{CopyStream, copy_statement, doing};
use super::{Loader, month_of};
use crate::diagnostics::failure::{Failure, Result};
use crate::fold::{Part, PartKey, PartRow};
use crate::pipeline::staging::SYSTEM_COLUMNS;

/// The bytes that are handed to a COPY at a time.
const PIECE_BYTES: usize = 1 << 20;

/// A load of rows of day parts.
pub(super) struct PartsLoad<'l> {
    loader: &'l Loader,
    /// The months that rows may be of.
    months: &'l BTreeSet<NaiveDate>,
    current: Option<CurrentPart>,
}

/// The part whose rows come now.
struct CurrentPart {
    part: &'static Part,
    copy: CopyStream,
    periods: HashMap<NaiveDate, i32>,
    buffer: Vec<u8>,
}

impl<'l> PartsLoad<'l> {
    pub(super) fn new(loader: &'l Loader, months: &'l BTreeSet<NaiveDate>) -> Self {
        Self {
            loader,
            months,
            current: None,
        }
    }

    /// Sends a row on its way. Rows of one part come one after another.
    ///
    /// # Errors
    /// The database refuses something.
    pub(super) fn send(&mut self, part: &'static Part, row: &PartRow) -> Result<()> {
        let current = match self.current.take() {
            Some(current) if current.part.table == part.table => current,
            other => {
                other.map_or(Ok(()), CurrentPart::end)?;
                CurrentPart::begin(self.loader, part, self.months)?
            }
        };
        let current = self.current.insert(current);
        let month = month_of(row.start);
        let Some(period) = month.and_then(|month| current.periods.get(&month)) else {
            return Err(Failure::bug(doing(part.table))
                .because(anyhow::anyhow!("a row is of a month that no hour was of")));
        };
        encode_row(
            &mut current.buffer,
            (self.loader.generation, self.loader.source_uuid, *period),
            row,
        );
        current.copy.count(1);
        if current.buffer.len() >= PIECE_BYTES && !current.flush() {
            return Err(match self.current.take() {
                Some(current) => current.copy.broken(),
                None => Failure::bug(doing(part.table)),
            });
        }
        Ok(())
    }

    /// Ends the load of which nothing is to stay.
    pub(super) fn abandon(self) {
        if let Some(current) = self.current {
            current.copy.abandon();
        }
    }

    /// Ends the load; its rows are in the tables then.
    ///
    /// # Errors
    /// The database refuses something, or counts other rows than were sent.
    pub(super) fn end(self) -> Result<()> {
        self.current.map_or(Ok(()), CurrentPart::end)
    }
}

impl CurrentPart {
    fn begin(loader: &Loader, part: &'static Part, months: &BTreeSet<NaiveDate>) -> Result<Self> {
        let periods = loader.periods(part.table, months)?;
        let statement = copy_statement(part.table, part.columns().into_iter());
        Ok(Self {
            part,
            copy: CopyStream::begin(loader, part.table, statement, months.clone()),
            periods,
            buffer: encode::HEADER.to_vec(),
        })
    }

    fn flush(&mut self) -> bool {
        let bytes = std::mem::take(&mut self.buffer);
        bytes.is_empty() || self.copy.send(bytes)
    }

    fn end(mut self) -> Result<()> {
        match self.flush() {
            true => self.copy.end().map(drop),
            false => Err(self.copy.broken()),
        }
    }
}

/// Writes a row as a tuple, in the order of `Part::columns`.
fn encode_row(buffer: &mut Vec<u8>, system: (i64, uuid::Uuid, i32), row: &PartRow) {
    let fields = SYSTEM_COLUMNS.len()
        + 2
        + row.keys.len()
        + row.maxima.len()
        + row.words.len()
        + row.sums.len();
    buffer.extend_from_slice(&(fields as u16).to_be_bytes());
    put(buffer, &system.0.to_be_bytes());
    put(buffer, system.1.as_bytes());
    put(buffer, &system.2.to_be_bytes());
    let start = row.start.saturating_sub(POSTGRES_EPOCH_MICROSECONDS);
    put(buffer, &start.to_be_bytes());
    for key in &row.keys {
        match key {
            PartKey::Null => put_null(buffer),
            PartKey::Int64(value) => put(buffer, &value.to_be_bytes()),
            PartKey::Text(text) => put(buffer, text.as_bytes()),
        }
    }
    for largest in &row.maxima {
        match largest {
            Some(value) => put(buffer, &value.to_be_bytes()),
            None => put_null(buffer),
        }
    }
    for word in &row.words {
        match word {
            Some(word) => put(buffer, word.as_bytes()),
            None => put_null(buffer),
        }
    }
    for sum in &row.sums {
        match sum {
            Some(sum) => put_numeric(buffer, *sum),
            None => put_null(buffer),
        }
    }
    put(buffer, &(row.rows as i64).to_be_bytes());
}

fn put_null(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&(-1i32).to_be_bytes());
}

/// Writes a whole number as Postgres's `numeric`: digits of base 10,000, the highest first,
/// behind their count, the place of the first, the sign and the scale
/// (`numeric_send` in src/backend/utils/adt/numeric.c).
fn put_numeric(buffer: &mut Vec<u8>, value: i128) {
    const BASE: u128 = 10_000;
    const NEGATIVE: u16 = 0x4000;
    let mut rest = value.unsigned_abs();
    let mut digits = Vec::with_capacity(10);
    while rest > 0 {
        digits.push((rest % BASE) as u16);
        rest /= BASE;
    }
    let weight = digits.len().saturating_sub(1) as u16;
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    digits.drain(..zeros);
    let sign = if value < 0 { NEGATIVE } else { 0 };
    let header = [digits.len() as u16, weight, sign, 0];
    let words = header.iter().chain(digits.iter().rev());
    let bytes: Vec<u8> = words.flat_map(|word| word.to_be_bytes()).collect();
    put(buffer, &bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Postgres 15 sends them: `COPY (SELECT …::numeric) TO … (FORMAT binary)`.
    #[test]
    fn numbers_are_as_postgres_sends_them() {
        for (value, expected) in [
            (0, vec![0, 0, 0, 0]),
            (1, vec![1, 0, 0, 0, 1]),
            (-12_345, vec![2, 1, 0x4000, 0, 1, 2345]),
            (100_000_000, vec![1, 2, 0, 0, 1]),
        ] {
            let mut buffer = Vec::new();
            put_numeric(&mut buffer, value);
            let words: Vec<u16> = buffer[4..]
                .chunks(2)
                .map(|word| u16::from_be_bytes([word[0], word[1]]))
                .collect();
            assert_eq!(words, expected, "{value}");
        }
    }
}
