//! Turns records into rows: the table that one chunk becomes.

use std::{mem, rc::Rc};

use gristmill_stage::{DictionarySize, Failure, Parsed, RejectedRecord, WantedColumn};

use crate::{
    Place,
    columns::ColumnBuilder,
    header::Header,
    splitter::{Field, Form, Record, Splitter},
    values::{Fault, unescape},
};

/// Rejects of one chunk; the shortest records would be two million, and each
/// takes the memory of a long one.
const REJECTS_MAX: usize = 100_000;

/// How many records are taken together, column by column, which costs less than
/// row by row: enough for that, and few enough to be in the processor's cache.
const HELD_MAX: usize = 64;

/// How much the rows of a chunk took: a good guess for the next one.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    rows: usize,
    /// One per wanted column.
    dictionaries: Vec<DictionarySize>,
}

/// The rows of one chunk so far.
pub(crate) struct Rows {
    wanted: Rc<[WantedColumn]>,
    columns: Vec<ColumnBuilder>,
    lines: Vec<u64>,
    starts: Vec<u64>,
    lengths: Vec<u32>,
    rejects: Vec<RejectedRecord>,
    /// How many of the last rows are in no column yet; the splitter keeps their fields.
    held: usize,
    /// Room for the content of a field with doubled quotes.
    unescaped: Vec<u8>,
}

impl Rows {
    /// No rows yet, and room for about as many as there were before.
    pub(crate) fn new(wanted: Rc<[WantedColumn]>, before: &Sizes) -> Rows {
        // A little more than the last chunk had: growing copies every column.
        let capacity = before.rows + before.rows / 16;
        let mut dictionaries = before.dictionaries.iter().copied();
        Rows {
            columns: wanted
                .iter()
                .map(|column| {
                    let dictionary = dictionaries.next().unwrap_or_default();
                    ColumnBuilder::new(column, capacity, dictionary)
                })
                .collect(),
            wanted,
            lines: Vec::with_capacity(capacity),
            starts: Vec::with_capacity(capacity),
            lengths: Vec::with_capacity(capacity),
            rejects: Vec::new(),
            held: 0,
            unescaped: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            rows: self.len(),
            dictionaries: self
                .columns
                .iter()
                .map(ColumnBuilder::dictionary_size)
                .collect(),
        }
    }

    /// Adds a record, as a row or as a reject, though maybe not yet: the columns have
    /// it after `push_held`, which must see the same splitter.
    #[inline]
    pub(crate) fn push(
        &mut self,
        splitter: &mut Splitter<'_>,
        record: &Record,
        place: Place,
        header: &Header,
    ) -> Result<(), Failure> {
        let length = (record.end - record.start) as u32;
        match splitter.plain_starts() {
            Some(starts) if starts.len() == header.fields + 1 => {
                splitter.keep();
                self.held += 1;
                self.push_place(place, length);
                match self.held < HELD_MAX {
                    true => Ok(()),
                    false => self.push_held(splitter, header),
                }
            }
            _ => {
                self.push_held(splitter, header)?;
                let fields = splitter.field_count();
                let field = |index| splitter.field(index);
                self.push_record(splitter.bytes(), fields, field, (place, length), header)
            }
        }
    }

    #[inline]
    fn push_place(&mut self, place: Place, length: u32) {
        self.lines.push(place.line);
        self.starts.push(place.byte);
        self.lengths.push(length);
    }

    /// Adds the records that are held, column by column.
    pub(crate) fn push_held(
        &mut self,
        splitter: &mut Splitter<'_>,
        header: &Header,
    ) -> Result<(), Failure> {
        if self.held == 0 {
            return Ok(());
        }
        let bytes = splitter.bytes();
        for (column, position) in self.columns.iter_mut().zip(&header.positions) {
            let pushed = match *position {
                Some(position) => {
                    let records = splitter.kept().chunks_exact(header.fields + 1);
                    column.push_all(records.map(|starts| {
                        &bytes[starts[position] as usize..starts[position + 1] as usize - 1]
                    }))
                }
                None => {
                    (0..self.held).for_each(|_| column.push_null());
                    Ok(())
                }
            };
            if pushed.is_err() {
                let result = self.push_held_one_by_one(bytes, splitter.kept(), header);
                splitter.forget();
                return result;
            }
        }
        self.held = 0;
        splitter.forget();
        Ok(())
    }

    /// The same record by record, since one of them does not fit.
    #[cold]
    fn push_held_one_by_one(
        &mut self,
        bytes: &[u8],
        held_fields: &[u32],
        header: &Header,
    ) -> Result<(), Failure> {
        let rows = self.len() - mem::take(&mut self.held);
        for column in &mut self.columns {
            column.truncate(rows);
        }
        let lines = self.lines.split_off(rows);
        let starts = self.starts.split_off(rows);
        let lengths = self.lengths.split_off(rows);
        let places = lines.into_iter().zip(starts).zip(lengths);
        let records = held_fields.chunks_exact(header.fields + 1);
        for (fields, ((line, byte), length)) in records.zip(places) {
            let field = |index: usize| Field::between(fields[index], fields[index + 1]);
            let place = (Place { line, byte }, length);
            self.push_record(bytes, header.fields, field, place, header)?;
        }
        Ok(())
    }

    /// Adds a record, as a row or as a reject.
    fn push_record(
        &mut self,
        bytes: &[u8],
        fields: usize,
        field: impl Fn(usize) -> Field,
        (place, length): (Place, u32),
        header: &Header,
    ) -> Result<(), Failure> {
        match self.push_fields(bytes, fields, field, header) {
            Ok(()) => self.push_place(place, length),
            Err((column, fault)) => self.reject(place, length, column, *fault),
        }
        match self.rejects.len() > REJECTS_MAX {
            true => {
                let reason = format!("more than {REJECTS_MAX} records do not fit");
                Err(Failure::input_at(place.line, reason))
            }
            false => Ok(()),
        }
    }

    /// Rejects the record that the end of the file cuts off inside quotes.
    pub(crate) fn reject_unterminated(&mut self, place: Place, length: usize) {
        let message = "the file ends inside quotes".to_owned();
        let fault = Fault {
            code: "unterminated-quote",
            message,
        };
        self.reject(place, length as u32, None, fault);
    }

    /// Adds a cell to every column, or says at which one the record does not fit.
    fn push_fields(
        &mut self,
        bytes: &[u8],
        fields: usize,
        field: impl Fn(usize) -> Field,
        header: &Header,
    ) -> Result<(), (Option<usize>, Box<Fault>)> {
        if fields != header.fields {
            let message = format!("expected {} fields, found {fields}", header.fields);
            return Err((
                None,
                Box::new(Fault {
                    code: "wrong-field-count",
                    message,
                }),
            ));
        }
        for (index, (column, position)) in
            self.columns.iter_mut().zip(&header.positions).enumerate()
        {
            let pushed = match *position {
                Some(position) => match content(bytes, field(position), &mut self.unescaped) {
                    Some(cell) => column.push(cell),
                    None => Err(Box::new(Fault {
                        code: "malformed-quotes",
                        message: "there is text after a closing quote".to_owned(),
                    })),
                },
                None => {
                    column.push_null();
                    Ok(())
                }
            };
            if let Err(fault) = pushed {
                return Err((Some(index), fault));
            }
        }
        Ok(())
    }

    #[cold]
    fn reject(&mut self, place: Place, length: u32, column: Option<usize>, fault: Fault) {
        // The columns before the one at fault have the record's values already.
        let rows = self.len();
        for column in &mut self.columns {
            column.truncate(rows);
        }
        self.rejects.push(RejectedRecord {
            line: place.line,
            start: place.byte,
            length,
            column: column.map(|index| self.wanted[index].name.clone()),
            code: fault.code.to_owned(),
            message: fault.message,
        });
    }

    pub(crate) fn finish(self) -> Parsed {
        Parsed {
            rows: self.lines.len(),
            columns: self
                .columns
                .into_iter()
                .map(ColumnBuilder::finish)
                .collect(),
            lines: self.lines,
            starts: self.starts,
            lengths: self.lengths,
            rejects: self.rejects,
            left_out_bytes: 0,
        }
    }
}

/// The content of a field; `None` when its quotes are malformed.
#[inline]
fn content<'b>(bytes: &'b [u8], field: Field, unescaped: &'b mut Vec<u8>) -> Option<&'b [u8]> {
    let raw = &bytes[field.start as usize..field.end as usize];
    match field.form {
        Form::Literal => Some(raw),
        Form::Doubled => {
            unescaped.clear();
            unescape(raw, unescaped);
            Some(unescaped)
        }
        Form::Malformed => None,
    }
}
