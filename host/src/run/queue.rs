//! The payloads of a command, in their order. One that is loaded may wait for the next, to be
//! published with it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::PathBuf;

use super::Ingestion;
use super::payload::{PayloadEnd, PayloadTask};
use super::task::EarlierEnd;
use crate::diagnostics::failure::Result;
use crate::ledger::archive::Archive;
use crate::ledger::publish::{LoadedUpload, SourceSession};
use crate::payload::{Manifest, Payload};
use crate::terminal::Turn;

/// How many uploads may wait to be published together: as many as an operator sends of a day.
const TOGETHER_MAX: usize = 8;

/// A payload to be run: its file, and the opened payload unless it cannot be opened.
pub type QueuedPayload = (PathBuf, Result<Payload>);

/// The payloads that are to be run, and what came of those that were.
pub(super) struct Queue<'q> {
    payloads: RefCell<Peekable<Box<dyn Iterator<Item = QueuedPayload> + 'q>>>,
    /// How many there are.
    of: usize,
    taken: RefCell<usize>,
    results: RefCell<BTreeMap<usize, PayloadEnd>>,
}

impl<'q> Queue<'q> {
    pub(super) fn new(payloads: impl Iterator<Item = QueuedPayload> + 'q, of: usize) -> Self {
        let payloads: Box<dyn Iterator<Item = QueuedPayload> + 'q> = Box::new(payloads);
        Self {
            payloads: RefCell::new(payloads.peekable()),
            of,
            taken: RefCell::default(),
            results: RefCell::default(),
        }
    }

    /// Runs all of them; returns their results, and why those failed that did.
    pub(super) fn run(
        self,
        ingestion: Ingestion<'_>,
        archive: Option<&Archive>,
    ) -> Vec<PayloadEnd> {
        while let Some((turn, path, payload)) = self.take() {
            let ingestion = Ingestion {
                turn: Some(turn),
                ..ingestion
            };
            let task = PayloadTask::new(&path, archive, Some(&self));
            let result = task.run(ingestion, payload);
            self.results.borrow_mut().insert(turn.number, result);
        }
        self.results.into_inner().into_values().collect()
    }

    /// Whether an upload that is loaded may wait for the next payload.
    pub(super) fn has_one_behind(&self, manifest: &Manifest, loaded: &LoadedUpload<'_>) -> bool {
        let mut payloads = self.payloads.borrow_mut();
        let Some((_, Ok(next))) = payloads.peek() else {
            return false;
        };
        let next = &next.manifest;
        loaded.count() < TOGETHER_MAX
            && next.cluster_id == manifest.cluster_id
            && (next.date, next.uuid) > (manifest.date, manifest.uuid)
            && loaded.may_be_repeated_by(next)
    }

    /// Runs the next payload behind an upload that waits for it; returns what came of that
    /// upload and of those before it.
    pub(super) fn run_behind(
        &self,
        ingestion: Ingestion<'_>,
        archive: Option<&Archive>,
        session: &mut SourceSession,
        earlier: &LoadedUpload<'_>,
    ) -> EarlierEnd {
        let (turn, path, payload) = self.take()?;
        let ingestion = Ingestion {
            turn: Some(turn),
            ..ingestion
        };
        let task = PayloadTask::new(&path, archive, Some(self));
        let (result, completed) = task.run_behind(ingestion, payload, session, earlier);
        self.results.borrow_mut().insert(turn.number, result);
        completed
    }

    fn take(&self) -> Option<(Turn, PathBuf, Result<Payload>)> {
        let (path, payload) = self.payloads.borrow_mut().next()?;
        let mut taken = self.taken.borrow_mut();
        *taken += 1;
        let turn = Turn {
            number: *taken,
            of: self.of,
        };
        Some((turn, path, payload))
    }
}
