//! Opens payloads in a thread of its own, one ahead of the run. Opening reads a payload
//! through and takes one processor. Meanwhile the database migrates, or summarizes the
//! payload before, and leaves one processor idle.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use super::{Payload, PayloadInput};
use crate::diagnostics::failure::Result;

/// Opens payloads in their order; each is opened when the one before it is taken.
/// Whoever does not want the rest drops the receiver.
pub fn open_ahead<'scope>(
    scope: &'scope Scope<'scope, '_>,
    inputs: &'scope [PayloadInput],
    cluster_id: Option<&'scope str>,
) -> Receiver<Result<Payload>> {
    let (sender, receiver) = sync_channel(0);
    scope.spawn(move || {
        for input in inputs {
            if sender.send(input.open(cluster_id)).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn payloads_come_in_their_order_and_with_their_failures() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("pods.csv");
        std::fs::write(&report, "interval_start\n2026-10-01 00:00:00 +0000 UTC\n").unwrap();
        let paths = [report.clone(), folder.path().join("missing"), report];
        let paths = paths.map(PayloadInput::Whole);
        let opened: Vec<bool> = thread::scope(|scope| {
            let payloads = open_ahead(scope, &paths, Some("cluster"));
            payloads.iter().map(|payload| payload.is_ok()).collect()
        });
        assert_eq!(opened, [true, false, true]);
    }

    #[test]
    fn whoever_wants_no_more_is_not_waited_for() {
        let paths = vec![PayloadInput::Whole("missing".into()); 3];
        thread::scope(|scope| drop(open_ahead(scope, &paths, None)));
    }
}
