//! Stops `watch`: the first signal lets the payloads at work end, the second ends the
//! command at once, but cancels what Trino is at first.

use std::process::exit;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::diagnostics::failure::{Failure, Result};
use crate::run::LakeFolds;
use crate::terminal;

/// Shells add this to the number of the signal that ended a program.
const ENDED_BY_SIGNAL: i32 = 128;

/// Whether a signal asked to stop.
#[derive(Clone)]
pub(super) struct Stop(Arc<StopRequest>);

#[derive(Default)]
struct StopRequest {
    asked: Mutex<bool>,
    bell: Condvar,
    /// Whose statements are cancelled before the command ends at once.
    lake: OnceLock<LakeFolds>,
}

impl Stop {
    pub(super) fn on_signals(runtime: &Runtime) -> Result<Self> {
        let stop = Self(Arc::default());
        let _guard = runtime.enter();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut signals = signal(kind)
                .map_err(|error| Failure::environment("cannot wait for signals").because(error))?;
            let stop = stop.clone();
            runtime.spawn(async move {
                while signals.recv().await.is_some() {
                    if stop.ask() {
                        terminal::say(
                            "ended at once; the next run removes the rows of the payloads at work",
                        );
                        if let Some(lake) = stop.0.lake.get() {
                            lake.cancel().await;
                        }
                        exit(ENDED_BY_SIGNAL + kind.as_raw_value());
                    }
                    terminal::say("stopping after the payload at work, if there is one");
                }
            });
        }
        Ok(stop)
    }

    /// Names the servers whose statements are cancelled before the command ends at once.
    pub(super) fn cancels(&self, lake: &LakeFolds) {
        // There is one runner, so there are no others.
        let _ = self.0.lake.set(lake.clone());
    }

    /// Asks to stop; says whether that was asked before.
    fn ask(&self) -> bool {
        let before = std::mem::replace(&mut *self.lock(), true);
        self.0.bell.notify_all();
        before
    }

    pub(super) fn is_asked(&self) -> bool {
        *self.lock()
    }

    /// Waits so long; true as soon as a signal comes.
    pub(super) fn within(&self, time: Duration) -> bool {
        let waited = self
            .0
            .bell
            .wait_timeout_while(self.lock(), time, |asked| !*asked);
        let (asked, _) = waited.unwrap_or_else(|poison| poison.into_inner());
        *asked
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0
            .asked
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }
}
