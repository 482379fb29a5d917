//! The rows of a batch one after the other, so that a panic can say at which.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// No row is at work.
const NONE: usize = usize::MAX;

static AT_WORK: AtomicUsize = AtomicUsize::new(NONE);

/// The positions of a batch's rows, of [`Batch::each_row`](crate::Batch::each_row).
///
/// Each step notes its row, which is one store. While the iterator lives, a panic
/// names the row that was at work.
#[derive(Debug)]
pub struct EachRow(Range<usize>);

impl EachRow {
    pub(crate) fn new(rows: usize) -> EachRow {
        EachRow(0..rows)
    }
}

impl Iterator for EachRow {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let row = self.0.next();
        AT_WORK.store(row.unwrap_or(NONE), Ordering::Relaxed);
        row
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for EachRow {}

impl Drop for EachRow {
    fn drop(&mut self) {
        AT_WORK.store(NONE, Ordering::Relaxed);
    }
}

/// The row at work, counted from 1 as people do.
#[cfg_attr(
    not(target_family = "wasm"),
    expect(dead_code, reason = "the hook for panics is a component's")
)]
pub(crate) fn at_work() -> Option<usize> {
    match AT_WORK.load(Ordering::Relaxed) {
        NONE => None,
        row => Some(row + 1),
    }
}
