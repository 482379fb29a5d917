//! `wasi:io` without waiting.
//!
//! The library has it for programs that wait by themselves, and for others, where it
//! waits for them on a runtime of its own, for as long as it takes. Here a call is
//! tried once. What is not ready then never will be: the clock stands still, there is
//! no input, and output is taken at once. Such a call ends the stage.

use std::fmt;
use std::pin::pin;

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime::{Result, bail};
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::poll_noop;
use wasmtime_wasi_io::bindings::wasi::io::poll::{
    Host as AsyncPoll, HostPollable as AsyncPollable,
};
use wasmtime_wasi_io::bindings::wasi::io::streams::{
    Host as AsyncStreams, HostInputStream as AsyncInput, HostOutputStream as AsyncOutput,
};

use crate::stage::limits::WASI_RESOURCES_MAX;

/// The streams and pollables of a store.
pub(super) struct Io<'a>(pub(super) &'a mut ResourceTable);

pub(super) struct HasIo;

impl HasData for HasIo {
    type Data<'a> = Io<'a>;
}

/// A call that would have waited.
#[derive(Debug)]
struct Wait;

impl fmt::Display for Wait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "the stage waits, but its clock stands still: \
            the wait would outlast `time-per-batch`",
        )
    }
}

impl std::error::Error for Wait {}

/// The answer of a call that does not wait.
fn at_once<T>(call: impl Future<Output = T>) -> Result<T> {
    poll_noop(pin!(call)).ok_or_else(|| Wait.into())
}

/// The same of a stream.
fn stream_at_once<T>(call: impl Future<Output = StreamResult<T>>) -> StreamResult<T> {
    at_once(call).map_err(StreamError::Trap)?
}

impl poll::Host for Io<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        if pollables.len() > WASI_RESOURCES_MAX {
            bail!("the stage polls more than {WASI_RESOURCES_MAX} pollables in one call");
        }
        at_once(AsyncPoll::poll(self.0, pollables))?
    }
}

impl poll::HostPollable for Io<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        at_once(AsyncPollable::ready(self.0, pollable))?
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        at_once(AsyncPollable::block(self.0, pollable))?
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        AsyncPollable::drop(self.0, pollable)
    }
}

impl streams::Host for Io<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> Result<streams::StreamError> {
        AsyncStreams::convert_stream_error(self.0, error).map(Into::into)
    }
}

impl streams::HostInputStream for Io<'_> {
    fn drop(&mut self, stream: Resource<DynInputStream>) -> Result<()> {
        at_once(AsyncInput::drop(self.0, stream))?
    }

    fn read(&mut self, stream: Resource<DynInputStream>, length: u64) -> StreamResult<Vec<u8>> {
        AsyncInput::read(self.0, stream, length)
    }

    fn blocking_read(
        &mut self,
        stream: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<Vec<u8>> {
        stream_at_once(AsyncInput::blocking_read(self.0, stream, length))
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, length: u64) -> StreamResult<u64> {
        AsyncInput::skip(self.0, stream, length)
    }

    fn blocking_skip(
        &mut self,
        stream: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        stream_at_once(AsyncInput::blocking_skip(self.0, stream, length))
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> Result<Resource<DynPollable>> {
        AsyncInput::subscribe(self.0, stream)
    }
}

impl streams::HostOutputStream for Io<'_> {
    fn drop(&mut self, stream: Resource<DynOutputStream>) -> Result<()> {
        at_once(AsyncOutput::drop(self.0, stream))?
    }

    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        AsyncOutput::check_write(self.0, stream)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        AsyncOutput::write(self.0, stream, bytes)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        stream_at_once(AsyncOutput::blocking_write_and_flush(self.0, stream, bytes))
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, length: u64) -> StreamResult<()> {
        AsyncOutput::write_zeroes(self.0, stream, length)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        length: u64,
    ) -> StreamResult<()> {
        stream_at_once(AsyncOutput::blocking_write_zeroes_and_flush(
            self.0, stream, length,
        ))
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        AsyncOutput::flush(self.0, stream)
    }

    fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        stream_at_once(AsyncOutput::blocking_flush(self.0, stream))
    }

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        AsyncOutput::splice(self.0, to, from, length)
    }

    fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        stream_at_once(AsyncOutput::blocking_splice(self.0, to, from, length))
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> Result<Resource<DynPollable>> {
        AsyncOutput::subscribe(self.0, stream)
    }
}
