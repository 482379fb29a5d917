//! A clock that stands still, so that equal input gives equal output. A time that
//! lies ahead never comes.

use std::future::pending;
use std::time::Duration;

use wasmtime::Result;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Instant};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, async_trait};

/// It shows the beginning of time.
pub(super) struct StillClock;

impl HostWallClock for StillClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for StillClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// The implementation of `wasi:clocks/monotonic-clock`. It is the library's but for its
/// alarms, which in the library go by the machine's clock, whatever ours says.
pub(super) struct Clock<'a>(pub(super) WasiClocksCtxView<'a>);

pub(super) struct HasClock;

impl HasData for HasClock {
    type Data<'a> = Clock<'a>;
}

impl monotonic_clock::Host for Clock<'_> {
    fn now(&mut self) -> Result<Instant> {
        self.0.now()
    }

    fn resolution(&mut self) -> Result<monotonic_clock::Duration> {
        self.0.resolution()
    }

    fn subscribe_instant(&mut self, when: Instant) -> Result<Resource<DynPollable>> {
        let ahead = when.saturating_sub(self.now()?);
        self.subscribe_duration(ahead)
    }

    fn subscribe_duration(
        &mut self,
        ahead: monotonic_clock::Duration,
    ) -> Result<Resource<DynPollable>> {
        let alarm = self.0.table.push(Alarm { is_due: ahead == 0 })?;
        subscribe(self.0.table, alarm)
    }
}

/// It is due from the beginning, as when somebody wants to yield, or never.
struct Alarm {
    is_due: bool,
}

#[async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        if !self.is_due {
            pending().await
        }
    }
}
