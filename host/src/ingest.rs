//! The reports of a payload through their chains and into staging, in parallel.
//!
//! One thread reads the payload; each report has a worker that runs its chain and
//! hands encoded batches to its COPY. Nothing is published here, and what a failed
//! run leaves behind is invisible.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use crate::chain::{Chain, Learned, Reject, Tally};
use crate::definition::BoundSet;
use crate::failure::{Failure, Result};
use crate::load::Loader;
use crate::payload::Payload;
use crate::plan::{LoadPlan, Plan, ReportAction, ReportPlan};
use crate::stage::LogLine;

/// Chunks waiting for a chain: one while another is worked on.
const CHUNKS_WAITING_MAX: usize = 1;

/// Rejected rows that are held in memory until the file is done. A file with more
/// is not a file with some bad rows.
const REJECTS_MAX: usize = 100_000;

/// The stage that rejects what the table cannot hold, as quarantine names it.
const LOAD_STAGE: &str = "load";

/// What became of one file.
#[derive(Debug)]
pub struct IngestedFile {
    pub name: String,
    pub kind: FileKind,
    pub bytes: u64,
    pub started: DateTime<Utc>,
    pub tally: Tally,
    pub rows_loaded: u64,
    /// Rows by `interval_start`, in microseconds since the epoch.
    pub hours: BTreeMap<i64, u64>,
    pub rejects: Vec<Reject>,
    pub learned: Learned,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Loaded as this report kind.
    Report(String),
    /// Of a kind that the pipeline ignores on purpose.
    Ignored(String),
    /// Without a byte.
    Empty,
}

/// What is going on, for whoever watches.
#[derive(Debug, Default)]
pub struct Progress {
    pub bytes: AtomicU64,
    pub rows: AtomicU64,
    /// Time spent by stage name.
    pub stages: Mutex<BTreeMap<String, Duration>>,
    pub log: Mutex<Vec<(String, LogLine)>>,
}

/// What an ingest needs besides the payload.
pub struct Ingest<'a> {
    pub plan: &'a Plan,
    /// The words of the sets bound to stages.
    pub words: &'a (dyn Fn(BoundSet) -> Vec<String> + Sync),
    pub loader: &'a Loader,
    pub runtime: &'a Handle,
    pub progress: &'a Progress,
    /// Reports at work at the same time.
    pub workers: usize,
}

impl Ingest<'_> {
    /// Ingests the reports of the payload that `wanted` names.
    ///
    /// # Errors
    /// The payload, a stage or the load fails; the first failure, with its file.
    pub fn run(
        &self,
        payload: &Payload,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<IngestedFile>> {
        let done: Mutex<Vec<Result<IngestedFile>>> = Mutex::default();
        let slots = Slots::new(self.workers);
        let mut worker_ended = false;
        let read = thread::scope(|scope| {
            payload.for_each_report(&mut |name, reader| {
                if !wanted(name) {
                    return Ok(());
                }
                if lock(&done).iter().any(Result::is_err) {
                    worker_ended = true;
                    return Err(Failure::run("the run stopped"));
                }
                let mut source = Chunks::new(reader, self.plan.chunk_bytes, name);
                let first = source.next()?;
                let Some(report) = self.kind_of(name, &first)? else {
                    let file = unread(name, FileKind::Empty, 0);
                    push(&done, Ok(file));
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
                let done = &done;
                let (name, kind) = (name.to_string(), report.name.clone());
                scope.spawn(move || {
                    let file = self.file(&name, kind, load, &receiver);
                    // The sender must see the end before the slot is free.
                    drop(receiver);
                    push(done, file.map_err(|failure| at_file(failure, &name)));
                    drop(slot);
                });
                worker_ended = !self.send(source, first, &sender)?;
                match worker_ended {
                    true => Err(Failure::run("the run stopped")),
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
        done.into_iter().collect()
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
            self.progress
                .bytes
                .fetch_add(chunk.bytes.len() as u64, Ordering::Relaxed);
            if sender.send(chunk).is_err() {
                return Ok(false);
            }
            if last {
                return Ok(true);
            }
            chunk = source.next()?;
        }
    }

    /// The report kind of a file, by its header; `None` for a file without a byte.
    fn kind_of(&self, name: &str, first: &Chunk) -> Result<Option<&ReportPlan>> {
        if first.bytes.is_empty() {
            return Ok(None);
        }
        let header = header(&first.bytes);
        let mut kinds = self.plan.reports.iter().filter(|report| {
            report
                .detect
                .iter()
                .all(|column| header.iter().any(|found| found == column))
        });
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => return Ok(Some(kind)),
            (Some(one), Some(other)) => {
                return Err(Failure::run(format!(
                    "report `{name}` is of two kinds: `{}` and `{}`",
                    one.name, other.name
                ))
                .hint("name a column in `detect` that only one of them has"));
            }
            (None, _) => {}
        }
        let shown: Vec<&str> = header.iter().take(5).map(String::as_str).collect();
        let known: Vec<&str> = self
            .plan
            .reports
            .iter()
            .map(|report| report.name.as_str())
            .collect();
        Err(Failure::run(format!(
            "report `{name}` is of no kind that pipeline `{}` knows: its header begins with `{}`",
            self.plan.name,
            shown.join(",").escape_debug()
        ))
        .hint(format!(
            "the kinds are {}; add a `[reports.NAME]` for it, with `ignore = true` to read past it",
            known.join(", ")
        )))
    }

    /// One report, from its chunks to the end of its COPY.
    fn file(
        &self,
        name: &str,
        kind: String,
        load: &LoadPlan,
        chunks: &Receiver<Chunk>,
    ) -> Result<IngestedFile> {
        let mut file = unread(name, FileKind::Report(kind), 0);
        let mut chain = Chain::open(load, &self.words).map_err(|error| chain_failure(&error))?;
        let mut report = self.loader.begin(load, self.runtime);
        let mut shown = Tally::default();
        loop {
            let chunk = chunks
                .recv()
                .map_err(|_| Failure::run("the payload ended early"))?;
            file.bytes += chunk.bytes.len() as u64;
            let output = chain
                .feed(&chunk.bytes, chunk.last)
                .map_err(|error| chain_failure(&error))?;
            file.rejects.extend(output.rejects);
            let unfit = report.send(&output.batch)?;
            file.rejects.extend(unfit.into_iter().map(|row| Reject {
                stage: LOAD_STAGE.to_string(),
                digest: String::new(),
                row,
            }));
            if file.rejects.len() > REJECTS_MAX {
                return Err(
                    Failure::run(format!("more than {REJECTS_MAX} rows were rejected"))
                        .because(anyhow::anyhow!(describe(&file.rejects[0]))),
                );
            }
            self.tell(load, chain.tally(), &mut shown, output.log);
            if chunk.last {
                break;
            }
        }
        file.learned = chain.finish().map_err(|error| chain_failure(&error))?;
        lock(&self.progress.log).append(&mut file.learned.log);
        let loaded = report.finish()?;
        file.tally = chain.tally().clone();
        file.rows_loaded = loaded.rows;
        file.hours = loaded.hours;
        balance(&file)?;
        Ok(file)
    }

    fn tell(
        &self,
        load: &LoadPlan,
        tally: &Tally,
        shown: &mut Tally,
        mut log: Vec<(String, LogLine)>,
    ) {
        self.progress
            .rows
            .fetch_add(tally.rows_read - shown.rows_read, Ordering::Relaxed);
        let mut stages = lock(&self.progress.stages);
        for (position, stage) in load.stages().enumerate() {
            let before = shown.stage_time.get(position).copied().unwrap_or_default();
            *stages.entry(stage.name.clone()).or_default() += tally.stage_time[position] - before;
        }
        drop(stages);
        lock(&self.progress.log).append(&mut log);
        *shown = tally.clone();
    }
}

/// The books of a file: what was read is loaded, left out or rejected. A stage that
/// repeats rows makes more of them, which its contract allows.
fn balance(file: &IngestedFile) -> Result<()> {
    let rejected = file.rejects.len() as u64;
    let accounted = file.rows_loaded + file.tally.rows_filtered + rejected;
    if accounted >= file.tally.rows_read {
        return Ok(());
    }
    Err(Failure::run(format!(
        "{} rows were read, but {} loaded, {} left out and {rejected} rejected",
        file.tally.rows_read, file.rows_loaded, file.tally.rows_filtered
    )))
}

fn at_file(failure: Failure, name: &str) -> Failure {
    failure.within(format!("cannot ingest report `{name}`"))
}

fn chain_failure(error: &crate::chain::ChainError) -> Failure {
    Failure::run(error.to_string())
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
        reject.stage, reject.row.message
    )
}

fn unread(name: &str, kind: FileKind, bytes: u64) -> IngestedFile {
    IngestedFile {
        name: name.to_string(),
        kind,
        bytes,
        started: Utc::now(),
        tally: Tally::default(),
        rows_loaded: 0,
        hours: BTreeMap::new(),
        rejects: Vec::new(),
        learned: Learned::default(),
    }
}

/// The names in the first record of a file.
fn header(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut record = csv::ByteRecord::new();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(bytes);
    match reader.read_byte_record(&mut record) {
        Ok(true) => record
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect(),
        _ => Vec::new(),
    }
}

/// A part of a file; the last one may be empty.
struct Chunk {
    bytes: Vec<u8>,
    last: bool,
}

/// Cuts a file into chunks of equal size.
struct Chunks<'r> {
    reader: &'r mut dyn Read,
    size: usize,
    name: String,
    /// One byte read ahead, to know the last chunk when it is read.
    ahead: Option<u8>,
}

impl<'r> Chunks<'r> {
    fn new(reader: &'r mut dyn Read, size: usize, name: &str) -> Self {
        Self {
            reader,
            size: size.max(2),
            name: name.to_string(),
            ahead: None,
        }
    }

    fn next(&mut self) -> Result<Chunk> {
        let mut bytes = Vec::new();
        bytes.extend(self.ahead.take());
        let wanted = (self.size + 1 - bytes.len()) as u64;
        self.reader
            .take(wanted)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                Failure::run(format!("cannot read report `{}`", self.name)).because(error)
            })?;
        let last = bytes.len() <= self.size;
        if !last {
            self.ahead = bytes.pop();
        }
        Ok(Chunk { bytes, last })
    }

    /// Reads the rest past; returns the size of the file.
    fn drain(&mut self, first: Chunk) -> Result<u64> {
        let mut bytes = first.bytes.len() as u64;
        let mut last = first.last;
        while !last {
            let chunk = self.next()?;
            bytes += chunk.bytes.len() as u64;
            last = chunk.last;
        }
        Ok(bytes)
    }
}

/// Room for so many workers.
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

/// What a panicking thread left behind is still counted right.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_chunk_is_known_when_it_is_read() {
        for (text, expected) in [
            ("", vec![("", true)]),
            ("abcd", vec![("abcd", true)]),
            ("abcdefgh", vec![("abcd", false), ("efgh", true)]),
            (
                "abcdefghi",
                vec![("abcd", false), ("efgh", false), ("i", true)],
            ),
        ] {
            let mut reader = text.as_bytes();
            let mut chunks = Chunks::new(&mut reader, 4, "x");
            for (bytes, last) in expected {
                let chunk = chunks.next().unwrap();
                assert_eq!(
                    (chunk.bytes.as_slice(), chunk.last),
                    (bytes.as_bytes(), last)
                );
            }
        }
    }

    #[test]
    fn a_header_is_read_with_its_quotes_and_mark() {
        assert_eq!(
            header(b"\xef\xbb\xbfa,\"b\",c\r\n1,2,3\r\n"),
            ["a", "b", "c"]
        );
        assert_eq!(header(b"a,b"), ["a", "b"]);
    }
}
