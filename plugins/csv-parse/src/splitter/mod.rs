//! Finds records and fields, and knows nothing of what they hold.
//!
//! The bytes that matter (delimiter, line feed, quote) are found a block at a time,
//! and then only they are looked at. [`Boundary`] follows the same rules byte by byte,
//! for the one record per chunk whose end has not come yet.

mod special;
mod starts;

use special::{BLOCK, LINE_FEED, QUOTE, Special, special_bytes};
use starts::Starts;

const CARRIAGE_RETURN: u8 = b'\r';

/// Where a field's content is in the bytes, without the quotes around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) form: Form,
}

impl Field {
    /// One that is not quoted, before another that begins at `next`.
    #[inline]
    pub(crate) fn between(start: u32, next: u32) -> Field {
        Field {
            start,
            end: next - 1,
            form: Form::Literal,
        }
    }
}

/// What a field's content looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The bytes are the content.
    Literal,
    /// Quotes in it are doubled.
    Doubled,
    /// There is text after the closing quote.
    Malformed,
}

/// Where a record is in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) start: usize,
    /// Its end, without the line end.
    pub(crate) end: usize,
    /// Where the record after it begins.
    pub(crate) next: usize,
    /// How many line ends are inside quotes.
    pub(crate) lines_inside: u64,
}

/// Splits bytes that begin where a record begins.
pub(crate) struct Splitter<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    /// Where the block after the current one begins.
    next_block: usize,
    /// The special bytes of the current block that are still to be looked at.
    special: Special,
    /// Where the next record begins.
    start: usize,
    /// Where the fields of the records that are kept begin, and behind them those of
    /// the last record; after each record, where one more would. A field ends one
    /// byte before the next, since nothing is quoted.
    starts: Starts,
    /// How many of them are of records that are kept.
    kept: usize,
    /// How many of them are before the last record.
    before: usize,
    /// The fields of the last record when one of them is quoted, else nothing.
    fields: Vec<Field>,
}

impl<'a> Splitter<'a> {
    pub(crate) fn new(bytes: &'a [u8], delimiter: u8) -> Splitter<'a> {
        Splitter {
            bytes,
            delimiter,
            next_block: 0,
            special: Special::default(),
            start: 0,
            starts: Starts::default(),
            kept: 0,
            before: 0,
            fields: Vec::new(),
        }
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many fields the record has that `next_record` returned last.
    #[inline]
    pub(crate) fn field_count(&self) -> usize {
        match self.fields.len() {
            0 => self.last_starts().len() - 1,
            count => count,
        }
    }

    /// A field of that record.
    #[inline]
    pub(crate) fn field(&self, index: usize) -> Field {
        match self.fields.is_empty() {
            true => Field::between(self.last_starts()[index], self.last_starts()[index + 1]),
            false => self.fields[index],
        }
    }

    /// Where the fields of that record begin, and where one more would, unless one
    /// of them is quoted. A field ends one byte before the next.
    #[inline]
    pub(crate) fn plain_starts(&self) -> Option<&[u32]> {
        self.fields.is_empty().then_some(self.last_starts())
    }

    #[inline]
    fn last_starts(&self) -> &[u32] {
        &self.starts.all()[self.before..]
    }

    /// Keeps what `plain_starts` says of the last record.
    #[inline]
    pub(crate) fn keep(&mut self) {
        self.kept = self.starts.len();
    }

    /// What `plain_starts` said of the records that are kept, one after another.
    #[inline]
    pub(crate) fn kept(&self) -> &[u32] {
        &self.starts.all()[..self.kept]
    }

    /// Keeps them no longer.
    pub(crate) fn forget(&mut self) {
        self.kept = 0;
    }

    /// How many bytes all the records took.
    pub(crate) fn consumed(&self) -> usize {
        self.start
    }

    /// Whether the last record is a line with nothing on it.
    pub(crate) fn is_blank(&self, record: &Record) -> bool {
        record.start == record.end
    }

    /// The next record whose line end is there.
    #[inline]
    pub(crate) fn next_record(&mut self) -> Option<Record> {
        self.fields.clear();
        self.starts.truncate(self.kept);
        self.before = self.kept;
        let start = self.start;
        // A chunk crosses into 32-bit memory, so its positions fit.
        self.starts.push(start as u32);
        loop {
            while self.special.all == 0 {
                self.load_block()?;
            }
            if self.special.quotes == 0 {
                if self.special.line_feeds == 0 {
                    self.take_delimiters(self.special.all);
                    self.special.all = 0;
                    continue;
                }
                let (delimiters, line_feed) = self.special.take_line();
                self.take_delimiters(delimiters);
                return Some(self.end_record(start, self.next_block - BLOCK + line_feed));
            }
            let position = self.next_special()?;
            match self.bytes[position] {
                LINE_FEED => return Some(self.end_record(start, position)),
                QUOTE if position == self.field_start() => {
                    return self.next_record_with_quotes(start, position);
                }
                QUOTE => {}
                _ => self.starts.push(position as u32 + 1),
            }
        }
    }

    /// The record that a line feed ends.
    #[inline]
    fn end_record(&mut self, start: usize, line_feed: usize) -> Record {
        let end = self.line_end(self.field_start(), line_feed);
        self.starts.push(end as u32 + 1);
        self.start = line_feed + 1;
        Record {
            start,
            end,
            next: self.start,
            lines_inside: 0,
        }
    }

    /// Where the field begins that is being looked at.
    #[inline]
    fn field_start(&self) -> usize {
        self.starts.all().last().map_or(0, |start| *start as usize)
    }

    /// Takes some bytes of the block as the ends of so many fields.
    #[inline]
    fn take_delimiters(&mut self, delimiters: u64) {
        let first = (self.next_block - BLOCK + 1) as u32;
        self.starts.push_bits(first, delimiters);
    }

    /// Goes on with a record at the quote that begins its first quoted field.
    #[cold]
    fn next_record_with_quotes(&mut self, start: usize, quote: usize) -> Option<Record> {
        let before = self.starts.all()[self.before..].windows(2);
        self.fields
            .extend(before.map(|pair| Field::between(pair[0], pair[1])));
        let mut field_start = quote;
        let mut position = quote;
        let mut lines_inside = 0;
        loop {
            let mut quoted = None;
            if self.bytes[position] == QUOTE {
                if position != field_start {
                    position = self.next_special()?;
                    continue;
                }
                let (end, form) = self.quoted_content(&mut lines_inside)?;
                position = self.next_special_but_quotes()?;
                quoted = Some(self.quoted_field(field_start + 1, end, position, form));
            }
            if self.bytes[position] == LINE_FEED {
                let end = self.line_end(field_start, position);
                self.fields
                    .push(quoted.unwrap_or_else(|| field(field_start, end, Form::Literal)));
                self.start = position + 1;
                return Some(Record {
                    start,
                    end,
                    next: self.start,
                    lines_inside,
                });
            }
            self.fields
                .push(quoted.unwrap_or_else(|| field(field_start, position, Form::Literal)));
            field_start = position + 1;
            position = self.next_special()?;
        }
    }

    /// Where the content ends whose opening quote was the last special byte.
    fn quoted_content(&mut self, lines_inside: &mut u64) -> Option<(usize, Form)> {
        let mut form = Form::Literal;
        loop {
            let position = self.next_special()?;
            match self.bytes[position] {
                LINE_FEED => *lines_inside += 1,
                QUOTE if self.bytes.get(position + 1) == Some(&QUOTE) => {
                    self.next_special()?;
                    form = Form::Doubled;
                }
                QUOTE => return Some((position, form)),
                _ => {}
            }
        }
    }

    /// A field whose closing quote is at `end`, and which `terminator` ends.
    fn quoted_field(&self, start: usize, end: usize, terminator: usize, form: Form) -> Field {
        let after = match self.bytes[terminator] {
            LINE_FEED => self.line_end(end + 1, terminator),
            _ => terminator,
        };
        field(
            start,
            end,
            if after == end + 1 {
                form
            } else {
                Form::Malformed
            },
        )
    }

    /// Where a line ends whose line feed is at `position`: before a carriage
    /// return, but not before `from`.
    #[inline]
    fn line_end(&self, from: usize, position: usize) -> usize {
        let has_return = position > from && self.bytes[position - 1] == CARRIAGE_RETURN;
        position - usize::from(has_return)
    }

    fn next_special_but_quotes(&mut self) -> Option<usize> {
        loop {
            let position = self.next_special()?;
            if self.bytes[position] != QUOTE {
                return Some(position);
            }
        }
    }

    #[inline(never)]
    fn next_special(&mut self) -> Option<usize> {
        while self.special.all == 0 {
            self.load_block()?;
        }
        Some(self.next_block - BLOCK + self.special.take_first())
    }

    #[inline(always)]
    fn load_block(&mut self) -> Option<()> {
        let rest = self.bytes.get(self.next_block..)?;
        self.special = match rest.first_chunk::<BLOCK>() {
            Some(block) => special_bytes(block, self.delimiter),
            None => special_bytes(&last_block(rest)?, self.delimiter),
        };
        self.next_block += BLOCK;
        Some(())
    }
}

/// The last bytes, if there are any, padded with one that is never special.
#[cold]
fn last_block(rest: &[u8]) -> Option<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    (!rest.is_empty()).then_some(block)
}

#[inline]
fn field(start: usize, end: usize, form: Form) -> Field {
    // A chunk crosses into 32-bit memory, so its positions fit.
    Field {
        start: start as u32,
        end: end as u32,
        form,
    }
}

/// How far a reader is through a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Boundary {
    #[default]
    FieldStart,
    Unquoted,
    Quoted,
    /// After a quote that closes, unless another follows.
    QuoteInQuotes,
}

impl Boundary {
    /// Reads on, and says where the record ends: after its line feed.
    pub(crate) fn find_end(&mut self, bytes: &[u8], delimiter: u8) -> Option<usize> {
        for (position, &byte) in bytes.iter().enumerate() {
            *self = match (*self, byte) {
                (Boundary::Quoted, QUOTE) => Boundary::QuoteInQuotes,
                (Boundary::Quoted, _) | (Boundary::QuoteInQuotes, QUOTE) => Boundary::Quoted,
                (_, LINE_FEED) => {
                    *self = Boundary::FieldStart;
                    return Some(position + 1);
                }
                (_, byte) if byte == delimiter => Boundary::FieldStart,
                (Boundary::FieldStart, QUOTE) => Boundary::Quoted,
                _ => Boundary::Unquoted,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests;
