//! Runs one payload, from its tarball to the tables, and tells its result.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use serde::Serialize;
use uuid::Uuid;

use super::archival::Archival;
use super::ingestion::{IngestOutput, Ingestion, Selection, Words, warn_of_unknown};
use super::queue::Queue;
use super::reuse;
use super::task::{self, Earlier, EarlierEnd, End, OpenUpload, Opening, Task};
use crate::database::Database;
use crate::diagnostics::failure::{Failure, Result};
use crate::ingest::hours::ReusedHours;
use crate::ingest::row_accounting::FileAccount;
use crate::ingest::{FileKind, IngestedFile, Rejects};
use crate::ledger::archive::Archive;
use crate::ledger::publish::{
    self, Completion, CompletionTerms, DayOutcome, LoadedUpload, Outcome, SourceSession, Upload,
};
use crate::ledger::quarantine::RejectWriter;
use crate::ledger::reuse::Reuse;
use crate::ledger::run_record::{RunState, RunSums};
use crate::ledger::source::{self, Source};
use crate::load::LoadableMonths;
use crate::payload::{Manifest, Payload};
use crate::terminal;

/// The result of one payload.
#[derive(Debug, Serialize)]
pub struct PayloadResult {
    pub payload: String,
    cluster_id: Option<String>,
    pub source_uuid: Option<Uuid>,
    pub manifest: Option<Uuid>,
    pub state: &'static str,
    pub days: Vec<Day>,
    waiting_for: Vec<String>,
    #[serde(flatten)]
    pub sums: RunSums,
    /// How many rows went into each stage of each file, and what became of them.
    row_accounting: Vec<FileAccount>,
    bytes_read: u64,
    /// Columns of the files that the pipeline does not want, by report kind.
    ignored_columns: BTreeMap<String, BTreeSet<String>>,
    /// Files of no kind that the pipeline knows, which were read past.
    unknown_reports: Vec<String>,
    pub summary_rows_inserted: u64,
    summary_rows_deleted: u64,
    pub seconds: f64,
    /// Time in each stage, over all reports.
    stage_seconds: BTreeMap<String, f64>,
    /// The engine that folded the hours; null when none was loaded.
    engine: Option<&'static str>,
    /// Time of its fold, where that is not part of publishing.
    fold_seconds: Option<f64>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Day {
    pub day: NaiveDate,
    hours: i32,
    pub outcome: &'static str,
}

impl PayloadResult {
    fn new(path: &Path) -> Self {
        Self {
            payload: path.display().to_string(),
            cluster_id: None,
            source_uuid: None,
            manifest: None,
            state: RunState::Failed.as_str(),
            days: Vec::new(),
            waiting_for: Vec::new(),
            sums: RunSums::default(),
            row_accounting: Vec::new(),
            bytes_read: 0,
            ignored_columns: BTreeMap::new(),
            unknown_reports: Vec::new(),
            summary_rows_inserted: 0,
            summary_rows_deleted: 0,
            seconds: 0.0,
            stage_seconds: BTreeMap::new(),
            engine: None,
            fold_seconds: None,
            error: None,
        }
    }

    /// Whether it did not fail.
    pub fn succeeded(&self) -> bool {
        self.error.is_none()
    }

    fn add_up(&mut self, files: &[IngestedFile]) {
        self.sums = RunSums::of(files);
        for file in files {
            self.bytes_read += file.bytes;
            if matches!(file.kind, FileKind::Report(_)) {
                self.row_accounting.push(file.account());
            }
            if let FileKind::Report(kind) = &file.kind
                && !file.learned.ignored_columns.is_empty()
            {
                self.ignored_columns
                    .entry(kind.clone())
                    .or_default()
                    .extend(file.learned.ignored_columns.iter().cloned());
            }
        }
    }

    fn completed(&mut self, completed: Completion) -> RunState {
        match completed {
            Completion::Waiting { missing } => {
                terminal::say(&format!(
                    "{}: loaded; the payload waits for {} more of its files",
                    self.payload,
                    missing.len()
                ));
                self.waiting_for = missing;
                RunState::Loaded
            }
            Completion::Published { days, summarized } => {
                self.summary_rows_inserted = summarized.rows_inserted;
                self.summary_rows_deleted = summarized.rows_deleted;
                for lost in days.iter().filter(|day| day.outcome == Outcome::Lost) {
                    terminal::say(&format!(
                        "{}: another payload covers {} better; these {} hours do not count",
                        self.payload, lost.day, lost.hours
                    ));
                }
                self.days = days.iter().map(Day::from).collect();
                RunState::Published
            }
        }
    }
}

/// The result of a payload, and why it failed.
pub type PayloadEnd = (PayloadResult, Option<Failure>);

/// A payload to be run.
pub(super) struct PayloadTask<'a, 'q> {
    archive: Option<&'a Archive>,
    /// The payloads behind it.
    queue: Option<&'a Queue<'q>>,
    result: PayloadResult,
    /// What others took that it waited for.
    waited: Duration,
}

/// A payload at work.
pub(super) struct PayloadWork {
    payload: Payload,
    archival: Archival,
    /// The listed files that the payload brought, wanted or not.
    here: Vec<String>,
    /// The fingerprint of the plan, with the words that stages are bound to.
    fingerprint: String,
    /// The earlier uploads whose hours it reuses.
    reuse: Reuse,
}

impl<'a, 'q> PayloadTask<'a, 'q> {
    pub(super) fn new(
        path: &Path,
        archive: Option<&'a Archive>,
        queue: Option<&'a Queue<'q>>,
    ) -> Self {
        Self {
            archive,
            queue,
            result: PayloadResult::new(path),
            waited: Duration::ZERO,
        }
    }

    /// Runs the payload, which was opened or could not be; returns its result, and why it
    /// failed.
    pub(super) fn run(mut self, ingestion: Ingestion<'_>, payload: Result<Payload>) -> PayloadEnd {
        let started = Instant::now();
        let run = task::run(ingestion, &mut self, payload);
        self.ended(started, run)
    }

    /// The same behind an upload that waits for this one; also returns what came of that and
    /// of those before it.
    pub(super) fn run_behind(
        mut self,
        ingestion: Ingestion<'_>,
        payload: Result<Payload>,
        session: &mut SourceSession,
        earlier: &LoadedUpload<'_>,
    ) -> (PayloadEnd, EarlierEnd) {
        let started = Instant::now();
        let (run, completed) = task::run_behind(ingestion, &mut self, payload, session, earlier);
        (self.ended(started, run), completed)
    }

    fn ended(self, started: Instant, run: Result<(i64, RunState)>) -> PayloadEnd {
        let mut result = self.result;
        result.seconds = started.elapsed().saturating_sub(self.waited).as_secs_f64();
        match run {
            Ok((_, state)) => {
                result.state = state.as_str();
                (result, None)
            }
            Err(failure) => {
                result.error = Some(failure.to_string());
                (result, Some(failure))
            }
        }
    }

    /// Lets the next payload be run before a loaded upload is completed, where it may repeat
    /// all of that; returns what came of the upload, if it is completed.
    fn wait_for_next(
        &mut self,
        manifest: &Manifest,
        open: &mut OpenUpload<'_>,
        loaded: &LoadedUpload<'_>,
    ) -> Result<Option<Completion>> {
        let ingestion = open.ingestion;
        let Some(queue) = self.queue else {
            return Ok(None);
        };
        // A capture is of every row, so nothing is reused; and the lake is to be left soon.
        let may_wait = ingestion.capture.is_none() && !open.is_in_lake() && loaded.may_wait();
        if !may_wait || !queue.has_one_behind(manifest, loaded) {
            return Ok(None);
        }
        let began = Instant::now();
        let session = open.upload.session();
        let completed = queue.run_behind(ingestion, self.archive, session, loaded);
        self.waited = began.elapsed();
        let Some(completed) = completed else {
            return Ok(None);
        };
        let mut completions = completed?;
        let own = completions.pop();
        if open.earlier.waiting().is_some() {
            open.earlier = Earlier::Ended(Ok(completions));
        }
        Ok(own)
    }
}

impl Task for PayloadTask<'_, '_> {
    type Input = Result<Payload>;
    type Work = PayloadWork;
    type Outcome = RunState;

    fn name(&self, _payload: &Result<Payload>) -> String {
        let path = Path::new(&self.result.payload);
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn open(
        &mut self,
        payload: Result<Payload>,
        ingestion: &Ingestion<'_>,
        months: &LoadableMonths,
    ) -> Result<Opening<PayloadWork>> {
        let payload = payload?;
        self.result.cluster_id = Some(payload.manifest.cluster_id.clone());
        self.result.manifest = Some(payload.manifest.uuid);
        months.check(&payload)?;
        let source = source_of(ingestion, &payload)?;
        self.result.source_uuid = Some(source.source_uuid);
        Ok(Opening {
            source,
            manifest: payload.manifest.clone(),
            work: PayloadWork {
                payload,
                archival: Archival::default(),
                here: Vec::new(),
                fingerprint: String::new(),
                reuse: Reuse::default(),
            },
        })
    }

    fn ingest(
        &mut self,
        work: &mut PayloadWork,
        open: &mut OpenUpload<'_>,
    ) -> Result<Vec<IngestedFile>> {
        let ingestion = open.ingestion;
        work.archival = Archival::begin(self.archive, &work.payload, &mut open.upload)?;
        let words = ingestion.words()?;
        work.fingerprint = ingestion.plan.fingerprint(&|set| words.of(set));
        work.reuse = reuse::find(open, &work.payload, &work.fingerprint)?;
        let IngestOutput {
            files,
            here,
            stage_seconds,
        } = work.archival.beside(&work.payload, || {
            match reuse::ingest(open, &work.payload, &words, &mut work.reuse)? {
                Some(ingested) => Ok(ingested),
                None => self.ingest_whole(&work.payload, &words, open),
            }
        })?;
        work.here = here;
        self.result.stage_seconds = stage_seconds;
        self.result.add_up(&files);
        let (shown, pipeline) = (&self.result.payload, &ingestion.plan.name);
        self.result.unknown_reports = warn_of_unknown(shown, pipeline, &files);
        Ok(files)
    }

    fn complete(
        &mut self,
        work: &mut PayloadWork,
        open: &mut OpenUpload<'_>,
        files: &[IngestedFile],
    ) -> Result<End<RunState>> {
        let folded = open.folded();
        let ingestion = open.ingestion;
        let here = std::mem::take(&mut work.here);
        let archival = &mut work.archival;
        let archived = archival.place(
            self.archive,
            ingestion.database,
            &work.payload,
            &mut open.upload,
            here,
        )?;
        let is_new = archived.is_some();
        if files.is_empty() {
            if let Some(archived) = archived {
                open.upload.record_archived(&archived)?;
                archival.recorded();
            }
            self.nothing_new(ingestion.database, &work.payload, &open.upload)?;
            return Ok(End::Unchanged(RunState::Unchanged));
        }
        let terms = CompletionTerms {
            sums: self.result.sums,
            quarantine_time: ingestion.plan.budget.quarantine_time,
            fingerprint: &work.fingerprint,
            reuse: &work.reuse,
        };
        let earlier = open.earlier.waiting();
        let loaded = open.upload.loaded(files, terms, archived.as_ref(), earlier);
        let completed = match self.wait_for_next(&work.payload.manifest, open, &loaded)? {
            Some(completed) => completed,
            None => {
                let _live = open.publishing();
                open.complete(&loaded)?
            }
        };
        if is_new {
            archival.recorded();
        }
        if self.result.sums.rows_loaded > 0 {
            (self.result.engine, self.result.fold_seconds) = (folded.engine, folded.seconds);
        }
        Ok(End::Counted(self.result.completed(completed)))
    }

    fn end<T>(
        &mut self,
        work: &mut PayloadWork,
        open: &mut OpenUpload<'_>,
        result: Result<T>,
    ) -> Result<T> {
        let archival = std::mem::take(&mut work.archival);
        archival.end(&mut open.upload, result)
    }

    fn forget(&mut self, work: &mut PayloadWork) {
        work.archival = Archival::default();
        work.reuse = Reuse::default();
        work.here.clear();
        self.result.sums = RunSums::default();
        self.result.row_accounting.clear();
        self.result.bytes_read = 0;
        self.result.ignored_columns.clear();
    }

    fn sums(&self) -> RunSums {
        self.result.sums
    }

    fn reuse(work: &PayloadWork) -> Option<&Reuse> {
        Some(&work.reuse)
    }

    fn failed_files(work: &PayloadWork) -> &[String] {
        &work.payload.manifest.files
    }
}

impl PayloadTask<'_, '_> {
    /// Loads all files of the payload that its upload lacks.
    fn ingest_whole(
        &mut self,
        payload: &Payload,
        words: &Words,
        open: &mut OpenUpload<'_>,
    ) -> Result<IngestOutput> {
        let ingestion = open.ingestion;
        let loader = open.loader([payload])?;
        let sink = RejectWriter::of(ingestion.database, open.upload.generation);
        let rejects = Rejects::new(&ingestion.plan.budget, &sink);
        let selection = Selection {
            name: &open.name,
            file: &|name| open.upload.is_open(name),
            reused: &ReusedHours::default(),
        };
        let ingested = ingestion.payload(payload, &loader, words, selection, &rejects);
        ingested.map_err(|failure| {
            self.result.sums.rows_rejected = rejects.rows();
            ingestion.with_allowed_kept(failure, &rejects, open.reject_origin())
        })
    }

    /// Tells of an upload that had nothing new.
    fn nothing_new(
        &mut self,
        database: &Database,
        payload: &Payload,
        upload: &Upload<'_>,
    ) -> Result<()> {
        let shown = payload.path.display();
        if payload.manifest.files.is_empty() {
            terminal::say(&format!(
                "{shown}: nothing to do, its manifest lists no files"
            ));
        } else if upload.open_files.is_empty() {
            let held = publish::held_days(database, upload.manifest_id)?;
            self.result.days = held.iter().map(Day::from).collect();
            let by = match publish::loaded_by(database, upload.manifest_id)? {
                Some(pipeline) => format!(", by pipeline `{pipeline}`"),
                None => String::new(),
            };
            terminal::say(&format!(
                "{shown}: nothing to do, all of it was loaded before{by}"
            ));
        } else {
            self.result.waiting_for.clone_from(&upload.open_files);
            terminal::say(&format!(
                "{shown}: nothing to do, all of it was loaded before; the payload waits for {} more of its files",
                upload.open_files.len()
            ));
        }
        Ok(())
    }
}

/// The source of a payload's cluster, registered when the pipeline says so.
fn source_of(ingestion: &Ingestion<'_>, payload: &Payload) -> Result<Source> {
    let cluster_id = &payload.manifest.cluster_id;
    if let Some(source) = source::find(ingestion.database, cluster_id)? {
        return Ok(source);
    }
    let unknown = || {
        Failure::run(format!("cluster `{cluster_id}` is not a registered source")).hint(format!(
            "`gristmill sources add --cluster-id {cluster_id}` registers it"
        ))
    };
    if !ingestion.plan.register_sources {
        return Err(unknown());
    }
    let uuid = source::derived_uuid(cluster_id);
    source::register(ingestion.database, uuid, cluster_id, cluster_id)?;
    source::find(ingestion.database, cluster_id)?.ok_or_else(unknown)
}

impl From<&DayOutcome> for Day {
    fn from(day: &DayOutcome) -> Self {
        Self {
            day: day.day,
            hours: day.hours,
            outcome: match day.outcome {
                Outcome::Won => "won",
                Outcome::Kept => "kept",
                Outcome::Lost => "lost",
            },
        }
    }
}
