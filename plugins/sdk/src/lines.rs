//! Splits the chunks of a file into lines, wherever the chunks were cut.
//!
//! For parsers of formats in which a line is a record. A line ends in LF or CRLF;
//! the last one may end with the file. Blank lines are counted and left out.

use std::mem;

/// A line of the file, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Without its end.
    pub bytes: &'a [u8],
    /// Counted from 1.
    pub number: u64,
    /// Where it begins, in bytes from the start of the file.
    pub start: u64,
}

impl Line<'_> {
    /// Its bytes as the host counts those that are left out.
    pub(crate) fn bytes_told(&self) -> u64 {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
        self.bytes.iter().filter(|byte| !blank(byte)).count() as u64
    }
}

/// The lines of one file.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// The beginning of a line whose end has not come.
    carry: Vec<u8>,
    /// How many lines were completed.
    completed: u64,
    /// Where the next line begins.
    start: u64,
}

impl Lines {
    /// Takes the next chunk and hands over the lines that it completes.
    pub fn feed(&mut self, chunk: &[u8], last: bool, mut take: impl FnMut(Line<'_>)) {
        let mut bytes = mem::take(&mut self.carry);
        bytes.extend_from_slice(chunk);
        let mut rest = &bytes[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.complete(line, end + 1, &mut take);
            rest = &after[1..];
        }
        if last {
            self.complete(rest, rest.len(), &mut take);
        } else {
            self.carry = rest.to_vec();
        }
    }

    fn complete(&mut self, bytes: &[u8], length: usize, take: &mut impl FnMut(Line<'_>)) {
        self.completed += 1;
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if !bytes.trim_ascii().is_empty() {
            take(Line {
                bytes,
                number: self.completed,
                start: self.start,
            });
        }
        self.start += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn chunks_make_no_difference() {
        let file = b"one\r\n\ntwo\n   \nthree";
        for size in 1..=file.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for (position, chunk) in file.chunks(size).enumerate() {
                let last = (position + 1) * size >= file.len();
                lines.feed(chunk, last, |line| {
                    let text = String::from_utf8_lossy(line.bytes).into_owned();
                    found.push((text, line.number, line.start));
                });
            }
            let expected = [("one", 1, 0), ("two", 3, 6), ("three", 5, 14)];
            assert_eq!(
                found,
                expected.map(|(text, number, start)| (text.to_string(), number, start)),
                "in chunks of {size}"
            );
        }
    }
}
