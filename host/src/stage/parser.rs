//! Runs a parser over one report file: bytes in, batches out.

use std::sync::Arc;

use bytes::Bytes;

use super::bindings::exports::gristmill::stage::parser as wit;
use super::coverage::{Coverage, LEFT_OUT, Record};
use super::crossing;
use super::limits::UNFINISHED_BYTES_MAX;
use super::state::{printable, printable_of_row};
use super::weight::{self, Weight};
use super::{
    Component, Cost, Fact, Settings, StageError, StageInstance, borrowed, bound_sets, facts,
};
use crate::diagnostics::log_line::LogLine;
use crate::rows::batch::{Batch, Places, Raw, RejectedRow};
use crate::rows::column::{ColumnType, Field, Schema};

/// A column that the pipeline wants from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedColumn {
    pub name: String,
    pub column_type: ColumnType,
    pub required: bool,
    pub empty_is_null: bool,
}

/// The output for one chunk.
#[derive(Debug)]
pub struct ParserOutput {
    pub batch: Batch,
    pub rejects: Vec<RejectedRow>,
}

/// A parser opened for one file.
pub struct Parser {
    opened: StageInstance,
    guest: wit::Guest,
    schema: Arc<Schema>,
    /// The bytes of the file from the first record that is not complete yet.
    tail: Vec<u8>,
    coverage: Coverage,
    /// The bytes before the first record.
    heading: Vec<u8>,
}

impl Component {
    /// Opens the component as a parser of one file.
    ///
    /// # Errors
    /// The stage refuses its configuration or the columns, or it breaks.
    pub fn open_parser(
        &self,
        settings: &Settings,
        columns: &[WantedColumn],
    ) -> Result<Parser, StageError> {
        let (mut opened, guest) = self.instantiate(settings.limits, |pre, store, instance| {
            wit::GuestIndices::new(pre)?.load(store, instance)
        })?;
        let wanted: Vec<wit::WantedColumn<'_>> = columns
            .iter()
            .map(|column| wit::WantedColumn {
                name: &column.name,
                column_type: column.column_type.into(),
                required: column.required,
                empty_is_null: column.empty_is_null,
            })
            .collect();
        let sets = borrowed(&settings.sets);
        let options = wit::Options {
            config: &settings.config,
            sets: &bound_sets(&sets),
            columns: &wanted,
        };
        opened.begin();
        let result = guest.stage().call_open(&mut opened.store, options);
        opened.stage = Some(opened.end(result)?);
        let fields = columns
            .iter()
            .map(|column| Field {
                name: column.name.clone(),
                column_type: column.column_type,
            })
            .collect();
        Ok(Parser {
            opened,
            guest,
            schema: Arc::new(Schema { fields }),
            tail: Vec::new(),
            coverage: Coverage::default(),
            heading: Vec::new(),
        })
    }
}

impl Parser {
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Parses the next chunk; `last` when the file ends with it.
    ///
    /// # Errors
    /// The stage refuses the file, breaks, or returns what it may not.
    pub fn parse(&mut self, chunk: Bytes, last: bool) -> Result<ParserOutput, StageError> {
        let stage = self.opened.stage()?;
        self.opened.bytes_in += chunk.len() as u64;
        self.opened.begin();
        let result = self
            .guest
            .stage()
            .call_parse(&mut self.opened.store, stage, &chunk, last);
        let parsed = self.opened.end(result)?;
        self.opened.bytes_out += bytes_of(&parsed);
        let rows = parsed.rows as usize;
        let lengths = [
            parsed.lines.len(),
            parsed.starts.len(),
            parsed.lengths.len(),
        ];
        if lengths != [rows; 3] {
            return Err(StageError::malformed(format!(
                "{rows} rows with {} lines, {} starts and {} lengths",
                lengths[0], lengths[1], lengths[2]
            )));
        }
        if parsed.columns.len() != self.schema.fields.len() {
            return Err(StageError::malformed(format!(
                "{} columns where {} were wanted",
                parsed.columns.len(),
                self.schema.fields.len()
            )));
        }
        let raw = Arc::new(self.raw(chunk, &parsed)?);
        let columns = parsed
            .columns
            .into_iter()
            .zip(&self.schema.fields)
            .map(|(column, field)| {
                crossing::accept(column, rows, field.column_type).map_err(|reason| {
                    StageError::malformed(format!("column `{}`: {reason}", field.name))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let bytes_max = self.opened.limits.batch_bytes;
        let mut weight = Weight::of_rows(rows);
        columns.iter().for_each(|column| weight.column(column));
        weight.within(bytes_max)?;
        let rejects: Vec<RejectedRow> = parsed
            .rejects
            .into_iter()
            .map(|reject| RejectedRow {
                line: Some(reject.line),
                column: reject.column.as_deref().map(printable_of_row),
                code: printable_of_row(&reject.code),
                message: printable_of_row(&reject.message),
                raw: raw.record(reject.start, reject.length),
            })
            .collect();
        if weight::rejected_bytes(&rejects) > bytes_max {
            return Err(weight::too_large(bytes_max));
        }
        Ok(ParserOutput {
            batch: Batch {
                schema: Arc::clone(&self.schema),
                columns,
                rows,
                places: Places {
                    lines: parsed.lines.into(),
                    starts: parsed.starts.into(),
                    lengths: parsed.lengths.into(),
                    raw,
                },
            },
            rejects,
        })
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As `parse`; or it has passed over a part of the file and does not say so.
    pub fn finish(&mut self) -> Result<Vec<Fact>, StageError> {
        let stage = self.opened.stage()?;
        self.opened.begin();
        let result = self
            .guest
            .stage()
            .call_finish(&mut self.opened.store, stage);
        let facts = self.opened.end(result).map(facts)?;
        self.coverage.end(&self.tail, left_out(&facts)?)?;
        Ok(facts)
    }

    /// The heading: the bytes before the first record, below which all records so far are
    /// read; `None` when bytes between them may change what they mean.
    pub fn heading(&self) -> Option<&[u8]> {
        (!self.coverage.has_left_out()).then_some(self.heading.as_slice())
    }

    /// The cost of the stage so far.
    pub fn cost(&self) -> Cost {
        self.opened.cost()
    }

    /// The lines that the stage logged since the last call.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.opened.store.data_mut().take_log()
    }

    /// The part of the file that holds the records of this chunk; keeps what
    /// stands behind them for the next one.
    fn raw(&mut self, chunk: Bytes, parsed: &wit::Parsed) -> Result<Raw, StageError> {
        let raw = Raw {
            start: self.coverage.position(),
            head: std::mem::take(&mut self.tail),
            chunk,
        };
        let places = parsed.lines.iter().zip(&parsed.starts);
        let rows = places
            .zip(&parsed.lengths)
            .map(|((line, start), length)| Record {
                line: *line,
                start: *start,
                length: *length,
            });
        let rejects = parsed.rejects.iter().map(|reject| Record {
            line: reject.line,
            start: reject.start,
            length: reject.length,
        });
        let at_beginning = self.coverage.position() == 0;
        self.coverage.add(&raw, rows, rejects)?;
        if at_beginning {
            let rows = parsed.starts.first();
            let rejects = parsed.rejects.first().map(|reject| &reject.start);
            if let Some(first) = rows.into_iter().chain(rejects).min() {
                self.heading = raw.pieces(0, *first).concat();
            }
        }
        // The header has no row, so a chunk without records keeps everything.
        let rest = raw.pieces(self.coverage.position(), raw.end());
        self.tail = rest.concat();
        if self.tail.len() > UNFINISHED_BYTES_MAX {
            return Err(StageError::malformed(format!(
                "no record from more than {UNFINISHED_BYTES_MAX} bytes of the file"
            )));
        }
        Ok(raw)
    }
}

/// A part that a parser says it left out.
fn left_out(facts: &[Fact]) -> Result<u64, StageError> {
    let words = facts
        .iter()
        .filter(|fact| fact.topic == LEFT_OUT)
        .flat_map(|fact| &fact.words);
    let mut sum = 0_u64;
    for word in words {
        let bytes: u64 = word.parse().map_err(|_| {
            StageError::malformed(format!(
                "fact `{LEFT_OUT}` is `{}`, which is no number",
                printable(word)
            ))
        })?;
        sum = sum.saturating_add(bytes);
    }
    Ok(sum)
}

/// The bytes that crossed with the rows of a chunk; the texts of rejects count, their
/// numbers do not.
fn bytes_of(parsed: &wit::Parsed) -> u64 {
    let columns: u64 = parsed.columns.iter().map(crossing::bytes_of).sum();
    let places = size_of_val(parsed.lines.as_slice())
        + size_of_val(parsed.starts.as_slice())
        + size_of_val(parsed.lengths.as_slice());
    let rejects: usize = parsed
        .rejects
        .iter()
        .map(|reject| {
            reject.code.len() + reject.message.len() + reject.column.as_ref().map_or(0, String::len)
        })
        .sum();
    columns + (places + rejects) as u64
}
