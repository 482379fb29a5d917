//! Counters of the progress of a payload, which many threads add to and the live display
//! reads.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The counters of one payload.
#[derive(Debug, Default)]
pub struct Counters {
    bytes: AtomicU64,
    rows: AtomicU64,
    /// Time spent by stage name.
    stages: Mutex<BTreeMap<String, Duration>>,
}

impl Counters {
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts what a stage did, and how long it took.
    pub fn add_stage(&self, stage: &str, rows: u64, time: Duration) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        let mut stages = self
            .stages
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        match stages.get_mut(stage) {
            Some(sum) => *sum += time,
            None => drop(stages.insert(stage.to_string(), time)),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Records that parsers have read.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Time spent so far, by stage name.
    pub fn stages(&self) -> BTreeMap<String, Duration> {
        let stages = self.stages.lock();
        stages.unwrap_or_else(|poison| poison.into_inner()).clone()
    }
}
