//! A report file cut into chunks of equal size, wherever they end.

use std::io::{ErrorKind, Read};

use crate::failure::{Failure, Result};

/// A part of a file; the last one may be empty.
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) last: bool,
}

/// Cuts a file into chunks of equal size.
pub(super) struct Chunks<'r> {
    reader: &'r mut dyn Read,
    size: usize,
    name: String,
    /// One byte read ahead, to know the last chunk when it is read.
    ahead: Option<u8>,
}

impl<'r> Chunks<'r> {
    pub(super) fn new(reader: &'r mut dyn Read, size: usize, name: &str) -> Self {
        Self {
            reader,
            size: size.max(2),
            name: name.to_string(),
            ahead: None,
        }
    }

    pub(super) fn next(&mut self) -> Result<Chunk> {
        // As large reads as there is room for: inflating keeps a window up to date
        // at the end of each.
        let mut bytes = vec![0; self.size + 1];
        let mut filled = 0;
        if let Some(byte) = self.ahead.take() {
            bytes[0] = byte;
            filled = 1;
        }
        while filled < bytes.len() {
            match self.reader.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(
                        Failure::run(format!("cannot read report `{}`", self.name)).because(error)
                    );
                }
            }
        }
        bytes.truncate(filled);
        let last = bytes.len() <= self.size;
        if !last {
            self.ahead = bytes.pop();
        }
        Ok(Chunk { bytes, last })
    }

    /// Reads the rest past; returns the size of the file.
    pub(super) fn drain(&mut self, first: Chunk) -> Result<u64> {
        let mut bytes = first.bytes.len() as u64;
        let mut last = first.last;
        while !last {
            let chunk = self.next()?;
            bytes += chunk.bytes.len() as u64;
            last = chunk.last;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_chunk_is_known_when_it_is_read() {
        for (text, expected) in [
            ("", vec![("", true)]),
            ("abcd", vec![("abcd", true)]),
            ("abcdefgh", vec![("abcd", false), ("efgh", true)]),
            (
                "abcdefghi",
                vec![("abcd", false), ("efgh", false), ("i", true)],
            ),
        ] {
            let mut reader = text.as_bytes();
            let mut chunks = Chunks::new(&mut reader, 4, "x");
            for (bytes, last) in expected {
                let chunk = chunks.next().unwrap();
                assert_eq!(
                    (chunk.bytes.as_slice(), chunk.last),
                    (bytes.as_bytes(), last)
                );
            }
        }
    }
}
