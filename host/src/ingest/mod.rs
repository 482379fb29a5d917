//! Takes the reports of a payload through their chains and into a sink, in parallel.
//!
//! One thread reads the payload and hands chunks to their report ([`report`]), which
//! spreads its batches over workers. Nothing is published here, and nobody sees the rows
//! of a failed run.

pub mod chain;
mod chunks;
mod header;
pub mod hours;
mod learned;
pub mod log_book;
mod rejects;
mod report;
pub mod row_accounting;
mod sink;
pub mod sizes;

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use chrono::{DateTime, Utc};

use self::chunks::{Chunk, Chunks};
use self::learned::LearnedWords;
pub use self::rejects::{ExceededLimit, FoundReject, RejectSink, RejectTally, Rejects};
pub use self::sink::{LoadTally, Sink, SinkWriter};
use crate::diagnostics::counters::Counters;
use crate::diagnostics::failure::{Failure, Result};
use crate::ingest::chain::{Capture, LearnedFacts, Reject};
use crate::ingest::hours::{HoursRead, ReusedHours};
use crate::ingest::log_book::LogBook;
use crate::ingest::row_accounting::{FileAccount, LOAD_STAGE, StageAccount};
use crate::payload::Payload;
use crate::pipeline::definition::{BoundSet, UnknownReports};
use crate::pipeline::plan::{Plan, ReportAction, ReportPlan};

/// Chunks waiting for the parser: one while another is worked on.
const CHUNKS_WAITING_MAX: usize = 1;

/// Reports at work at the same time: one begins while the one before it ends. Each
/// keeps all workers busy by itself.
const REPORTS_MAX: usize = 2;

/// Characters that a message shows of a header.
const HEADER_SHOWN_MAX: usize = 200;

/// The result of one file.
#[derive(Debug)]
pub struct IngestedFile {
    pub name: String,
    pub kind: FileKind,
    pub bytes: u64,
    pub started: DateTime<Utc>,
    /// Records of the file, whatever became of them.
    pub rows_read: u64,
    /// Rows that a stage left out on purpose.
    pub rows_filtered: u64,
    pub rows_loaded: u64,
    /// Rows of reused hours, which were not handed on.
    pub rows_reused: u64,
    /// The row accounting of each stage, in the order of the chain.
    pub accounts: Vec<StageAccount>,
    /// Rows by `interval_start`, in microseconds since the epoch.
    pub hours: BTreeMap<i64, u64>,
    /// The rows that were read of each hour, handed on or not; `None` when rows do not
    /// tell their hours.
    pub read: Option<FileRead>,
    pub rejected: RejectTally,
    pub learned: LearnedFacts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Loaded as this report kind.
    Report(String),
    /// Of a kind that the pipeline ignores on purpose.
    Ignored(String),
    /// Of no kind that the pipeline knows, with these columns.
    Unknown(Vec<String>),
    /// Without a byte.
    Empty,
}

/// The rows that were read of each hour of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRead {
    /// Of hours that were handed on.
    pub new: HoursRead,
    /// Of reused hours.
    pub reused: HoursRead,
}

/// The progress of an ingest, for whoever watches.
#[derive(Debug, Default)]
pub struct Progress {
    pub counters: Arc<Counters>,
    pub log: Mutex<LogBook>,
    /// The rows that stages broke at or refused, where these are kept.
    pub captures: Option<Mutex<Vec<Capture>>>,
}

/// The settings of an ingest.
pub struct Ingest<'a> {
    pub plan: &'a Plan,
    /// The words of the sets bound to stages.
    pub words: &'a (dyn Fn(BoundSet) -> Vec<String> + Sync),
    /// Rows of these hours go no further than the parser.
    pub reused: &'a ReusedHours,
    pub sink: &'a dyn Sink,
    /// Takes the rejected rows of the payload.
    pub rejects: &'a Rejects<'a>,
    pub progress: &'a Progress,
    /// Batches of a report at work at the same time.
    pub workers: usize,
}

/// Connections of a pool that an ingest with so many workers can use: a COPY for each
/// worker of each report, and one for what is asked in between.
pub fn connections(workers: usize) -> u32 {
    (workers.max(1) * REPORTS_MAX) as u32 + 1
}

impl Ingest<'_> {
    /// Ingests the reports of the payload that `wanted` names.
    ///
    /// # Errors
    /// The payload, a stage or the load fails; the first failure, with its file. What
    /// was rejected before is handed on all the same.
    pub fn run(
        &self,
        payload: &Payload,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<IngestedFile>> {
        let ingested = self.reports(payload, wanted);
        // The user needs to hear the first failure.
        match (ingested, self.rejects.flush()) {
            (Ok(_), Err(failure)) => Err(failure),
            (ingested, _) => ingested,
        }
    }

    fn reports(
        &self,
        payload: &Payload,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<IngestedFile>> {
        let learned = LearnedWords::up_to(self.plan.budget.learned_words);
        let done: Mutex<Vec<Result<IngestedFile>>> = Mutex::default();
        let slots = Slots::new(REPORTS_MAX);
        let mut worker_ended = false;
        let read = thread::scope(|scope| {
            payload.for_each_report(&mut |name, reader| {
                if !wanted(name) {
                    return Ok(());
                }
                if lock(&done).iter().any(Result::is_err) {
                    worker_ended = true;
                    return Err(stop());
                }
                let mut source = Chunks::new(reader, self.plan.chunk_bytes, name);
                let first = source.next()?;
                if first.bytes.is_empty() {
                    push(&done, Ok(unread(name, FileKind::Empty, 0)));
                    return Ok(());
                }
                let Some(report) = self.kind_of(name, &first)? else {
                    if self.plan.unknown_reports == UnknownReports::Refuse {
                        return Err(self.unknown(name, &header::names(&first.bytes)));
                    }
                    let kind = FileKind::Unknown(header::columns(&first.bytes));
                    let bytes = source.drain(first)?;
                    push(&done, Ok(unread(name, kind, bytes)));
                    return Ok(());
                };
                let ReportAction::Load(load) = &report.action else {
                    let bytes = source.drain(first)?;
                    let file = unread(name, FileKind::Ignored(report.name.clone()), bytes);
                    push(&done, Ok(file));
                    return Ok(());
                };
                let (sender, receiver) = sync_channel(CHUNKS_WAITING_MAX);
                let slot = slots.take();
                let (done, learned) = (&done, &learned);
                let (name, kind) = (name.to_string(), report.name.clone());
                scope.spawn(move || {
                    let file = report::ingest(self, &name, kind, load, learned, &receiver);
                    // The sender must see the end before the slot is free.
                    drop(receiver);
                    if let Some(file) = file.transpose() {
                        push(done, file.map_err(|failure| at_file(failure, &name)));
                    }
                    drop(slot);
                });
                worker_ended = !self.send(source, first, &sender)?;
                match worker_ended {
                    true => Err(stop()),
                    false => Ok(()),
                }
            })
        });
        let done = done
            .into_inner()
            .unwrap_or_else(|poison| poison.into_inner());
        // Whichever of reading and working ended first says why.
        if !worker_ended {
            read?;
        }
        let files: Vec<IngestedFile> = done.into_iter().collect::<Result<_>>()?;
        if worker_ended {
            return Err(stop());
        }
        self.something_is_known(payload, &files)?;
        self.sink.end()?;
        Ok(files)
    }

    /// Sends all chunks to the worker; false when the worker ended before.
    fn send(
        &self,
        mut source: Chunks<'_>,
        first: Chunk,
        sender: &SyncSender<Chunk>,
    ) -> Result<bool> {
        let mut chunk = first;
        loop {
            let last = chunk.last;
            let bytes = chunk.bytes.len() as u64;
            self.progress.counters.add_bytes(bytes);
            if sender.send(chunk).is_err() {
                return Ok(false);
            }
            if last {
                return Ok(true);
            }
            chunk = source.next()?;
        }
    }

    /// The report kind of a file, by its header; `None` when the pipeline knows none.
    fn kind_of(&self, name: &str, first: &Chunk) -> Result<Option<&ReportPlan>> {
        let names = header::names_of_any_format(&first.bytes);
        let mut kinds = self.plan.reports.iter().filter(|report| {
            let detect = &report.detect;
            detect.iter().all(|column| names.contains(column))
        });
        match (kinds.next(), kinds.next()) {
            (Some(one), Some(other)) => Err(Failure::run(format!(
                "report `{name}` is of two kinds: `{}` and `{}`",
                one.name, other.name
            ))
            .hint("name a column in `detect` that only one of them has")),
            (kind, _) => Ok(kind),
        }
    }

    /// The failure of a payload for a report with these columns.
    fn unknown(&self, name: &str, columns: &[String]) -> Failure {
        let known: Vec<&str> = self
            .plan
            .reports
            .iter()
            .map(|report| report.name.as_str())
            .collect();
        Failure::run(format!(
            "report `{name}` is of no kind that pipeline `{}` knows: its header begins with `{}`",
            self.plan.name,
            beginning(columns)
        ))
        .hint(format!(
            "the kinds are {}; add a `[reports.NAME]` for it, with `ignore = true` to read past it",
            known.join(", ")
        ))
    }

    /// A payload of which nothing is known is none.
    fn something_is_known(&self, payload: &Payload, files: &[IngestedFile]) -> Result<()> {
        let is_here = |listed: &String| files.iter().any(|file| file.name == *listed);
        if !payload.manifest.files.iter().all(is_here) {
            return Ok(());
        }
        let mut first = None;
        for file in files {
            match &file.kind {
                FileKind::Unknown(columns) => first = first.or(Some((&file.name, columns))),
                FileKind::Empty => {}
                FileKind::Report(_) | FileKind::Ignored(_) => return Ok(()),
            }
        }
        first.map_or(Ok(()), |(name, columns)| Err(self.unknown(name, columns)))
    }
}

impl IngestedFile {
    /// The row accounting of the file, with the load at the end.
    pub fn account(&self) -> FileAccount {
        let mut stages = self.accounts.clone();
        if let Some(last) = stages.last() {
            stages.push(StageAccount {
                rows_in: last.rows_out,
                rows_out: self.rows_loaded,
                rows_rejected: self.rejected.rows_by_load(),
                ..StageAccount::of(LOAD_STAGE)
            });
        }
        FileAccount {
            file: self.name.clone(),
            stages,
        }
    }
}

/// Ends the reading of a payload of which a report failed. That report says why; this is
/// told only if it does not, which nothing but a bug can cause.
fn stop() -> Failure {
    Failure::bug("a report ended before its file, and does not say why")
}

fn at_file(failure: Failure, name: &str) -> Failure {
    failure.within(format!("cannot ingest report `{name}`"))
}

/// The first columns of a header, for a message.
pub fn beginning(columns: &[String]) -> String {
    let shown: Vec<&str> = columns.iter().take(5).map(String::as_str).collect();
    let shown: String = shown.join(",").chars().take(HEADER_SHOWN_MAX).collect();
    shown.escape_debug().to_string()
}

/// A reject as a sentence.
pub fn describe(reject: &Reject) -> String {
    let line = reject
        .row
        .line
        .map_or_else(String::new, |line| format!("line {line}, "));
    let column = reject
        .row
        .column
        .as_ref()
        .map_or_else(String::new, |column| format!("column `{column}`: "));
    format!(
        "{line}stage `{}`: {column}{}",
        reject.by.name(),
        reject.row.message
    )
}

fn unread(name: &str, kind: FileKind, bytes: u64) -> IngestedFile {
    IngestedFile {
        name: name.to_string(),
        kind,
        bytes,
        started: Utc::now(),
        rows_read: 0,
        rows_filtered: 0,
        rows_loaded: 0,
        rows_reused: 0,
        accounts: Vec::new(),
        hours: BTreeMap::new(),
        read: Some(FileRead::default()),
        rejected: RejectTally::default(),
        learned: LearnedFacts::default(),
    }
}

/// Room for so many reports.
struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Slots {
    fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count.max(1)),
            freed: Condvar::new(),
        }
    }

    /// Waits for room, and holds it as long as the slot lives.
    fn take(&self) -> Slot<'_> {
        let mut free = lock(&self.free);
        while *free == 0 {
            free = self
                .freed
                .wait(free)
                .unwrap_or_else(|poison| poison.into_inner());
        }
        *free -= 1;
        Slot(self)
    }
}

struct Slot<'s>(&'s Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *lock(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}

fn push(done: &Mutex<Vec<Result<IngestedFile>>>, file: Result<IngestedFile>) {
    lock(done).push(file);
}

/// The value that a panicking thread left behind is still right.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}
