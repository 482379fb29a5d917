//! Finds records and fields, and knows nothing of what they hold.
//!
//! The bytes that matter (delimiter, line feed, quote) are found 64 at a time as
//! the bits of one word, by vector instructions where there are any. Then only
//! those bytes are looked at. [`Boundary`] follows the same rules byte by byte,
//! for the one record per chunk whose end has not come yet.

const QUOTE: u8 = b'"';
const LINE_FEED: u8 = b'\n';
const CARRIAGE_RETURN: u8 = b'\r';

/// How many bytes are looked at together: one bit each in a word.
const BLOCK: usize = 64;

/// Where a field's content is in the bytes, without the quotes around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) form: Form,
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
    special: u64,
    /// Where the next record begins.
    start: usize,
    /// The fields of the last record.
    fields: Vec<Field>,
}

impl<'a> Splitter<'a> {
    pub(crate) fn new(bytes: &'a [u8], delimiter: u8) -> Splitter<'a> {
        Splitter {
            bytes,
            delimiter,
            next_block: 0,
            special: 0,
            start: 0,
            fields: Vec::with_capacity(64),
        }
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The fields of the record that `next_record` returned last.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
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
        let start = self.start;
        let mut field_start = start;
        let mut lines_inside = 0;
        loop {
            let mut position = self.next_special()?;
            let mut quoted = None;
            if self.bytes[position] == QUOTE {
                if position != field_start {
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
        }
    }

    /// Where the content ends whose opening quote was the last special byte.
    #[cold]
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

    #[inline]
    fn next_special(&mut self) -> Option<usize> {
        while self.special == 0 {
            self.special = self.load_block()?;
        }
        let position = self.next_block - BLOCK + self.special.trailing_zeros() as usize;
        self.special &= self.special - 1;
        Some(position)
    }

    #[inline]
    fn load_block(&mut self) -> Option<u64> {
        let rest = self.bytes.get(self.next_block..)?;
        self.next_block += BLOCK;
        match rest.first_chunk::<BLOCK>() {
            Some(block) => Some(special_bytes(block, self.delimiter)),
            None if rest.is_empty() => None,
            None => {
                // The last bytes, padded with one that is never special.
                let mut block = [0; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                Some(special_bytes(&block, self.delimiter))
            }
        }
    }
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

/// A bit for each byte that is a delimiter, a line feed or a quote.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
fn special_bytes(block: &[u8; BLOCK], delimiter: u8) -> u64 {
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_splat, u64x2, v128_or};

    let (words, _) = block.as_chunks::<8>();
    let mut special = 0;
    for part in 0..BLOCK / 16 {
        let bytes = u64x2(
            u64::from_le_bytes(words[part * 2]),
            u64::from_le_bytes(words[part * 2 + 1]),
        );
        let hits = v128_or(
            u8x16_eq(bytes, u8x16_splat(delimiter)),
            v128_or(
                u8x16_eq(bytes, u8x16_splat(LINE_FEED)),
                u8x16_eq(bytes, u8x16_splat(QUOTE)),
            ),
        );
        special |= u64::from(u8x16_bitmask(hits)) << (part * 16);
    }
    special
}

/// A bit for each byte that is a delimiter, a line feed or a quote.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
fn special_bytes(block: &[u8; BLOCK], delimiter: u8) -> u64 {
    const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // A byte's high bit is set where it is zero, without carries between bytes.
    let zero_bytes = |word: u64| !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS);
    let each = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let (words, _) = block.as_chunks::<8>();
    let mut special = 0;
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let hits = zero_bytes(word ^ each(delimiter))
            | zero_bytes(word ^ each(LINE_FEED))
            | zero_bytes(word ^ each(QUOTE));
        // Gathers the eight high bits into the highest byte.
        let bits = (hits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        special |= bits << (index * 8);
    }
    special
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
mod tests {
    use super::{BLOCK, Boundary, Form, Splitter, special_bytes};

    /// Records as their fields, each marked when its form is not literal.
    fn split(text: &str) -> Vec<Vec<String>> {
        let mut splitter = Splitter::new(text.as_bytes(), b',');
        let mut records = Vec::new();
        while let Some(record) = splitter.next_record() {
            let mut fields = Vec::new();
            for field in splitter.fields() {
                let content = &text[field.start as usize..field.end as usize];
                fields.push(match field.form {
                    Form::Literal => content.to_owned(),
                    Form::Doubled => format!("doubled {content}"),
                    Form::Malformed => format!("malformed {content}"),
                });
            }
            if splitter.is_blank(&record) {
                fields.clear();
            }
            records.push(fields);
        }
        records
    }

    #[track_caller]
    fn check(text: &str, expected: &[&[&str]]) {
        assert_eq!(split(text), expected, "{text:?}");
    }

    #[test]
    fn splits_fields_and_records() {
        check("a,b\nc,\r\n,", &[&["a", "b"], &["c", ""]]);
        check("\n\r\na\n", &[&[], &[], &["a"]]);
        check("a\r,b\r\r\n", &[&["a\r", "b\r"]]);
    }

    #[test]
    fn quotes_hide_what_is_between_them() {
        check("\"a,\nb\",c\n", &[&["a,\nb", "c"]]);
        check(
            "\"a\"\"b\",\"\"\"\"\r\n",
            &[&["doubled a\"\"b", "doubled \"\""]],
        );
        check("\"\"\n\"\r\n\"\r\n", &[&[""], &["\r\n"]]);
        check("a\"b,\"c\" d\ne\n", &[&["a\"b", "malformed c"], &["e"]]);
        check("\"a\"b\"c,d\n", &[&["malformed a", "d"]]);
        check("\"a,b\n", &[]);
    }

    #[test]
    fn special_bytes_are_found_in_every_place() {
        for (place, byte) in (0..BLOCK).flat_map(|place| [(place, b','), (place, b'\n')]) {
            // Bytes that differ from the special ones in one bit, or in the sign.
            for filler in [b'-', b'#', 0x0b, 0xac, 0xff, 0x00, 0x80] {
                let mut block = [filler; BLOCK];
                block[place] = byte;
                assert_eq!(special_bytes(&block, b','), 1 << place, "{filler:#x}");
            }
        }
        assert_eq!(special_bytes(&[b'"'; BLOCK], b','), u64::MAX);
    }

    #[test]
    fn both_readers_agree_on_where_records_end() {
        // Every text of seven characters over those that matter.
        const ALPHABET: &[u8] = b"a,\"\n\r";
        for number in 0..ALPHABET.len().pow(7) {
            let mut text = Vec::new();
            let mut rest = number;
            for _ in 0..7 {
                text.push(ALPHABET[rest % ALPHABET.len()]);
                rest /= ALPHABET.len();
            }
            let mut splitter = Splitter::new(&text, b',');
            let end = Boundary::default().find_end(&text, b',');
            assert_eq!(
                splitter.next_record().map(|record| record.next),
                end,
                "{text:?}"
            );
        }
    }
}
