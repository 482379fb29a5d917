//! Standard output and error, of which the beginning is kept for error messages.

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::stage::limits::LOG_LINE_BYTES_MAX;

/// The bytes of one write, and the zeroes of one call.
const WRITE_BYTES_MAX: usize = 4096;

/// A pipe that takes everything and keeps what it has room for. The library's own
/// ends a stage that writes more.
#[derive(Clone)]
pub(super) struct Output(MemoryOutputPipe);

impl Default for Output {
    fn default() -> Self {
        Self(MemoryOutputPipe::new(LOG_LINE_BYTES_MAX))
    }
}

impl Output {
    pub(super) fn kept(&self) -> Bytes {
        self.0.contents()
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // A full one says that it is closed.
        let room = self.0.check_write().unwrap_or(0);
        self.0.write(bytes.slice(..bytes.len().min(room)))
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.0.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        self.0.async_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_kept_and_the_rest_is_taken() {
        let output = Output::default();
        let mut stream = output.p2_stream();
        stream.write(Bytes::from("a")).unwrap();
        stream.write(Bytes::from(vec![b'b'; 1 << 20])).unwrap();
        stream.write(Bytes::from("c")).unwrap();
        assert_eq!(stream.check_write().unwrap(), WRITE_BYTES_MAX);
        let kept = output.kept();
        assert_eq!(kept.len(), LOG_LINE_BYTES_MAX);
        assert!(kept.starts_with(b"abb") && kept.ends_with(b"b"));
    }

    #[test]
    fn zeroes_are_not_made_by_the_gigabyte() {
        assert!(Output::default().write_zeroes(1 << 40).is_err());
    }
}
