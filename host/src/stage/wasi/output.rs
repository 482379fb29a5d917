//! Standard output and error of a stage: their lines go to its log, and the end of them
//! into the message of what broke it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::diagnostics::log_line::LogLevel;
use crate::stage::limits::LOG_LINE_BYTES_MAX;

/// The bytes of one write, and the zeroes of one call.
const WRITE_BYTES_MAX: usize = 4096;

/// What a stage has written and nobody has taken yet. It takes everything and keeps what
/// it has room for.
#[derive(Debug)]
pub(super) struct Written {
    lines: Vec<(LogLevel, String)>,
    /// The last line of each stream, which has not ended.
    begun: [Vec<u8>; 2],
    /// Lines that there was no room for.
    dropped: u64,
    lines_max: usize,
    /// The last bytes of both.
    end: Vec<u8>,
}

impl Written {
    pub(super) fn with_room(lines_max: u64) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            lines: Vec::new(),
            begun: [Vec::new(), Vec::new()],
            dropped: 0,
            lines_max: usize::try_from(lines_max).unwrap_or(usize::MAX),
            end: Vec::new(),
        }))
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        self.end
            .extend_from_slice(&bytes[bytes.len().saturating_sub(LOG_LINE_BYTES_MAX)..]);
        let more = self.end.len().saturating_sub(LOG_LINE_BYTES_MAX);
        self.end.drain(..more);
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let begun = &mut self.begun[stream as usize];
            let room = LOG_LINE_BYTES_MAX.saturating_sub(begun.len());
            begun.extend_from_slice(&piece[..piece.len().min(room)]);
            if pieces.peek().is_some() {
                self.end_line(stream);
            }
        }
    }

    fn end_line(&mut self, stream: Stream) {
        let line = std::mem::take(&mut self.begun[stream as usize]);
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        if self.lines.len() >= self.lines_max {
            self.dropped += 1;
            return;
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_string();
        self.lines.push((stream.level(), line));
    }

    /// The lines that have ended since the last call, and how many more there were.
    pub(super) fn take_lines(&mut self) -> (Vec<(LogLevel, String)>, u64) {
        let lines = std::mem::take(&mut self.lines);
        (lines, std::mem::take(&mut self.dropped))
    }

    /// As `take_lines`, at the end of a call: what was begun has ended.
    pub(super) fn take_all(&mut self) -> (Vec<(LogLevel, String)>, u64) {
        for stream in [Stream::Output, Stream::Error] {
            self.end_line(stream);
        }
        self.end.clear();
        self.take_lines()
    }

    /// The end of what was written since the last call; its lines are not told again.
    pub(super) fn take_end(&mut self) -> Vec<u8> {
        let end = std::mem::take(&mut self.end);
        // They are in it.
        self.take_all();
        end
    }
}

/// What is written belongs to nobody who could have left it half done.
pub(super) fn locked(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which of the two.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Output = 0,
    Error = 1,
}

impl Stream {
    fn level(self) -> LogLevel {
        match self {
            Self::Output => LogLevel::Info,
            Self::Error => LogLevel::Warn,
        }
    }
}

/// One of the two, which a stage writes to. The library's own ends a stage that writes
/// more than it has room for.
#[derive(Clone)]
pub(super) struct Output {
    pub(super) stream: Stream,
    pub(super) written: Arc<Mutex<Written>>,
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        locked(&self.written).write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
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
        // Of later versions of WASI, which no component may import.
        MemoryOutputPipe::new(0).async_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(lines_max: u64) -> Output {
        Output {
            stream: Stream::Output,
            written: Written::with_room(lines_max),
        }
    }

    #[test]
    fn lines_are_kept_as_far_as_there_is_room() {
        let output = output(2);
        let error = Output {
            stream: Stream::Error,
            ..output.clone()
        };
        let write = |output: &Output, text: &str| {
            output
                .p2_stream()
                .write(Bytes::from(text.to_string()))
                .unwrap();
        };
        write(&output, "on");
        write(&error, "odd\n\n");
        write(&output, "e\ntwo\nthr");
        let info = |text: &str| (LogLevel::Info, text.to_string());
        let odd = (LogLevel::Warn, "odd".to_string());
        let first = (vec![odd, info("one")], 1);
        assert_eq!(locked(&output.written).take_lines(), first);
        assert_eq!(locked(&output.written).take_all(), (vec![info("thr")], 0));
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_it_may() {
        let output = output(9);
        let mut stream = output.p2_stream();
        stream.write(Bytes::from("a")).unwrap();
        stream.write(Bytes::from(vec![b'b'; 1 << 20])).unwrap();
        stream.write(Bytes::from("c")).unwrap();
        assert_eq!(stream.check_write().unwrap(), WRITE_BYTES_MAX);
        let mut written = locked(&output.written);
        let end = written.take_end();
        assert_eq!(end.len(), LOG_LINE_BYTES_MAX);
        assert!(end.starts_with(b"bb") && end.ends_with(b"bc"));
        assert_eq!(written.take_all(), (Vec::new(), 0), "it is told once");
    }

    #[test]
    fn zeroes_are_not_made_by_the_gigabyte() {
        assert!(output(1).write_zeroes(1 << 40).is_err());
    }
}
