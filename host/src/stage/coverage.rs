//! Checks that a parser accounts for every byte of its file: as a row, as a reject, or as
//! a part that it says it left out. Nobody would miss the rows of a record that it passes
//! over in silence.
//!
//! The host knows no format, so it knows only the records that the parser tells. But it
//! knows the bytes: between two records there may be white space and nothing else. Before
//! the first one there may be a header.

use super::StageError;
use crate::rows::batch::Raw;

/// The parts that a parser, at the end, says it left out.
pub(super) const LEFT_OUT: &str = "left-out-bytes";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A record as the parser tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) start: u64,
    pub(super) length: u32,
}

/// How far a file is accounted for.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    /// Where the last record ends.
    position: u64,
    /// The line where the last record begins; 0 before the first one.
    line: u64,
    /// Bytes in no record, without white space and the header.
    left_out: u64,
    /// The first of them, and the line of the record before.
    first: Option<(u64, u64)>,
    /// Bytes of the header without white space. A parser may count them as left out.
    header: u64,
}

impl Coverage {
    /// Where the next record may begin.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether bytes are left over between records or behind the header.
    pub(super) fn has_left_out(&self) -> bool {
        self.left_out > 0
    }

    /// Takes the records of a chunk, rows and rejects each in the order of the file.
    /// `raw` begins at `position`.
    ///
    /// # Errors
    /// A record is where it cannot be.
    pub(super) fn add(
        &mut self,
        raw: &Raw,
        rows: impl Iterator<Item = Record>,
        rejects: impl Iterator<Item = Record>,
    ) -> Result<(), StageError> {
        let mut rejects = rejects.peekable();
        for row in rows {
            while let Some(reject) = rejects.next_if(|reject| reject.start < row.start) {
                self.take(raw, reject)?;
            }
            self.take(raw, row)?;
        }
        rejects.try_for_each(|reject| self.take(raw, reject))
    }

    /// Compares what is left over with what the parser says of it. `rest` is what
    /// stands behind the last record.
    ///
    /// # Errors
    /// They differ.
    pub(super) fn end(&mut self, rest: &[u8], told: u64) -> Result<(), StageError> {
        self.gap(rest);
        if told == self.left_out || told == self.left_out + self.header {
            return Ok(());
        }
        let place = match self.first {
            Some((byte, 0)) => format!("; the first is byte {byte}, before any record"),
            Some((byte, line)) => {
                format!("; the first is byte {byte}, behind the record on line {line}")
            }
            None => String::new(),
        };
        Err(StageError::malformed(format!(
            "{} bytes of the file that are not white space belong to no record, \
            and it says that it left out {told} (`{LEFT_OUT}`){place}",
            self.left_out
        )))
    }

    #[inline]
    fn take(&mut self, raw: &Raw, record: Record) -> Result<(), StageError> {
        let Record {
            line,
            start,
            length,
        } = record;
        let known = raw.end();
        let end = start.saturating_add(u64::from(length));
        // Records of no bytes could be without end.
        if start < self.position || length == 0 || end > known {
            return Err(self.misplaced(start, length, known));
        }
        // Every line before it has an end, which is a byte.
        if line < self.line.max(1) || line - 1 > start {
            return Err(self.misnumbered(line, start));
        }
        // Nearly always a line end, and the bytes of each record are in no cache any
        // more: the less there is to do, the more of them are fetched together.
        let is_line_end = start - self.position == 1
            && raw.byte(self.position).is_some_and(|byte| is_blank(&byte));
        if !is_line_end {
            self.look_at_gap(raw, start);
        }
        (self.position, self.line) = (end, line);
        Ok(())
    }

    /// Takes what stands before a record, whatever it is.
    fn look_at_gap(&mut self, raw: &Raw, start: u64) {
        let gap = raw.pieces(self.position, start);
        if !gap.iter().all(|piece| piece.iter().all(is_blank)) {
            self.gap(&gap.concat());
        }
    }

    #[cold]
    fn misnumbered(&self, line: u64, start: u64) -> StageError {
        StageError::malformed(format!(
            "a record on line {line}, at byte {start}, behind one on line {}",
            self.line
        ))
    }

    #[cold]
    fn misplaced(&self, start: u64, length: u32, known: u64) -> StageError {
        let position = self.position;
        let end = start.saturating_add(u64::from(length));
        StageError::malformed(if length == 0 {
            format!("a record of no bytes, at byte {start}")
        } else if start < position {
            format!("a record at byte {start}, where the one before it ends at byte {position}")
        } else {
            format!("a record of bytes {start} to {end}, where the file is known up to {known}")
        })
    }

    #[cold]
    fn gap(&mut self, gap: &[u8]) {
        let header = match self.position {
            0 => header_bytes(gap),
            _ => 0,
        };
        let (header_bytes, rest) = gap.split_at(header);
        self.header += told_of(header_bytes);
        let Some(first) = rest.iter().position(|byte| !is_blank(byte)) else {
            return;
        };
        self.left_out += told_of(rest);
        let before = if self.position == 0 { 0 } else { self.line };
        self.first
            .get_or_insert((self.position + (header + first) as u64, before));
    }
}

/// How many bytes count.
fn told_of(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| !is_blank(byte)).count() as u64
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// How long the header of a file is that begins so: a byte order mark and the first
/// line that is not blank, with all lines that quotes take with it. What begins with a
/// brace is a record of its own.
fn header_bytes(bytes: &[u8]) -> usize {
    let mark = match bytes.starts_with(BYTE_ORDER_MARK) {
        true => BYTE_ORDER_MARK.len(),
        false => 0,
    };
    let blank = bytes[mark..].iter().take_while(|byte| is_blank(byte));
    let start = mark + blank.count();
    if bytes[start..].first() == Some(&b'{') {
        return start;
    }
    let mut in_quotes = false;
    let end = bytes[start..].iter().position(|byte| {
        in_quotes ^= *byte == b'"';
        *byte == b'\n' && !in_quotes
    });
    end.map_or(bytes.len(), |end| start + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records by line, start and length, of a file in one chunk; `told` is what the
    /// parser says that it left out.
    fn covered(
        text: &str,
        rows: &[(u64, u64, u32)],
        rejects: &[(u64, u64, u32)],
        told: u64,
    ) -> Result<(), String> {
        let record = |(line, start, length): &(u64, u64, u32)| Record {
            line: *line,
            start: *start,
            length: *length,
        };
        // A record that begins in a chunk may end in the next.
        let (head, chunk) = text.as_bytes().split_at(text.len() / 2);
        let raw = Raw {
            start: 0,
            head: head.into(),
            chunk: chunk.to_vec().into(),
        };
        let mut coverage = Coverage::default();
        let added = coverage.add(&raw, rows.iter().map(record), rejects.iter().map(record));
        let position = coverage.position();
        let rest = &text.as_bytes()[position as usize..];
        added
            .and_then(|()| coverage.end(rest, told))
            .map_err(|error| {
                let text = error.to_string();
                let (_, reason) = text.split_once(": ").unwrap_or(("", &text));
                reason.to_string()
            })
    }

    fn silent(left_out: u64, told: u64, place: &str) -> Result<(), String> {
        Err(format!(
            "{left_out} bytes of the file that are not white space belong to no record, \
            and it says that it left out {told} (`left-out-bytes`){place}"
        ))
    }

    #[test]
    fn headers_line_ends_and_blank_lines_belong_to_nobody() {
        for text in ["", "a,b", "a,b\r\n", "\u{feff}\n a,\"b\nc\"\n\t\r\n"] {
            assert_eq!(covered(text, &[], &[], 0), Ok(()), "{text:?}");
        }
        let text = "a,b\r\n1,2\r\n\r\n3\n4,5";
        let rows = [(2, 5, 3), (5, 14, 3)];
        assert_eq!(covered(text, &rows, &[(4, 12, 1)], 0), Ok(()));
        // Without a header.
        assert_eq!(covered("{}\n{}\n", &[(1, 0, 2), (2, 3, 2)], &[], 0), Ok(()));
    }

    #[test]
    fn what_is_passed_over_is_noticed_wherever_it_stands() {
        let text = "a\n1\n22\n333\n";
        let (one, two, three) = ((2, 2, 1), (3, 4, 2), (4, 7, 3));
        assert_eq!(covered(text, &[one, two, three], &[], 0), Ok(()));
        assert_eq!(
            covered(text, &[two, three], &[], 0),
            silent(1, 0, "; the first is byte 2, before any record")
        );
        assert_eq!(
            covered(text, &[one], &[three], 0),
            silent(2, 0, "; the first is byte 4, behind the record on line 2")
        );
        assert_eq!(
            covered(text, &[one, two], &[], 0),
            silent(3, 0, "; the first is byte 7, behind the record on line 3")
        );
        assert_eq!(
            covered(text, &[], &[], 0),
            silent(6, 0, "; the first is byte 2, before any record")
        );
        assert_eq!(
            covered("{}\n{}\n", &[(2, 3, 2)], &[], 0),
            silent(2, 0, "; the first is byte 0, before any record")
        );
    }

    #[test]
    fn what_is_said_to_be_left_out_must_be() {
        let text = "a\n# no\n1\n";
        assert_eq!(covered(text, &[(3, 7, 1)], &[], 3), Ok(()));
        // With the header.
        assert_eq!(covered(text, &[(3, 7, 1)], &[], 4), Ok(()));
        assert_eq!(covered("a\n1\n", &[(2, 2, 1)], &[], 3), silent(0, 3, ""));
    }

    #[test]
    fn a_record_stands_behind_the_one_before_it_and_within_the_file() {
        for (rows, reason) in [
            (
                &[(2, 2, 1), (3, 2, 1)][..],
                "a record at byte 2, where the one before it ends at byte 3",
            ),
            (&[(2, 2, 0)], "a record of no bytes, at byte 2"),
            (
                &[(2, 2, 100)],
                "a record of bytes 2 to 102, where the file is known up to 11",
            ),
            (
                &[(2, u64::MAX, 1)],
                "a record of bytes 18446744073709551615 to 18446744073709551615, \
                where the file is known up to 11",
            ),
            (
                &[(0, 2, 1)],
                "a record on line 0, at byte 2, behind one on line 0",
            ),
            (
                &[(4, 2, 1)],
                "a record on line 4, at byte 2, behind one on line 0",
            ),
            (
                &[(2, 2, 1), (1, 4, 2)],
                "a record on line 1, at byte 4, behind one on line 2",
            ),
        ] {
            let found = covered("a\n1\n22\n333\n", rows, &[], 0);
            assert_eq!(found, Err(reason.into()), "{rows:?}");
        }
    }
}
