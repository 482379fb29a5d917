//! Reads report files in CSV (RFC 4180).
//!
//! - Columns are found by the header's names, in any order. Columns that nobody
//!   wants are ignored and told as the fact `ignored-columns`; wanted ones that
//!   are not there are null in every row, or a failure when they are required. A
//!   name that appears twice in the header is a failure.
//! - Lines end in LF or CRLF, blank lines are skipped, a byte order mark before
//!   the header is accepted. A quoted field may hold delimiters, line ends and
//!   doubled quotes; a quote inside an unquoted field is an ordinary character.
//!   A file of 0 bytes or of a header alone has no rows.
//! - `float64`: decimal or exponent form. `int64`: whole numbers. Both may have
//!   spaces around them, and neither NaN nor infinity is a number.
//! - `timestamp`: `2026-01-10 05:00:00 +0000 UTC`, or RFC 3339 without fractions
//!   (`2026-01-10T05:00:00Z`, `…+00:00`). Always UTC.
//! - `boolean`: `true`, `t`, `1`, `false`, `f`, `0`, in either case.
//! - `utf8`, `dictionary`: UTF-8 without NUL, which PostgreSQL cannot hold.
//! - An empty cell is null or zero, as the pipeline says for each column.
//!
//! A record that does not fit is rejected, with its line, and the others go on:
//! `wrong-field-count`, `malformed-quotes`, `unterminated-quote`, `not-a-number`,
//! `not-a-whole-number`, `out-of-range`, `not-a-timestamp`, `not-utc`,
//! `not-a-boolean`, `empty`, `not-utf8`, `nul-byte`.
//!
//! Configuration: `delimiter`, one ASCII character (`","`), and
//! `record-bytes-max` (1048576), above which a record fails the file, so that a
//! quote that nobody closes does not swallow it. A file in which 100,000 records
//! of one chunk do not fit fails too: it is no report.

mod columns;
#[doc(hidden)]
#[cfg(not(target_arch = "wasm32"))]
pub mod fuzzing;
mod header;
mod records;
mod splitter;
mod values;

use std::{mem, rc::Rc};

use gristmill_stage::{
    Fact, Failure, OpenParser, Parsed, Parser, WantedColumn, export_parser, log,
};
use serde::Deserialize;

use crate::{
    header::Header,
    records::{Rows, Sizes},
    splitter::{Boundary, Splitter},
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    delimiter: char,
    record_bytes_max: u32,
}

impl Default for Config {
    fn default() -> Config {
        // The longest real records, label sets of a big cluster's nodes, are
        // some 10 kB.
        Config {
            delimiter: ',',
            record_bytes_max: 1 << 20,
        }
    }
}

/// One file being read.
pub struct CsvParse {
    delimiter: u8,
    record_bytes_max: usize,
    wanted: Rc<[WantedColumn]>,
    /// Nothing until the header has come.
    header: Option<Header>,
    /// Whether the bytes that may be a byte order mark are dealt with.
    begun: bool,
    /// The beginning of a record whose end has not come.
    carry: Vec<u8>,
    /// How far `carry` is through its record.
    boundary: Boundary,
    /// Where the next record, carried or not, begins.
    place: Place,
    /// How much the rows of the last chunk took.
    before: Sizes,
}

/// A place in the file.
#[derive(Clone, Copy, Debug)]
struct Place {
    line: u64,
    byte: u64,
}

impl Parser for CsvParse {
    type Config = Config;

    fn open(config: Config, context: OpenParser) -> Result<CsvParse, Failure> {
        let delimiter = match u8::try_from(config.delimiter) {
            Ok(byte) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => byte,
            _ => {
                let reason = "must be one ASCII character, and no quote or line end";
                return Err(Failure::config("delimiter", reason));
            }
        };
        if config.record_bytes_max == 0 {
            return Err(Failure::config("record-bytes-max", "must be at least 1"));
        }
        Ok(CsvParse {
            delimiter,
            record_bytes_max: config.record_bytes_max as usize,
            wanted: context.columns.into(),
            header: None,
            begun: false,
            carry: Vec::new(),
            boundary: Boundary::default(),
            place: Place { line: 1, byte: 0 },
            before: Sizes::default(),
        })
    }

    fn parse(&mut self, chunk: Vec<u8>, last: bool) -> Result<Parsed, Failure> {
        let mut rows = Rows::new(Rc::clone(&self.wanted), &self.before);
        if let Some((chunk, begin)) = self.after_byte_order_mark(chunk, last) {
            self.parse_bytes(&chunk[begin..], last, &mut rows)?;
        }
        self.before = rows.sizes();
        Ok(rows.finish())
    }

    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        match &self.header {
            Some(header) if !header.ignored.is_empty() => Ok(vec![Fact::new(
                "ignored-columns",
                header.ignored.iter().map(String::as_str),
            )]),
            _ => Ok(Vec::new()),
        }
    }
}

impl CsvParse {
    /// The chunk and where its text begins, once enough has come to know whether
    /// the file begins with a byte order mark.
    fn after_byte_order_mark(&mut self, chunk: Vec<u8>, last: bool) -> Option<(Vec<u8>, usize)> {
        if self.begun {
            return Some((chunk, 0));
        }
        let mut chunk = chunk;
        if !self.carry.is_empty() {
            self.carry.append(&mut chunk);
            chunk = mem::take(&mut self.carry);
        }
        if chunk.len() < BYTE_ORDER_MARK.len() && !last {
            self.carry = chunk;
            return None;
        }
        self.begun = true;
        let begin = if chunk.starts_with(BYTE_ORDER_MARK) {
            BYTE_ORDER_MARK.len()
        } else {
            0
        };
        self.place.byte = begin as u64;
        Some((chunk, begin))
    }

    fn parse_bytes(&mut self, bytes: &[u8], last: bool, rows: &mut Rows) -> Result<(), Failure> {
        let mut rest = bytes;
        if !self.carry.is_empty() {
            let completed = self.boundary.find_end(rest, self.delimiter);
            let taken = completed.unwrap_or(rest.len());
            self.carry.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            if completed.is_some() {
                let record = mem::take(&mut self.carry);
                self.parse_records(&record, rows)?;
            }
        }
        if self.carry.is_empty() {
            let consumed = self.parse_records(rest, rows)?;
            self.carry.extend_from_slice(&rest[consumed..]);
            self.boundary = Boundary::default();
            self.boundary.find_end(&self.carry, self.delimiter);
        }
        // One more than the maximum may still turn out to be a carriage return.
        if self.carry.len() > self.record_bytes_max + 1 {
            return Err(self.record_too_long());
        }
        if last && !self.carry.is_empty() {
            self.parse_last_record(rows)?;
        }
        Ok(())
    }

    /// Takes what complete records there are, and says how many bytes they are.
    fn parse_records(&mut self, bytes: &[u8], rows: &mut Rows) -> Result<usize, Failure> {
        let mut splitter = Splitter::new(bytes, self.delimiter);
        while let Some(record) = splitter.next_record() {
            let place = self.place;
            let length = record.end - record.start;
            if length > self.record_bytes_max {
                self.take_held(&mut splitter, rows)?;
                return Err(self.record_too_long());
            }
            self.place.line += 1 + record.lines_inside;
            self.place.byte += (record.next - record.start) as u64;
            if splitter.is_blank(&record) {
                continue;
            }
            match &self.header {
                Some(header) => rows.push(&mut splitter, &record, place, header)?,
                None => self.read_header(&splitter, place)?,
            }
        }
        self.take_held(&mut splitter, rows)?;
        Ok(splitter.consumed())
    }

    /// Takes the records that wait to be taken together.
    fn take_held(&self, splitter: &mut Splitter<'_>, rows: &mut Rows) -> Result<(), Failure> {
        match &self.header {
            Some(header) => rows.push_held(splitter, header),
            None => Ok(()),
        }
    }

    /// Takes a record that the end of the file ends.
    fn parse_last_record(&mut self, rows: &mut Rows) -> Result<(), Failure> {
        let mut record = mem::take(&mut self.carry);
        let length = record.len();
        record.push(b'\n');
        if self.parse_records(&record, rows)? > 0 {
            return Ok(());
        }
        if length > self.record_bytes_max {
            return Err(self.record_too_long());
        }
        match self.header {
            Some(_) => rows.reject_unterminated(self.place, length),
            None => {
                return Err(Failure::input_at(
                    self.place.line,
                    "the header has an unclosed quote",
                ));
            }
        }
        Ok(())
    }

    fn read_header(&mut self, splitter: &Splitter<'_>, place: Place) -> Result<(), Failure> {
        let header = Header::read(splitter, place.line, &self.wanted)?;
        match header.ignored.len() {
            0 => {}
            1 => log::info("ignored 1 column that the pipeline does not name"),
            count => log::info(format!(
                "ignored {count} columns that the pipeline does not name"
            )),
        }
        self.header = Some(header);
        Ok(())
    }

    fn record_too_long(&self) -> Failure {
        let reason = format!("the record is longer than {} bytes", self.record_bytes_max);
        Failure::input_at(self.place.line, reason)
    }
}

export_parser!(CsvParse);

#[cfg(test)]
mod tests;
