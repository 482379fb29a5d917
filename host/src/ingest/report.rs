//! Takes one report from its chunks to the end of its COPYs. The parser takes the chunks
//! in order; chains and COPYs take the batches side by side.
//!
//! Workers take batches in the order of the file, and their findings are put back into
//! that order at the end. So neither the number of workers nor their speed shows in the
//! result, not even in the choice of a failure: it is always that of the first batch that
//! has one, as if there had been one worker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use super::chunks::Chunk;
use super::learned::LearnedWords;
use super::rejects::{ExceededLimit, RejectRefusal, RejectTally};
use super::{
    FileKind, FileRead, Ingest, IngestedFile, LoadTally, SinkWriter, describe, lock, unread,
};
use crate::diagnostics::failure::{Failure, Result};
use crate::diagnostics::log_line::LogLine;
use crate::ingest::chain::{
    Breaks, Chain, ChainError, LearnedFacts, Read, Reader, Reject, RejectedBy,
};
use crate::ingest::hours;
use crate::ingest::log_book;
use crate::ingest::row_accounting::{StageAccount, imbalance};
use crate::pipeline::plan::{LoadPlan, StagePlan};
use crate::rows::batch::Batch;

/// Batches waiting for a worker: one while all others are worked on.
const BATCHES_WAITING_MAX: usize = 1;

/// A worker for each so many batches of a report: one more has instances of its stages to
/// make and a COPY of its own, which a small report is not worth.
const BATCHES_OF_WORKER: u64 = 4;

/// Before any batch has failed.
const NONE: u64 = u64::MAX;

/// One report, from its chunks to the end of its COPYs; `None` when its chunks end early,
/// since whoever reads the payload says why.
pub(super) fn ingest(
    ingest: &Ingest<'_>,
    name: &str,
    kind: String,
    load: &LoadPlan,
    learned: &LearnedWords,
    chunks: &Receiver<Chunk>,
) -> Result<Option<IngestedFile>> {
    let mut file = unread(name, FileKind::Report(kind.clone()), 0);
    file.accounts = load
        .stages()
        .map(|stage| StageAccount::of(&stage.name))
        .collect();
    let report = Report {
        ingest,
        name,
        kind: &kind,
        load,
        breaks: Breaks::of(load),
        reused: ingest.reused.0.get(&kind),
        learned,
        failed_at: AtomicU64::new(NONE),
        rejected: Mutex::default(),
    };
    let (sender, receiver) = sync_channel(BATCHES_WAITING_MAX);
    let receiver = Mutex::new(receiver);
    let (read, worked) = thread::scope(|scope| {
        let mut workers = Workers {
            report: &report,
            scope,
            batches: &receiver,
            running: Vec::new(),
        };
        let read = report.read(&mut file, chunks, &sender, &mut workers);
        // Workers end when there will be no more batches.
        drop(sender);
        (read, workers.join())
    });
    let Some(read) = read? else {
        return Ok(None);
    };
    report.collect(&mut file, read, worked)?;
    lock(&ingest.progress.log).append(&mut file.learned.log);
    balance(&file)?;
    Ok(Some(file))
}

struct Report<'a> {
    ingest: &'a Ingest<'a>,
    name: &'a str,
    kind: &'a str,
    load: &'a LoadPlan,
    /// The breaks of the stages of all workers so far.
    breaks: Breaks,
    /// The hours whose rows go no further than the parser.
    reused: Option<&'a BTreeSet<i64>>,
    /// The words of the payload.
    learned: &'a LearnedWords,
    /// The first batch that failed, as far as is known.
    failed_at: AtomicU64,
    rejected: Mutex<RejectTally>,
}

/// The workers of a report, started one by one as there is work for them.
struct Workers<'scope, 'env, 'a> {
    report: &'env Report<'a>,
    scope: &'scope Scope<'scope, 'env>,
    batches: &'env Mutex<Receiver<Read>>,
    running: Vec<ScopedJoinHandle<'scope, WorkerResult>>,
}

/// The work of one worker.
#[derive(Default)]
struct WorkerResult {
    read: FileRead,
    rows_reused: u64,
    /// A batch had rows of no hour.
    is_timeless: bool,
    /// The log lines of each batch that has some.
    log: Vec<(u64, Vec<(String, LogLine)>)>,
    /// One for each transform, or none before the first batch.
    accounts: Vec<StageAccount>,
    learned: LearnedFacts,
    loaded: Option<LoadTally>,
    rows_filtered: u64,
    failure: Option<ReportFailure>,
}

/// How the reading of a file ended.
#[derive(Default)]
struct ReadEnd {
    failed: Option<ReportFailure>,
    /// The heading of the file; as `Reader::heading`.
    heading: Option<Vec<u8>>,
}

/// Why a report cannot go on, and at which batch.
struct ReportFailure {
    number: u64,
    why: Why,
}

enum Why {
    Failure(Failure),
    TooManyRejects(ExceededLimit),
}

impl<'a> Report<'a> {
    /// Reads all chunks and hands the batches to the workers; `None` when the chunks end
    /// early.
    fn read(
        &self,
        file: &mut IngestedFile,
        chunks: &Receiver<Chunk>,
        batches: &SyncSender<Read>,
        workers: &mut Workers<'_, '_, '_>,
    ) -> Result<Option<ReadEnd>> {
        let mut reader =
            Reader::open(self.load, &self.ingest.words).map_err(|error| chain_failure(&error))?;
        if let Some(captures) = &self.ingest.progress.captures {
            reader.capture(captures);
        }
        loop {
            let Ok(Chunk { bytes, last }) = chunks.recv() else {
                // No COPY of an unfinished report is to be committed.
                self.failed_at.fetch_min(0, Ordering::Relaxed);
                return Ok(None);
            };
            file.bytes += bytes.len() as u64;
            let number = reader.next_number();
            let mut read = match reader.read(bytes, last) {
                Ok(read) => read,
                Err(error) => return Ok(Some(self.failed(number, chain_failure(&error)).into())),
            };
            file.rows_read += read.records;
            file.accounts[0].add(read.records, read.batch.rows, read.rejects.len());
            // They need not wait for a worker, and there may be many.
            if let Err(why) = self.reject(number, std::mem::take(&mut read.rejects)) {
                self.failed_at.fetch_min(number, Ordering::Relaxed);
                return Ok(Some(ReportFailure { number, why }.into()));
            }
            self.tell(read.records, &self.load.parser, read.stage_time);
            workers.start_for(number);
            if self.failed_at.load(Ordering::Relaxed) != NONE || batches.send(read).is_err() {
                // A worker knows why.
                return Ok(Some(ReadEnd::default()));
            }
            if last {
                break;
            }
        }
        match reader.finish() {
            Ok(learned) => {
                file.learned = learned;
                Ok(Some(ReadEnd {
                    failed: None,
                    heading: reader.heading().map(<[u8]>::to_vec),
                }))
            }
            Err(error) => Ok(Some(
                self.failed(reader.next_number(), chain_failure(&error))
                    .into(),
            )),
        }
    }

    /// Takes batches until there are no more.
    fn work(&self, batches: &Mutex<Receiver<Read>>) -> WorkerResult {
        let mut worked = WorkerResult::default();
        let mut opened: Option<(Chain<'_>, Box<dyn SinkWriter + '_>)> = None;
        loop {
            let taken = lock(batches).recv();
            let Ok(read) = taken else {
                break;
            };
            let number = read.number;
            if number > self.failed_at.load(Ordering::Relaxed) {
                continue;
            }
            let result = match &mut opened {
                Some((chain, load)) => self.batch(chain, load.as_mut(), read, &mut worked),
                None => Chain::open(self.load, &self.ingest.words, &self.breaks)
                    .map_err(|error| Why::Failure(chain_failure(&error)))
                    .and_then(|mut chain| {
                        if let Some(captures) = &self.ingest.progress.captures {
                            chain.capture(captures);
                        }
                        let load = self.ingest.sink.writer(self.load);
                        let (chain, load) = opened.insert((chain, load));
                        self.batch(chain, load.as_mut(), read, &mut worked)
                    }),
            };
            if let Err(why) = result {
                self.failed_at.fetch_min(number, Ordering::Relaxed);
                worked.failure = Some(ReportFailure { number, why });
            }
        }
        // Without the end of its COPY nothing of a failed report stays.
        if self.failed_at.load(Ordering::Relaxed) == NONE
            && let Some((mut chain, load)) = opened
        {
            let ended = chain
                .finish()
                .map_err(|error| chain_failure(&error))
                .and_then(|learned| Ok((learned, load.finish()?)));
            match ended {
                Ok((learned, loaded)) => {
                    worked.learned = learned;
                    worked.loaded = Some(loaded);
                }
                Err(failure) => worked.failure = Some(self.failed(NONE - 1, failure)),
            }
        }
        worked
    }

    /// One batch through the transforms and on its way to the table.
    fn batch(
        &self,
        chain: &mut Chain<'_>,
        load: &mut dyn SinkWriter,
        mut read: Read,
        worked: &mut WorkerResult,
    ) -> Result<(), Why> {
        let number = read.number;
        self.hold_back(&mut read, worked).map_err(Why::Failure)?;
        let output = chain
            .feed(read)
            .map_err(|error| Why::Failure(chain_failure(&error)))?;
        let mut rejects = output.rejects;
        let unfit = load.send(&output.batch).map_err(Why::Failure)?;
        rejects.extend(unfit.into_iter().map(|row| Reject {
            by: RejectedBy::Load,
            row,
        }));
        worked.rows_filtered += output.rows_filtered;
        if !output.log.is_empty() {
            worked.log.push((number, output.log));
        }
        match worked.accounts.is_empty() {
            true => worked.accounts = output.accounts,
            false => merge(&mut worked.accounts, &output.accounts),
        }
        for (transform, time) in self.load.transforms.iter().zip(output.stage_time) {
            self.tell(0, &transform.stage, time);
        }
        self.reject(number, rejects)
    }

    /// Counts the rows that a batch lost, and hands them on.
    fn reject(&self, number: u64, rejects: Vec<Reject>) -> Result<(), Why> {
        if rejects.is_empty() {
            return Ok(());
        }
        lock(&self.rejected).add(number, &rejects);
        let taken = self
            .ingest
            .rejects
            .take(self.kind, self.name, number, rejects);
        taken.map_err(|not| match not {
            RejectRefusal::Exceeded(exceeded) => Why::TooManyRejects(exceeded),
            RejectRefusal::Failure(failure) => Why::Failure(failure),
        })
    }

    /// Notes what was read of each hour, and leaves out the rows of reused hours.
    fn hold_back(&self, read: &mut Read, worked: &mut WorkerResult) -> Result<()> {
        let Some(split) = hours::of_batch(&read.batch, self.reused) else {
            worked.is_timeless = true;
            return Ok(());
        };
        hours::unite(&mut worked.read.new, &split.new);
        hours::unite(&mut worked.read.reused, &split.reused);
        if split.reused_rows.is_empty() {
            return Ok(());
        }
        worked.rows_reused += split.reused_rows.len() as u64;
        read.batch = read
            .batch
            .without(&split.reused_rows)
            .and_then(Batch::compact)
            .map_err(|error| Failure::run("cannot leave rows out of a batch").because(error))?;
        Ok(())
    }

    /// Puts together what the workers did.
    fn collect(
        &self,
        file: &mut IngestedFile,
        end: ReadEnd,
        worked: Vec<WorkerResult>,
    ) -> Result<()> {
        let mut logged = Vec::new();
        let mut failures: Vec<ReportFailure> = end.failed.into_iter().collect();
        let mut read = end.heading.is_some().then(FileRead::default);
        let mut log_at_end = Vec::new();
        let mut too_many_words = self.learned.leave_new(self.kind, &mut file.learned).err();
        for mut worker in worked {
            logged.extend(worker.log);
            merge(&mut file.accounts[1..], &worker.accounts);
            failures.extend(worker.failure);
            file.rows_filtered += worker.rows_filtered;
            file.rows_reused += worker.rows_reused;
            read = read.filter(|_| !worker.is_timeless).map(|mut read| {
                hours::unite(&mut read.new, &worker.read.new);
                hours::unite(&mut read.reused, &worker.read.reused);
                read
            });
            let learned = self.learned.leave_new(self.kind, &mut worker.learned);
            too_many_words = too_many_words.or(learned.err());
            for (set, words) in worker.learned.words {
                file.learned.words.entry(set).or_default().extend(words);
            }
            log_at_end.extend(worker.learned.log);
            if let Some(loaded) = worker.loaded {
                file.rows_loaded += loaded.rows;
                add(&mut file.hours, loaded.hours);
            }
        }
        file.accounts[0].reuse(file.rows_reused);
        file.read = read.zip(end.heading).map(|(mut read, heading)| {
            let hours = read.new.values_mut().chain(read.reused.values_mut());
            hours.for_each(|hour| *hour = hour.below(&heading));
            read
        });
        logged.sort_by_key(|(number, _)| *number);
        let mut log: Vec<_> = logged.into_iter().flat_map(|(_, log)| log).collect();
        file.rejected = std::mem::take(&mut lock(&self.rejected));
        log.append(&mut file.learned.log);
        log.append(&mut log_at_end);
        file.learned.log = log_book::of_file(log, |stage| self.log_lines_max(stage));
        match failures.into_iter().min_by_key(|failed| failed.number) {
            None => too_many_words.map_or(Ok(()), Err),
            Some(ReportFailure { why, .. }) => Err(match why {
                Why::Failure(failure) => failure,
                Why::TooManyRejects(exceeded) => {
                    let mut failure = Failure::run(exceeded.to_string());
                    let first = file.rejected.first(None).into_iter().take(1);
                    failure.causes.extend(first.map(describe));
                    failure
                }
            }),
        }
    }

    fn log_lines_max(&self, stage: &str) -> u64 {
        let mut stages = self.load.stages();
        let planned = stages.find(|planned| planned.name == stage);
        planned.map_or(u64::MAX, |planned| planned.limits.log_lines)
    }

    fn failed(&self, number: u64, failure: Failure) -> ReportFailure {
        self.failed_at.fetch_min(number, Ordering::Relaxed);
        ReportFailure {
            number,
            why: Why::Failure(failure),
        }
    }

    fn tell(&self, rows: u64, stage: &StagePlan, time: Duration) {
        let counters = &self.ingest.progress.counters;
        counters.add_stage(&stage.name, rows, time);
    }
}

impl From<ReportFailure> for ReadEnd {
    fn from(failed: ReportFailure) -> Self {
        Self {
            failed: Some(failed),
            heading: None,
        }
    }
}

impl<'scope, 'env> Workers<'scope, 'env, '_> {
    /// One more for a batch, unless there are enough for so many.
    fn start_for(&mut self, number: u64) {
        let wanted = 1 + (number - 1) / BATCHES_OF_WORKER;
        let most = self.report.ingest.workers.max(1) as u64;
        if (self.running.len() as u64) < wanted.min(most) {
            let (report, batches) = (self.report, self.batches);
            self.running.push(self.scope.spawn(|| report.work(batches)));
        }
    }

    fn join(self) -> Vec<WorkerResult> {
        self.running
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    }
}

/// Checks that no row was lost or made up on the way.
fn balance(file: &IngestedFile) -> Result<()> {
    let balance = file.account().balance(file.rows_read, file.rejected.rows());
    balance.map_err(imbalance)
}

/// Adds other parts of the row accounting of the same stages.
fn merge(accounts: &mut [StageAccount], more: &[StageAccount]) {
    for (account, more) in accounts.iter_mut().zip(more) {
        account.merge(more);
    }
}

fn add(hours: &mut BTreeMap<i64, u64>, more: BTreeMap<i64, u64>) {
    for (hour, rows) in more {
        *hours.entry(hour).or_default() += rows;
    }
}

fn chain_failure(error: &ChainError) -> Failure {
    Failure::run(error.to_string())
}
