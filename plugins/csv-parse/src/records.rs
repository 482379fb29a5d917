//! Turns records into rows: the table that one chunk becomes.

use std::rc::Rc;

use gristmill_stage::{DictionarySize, Parsed, RejectedRecord, WantedColumn};

use crate::{
    Place,
    columns::ColumnBuilder,
    header::Header,
    splitter::{Field, Form, Record, Splitter},
    values::{Fault, unescape},
};

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

    /// How many records were rejected.
    #[inline]
    pub(crate) fn rejected(&self) -> usize {
        self.rejects.len()
    }

    /// Adds a record, as a row or as a reject.
    #[inline]
    pub(crate) fn push(
        &mut self,
        splitter: &Splitter<'_>,
        record: &Record,
        place: Place,
        header: &Header,
    ) {
        let length = (record.end - record.start) as u32;
        match self.push_fields(splitter, header) {
            Ok(()) => {
                self.lines.push(place.line);
                self.starts.push(place.byte);
                self.lengths.push(length);
            }
            Err((column, fault)) => self.reject(place, length, column, *fault),
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
    #[inline]
    fn push_fields(
        &mut self,
        splitter: &Splitter<'_>,
        header: &Header,
    ) -> Result<(), (Option<usize>, Box<Fault>)> {
        let fields = splitter.field_count();
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
                Some(position) => {
                    let field = splitter.field(position);
                    match content(splitter.bytes(), field, &mut self.unescaped) {
                        Some(cell) => column.push(cell),
                        None => Err(Box::new(Fault {
                            code: "malformed-quotes",
                            message: "there is text after a closing quote".to_owned(),
                        })),
                    }
                }
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
