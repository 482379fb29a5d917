//! Cuts a report into chunks of equal size, wherever its lines end.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::lock;
use crate::diagnostics::failure::{Failure, Result};

/// A part of a file; the last one may be empty.
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    pub(super) last: bool,
}

/// Cuts a file into chunks of equal size.
pub(super) struct Chunks<'r> {
    reader: &'r mut dyn Read,
    size: usize,
    name: String,
    /// One byte read ahead, to know the last chunk when it is read.
    ahead: Option<u8>,
    buffers: Arc<Buffers>,
}

impl<'r> Chunks<'r> {
    pub(super) fn new(reader: &'r mut dyn Read, size: usize, name: &str) -> Self {
        Self {
            reader,
            size: size.max(2),
            name: name.to_string(),
            ahead: None,
            buffers: Arc::default(),
        }
    }

    pub(super) fn next(&mut self) -> Result<Chunk> {
        // As large reads as there is room for: inflating keeps a window up to date
        // at the end of each.
        let mut buffer = Buffer::of(&self.buffers, self.size + 1);
        let bytes = &mut buffer.bytes;
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
        let last = filled <= self.size;
        if !last {
            self.ahead = bytes.last().copied();
        }
        Ok(Chunk {
            bytes: Bytes::from_owner(buffer).slice(..filled.min(self.size)),
            last,
        })
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

/// The buffers of one file that no chunk is in any more: the system need not hand out,
/// and clear, as much memory as the file has bytes.
type Buffers = Mutex<Vec<Vec<u8>>>;

/// A buffer that goes back to the others when its chunk is no longer read.
struct Buffer {
    bytes: Vec<u8>,
    others: Arc<Buffers>,
}

impl Buffer {
    /// One of so many bytes, which are what they happen to be.
    fn of(others: &Arc<Buffers>, size: usize) -> Self {
        let used = lock(others).pop();
        Self {
            bytes: used.unwrap_or_else(|| vec![0; size]),
            others: Arc::clone(others),
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        lock(&self.others).push(std::mem::take(&mut self.bytes));
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
                assert_eq!((chunk.bytes.as_ref(), chunk.last), (bytes.as_bytes(), last));
            }
        }
    }

    #[test]
    fn a_buffer_is_used_again_when_nobody_reads_its_chunk_any_more() {
        let mut reader = "abcdefghijkl".as_bytes();
        let mut chunks = Chunks::new(&mut reader, 4, "x");
        let place = |chunk: &Chunk| chunk.bytes.as_ptr();
        let first = chunks.next().unwrap();
        let second = chunks.next().unwrap();
        assert_ne!(place(&first), place(&second));
        assert_eq!(first.bytes.as_ref(), b"abcd");
        let free = place(&first);
        drop(first);
        let third = chunks.next().unwrap();
        assert_eq!(place(&third), free);
        assert_eq!(second.bytes.as_ref(), b"efgh");
        assert_eq!((third.bytes.as_ref(), third.last), (&b"ijkl"[..], true));
    }
}
