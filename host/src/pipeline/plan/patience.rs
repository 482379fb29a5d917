//! How long a pipeline waits for what others hold, and how often `watch` tries again.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;

use super::resolve::Resolver;
use crate::pipeline::definition::Time;

/// How long a lock is waited for where nothing is said. A publish of a large payload
/// takes minutes, and what waits longer than that waits for something that hangs.
pub const LOCK_WAIT: Duration = Duration::from_mins(10);

/// In milliseconds. A server takes no more than the latter.
const LOCK_WAIT_RANGE: RangeInclusive<u64> = 10..=i32::MAX as u64;
const PATIENCE_RANGE: RangeInclusive<u64> = 1_000..=30 * 24 * 3_600_000;
const TRIES_RANGE: RangeInclusive<u64> = 1..=1_000;

/// How `watch` goes on when something of the surroundings stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchPlan {
    /// Tries of a payload that may itself be what fails.
    pub tries: u32,
    /// How long a payload is tried at all.
    pub patience: Duration,
}

impl Default for WatchPlan {
    fn default() -> Self {
        Self {
            // A hindrance that passes has passed after some waits. A payload that kills
            // its session each time makes the server begin anew each time.
            tries: 5,
            // A night and a day: somebody has seen by then that a disk is full.
            patience: Duration::from_hours(24),
        }
    }
}

impl Resolver<'_> {
    pub(super) fn lock_wait(&mut self) -> Option<Duration> {
        let limits = &self.definition.limits;
        self.duration(
            "lock-wait",
            limits.lock_wait.as_ref(),
            LOCK_WAIT,
            LOCK_WAIT_RANGE,
        )
    }

    pub(super) fn watch(&mut self) -> Option<WatchPlan> {
        let usual = WatchPlan::default();
        let declared = &self.definition.watch;
        let tries = match &declared.tries {
            Some(tries) => self.within("tries", tries.span(), *tries.get_ref(), TRIES_RANGE),
            None => Some(usual.tries.into()),
        };
        let patience = declared.patience.as_ref();
        let patience = self.duration("patience", patience, usual.patience, PATIENCE_RANGE);
        Some(WatchPlan {
            tries: tries? as u32,
            patience: patience?,
        })
    }

    pub(super) fn duration(
        &mut self,
        key: &str,
        time: Option<&Spanned<Time>>,
        usual: Duration,
        range: RangeInclusive<u64>,
    ) -> Option<Duration> {
        let Some(time) = time else {
            return Some(usual);
        };
        let milliseconds = time.get_ref().0.as_millis() as u64;
        self.within(key, time.span(), milliseconds, range)?;
        Some(time.get_ref().0)
    }
}
